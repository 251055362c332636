"""Schedules on a real server: made, changed, paused and removed; and when they fire, held to our own rule."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleOverlapPolicy

from commands.task_schedules import MOST, TaskSchedules, task_schedule, task_spec
from models.ids import task_schedule_id
from models.regular_task import RegularTask, TaskKind
from models.task_runs import is_run, task_runs
from models.task_waves import TaskRun
from models.timing import local
from tests.requirements import requirement
from tests.world import eventually

START = datetime(2027, 1, 1, tzinfo=UTC)
TEN_YEARS = START + timedelta(days=3652)
PLACES = (
    ("Europe/Berlin", "30 2 * * *"),
    ("Europe/Berlin", "*/20 1-3 * * sun"),
    ("America/New_York", "0 2 * * *"),
    ("Australia/Lord_Howe", "15 2 1,15 * *"),
    ("America/Havana", "0 0 * * *"),
    ("Africa/Casablanca", "30 2 * * *"),
    ("Asia/Taipei", "0 10 * * *"),
    ("Asia/Kathmandu", "59 23 31 * *"),
    ("America/Santiago", "0 0 * jan-jun,sep-dec sat,sun"),
    ("Europe/London", "30 */6 29 2 *"),
)


@pytest.fixture
async def schedules(temporal: Client) -> AsyncIterator[TaskSchedules]:
    """Those of a merchant that no other test knows."""
    made = TaskSchedules(temporal, "nobody-works-here", f"m-{uuid4().hex[:8]}")
    yield made
    for task_id in await made.found(["a", "b"]):
        await made.remove(task_id)


def job(
    schedules: TaskSchedules, task_id: str = "a", zone: str = "Asia/Taipei", **changes: object
) -> TaskRun:
    task = RegularTask(task_id, schedules.merchant_id, TaskKind.BONUS_BURN, cron="0 10 * * *", days=3)
    return TaskRun(replace(task, **changes), zone)  # type: ignore[arg-type]


async def fires(client: Client, schedule_id: str, start: datetime, end: datetime) -> list[datetime]:
    """What the server itself works out: every instant of that time at which the schedule starts something."""
    asked = ListScheduleMatchingTimesRequest(namespace=client.namespace, schedule_id=schedule_id)
    asked.start_time.CopyFrom(_stamp(start))
    asked.end_time.CopyFrom(_stamp(end))
    answer = await client.workflow_service.list_schedule_matching_times(asked)
    return [moment.ToDatetime(UTC) for moment in answer.start_time]


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


@requirement("LOY-60", "LOY-70", "LOY-80")
@pytest.mark.parametrize(("zone", "cron"), PLACES)
async def test_temporal_and_croniter_come_to_the_same_instants_over_ten_years(
    schedules: TaskSchedules, temporal: Client, zone: str, cron: str
) -> None:
    """Where they differ our rule holds: the schedule lacks no run, and what it fires besides is no run.

    That is the second coming of an hour that is repeated, and nothing else.
    """
    made = job(schedules, zone=zone, cron=cron)
    await schedules.put(made, START)
    runs = set(takewhile(lambda run: run <= TEN_YEARS, task_runs(made.task, zone, START)))
    found = set(await all_fires(temporal, schedules, TEN_YEARS))
    assert runs - found == set()
    besides = found - runs
    assert all(local(at, zone).fold == 1 and not is_run(made.task, zone, at) for at in besides)
    assert len(runs) > 9


async def all_fires(client: Client, schedules: TaskSchedules, end: datetime) -> list[datetime]:
    """The server answers a thousand at a time."""
    found: list[datetime] = []
    start = START
    while True:
        page = await fires(client, task_schedule_id(schedules.merchant_id, "a"), start, end)
        found += [at for at in page if not found or at > found[-1]]
        if len(page) < 1000:
            return [at for at in found if at > START]
        start = page[-1]


async def test_a_schedule_is_made_and_changed_and_one_that_is_paused_stays_so(
    schedules: TaskSchedules, temporal: Client
) -> None:
    """Its whole task travels with it: a run needs nobody to look it up."""
    await schedules.put(job(schedules), START)
    assert await schedules.pause("a", "the till is being moved")
    changed = job(schedules, minimum=Decimal("80.50"), cron="0 11 * * *", catch_up_hours=2)
    await schedules.put(changed, START)
    (found,) = (await schedules.found(["a"])).values()
    assert (found.job, found.paused, found.note) == (changed, True, "the till is being moved")
    described = (await temporal.get_schedule_handle(found.schedule_id).describe()).schedule
    assert isinstance(described.action, ScheduleActionStartWorkflow)
    assert described.action.id == task_schedule_id(schedules.merchant_id, "a")
    next_day = START + timedelta(days=1)
    assert await fires(temporal, found.schedule_id, START, next_day) == [START + timedelta(hours=3)]
    assert await schedules.resume("a", "moved")
    assert not (await schedules.found(["a"]))["a"].paused


async def test_a_missed_run_is_made_up_for_within_its_hours_and_runs_may_overlap(
    schedules: TaskSchedules, temporal: Client
) -> None:
    """A birthday task has its day more, all through which greetings fall due, and a week for its gifts."""
    await schedules.put(job(schedules, catch_up_hours=2), START)
    await schedules.put(job(schedules, "b", kind=TaskKind.BIRTHDAY, cron=""), START)
    for task_id, window in ("a", timedelta(hours=2)), ("b", timedelta(days=7, hours=25)):
        handle = temporal.get_schedule_handle(task_schedule_id(schedules.merchant_id, task_id))
        policy = (await handle.describe()).schedule.policy
        assert (policy.catchup_window, policy.overlap) == (window, ScheduleOverlapPolicy.ALLOW_ALL)


async def test_only_the_schedules_of_this_merchants_tasks_are_found_and_removed(
    schedules: TaskSchedules, temporal: Client
) -> None:
    """Also one that nobody remembers; not one of another merchant, nor one that does another thing."""
    other = TaskSchedules(temporal, "nobody-works-here", f"{schedules.merchant_id}.two")
    await schedules.put(job(schedules), START)
    await schedules.put(job(schedules, "forgotten"), START)
    await other.put(job(other), START)
    foreign = task_schedule_id(schedules.merchant_id, "b")
    spec = task_schedule(job(schedules), "nobody-works-here", START)
    await temporal.create_schedule(
        foreign, replace(spec, action=ScheduleActionStartWorkflow("Another", id="x", task_queue="y"))
    )

    async def listed() -> list[str] | None:
        found = sorted(await schedules.found(["b"]))
        return found if len(found) == 2 else None

    assert await eventually(listed) == ["a", "forgotten"]
    assert await schedules.remove("forgotten")
    assert not await schedules.remove("forgotten")
    assert sorted(await schedules.found(["a", "b", "forgotten"])) == ["a"]
    assert sorted(await other.found(["a"])) == ["a"]
    await other.remove("a")
    await temporal.get_schedule_handle(foreign).delete()


def test_as_many_runs_near_changes_are_told_as_fit() -> None:
    """The soonest, for a task that runs every minute; all of ten years for one of every half hour."""
    task = RegularTask("a", "lumi", TaskKind.BONUS_UPKEEP)
    often = task_spec(replace(task, cron="* * * * *"), "Europe/Berlin", START)
    assert len(often.intervals) == MOST
    half_hourly = task_spec(replace(task, cron="*/30 * * * *"), "Europe/Berlin", START)
    assert 300 < len(half_hourly.intervals) < MOST
