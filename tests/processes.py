"""Real processes for tests about what happens when they die: the worker's and the server's."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from settings import Settings
from temporal_server import server_arguments, server_program
from tests.world import eventually

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Process:
    """A child process whose output is kept for the reader of a failed test."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self.child = child

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self.child.terminate()
        await asyncio.wait_for(self.child.wait(), 30)


@asynccontextmanager
async def worker_process(address: str, settings: Settings) -> AsyncIterator[Process]:
    """`python worker.py`, as production runs it."""
    environment = {**os.environ, **settings.environment, "TEMPORAL_ADDRESS": address}
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(ROOT / "worker.py"), env=environment, cwd=ROOT
    )
    process = Process(child)
    try:
        yield process
    finally:
        process.kill()
        await child.wait()


@asynccontextmanager
async def server_process(database: Path, port: int) -> AsyncIterator[Client]:
    """The development server on a file, stopped in an orderly way at the end of the block."""
    arguments = server_arguments(database, port, 0, headless=True)
    child = await asyncio.create_subprocess_exec(
        server_program(), *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield await eventually(lambda: _reached(port))
    finally:
        await Process(child).stop()


async def _reached(port: int) -> Client | None:
    try:
        return await Client.connect(f"127.0.0.1:{port}", data_converter=pydantic_data_converter)
    except RuntimeError:
        return None
