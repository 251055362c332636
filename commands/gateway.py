"""`carillon gateway`: the HTTP addresses that providers call, and the page where emails can be declined."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Annotated

import typer
import uvicorn

from channels.registry import Channels
from commands.failures import Mistake
from commands.output import say
from commands.reach import VAR, DataDir, Reach
from gateway.app import application

GRACE_SECONDS = 10


def gateway(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8088,
    data_dir: DataDir = VAR,
) -> None:
    """Take the calls of providers, and show the page where emails can be declined, until Ctrl-C."""
    asyncio.run(_serve(Reach(data_dir), host, port))


class _Server(uvicorn.Server):
    """Ends well when it is told to stop; uvicorn's own would raise the signal once more and die of it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, self.handle_exit, name, None)
        yield


async def _serve(reach: Reach, host: str, port: int) -> None:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(reach.database())
        channels = Channels.from_environment(reach.settings.environment)
        stack.push_async_callback(channels.close)
        made = application(engine, channels)
        # The addresses hold a key: no access log. What goes wrong is logged by the application.
        config = uvicorn.Config(
            made, access_log=False, log_level="warning", lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )  # fmt: skip
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = socket.create_server((host, port), family=family)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error
            raise Mistake(f"{host}:{port} cannot be listened on ({why}): choose another --port") from None
        bound = listening.getsockname()[1]
        say(f"Listening on http://{host}:{bound}; providers call /receipts/PROVIDER/MERCHANT")
        await _Server(config).serve(sockets=[listening])
