"""When a regular task runs, and at which of those moments clocks change."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import islice, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.wave_rows import key_of
from models.regular_task import RegularTask, TaskKind
from models.task_runs import is_run, last_midnight, runs_near_changes, task_runs
from models.task_waves import TaskRun, bonus_wave, over, overtaken
from models.timing import cron_runs, local
from tests.requirements import requirement

WINTER = datetime(2027, 1, 1, tzinfo=UTC)
TEN_YEARS = timedelta(days=3652)
BURN = RegularTask("burn", "lumi", TaskKind.BONUS_BURN, cron="30 2 * * *", days=3)
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Taipei"]


def shown(runs: list[datetime], zone: str) -> list[str]:
    return [f"{local(run, zone):%Y-%m-%d %H:%M}" for run in runs]


@requirement("LOY-60", "LOY-70")
def test_a_task_runs_by_its_cron_on_the_merchants_clock() -> None:
    """Every day at 02:30, also when the clocks go forward over it: then when they show 03:30."""
    runs = islice(task_runs(BURN, "Europe/Berlin", datetime(2027, 3, 27, 12, tzinfo=UTC)), 2)
    assert shown(list(runs), "Europe/Berlin") == ["2027-03-28 03:30", "2027-03-29 02:30"]


@requirement("LOY-80")
def test_a_birthday_task_runs_at_each_midnight_of_the_merchant() -> None:
    """It has no cron of its own: each zone has its hour within the day that begins there."""
    task = RegularTask("greetings", "lumi", TaskKind.BIRTHDAY)
    runs = list(islice(task_runs(task, "Asia/Taipei", WINTER), 2))
    assert shown(runs, "Asia/Taipei") == ["2027-01-02 00:00", "2027-01-03 00:00"]


def test_the_hour_that_comes_twice_has_one_run() -> None:
    """The first: what is started at the second is no run."""
    first = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    assert is_run(BURN, "Europe/Berlin", first)
    assert not is_run(BURN, "Europe/Berlin", first + timedelta(hours=1))
    assert not is_run(BURN, "Europe/Berlin", first + timedelta(minutes=1))
    assert is_run(replace(BURN, cron="30 * * * *"), "Europe/Berlin", first + timedelta(hours=1))


@pytest.mark.parametrize("at", [time(0), time(9, 30), time(23, 59)])
def test_the_day_of_a_birthday_run_begins_at_the_last_midnight(at: time) -> None:
    """At midnight itself too; where midnight is left out, the day begins when it is one o'clock."""
    midnight = datetime(2027, 3, 1, 5, tzinfo=UTC)
    since = timedelta(hours=at.hour, minutes=at.minute)
    assert last_midnight("America/Havana", midnight + since) == midnight
    gap = datetime(2027, 3, 14, 5, tzinfo=UTC)
    assert shown([last_midnight("America/Havana", gap + timedelta(hours=5))], "America/Havana") == [
        "2027-03-14 01:00"
    ]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 0 * * *", "*/20 2 * * 0", "15 * * * *"])
def test_the_runs_near_changes_are_those_around_which_the_clock_jumps(cron: str, zone: str) -> None:
    """Looked for over all runs of a year, one by one: within four hours the zone's offset is another."""
    until = WINTER + timedelta(days=366)
    found = list(runs_near_changes(cron, zone, WINTER, until))
    assert found == [run for run in _runs(cron, zone, until) if _jumps(run, zone)]


def _jumps(run: datetime, zone: str) -> bool:
    near = timedelta(hours=4)
    return local(run - near, zone).utcoffset() != local(run + near, zone).utcoffset()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 59), st.integers(0, 23), st.integers(0, 200_000))
def test_every_run_near_a_change_is_a_run(zone: str, minute: int, hour: int, offset: int) -> None:
    """Wherever the search begins: each is found once, and in order."""
    start = WINTER + timedelta(minutes=offset)
    task = replace(BURN, cron=f"{minute} {hour} * * *")
    found = list(runs_near_changes(task.cron, zone, start, start + TEN_YEARS))
    assert found == sorted(set(found))
    assert all(is_run(task, zone, run) and run > start for run in found)


def _runs(cron: str, zone: str, until: datetime) -> list[datetime]:
    return list(takewhile(lambda run: run <= until, cron_runs(cron, zone, WINTER)))


def test_no_run_is_near_a_change_where_clocks_never_change() -> None:
    assert list(runs_near_changes("30 2 * * *", "Asia/Taipei", WINTER, WINTER + TEN_YEARS)) == []


@requirement("LS-12")
def test_a_promotion_is_overtaken_once_its_next_run_has_come_due() -> None:
    """Not one that was asked for by hand, and no other kind: birthdays and bonuses double nothing."""
    hourly = RegularTask("news", "lumi", TaskKind.PROMOTION, cron="0 * * * *")
    run, hour, blink = TaskRun(hourly, "Asia/Taipei"), timedelta(hours=1), timedelta(microseconds=1)
    assert not overtaken(run, WINTER, WINTER + hour - blink)
    assert overtaken(run, WINTER, WINTER + hour)
    assert not overtaken(replace(run, at=WINTER), WINTER, WINTER + 3 * hour)
    others = [replace(run, task=replace(hourly, kind=kind)) for kind in TaskKind if kind != hourly.kind]
    assert not any(overtaken(one, WINTER, WINTER + 3 * hour) for one in others)


@requirement("LOY-62", "LOY-71")
def test_a_mark_is_over_when_nothing_of_its_run_can_be_under_way() -> None:
    """Some minutes after the last moment of its messages, which is before the next day's run."""
    run = TaskRun(BURN, "Asia/Taipei")
    wave = bonus_wave(run, "gift", WINTER)
    mark = key_of(wave, "")
    assert not over(mark, wave.not_after + timedelta(minutes=5))
    assert over(mark, WINTER + timedelta(days=1))
    assert not over("another", WINTER + timedelta(days=1))
