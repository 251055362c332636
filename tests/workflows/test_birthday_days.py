"""Birthdays that are set up, changed, paused or late in the middle of their day, on a real server."""

import asyncio
from calendar import isleap
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from activities.bonus_books import LOTS
from activities.database import aware, reading
from activities.merchants import Merchants
from activities.message_log import MessageLog
from commands.task_apply import Shop, next_moments
from models.credits import to_points
from models.ids import task_run_id
from models.member import Member
from models.policy import GatePolicy
from models.regular_task import Gift, RegularTask, TaskKind
from models.task_runs import last_midnight
from models.task_waves import TaskReport, TaskRun
from models.timing import local, local_day
from tests.requirements import requirement
from tests.tasks import SHOP, TAIPEI, Post, a_shop, apply, at_ten, enrol, member, run, started, task
from tests.world import World, eventually, now
from workflows.regular_task import RegularTaskWorkflow

HUNDRED = Gift("stars", Decimal(100), days=30)
LAST_MINUTE = time(23, 59)
LEAP, EVE = date(1996, 2, 29), date(1990, 2, 28)
DAY = timedelta(days=1)


def birthday(at: time = time(10), gift: Gift | None = HUNDRED, **changes: Any) -> RegularTask:
    return task(TaskKind.BIRTHDAY, cron="", at=at, gift=gift, **changes)


def celebrates(name: str, zone: str = TAIPEI, **changes: Any) -> Member:
    """Somebody whose birthday is today, in that zone."""
    return member(name, birth_date=local_day(now(), zone).replace(year=1992), **changes)


async def shop_of(world: World) -> Shop:
    return await Shop.of(world.engine, world.client, world.settings.task_queue, SHOP.id)


async def applied(world: World, *tasks: RegularTask) -> None:
    """Those tasks and no others, by the file that is applied just now."""
    shop = await shop_of(world)
    await shop.apply(tasks, await shop.difference(tasks), datetime.now(UTC))


async def cleared(world: World) -> None:
    """No schedule is left behind on the server of all tests."""
    await applied(world)


async def waits(world: World, task: RegularTask, at: datetime) -> WorkflowHandle[Any, TaskReport]:
    """A run of that task as it is now, that waits for a birthday."""
    await apply(world, task)
    handle: WorkflowHandle[Any, TaskReport] = await world.client.start_workflow(
        RegularTaskWorkflow.run,
        TaskRun(task, TAIPEI, at),
        id=task_run_id(SHOP.id, task.task_id, world.settings.task_queue),
        task_queue=world.settings.task_queue,
    )
    await world.skipper.fast_forward(handle, max(at - now(), timedelta()) + timedelta(minutes=1))
    await eventually(partial(sleeps, handle))
    return handle


async def sleeps(handle: WorkflowHandle[Any, Any]) -> bool | None:
    """Whether the run has found out whom it waits for, and nothing is under way."""
    activities = (await handle.describe()).raw_description.pending_activities
    events = [event async for event in handle.fetch_history_events()]
    known = [event for event in events if event.HasField("activity_task_completed_event_attributes")]
    return (len(known) == 2 and not activities) or None


async def ends(world: World, handle: WorkflowHandle[Any, TaskReport]) -> TaskReport:
    await world.skipper.fast_forward(handle, timedelta(hours=30))
    return await asyncio.wait_for(handle.result(), 30)


async def runs_end(world: World, number: int) -> list[TaskReport]:
    """Let so many runs that `apply` and `resume` have begun come to their ends; what they say, in order."""
    begun: list[tuple[datetime, WorkflowHandle[Any, Any]]] = []

    async def listed() -> bool | None:
        query = f"WorkflowType = 'RegularTaskWorkflow' AND TaskQueue = '{world.settings.task_queue}'"
        begun[:] = [
            (one.start_time, world.handle(one.id)) async for one in world.client.list_workflows(query)
        ]
        return len(begun) == number or None

    await eventually(listed)
    handles = [handle for _, handle in sorted(begun, key=lambda pair: pair[0])]
    typed = [world.client.get_workflow_handle(one.id, result_type=TaskReport) for one in handles]
    return [await settled(world, one) for one in typed]


async def settled(world: World, handle: WorkflowHandle[Any, TaskReport]) -> TaskReport:
    if (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
        return await ends(world, handle)
    return await handle.result()


async def gifts(world: World) -> dict[str, Decimal]:
    """What each member was given."""
    async with reading(world.engine) as connection:
        found = await connection.execute(select(LOTS.c.member_id, LOTS.c.amount))
        return {member_id: to_points(amount) for member_id, amount in found}


async def outcomes(world: World) -> Counter[str]:
    rows = await MessageLog(world.engine).messages(limit=1000)
    return Counter(f"{row['recipient']} {row['status']}" for row in rows)


@requirement("LOY-80", "LOY-81")
async def test_a_task_that_is_applied_during_the_day_brings_what_it_promises(
    temporal: Client, tmp_path: Path
) -> None:
    """Today's run has passed at midnight; today's birthday is shown as the next, and it comes."""
    greets = birthday(LAST_MINUTE)
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, celebrates("ada"))
        await applied(world, greets)
        (first,) = next_moments(greets, TAIPEI, now(), 1)
        assert local_day(first, TAIPEI) == local_day(now(), TAIPEI)
        (report,) = await runs_end(world, 1)
        assert (report.words, post.readers) == ("1 wave, 1 sent, 1 gifts", ["ada"])
        assert await gifts(world) == {"ada": Decimal(100)}
        await cleared(world)


@requirement("LOY-80", "LOY-81")
async def test_a_task_that_is_resumed_or_applied_again_brings_the_birthdays_of_that_day(
    temporal: Client, tmp_path: Path
) -> None:
    """Paused or removed over midnight: its run began nothing. Whoever was greeted is not greeted again."""
    greets = birthday(local(now(), TAIPEI).time().replace(second=0, microsecond=0))
    async with a_shop(temporal, tmp_path) as (world, post):
        shop = await shop_of(world)
        await applied(world, greets)
        await runs_end(world, 1)
        await enrol(world, celebrates("ada"))
        assert await shop.pause(greets.task_id, "audit")
        await applied(world, greets)
        assert (await runs_end(world, 2))[-1].words == "not in 1 zone: the task is paused"
        assert post.readers == []
        assert await shop.resume(greets.task_id, "done", datetime.now(UTC))
        await runs_end(world, 3)
        assert post.readers == ["ada"]
        await enrol(world, celebrates("bo"))
        await applied(world)
        await applied(world, greets)
        await runs_end(world, 4)
        assert post.readers == ["ada", "bo"]
        assert await gifts(world) == {"ada": Decimal(100), "bo": Decimal(100)}
        assert not await shop.pause("unknown", "")
        assert not await shop.resume("unknown", "", now())
        await cleared(world)


@requirement("LOY-80", "LOY-81")
async def test_a_birthday_goes_by_the_task_as_it_stands_at_its_moment(
    temporal: Client, tmp_path: Path
) -> None:
    """A gift that is changed while the run waits is the changed one."""
    async with a_shop(temporal, tmp_path) as (world, post):
        at = at_ten() - timedelta(hours=10)
        await enrol(world, member("ada", birth_date=local_day(at, TAIPEI).replace(year=1992)))
        waiting = await waits(world, birthday(), at)
        await apply(world, birthday(gift=replace(HUNDRED, amount=Decimal(1))))
        assert (await ends(world, waiting)).words == "1 wave, 1 sent, 1 gifts"
        assert await gifts(world) == {"ada": Decimal(1)}
        assert " 1 bonus point (stars)" in post.to("ada")[0]


@requirement("LOY-80", "LOY-81")
async def test_who_becomes_a_member_on_its_birthday_is_greeted_that_day(
    temporal: Client, tmp_path: Path
) -> None:
    """The first one there who celebrates: the run has begun when nobody did."""
    async with a_shop(temporal, tmp_path) as (world, post):
        at = at_ten() - timedelta(hours=10)
        waiting = await waits(world, birthday(), at)
        await enrol(world, member("ada", birth_date=local_day(at, TAIPEI).replace(year=1992)))
        assert (await ends(world, waiting)).words == "1 wave, 1 sent, 1 gifts"
        assert post.readers == ["ada"]


@requirement("LOY-80", "LOY-81")
@pytest.mark.parametrize("what", ["paused", "removed", "another hour"])
async def test_a_run_that_waits_leaves_what_is_no_longer_wanted(
    temporal: Client, tmp_path: Path, what: str
) -> None:
    async with a_shop(temporal, tmp_path) as (world, post):
        at, shop = at_ten() - timedelta(hours=10), await shop_of(world)
        await enrol(world, member("ada", birth_date=local_day(at, TAIPEI).replace(year=1992)))
        waiting = await waits(world, birthday(), at)
        match what:
            case "paused":
                await shop.tasks.hold(SHOP.id, ["birthday"], paused=True)
                words = "not in 1 zone: the task is paused"
            case "removed":
                await shop.tasks.remove(SHOP.id, ["birthday"])
                words = "not in 1 zone: the task was removed"
            case _:
                await apply(world, birthday(time(18)))
                words = "not in 1 zone: another run comes at 18:00"
        assert (await ends(world, waiting)).words == words
        assert (post.readers, await gifts(world)) == ([], {})


@requirement("LOY-81", "LOY-82")
@pytest.mark.parametrize("late", [timedelta(hours=18), timedelta(days=3)])
async def test_a_birthday_that_comes_too_late_brings_its_gift_and_says_who_was_not_greeted(
    temporal: Client, tmp_path: Path, late: timedelta
) -> None:
    """Nobody worked from before midnight on; the gift holds as long as it would have."""
    begun = now()
    midnight = last_midnight(TAIPEI, begun - late)
    day = local_day(midnight, TAIPEI)
    greets = birthday(time(0), catch_up_hours=1)
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, member("ada", birth_date=day.replace(year=1992)))
        await apply(world, greets)
        report = await started(world, TaskRun(greets, TAIPEI), midnight)
        assert report.words == "1 wave, 0 sent, 1 too late, 1 gifts"
        assert (post.readers, await outcomes(world)) == ([], Counter({"Ada missed": 1}))
        async with reading(world.engine) as connection:
            (end,) = (await connection.execute(select(LOTS.c.expires_at))).scalars()
        assert timedelta(days=30) < aware(end) - begun < timedelta(days=31, minutes=1)
        again = await run(world, replace(greets, task_id="again"), midnight)
        assert (again.gifts, again.waves, await gifts(world)) == (1, 0, {"ada": Decimal(100)})
        assert len(await outcomes(world)) == 1


@requirement("LOY-80", "LOY-81")
async def test_a_wrong_hour_that_is_applied_too_late_does_not_use_up_the_years_greeting(
    temporal: Client, tmp_path: Path
) -> None:
    """Ten, applied at noon: the gift comes. Mended to one o'clock that day, the greeting comes, too."""
    noon = noon_now()
    async with a_shop(temporal, tmp_path, shop=replace(SHOP, zone=noon)) as (world, post):
        await enrol(world, member("ada", birth_date=local_day(now(), noon).replace(year=1992)))
        await applied(world, birthday(time(10), catch_up_hours=1))
        (report,) = await runs_end(world, 1)
        assert report.words == "1 gifts, not in 1 zone: too late to greet at 10:00"
        assert (post.readers, await outcomes(world)) == ([], Counter())
        await applied(world, birthday(time(13), catch_up_hours=1))
        assert (await runs_end(world, 2))[-1].words == "1 wave, 1 sent, 1 gifts"
        assert post.readers == ["ada"]
        assert await gifts(world) == {"ada": Decimal(100)}
        await cleared(world)


def noon_now() -> str:
    """A zone in which it is after twelve, and before one."""
    return f"Etc/GMT{now().hour - 12:+d}"


async def test_a_birthday_that_comes_more_than_a_week_late_is_noted_and_left(
    temporal: Client, tmp_path: Path
) -> None:
    midnight = last_midnight(TAIPEI, now() - 9 * DAY)
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, member("ada", birth_date=local_day(midnight, TAIPEI).replace(year=1992)))
        report = await run(world, birthday(), midnight)
        assert report.words == "skipped: missed by more than 7 days: no greeting, no gift"
        assert (post.readers, await gifts(world)) == ([], {})


@requirement("LOY-80", "LOY-81", "LOY-82")
async def test_29_february_is_greeted_on_the_28th_and_in_a_leap_year_on_its_own_day(
    temporal: Client, tmp_path: Path
) -> None:
    """Run by run from 27 February to 1 March, in such a year and in another one, here and in New York."""
    common, leap = (
        next(year for year in count(now().year + 1) if isleap(year) is want) for want in (False, True)
    )
    async with a_shop(temporal, tmp_path, sandboxed=False) as (world, post):
        await enrol(
            world,
            member("leap", birth_date=LEAP),
            member("eve", birth_date=EVE),
            member("leap-ny", birth_date=LEAP, zone="America/New_York"),
            member("eve-ny", birth_date=EVE, zone="America/New_York"),
            member("march", birth_date=date(1990, 3, 1)),
        )
        found = {year: await _greeted(world, post, year) for year in (common, leap)}
    assert found == {
        common: {"02-28": ["eve", "eve-ny", "leap", "leap-ny"], "03-01": ["march"]},
        leap: {"02-28": ["eve", "eve-ny"], "02-29": ["leap", "leap-ny"], "03-01": ["march"]},
    }


async def _greeted(world: World, post: Post, year: int) -> dict[str, list[str]]:
    """Who is greeted by each run of the shop's days from 27 February to 1 March."""
    found = {}
    for number in range((date(year, 3, 2) - date(year, 2, 27)).days):
        day, before = date(year, 2, 27) + number * DAY, len(post.taken)
        await run(world, birthday(), last_midnight(TAIPEI, datetime.combine(day, time(12), UTC)))
        if names := sorted(name for name, _ in post.taken[before:]):
            found[f"{day:%m-%d}"] = names
    return found


@requirement("LOY-80", "LOY-81")
async def test_a_shop_that_moves_greets_nobody_twice_and_leaves_nobody_out(
    temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one end of the world to the other. Whose day is over there has the gift, and who had it had it."""
    monkeypatch.setattr("activities.merchants.FRESH_SECONDS", 0.0)  # the delay of the new runs is skipped
    west, east = "Pacific/Pago_Pago", "Pacific/Tongatapu"
    here = local_day(now(), west)
    async with a_shop(temporal, tmp_path, shop=replace(SHOP, zone=west)) as (world, post):
        await enrol(world, member("ada", birth_date=here.replace(year=1992)))
        await applied(world, birthday(time(0), catch_up_hours=24))
        await runs_end(world, 1)
        assert post.readers == ["ada"]
        await enrol(world, member("bo", birth_date=here.replace(year=1992)))
        await Merchants(world.engine).apply(replace(SHOP, zone=east), now())
        await applied(world, birthday(time(0), catch_up_hours=24))
        await runs_end(world, 3)
        assert post.readers == ["ada"], "the day of whom it moved away from is over"
        assert await outcomes(world) == Counter({"Ada sent": 1})
        assert await gifts(world) == {"ada": Decimal(100), "bo": Decimal(100)}
        await cleared(world)


@requirement("LOY-82")
async def test_a_greeting_waits_for_the_morning_where_the_phone_is(temporal: Client, tmp_path: Path) -> None:
    """10:00 in Taipei is night in Paris: it comes at 9:00 there, within the day of the shop."""
    gated = replace(SHOP, gate=GatePolicy())
    midnight = at_ten(2) - timedelta(hours=10)
    born = local_day(midnight, TAIPEI).replace(year=1992)
    async with a_shop(temporal, tmp_path, shop=gated) as (world, post):
        await enrol(
            world, member("ada", birth_date=born, phone="+33612345678"), member("bo", birth_date=born)
        )
        waiting = await waits(world, birthday(), midnight)
        assert (await ends(world, waiting)).words == "1 wave, 2 sent, 2 gifts"
        assert post.readers == ["ada", "bo"]
        rows = await MessageLog(world.engine).messages(limit=10)
        hours = {row["recipient"]: local(row["settled_at"], "Europe/Paris").hour for row in rows}
        assert hours["Ada"] == 9
        assert hours["Bo"] in (3, 4), "10:00 in Taipei"
