"""`carillon fast-forward`: the time machine of the development server."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated

import typer
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkipper

from client import Carillon
from commands.booking import settled_agenda
from commands.clock_waves import Holding, held_waves
from commands.failures import Mistake
from commands.output import err, next_words, outcome_words, plain, say, table, whom
from commands.reach import VAR, Address, DataDir, Lifecycle, Namespace, Reach, living_id
from models.agenda import Agenda
from models.showing import shown_time, titled
from models.timing import parse_duration

NOT_ALLOWED = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED)

LOOK = 0.25
"""So many seconds between two looks at the clock."""
STEP = timedelta(milliseconds=1)
"""Replaces a way that is not to be gone any more: the server knows no other way to take one back."""
UNDOING = 5


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
    asyncio.run(_fast_forward(Reach(data_dir, address, namespace), living_id(id_), far))


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
    """Move the clock, and those of its waves that hold; answers False when the lifecycle ended on the way.

    A Mistake where a wave holds beyond that. However it ends, nothing goes on moving afterwards.
    """
    until = await carillon.now(handle.id) + far
    held = await held_waves(carillon, handle)
    _must_end_by(until, before, held)
    skipper, moved_too = TimeSkipper(carillon.client), dict[str, asyncio.Task[bool]]()
    moving = asyncio.create_task(skipper.fast_forward(handle, far))
    try:
        while not moving.done():
            for wave in held:
                if wave.id not in moved_too:
                    left = max(until - wave.clock, STEP)
                    moved_too[wave.id] = asyncio.create_task(skipper.fast_forward(wave.handle, left))
            await asyncio.wait([moving], timeout=LOOK)
            with suppress(RPCError):
                show(_progress(before, await carillon.now(handle.id)))
                held = await held_waves(carillon, handle)
            if not moving.done():
                _must_end_by(until, before, held)
        return await moving
    except RPCError as error:
        if error.status not in NOT_ALLOWED:
            raise
        raise Mistake(
            f"this server does not let clocks be moved ({error.message}): only that of `carillon up` does"
        ) from None
    finally:
        await _stop(skipper, [moving, *moved_too.values()], [handle, *(wave.handle for wave in held)])


def _must_end_by(until: datetime, agenda: Agenda, held: Sequence[Holding]) -> None:
    """While a wave holds, the clock of its lifecycle stands still: nobody waits for what cannot come."""
    for wave in held:
        if wave.until is None:
            raise Mistake(f"{wave.id} is paused: let it go on with `carillon wave resume {wave.id}` first")
        if wave.until > until:
            at, there = shown_time(wave.until, agenda.zone), f"times of {agenda.zone}"
            raise Mistake(
                f"{wave.id} holds until {at} ({there}), and {agenda.lifecycle} waits for it:"
                f" go at least as far as that; `carillon wave show {wave.id}` says what holds it"
            )


async def _stop(
    skipper: TimeSkipper,
    moving: Sequence[asyncio.Task[bool]],
    handles: Sequence[WorkflowHandle[object, object]],
) -> None:
    """Wait for none of these any more; and what they asked of the server is not done later either."""
    going = [task for task in moving if not task.done()]
    for task in going:
        task.cancel()
    await asyncio.gather(*moving, return_exceptions=True)
    if not going:
        return
    for handle in handles:
        with suppress(RPCError, RuntimeError, TimeoutError):
            await asyncio.wait_for(skipper.fast_forward(handle, STEP), UNDOING)


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
