"""Sending one notice: gate, render, claim, hand over, settle - by each of its channels, each once."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.merchants import Merchants, UnknownMerchantError
from activities.message_log import Claim, MessageLog
from activities.rendering import Rendered, Renderer, RenderError
from channels.base import Channel, DeliveryError, Message
from channels.registry import Channels
from models.agenda import ChannelOutcome, CloseOut, Delivery, Status
from models.booking_content import BookingContent
from models.merchant import Merchant
from models.notices import CATALOGUE, NoticeClass
from policies.gate import Proposal, objection

SEND_LIMIT = timedelta(seconds=20)
"""One hand-over at the most."""
LATEST_HAND_OVER = timedelta(seconds=8)
"""An attempt that took longer than this to get so far gives up, lest it overlap with the next one."""

Booked = Delivery[BookingContent]


@dataclass(frozen=True)
class Attempt:
    """One attempt at a delivery: whose it is, its name unlike any other's, and its clock.

    The clock is the lifecycle's: real time, but for a lifecycle that was moved forward.
    """

    delivery: Booked
    merchant: Merchant
    token: str
    started: datetime
    elapsed: Callable[[], timedelta]

    @property
    def now(self) -> datetime:
        return self.started + self.elapsed()


class Deliveries:
    """The activities that send, with what they need."""

    def __init__(self, log: MessageLog, merchants: Merchants, renderer: Renderer, channels: Channels) -> None:
        self._log = log
        self._merchants = merchants
        self._renderer = renderer
        self._channels = channels

    @activity.defn
    async def deliver(self, delivery: Booked) -> list[ChannelOutcome]:
        """Send a notice by all its channels. Safe to run again: what has gone is not sent again.

        While a channel may still succeed this raises, so that Temporal tries again; the channels that are
        settled stay so. What has passed its last moment is recorded as missed.
        """
        try:
            merchant = await self._merchants.get(delivery.merchant_id)
        except UnknownMerchantError as error:
            raise ApplicationError(str(error), type="UnknownMerchant") from None
        attempt = _attempt(delivery, merchant)
        sending = [self._send(attempt, channel) for channel in delivery.notice.channels]
        answers = await asyncio.gather(*sending, return_exceptions=True)
        outcomes = [answer for answer in answers if isinstance(answer, ChannelOutcome)]
        if len(outcomes) == len(answers):
            return outcomes
        raise _another_attempt([a for a in answers if isinstance(a, BaseException)])

    @activity.defn
    async def close_out(self, order: CloseOut[BookingContent]) -> list[ChannelOutcome]:
        """Settle what will not be sent any more; answers what really became of each channel."""
        now = activity.info().started_time
        return [
            await self._log.close(order.delivery, channel, order.status, order.reason, now)
            for channel in order.delivery.notice.channels
        ]

    async def _send(self, attempt: Attempt, channel: str) -> ChannelOutcome:
        """Everything for one channel. Raises DeliveryError while another attempt may succeed."""
        delivery, merchant = attempt.delivery, attempt.merchant
        refused = objection(Proposal(delivery.notice, channel, merchant, attempt.now))
        if refused is not None:
            return await self._log.close(delivery, channel, refused.status, refused.reason, attempt.now)
        provider = self._channels.get(channel, _provider(merchant, channel))
        try:
            rendered = self._renderer.render(delivery.notice, delivery.content, merchant, channel)
        except RenderError as error:
            # A mended template lets the message go: it is tried again until its last moment.
            raise DeliveryError(str(error), code="template") from error
        claim = await self._log.claim(delivery, channel, attempt.token, attempt.now, _said(rendered))
        if claim.outcome is not None:
            return claim.outcome
        claim = replace(claim, doubtful=claim.doubtful and not provider.abilities.idempotent)
        if claim.doubtful and not _twice_is_better_than_none(delivery):
            reason = "an attempt died after it may have sent this, and its class allows no second one"
            uncertain = ChannelOutcome(
                channel, Status.UNCERTAIN, attempt.now, reason, provider.provider, doubtful=True
            )
            return await self._log.settle(claim, uncertain)
        return await self._hand_over(attempt, claim, provider, rendered)

    async def _hand_over(
        self, attempt: Attempt, claim: Claim, provider: Channel, rendered: Rendered
    ) -> ChannelOutcome:
        """Give a claimed message to its provider and write down the answer."""
        if attempt.elapsed() > LATEST_HAND_OVER:
            await self._log.release(claim, "the attempt was too slow", doubtful=claim.doubtful)
            raise DeliveryError("the attempt was too slow to send in its time", code="slow")
        message = _message(attempt, claim.channel, rendered)
        try:
            async with asyncio.timeout(SEND_LIMIT.total_seconds()):
                receipt = await provider.send(message)
        except TimeoutError:
            await self._log.release(claim, "the provider did not answer in time", doubtful=True)
            raise DeliveryError("the provider did not answer in time", doubtful=True) from None
        except DeliveryError as error:
            if not error.permanent:
                await self._log.release(claim, str(error), doubtful=claim.doubtful or error.doubtful)
                raise
            failed = ChannelOutcome(
                claim.channel, Status.FAILED, attempt.now, str(error), provider.provider, claim.doubtful
            )
            return await self._log.settle(claim, failed)
        sent = ChannelOutcome(claim.channel, Status.SENT, attempt.now, "", receipt.provider, claim.doubtful)
        return await self._log.settle(claim, sent, provider_id=receipt.provider_id)


def _attempt(delivery: Booked, merchant: Merchant) -> Attempt:
    info, loop = activity.info(), asyncio.get_running_loop()
    origin = loop.time()
    return Attempt(
        delivery,
        merchant,
        token=f"{info.workflow_run_id}/{info.activity_id}/{info.attempt}",
        started=info.started_time,
        elapsed=lambda: timedelta(seconds=loop.time() - origin),
    )


def _provider(merchant: Merchant, channel: str) -> str:
    """Whom the merchant has chosen for a channel. [WACA-21]"""
    return {"email": merchant.email_provider.value, "sms": merchant.sms.provider.value}.get(channel, "")


def _twice_is_better_than_none(delivery: Booked) -> bool:
    return CATALOGUE[delivery.notice.kind].notice_class <= NoticeClass.REMINDER


def _said(rendered: Rendered) -> dict[str, object]:
    return {
        "locale": rendered.locale,
        "subject": rendered.subject,
        "text": rendered.text,
        "segments": rendered.segments,
    }


def _message(attempt: Attempt, channel: str, rendered: Rendered) -> Message:
    notice, merchant = attempt.delivery.notice, attempt.merchant
    return Message(
        key=notice.key,
        merchant_id=merchant.id,
        to=notice.recipient.address(channel),
        to_name=notice.recipient.name,
        text=rendered.text,
        subject=rendered.subject,
        html=rendered.html,
        sender_name=merchant.name,
        reply_to=merchant.email,
        attachments=rendered.attachments,
        valid_for=notice.not_after - attempt.now,
    )


def _another_attempt(errors: list[BaseException]) -> ApplicationError:
    """What Temporal is told so that it tries again: in words, with the provider's wish for when."""
    for error in errors:
        if not isinstance(error, DeliveryError):
            raise error
    reasons = "; ".join(map(str, errors))
    logging.getLogger(__name__).warning("another attempt follows: %s", reasons)
    waits = [e.retry_after for e in errors if isinstance(e, DeliveryError) and e.retry_after is not None]
    return ApplicationError(
        reasons,
        type="DeliveryError",
        next_retry_delay=max(waits, default=None),
        category=ApplicationErrorCategory.BENIGN,
    )
