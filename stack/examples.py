"""The examples, played today."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.merchants import Merchants
from client import Carillon, EndedError
from intake import days_to_today, merchant_named, moved_booking, read_booking, read_facts, read_merchant
from models.booking import Booking
from models.booking_facts import AnyBookingFact, BookingFact
from models.merchant import Merchant, booking_rules
from models.timing import local_day

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FACTS = ".facts.json"


@dataclass(frozen=True)
class Example:
    """A booking, and what happens to it on the day of its order."""

    merchant: Merchant
    booking: Booking
    facts: tuple[BookingFact, ...]


async def start_examples(carillon: Carillon, engine: AsyncEngine, folder: Path = EXAMPLES) -> list[str]:
    """Apply the example merchants, start the example bookings; answer the ids of their lifecycles.

    A merchant that is there already may have been changed by its owner, and a booking has its own life by
    now: both are left alone.
    """
    now = datetime.now(UTC)
    examples = await asyncio.to_thread(read_examples, folder, now)
    merchants = {example.merchant.id: example.merchant for example in examples}
    for merchant_id in merchants.keys() - set(await Merchants(engine).ids()):
        await Merchants(engine).apply(merchants[merchant_id], now)
    return list(await asyncio.gather(*(_start(carillon, example) for example in examples)))


async def _start(carillon: Carillon, example: Example) -> str:
    started = await carillon.start_booking(example.booking)
    # Told at every start: it may have been stopped before they were, and told twice they are told once.
    for fact in example.facts:
        with suppress(EndedError):
            await carillon.tell(started.lifecycle, fact)
    return started.lifecycle


def read_examples(folder: Path, now: datetime) -> list[Example]:
    """The examples of a folder, moved so that they were ordered today."""
    files = [file for file in sorted(folder.glob("*.json")) if not file.name.endswith(FACTS)]
    named = sorted({merchant_named(file) for file in files})
    merchants = {name: read_merchant(folder / f"{name}.toml") for name in named}
    return [_example(file, merchants[merchant_named(file)], now) for file in files]


def _example(file: Path, merchant: Merchant, now: datetime) -> Example:
    booking = read_booking(file, merchant)
    zone = booking_rules(merchant, booking.branch_id).zone
    told = file.with_suffix(FACTS)
    facts = read_facts(told, merchant) if told.exists() else []
    moved = moved_booking(booking, days_to_today(booking, zone, now), zone)
    return Example(merchant, moved, tuple(_of_the_first_day(facts, booking, zone)))


def _of_the_first_day(facts: list[AnyBookingFact], booking: Booking, zone: str) -> Iterator[BookingFact]:
    """What happened on the day of the order, as if just now. Requests are left to the user."""
    day = local_day(booking.ordered_at, zone)
    for fact in facts:
        if isinstance(fact, BookingFact) and fact.at and local_day(fact.at, zone) == day:
            yield replace(fact, at=None)
