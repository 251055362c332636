"""`carillon wave`: deliveries to many, how far they are, and what holds them."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from commands.output import plain, print_json, say, table
from commands.reach import VAR, Address, AsJson, DataDir, Limit, Namespace, Reach
from commands.wave_calls import Listed, listed, progress_of, tell, wave_id
from models.showing import shown_time, utc_text
from models.wave_showing import counted, next_words, progress_document
from models.wave_state import Progress

wave_app = typer.Typer(no_args_is_help=True, help="Deliveries to many: progress, pause, resume, cancel.")

WaveId = Annotated[str, typer.Argument(help="wave:MERCHANT:ID", metavar="ID")]


@wave_app.command("list")
def list_(
    merchant: Annotated[str, typer.Option(help="Only those of this merchant.")] = "",
    limit: Limit = 50,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """The waves there are, those that are over as long as Temporal keeps them."""
    found = asyncio.run(_list(Reach(data_dir, address, namespace), merchant, limit))
    if as_json:
        print_json([_document(one) for one in found])
    elif not found:
        say("there are no waves" + (f" of {merchant}" if merchant else ""))
    else:
        table(
            "Waves, times are UTC", ("wave", "stage", "started", "next", "what came of it"), map(_row, found)
        )


@wave_app.command()
def show(
    id_: WaveId,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """How far a wave has come, what was skipped and why, and when it goes on."""
    reach = Reach(data_dir, address, namespace)
    _print(asyncio.run(_progress(reach, wave_id(id_))), as_json=as_json)


@wave_app.command()
def pause(
    id_: WaveId,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Begin no page; those under way leave off after the messages in hand, some fifty each."""
    reach = Reach(data_dir, address, namespace)
    _print(asyncio.run(_tell(reach, wave_id(id_), "pause")), as_json=as_json)


@wave_app.command()
def resume(
    id_: WaveId,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Go on where it stands. What has passed its last moment meanwhile is missed."""
    reach = Reach(data_dir, address, namespace)
    _print(asyncio.run(_tell(reach, wave_id(id_), "resume")), as_json=as_json)


@wave_app.command()
def cancel(
    id_: WaveId,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Send nothing more, and end it. What has gone has gone."""
    reach = Reach(data_dir, address, namespace)
    _print(asyncio.run(_tell(reach, wave_id(id_), "cancel")), as_json=as_json)


async def _list(reach: Reach, merchant: str, limit: int) -> list[Listed]:
    async with reach.carillon() as carillon:
        return await listed(carillon.client, merchant, limit)


async def _progress(reach: Reach, wave: str) -> Progress:
    async with reach.carillon() as carillon:
        return await progress_of(carillon.client, wave)


async def _tell(reach: Reach, wave: str, word: str) -> Progress:
    async with reach.carillon() as carillon:
        return await tell(carillon.client, wave, word)


def _document(one: Listed) -> dict[str, Any]:
    moments = {"started_at": utc_text(one.started_at), "next_at": utc_text(one.next_at)}
    return {**asdict(one), **moments}


def _row(one: Listed) -> tuple[str, ...]:
    stage = one.stage if one.running or one.outcome else f"{one.stage}, then broken off"
    return one.wave, stage, _utc(one.started_at), _utc(one.next_at), plain(one.outcome)


def _utc(moment: datetime | None) -> str:
    return shown_time(moment, "UTC") if moment is not None else ""


def _print(found: Progress, *, as_json: bool) -> None:
    document = progress_document(found)
    if as_json:
        print_json(document)
        return
    say((document["wave"], "bold"), "  ", (found.stage, "bold cyan"), (f"  times of {found.zone}", "dim"))
    say(f"{plain(found.kind)} to the audience {found.audience}, due {shown_time(found.due, found.zone)},"
        f" not after {shown_time(found.not_after, found.zone)}")  # fmt: skip
    so_far = "" if found.complete else " so far"
    say(f"{found.selected} selected{so_far}: {counted(found.counts)}")
    if found.in_flight:
        say(f"{found.in_flight} pages are under way")
    if found.waiting:
        say(f"{found.waiting} wait{next_words(found)}")
    rules = sorted(found.counts.skipped.items(), key=lambda pair: -pair[1])
    table("Skipped", ("rule", "members"), ((rule, str(members)) for rule, members in rules))
    table("Waiting", ("why", "members"), ((why, str(members)) for why, members in found.reasons.items()))
