"""`carillon member erase`: a member is forgotten, in SQL and in Temporal."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.erasing import Erased, Erasure, erase_member
from activities.members import Members
from activities.merchants import Merchants
from client import Carillon, Run
from commands.failures import Mistake
from commands.output import err, out, say
from commands.reach import VAR, Address, DataDir, Namespace, Reach, of_merchant
from models.ids import booking_workflow_id

Who = Annotated[str, typer.Argument(help="MERCHANT/ID", metavar="MEMBER")]


def erase(
    member: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Erase. Without it, say what would be.")] = False,
    with_bookings: Annotated[
        bool, typer.Option("--with-bookings", help="Also end the bookings of theirs that are not over.")
    ] = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Erase a member: profile, coupons, bonuses and lifecycles; messages are kept without whom and what.

    What they have refused, their addresses go on refusing. It can be asked again after a failure.
    """
    merchant_id, member_id = of_merchant(member, "member", "MERCHANT/ID", "member")
    reach = Reach(data_dir, address, namespace)
    with err().status("Erasing" if yes else "Looking"):
        runs, done = asyncio.run(_erase(reach, merchant_id, member_id, yes=yes, with_bookings=with_bookings))
    lives = _counted(len({run.workflow for run in runs}), "lifecycle")
    if done is None:
        out().print(f"{member_id} of {merchant_id} would be erased, with {lives}:")
        for run in runs:
            out().print(Text(f"  {run.workflow}{', at work' if run.at_work else ''}"))
        say("Nothing was erased: add ", ("--yes", "bold"))
        return
    say(
        (member_id, "bold"),
        f" of {merchant_id} is erased: {_counted(done.messages, 'message')} redacted, "
        f"{_counted(done.coupons, 'coupon')}, {_counted(done.bonuses, 'bonus account')} and {lives} deleted",
    )
    say(("What was under way may be written down yet: give the command again in five minutes", "dim"))


async def _erase(
    reach: Reach, merchant_id: str, member_id: str, *, yes: bool, with_bookings: bool
) -> tuple[list[Run], Erased | None]:
    async with reach.database() as engine, reach.carillon() as carillon:
        await Merchants(engine).get(merchant_id)
        known = await Members(engine).get(merchant_id, member_id) is not None
        runs = await carillon.runs_about(merchant_id, member_id)
        bookings = {
            run.workflow for run in runs if run.workflow.startswith(booking_workflow_id(merchant_id, ""))
        }
        running = sorted({run.workflow for run in runs if run.at_work} & bookings)
        if running and not with_bookings:
            raise Mistake(
                f"{member_id} has bookings that are not over ({', '.join(running)}): cancel them, wait for"
                " their end, or end them too with --with-bookings; they then send nothing more to anybody"
            )
        if not yes and (known or runs):
            return runs, None
        done = await _all_of(engine, carillon, merchant_id, member_id, runs, bookings) if yes else Erased()
        if not (known or runs or done.messages):
            raise Mistake(f"{member_id!r} is no member of {merchant_id}: see `carillon member list`")
        return runs, done


async def _all_of(
    engine: AsyncEngine,
    carillon: Carillon,
    merchant_id: str,
    member_id: str,
    runs: list[Run],
    bookings: set[str],
) -> Erased:
    """The lifecycles before and after the rows: at work they would write down again what is erased.

    They are found by the number of the member, so that all of it can be asked again.
    """
    for run in runs:
        await carillon.delete(run)
    done = await erase_member(engine, Erasure(merchant_id, member_id, datetime.now(UTC), bookings))
    for run in await carillon.runs_about(merchant_id, member_id):
        if run.at_work:
            await carillon.delete(run)
    return done


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
