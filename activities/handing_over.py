"""The moment that cannot be taken back: a claimed message goes to its provider, and the answer is kept."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from activities.attempt import Attempt, Item, Later
from activities.batch import OUT_OF_REACH
from activities.message_log import MessageLog
from activities.message_rows import Asked, Claim, Closing, Left
from activities.one_limit import Together, one_limit
from activities.rates import Limit, Rates, Turn, limit_of, real_time
from activities.receipts import FIRST_ASK
from activities.rendering import Rendered
from channels.base import ANSWERED_STOP, Asking, Channel, DeliveryError, Message, Receipt, can_carry
from channels.registry import Channels
from models.agenda import ChannelOutcome, Status
from models.channels import EMAIL, PUSH, SMS
from models.member_content import PhoneCodeContent
from models.merchant import Merchant, SmsProvider
from models.notices import CATALOGUE, NoticeClass
from models.tables.messages import MessageStatus

SEND_LIMIT = timedelta(seconds=20)
"""One hand-over at the most."""
TURN = timedelta(seconds=20)
"""So long a message waits for its turn at a provider that sets a pace; then it comes again."""
PAUSE = timedelta(seconds=0.5)

OVERTAKEN = "another attempt has taken it over"
TOO_SLOW = "the attempt was too slow to send in its time"
LEFT_OFF = "it was told to leave off before this could leave"
TOO_LATE = "its last moment passed before it could leave"
PACE = "takes only so many messages a second"
OUR_OWN = (OVERTAKEN, TOO_SLOW, LEFT_OFF, TOO_LATE)
"""Why a message waits without any fault of its provider's; so it does for its `PACE`."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Job:
    """A message that is ready to leave. `paced`: its turn is the provider's to give.

    `answer`: what came of it, once that is in the log. `overtaken`: another attempt is at work.
    """

    item: Item
    asked: Asked
    rendered: Rendered
    paced: bool = False
    answer: ChannelOutcome | Later | None = None
    overtaken: bool = False


@dataclass(slots=True)
class _Leaving:
    """A message on its way out, by one of these providers; `left` is what became of it.

    `held`: it is not marked yet. `doubtful`: it may arrive twice when it goes.
    """

    job: Job
    claim: Claim
    held: bool
    doubtful: bool
    providers: Sequence[Channel] = ()
    left: Left | None = None


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
            providers = _providers(item, self._channels)
            # Without points the second one may be the only one.
            some = providers if item.merchant.charged_in_part else providers[:1]
            return any(self._limit(one, item.merchant) is not None for one in some)
        except DeliveryError:
            return False  # what is wrong with it is told when it is handed over

    async def send(self, groups: Iterable[Sequence[Job]], attempt: Attempt) -> None:
        """Claim and hand over one group after another, the messages of each side by side; answer every job.

        What came of a group is written down in the transaction that claims the next one: a crash leaves no
        more in doubt than one group.
        """
        gone: list[_Leaving] = []
        for jobs in groups:
            leaving = await self._claimed(jobs, gone, attempt)
            if any(job.overtaken for job in jobs):
                _give_up(groups)
                return
            going = [one for one in leaving if one.left is None]
            with one_limit(SEND_LIMIT) as together:
                now = attempt.now
                ways = (self._one(one, attempt, now, together) for one in going)
                came = await asyncio.gather(*ways, return_exceptions=True)
            gone = leaving
            # What nobody foresaw of one leaves none of the others in doubt.
            if faults := [fault for fault in came if fault is not None]:
                await self._write_down(gone, attempt)
                raise faults[0]
        await self._write_down(gone, attempt)

    async def _claimed(
        self, jobs: Sequence[Job], gone: Sequence[_Leaving], attempt: Attempt
    ) -> list[_Leaving]:
        """Those of a group that this attempt may send; what is known of the others is answered."""
        if late := _over(attempt):
            await self._write_down(gone, attempt)
            for job in jobs:
                job.answer = Later(job.item.channel, late)
            if attempt.stopped():  # the history says what became of all that was begun
                await self._log.put_off([_put_off(job, late, attempt.now) for job in jobs])
            return []
        leaving, hindered = [], []
        claims = await self._next(gone, [job.asked for job in jobs], attempt)
        for job, claim in zip(jobs, claims, strict=True):
            job.overtaken = claim.overtaken
            if claim.overtaken:
                job.answer = Later(job.item.channel, OVERTAKEN)
            elif claim.holds:
                leaving.append(_Leaving(job, claim, held=not job.asked.in_hand, doubtful=claim.doubtful))
            else:
                job.answer = claim.outcome or Later(job.item.channel, claim.hindrance, claim.wait)
                if claim.hindrance:
                    hindered.append(_put_off(job, claim.hindrance, attempt.now, MessageStatus.WAITING))
        await self._log.put_off(hindered)
        self._choose(leaving, attempt)
        return leaving

    async def _next(self, gone: Sequence[_Leaving], asked: Sequence[Asked], attempt: Attempt) -> list[Claim]:
        """Write what came of one group and claim the next; where that cannot be, the former at least."""
        try:
            claims = await self._log.claim(asked, _lefts(gone))
        except OUT_OF_REACH:
            await self._write_down(gone, attempt)
            raise
        _tell(gone)
        return claims

    async def _write_down(self, gone: Sequence[_Leaving], attempt: Attempt) -> None:
        """A database that is away for a moment is waited for: what is not written down is in doubt."""
        left = _lefts(gone)
        while left:
            try:
                await self._log.leave(left)
                break
            except OUT_OF_REACH as error:
                if attempt.elapsed() + PAUSE > attempt.last_word:
                    raise
                name = type(error).__name__  # its sentence quotes the messages
                _log.warning("what came of %d messages is not written down yet: %s", len(left), name)
                await asyncio.sleep(PAUSE.total_seconds())
        _tell(gone)

    def _choose(self, leaving: Sequence[_Leaving], attempt: Attempt) -> None:
        """By whom messages go; or what becomes of them at once, for they do not."""
        known: dict[tuple[int, str], Sequence[Channel]] = {}
        over, now = _over(attempt), attempt.now
        for one in leaving:
            item = one.job.item
            place = id(item.merchant), item.channel
            try:
                one.providers = known.get(place) or _providers(item, self._channels)
            except DeliveryError as error:
                one.left = _failed(one, attempt, error, "")
                continue
            known[place] = one.providers
            if one.claim.unpaid:
                one.providers = [by for by in one.providers if not _charged(item.merchant, by)]
            first = one.providers[0]
            # Who may have it already drops a second one; but of two it is not known which one an attempt that
            # died had tried.
            one.doubtful &= len(one.providers) > 1 or not first.abilities.idempotent
            if one.doubtful and _once_at_most(item, first):
                reason = "an attempt died after it may have sent this, and it may not go twice"
                one.left = _left(one, attempt, MessageStatus.UNCERTAIN, reason, first.provider)
            elif late := over or _past(item, now):
                one.left = _left(one, attempt, MessageStatus.WAITING, late)

    async def _mark(self, leaving: Sequence[_Leaving], attempt: Attempt) -> None:
        """From here on they may have been sent. What another attempt has taken over is left to that one."""
        held = [one for one in leaving if one.held]
        if not held:
            return
        for one in held:
            one.claim.until = attempt.now + attempt.alive
        for one, ours in zip(held, await self._log.hand_over([one.claim for one in held]), strict=True):
            one.held = False
            if not ours:
                one.left = _left(one, attempt, MessageStatus.WAITING, OVERTAKEN)

    async def _one(self, one: _Leaving, attempt: Attempt, now: datetime, together: Together) -> None:
        """What becomes of one message, whose group goes `now`. Never raises but for what nobody foresaw.

        It goes by the merchant's provider; by the second one where the first is down and surely did not send.
        """
        for provider in one.providers:
            # The second one has a time of its own: until then it is this attempt's still.
            one.held |= provider is not one.providers[0]
            try:
                one.left = await self._by(provider, one, attempt, now, together)
            except DeliveryError as error:
                _blot(error, one.job)
                last = provider is one.providers[-1]
                if last or error.permanent or error.doubtful or one.claim.doubtful:
                    one.left = _failed(one, attempt, error, provider.provider)
                else:
                    _log.warning("%s is down, the next provider takes over: %s", provider.provider, error)
            if one.left is not None:
                return

    async def _by(
        self, provider: Channel, one: _Leaving, attempt: Attempt, now: datetime, together: Together
    ) -> Left:
        limit = self._limit(provider, one.job.item.merchant)
        if limit is None and not one.held and provider is one.providers[0]:
            # It is asked together with all the others, right after the claim, where the clock was looked at.
            receipt = await _hand_over(provider, _message(one.job, now), together)
        else:
            turn = await self._turn(limit, one, attempt)
            if one.left is not None:  # taken over
                return one.left
            if turn is not None and not turn.given:
                return _not_yet(one, attempt, turn, provider)
            if late := _over(attempt) or _past(one.job.item, attempt.now):
                return _left(one, attempt, MessageStatus.WAITING, late)
            with one_limit(SEND_LIMIT) as alone:
                receipt = await _hand_over(provider, _message(one.job, attempt.now), alone)
        return _sent(one, attempt, receipt, provider)

    async def _turn(self, limit: Limit | None, one: _Leaving, attempt: Attempt) -> Turn | None:
        """Wait until the provider's pace lets this message go; None where it sets none."""
        if limit is None:
            await self._mark([one], attempt)
            return None
        patience = min(attempt.latest - attempt.elapsed(), TURN)
        return await self._rates.wait(limit, patience, lambda: self._mark([one], attempt))

    def _limit(self, provider: Channel, merchant: Merchant) -> Limit | None:
        key = (provider.provider, merchant.id)
        if key not in self._limits:
            self._limits[key] = limit_of(provider, self._channels.credentials, merchant.id)
        return self._limits[key]


def _give_up(groups: Iterable[Sequence[Job]]) -> None:
    """Leave the rest to the attempt that is at work."""
    for jobs in groups:
        for job in jobs:
            job.answer = Later(job.item.channel, OVERTAKEN)


def _lefts(gone: Sequence[_Leaving]) -> list[Left]:
    return [one.left for one in gone if one.left is not None]


def _tell(gone: Sequence[_Leaving]) -> None:
    """What came of them is in the log."""
    for one in gone:
        if one.left is not None:
            one.job.answer = _answer(one.left)


def _over(attempt: Attempt) -> str:
    """Why nothing may leave in this attempt any more, or an empty string; asked after every wait."""
    if attempt.elapsed() > attempt.latest:
        return TOO_SLOW
    return LEFT_OFF if attempt.stopped() else ""


def _put_off(job: Job, why: str, now: datetime, status: MessageStatus = MessageStatus.DEFERRED) -> Closing:
    return Closing(job.item.delivery, job.item.channel, status, why, now)


def _past(item: Item, now: datetime) -> str:
    """Why a message may not leave at this moment, or an empty string."""
    return TOO_LATE if now > item.delivery.notice.not_after else ""


async def _hand_over(provider: Channel, message: Message, within: Together) -> Receipt:
    hindrance = can_carry(provider.abilities, message)
    if hindrance is not None:
        raise DeliveryError(hindrance, permanent=True, code="cannot_carry")
    try:
        return await within.wait_for(provider.send(message))
    except TimeoutError:
        raise DeliveryError("the provider did not answer in time", doubtful=True) from None
    except DeliveryError:
        raise
    except Exception as error:
        # A fault in a channel: it may have sent.
        _log.exception("%s raised what no channel may", provider.provider)
        reason = f"{type(error).__name__} in the channel {provider.provider}"
        raise DeliveryError(reason, doubtful=True, code="unforeseen") from error


def _blot(error: DeliveryError, job: Job) -> None:
    """A provider that quotes the message in its refusal tells nobody the code in it. [WACA-35]"""
    content = job.item.delivery.content
    if isinstance(content, PhoneCodeContent):
        error.reason = str(error).replace(content.code, content.masked.code)
        error.args = (error.reason,)


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


def _charged(merchant: Merchant, provider: Channel) -> bool:
    """Whether an SMS by that provider costs points."""
    return merchant.charged(SmsProvider(provider.provider))


def _once_at_most(item: Item, provider: Channel) -> bool:
    """A transactional notice or a reminder twice is better than none; a promotion is not."""
    loud = CATALOGUE[item.delivery.notice.kind].notice_class > NoticeClass.REMINDER
    return loud or provider.abilities.at_most_once


def _message(job: Job, now: datetime) -> Message:
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
        valid_for=notice.not_after - now,
        image_url=rendered.image_url,
    )


def _sent(one: _Leaving, attempt: Attempt, receipt: Receipt, provider: Channel) -> Left:
    asked = bool(receipt.provider_id) and provider.abilities.receipts and isinstance(provider, Asking)
    return _left(
        one,
        attempt,
        MessageStatus.SENT,
        one.job.rendered.fallback,
        receipt.provider,
        provider_id=receipt.provider_id,
        **_cost(one, provider),
        ask_at=real_time() + FIRST_ASK if asked else None,
    )


def _cost(one: _Leaving, provider: Channel) -> dict[str, Any]:
    """Whether the points that were reserved were for another provider than the one that has it now.

    Not where the other one may have it too.
    """
    want, merchant = one.job.asked.want, one.job.item.merchant
    if want is None or not want.in_part or one.claim.unpaid:
        return {}
    if _charged(merchant, provider):
        return {"charged": merchant}
    return {"free": not one.claim.doubtful}


def _not_yet(one: _Leaving, attempt: Attempt, turn: Turn, provider: Channel) -> Left:
    """Nothing has left: its turn comes later than this attempt may wait."""
    reason = f"{provider.provider} {PACE}"
    wait = max(turn.at - real_time(), timedelta(0))
    return _left(one, attempt, MessageStatus.WAITING, reason, provider.provider, wait=wait)


def _failed(one: _Leaving, attempt: Attempt, error: DeliveryError, provider: str) -> Left:
    """What an error makes of the message: another attempt, unless it can never go."""
    claim, reason = one.claim, error.told
    if not error.permanent:
        left = _left(one, attempt, MessageStatus.WAITING, reason, provider, wait=error.retry_after)
        return replace(left, doubtful=claim.doubtful or error.doubtful)
    return _left(
        one,
        attempt,
        MessageStatus.FAILED,
        reason,
        provider,
        refund=claim.paid and not one.doubtful,
        dead_address=ANSWERED_STOP if error.stopped else reason if error.dead_address else "",
    )


def _left(
    one: _Leaving, attempt: Attempt, status: MessageStatus, reason: str, provider: str = "", **more: Any
) -> Left:
    item, claim = one.job.item, one.claim
    return Left(
        claim,
        item.merchant.id,
        status,
        attempt.now,
        reason,
        provider,
        # Until it is settled the doubt stays: the next attempt may go by another provider.
        doubtful=claim.doubtful if status is MessageStatus.WAITING else one.doubtful,
        address=item.delivery.notice.recipient.address(item.channel),
        **more,
    )


def _answer(left: Left) -> ChannelOutcome | Later:
    channel = left.claim.channel
    if not left.settled:
        return Later(channel, left.reason, left.wait)
    status = _STATUSES[left.status]
    return ChannelOutcome(channel, status, left.now, left.reason, left.provider, left.doubtful)


_STATUSES = {MessageStatus(status): status for status in Status}
