"""The moment that cannot be taken back: a claimed message goes to its provider, and the answer is kept."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from activities.attempt import Attempt, Item, Later
from activities.batch import OUT_OF_REACH
from activities.message_log import MessageLog
from activities.message_rows import Claim, Left
from activities.rates import Limit, Rates, Turn, limit_of, real_time
from activities.receipts import FIRST_ASK
from activities.rendering import Rendered
from channels.base import Asking, Channel, DeliveryError, Message, Receipt, can_carry
from channels.registry import Channels
from models.agenda import ChannelOutcome, Status
from models.channels import EMAIL, PUSH, SMS
from models.merchant import Merchant, SmsProvider
from models.notices import CATALOGUE, NoticeClass
from models.tables.messages import MessageStatus

SEND_LIMIT = timedelta(seconds=20)
"""One hand-over at the most."""
LATEST = timedelta(seconds=8)
"""An attempt that took longer than this to get so far gives up, lest it overlap with the next one."""

LAST_WORD = timedelta(seconds=27)
"""Until then an attempt tries to write down what came of it."""
PAUSE = timedelta(seconds=0.5)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A claimed message, ready to leave. `held`: it is marked as leaving when its turn has come."""

    item: Item
    claim: Claim
    rendered: Rendered
    held: bool = False
    keyed: bool = False
    """Whoever may have it already drops a second one."""

    @property
    def doubtful(self) -> bool:
        """Whether it may arrive twice when it goes."""
        return self.claim.doubtful and not self.keyed


class TakenOverError(Exception):
    """The claim is not good any more: another attempt has the message, or it was closed."""


class HandingOver:
    """Gives messages to providers, many at a time, and writes down what came of all of them at once."""

    def __init__(self, log: MessageLog, channels: Channels, rates: Rates) -> None:
        self._log = log
        self._channels = channels
        self._rates = rates
        self._limits: dict[tuple[str, str], Limit | None] = {}

    def paced(self, item: Item) -> bool:
        """Whether the provider of a message sets a pace: it is then only held until its turn has come."""
        try:
            return self._limit(_providers(item, self._channels)[0], item.merchant) is not None
        except DeliveryError:
            return False  # what is wrong with it is told when it is handed over

    async def send(self, jobs: Sequence[Job], attempt: Attempt) -> list[ChannelOutcome | Later]:
        """Hand each message over, side by side; the answers are in their order, and in the log."""
        came = await asyncio.gather(*(self._one(job, attempt) for job in jobs), return_exceptions=True)
        # What nobody foresaw of one leaves none of the others in doubt.
        left = [one for one in came if isinstance(one, Left)]
        await self._write_down(left, attempt)
        for one in came:
            if isinstance(one, BaseException):
                raise one
        return [_answer(one, job) for one, job in zip(left, jobs, strict=True)]

    async def _write_down(self, left: Sequence[Left], attempt: Attempt) -> None:
        """A database that is away for a moment is waited for: what is not written down is in doubt."""
        while True:
            try:
                return await self._log.leave(left)
            except OUT_OF_REACH as error:
                if attempt.elapsed() + PAUSE > LAST_WORD:
                    raise
                name = type(error).__name__  # its sentence quotes the messages
                _log.warning("what came of %d messages is not written down yet: %s", len(left), name)
                await asyncio.sleep(PAUSE.total_seconds())

    async def _one(self, job: Job, attempt: Attempt) -> Left:
        """What becomes of one message. Never raises but for what nobody foresaw."""
        try:
            providers = _providers(job.item, self._channels)
        except DeliveryError as error:
            return _failed(job, attempt, error, "")
        # Of two providers it is not known which one an attempt that died had tried.
        job = replace(job, keyed=len(providers) == 1 and providers[0].abilities.idempotent)
        if job.doubtful and _once_at_most(job.item, providers[0]):
            reason = "an attempt died after it may have sent this, and it may not go twice"
            return _left(job, attempt, MessageStatus.UNCERTAIN, reason, providers[0].provider)
        if late := _too_late(job, attempt):
            return _left(job, attempt, MessageStatus.WAITING, late)
        try:
            return await self._by_one_of(job, attempt, providers)
        except TakenOverError:
            return _left(job, attempt, MessageStatus.WAITING, "another attempt has taken it over")

    async def _by_one_of(self, job: Job, attempt: Attempt, providers: Sequence[Channel]) -> Left:
        """By the merchant's provider; by the second one where the first is down and surely did not send."""
        message = _message(job, attempt)
        for number, provider in enumerate(providers):
            try:
                turn = await self._turn(provider, job, attempt)
                if turn is not None and not turn.given:
                    return _not_yet(job, attempt, turn, provider)
                if late := _too_late(job, attempt):
                    return _left(job, attempt, MessageStatus.WAITING, late)
                receipt = await _hand_over(provider, message)
            except DeliveryError as error:
                last = number == len(providers) - 1
                if last or error.permanent or error.doubtful or job.claim.doubtful:
                    return _failed(job, attempt, error, provider.provider)
                _log.warning("%s is down, the next provider takes over: %s", provider.provider, error)
            else:
                return _sent(job, attempt, receipt, provider)
        raise AssertionError("there is at least one provider")

    async def _turn(self, provider: Channel, job: Job, attempt: Attempt) -> Turn | None:
        """Wait until the provider's pace lets this message go; None where it sets none."""
        limit = self._limit(provider, job.item.merchant)
        if limit is None:
            await self._mark(job)
            return None
        return await self._rates.wait(limit, LATEST - attempt.elapsed(), lambda: self._mark(job))

    async def _mark(self, job: Job) -> None:
        if job.held and not all(await self._log.hand_over([job.claim])):
            raise TakenOverError

    def _limit(self, provider: Channel, merchant: Merchant) -> Limit | None:
        key = (provider.provider, merchant.id)
        if key not in self._limits:
            self._limits[key] = limit_of(provider, self._channels.credentials, merchant.id)
        return self._limits[key]


def _too_late(job: Job, attempt: Attempt) -> str:
    """Why it may not leave any more, or an empty string; asked after every wait."""
    if attempt.elapsed() > LATEST:
        return "the attempt was too slow to send in its time"
    if attempt.now > job.item.delivery.notice.not_after:
        return "its last moment passed before it could leave"
    return ""


async def _hand_over(provider: Channel, message: Message) -> Receipt:
    hindrance = can_carry(provider.abilities, message)
    if hindrance is not None:
        raise DeliveryError(hindrance, permanent=True, code="cannot_carry")
    try:
        async with asyncio.timeout(SEND_LIMIT.total_seconds()):
            return await provider.send(message)
    except TimeoutError:
        raise DeliveryError("the provider did not answer in time", doubtful=True) from None
    except DeliveryError:
        raise
    except Exception as error:
        # A fault in a channel: it may have sent.
        _log.exception("%s raised what no channel may", provider.provider)
        reason = f"{type(error).__name__} in the channel {provider.provider}"
        raise DeliveryError(reason, doubtful=True, code="unforeseen") from error


def _providers(item: Item, channels: Channels) -> list[Channel]:
    """Whom the merchant has chosen for a channel, the first choice first. [WACA-21]"""
    return [channels.get(item.channel, name) for name in provider_names(item.merchant, item.channel)]


def provider_names(merchant: Merchant, channel: str) -> tuple[str, ...]:
    """The names of the merchant's providers for a channel."""
    if channel == EMAIL:
        names = (merchant.email_provider, merchant.email_fallback)
        return tuple(dict.fromkeys(name.value for name in names if name is not None))
    if channel == SMS:
        chosen = (merchant.sms.provider, merchant.sms.fallback)
        return tuple(dict.fromkeys(name.value for name in chosen if name is not SmsProvider.OFF)) or ("off",)
    if channel == PUSH:
        return (merchant.push_provider.value,)
    return ("console",)


def _once_at_most(item: Item, provider: Channel) -> bool:
    """A transactional notice or a reminder twice is better than none; a promotion is not."""
    loud = CATALOGUE[item.delivery.notice.kind].notice_class > NoticeClass.REMINDER
    return loud or provider.abilities.at_most_once


def _message(job: Job, attempt: Attempt) -> Message:
    notice, merchant, rendered = job.item.delivery.notice, job.item.merchant, job.rendered
    return Message(
        key=notice.key,
        merchant_id=merchant.id,
        to=notice.recipient.address(job.item.channel),
        to_name=notice.recipient.name,
        text=rendered.text,
        subject=rendered.subject,
        html=rendered.html,
        sender_name=merchant.name,
        reply_to=merchant.email,
        unsubscribe_url=rendered.unsubscribe,
        attachments=rendered.attachments,
        valid_for=notice.not_after - attempt.now,
    )


def _sent(job: Job, attempt: Attempt, receipt: Receipt, provider: Channel) -> Left:
    left = _left(job, attempt, MessageStatus.SENT, job.rendered.fallback, receipt.provider)
    asked = bool(receipt.provider_id) and provider.abilities.receipts and isinstance(provider, Asking)
    ask_at = real_time() + FIRST_ASK if asked else None
    return replace(left, provider_id=receipt.provider_id, ask_at=ask_at)


def _not_yet(job: Job, attempt: Attempt, turn: Turn, provider: Channel) -> Left:
    """Nothing has left: its turn comes later than this attempt may wait."""
    reason = f"{provider.provider} takes only so many messages a second"
    left = _left(job, attempt, MessageStatus.WAITING, reason, provider.provider)
    return replace(left, wait=max(turn.at - real_time(), timedelta(0)))


def _failed(job: Job, attempt: Attempt, error: DeliveryError, provider: str) -> Left:
    """What an error makes of the message: another attempt, unless it can never go."""
    if not error.permanent:
        left = _left(job, attempt, MessageStatus.WAITING, str(error), provider)
        return replace(left, doubtful=job.claim.doubtful or error.doubtful, wait=error.retry_after)
    left = _left(job, attempt, MessageStatus.FAILED, str(error), provider)
    return replace(
        left,
        refund=job.claim.paid and not job.doubtful,
        dead_address=str(error) if error.dead_address else "",
    )


def _left(job: Job, attempt: Attempt, status: MessageStatus, reason: str, provider: str = "") -> Left:
    address = job.item.delivery.notice.recipient.address(job.item.channel)
    return Left(
        job.claim,
        job.item.merchant.id,
        status,
        attempt.now,
        reason,
        provider=provider,
        # Until it is settled the doubt stays: the next attempt may go by another provider.
        doubtful=job.claim.doubtful if status is MessageStatus.WAITING else job.doubtful,
        address=address,
    )


def _answer(left: Left, job: Job) -> ChannelOutcome | Later:
    channel = job.item.channel
    if not left.settled:
        return Later(channel, left.reason, left.wait)
    return ChannelOutcome(channel, Status(left.status), left.now, left.reason, left.provider, left.doubtful)
