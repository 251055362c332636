"""The fault campaign: a provider that counts what it takes, workers that are killed, and what came of it all.

Everything random comes from one seed; how the processes interleave does not.
"""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from math import ceil
from types import TracebackType
from typing import Any, Self

from activities.pipeline import GROUP
from tests.faults.campaign_items import key_of
from tests.faults.campaign_worker import GAVE_UP, PATIENCE, Order, Point
from tests.processes import ROOT

SIDE_BY_SIDE = 2
DEADLY = 0.6
"""So many of the orders are to end in a death, while there are deaths left."""
STUCK = 60.0
"""So many seconds a worker may take over an order before the campaign itself is at fault."""


class Fault(StrEnum):
    """How the provider treats a request. Only CUT, SILENT and FELL have taken the message as well."""

    NONE = "none"
    SLOW = "slow"
    BUSY = "503"
    RESET = "reset before taking"
    CUT = "reset after taking"
    SILENT = "time-out after taking"
    FELL = "500 after taking"


ODDS = {
    Fault.NONE: 76, Fault.SLOW: 8, Fault.BUSY: 7, Fault.RESET: 3, Fault.CUT: 3, Fault.SILENT: 1, Fault.FELL: 2
}  # fmt: skip
IN_THE_DARK = (Fault.RESET, Fault.CUT, Fault.SILENT, Fault.FELL)
"""After these the sender cannot know whether the message was taken."""


@dataclass
class Death:
    """Where a worker dies, after so many times that it got there alive."""

    point: Point
    skip: int = 0
    after: float = 0.0


class Provider:
    """A provider on the loopback interface. `taken` is how often it took each key.

    With `idempotent` it drops a key that it has. `dark` are the keys of which it left a sender in the dark,
    by its faults or because this machine was too slow.
    """

    def __init__(self, chance: random.Random, *, idempotent: bool) -> None:
        self.idempotent = idempotent
        self.taken: Counter[str] = Counter()
        self.dropped = 0
        self.faults: Counter[Fault] = Counter()
        self.dark: set[str] = set()
        self.deaths: dict[int, Death] = {}
        self.kill: Callable[[int], None] = lambda _: None
        self._chance = chance
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.quiet()

    async def quiet(self) -> None:
        """Wait until nothing is being served: what a dead worker asked for may still be taken."""
        while self._serving:
            await asyncio.wait(set(self._serving))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with suppress(OSError):
                line = await reader.readline()
                if line.endswith(b"\n"):
                    request = json.loads(line)
                    await self._serve(request["key"], request["worker"], reader, writer)
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def _serve(
        self, key: str, worker: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._dies(worker, Point.ASKED):
            return
        fault = self._chance.choices(list(ODDS), list(ODDS.values()))[0]
        self.faults[fault] += 1
        if fault in IN_THE_DARK:
            self.dark.add(key)
        await asyncio.sleep(self._chance.uniform(0.1, 0.4) if fault is Fault.SLOW else 0.005)
        if fault is Fault.RESET:
            return
        if fault is Fault.BUSY:
            await self._answer(503, key, reader, writer)
            return
        self._take(key)
        if self._dies(worker, Point.TAKEN) or fault is Fault.CUT:
            return
        if fault is Fault.SILENT:
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), PATIENCE + 1)
            return
        status = 500 if fault is Fault.FELL else 200
        await self._answer(status, key, reader, writer, lambda: self._dies(worker, Point.TOLD))

    async def _answer(
        self,
        status: int,
        key: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        then: Callable[[], object] = lambda: None,
    ) -> None:
        await _say(writer, {"status": status})
        then()
        if await reader.read() == GAVE_UP:
            self.dark.add(key)

    def _take(self, key: str) -> None:
        if self.idempotent and self.taken[key]:
            self.dropped += 1
        else:
            self.taken[key] += 1

    def _dies(self, worker: int, point: Point) -> bool:
        death = self.deaths.get(worker)
        if death is None or death.point is not point:
            return False
        death.skip -= 1
        if death.skip >= 0:
            return False
        del self.deaths[worker]
        self.kill(worker)
        return True


@dataclass
class Worker:
    """A worker process, as long as its connection lasts."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    orders: int = 0

    async def answer(self, order: Order) -> Mapping[str, Any] | None:
        """What it says to an order; None when it is dead."""
        self.orders += 1
        try:
            await _say(self.writer, asdict(order))
            line = await asyncio.wait_for(self.reader.readline(), STUCK)
        except ConnectionError:
            return None
        return json.loads(line) if line.endswith(b"\n") else None


@dataclass(frozen=True)
class Plan:
    """`pages` of `page` messages and so many `singles`, sent while workers die at least `kills` times."""

    seed: int
    idempotent: bool
    pages: int
    singles: int
    kills: int
    page: int = 70

    @property
    def messages(self) -> int:
        return self.pages * self.page + self.singles

    @property
    def units(self) -> list[tuple[int, ...]]:
        """The work list."""
        paged = self.pages * self.page
        pages = [tuple(range(start, start + self.page)) for start in range(0, paged, self.page)]
        return pages + [(number,) for number in range(paged, self.messages)]

    def single(self, key: str) -> bool:
        """Whether that message goes alone."""
        return key in {key_of(number) for number in range(self.pages * self.page, self.messages)}


@dataclass
class Toll:
    """What the campaign cost: deaths by their point, those in the middle of a single message, attempts."""

    deaths: Counter[Point] = field(default_factory=Counter)
    of_singles: int = 0
    attempts: int = 0
    exposed: set[str] = field(default_factory=set)
    """The keys of every order that ended in a death."""


class Campaign:
    """Gives the work out until all of it is settled and enough workers are dead."""

    def __init__(self, plan: Plan, provider: Provider, chance: random.Random, nursery: "Nursery") -> None:
        self.plan = plan
        self.toll = Toll()
        self._provider = provider
        self._chance = chance
        self._nursery = nursery
        self._alive: dict[int, Worker] = {}
        self._killed: set[int] = set()
        self._waiting = plan.units
        self._settled: list[tuple[int, ...]] = []
        self._begun: set[tuple[int, ...]] = set()
        provider.kill = self._kill

    async def run(self, database_url: str) -> Toll:
        """From the first message to the last."""
        word = {
            "database": database_url,
            "provider": self._provider.port,
            "idempotent": self._provider.idempotent,
        }
        async with asyncio.TaskGroup() as group:
            for _ in range(SIDE_BY_SIDE):
                group.create_task(self._foreman(word))
        await self._provider.quiet()
        return self.toll

    async def _foreman(self, word: Mapping[str, Any]) -> None:
        worker = await self._hire(word)
        while (unit := self._next()) is not None:
            death = self._death(unit)
            answer = await self._order(worker, unit, death)
            if answer and "error" in answer:
                raise AssertionError(answer["error"])
            if answer is None or worker.pid in self._killed:
                self._bury(worker, unit, death)
                worker = await self._hire(word)
            (self._settled if answer and answer["settled"] else self._waiting).append(unit)
        del self._alive[worker.pid]
        worker.writer.close()

    async def _hire(self, word: Mapping[str, Any]) -> Worker:
        worker = await self._nursery.worker()
        self._alive[worker.pid] = worker
        await _say(worker.writer, word)
        return worker

    def _next(self) -> tuple[int, ...] | None:
        """What is not settled yet; when all is and there are deaths left, what is settled once more."""
        units = self._waiting
        if not units and self.toll.deaths.total() < self.plan.kills:
            units = self._settled
        return units.pop(self._chance.randrange(len(units))) if units else None

    def _death(self, unit: tuple[int, ...]) -> Death | None:
        if self.toll.deaths.total() >= self.plan.kills:
            return None
        if len(unit) > GROUP and unit not in self._begun:
            # Only a page that is as long as that still is claimed group by group: die in the midst of it.
            self._begun.add(unit)
            point = (Point.TAKEN, Point.CLAIMED, Point.TOLD)[len(self._begun) % 3]
            passes = ceil(len(unit) / GROUP) if point is Point.CLAIMED else len(unit)
            return Death(point, self._chance.randrange(passes))
        if self._chance.random() > DEADLY:
            return None
        point = self._chance.choice(list(Point))
        most = len(unit) if point in (Point.ASKED, Point.TAKEN, Point.TOLD) else min(len(unit), 2)
        return Death(point, self._chance.randrange(most), self._chance.uniform(0.0, 0.2))

    async def _order(
        self, worker: Worker, unit: tuple[int, ...], death: Death | None
    ) -> Mapping[str, Any] | None:
        self.toll.attempts += 1
        order = Order(unit, f"campaign/{worker.pid}/{self.toll.attempts}")
        timer = None
        if death is not None:
            order = Order(unit, order.token, death.point, death.skip)
            self._provider.deaths[worker.pid] = death
            if death.point is Point.ANY:
                timer = asyncio.get_running_loop().call_later(death.after, self._kill, worker.pid)
        try:
            return await worker.answer(order)
        finally:
            self._provider.deaths.pop(worker.pid, None)
            if timer is not None:
                timer.cancel()

    def _kill(self, pid: int) -> None:
        if pid in self._alive:
            self._killed.add(pid)
            os.kill(pid, signal.SIGKILL)

    def _bury(self, worker: Worker, unit: Sequence[int], death: Death | None) -> None:
        if death is None:
            raise AssertionError(f"a worker died by itself over {unit}")
        del self._alive[worker.pid]
        self._killed.discard(worker.pid)
        worker.writer.close()
        self.toll.deaths[death.point] += 1
        self.toll.of_singles += len(unit) == 1
        self.toll.exposed |= set(map(key_of, unit))


class Nursery:
    """Where workers come from: a process that forks them."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._born: asyncio.Queue[Worker] = asyncio.Queue()
        self._port = 0

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.campaign_worker", stdin=asyncio.subprocess.PIPE, cwd=ROOT
        )
        nursery = cls(child)
        server = await asyncio.start_server(nursery._met, "127.0.0.1", 0)
        nursery._port = server.sockets[0].getsockname()[1]
        try:
            yield nursery
        finally:
            server.close()
            assert child.stdin is not None
            child.stdin.close()
            await child.wait()

    async def worker(self) -> Worker:
        """A new one."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{self._port}\n".encode())
        await self._child.stdin.drain()
        return await asyncio.wait_for(self._born.get(), STUCK)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = json.loads(await reader.readline())
        self._born.put_nowait(Worker(hello["worker"], reader, writer))


async def _say(writer: asyncio.StreamWriter, word: Mapping[str, Any]) -> None:
    writer.write(json.dumps(word).encode() + b"\n")
    await writer.drain()
