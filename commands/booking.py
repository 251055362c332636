"""`carillon booking`: start a booking, and tell what happens to it."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from client import Carillon, Started
from commands.failures import Mistake, OutOfReach
from commands.output import err, next_words, plain, say, show_agenda, warn
from commands.reach import VAR, Address, DataDir, Lifecycle, Namespace, Reach, lifecycle_id
from intake import days_to_today, merchant_named, moved_booking, read_booking, read_fact
from models.agenda import Agenda
from models.booking import Booking
from models.booking_facts import (
    FACTS,
    REQUESTS,
    AnyBookingFact,
    BookingRequest,
)
from models.merchant import Merchant, booking_rules
from models.showing import shown_time

booking_app = typer.Typer(no_args_is_help=True, help="Start a booking, and tell what happens to it.")

SLACK = timedelta(minutes=5)
"""How far the clock of the booking system may be ahead of ours."""
SETTLING_SECONDS = 5
AS_JSON = """write it as '{"services": ["s1"]}'"""


@booking_app.command()
def start(
    file: Annotated[Path, typer.Argument(help="The booking, as JSON or TOML.")],
    today: Annotated[bool, typer.Option("--today", help="Move its dates as if ordered today.")] = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Begin the life of a booking. Starting the same one again changes nothing."""
    with err().status("Starting the booking"):
        asyncio.run(_start(Reach(data_dir, address, namespace), file, today=today))


@booking_app.command()
def tell(
    id_: Lifecycle,
    fact: Annotated[str, typer.Argument(help=f"One of {', '.join((*FACTS, *REQUESTS))}", metavar="FACT")],
    data: Annotated[str, typer.Option(help="The rest of it, as a JSON object.")] = "{}",
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Tell what happened, or ask for a change: a request is answered with the new agenda."""
    with err().status(f"Telling {fact}"):
        asyncio.run(_tell(Reach(data_dir, address, namespace), lifecycle_id(id_), fact, as_object(data)))


async def _start(reach: Reach, file: Path, *, today: bool) -> None:
    named = merchant_named(file)
    merchant = await _merchant(reach, named)
    if merchant is None and named:
        warn(f"Merchant {named!r} is not known here: apply it, or the booking waits until it is.")
    booking = read_booking(file, merchant)
    booking = _today(booking, merchant) if today else _not_to_come(file, booking)
    async with reach.carillon() as carillon:
        started = await carillon.start_booking(booking)
        _say_started(started)
        if merchant is None:
            return
        agenda = await settled_agenda(carillon, started.lifecycle)
    say(f"  {plain(agenda.stage)}; next: ", "  ".join(next_words(agenda)))


async def _merchant(reach: Reach, merchant_id: str) -> Merchant | None:
    """A booking need not wait for the database; without it local phone numbers are not known."""
    try:
        return await reach.merchant(merchant_id)
    except OutOfReach as error:
        warn(f"The merchant could not be looked up: {error}")
        return None


def _today(booking: Booking, merchant: Merchant | None) -> Booking:
    if merchant is None:
        raise Mistake(f"--today needs the zone of merchant {booking.merchant_id!r}: apply the merchant first")
    zone = booking_rules(merchant, booking.branch_id).zone
    return moved_booking(booking, days_to_today(booking, zone, datetime.now(UTC)), zone)


def _not_to_come(file: Path, booking: Booking) -> Booking:
    if booking.ordered_at > datetime.now(UTC) + SLACK:
        raise Mistake(
            f"{file}: ordered_at: {shown_time(booking.ordered_at, 'UTC')} UTC is still to come: "
            "correct it, or add --today to play an example today"
        )
    return booking


def _say_started(started: Started) -> None:
    how = "started" if started.new else "was started before, and nothing has changed"
    say((started.lifecycle, "bold"), f" {how}")


async def settled_agenda(carillon: Carillon, lifecycle: str) -> Agenda:
    """The agenda once what is due has gone, or after some seconds in any case."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SETTLING_SECONDS
    while True:
        agenda = await carillon.agenda(lifecycle)
        now = await carillon.now(lifecycle)
        ready = agenda.owed or agenda.done or agenda.left_out or agenda.over
        if (ready and all(notice.due > now for notice in agenda.owed)) or loop.time() > end:
            return agenda
        await asyncio.sleep(0.1)


def as_object(text: str) -> Mapping[str, Any]:
    """What `--data` says; a Mistake where that is no JSON object."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise Mistake(f"--data: {text!r} is not JSON ({error}): {AS_JSON}") from None
    if not isinstance(data, dict):
        raise Mistake(f"--data: {text!r} is no JSON object: {AS_JSON}")
    return data


async def _tell(reach: Reach, lifecycle: str, name: str, data: Mapping[str, Any]) -> None:
    merchant = await _merchant(reach, lifecycle.split(":")[1])
    given = {key: value for key, value in data.items() if value is not None}
    fact = read_fact(name, {"event_id": f"cli-{uuid4().hex[:12]}", **given}, merchant)
    async with reach.carillon() as carillon:
        if isinstance(fact, BookingRequest):
            await carillon.ask(lifecycle, fact)
        else:
            await carillon.tell(lifecycle, fact)
        say("told ", (name, "bold"), f" (event id {fact.event_id})")
        agenda = await settled_agenda(carillon, lifecycle)
    _refuse_untaken(fact, agenda)
    show_agenda(agenda)


def _refuse_untaken(fact: AnyBookingFact, agenda: Agenda) -> None:
    """A fact that the state did not allow is the user's to know of, at once."""
    note = next((note for note in agenda.not_taken if note.event_id == fact.event_id), None)
    if note is not None:
        raise Mistake(f"{fact.fact} changed nothing: {note.reason}")
