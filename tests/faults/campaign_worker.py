"""A worker of the fault campaign: a process of its own that takes orders over a socket until it is killed.

`python -m tests.faults.campaign_worker` imports everything once. Then each line on its input, the port of
the campaign, is one worker more, forked off: starting Python anew for each of them would take minutes.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import httpx

from activities.attempt import Attempt, Later
from activities.database import open_database
from activities.handing_over import HandingOver
from activities.message_log import MessageLog
from activities.message_rows import Asked, Claim, Left
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.rendering import Renderer
from activities.standing import Standings
from channels.base import Abilities, DeliveryError, Message, Receipt
from channels.http import http_failure
from channels.registry import Channels
from tests.faults.campaign_items import NOON, PROVIDER, SHOP, declare, item

PATIENCE = 1.5
"""So many seconds the channel waits for the provider's answer."""
GAVE_UP = b"gave up"
"""What it says before it leaves without one."""


class Point(StrEnum):
    """Where a worker is killed: by itself at the first three, by the provider or the clock at the others."""

    CLAIMED = "after the claim"
    ANSWERED = "before settling"
    SETTLED = "after settling"
    ASKED = "provider asked"
    TAKEN = "provider has taken it"
    TOLD = "provider has answered"
    ANY = "at any time"


@dataclass(frozen=True)
class Order:
    """Messages to send by one attempt, and where that attempt dies, if at one of its own points.

    `skip`: it survives that point so many times.
    """

    messages: tuple[int, ...]
    token: str
    point: str = ""
    skip: int = 0


class MortalLog(MessageLog):
    """The message log, at whose doors a worker is killed."""

    order = Order((), "")

    async def claim(self, asked: Sequence[Asked], left: Sequence[Left] = ()) -> list[Claim]:
        claims = await super().claim(asked, left)
        self._reach(Point.CLAIMED)
        return claims

    async def leave(self, left: Sequence[Left]) -> None:
        self._reach(Point.ANSWERED)
        await super().leave(left)
        self._reach(Point.SETTLED)

    def take(self, order: Order) -> None:
        self.order = order
        self._passes = itertools.count()

    def _reach(self, point: Point) -> None:
        if point == self.order.point and next(self._passes) == self.order.skip:
            os.kill(os.getpid(), signal.SIGKILL)


class Loopback:
    """The channel to the campaign's provider: one line there, one line back."""

    provider = PROVIDER.value

    def __init__(self, port: int, *, idempotent: bool) -> None:
        self.abilities = Abilities(idempotent=idempotent)
        self._port = port

    async def send(self, message: Message) -> Receipt:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError as error:
            raise DeliveryError(f"unreachable: {error}", code="unreachable") from error
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(json.dumps({"key": message.key, "worker": os.getpid()}).encode() + b"\n")
                answer = await reader.readline()
        except OSError as error:
            writer.write(GAVE_UP)
            raise DeliveryError(f"no answer: {error!r}", doubtful=True, code="no_answer") from error
        finally:
            writer.close()
        if not answer:
            raise DeliveryError("the connection ended without an answer", doubtful=True, code="no_answer")
        response = httpx.Response(json.loads(answer)["status"])
        if not response.is_success:
            raise http_failure(response, secrets=())
        return Receipt(self.provider, message.key[:100])

    async def close(self) -> None:
        """Nothing stays open."""


async def work(port: int, renderer: Renderer) -> None:
    """Take orders, until killed or sent home."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await _tell(writer, {"worker": os.getpid()})
    settings = json.loads(await reader.readline())
    engine = open_database(settings["database"])
    channel = Loopback(settings["provider"], idempotent=settings["idempotent"])
    async with httpx.AsyncClient() as http:
        log = MortalLog(engine)
        channels = Channels({}, http, extra={channel.provider: channel})
        handing_over = HandingOver(log, channels, Rates(engine))
        pipeline = Pipeline(log, Standings(engine), renderer, handing_over)
        while line := await reader.readline():
            given = json.loads(line)
            order = Order(**{**given, "messages": tuple(given["messages"])})
            log.take(order)
            await _tell(writer, await _done(pipeline, order))


async def _done(pipeline: Pipeline, order: Order) -> Mapping[str, Any]:
    loop = asyncio.get_running_loop()
    origin = loop.time()
    # All begin at the same moment of their clock, and each when the one before is dead: it is over by then.
    over = timedelta(minutes=-1)
    attempt = Attempt(order.token, NOON, lambda: timedelta(seconds=loop.time() - origin), alive=over)
    try:
        answers = await pipeline.send([item(number) for number in order.messages], attempt)
    except Exception:
        return {"error": traceback.format_exc()}
    return {"settled": not any(isinstance(links[-1], Later) for links in answers)}


async def _tell(writer: asyncio.StreamWriter, word: Mapping[str, Any]) -> None:
    writer.write(json.dumps(word).encode() + b"\n")
    await writer.drain()


def main() -> None:
    """Fork a worker for each line."""
    declare()
    renderer = Renderer()
    for number in range(4):
        one = item(number)
        renderer.render(one.delivery.notice, one.delivery.content, SHOP, one.channel)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                asyncio.run(work(int(line), renderer))
            finally:
                os._exit(0)


if __name__ == "__main__":
    main()
