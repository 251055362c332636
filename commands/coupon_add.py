"""`carillon coupon add`: give a coupon to one member, or to a million."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from activities.coupon_holders import Added, Holder
from activities.coupons import PAGE, Coupons
from commands.failures import MISTAKE, Finished, Mistake
from commands.looking import let_holders_look
from commands.output import err, print_json, say, warn
from commands.reach import VAR, Address, AsJson, DataDir, Namespace, Reach, of_merchant
from intake.coupons import HolderFile
from intake.error_file import ErrorFile
from intake.members import BadLine
from intake.problems import Problem, shown
from models.coupon import CouponDrop
from models.drop_state import HoldersAdded
from models.ids import coupon_workflow_id

Drop = Annotated[str, typer.Argument(help="MERCHANT/DROP", metavar="DROP")]


@dataclass(frozen=True)
class Whom:
    """Who is given the coupon: those of a file, of a group, or every member."""

    file: Path | None
    group: str
    everybody: bool


def add(
    drop: Drop,
    file: Annotated[
        Path | None, typer.Argument(help="Members and their codes: CSV, a JSON array or JSON lines.")
    ] = None,
    group: Annotated[str, typer.Option(help="All members of this group.")] = "",
    everybody: Annotated[bool, typer.Option("--everybody", help="All members.")] = False,
    errors: Annotated[
        Path | None, typer.Option(help="Where refused lines are told.  [default: FILE.errors.csv]")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Give members the coupon. Who holds it keeps it as it is; it may be run again at any time.

    A file has the column member_id, and code where codes are not to be made.
    """
    if (file is not None) + bool(group) + everybody != 1:
        raise Mistake("say who is given the coupon: a FILE, --group GROUP or --everybody")
    report = errors or Path(f"{file}.errors.csv")
    if file is not None and report.resolve() == file.resolve():
        raise Mistake(f"--errors: {report} is the file of the holders itself: name another")
    reach, whom = Reach(data_dir, address, namespace), Whom(file, group, everybody)
    with ErrorFile(report) as refused:
        added = asyncio.run(_add(reach, *named(drop), whom, refused))
        if added.new:
            asyncio.run(let_holders_look(reach, *named(drop)))
    if as_json:
        errors_at = {"errors": str(report)} if refused.lines else {}
        print_json({"new": added.new, "same": added.same, "refused": refused.lines, **errors_at})
    else:
        say((drop, "bold"), f"  {added.new:,} holders more, {added.same:,} held it before")
    if group and not (added.new or added.same):
        warn(f"Nobody is in the group {group!r}: `carillon member list {named(drop)[0]}` shows the groups.")
    if refused.lines:
        lines = "1 line is" if refused.lines == 1 else f"{refused.lines:,} lines are"
        warn(f"{lines} refused: {report} says why. Mend them in {file}, and run it again.")
        raise Finished(MISTAKE)


def named(drop: str) -> tuple[str, str]:
    """The merchant and the id of a drop, as it is written on the command line."""
    return of_merchant(drop, "drop", "MERCHANT/DROP", "coupon")


async def _add(reach: Reach, merchant_id: str, drop_id: str, whom: Whom, refused: ErrorFile) -> Added:
    lifecycle = coupon_workflow_id(merchant_id, drop_id)
    async with reach.database() as engine, reach.carillon() as carillon:
        coupons = Coupons(engine)
        drop = (await coupons.drop(merchant_id, drop_id)).drop
        now = await carillon.now(lifecycle)
        if whom.file is not None:
            added = await _from_file(coupons, drop, whom.file, refused, now)
        else:
            with err().status("Giving the coupon"):
                added = await coupons.add_members(drop, now, group=whom.group)
        if added.since is not None:
            holders = sum((await coupons.tally(merchant_id, drop_id)).values())
            event_id = f"cli-{uuid4().hex[:12]}"
            await carillon.tell(
                lifecycle, HoldersAdded(event_id=event_id, since=added.since, holders=holders)
            )
    return added


async def _from_file(
    coupons: Coupons, drop: CouponDrop, path: Path, refused: ErrorFile, now: datetime
) -> Added:
    """A page at a time; what cannot be given goes to the error file with its line."""
    added, lines = Added(), _good_lines(HolderFile(path), refused)
    while page := list(islice(lines, PAGE)):
        done = await coupons.add_page(drop, [holder for _, holder in page], now)
        for one in done.refused:
            refused.add(page[one.place][0], [Problem(one.field, one.what, one.mend, shown(one.value))])
        added += done
    return added


def _good_lines(holders: HolderFile, refused: ErrorFile) -> Iterator[tuple[int, Holder]]:
    columns = (TextColumn("Giving the coupon"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True, disable=not err().is_terminal) as progress:
        task = progress.add_task("", total=holders.lines)
        for line, found in holders:
            if line % PAGE == 0:
                progress.update(task, completed=line)
            if isinstance(found, BadLine):
                refused.add(line, found.problems)
            else:
                yield line, found
