"""The server and the workers, each a process of its own, so that what each costs can be told apart."""

import asyncio
import multiprocessing
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.bare import Bare, HandOvers
from channels.base import Abilities, Message, Receipt
from client import connect
from settings import Part, Settings
from temporal_server import server_arguments, server_program
from worker import GRACE, STICKY, collect_seldom, running_worker

STARTING = 60.0
"""Seconds that a process may take until it is ready."""


class Side(StrEnum):
    """Who is measured."""

    CARILLON = "carillon"
    BARE = "bare"


@dataclass(frozen=True)
class Server:
    """The embedded server and where it listens."""

    address: str
    cost: "Cost"


@dataclass(frozen=True)
class Cost:
    """What some processes cost together."""

    processes: tuple[psutil.Process, ...]

    @classmethod
    def of(cls, *pids: int | None) -> "Cost":
        return cls(tuple(psutil.Process(pid) for pid in pids))

    @property
    def seconds(self) -> float:
        """User and system seconds so far."""
        times = [process.cpu_times() for process in self.processes]
        return float(sum(one.user + one.system for one in times))

    @property
    def memory(self) -> int:
        """Bytes resident now."""
        return sum(int(process.memory_info().rss) for process in self.processes)


@dataclass(frozen=True)
class WorkerProcess:
    """A worker at work in processes of its own."""

    cost: Cost
    pipes: tuple[Connection, ...]

    async def stop(self) -> list[float]:
        """Stop it, and hear when each message was handed over."""
        moments: list[float] = []
        for pipe in self.pipes:
            pipe.send("stop")
            moments += await asyncio.to_thread(_heard, pipe)
        return moments


@dataclass
class NoOpChannel:
    """A provider that takes everything and notes the moment: at once, or after so many `seconds`."""

    handed: HandOvers
    seconds: float = 0
    provider: str = "noop"
    abilities: Abilities = field(default_factory=Abilities)

    async def send(self, message: Message) -> Receipt:  # noqa: ARG002  (what it says is no matter here)
        if self.seconds:
            await asyncio.sleep(self.seconds)
        await self.handed.hand_over()
        return Receipt(self.provider)

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def embedded_server(folder: Path) -> AsyncIterator[Server]:
    """The server as `make up` starts it, on a SQLite file in this folder."""
    port, ui_port = _free_ports(2)
    arguments = server_arguments(folder / "temporal.db", port, ui_port, headless=True)
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([server_program(), *arguments], stdout=log, stderr=subprocess.STDOUT)  # noqa: ASYNC220
    address = f"127.0.0.1:{port}"
    try:
        await _until_listening(server, address, folder / "server.log")
        yield Server(address, Cost.of(server.pid))
    finally:
        server.terminate()
        try:
            await asyncio.to_thread(server.wait, 15)
        except subprocess.TimeoutExpired:
            server.kill()


@asynccontextmanager
async def worker_process(
    side: Side, address: str, settings: Settings, provider_seconds: float = 0
) -> AsyncIterator[WorkerProcess]:
    """A worker of one side, in as many processes as it asks for; gone at the end of the block.

    `provider_seconds`: so long the provider of Carillon's takes for each message.
    """
    crew = [Part.DECIDING, *[Part.SENDING] * settings.senders] if settings.senders else [Part.EVERYTHING]
    async with AsyncExitStack() as stack:
        each = [
            await stack.enter_async_context(
                _process(side, address, replace(settings, part=part), provider_seconds)
            )
            for part in crew
        ]
        pids = [process.pid for process, _ in each]
        yield WorkerProcess(Cost.of(*pids), tuple(pipe for _, pipe in each))


@asynccontextmanager
async def _process(
    side: Side, address: str, settings: Settings, provider_seconds: float
) -> AsyncIterator[tuple[BaseProcess, Connection]]:
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    arguments = (theirs, side, address, settings, provider_seconds)
    process = spawning.Process(target=_work, args=arguments, daemon=True)
    process.start()
    theirs.close()
    try:
        await asyncio.to_thread(_heard, ours)
        yield process, ours
    finally:
        ours.close()
        await asyncio.to_thread(process.join, 15)
        if process.is_alive():
            process.kill()


def _work(pipe: Connection, side: Side, address: str, settings: Settings, seconds: float) -> None:
    asyncio.run(_working(pipe, side, address, settings, seconds))


async def _working(pipe: Connection, side: Side, address: str, settings: Settings, seconds: float) -> None:
    handed = HandOvers()
    noop = NoOpChannel(handed, seconds)
    client = await connect(target_host=address)
    collect_seldom()
    async with (
        _bare_worker(client, settings, handed)
        if side is Side.BARE
        else running_worker(client, settings, extra_channels={"smtp": noop, "console": noop})
    ):
        pipe.send("ready")
        try:
            await asyncio.to_thread(pipe.recv)
            pipe.send(handed.moments)
        except EOFError:  # the load generator has gone
            return


def _bare_worker(client: Client, settings: Settings, handed: HandOvers) -> Worker:
    """The settings of Carillon's own worker."""
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[] if settings.part is Part.SENDING else [Bare],
        activities=[] if settings.part is Part.DECIDING else [handed.hand_over],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=settings.concurrent_activities,
        max_concurrent_workflow_tasks=settings.concurrent_workflow_tasks,
        max_cached_workflows=settings.cached_workflows,
        sticky_queue_schedule_to_start_timeout=STICKY,
        graceful_shutdown_timeout=GRACE,
    )


def _heard(pipe: Connection) -> Any:
    if not pipe.poll(STARTING):
        raise TimeoutError(f"a worker process has not answered within {STARTING:.0f} s")
    return pipe.recv()


async def _until_listening(server: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    host, port = address.split(":")
    until = time.monotonic() + STARTING
    while time.monotonic() < until and server.poll() is None:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return await _until_serving(address, until)
    said = log.read_text(errors="replace")[-2000:]  # noqa: ASYNC240  (nothing else is to do)
    raise RuntimeError(f"the Temporal server did not start: {said}")


async def _until_serving(address: str, until: float) -> None:
    """The port answers before the namespace is there."""
    while True:
        try:
            client = await connect(target_host=address)
            await client.count_workflows()
        except Exception:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)
        else:
            return


def _free_ports(number: int) -> list[int]:
    with_ports = [socket.socket() for _ in range(number)]
    try:
        for one in with_ports:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in with_ports]
    finally:
        for one in with_ports:
            one.close()
