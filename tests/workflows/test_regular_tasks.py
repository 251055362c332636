"""Each kind of task once through on a real server: who gets what, and nothing twice."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from activities.bonus_books import LOTS
from activities.database import reading
from activities.merchants import Merchants
from activities.tasks import Tasks
from models.bonus import Accrual
from models.credits import to_points
from models.ids import wave_workflow_id
from models.regular_task import Gift, TaskKind
from models.task_waves import TaskRun, run_stamp
from models.timing import local_day
from models.wave import Words
from tests.requirements import requirement
from tests.tasks import SHOP, TAIPEI, a_shop, accrue, at_ten, enrol, lot, member, run, started, task
from tests.world import World, eventually, now
from workflows.wave import WaveWorkflow


@requirement("LOY-61", "LOY-62", "LOY-64")
async def test_one_message_tells_the_sum_that_is_about_to_be_activated(
    temporal: Client, tmp_path: Path
) -> None:
    """Of at least the minimum, within the days: tomorrow's two lots are one message with their sum."""
    at = at_ten()
    tomorrow, after = at + timedelta(days=1), at + timedelta(days=2)
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, *map(member, ("ada", "bo", "cy", "di")))
        lots = [lot("ada", 30, begins=tomorrow), lot("ada", 40.5, begins=tomorrow + timedelta(hours=3))]
        lots += [lot("bo", 49, begins=tomorrow), lot("cy", 100, begins=after), lot("di", 100)]
        await accrue(world, lots)
        report = await run(world, task(TaskKind.BONUS_ACTIVATION, days=1), at)
        assert (report.waves, report.sent, post.readers) == (1, 1, ["ada"])
        (text,) = post.to("ada")
        assert "70.5" in text
        assert "1 day" in text


@requirement("LOY-71", "LOY-73")
async def test_what_is_about_to_burn_is_told_once_for_each_account(temporal: Client, tmp_path: Path) -> None:
    at = at_ten()
    soon = at + timedelta(days=3)
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, *map(member, ("ada", "bo")))
        await accrue(world, [lot("ada", 81.25, ends=soon), lot("ada", 60, ends=soon, currency="stars")])
        await accrue(world, [lot("bo", 70, ends=soon, currency="stars")])
        report = await run(world, task(TaskKind.BONUS_BURN), at)
        assert (report.waves, report.sent, post.readers) == (2, 3, ["ada", "ada", "bo"])
        told = sorted(text.split()[0] for text in post.to("ada"))
        assert told == ["60", "81.25"]
        only = task(TaskKind.BONUS_BURN, currency="stars")
        assert (await run(world, only, at + timedelta(days=1))).waves == 1


@requirement("LOY-62", "LOY-71")
async def test_a_run_tells_nobody_what_an_earlier_one_has_told(temporal: Client, tmp_path: Path) -> None:
    """Neither the next day, nor the same run again, nor one that begins beside it; what is new, it does."""
    at = at_ten()
    burn = task(TaskKind.BONUS_BURN)
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, *map(member, ("ada", "bo")))
        await accrue(world, [lot("ada", 80, ends=at + timedelta(days=3))])
        beside = await asyncio.gather(run(world, burn, at), run(world, burn, at + timedelta(minutes=1)))
        assert sum(one.sent for one in beside) == 1
        again = await run(world, burn, at)
        assert again.skipped
        await accrue(world, [lot("bo", 90, ends=at + timedelta(days=2))], told=at + timedelta(hours=1))
        renamed = replace(burn, task_id="burn-of-another-name")
        assert (await run(world, renamed, at + timedelta(days=1))).sent == 1
        assert post.readers == ["ada", "bo"]


@requirement("LOY-62", "LOY-71")
@pytest.mark.parametrize("kind", [TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN])
async def test_what_is_too_little_today_is_told_tomorrow_with_what_has_come(
    temporal: Client, tmp_path: Path, kind: TaskKind
) -> None:
    """30 three days ahead are less than 50; 30 more the day after, and 60 are told, of what is left. Once."""
    days = [at_ten(number) for number in range(1, 7)]

    def given(name: str, amount: float, moment: datetime) -> Accrual:
        burns = kind is TaskKind.BONUS_BURN
        return lot(name, amount, ends=moment) if burns else lot(name, amount, begins=moment)

    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, *map(member, ("ada", "bo")))
        await accrue(world, [given("ada", 30, days[3]), given("ada", 30, days[4])])
        await accrue(world, [given("bo", 30, days[3]), given("bo", 19.999, days[4])])
        sent = [(await run(world, task(kind), day)).sent for day in days[:3]]
        assert (sent, post.readers) == ([0, 1, 0], ["ada"])
        assert "60" in post.to("ada")[0]


async def test_a_run_that_was_overtaken_or_missed_loses_nothing_and_doubles_nothing(
    temporal: Client, tmp_path: Path
) -> None:
    """More than its hours late it does nothing: the next run tells what it would have told."""
    at = at_ten(-1)
    burn = task(TaskKind.BONUS_BURN)
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, member("ada"))
        await accrue(world, [lot("ada", 80, ends=at + timedelta(days=3, hours=2))])
        late = await run(world, burn, at - timedelta(days=1))
        assert late.words == "skipped: missed by more than 6 hours"
        assert (await run(world, burn, at + timedelta(days=2))).sent == 1
        overtaken = await run(world, burn, at + timedelta(days=2, hours=-1))
        assert overtaken.words == "1 wave, 0 sent"
        assert post.readers == ["ada"]


@requirement("LOY-80", "LOY-81", "LOY-82")
async def test_a_birthday_is_greeted_at_ten_on_the_members_clock_with_its_gift(
    temporal: Client, tmp_path: Path
) -> None:
    """Everybody on the day of its own zone; who has no birth date, or another one, hears nothing."""
    midnight = at_ten(2) - timedelta(hours=10)
    today = local_day(midnight, TAIPEI)
    born, yesterday = today.replace(year=1990), (today - timedelta(days=1)).replace(year=1990)
    birthday = task(TaskKind.BIRTHDAY, cron="", gift=Gift("stars", Decimal("12.5"), days=30))
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(
            world,
            member("ada", birth_date=born),
            member("bo", birth_date=born, zone="Europe/Paris"),
            member("cy", birth_date=yesterday, zone="Pacific/Honolulu"),
            member("di", birth_date=born, zone="Pacific/Honolulu"),
            member("ed", birth_date=yesterday),
            member("fay"),
        )
        report = await run(world, birthday, midnight)
        assert (report.waves, report.sent, report.gifts) == (3, 3, 3)
        assert post.readers == ["ada", "bo", "cy"]
        assert all("12.5" in text and "birthday" in text for _, text in post.taken)
        assert await held(world) == {"ada": Decimal("12.5"), "bo": Decimal("12.5"), "cy": Decimal("12.5")}


@requirement("LOY-80", "LOY-81")
async def test_a_birthday_comes_once_a_year_whatever_happens(temporal: Client, tmp_path: Path) -> None:
    """The run again, another name of the task, another gift, a corrected birth date: nothing comes of it."""
    midnight = at_ten(2) - timedelta(hours=10)
    today = local_day(midnight, TAIPEI)
    birthday = task(TaskKind.BIRTHDAY, cron="", gift=Gift("stars", Decimal(10)))
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, member("ada", birth_date=today.replace(year=1990)))
        await run(world, birthday, midnight)
        await run(world, birthday, midnight)
        other = replace(birthday, task_id="greetings", gift=Gift("points", Decimal(20)))
        await run(world, other, midnight + timedelta(minutes=1))
        tomorrow = today + timedelta(days=1)
        if tomorrow.year == today.year:
            await enrol(world, member("ada", birth_date=tomorrow.replace(year=1990)))
            await run(world, birthday, midnight + timedelta(days=1))
        assert post.readers == ["ada"]
        assert await held(world) == {"ada": Decimal(10)}


@requirement("LOY-80")
async def test_a_greeting_that_waits_is_not_withdrawn_by_the_wave_of_another_zone(
    temporal: Client, tmp_path: Path
) -> None:
    """Paris and Berlin have one ten o'clock: the provider is busy for the one while the other is done."""
    midnight = at_ten(2) - timedelta(hours=10)
    born = local_day(midnight, TAIPEI).replace(year=1990)
    async with a_shop(temporal, tmp_path) as (world, post):
        zones = {"ada": "Europe/Paris", "bo": "Europe/Berlin", "cy": "Europe/London"}
        await enrol(world, *(member(name, birth_date=born, zone=zone) for name, zone in zones.items()))
        post.busy = {"ada": None}
        report = await run(world, task(TaskKind.BIRTHDAY, cron=""), midnight)
        assert (report.waves, report.sent, post.readers) == (4, 3, ["ada", "bo", "cy"])


@requirement("LS-03", "LS-11", "LS-12")
async def test_a_promotion_goes_once_to_each_member_of_its_groups(temporal: Client, tmp_path: Path) -> None:
    """Who is in two of them gets one message, in the words of its own language."""
    words = {"en": Words("New classes", "News"), "fr": Words("Nouveaux cours", "Nouvelles")}
    news = task(TaskKind.PROMOTION, groups=("gold", "yoga"), words=words)
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(
            world,
            member("ada", groups=("gold", "yoga")),
            member("bo", groups=("yoga",), locale="fr-CA"),
            member("cy", groups=("silver",)),
            member("di", groups=("gold",), locale="zh-Hant"),
        )
        await run(world, news, at_ten())
        assert post.readers == ["ada", "bo", "di"]
        assert [("Nouveaux cours" in text, "New classes" in text) for _, text in sorted(post.taken)] == [
            (False, True),
            (True, False),
            (False, True),
        ]
        everybody = replace(news, groups=(), everybody=True)
        assert (await run(world, everybody, at_ten(2))).sent == 4


@requirement("LS-12")
async def test_of_the_runs_of_a_promotion_that_an_outage_has_held_up_the_newest_goes_out(
    temporal: Client, tmp_path: Path
) -> None:
    """Oldest first, as the server makes up for them: nobody gets the same text once for every hour."""
    hour = now().replace(minute=0, second=0)
    news = task(TaskKind.PROMOTION, cron="0 * * * *", everybody=True, words={"en": Words("News")})
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, member("ada"))
        await Tasks(world.engine, Merchants(world.engine)).keep([news], now())
        hours = [hour - timedelta(hours=number) for number in (2, 1, 0)]
        reports = [await started(world, TaskRun(news, TAIPEI), at) for at in hours]
        old = "skipped: a newer run had come due when it could begin: that one does the work"
        assert [one.words for one in reports] == [old, old, "1 wave, 1 sent"]
        by_hand = await run(world, news, hour - timedelta(hours=1, minutes=30))
        assert (by_hand.sent, post.readers) == (0, ["ada"]), "a later one has done its work"


async def test_a_wave_that_is_terminated_takes_no_other_one_along(temporal: Client, tmp_path: Path) -> None:
    """Whoever ends it in the Web UI: the run goes on, and says so."""
    at, burn = now().replace(second=0) - timedelta(minutes=1), task(TaskKind.BONUS_BURN)
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, *map(member, ("ada", "bo")))
        soon = at + timedelta(days=3)
        await accrue(world, [lot("ada", 80, ends=soon), lot("bo", 80, ends=soon, currency="stars")])
        post.busy = {"ada": timedelta(hours=1), "bo": None}
        running = asyncio.create_task(run(world, burn, at))
        wave = world.handle(wave_workflow_id(SHOP.id, f"bonus-burn-points-{run_stamp(at)}"))
        await eventually(partial(waiting, wave))
        await wave.terminate("enough")
        assert (await running).words == "2 waves, 1 sent, 1 broken off"
        assert post.readers == ["bo"]


async def waiting(wave: WorkflowHandle[Any, Any]) -> bool | None:
    """Whether somebody waits for another go, once it has begun."""
    try:
        return bool((await wave.query(WaveWorkflow.progress)).waiting) or None
    except RPCError:
        return None


async def test_upkeep_burns_what_has_ended_and_says_what_began(temporal: Client, tmp_path: Path) -> None:
    at = at_ten()
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, member("ada"))
        upkeep = task(TaskKind.BONUS_UPKEEP)
        await run(world, upkeep, at - timedelta(hours=1))
        await accrue(world, [lot("ada", 80, ends=at), lot("ada", 5, begins=at, currency="stars")])
        assert (await run(world, upkeep, at)).words == "burned 80 points, began 5 stars"
        assert (await run(world, upkeep, at + timedelta(hours=1))).words == "nothing ended or began"
        assert post.taken == []


async def held(world: World) -> dict[str, Decimal]:
    """What each member has, of whatever account."""
    found: dict[str, Decimal] = {}
    async with reading(world.engine) as connection:
        for member_id, units in await connection.execute(select(LOTS.c.member_id, LOTS.c.remaining)):
            found[member_id] = found.get(member_id, Decimal(0)) + to_points(units)
    return found


async def test_what_a_schedule_starts_is_the_run_of_its_moment(temporal: Client, tmp_path: Path) -> None:
    """Whenever a worker comes to it: here at once; the second coming of an hour is no run."""
    hour = now().replace(minute=0, second=0)
    async with a_shop(temporal, tmp_path) as (world, post):
        await enrol(world, member("ada"))
        await accrue(world, [lot("ada", 80, ends=hour + timedelta(days=3))])
        hourly = task(TaskKind.BONUS_BURN, cron="0 * * * *")
        report = await started(world, TaskRun(hourly, TAIPEI), hour)
        assert (report.run_at, report.sent, post.readers) == (hour, 1, ["ada"])
        early = TaskRun(task(TaskKind.BONUS_BURN, cron="30 1 * * *"), "America/New_York")
        twice = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
        report = await started(world, early, twice)
        assert report.words == "skipped: no run of this task: its hour came twice"
        report = await started(world, early, twice - timedelta(hours=1))
        assert report.words == "skipped: missed by more than 6 hours"
