"""`carillon member import`: members by the hundred thousand."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from activities.members import Counts, Enrolment, Members
from activities.merchants import Merchants
from commands.failures import MISTAKE, Finished, Mistake
from commands.output import err, print_json, say, warn
from commands.reach import VAR, AsJson, DataDir, Reach
from intake.error_file import ErrorFile
from intake.members import BadLine, MemberFile

OFTEN = 500
"""After so many lines the progress is shown anew."""


@dataclass(frozen=True)
class Imported:
    """What an import did. `good` lines were taken, or would have been."""

    good: int
    refused: int
    counts: Counts | None


def import_(
    file: Annotated[Path, typer.Argument(help="The members, as CSV, a JSON array or JSON lines.")],
    merchant: Annotated[str, typer.Option(help="Whose members they are.", metavar="ID")],
    errors: Annotated[
        Path | None, typer.Option(help="Where refused lines are told.  [default: FILE.errors.csv]")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file; keep nothing.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """Take in members, new or changed. Good lines go in, bad ones are told; it may be run again at any time.

    It starts no lifecycle: members of long ago are not welcomed. `carillon member register` does.
    """
    report = errors or Path(f"{file}.errors.csv")
    if report.resolve() == file.resolve():
        raise Mistake(f"--errors: {report} is the file of the members itself: name another")
    with ErrorFile(report) as refused:
        done = asyncio.run(_import(Reach(data_dir), file, merchant, refused, dry_run=dry_run))
    if as_json:
        print_json(_document(done, report))
    else:
        _tell(merchant, done)
    if done.refused:
        lines = "1 line is" if done.refused == 1 else f"{done.refused:,} lines are"
        warn(f"{lines} refused: {report} says why. Mend them in {file}, and run it again.")
        raise Finished(MISTAKE)


async def _import(
    reach: Reach, file: Path, merchant_id: str, refused: ErrorFile, *, dry_run: bool
) -> Imported:
    async with reach.database() as engine:
        shop, now = await Merchants(engine).get(merchant_id), datetime.now(UTC)
        members = MemberFile(file, shop, now)
        reading = _Reading(members, refused)
        if dry_run:
            for _ in reading:
                pass
            return Imported(reading.good, refused.lines, None)
        counts = await Members(engine).enrol(reading, now)
    return Imported(reading.good, refused.lines, counts)


class _Reading:
    """The good members of a file; how far it is shows on standard error, the bad ones go to their file."""

    def __init__(self, members: MemberFile, refused: ErrorFile) -> None:
        self._members = members
        self._refused = refused
        self.good = 0

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
                    yield found


def _tell(merchant_id: str, done: Imported) -> None:
    if done.counts is None:
        say((merchant_id, "bold"), f"  {done.good:,} members can be imported; nothing is kept: a dry run")
        return
    of = done.counts
    say((merchant_id, "bold"), f"  {of.new:,} new, {of.changed:,} changed, {of.same:,} as they were")


def _document(done: Imported, report: Path) -> dict[str, object]:
    counts = done.counts
    kept = {} if counts is None else {"new": counts.new, "changed": counts.changed, "same": counts.same}
    errors = {"errors": str(report)} if done.refused else {}
    return {"good": done.good, "refused": done.refused, **kept, **errors}
