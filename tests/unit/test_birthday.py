"""Birthdays on the member's own clock, in leap years and in others."""

from calendar import isleap
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.birthday import (
    Occasion,
    birthday_due,
    birthday_number,
    birthday_on,
    celebrated_on,
    gift_ends,
    next_birthday,
    occasions,
)
from models.regular_task import Gift, RegularTask, TaskKind
from models.task_runs import last_midnight, task_runs
from models.task_waves import (
    TaskRun,
    birthday_numbers,
    birthday_occasions,
    birthday_wave,
    in_time,
    why_left,
)
from models.timing import local
from tests.requirements import requirement

LEAP = date(1996, 2, 29)
TEN = time(10)
ZONES = ["Asia/Taipei", "Europe/Paris", "America/New_York", "Pacific/Kiritimati", "Pacific/Honolulu"]
TASK = RegularTask("greetings", "lumi", TaskKind.BIRTHDAY)

dates = st.dates(date(1930, 1, 1), date(2020, 12, 31))
years = st.integers(2026, 2050)
zones = st.sampled_from(ZONES)
instants = st.integers(0, 10 * 366 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@requirement("LOY-82")
def test_29_february_is_celebrated_on_the_28th_where_there_is_none() -> None:
    assert [birthday_on(LEAP, year) for year in (2027, 2028)] == [date(2027, 2, 28), date(2028, 2, 29)]
    assert celebrated_on(date(2027, 2, 28)) == (228, 229)
    assert celebrated_on(date(2028, 2, 28)) == (228,)
    assert celebrated_on(date(2028, 2, 29)) == (229,)


@requirement("LOY-82")
def test_a_greeting_is_due_at_ten_on_the_members_own_clock() -> None:
    due = birthday_due(date(1990, 3, 1), 2027, TEN, "America/New_York")
    assert due == datetime(2027, 3, 1, 15, tzinfo=UTC)


@given(dates, years)
@example(LEAP, 2027)
def test_everybody_celebrates_on_one_day_a_year_and_is_found_on_that_day(born: date, year: int) -> None:
    """By the number that the database keeps, on no other day of that year."""
    first = date(year, 1, 1)
    days = [first + timedelta(days=number) for number in range(366 if isleap(year) else 365)]
    found = [day for day in days if birthday_number(born) in celebrated_on(day)]
    assert found == [birthday_on(born, year)]


@settings(max_examples=60)
@given(dates, zones, instants)
def test_the_next_birthday_is_within_a_year_and_a_day(born: date, zone: str, after: datetime) -> None:
    due = next_birthday(born, TEN, zone, after)
    assert after < due <= after + timedelta(days=367)
    wall = due.astimezone(ZoneInfo(zone))
    assert (wall.date(), wall.time()) == (birthday_on(born, wall.year), TEN)


@settings(max_examples=40, deadline=None)
@given(zones, instants, st.times().map(lambda at: at.replace(second=0, microsecond=0, fold=0)))
def test_the_days_runs_hand_on_every_greeting_to_each_other(shop: str, start: datetime, at: time) -> None:
    """Whatever the zones and the hour: each local day of each zone falls to one run, and is due within it."""
    task = RegularTask("greetings", "lumi", TaskKind.BIRTHDAY, at=at)
    runs = task_runs(task, shop, start)
    marks = [next(runs) for _ in range(6)]
    found = [one for run, end in pairwise(marks) for one in occasions(ZONES, at, run, end)]
    assert found == sorted(found, key=lambda one: one.due)
    assert all(marks[0] <= one.due < marks[-1] for one in found)
    for zone in ZONES:
        days = [one.day for one in found if one.zone == zone]
        assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
        assert len(days) in (4, 5, 6)


@given(zones, zones, instants)
def test_a_run_asks_for_everybody_whom_it_may_greet(shop: str, zone: str, now: datetime) -> None:
    """The birth dates that it looks for are those of all its occasions, wherever they are."""
    run = TaskRun(TASK, shop)
    numbers = birthday_numbers(run, now)
    for occasion in birthday_occasions(run, [zone], now):
        assert set(celebrated_on(occasion.day)) <= set(numbers)
    assert len(numbers) <= 5


@requirement("LOY-82")
def test_what_is_too_late_to_greet_is_missed_and_the_rest_of_the_day_is_not() -> None:
    """A run that begins late, at 17:00 in Taipei: its ten o'clock is 7 hours past, that of Paris is now.

    The greetings of what is past are begun all the same, when they are over: each is then called missed.
    """
    run, at = TaskRun(TASK, "Asia/Taipei"), datetime(2027, 3, 1, 16, tzinfo=UTC)
    now = at + timedelta(hours=17)
    found = birthday_occasions(run, ZONES, at)
    assert [one.zone for one in in_time(run, found, now)] == ["Europe/Paris", "America/New_York"]
    waves = {one.zone: birthday_wave(run, one, max(now, one.due)) for one in found}
    assert [zone for zone, wave in waves.items() if wave.not_after < now] == [
        "Pacific/Honolulu",
        "Pacific/Kiritimati",
        "Asia/Taipei",
    ]
    paris = next(one for one in found if one.zone == "Europe/Paris")
    assert waves[paris.zone].not_after == paris.not_after, "who is in time has all day"


@requirement("LOY-81")
@pytest.mark.parametrize(
    ("applied", "why"),
    [
        (TASK, ""),
        (replace(TASK, gift=Gift("stars", Decimal(1)), channels=("sms",)), ""),
        (replace(TASK, kind=TaskKind.PROMOTION), "the task was removed"),
        (None, "the task was removed"),
        (replace(TASK, at=time(18)), "another run comes at 18:00"),
        (replace(TASK, at=time(0)), "another run comes at 00:00"),
    ],
)
def test_a_run_leaves_what_is_no_longer_its_own(applied: RegularTask | None, why: str) -> None:
    """Its moment has come in Taipei; the task stands otherwise than at midnight."""
    run, at = TaskRun(TASK, "Asia/Taipei"), datetime(2027, 3, 1, 16, tzinfo=UTC)
    taipei = next(one for one in birthday_occasions(run, ["Asia/Taipei"], at))
    assert why_left(run, taipei, applied, taipei.due) == why
    if applied is not None and applied.kind is TaskKind.BIRTHDAY:
        assert why_left(run, taipei, applied, taipei.due, paused=True) == "the task is paused"


hours = st.times().map(lambda at: at.replace(second=0, microsecond=0, fold=0))


@requirement("LOY-80", "LOY-81")
@settings(max_examples=80, deadline=None)
@given(zones, zones, instants, hours, hours, st.integers(0, 24 * 60 - 1))
def test_another_hour_in_the_middle_of_the_day_loses_no_birthday(
    shop: str, zone: str, start: datetime, before: time, after: time, minutes: int
) -> None:
    """Some run of the day before, of the new hour, or of the days after comes to each local day."""
    old, new = (TaskRun(replace(TASK, at=at), shop) for at in (before, after))
    midnights = task_runs(TASK, shop, start)
    days = [next(midnights) for _ in range(5)]
    changed = days[1] + timedelta(minutes=minutes)
    greeted = set[date]()
    for midnight in days:
        run = old if midnight <= changed else new
        for one in birthday_occasions(run, [zone], midnight):
            known = run.task if one.due < changed else new.task
            if not why_left(run, one, known, one.due):
                greeted.add(one.day)
    greeted |= {one.day for one in birthday_occasions(new, [zone], changed)}
    assert sorted(greeted) == [min(greeted) + timedelta(days=number) for number in range(len(greeted))]


CHANGES = [
    ("Europe/Paris", datetime(2027, 3, 28, 1, tzinfo=UTC)),  # 02:00 to 03:00 is left out
    ("Europe/Paris", datetime(2027, 10, 31, 1, tzinfo=UTC)),  # 02:00 to 03:00 comes twice
    ("America/Havana", datetime(2027, 3, 14, 5, tzinfo=UTC)),  # midnight is left out
    ("America/Havana", datetime(2027, 11, 7, 5, tzinfo=UTC)),  # midnight comes twice
    ("Australia/Lord_Howe", datetime(2027, 4, 3, 15, tzinfo=UTC)),  # half an hour comes twice
]


@requirement("LOY-80", "LOY-82")
@pytest.mark.parametrize(("zone", "change"), CHANGES)
@pytest.mark.parametrize("shop", ["Asia/Taipei", "Europe/Paris", "America/Havana", "America/Santiago"])
@pytest.mark.parametrize("quarter", range(0, 4 * 60, 15))
def test_a_birthday_where_clocks_change_comes_once(
    zone: str, change: datetime, shop: str, quarter: int
) -> None:
    """At whatever hour near the change, which may be one that is left out or comes twice."""
    at = time(*divmod(quarter, 60))
    run = TaskRun(replace(TASK, at=at), shop)
    midnights = task_runs(TASK, shop, change - timedelta(days=4))
    found = [one for _ in range(8) for one in birthday_occasions(run, [zone], next(midnights))]
    days = [one.day for one in found]
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
    assert days[0] < local(change, zone).date() < days[-1]
    for one in found:
        wall = local(one.due, zone)
        assert (wall.date(), wall.fold) == (one.day, 0)
        assert wall.time() >= at, "not before its hour"


@requirement("LOY-80", "LOY-81")
@settings(max_examples=100, deadline=None)
@given(zones, zones, instants)
def test_a_shop_that_moves_loses_no_birthday(before: str, after: str, moved: datetime) -> None:
    """Of members who live where it is: by the runs before, those that the move begins, and those after it."""
    old, new = TaskRun(TASK, before), TaskRun(TASK, after)
    greeted = set[date]()
    midnights = [last_midnight(before, moved - timedelta(days=number)) for number in range(4)]
    for one in (one for midnight in midnights for one in birthday_occasions(old, [before], midnight)):
        greeted |= {one.day} if one.due < moved else set()
    later = task_runs(TASK, after, moved)
    for midnight in (moved - timedelta(days=1), moved, next(later), next(later)):
        greeted |= {one.day for one in birthday_occasions(new, [after], midnight)}
    assert sorted(greeted) == [min(greeted) + timedelta(days=number) for number in range(len(greeted))]


@requirement("LOY-81")
def test_a_gift_holds_to_the_end_of_its_last_day() -> None:
    """Of any lifetime: 30 days after 1 March is the 31st, on the member's clock; 0 days never end."""
    due = birthday_due(date(1990, 3, 1), 2027, TEN, "Europe/Paris")
    occasion = Occasion("Europe/Paris", date(2027, 3, 1), due, due)
    for at, end in ((due, "2027-04-01 00:00:00"), (due + timedelta(days=3), "2027-04-04 00:00:00")):
        ends = gift_ends(30, occasion, at)
        assert ends is not None
        assert f"{local(ends, 'Europe/Paris'):%Y-%m-%d %H:%M:%S}" == end, "as long, though it comes late"
    assert gift_ends(0, occasion, due) is None
