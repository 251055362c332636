"""`carillon member import`: members by the hundred thousand."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from activities.members import Counts, Enrolment, Members
from activities.merchants import Merchants
from commands.failures import MISTAKE, Finished, Mistake
from commands.looking import let_look
from commands.member_lives import begin_lives
from commands.output import err, print_json, say, warn
from commands.reach import VAR, Address, AsJson, DataDir, Namespace, Reach
from intake.error_file import ErrorFile
from intake.members import BadLine, MemberFile
from intake.problems import Wrong
from intake.values import day

OFTEN = 500
"""After so many lines the progress is shown anew."""


@dataclass(frozen=True)
class Imported:
    """What an import did. `good` lines were taken, or would have been. `begun`: of so many the life began."""

    good: int
    refused: int
    counts: Counts | None
    begun: int = 0


def import_(
    file: Annotated[Path, typer.Argument(help="The members, as CSV, a JSON array or JSON lines.")],
    merchant: Annotated[str, typer.Option(help="Whose members they are.", metavar="ID")],
    errors: Annotated[
        Path | None, typer.Option(help="Where refused lines are told.  [default: FILE.errors.csv]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file; keep nothing.")] = False,
    begin_since: Annotated[
        str | None,
        typer.Option(help="Begin the lifecycles of those registered on this day or after.", metavar="DATE"),
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Take in members, new or changed. Good lines go in, bad ones are told; it may be run again at any time.

    It starts no lifecycle of members of long ago: only with --begin-since, of those who registered since.
    """
    report = errors or Path(f"{file}.errors.csv")
    if report.resolve() == file.resolve():
        raise Mistake(f"--errors: {report} is the file of the members itself: name another")
    with ErrorFile(report) as refused:
        reach, since = Reach(data_dir, address, namespace), _day(begin_since)
        done = asyncio.run(_import(reach, file, merchant, refused, since, dry_run=dry_run))
    if as_json:
        print_json(_document(done, report))
    else:
        _tell(merchant, done)
    if done.refused:
        lines = "1 line is" if done.refused == 1 else f"{done.refused:,} lines are"
        warn(f"{lines} refused: {report} says why. Mend them in {file}, and run it again.")
        raise Finished(MISTAKE)


async def _import(
    reach: Reach, file: Path, merchant_id: str, refused: ErrorFile, since: date | None, *, dry_run: bool
) -> Imported:
    async with reach.database() as engine:
        shop, now = await Merchants(engine).get(merchant_id), datetime.now(UTC)
        members = MemberFile(file, shop, now)
        reading = _Reading(members, refused)
        if dry_run:
            for _ in reading:
                pass
            return Imported(reading.good, refused.lines, None)
        if since is None:
            counts, begun = await Members(engine).enrol(reading, now), 0
        else:
            async with reach.carillon() as carillon:  # before anything is kept: is the server there?
                counts = await Members(engine).enrol(reading, now)
                begun = await begin_lives(engine, carillon, shop, reading.ids, since)
    if counts.new or counts.changed:
        await let_look(reach, merchant_id, reading.ids)
    return Imported(reading.good, refused.lines, counts, begun)


class _Reading:
    """The good members of a file; how far it is shows on standard error, the bad ones go to their file."""

    def __init__(self, members: MemberFile, refused: ErrorFile) -> None:
        self._members = members
        self._refused = refused
        self.good = 0
        self.ids: dict[str, None] = {}

    def __iter__(self) -> Iterator[Enrolment]:
        columns = (TextColumn("Importing"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err(), transient=True, disable=not err().is_terminal) as progress:
            task = progress.add_task("", total=self._members.lines)
            for line, found in self._members:
                if line % OFTEN == 0:
                    progress.update(task, completed=line)
                if isinstance(found, BadLine):
                    self._refused.add(line, found.problems)
                else:
                    self.good += 1
                    self.ids[found.member.member_id] = None
                    yield found


def _day(given: str | None) -> date | None:
    try:
        return None if given is None else day(given)
    except Wrong as wrong:
        raise Mistake(f"--begin-since: {given!r} {wrong.what}: {wrong.mend}") from None


def _tell(merchant_id: str, done: Imported) -> None:
    if done.counts is None:
        say((merchant_id, "bold"), f"  {done.good:,} members can be imported; nothing is kept: a dry run")
        return
    of = done.counts
    say((merchant_id, "bold"), f"  {of.new:,} new, {of.changed:,} changed, {of.same:,} as they were")
    if done.begun:
        say(f"  the registrations of {done.begun:,} were told to their lifecycles")


def _document(done: Imported, report: Path) -> dict[str, object]:
    counts = done.counts
    kept = {} if counts is None else {"new": counts.new, "changed": counts.changed, "same": counts.same}
    kept |= {"begun": done.begun} if done.begun else {}
    errors = {"errors": str(report)} if done.refused else {}
    return {"good": done.good, "refused": done.refused, **kept, **errors}
