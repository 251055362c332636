"""The activities that send: a notice, by all its channels, each once."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.attempt import ALIVE, Item, Later, this_attempt
from activities.member_life import MemberLife
from activities.merchants import Merchants, UnknownMerchantError
from activities.message_log import MessageLog
from activities.message_rows import Closing
from activities.pipeline import Pipeline
from models.agenda import ChannelOutcome, CloseOut, Delivery, Reason
from models.booking_content import BookingContent
from models.member_content import MemberContent
from models.merchant import Merchant
from models.tables.messages import MessageStatus
from policies.routes import next_channel

Content = BookingContent | MemberContent
Told = Delivery[Content]

_log = logging.getLogger(__name__)


class Deliveries:
    """The activities that send, with what they need."""

    def __init__(
        self, log: MessageLog, merchants: Merchants, pipeline: Pipeline, members: MemberLife | None = None
    ) -> None:
        self._log = log
        self._merchants = merchants
        self._pipeline = pipeline
        self._members = members

    @activity.defn
    async def deliver(self, delivery: Told) -> list[ChannelOutcome]:
        """Send a notice by all its channels. Safe to run again: what has gone is not sent again.

        While a channel may still succeed this raises, so that Temporal tries again; the channels that are
        settled stay so. What has passed its last moment is recorded as missed.
        """
        attempt = this_attempt()  # whatever it waits for counts against its time
        try:
            merchant = await self._merchants.get(delivery.merchant_id)
        except UnknownMerchantError as error:
            raise ApplicationError(str(error), type="UnknownMerchant") from None
        fresh = await self._as_known_now(delivery, merchant, attempt.now)
        if fresh is None:
            return await self._close(delivery, MessageStatus.REFUSED, Reason.MEMBER_GONE.sentence)
        items = [Item(fresh, channel, merchant) for channel in fresh.notice.channels]
        answers = [answer for link in await self._pipeline.send(items, attempt) for answer in link]
        later = [answer for answer in answers if isinstance(answer, Later)]
        if later:
            raise _another_attempt(later)
        return [answer for answer in answers if isinstance(answer, ChannelOutcome)]

    @activity.defn
    async def close_out(self, order: CloseOut[Content]) -> list[ChannelOutcome]:
        """Settle what will not be sent any more; answers what really became of each channel."""
        return await self._close(order.delivery, MessageStatus(order.status), order.reason)

    async def _as_known_now(self, delivery: Told, merchant: Merchant, now: datetime) -> Told | None:
        """To a member as it is at the moment of sending; None where it is one no longer. [MAAC-12]"""
        content = delivery.content
        if self._members is None or not isinstance(content, MemberContent):
            return delivery
        fresh = await self._members.fresh(delivery.notice, content, merchant, now)
        return fresh and replace(delivery, notice=fresh[0], content=fresh[1])

    async def _close(self, delivery: Told, status: MessageStatus, reason: str) -> list[ChannelOutcome]:
        """Every channel, and of a route that has gone on each link up to the one that it stands at."""
        now, channels = activity.info().started_time, list(delivery.notice.channels)
        outcomes: list[ChannelOutcome] = []
        while channels:
            closings = [Closing(delivery, channel, status, reason, now) for channel in channels]
            closed = await self._log.close(closings)
            if None in closed:
                raise being_handed_over()
            came = [outcome for outcome in closed if outcome is not None]
            outcomes += came
            following = (next_channel(delivery.notice, outcome) for outcome in came)
            channels = [channel for channel in following if channel is not None]
        return outcomes


def being_handed_over() -> ApplicationError:
    """Nothing is said of a message while an attempt may have it in hand: that is asked again."""
    return ApplicationError(
        "an attempt is handing it over still",
        type="Later",
        next_retry_delay=ALIVE / 2,
        category=ApplicationErrorCategory.BENIGN,
    )


def _another_attempt(later: Sequence[Later]) -> ApplicationError:
    """What Temporal is told so that it tries again: in words, and when."""
    reasons = "; ".join(one.reason for one in later)
    _log.warning("another attempt follows: %s", reasons)
    waits = [one.wait for one in later if one.wait is not None]
    # The soonest: a channel that waits for the morning holds up none that can go before.
    soonest = min(waits) if len(waits) == len(later) else None
    return ApplicationError(
        reasons, type="Later", next_retry_delay=soonest, category=ApplicationErrorCategory.BENIGN
    )
