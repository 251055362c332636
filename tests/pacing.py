"""A process that hands messages over at the pace of their provider, for tests with two of them.

`python -m tests.pacing URL WHO FIRST LAST FILE`. What the provider took is written down with the moment, by
the clock that all processes share.
"""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.attempt import Attempt, Item, Later
from activities.database import open_database
from activities.handing_over import HandingOver
from activities.message_log import MessageLog
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.rendering import Rendered
from activities.standing import Standings
from channels.base import Abilities, Message, Receipt
from channels.registry import Channels
from models.agenda import Delivery, Notice
from models.merchant import SmsProvider, SmsSettings
from models.notices import Kind
from models.people import Person, Role
from tests.world import MERCHANT

PER_SECOND = 20.0
PACED = replace(MERCHANT, sms=SmsSettings(SmsProvider.SMPP))


class Counting:
    """A provider that states a limit, and writes down when each message came."""

    provider = "smpp"

    def __init__(self, file: Path, per_second: float | None = PER_SECOND) -> None:
        self.abilities = Abilities(per_second=per_second)
        self._file = file

    async def send(self, message: Message) -> Receipt:
        with self._file.open("a") as file:
            file.write(f"{datetime.now(UTC).timestamp():.6f} {message.key}\n")
        return Receipt(self.provider, message.key)

    async def close(self) -> None:
        """Nothing stays open."""


class Plain:
    """Every message in the same words."""

    def render(self, *_: Any) -> Rendered:
        return Rendered("", "Your visit is tomorrow.", "", (), "en", 1)


def paced_item(key: str) -> Item:
    """An SMS of its own to Ada."""
    now = datetime.now(UTC)
    ada = Person("Ada", phone="+886912345678", id="ada")
    notice = Notice(key, Kind.ORDER_PLACED, Role.BOOKER, ada, ("sms",), now, now + timedelta(hours=1))
    return Item(Delivery(notice, None, PACED.id, "booking:lumi:b1"), "sms", PACED)


def pipeline_to(engine: AsyncEngine, channel: Any, http: httpx.AsyncClient) -> Pipeline:
    """The whole pipeline, with that provider."""
    log = MessageLog(engine)
    channels = Channels({}, http, extra={channel.provider: channel})
    handing_over = HandingOver(log, channels, Rates(engine))
    renderer: Any = Plain()
    return Pipeline(log, Standings(engine), renderer, handing_over)


def new_attempt(token: str) -> Attempt:
    """An attempt that begins now."""
    loop = asyncio.get_running_loop()
    origin = loop.time()
    return Attempt(token, datetime.now(UTC), lambda: timedelta(seconds=loop.time() - origin))


async def hand_over(url: str, who: str, first: int, last: int, file: Path) -> None:
    """Half of them as one page, the others one by one; again and again until all have gone."""
    engine, channel = open_database(url), Counting(file)
    left = [paced_item(f"n{number}") for number in range(first, last)]
    async with httpx.AsyncClient() as http:
        pipeline, tries = pipeline_to(engine, channel, http), 0
        while left:
            tries += 1
            half = len(left) // 2
            pages = [left[:half], *([item] for item in left[half:])]
            came = await asyncio.gather(
                *(
                    pipeline.send(page, new_attempt(f"{who}/{tries}/{n}"))
                    for n, page in enumerate(pages)
                    if page
                )
            )
            answers = [answer for page in came for answer in page]
            left = [item for item, answer in zip(left, answers, strict=True) if isinstance(answer[-1], Later)]
    await channel.close()
    await engine.dispose()


if __name__ == "__main__":
    _, database, name, begin, end, path = sys.argv
    asyncio.run(hand_over(database, name, int(begin), int(end), Path(path)))
