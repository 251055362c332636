"""Birthdays on the member's own clock, in leap years and in others."""

from calendar import isleap
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

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
from models.regular_task import RegularTask, TaskKind
from models.task_runs import task_runs
from models.task_waves import TaskRun, birthday_numbers, birthday_occasions
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
    for occasion in birthday_occasions(run, [zone], now, now):
        assert set(celebrated_on(occasion.day)) <= set(numbers)
    assert len(numbers) <= 5


@requirement("LOY-82")
def test_what_is_too_late_to_greet_is_left_out_and_the_rest_of_the_day_is_not() -> None:
    """A run that begins late, at 17:00 in Taipei: its ten o'clock is 7 hours past, that of Paris is now."""
    at = datetime(2027, 3, 1, 16, tzinfo=UTC)
    late = birthday_occasions(TaskRun(TASK, "Asia/Taipei"), ZONES, at, at + timedelta(hours=17))
    assert [one.zone for one in late] == ["Europe/Paris", "America/New_York"]


@requirement("LOY-81")
def test_a_gift_holds_to_the_end_of_its_last_day() -> None:
    """Of any lifetime: 30 days after 1 March is the 31st, on the member's clock; 0 days never end."""
    due = birthday_due(date(1990, 3, 1), 2027, TEN, "Europe/Paris")
    occasion = Occasion("Europe/Paris", date(2027, 3, 1), due, due)
    ends = gift_ends(30, occasion)
    assert ends is not None
    assert f"{local(ends, 'Europe/Paris'):%Y-%m-%d %H:%M:%S}" == "2027-04-01 00:00:00"
    assert gift_ends(0, occasion) is None
