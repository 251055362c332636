"""A wave whose worker is killed at every page, by SIGKILL: nobody is lost, nobody is told twice."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.message_log import MessageLog
from tests.processes import ROOT
from tests.waves import AWAKE, HAND, begin, enrol, members, wave
from tests.world import World, a_world
from workflows.wave import WaveWorkflow

PAGE, PAGES = HAND + 30, 3


@dataclass
class Blow:
    """When the worker that hands over a page dies: at the page's message of that number, taken or not."""

    message: int
    taken: bool


@dataclass
class DeadlyProvider:
    """Counts what it takes, and kills the worker that brings it, once for each page."""

    blows: dict[int, Blow]
    died: Callable[[], None] = lambda: None
    taken: Counter[int] = field(default_factory=Counter)
    dead: set[int] = field(default_factory=set)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                if self._take(json.loads(line)):
                    writer.write(json.dumps({"status": 200}).encode() + b"\n")
                    await writer.drain()
        writer.close()

    def _take(self, told: dict[str, str]) -> bool:
        number, worker = int(told["key"].rpartition("/m")[2]), int(told["worker"])
        page = number // PAGE
        blow = self.blows.get(page)
        strikes = blow is not None and number % PAGE == blow.message and worker not in self.dead
        if blow is None or not strikes or blow.taken:
            self.taken[number] += 1
        if strikes:
            del self.blows[page]
            self.dead.add(worker)
            os.kill(worker, signal.SIGKILL)
            self.died()
        return worker not in self.dead


@asynccontextmanager
async def mortal_workers(world: World, provider: DeadlyProvider) -> AsyncIterator[None]:
    """A worker for pages, and another one whenever it is killed; none is left at the end."""
    server = await asyncio.start_server(provider.converse, "127.0.0.1", 0)
    order = {
        "temporal": world.client.service_client.config.target_host,
        "database": world.settings.database_url,
        "queue": world.settings.task_queue,
        "provider": str(server.sockets[0].getsockname()[1]),
    }
    forge = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.wave_worker", cwd=ROOT, stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert forge.stdin is not None
    line = json.dumps(order).encode() + b"\n"
    write = forge.stdin.write
    write(line)
    provider.died = lambda: write(line)
    try:
        yield
    finally:
        os.killpg(forge.pid, signal.SIGKILL)
        await forge.wait()
        server.close()


async def test_a_wave_killed_at_every_page_loses_nobody_and_tells_nobody_twice(
    temporal: Client, tmp_path: Path
) -> None:
    """In the first group, in the last one, before the provider had the message and after it.

    Only what was being handed over at a death is left in doubt, and said so.
    """
    blows = {0: Blow(0, taken=True), 1: Blow(PAGE - 1, taken=False), 2: Blow(60, taken=True)}
    async with a_world(temporal, tmp_path, merchant=AWAKE) as world:
        await enrol(world.engine, members(PAGE * PAGES))
        provider = DeadlyProvider(dict(blows))
        async with (
            mortal_workers(world, provider),
            Worker(
                temporal,
                task_queue=world.settings.task_queue,
                workflows=[WaveWorkflow],
                workflow_runner=SandboxedWorkflowRunner(),
            ),
        ):
            running = await begin(world, wave(), page_size=PAGE, in_flight=2, heartbeat_seconds=1)
            report = await asyncio.wait_for(running.report(), 60)
        rows = await MessageLog(world.engine).messages(limit=1000)
    assert provider.blows == {}, "every page has met its death"
    told = {int(row["address"][1:6]): row["status"] for row in rows}
    assert len(told) == report.selected == PAGE * PAGES
    assert max(provider.taken.values()) == 1
    assert Counter(told.values()) == Counter(sent=report.counts.sent, uncertain=report.counts.uncertain)
    assert {number for number, status in told.items() if status == "sent"} <= provider.taken.keys()
    assert 0 < report.counts.uncertain <= 2 * HAND * len(blows)
    assert max(row["attempts"] for row in rows) > 1
