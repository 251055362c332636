"""The Temporal server of the development stack, as a child process."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from client import connect_to
from stack.folder import Folder
from temporal_server import server_arguments, server_program

HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 15
LAST_LINES = 8


class TakenError(Exception):
    """A port that something else listens on; the message names the option for another."""


class ServerError(Exception):
    """The Temporal server did not start, or died; the message holds the end of its log."""


@dataclass
class Server:
    """A running server. `log_start` is where its own part of the log begins."""

    process: asyncio.subprocess.Process
    address: str
    log: Path
    log_start: int

    async def answering(self) -> Client:
        """A client, as soon as the server answers; ServerError if it takes too long."""
        end = asyncio.get_running_loop().time() + START_SECONDS
        while asyncio.get_running_loop().time() < end:
            with suppress(RuntimeError):
                return await connect_to(self.address)
            await asyncio.sleep(0.1)
        raise self.failure(f"did not answer within {START_SECONDS} seconds")

    def failure(self, what: str) -> ServerError:
        """What happened, with the last that the server said."""
        said = self.log.read_bytes()[self.log_start :].decode("utf-8", "replace").strip().splitlines()
        lines = "".join(f"\n  {line[:300]}" for line in said[-LAST_LINES:])
        return ServerError(f"the Temporal server {what}: see {self.log}{lines}")

    async def stop(self) -> None:
        """Let it close its database; SIGKILL only if it does not."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def running_server(
    folder: Folder, port: int, ui_port: int, *, headless: bool, lock: int
) -> AsyncIterator[Server]:
    """The server for as long as the block runs; ServerError as soon as it dies. It holds the lock too."""
    start = folder.temporal_log.stat().st_size if folder.temporal_log.exists() else 0
    arguments = server_arguments(folder.temporal_database, port, ui_port, headless=headless)
    with folder.temporal_log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            server_program(),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Its own session: Ctrl-C is for us, who stop the worker first.
            start_new_session=True,
            pass_fds=(lock,),
        )
    server = Server(process, f"{HOST}:{port}", folder.temporal_log, start)
    watching = asyncio.create_task(_cancel_with(process, asyncio.current_task()))
    try:
        yield server
    except (Exception, asyncio.CancelledError) as error:
        if process.returncode is None or isinstance(error, ServerError):
            raise
        # Whatever failed, this is why.
        raise server.failure(f"died with status {process.returncode}") from error
    finally:
        watching.cancel()
        await server.stop()


async def _cancel_with(process: asyncio.subprocess.Process, task: asyncio.Task[object] | None) -> None:
    """Nothing goes on without the server."""
    await process.wait()
    if task is not None:
        task.cancel()


def check_ports(wanted: Mapping[str, int]) -> None:
    """Every port is free; TakenError names the first that is not, by the option that sets it."""
    options: dict[int, str] = {}
    for option, port in wanted.items():
        if port in options:
            raise TakenError(f"port {port} is given twice: {options[port]} and {option} must differ")
        options[port] = option
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                raise TakenError(f"port {port} is taken: use {option} N") from None
