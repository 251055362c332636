"""`carillon fast-forward`: the time machine of the development server."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated

import typer
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper

from client import Carillon
from commands.booking import settled_agenda
from commands.failures import Mistake
from commands.output import err, next_words, outcome_words, plain, say, table, whom
from commands.reach import VAR, Address, DataDir, Lifecycle, Namespace, Reach, lifecycle_id
from models.agenda import Agenda
from models.showing import shown_time, titled
from models.timing import parse_duration

NOT_ALLOWED = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED)


def fast_forward(
    id_: Lifecycle,
    duration: Annotated[str, typer.Argument(help="How far, such as 2d3h or 90m.")],
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Move one lifecycle's clock forward, and see what it sends on the way. Development server only."""
    far = parse_duration(duration)
    if not far:
        raise Mistake(f"{duration!r} is no way to go: write how far, such as 2d3h")
    asyncio.run(_fast_forward(Reach(data_dir, address, namespace), lifecycle_id(id_), far))


async def _fast_forward(reach: Reach, lifecycle: str, far: timedelta) -> None:
    async with reach.carillon() as carillon:
        before = await carillon.agenda(lifecycle)
        if before.over:
            raise Mistake(f"{lifecycle} is over: nothing comes any more, however far its clock is moved")
        handle = carillon.client.get_workflow_handle(lifecycle)
        start = await carillon.now(lifecycle)
        with err().status(_progress(before, start)) as spinner:
            arrived = await moved(carillon, handle, far, spinner.update, before)
        after = await settled_agenda(carillon, lifecycle)
        end = await carillon.now(lifecycle)
    _show(before, after, (start, end), arrived=arrived)


async def moved(
    carillon: Carillon,
    handle: WorkflowHandle[object, object],
    far: timedelta,
    show: Callable[[str], None],
    before: Agenda,
) -> bool:
    """Move the clock; answers False when the lifecycle ended on the way."""
    watching = asyncio.create_task(_watch(carillon, handle.id, show, before))
    try:
        return await TimeSkipper(carillon.client).fast_forward(handle, far)
    except RPCError as error:
        if error.status not in NOT_ALLOWED:
            raise
        raise Mistake(
            f"this server does not let clocks be moved ({error.message}): only that of `carillon up` does"
        ) from None
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(carillon: Carillon, lifecycle: str, show: Callable[[str], None], before: Agenda) -> None:
    """Show the lifecycle's clock while it runs."""
    while True:
        await asyncio.sleep(0.25)
        with suppress(RPCError):
            show(_progress(before, await carillon.now(lifecycle)))


def _progress(agenda: Agenda, now: datetime) -> str:
    return f"{agenda.lifecycle}: {shown_time(now, agenda.zone)}"


def _show(before: Agenda, after: Agenda, span: tuple[datetime, datetime], *, arrived: bool) -> None:
    zone = after.zone
    start, end = (shown_time(moment, zone) for moment in span)
    say((after.lifecycle, "bold"), f"  {start} -> ", (end, "bold"), (f"  times of {zone}", "dim"))
    known = {done.notice.key for done in before.done}
    rows = [
        (
            shown_time(max(o.at for o in done.outcomes), zone),
            titled(done.notice),
            whom(done.notice),
            outcome_words(done),
        )
        for done in after.done
        if done.notice.key not in known and done.outcomes
    ]
    table("On the way", ("when", "notice", "to", "what came of it"), rows)
    if not rows:
        say("  nothing was due on the way")
    say()
    say(f"{plain(after.stage)}; " + ("next: " + "  ".join(next_words(after)) if arrived else "it has ended"))
