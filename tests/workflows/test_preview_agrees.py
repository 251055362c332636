"""What `carillon preview` says a booking will be is what it then is, on the real server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from intake import (
    days_to_today,
    merchant_named,
    moved_booking,
    moved_facts,
    read_booking,
    read_facts,
    read_merchant,
)
from models.booking import Booking
from models.booking_facts import (
    REQUESTS,
    AnyBookingFact,
    BookingRequest,
)
from models.merchant import Merchant, SmsProvider, booking_rules
from models.rehearsal import rehearse
from models.showing import agenda_document
from tests.world import World, a_world

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
MERCHANT_FILES = [path for path in sorted(EXAMPLES.glob("*.toml")) if "-" not in path.stem]
MERCHANTS = {merchant.id: merchant for merchant in map(read_merchant, MERCHANT_FILES)}
BOOKINGS = [path for path in sorted(EXAMPLES.glob("*.json")) if not path.name.endswith(".facts.json")]


def example(path: Path) -> tuple[Merchant, Booking, list[AnyBookingFact]]:
    """An example as if it were ordered today, its SMS by a real provider."""
    merchant = MERCHANTS[merchant_named(path)]
    booking = read_booking(path, merchant)
    zone = booking_rules(merchant, booking.branch_id).zone
    days = days_to_today(booking, zone, datetime.now(UTC))
    facts = path.with_suffix(".facts.json")
    told = moved_facts(read_facts(facts, merchant) if facts.exists() else [], days, zone)
    if merchant.sms.provider is SmsProvider.CONSOLE:
        merchant = replace(merchant, sms=replace(merchant.sms, provider=SmsProvider.TWSMS))
    return merchant, moved_booking(booking, days, zone), list(told)


def comparable(agenda: Any) -> dict[str, Any]:
    """The document that both commands print, but for the moments at which messages really went."""
    document = agenda_document(agenda)
    for done in document["done"]:
        done["outcomes"] = sorted((one["channel"], one["status"]) for one in done["outcomes"])
    document["done"].sort(key=lambda done: done["key"])
    names = ("stage", "zone", "owed", "done", "left_out", "not_taken", "next_moment", "over")
    return {name: document[name] for name in names}


async def tell(world: World, id: str, fact: AnyBookingFact) -> None:
    assert fact.at is not None
    await world.forward_to(id, fact.at)
    if fact.fact in REQUESTS:
        assert isinstance(fact, BookingRequest)
        await world.carillon.ask(id, fact)
    else:
        assert not isinstance(fact, BookingRequest)
        await world.carillon.tell(id, fact)
    await world.quiet(id)


@pytest.mark.parametrize("path", BOOKINGS, ids=lambda path: path.stem)
async def test_the_preview_of_an_example_is_what_really_happens(
    temporal: Client, tmp_path: Path, path: Path
) -> None:
    """Before anything is told, after everything was, and when all is over: the same agenda."""
    merchant, booking, facts = example(path)
    rules = booking_rules(merchant, booking.branch_id)
    async with a_world(temporal, tmp_path, merchant=merchant) as world, world.worker():
        id = await world.start(booking)
        real = await world.quiet(id)
        assert comparable(real) == comparable(rehearse(booking, rules, [], await world.clock(id)))
        for fact in facts:
            await tell(world, id, fact)
        real = await world.quiet(id)
        assert comparable(real) == comparable(rehearse(booking, rules, facts, await world.clock(id)))
        await world.to_the_end(id)
        real = await world.carillon.agenda(id)
        late = booking.ordered_at + timedelta(days=400)
        assert comparable(real) == comparable(rehearse(booking, rules, facts, late))
