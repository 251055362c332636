"""`carillon agenda` and `carillon preview booking`: what a lifecycle owes, really or on paper."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from activities.later_words import anything_sent, with_later_words
from activities.member_life import Look, MemberLife
from activities.merchants import Merchants, UnknownMerchantError
from client import Carillon
from commands.failures import Mistake, OutOfReach
from commands.output import err, print_json, show_agenda, warn
from commands.reach import VAR, Address, AsJson, DataDir, Lifecycle, Namespace, Reach, living_id
from intake import merchant_named, read_booking, read_facts, read_merchant
from intake.problems import Wrong
from intake.values import instant
from models.agenda import Agenda
from models.merchant import Merchant, booking_rules
from models.rehearsal import rehearse
from models.showing import agenda_document

preview_app = typer.Typer(no_args_is_help=True, help="What would be sent, and when. Needs no server.")


def agenda(
    id_: Lifecycle,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """What is owed, what was sent, what was skipped and why."""
    with err().status("Asking for the agenda"):
        found, unknown = asyncio.run(_told(Reach(data_dir, address, namespace), living_id(id_)))
    if unknown:
        warn(f"Whether what was sent has arrived is not known here: {unknown}")
    _print(found, as_json=as_json)


@preview_app.command("booking")
def preview_booking(
    file: Annotated[Path, typer.Argument(help="The booking, as JSON or TOML.")],
    facts: Annotated[Path | None, typer.Option(help="What happens to it, as JSON or TOML.")] = None,
    merchant: Annotated[Path | None, typer.Option(help="The merchant.  [default: the one applied]")] = None,
    now: Annotated[str | None, typer.Option(help="As of when.  [default: now, or the last fact]")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """The agenda of a booking, by the code that the real one runs."""
    shop = read_merchant(merchant) if merchant else asyncio.run(known_merchant(file, Reach(data_dir)))
    booking = read_booking(file, shop)
    told = read_facts(facts, shop) if facts else []
    moments = [datetime.now(UTC), booking.ordered_at, *(fact.at for fact in told if fact.at)]
    as_of = _instant(now) if now else max(moments)
    found = rehearse(booking, booking_rules(shop, booking.branch_id), told, as_of)
    _print(found, as_json=as_json, as_of=as_of)


async def known_merchant(file: Path, reach: Reach) -> Merchant:
    """The merchant that a booking file names, from the database; a Mistake where it is not known."""
    named = merchant_named(file)
    merchant = await reach.merchant(named)
    if merchant is None:
        if not named:
            read_booking(file)
        raise Mistake(
            f"{file}: merchant_id: {named!r} is not known here: "
            "apply it with `carillon merchant apply FILE`, or give --merchant FILE"
        )
    return merchant


async def _told(reach: Reach, lifecycle: str) -> tuple[Agenda, str]:
    """The agenda with what providers have told since; and why that is not known, where it is not."""
    found = await _agenda(reach, lifecycle)
    if not anything_sent(found):
        return found, ""
    try:
        async with reach.database() as engine:
            return await with_later_words(engine, found), ""
    except OutOfReach as error:
        return found, str(error)


async def _agenda(reach: Reach, lifecycle: str) -> Agenda:
    """By the lifecycle itself; of a member whose lifecycle does not run, by the database."""
    kind, merchant_id, id_ = lifecycle.split(":")
    async with reach.carillon() as carillon:
        if kind != "member":
            return await carillon.agenda(lifecycle)
        if await carillon.runs(lifecycle):
            return await _of_a_member(reach, carillon, lifecycle)
    async with reach.database() as engine:
        look = Look(merchant_id, id_, datetime.now(UTC))
        return await MemberLife(engine, Merchants(engine)).agenda(look)


async def _of_a_member(reach: Reach, carillon: Carillon, lifecycle: str) -> Agenda:
    """What it owes by its lifecycle, what comes from elsewhere as it is in SQL now.

    Where the two differ the lifecycle is told to look, so that the Web UI shows the same.
    """
    _, merchant_id, member_id = lifecycle.split(":")
    agenda, now = await carillon.agenda(lifecycle), await carillon.now(lifecycle)
    try:
        async with reach.database() as engine:
            look = Look(merchant_id, member_id, now)
            seen = await MemberLife(engine, Merchants(engine)).look(look)
    except UnknownMerchantError:
        return agenda  # it waits for its merchant, and says so
    except OutOfReach as error:
        warn(f"What comes from elsewhere is as the lifecycle last saw it: {error}")
        return agenda
    if seen.foreseen != agenda.foreseen:
        await carillon.look_at_member(merchant_id, member_id)
    return replace(agenda, foreseen=seen.foreseen)


def _instant(text: str) -> datetime:
    try:
        return instant(text)
    except Wrong as wrong:
        raise Mistake(f"--now: {text!r} {wrong.what}: {wrong.mend}") from None


def _print(found: Agenda, *, as_json: bool, as_of: datetime | None = None) -> None:
    if as_json:
        print_json(agenda_document(found))
    else:
        show_agenda(found, as_of=as_of)
