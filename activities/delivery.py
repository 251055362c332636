"""The activities that send: a notice, by all its channels, each once."""

import logging
from collections.abc import Sequence

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.attempt import Item, Later, this_attempt
from activities.merchants import Merchants, UnknownMerchantError
from activities.message_log import MessageLog
from activities.message_rows import Closing
from activities.pipeline import Pipeline
from models.agenda import ChannelOutcome, CloseOut, Delivery
from models.booking_content import BookingContent
from models.tables.messages import MessageStatus

Booked = Delivery[BookingContent]

_log = logging.getLogger(__name__)


class Deliveries:
    """The activities that send, with what they need."""

    def __init__(self, log: MessageLog, merchants: Merchants, pipeline: Pipeline) -> None:
        self._log = log
        self._merchants = merchants
        self._pipeline = pipeline

    @activity.defn
    async def deliver(self, delivery: Booked) -> list[ChannelOutcome]:
        """Send a notice by all its channels. Safe to run again: what has gone is not sent again.

        While a channel may still succeed this raises, so that Temporal tries again; the channels that are
        settled stay so. What has passed its last moment is recorded as missed.
        """
        attempt = this_attempt()  # whatever it waits for counts against its time
        try:
            merchant = await self._merchants.get(delivery.merchant_id)
        except UnknownMerchantError as error:
            raise ApplicationError(str(error), type="UnknownMerchant") from None
        items = [Item(delivery, channel, merchant) for channel in delivery.notice.channels]
        answers = [answer for link in await self._pipeline.send(items, attempt) for answer in link]
        later = [answer for answer in answers if isinstance(answer, Later)]
        if later:
            raise _another_attempt(later)
        return [answer for answer in answers if isinstance(answer, ChannelOutcome)]

    @activity.defn
    async def close_out(self, order: CloseOut[BookingContent]) -> list[ChannelOutcome]:
        """Settle what will not be sent any more; answers what really became of each channel."""
        now, status = activity.info().started_time, MessageStatus(order.status)
        channels = order.delivery.notice.channels
        closings = [Closing(order.delivery, channel, status, order.reason, now) for channel in channels]
        return [outcome for outcome in await self._log.close(closings) if outcome is not None]


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
