"""One of several live processes that send the same: `python -m tests.activities.claim_racer DATABASE NAME`.

Prints the key of every message that it hands over, and then `settled` with how many it knows the outcome of.
"""

import asyncio
import random
import sys
from typing import cast

import httpx

from activities.attempt import Later
from activities.database import open_database
from activities.handing_over import HandingOver
from activities.message_log import MessageLog
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.rendering import Renderer
from activities.standing import Standings
from channels.base import Abilities, Message, Receipt
from channels.registry import Channels
from tests.activities.test_delivery_doubts import Clock, free
from tests.faults.campaign_items import PROVIDER, declare

MESSAGES = 120


class Telling:
    """A provider that says what it was given, and takes its time."""

    provider = PROVIDER.value
    abilities = Abilities()

    async def send(self, message: Message) -> Receipt:
        print(message.key, flush=True)
        await asyncio.sleep(random.uniform(0, 0.05))
        return Receipt(self.provider, message.key)

    async def close(self) -> None:
        """Nothing stays open."""


async def main(url: str, name: str) -> None:
    """Go at all of them until the outcome of each is known, wherever it was sent."""
    declare()
    engine = open_database(url)
    log = MessageLog(engine)
    channels = Channels({}, cast(httpx.AsyncClient, None), extra={PROVIDER.value: Telling()})
    sending = Pipeline(log, Standings(engine), Renderer(), HandingOver(log, channels, Rates(engine)))
    page = [free(number) for number in range(MESSAGES)]
    random.shuffle(page)
    for attempt in range(1, 500):
        answers = await sending.send(page, Clock().attempt(f"{name}/{attempt}"))
        page = [one for one, came in zip(page, answers, strict=True) if isinstance(came[-1], Later)]
        if not page:
            break
        await asyncio.sleep(0.01)
    await engine.dispose()
    print("settled", MESSAGES - len(page), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
