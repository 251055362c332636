"""All of the development stack, started in order and stopped in the opposite one."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.testing import TimeSkipper

from activities.database import migrate, open_database
from activities.message_log import MessageLog
from channels.mail import message_id
from client import Carillon
from settings import Settings, settings_from
from stack.folder import Folder, Note
from stack.mail_sink import running_sink
from stack.server import HOST, Server, check_ports, running_server
from worker import running_worker

RECENT = 500
"""Among how many messages a mail that has just come is looked for."""


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    folder: Folder
    port: int
    ui_port: int
    smtp_port: int
    headless: bool = False


@dataclass(frozen=True)
class Stack:
    """What runs."""

    plan: Plan
    settings: Settings
    server: Server
    client: Client
    carillon: Carillon
    engine: AsyncEngine

    @property
    def web(self) -> str:
        return "" if self.plan.headless else f"http://{HOST}:{self.plan.ui_port}"


@asynccontextmanager
async def running_stack(plan: Plan, progress: Callable[[str], None]) -> AsyncIterator[Stack]:
    """Everything up, until the end of the block. TakenError, InUseError, ServerError say why it is not."""
    plan.folder.make()
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(plan.folder.alone())
        ui_port = {} if plan.headless else {"--ui-port": plan.ui_port}
        check_ports({"--port": plan.port, **ui_port, "--smtp-port": plan.smtp_port})
        settings = _settings(plan)
        progress("Migrating the database")
        await migrate(settings.database_url)
        engine = open_database(settings.database_url)
        stack.push_async_callback(engine.dispose)
        progress("Starting the Temporal server")
        server = await stack.enter_async_context(
            running_server(plan.folder, plan.port, plan.ui_port, headless=plan.headless, lock=lock)
        )
        client = await server.answering()
        await stack.enter_async_context(
            running_sink(plan.folder.mail, HOST, plan.smtp_port, lambda sent: _kind(engine, sent))
        )
        progress("Starting the worker")
        sms = stack.enter_context(plan.folder.sms.open("a", encoding="utf-8", buffering=1))
        await stack.enter_async_context(
            running_worker(client, settings, write=lambda text: print(text, file=sms))
        )
        carillon = Carillon(
            client, task_queue=settings.task_queue, clock=TimeSkipper(client).get_current_time
        )
        made = Stack(plan, settings, server, client, carillon, engine)
        stack.enter_context(plan.folder.noted(Note(server.address, made.web, os.getpid())))
        yield made


def _settings(plan: Plan) -> Settings:
    """The environment's settings; mail goes to the sink unless it says otherwise."""
    settings = settings_from(os.environ, plan.folder.path)
    sink = {"CARILLON_SMTP_HOST": HOST, "CARILLON_SMTP_PORT": str(plan.smtp_port)}
    if "CARILLON_SMTP_HOST" in settings.environment:
        return settings
    return replace(settings, environment={**settings.environment, **sink})


async def _kind(engine: AsyncEngine, sent: str) -> str:
    """What kind of notice a mail is: its Message-ID is made from the key in the message log."""
    domain = sent.rpartition("@")[2].rstrip(">")
    rows = await MessageLog(engine).messages(limit=RECENT)
    kinds = (row["kind"] for row in rows if message_id(row["notice_key"], domain) == sent)
    return str(next(kinds, "mail"))
