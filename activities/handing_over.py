"""The moment that cannot be taken back: a claimed message goes to its provider, and the answer is kept."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from activities.attempt import Attempt, Item, Later
from activities.message_log import MessageLog
from activities.message_rows import Claim, Left
from activities.rendering import Rendered
from channels.base import Channel, DeliveryError, Message, Receipt, can_carry
from channels.registry import Channels
from models.agenda import ChannelOutcome, Status
from models.channels import EMAIL, SMS
from models.merchant import Merchant, SmsProvider
from models.notices import CATALOGUE, NoticeClass
from models.tables.messages import MessageStatus

SEND_LIMIT = timedelta(seconds=20)
"""One hand-over at the most."""
LATEST = timedelta(seconds=8)
"""An attempt that took longer than this to get so far gives up, lest it overlap with the next one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A claimed message, ready to leave."""

    item: Item
    claim: Claim
    rendered: Rendered


class HandingOver:
    """Gives messages to providers, many at a time, and writes down what came of all of them at once."""

    def __init__(self, log: MessageLog, channels: Channels) -> None:
        self._log = log
        self._channels = channels

    async def send(self, jobs: Sequence[Job], attempt: Attempt) -> list[ChannelOutcome | Later]:
        """Hand each message over, side by side; the answers are in their order, and in the log."""
        left = await asyncio.gather(*(self._one(job, attempt) for job in jobs))
        await self._log.leave(left)
        return [_answer(one, job) for one, job in zip(left, jobs, strict=True)]

    async def _one(self, job: Job, attempt: Attempt) -> Left:
        """What becomes of one message. Never raises but for what nobody foresaw."""
        try:
            providers = _providers(job.item, self._channels)
        except DeliveryError as error:
            return _failed(job, attempt, error, "")
        doubtful = job.claim.doubtful and not providers[0].abilities.idempotent
        job = replace(job, claim=replace(job.claim, doubtful=doubtful))
        if doubtful and _once_at_most(job.item, providers[0]):
            reason = "an attempt died after it may have sent this, and it may not go twice"
            return _left(job, attempt, MessageStatus.UNCERTAIN, reason, providers[0].provider)
        if attempt.elapsed() > LATEST:
            return _left(job, attempt, MessageStatus.WAITING, "the attempt was too slow to send in its time")
        return await self._by_one_of(job, attempt, providers)

    async def _by_one_of(self, job: Job, attempt: Attempt, providers: Sequence[Channel]) -> Left:
        """By the merchant's provider; by the second one where the first is down and surely did not send."""
        message = _message(job, attempt)
        for number, provider in enumerate(providers):
            try:
                receipt = await _hand_over(provider, message)
            except DeliveryError as error:
                last = number == len(providers) - 1
                if last or error.permanent or error.doubtful or job.claim.doubtful:
                    return _failed(job, attempt, error, provider.provider)
                _log.warning("%s is down, the next provider takes over: %s", provider.provider, error)
            else:
                return _sent(job, attempt, receipt)
        raise AssertionError("there is at least one provider")


async def _hand_over(provider: Channel, message: Message) -> Receipt:
    hindrance = can_carry(provider.abilities, message)
    if hindrance is not None:
        raise DeliveryError(hindrance, permanent=True, code="cannot_carry")
    try:
        async with asyncio.timeout(SEND_LIMIT.total_seconds()):
            return await provider.send(message)
    except TimeoutError:
        raise DeliveryError("the provider did not answer in time", doubtful=True) from None


def _providers(item: Item, channels: Channels) -> list[Channel]:
    """Whom the merchant has chosen for a channel, the first choice first. [WACA-21]"""
    return [channels.get(item.channel, name) for name in provider_names(item.merchant, item.channel)]


def provider_names(merchant: Merchant, channel: str) -> tuple[str, ...]:
    """The names of the merchant's providers for a channel."""
    if channel == EMAIL:
        return (merchant.email_provider.value,)
    if channel == SMS:
        names = (merchant.sms.provider, merchant.sms.fallback)
        return tuple(dict.fromkeys(name.value for name in names if name is not SmsProvider.OFF)) or ("off",)
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
        attachments=rendered.attachments,
        valid_for=notice.not_after - attempt.now,
    )


def _sent(job: Job, attempt: Attempt, receipt: Receipt) -> Left:
    left = _left(job, attempt, MessageStatus.SENT, job.rendered.fallback, receipt.provider)
    return replace(left, provider_id=receipt.provider_id)


def _failed(job: Job, attempt: Attempt, error: DeliveryError, provider: str) -> Left:
    """What an error makes of the message: another attempt, unless it can never go."""
    if not error.permanent:
        left = _left(job, attempt, MessageStatus.WAITING, str(error), provider)
        return replace(left, doubtful=job.claim.doubtful or error.doubtful, wait=error.retry_after)
    left = _left(job, attempt, MessageStatus.FAILED, str(error), provider)
    return replace(
        left,
        refund=job.claim.paid and not job.claim.doubtful,
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
        doubtful=job.claim.doubtful,
        address=address,
    )


def _answer(left: Left, job: Job) -> ChannelOutcome | Later:
    channel = job.item.channel
    if not left.settled:
        return Later(channel, left.reason, left.wait)
    return ChannelOutcome(channel, Status(left.status), left.now, left.reason, left.provider, left.doubtful)
