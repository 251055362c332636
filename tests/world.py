"""A small real world for whole lives: Temporal server, database, mail and SMS providers, a worker.

The lifecycles' clocks can be moved forward; everything else is what runs in production.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import TimeSkipper
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.database import migrate, open_database
from activities.merchants import Merchants
from activities.message_log import MessageLog
from channels.base import Channel
from client import Carillon
from models.agenda import Agenda, Report
from models.booking import Booking, Service
from models.merchant import Merchant, PaymentMethod, SmsProvider, SmsSettings
from models.people import Person
from settings import Settings, settings_from
from tests.databases import migrated_sqlite
from tests.providers import FakeSmartdove, FakeTwSms, MailSink
from worker import running_worker

MERCHANT = Merchant(
    id="lumi",
    name="Lumi Studio",
    zone="Asia/Taipei",
    locale="zh-Hant",
    country="TW",
    currency="TWD",
    email="hello@lumi.example",
    phone="+886227001234",
    sms=SmsSettings(SmsProvider.TWSMS),
)
T = TypeVar("T")

ADA = Person("Ada Lin", "ada@example.com", "+886912345678", "zh-Hant", id="ada")
BO = Person("Bo Martin", "bo@example.com", "+886923456789", "fr", id="bo")
CY = Person("Cy Young", "cy@example.com", "", "en", id="cy")


def now() -> datetime:
    """The real time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def service(id: str, days: float, *people: Person, name: str = "Pilates") -> Service:
    """An hour of something, so many days from now."""
    starts = now() + timedelta(days=days)
    return Service(id, name, starts, starts + timedelta(hours=1), people, place="Studio A")


def booking(*services: Service, method: PaymentMethod = PaymentMethod.ATM, **changes: Any) -> Booking:
    """A booking of Ada's, ordered just now."""
    made = Booking(
        merchant_id=MERCHANT.id,
        booking_id=f"b-{uuid4().hex[:8]}",
        ordered_at=now(),
        booker=ADA,
        services=services or (service("s1", 10),),
        payment_method=method,
        total=Decimal(1800),
        payment_info="808-1234567890123",
    )
    return replace(made, **changes)


@dataclass
class World:
    """What a test talks to. `mails` and `texts` are what really arrived at the providers."""

    client: Client
    carillon: Carillon
    skipper: TimeSkipper
    engine: AsyncEngine
    settings: Settings
    mail_sink: MailSink
    twsms: FakeTwSms
    smartdove: FakeSmartdove
    extra_channels: Mapping[str, Channel] = field(default_factory=dict)

    @property
    def mails(self) -> list[EmailMessage]:
        return self.mail_sink.mails

    def mails_to(self, person: Person) -> list[EmailMessage]:
        return [mail for mail in self.mails if person.email in str(mail["To"])]

    async def kinds_to(self, person: Person, channel: str = "email") -> list[str]:
        """The kinds of notice that the log says were sent to someone, in order."""
        rows = await MessageLog(self.engine).messages(limit=1000)
        return [
            row["kind"]
            for row in reversed(rows)
            if row["channel"] == channel and row["recipient"] == person.name and row["status"] == "sent"
        ]

    def handle(self, lifecycle: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(lifecycle)

    async def start(self, booking: Booking) -> str:
        """Start a booking and wait until its order-placed notice is settled."""
        started = await self.carillon.start_booking(booking)
        await self.until(started.lifecycle, lambda agenda: len(agenda.done) >= 1)
        return started.lifecycle

    async def tell(self, lifecycle: str, *facts: Any) -> Agenda:
        """Tell facts, one after another, and wait until nothing that is due is left to send."""
        for fact in facts:
            await self.carillon.tell(lifecycle, fact)
        return await self.quiet(lifecycle)

    async def quiet(self, lifecycle: str) -> Agenda:
        """Wait until nothing that is due by the lifecycle's own clock is unsettled."""
        clock = await self.clock(lifecycle)
        return await self.until(lifecycle, lambda agenda: all(n.due > clock for n in agenda.owed))

    async def until(self, lifecycle: str, wanted: Callable[[Agenda], bool], seconds: float = 20) -> Agenda:
        """Ask for the agenda until it is as wanted."""

        async def ask() -> Agenda | None:
            agenda = await self.carillon.agenda(lifecycle)
            return agenda if wanted(agenda) else None

        return await eventually(ask, seconds)

    async def clock(self, lifecycle: str) -> datetime:
        return await self.skipper.get_current_time(self.handle(lifecycle))

    async def forward_to(self, lifecycle: str, moment: datetime) -> None:
        """Move a lifecycle's clock to a second past a moment."""
        left = moment - await self.clock(lifecycle) + timedelta(seconds=1)
        if left > timedelta(0):
            await self.skipper.fast_forward(self.handle(lifecycle), left)

    async def to_the_end(self, lifecycle: str) -> Report:
        """Let the whole life pass, and hear its last words."""
        await self.skipper.fast_forward(self.handle(lifecycle), timedelta(days=400))
        handle = self.client.get_workflow_handle(lifecycle, result_type=Report)
        return await asyncio.wait_for(handle.result(), 30)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A worker in the sandbox, on this world's own task queue."""
        async with running_worker(
            self.client,
            self.settings,
            runner=SandboxedWorkflowRunner(),
            extra_channels=self.extra_channels,
        ):
            yield


async def eventually(ask: Callable[[], Awaitable[T | None]], seconds: float = 20) -> T:
    """The first answer that is not None; TimeoutError when none comes."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await ask()
            if answer is not None:
                return answer
            await asyncio.sleep(0.02)


@asynccontextmanager
async def a_world(
    client: Client,
    folder: Path,
    *,
    merchant: Merchant = MERCHANT,
    database_url: str = "",
    environment: Mapping[str, str] | None = None,
    sink: MailSink | None = None,
    queue: str = "",
) -> AsyncIterator[World]:
    """A world with one merchant and no worker yet."""
    async with sink or MailSink() as mail_sink, FakeTwSms() as twsms, FakeSmartdove() as smartdove:
        settings = settings_from(
            {
                "CARILLON_DATABASE_URL": database_url or f"sqlite:///{folder / 'carillon.db'}",
                "CARILLON_TASK_QUEUE": queue or f"test-{uuid4().hex}",
                "CARILLON_UPKEEP": "no",
                **mail_sink.environment,
                **twsms.environment,
                **smartdove.environment,
                **(environment or {}),
            }
        )
        if not database_url:
            await migrated_sqlite(settings.database_url)
        await migrate(settings.database_url)
        engine = open_database(settings.database_url)
        skipper = TimeSkipper(client)
        carillon = Carillon(client, task_queue=settings.task_queue, clock=skipper.get_current_time)
        try:
            await Merchants(engine).apply(merchant, now())
            yield World(client, carillon, skipper, engine, settings, mail_sink, twsms, smartdove)
        finally:
            await engine.dispose()
