"""The activities that nobody waits for: asking what became of messages, telling merchants of shortages."""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.alerts import alerts_done, pending_alerts
from activities.attempt import Answer, Item, this_attempt
from activities.database import reading, writing
from activities.merchants import Merchants, UnknownMerchantError
from activities.pipeline import Pipeline
from activities.rates import real_time
from activities.receipts import PAGE, Polled, Receipts
from models.agenda import ChannelOutcome
from models.credit_content import PROMPT, Alert, alert_delivery

ENOUGH = timedelta(seconds=40)
"""After so long no further page is asked about: the next minute goes on."""
MANY = 500

_log = logging.getLogger(__name__)


class Upkeep:
    """The activities of upkeep, with what they need."""

    def __init__(
        self, engine: AsyncEngine, merchants: Merchants, pipeline: Pipeline, receipts: Receipts
    ) -> None:
        self._engine = engine
        self._merchants = merchants
        self._pipeline = pipeline
        self._receipts = receipts

    @activity.defn
    async def poll_receipts(self) -> Polled:
        """Ask providers what became of messages, page after page while there is time. Safe to run again."""
        loop = asyncio.get_running_loop()
        end, total = loop.time() + ENOUGH.total_seconds(), Polled()
        while True:
            page = await self._receipts.poll(real_time())
            total = Polled(total.asked + page.asked, total.settled + page.settled, total.failed + page.failed)
            if page.asked < PAGE or loop.time() > end:
                return total

    @activity.defn
    async def send_alerts(self) -> int:
        """Send what is to be told to merchants; answers how many of it are settled. [WACA-29b]

        An alert is done once the message log has settled it, so that one is told however often this runs,
        and never twice. What could not go yet is taken again by the next run.
        """
        async with reading(self._engine) as connection:
            pending = await pending_alerts(connection, MANY)
        items: list[tuple[Alert, Item]] = []
        done = []
        for alert in pending:
            try:
                merchant = await self._merchants.get(alert.merchant_id)
            except UnknownMerchantError as error:
                _log.warning("an alert has nobody to go to: %s", error)
                done += [alert.id] if alert.at + PROMPT < real_time() else []
                continue
            delivery = alert_delivery(alert, merchant)
            items += [(alert, Item(delivery, channel, merchant)) for channel in delivery.notice.channels]
        answers = await self._pipeline.send([item for _, item in items], this_attempt())
        left = {alert.id for (alert, _), came in zip(items, answers, strict=True) if not _settled(came)}
        done += [alert.id for alert, _ in items if alert.id not in left]
        if done:
            async with writing(self._engine) as connection:
                await alerts_done(connection, done, real_time())
        return len(set(done))


def _settled(answers: list[Answer]) -> bool:
    return all(isinstance(answer, ChannelOutcome) for answer in answers)
