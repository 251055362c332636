"""The moment that cannot be taken back: a claimed message goes to its provider, and the answer is kept."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from activities.attempt import Attempt, Item, Later
from activities.batch import OUT_OF_REACH
from activities.message_log import MessageLog
from activities.message_rows import Asked, Claim, Closing, Left
from activities.rates import Limit, Rates, Turn, limit_of, real_time
from activities.receipts import FIRST_ASK
from activities.rendering import Rendered
from channels.base import Asking, Channel, DeliveryError, Message, Receipt, can_carry
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

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Job:
    """A message that is ready to leave.

    `answer`: what came of it, once that is in the log. `overtaken`: another attempt is at work.
    """

    item: Item
    asked: Asked
    rendered: Rendered
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
            return self._limit(_providers(item, self._channels)[0], item.merchant) is not None
        except DeliveryError:
            return False  # what is wrong with it is told when it is handed over

    async def send(self, groups: AsyncIterator[Sequence[Job]], attempt: Attempt) -> None:
        """Claim and hand over one group after another, the messages of each side by side.

        Every job is answered, but for groups that an attempt which was overtaken does not reach. What came of
        a group is written down in the transaction that claims the next one: a crash leaves no more in doubt
        than one group. The next one is made ready while the database works.
        """
        gone: list[_Leaving] = []
        jobs = await anext(groups, None)
        while jobs is not None:
            leaving, following = await asyncio.gather(
                self._claimed(jobs, gone, attempt), anext(groups, None), return_exceptions=True
            )
            if isinstance(leaving, BaseException):
                raise leaving
            if any(job.overtaken for job in jobs):
                return
            faults = await self._go([one for one in leaving if one.left is None], attempt)
            gone = leaving
            if isinstance(following, BaseException):
                faults.append(following)
            # What nobody foresaw of one leaves none of the others in doubt.
            if faults:
                await self._write_down(gone, attempt)
                raise faults[0]
            jobs = cast(Sequence[Job] | None, following)
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
        leaving = []
        claims = await self._next(gone, [job.asked for job in jobs], attempt)
        for job, claim in zip(jobs, claims, strict=True):
            job.overtaken = claim.overtaken
            if claim.overtaken:
                job.answer = Later(job.item.channel, OVERTAKEN)
            elif claim.holds:
                leaving.append(_Leaving(job, claim, held=not job.asked.in_hand, doubtful=claim.doubtful))
            else:
                job.answer = claim.outcome or Later(job.item.channel, claim.hindrance)
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
                one.providers = known.get(place) or self._usable(item)
            except DeliveryError as error:
                one.left = _failed(one, now, error, "")
                continue
            known[place] = one.providers
            first = one.providers[0]
            # Who may have it already drops a second one; but of two it is not known which one an attempt that
            # died had tried.
            one.doubtful &= len(one.providers) > 1 or not first.abilities.idempotent
            if one.doubtful and _once_at_most(item, first):
                reason = "an attempt died after it may have sent this, and it may not go twice"
                one.left = _left(one, now, MessageStatus.UNCERTAIN, reason, first.provider)
            elif late := over or _past(item, now):
                one.left = _left(one, now, MessageStatus.WAITING, late)

    def _usable(self, item: Item) -> Sequence[Channel]:
        """Whom the merchant has chosen; DeliveryError where that, or the first one's pace, is not set up."""
        providers = _providers(item, self._channels)
        self._limit(providers[0], item.merchant)
        return providers

    async def _mark(self, leaving: Sequence[_Leaving], attempt: Attempt) -> None:
        """From here on they may have been sent. What another attempt has taken over is left to that one."""
        held = [one for one in leaving if one.held]
        if not held:
            return
        for one, ours in zip(held, await self._log.hand_over([one.claim for one in held]), strict=True):
            one.held = False
            if not ours:
                one.left = _left(one, attempt.now, MessageStatus.WAITING, OVERTAKEN)

    async def _go(self, going: Sequence[_Leaving], attempt: Attempt) -> list[BaseException]:
        """What becomes of the messages of a group; answers what nobody foresaw.

        They go by the merchant's provider; by the second one where the first is down and surely did not send.
        """
        at_once = [one for one in going if not one.held]
        waiting = [self._one(one, one.providers, attempt) for one in going if one.held]
        faults = await asyncio.gather(self._at_once(at_once, attempt), *waiting, return_exceptions=True)
        left_over = [self._one(one, one.providers[1:], attempt) for one in at_once if one.left is None]
        if left_over:
            faults += await asyncio.gather(*left_over, return_exceptions=True)
        return [fault for fault in faults if fault is not None]

    async def _at_once(self, going: Sequence[_Leaving], attempt: Attempt) -> None:
        """Give all of them to their first provider: the clock was looked at with the claim."""
        now = attempt.now
        answers = await _handed_over([(one.providers[0], _message(one.job, now)) for one in going])
        now = attempt.now
        for one, answer in zip(going, answers, strict=True):
            self._note(answer, one.providers[0], one, now)

    async def _one(self, one: _Leaving, providers: Sequence[Channel], attempt: Attempt) -> None:
        """Give one message to these providers, until one of them settles it."""
        for provider in providers:
            try:
                limit = self._limit(provider, one.job.item.merchant)
            except DeliveryError as error:
                self._note(error, provider, one, attempt.now)
            else:
                if await self._may_leave(limit, provider, one, attempt):
                    (answer,) = await _handed_over([(provider, _message(one.job, attempt.now))])
                    self._note(answer, provider, one, attempt.now)
            if one.left is not None:
                return

    async def _may_leave(
        self, limit: Limit | None, provider: Channel, one: _Leaving, attempt: Attempt
    ) -> bool:
        """Wait for the provider's turn, and look at the clock again."""
        turn = await self._turn(limit, one, attempt)
        if one.left is not None:  # taken over
            return False
        now = attempt.now
        if turn is not None and not turn.given:
            one.left = _not_yet(one, now, turn, provider)
        elif late := _over(attempt) or _past(one.job.item, now):
            one.left = _left(one, now, MessageStatus.WAITING, late)
        return one.left is None

    def _note(self, answer: Receipt | DeliveryError, provider: Channel, one: _Leaving, now: datetime) -> None:
        """What a provider's answer makes of a message; nothing yet where the next provider takes over."""
        if not isinstance(answer, DeliveryError):
            one.left = _sent(one, now, answer, provider)
            return
        _blot(answer, one.job)
        last = provider is one.providers[-1]
        if last or answer.permanent or answer.doubtful or one.claim.doubtful:
            one.left = _failed(one, now, answer, provider.provider)
        else:
            _log.warning("%s is down, the next provider takes over: %s", provider.provider, answer)

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
        return "the attempt was too slow to send in its time"
    return "it was told to leave off before this could leave" if attempt.stopped() else ""


def _put_off(job: Job, why: str, now: datetime) -> Closing:
    return Closing(job.item.delivery, job.item.channel, MessageStatus.DEFERRED, why, now)


def _past(item: Item, now: datetime) -> str:
    """Why a message may not leave at this moment, or an empty string."""
    return "its last moment passed before it could leave" if now > item.delivery.notice.not_after else ""


async def _handed_over(sends: Sequence[tuple[Channel, Message]]) -> list[Receipt | DeliveryError]:
    """Give messages to their providers side by side, within one limit of time; each with its answer or error.

    One limit for all: one for each would cost more than the rest of a hand-over.
    """
    errors = [_cannot(provider, message) for provider, message in sends]
    tasks = {
        number: asyncio.create_task(provider.send(message))
        for number, (provider, message) in enumerate(sends)
        if errors[number] is None
    }
    if tasks:
        try:
            _, late = await asyncio.wait(tasks.values(), timeout=SEND_LIMIT.total_seconds())
        finally:
            for task in tasks.values():
                task.cancel()
        if late:
            await asyncio.wait(late)
    return [
        _answer_of(tasks[number], sends[number][0]) if error is None else error
        for number, error in enumerate(errors)
    ]


def _cannot(provider: Channel, message: Message) -> DeliveryError | None:
    hindrance = can_carry(provider.abilities, message)
    return DeliveryError(hindrance, permanent=True, code="cannot_carry") if hindrance else None


def _answer_of(task: asyncio.Task[Receipt], provider: Channel) -> Receipt | DeliveryError:
    """What came of a hand-over that has ended. Whatever a channel may not raise: it may have sent."""
    if task.cancelled():
        return DeliveryError("the provider did not answer in time", doubtful=True)
    error = task.exception()
    if error is None and isinstance(receipt := task.result(), Receipt):
        return receipt
    if isinstance(error, DeliveryError):
        return error
    if error is not None and not isinstance(error, Exception):
        raise error
    _log.error("%s raised or answered what no channel may", provider.provider, exc_info=error)
    reason = f"{type(error).__name__} in the channel {provider.provider}"
    return DeliveryError(reason, doubtful=True, code="unforeseen")


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
    )


def _sent(one: _Leaving, now: datetime, receipt: Receipt, provider: Channel) -> Left:
    asked = bool(receipt.provider_id) and provider.abilities.receipts and isinstance(provider, Asking)
    return _left(
        one,
        now,
        MessageStatus.SENT,
        one.job.rendered.fallback,
        receipt.provider,
        provider_id=receipt.provider_id,
        ask_at=real_time() + FIRST_ASK if asked else None,
    )


def _not_yet(one: _Leaving, now: datetime, turn: Turn, provider: Channel) -> Left:
    """Nothing has left: its turn comes later than this attempt may wait."""
    reason = f"{provider.provider} takes only so many messages a second"
    wait = max(turn.at - real_time(), timedelta(0))
    return _left(one, now, MessageStatus.WAITING, reason, provider.provider, wait=wait)


def _failed(one: _Leaving, now: datetime, error: DeliveryError, provider: str) -> Left:
    """What an error makes of the message: another attempt, unless it can never go."""
    claim, reason = one.claim, str(error)
    if not error.permanent:
        left = _left(one, now, MessageStatus.WAITING, reason, provider, wait=error.retry_after)
        return replace(left, doubtful=claim.doubtful or error.doubtful)
    return _left(
        one,
        now,
        MessageStatus.FAILED,
        reason,
        provider,
        refund=claim.paid and not one.doubtful,
        dead_address=reason if error.dead_address else "",
    )


def _left(
    one: _Leaving, now: datetime, status: MessageStatus, reason: str, provider: str = "", **more: Any
) -> Left:
    item, claim = one.job.item, one.claim
    return Left(
        claim,
        item.merchant.id,
        status,
        now,
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
    return ChannelOutcome(channel, Status(left.status), left.now, left.reason, left.provider, left.doubtful)
