"""Local wall time becomes an instant by one rule, in every zone and year."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from models.timing import (
    Offset,
    TimeError,
    add_local_days,
    check_cron,
    cron_runs,
    end_of_day,
    instant,
    local,
    local_day,
    moment,
    next_run,
    parse_duration,
    zone,
)

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)

# `localtime` is whatever the machine has, `Factory` is a machine that nobody has set: neither is a place.
ZONES = sorted(available_timezones() - {"localtime", "Factory"})

zones = st.sampled_from(ZONES)
years = st.integers(1970, 2100)
days = st.dates(date(1970, 1, 1), date(2100, 12, 31))
hours = st.times().map(lambda at: at.replace(microsecond=0, fold=0))
thorough = settings(max_examples=200, deadline=None)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def at(text: str, zone_name: str) -> datetime:
    """The instant at which that zone's clock shows `text`, by ZoneInfo alone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone_name)).astimezone(UTC)


def shown(moments: list[datetime], zone_name: str) -> list[str]:
    return [f"{local(moment, zone_name):%m-%d %H:%M}" for moment in moments]


def runs(expression: str, zone_name: str, after: datetime, until: datetime) -> list[datetime]:
    return list(takewhile(lambda run: run <= until, cron_runs(expression, zone_name, after)))


class Change(NamedTuple):
    """The clocks of a zone change: at `when` its distance from UTC goes from `before` to `after`."""

    zone: str
    when: datetime
    before: timedelta
    after: timedelta

    def readings(self, naive: datetime) -> list[datetime]:
        """All instants at which the clock shows that wall time near the change: none, one or two."""
        early = (naive - self.before).replace(tzinfo=UTC)
        late = (naive - self.after).replace(tzinfo=UTC)
        return [early] * (early < self.when) + [late] * (late >= self.when)

    def by_rule(self, naive: datetime) -> datetime:
        """The rule of the project, worked out anew: the first reading, else forward by the gap."""
        gap = self.after - self.before
        return next(iter(self.readings(naive) or self.readings(naive + gap)))


def distance(when: datetime, zone_name: str) -> timedelta:
    return when.astimezone(ZoneInfo(zone_name)).utcoffset() or timedelta()


@cache
def changes(zone_name: str, year: int) -> list[Change]:
    """The changes of that zone's clocks in that year, found by looking once a week."""
    weeks = [datetime(year, 1, 1, tzinfo=UTC) + DAY * 7 * number for number in range(54)]
    found = []
    for low, high in pairwise(weeks):
        before, after = distance(low, zone_name), distance(high, zone_name)
        if before == after:
            continue
        while high - low > SECOND:
            middle = low + (high - low) // SECOND // 2 * SECOND
            low, high = (middle, high) if distance(middle, zone_name) == before else (low, middle)
        found.append(Change(zone_name, high, before, after))
    return found


@cache
def restless_zones() -> list[str]:
    """The zones whose clocks have changed since 1970."""
    quarters = [datetime(year, month, 1, tzinfo=UTC) for year in range(1970, 2038) for month in (1, 4, 7, 10)]
    return [name for name in ZONES if len({distance(quarter, name) for quarter in quarters}) > 1]


@st.composite
def clock_changes(draw: st.DrawFn) -> Change:
    """A change with no other within three days of it, so that its own two distances tell everything."""
    zone_name, year = draw(st.deferred(lambda: st.sampled_from(restless_zones()))), draw(years)
    nearest_first = sorted(range(1970, 2101), key=lambda other: abs(other - year))
    change = draw(st.sampled_from(next(filter(None, (changes(zone_name, other) for other in nearest_first)))))
    assume(distance(change.when - 3 * DAY, zone_name) == change.before)
    assume(distance(change.when + 3 * DAY, zone_name) == change.after)
    return change


@st.composite
def walls_near_a_change(draw: st.DrawFn) -> tuple[Change, datetime]:
    change = draw(clock_changes())
    pivot = draw(st.sampled_from([change.before, change.after]))
    step = draw(st.integers(-5400, 5400) | st.integers(-86400, 86400)) * SECOND
    return change, (change.when + pivot + step).replace(tzinfo=None)


APIA = Change("Pacific/Apia", utc("2011-12-30T10:00"), timedelta(hours=-10), timedelta(hours=14))
LORD_HOWE = Change("Australia/Lord_Howe", utc("2026-10-03T15:30"), timedelta(hours=10.5), timedelta(hours=11))


@pytest.mark.parametrize(
    ("given_wall", "zone_name", "expected"),
    [
        ("2026-03-02T07:00", "Asia/Taipei", "2026-03-01T23:00"),
        ("2026-03-29T01:59", "Europe/Berlin", "2026-03-29T00:59"),
        ("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:30"),  # does not exist: 03:30
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30"),  # twice: the first
        ("2026-10-04T02:10", "Australia/Lord_Howe", "2026-10-03T15:40"),  # half an hour is left out: 02:40
        ("2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-04T14:45"),  # half an hour comes twice
        ("2011-12-30T07:00", "Pacific/Apia", "2011-12-30T17:00"),  # the day is left out: the 31st
        ("2026-04-24T00:15", "Africa/Cairo", "2026-04-23T22:15"),  # midnight is left out: 01:15
        ("2028-02-29T12:00", "America/New_York", "2028-02-29T17:00"),
    ],
)
def test_a_wall_time_is_the_instant_that_its_zone_gives_it(
    given_wall: str, zone_name: str, expected: str
) -> None:
    """One that does not exist moves forward by the gap; one that exists twice is its first."""
    assert instant(wall(given_wall), zone_name) == utc(expected)


@thorough
@given(days, hours, zones)
def test_a_moment_keeps_its_wall_clock(day: date, hour: time, zone_name: str) -> None:
    """The clock of the zone shows the hour that was asked for, or a later one of a gap, on that day."""
    due = moment(day, Offset(at=hour), zone_name)
    naive, clock = datetime.combine(day, hour), local(due, zone_name).replace(tzinfo=None)
    gap = distance(due + DAY, zone_name) - distance(due - DAY, zone_name)
    assert due.tzinfo is UTC
    assert clock in (naive, naive + gap)


@settings(max_examples=500, deadline=None)
@given(walls_near_a_change())
@example((APIA, wall("2011-12-30T07:00")))
@example((APIA, wall("2011-12-29T23:59:59")))
@example((LORD_HOWE, wall("2026-10-04T02:10")))
def test_a_wall_time_in_a_gap_moves_by_the_gap_and_a_doubled_one_is_its_first(
    near: tuple[Change, datetime],
) -> None:
    """In all zones and years; worked out anew here from the two distances from UTC alone."""
    change, naive = near
    result = instant(naive, change.zone)
    readings = change.readings(naive)
    clock = local(result, change.zone).replace(tzinfo=None)
    assert result == change.by_rule(naive)
    assert clock == (naive if readings else naive + (change.after - change.before))


@thorough
@given(days, st.integers(-800, 800), hours, zones)
@example(date(2011, 12, 29), 0, time(7), "Pacific/Apia")
@example(date(2011, 12, 29), 1, time(7), "Pacific/Apia")
def test_a_moment_a_day_further_is_never_earlier(day: date, number: int, hour: time, zone_name: str) -> None:
    """It is later, but for a day that the zone left out, which is the day after."""
    first = moment(day, Offset(number, hour), zone_name)
    second = moment(day, Offset(number + 1, hour), zone_name)
    assert first < second or distance(second, zone_name) - distance(second - DAY * 1.5, zone_name) == DAY


def test_an_offset_counts_calendar_days_over_a_leap_day() -> None:
    """Seven days before 1 March at 15:00 is 23 February in a leap year and 22 February in another."""
    week_before = Offset(days=-7, at=time(15))
    assert moment(date(2028, 3, 1), week_before, "Asia/Taipei") == at("2028-02-23T15:00", "Asia/Taipei")
    assert moment(date(2027, 3, 1), week_before, "Asia/Taipei") == at("2027-02-22T15:00", "Asia/Taipei")
    assert moment(date(2028, 2, 28), Offset(1), "Asia/Taipei") == at("2028-02-29T00:00", "Asia/Taipei")


def test_an_instant_shows_as_local_time_and_day() -> None:
    """17:00 UTC is already tomorrow in Taipei and still today in New York."""
    evening = utc("2026-03-01T17:00")
    assert local(evening, "Asia/Taipei").isoformat() == "2026-03-02T01:00:00+08:00"
    assert local_day(evening, "Asia/Taipei") == date(2026, 3, 2)
    assert local_day(evening, "America/New_York") == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("day", "zone_name", "expected"),
    [
        ("2026-03-01", "Asia/Taipei", "2026-03-01T15:59:59"),
        ("2028-02-28", "UTC", "2028-02-28T23:59:59"),
        ("2028-02-29", "UTC", "2028-02-29T23:59:59"),
        ("2026-04-23", "Africa/Cairo", "2026-04-23T21:59:59"),  # the next midnight does not exist
        ("2026-10-29", "Africa/Cairo", "2026-10-29T21:59:59"),  # 23:00 to 24:00 comes twice: the second
        ("2026-10-31", "America/Havana", "2026-11-01T03:59:59"),  # the next day's midnight comes twice
        ("2010-11-06", "America/St_Johns", "2010-11-07T03:29:59"),  # 00:01 turned back to 23:01
        ("2024-03-30", "America/Scoresbysund", "2024-03-31T00:59:59"),
        ("2011-12-29", "Pacific/Apia", "2011-12-30T09:59:59"),
        ("2011-12-30", "Pacific/Apia", "2011-12-31T09:59:59"),  # left out: the end of the 31st
        ("1993-08-21", "Pacific/Kwajalein", "1993-08-22T11:59:59"),  # left out: the end of the 22nd
    ],
)
def test_the_end_of_a_day_is_its_last_whole_second(day: str, zone_name: str, expected: str) -> None:
    """Also where midnight is left out or comes twice, and where the day itself is left out."""
    assert end_of_day(date.fromisoformat(day), zone_name) == utc(expected)


def left_out(day: date, zone_name: str) -> bool:
    """Whether the calendar of that zone went without that day, as when it crossed the date line."""
    noon = datetime.combine(day, time(12), UTC)
    clocks = ((noon + timedelta(hours=number)).astimezone(ZoneInfo(zone_name)) for number in range(-36, 36))
    return all(clock.date() != day for clock in clocks)


def holds_the_end_of_its_day(day: date, zone_name: str) -> None:
    end = end_of_day(day, zone_name)
    assert end.tzinfo is UTC
    assert end.microsecond == 0
    assert local_day(end, zone_name) == day
    assert all(local_day(end + later, zone_name) > day for later in (SECOND, DAY / 48, DAY / 8, DAY))


@thorough
@given(days, zones)
def test_the_second_after_the_end_of_a_day_is_in_the_next(day: date, zone_name: str) -> None:
    """The end of a day is in that day; the next second, and all that come, are not."""
    assume(not left_out(day, zone_name))
    holds_the_end_of_its_day(day, zone_name)


@thorough
@given(clock_changes(), st.integers(-1, 1))
def test_the_end_of_a_day_holds_where_clocks_change(change: Change, number: int) -> None:
    """Near a change too, where midnight may be missing or doubled."""
    day = local_day(change.when, change.zone) + number * DAY
    assume(not left_out(day, change.zone))
    holds_the_end_of_its_day(day, change.zone)


@pytest.mark.parametrize(
    ("zone_name", "day"),
    [("Pacific/Apia", "2011-12-30"), ("Pacific/Fakaofo", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-21")],
)
def test_a_day_that_a_zone_left_out_is_the_day_after(zone_name: str, day: str) -> None:
    """Its moments and its end are those of the day that came in its place."""
    missing, morning = date.fromisoformat(day), Offset(at=time(7))
    assert left_out(missing, zone_name)
    assert end_of_day(missing, zone_name) == end_of_day(missing + DAY, zone_name)
    assert moment(missing, morning, zone_name) == moment(missing + DAY, morning, zone_name)


@thorough
@given(days, hours, zones, st.integers(-400, 400))
def test_days_added_keep_the_wall_clock(day: date, hour: time, zone_name: str, number: int) -> None:
    """So many days later is the moment with that offset from the local day, at the hour the clock showed."""
    start = moment(day, Offset(at=hour), zone_name)
    clock = local(start, zone_name)
    assume(number)
    assert add_local_days(start, number, zone_name) == moment(
        clock.date(), Offset(number, clock.time()), zone_name
    )


def test_days_added_are_calendar_days_and_not_24_hours() -> None:
    """09:00 in Berlin plus a day is 09:00 on either side of a change; plus none is the same instant."""
    assert add_local_days(utc("2026-03-28T08:00"), 1, "Europe/Berlin") == utc("2026-03-29T07:00")
    assert add_local_days(utc("2026-10-24T07:00"), 1, "Europe/Berlin") == utc("2026-10-25T08:00")
    second_time = utc("2026-10-25T01:30")
    assert add_local_days(second_time, 0, "Europe/Berlin") == second_time


@pytest.mark.parametrize(
    ("expression", "zone_name", "asked", "expected"),
    [
        ("0 7 * * 1", "Asia/Taipei", "2026-03-04T12:00", "2026-03-09T07:00"),
        ("0 7 * * mon", "Asia/Taipei", "2026-03-04T12:00", "2026-03-09T07:00"),
        ("0 7 * * 1-5", "Asia/Taipei", "2026-03-06T12:00", "2026-03-09T07:00"),
        ("0 9 * * *", "Europe/Berlin", "2026-03-28T20:00", "2026-03-29T09:00"),
        ("0 9 * * *", "Europe/Berlin", "2026-10-24T20:00", "2026-10-25T09:00"),
        ("0 7 * * 1", "Asia/Taipei", "2026-03-09T07:00", "2026-03-16T07:00"),  # strictly after
        ("0 7 * * 1", "Asia/Taipei", "2026-03-09T06:59:59.999999", "2026-03-09T07:00"),
        ("0 12 29 2 *", "Asia/Taipei", "2026-03-01T00:00", "2028-02-29T12:00"),
        ("0 12 29 2 *", "Asia/Taipei", "2096-03-01T00:00", "2104-02-29T12:00"),  # 2100 is no leap year
        ("0 7 * * 7", "Asia/Taipei", "2026-03-04T12:00", "2026-03-08T07:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T20:00", "2026-03-29T03:30"),  # moved by the gap
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T03:10", "2026-03-29T03:30"),  # asked behind the gap
        ("10 2 * * *", "Australia/Lord_Howe", "2026-10-03T20:00", "2026-10-04T02:40"),
    ],
)
def test_the_next_run_is_at_its_local_hour(
    expression: str, zone_name: str, asked: str, expected: str
) -> None:
    """Asked at one local time, the task is next due at another."""
    assert next_run(expression, zone_name, at(asked, zone_name)) == at(expected, zone_name)


@pytest.mark.parametrize(
    ("expression", "day", "expected"),
    [
        ("30 2 * * *", "2026-03-29", ["03-29 03:30"]),
        ("30 2 * * *", "2026-10-25", ["10-25 02:30"]),
        ("0 1-4 * * *", "2026-03-29", ["03-29 01:00", "03-29 03:00", "03-29 04:00"]),
        ("0 1-4 * * *", "2026-10-25", ["10-25 01:00", "10-25 02:00", "10-25 03:00", "10-25 04:00"]),
        ("*/30 2 * * *", "2026-03-29", ["03-29 03:00", "03-29 03:30"]),
        ("*/30 2 * * *", "2026-10-25", ["10-25 02:00", "10-25 02:30"]),
    ],
)
def test_a_task_that_names_its_hours_runs_once_at_each(
    expression: str, day: str, expected: list[str]
) -> None:
    """An hour left out moves forward, onto one run with what was due there; an hour repeated counts once."""
    after = end_of_day(date.fromisoformat(day) - DAY, "Europe/Berlin")
    until = end_of_day(date.fromisoformat(day), "Europe/Berlin")
    assert shown(runs(expression, "Europe/Berlin", after, until), "Europe/Berlin") == expected


@pytest.mark.parametrize(
    ("expression", "step", "on_spring_day", "on_autumn_day"),
    [("0 * * * *", 60, 23, 25), ("*/15 * * * *", 15, 92, 100), ("* */1 * * *", 1, 1380, 1500)],
)
def test_a_task_of_every_hour_keeps_its_pace_when_clocks_change(
    expression: str, step: int, on_spring_day: int, on_autumn_day: int
) -> None:
    """It follows the hours that pass: 23 of them on the day that is short, 25 on the day that is long."""
    for day, count in ((date(2026, 3, 29), on_spring_day), (date(2026, 10, 25), on_autumn_day)):
        after = end_of_day(day - DAY, "Europe/Berlin")
        found = runs(expression, "Europe/Berlin", after, end_of_day(day, "Europe/Berlin"))
        assert len(found) == count
        assert {second - first for first, second in pairwise(found)} == {timedelta(minutes=step)}


MINUTES = {"0": {0}, "30": {30}, "*/15": {0, 15, 30, 45}, "10-50/20": {10, 30, 50}, "20,25,40": {20, 25, 40}}
HOURS = {
    "*": set(range(24)),
    "*/2": set(range(0, 24, 2)),
    "0": {0},
    "2": {2},
    "1-3": {1, 2, 3},
    "0,23": {0, 23},
}
DATES = {"*": set(range(1, 32)), "1": {1}, "29-31": {29, 30, 31}, "*/2": set(range(1, 32, 2))}
MONTHS = {"*": set(range(1, 13)), "3,4,10-dec": {3, 4, 10, 11, 12}, "1/3": {1, 4, 7, 10}}
WEEKDAYS = {
    "*": set(range(7)),
    "0": {0},
    "7": {0},
    "sat,sun": {6, 0},
    "mon-FRI": {1, 2, 3, 4, 5},
    "5-7/2": {5, 0},
}


class Cron(NamedTuple):
    """An expression, with the wall times that it means given as plain sets."""

    minute: str
    hour: str
    day: str
    month: str
    weekday: str

    def __str__(self) -> str:
        return " ".join(self)

    def comes(self, naive: datetime) -> bool:
        return (
            naive.minute in MINUTES[self.minute]
            and naive.hour in HOURS[self.hour]
            and naive.day in DATES[self.day]
            and naive.month in MONTHS[self.month]
            and naive.isoweekday() % 7 in WEEKDAYS[self.weekday]
        )

    def walls(self, start: datetime, number_of_days: int) -> Iterator[datetime]:
        first = start.replace(hour=0, minute=0, second=0, microsecond=0)
        for day in (first + number * DAY for number in range(number_of_days)):
            for minute in range(0, 24 * 60):
                naive = day + timedelta(minutes=minute)
                if self.comes(naive):
                    yield naive


@st.composite
def crons(draw: st.DrawFn) -> Cron:
    day, weekday = draw(
        st.tuples(st.sampled_from(list(DATES)), st.just("*"))
        | st.tuples(st.just("*"), st.sampled_from(list(WEEKDAYS)))
    )
    minute, hour, month = (draw(st.sampled_from(list(values))) for values in (MINUTES, HOURS, MONTHS))
    return Cron(minute, hour, day, month, weekday)


@thorough
@given(crons(), zones, st.datetimes(wall("1970-01-03"), wall("2100-12-31")))
def test_runs_are_strictly_increasing_and_match_their_expression(
    cron: Cron, zone_name: str, asked: datetime
) -> None:
    """In any zone and year each run is later than the last, and its clock shows a time that was asked for."""
    after = asked.replace(tzinfo=UTC)
    found = list(islice(cron_runs(str(cron), zone_name, after), 30))
    assert all(first < second for first, second in pairwise([after, *found]))
    for run in found:
        clock = local(run, zone_name).replace(tzinfo=None)
        gap = distance(run, zone_name) - distance(run - DAY, zone_name)
        assert cron.comes(clock) or cron.comes(clock - gap)


@thorough
@given(crons(), clock_changes(), st.integers(-2 * 86400, 86400))
@example(Cron("30", "2", "*", "*", "*"), LORD_HOWE, 0)
@example(Cron("20,25,40", "2", "*", "*", "*"), LORD_HOWE, -3600)  # moved past one that was not
@example(Cron("0", "*", "*", "*", "*"), LORD_HOWE, -3600)
@example(Cron("0", "2", "29-31", "*", "*"), APIA, -86400)
@example(Cron("*/15", "*", "*", "*", "*"), APIA, 0)
def test_runs_where_clocks_change_are_every_wall_time_by_the_rule(
    cron: Cron, change: Change, asked: int
) -> None:
    """Worked out anew here from plain sets and two distances from UTC, without croniter and ZoneInfo."""
    after, until = change.when + asked * SECOND, change.when + 2 * DAY
    expected: set[datetime] = set()
    for naive in cron.walls((change.when - 4 * DAY).replace(tzinfo=None), 8):
        expected.add(change.by_rule(naive))
        if cron.hour == "*":
            expected.update(change.readings(naive))
    assert runs(str(cron), change.zone, after, until) == sorted(t for t in expected if after < t <= until)


@thorough
@given(clock_changes(), hours)
def test_a_daily_task_runs_once_on_each_local_date(change: Change, hour: time) -> None:
    """Whatever the clocks do; only a gap over midnight can move a run to the next date."""
    naive = datetime.combine(local_day(change.when, change.zone), hour)
    first, last = naive.date() - DAY, naive.date() + DAY
    assume(all(change.readings(naive + number * DAY) for number in (-1, 0, 1)) or naive.hour < 22)
    assume(abs(change.after - change.before) <= DAY / 8)
    after, until = end_of_day(first - DAY, change.zone), end_of_day(last, change.zone)
    found = runs(f"{hour.minute} {hour.hour} * * *", change.zone, after, until)
    assert [local_day(run, change.zone) for run in found] == [first, naive.date(), last]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "not five fields but 0"),
        ("0 7 * *", "not five fields but 4"),
        ("0 7 * * 1 30", "not five fields but 6"),
        ("0 0 7 * * 1 2026", "not five fields but 7"),
        ("0 7 * * 1 30", "minute, hour, day of month, month, day of week"),
        ("@daily", "write '0 0 * * *'"),
        (" @Weekly ", "write '0 0 * * 0'"),
        ("@reboot", "not five fields but 1"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,nov *", "never comes"),
        ("60 7 * * *", "out of range"),
        ("0 24 * * *", "out of range"),
        ("0 7 0 * *", "out of range"),
        ("0 7 * 13 *", "out of range"),
        ("0 7 * * 8", "out of range"),
        ("0 7 * * mo", "'mo' for its day of week"),
        ("0 mon * * *", "not readable"),
        ("*/0 * * * *", "not readable"),
        ("0 7 * * 1,", "'' for its day of week"),
        ("0 7 l * *", "'l' for its day of month"),
        ("0 7 15W * *", "'15w' for its day of month"),
        ("0 7 * * 1#2", "'1#2' for its day of week"),
        ("0 7 ? * 1", "'?' for its day of month"),
        ("h h * * *", "'h' for its minute"),
        ("r * * * *", "'r' for its minute"),
        ("0 7 * * fri-mon", "a rising range"),
        ("0 7 * * sat-sun", "a rising range"),
        ("0 7 * mar-mar *", "a rising range"),
        ("0 7 1-31 * mon", "both a day of month and a day of week"),
        ("0 7 1 * mon", "both a day of month and a day of week"),
        ("0 7 */2 * 1-5", "both a day of month and a day of week"),
        ("-5 7 * * *", "'-5' for its minute"),
    ],
)
def test_a_cron_expression_that_cannot_be_kept_is_refused_with_its_mend(expression: str, said: str) -> None:
    """The message names the expression and what to write; `cron_runs` refuses it when called."""
    with pytest.raises(TimeError) as refused:
        check_cron(expression)
    assert said in str(refused.value)
    assert repr(expression) in str(refused.value)
    with pytest.raises(TimeError):
        cron_runs(expression, "Asia/Taipei", utc("2026-01-01T00:00"))


@pytest.mark.parametrize(
    "expression",
    [
        "0 7 * * 1",
        "*/5 * * * *",
        "0 9-17/2 1,15 jan-mar *",
        "  0  7 * *  MON-fri ",
        "0 0 29 2 *",
        "0 7 1-31 * *",
        "59 23 31 12 *",
        "0 7 * * 5-7",
        "0 7 * * 0-6",
    ],
)
def test_plain_five_field_cron_is_accepted(expression: str) -> None:
    """Numbers, names, lists, rising ranges and steps, in either case and with any spaces between."""
    check_cron(expression)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Asia/Tapei", "unknown zone 'Asia/Tapei': did you mean 'Asia/Taipei'?"),
        ("europe/berlin", "did you mean 'Europe/Berlin'?"),
        ("Europe", "unknown zone 'Europe'"),
        ("", "give an IANA name such as 'Asia/Taipei'"),
        ("../Asia/Taipei", "unknown zone"),
        ("localtime", "unknown zone 'localtime'"),
        ("+08:00", "unknown zone '+08:00'"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_name(name: str, said: str) -> None:
    """Never another error, whatever was written."""
    with pytest.raises(TimeError) as refused:
        zone(name)
    assert said in str(refused.value)


def test_every_zone_of_the_database_is_known() -> None:
    """And it is loaded once."""
    assert all(zone(name).key == name for name in ZONES)
    assert zone("Asia/Taipei") is zone("Asia/Taipei")


def test_an_instant_without_a_zone_is_refused() -> None:
    """A naive time could mean any of forty instants, so it is never guessed."""
    naive = wall("2026-03-01T09:00")
    asks: list[Callable[[datetime, str], object]] = [local, local_day]
    asks.append(lambda given, name: add_local_days(given, 1, name))
    for ask in asks:
        with pytest.raises(TimeError, match="2026-03-01T09:00:00 has no zone"):
            ask(naive, "Asia/Taipei")
    with pytest.raises(TimeError, match="has no zone"):
        next_run("0 7 * * *", "Asia/Taipei", naive)


def test_a_wall_time_that_carries_a_zone_is_refused() -> None:
    """It is an instant already."""
    with pytest.raises(TimeError, match="carries a zone already"):
        instant(utc("2026-03-01T09:00"), "Asia/Taipei")
    with pytest.raises(TimeError, match="carries a zone already"):
        moment(date(2026, 3, 1), Offset(at=time(9, tzinfo=UTC)), "Asia/Taipei")


def test_a_day_off_the_calendar_is_refused() -> None:
    """ "Never expires" written as the year 9999 is told, not met as an overflow."""
    asks: list[Callable[[], datetime]] = [
        lambda: end_of_day(date.max, "Asia/Taipei"),
        lambda: moment(date.max, Offset(1), "Asia/Taipei"),
        lambda: moment(date.max, Offset(at=time(23)), "America/New_York"),
        lambda: add_local_days(utc("2026-03-01T09:00"), -(10**6), "Asia/Taipei"),
    ]
    for ask in asks:
        with pytest.raises(TimeError, match="off the calendar"):
            ask()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2d3h", timedelta(days=2, hours=3)),
        ("90m", timedelta(minutes=90)),
        ("1w2d", timedelta(days=9)),
        ("45s", timedelta(seconds=45)),
        ("1w1d1h1m1s", timedelta(weeks=1, days=1, hours=1, minutes=1, seconds=1)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_reads_as_it_is_written(text: str, expected: timedelta) -> None:
    """Weeks, days, hours, minutes and seconds, each at most once, largest first."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "2", "d", "3h2d", "1d1d", "-1d", "1.5h", "2d 3h", "2D", "P2D", "1y", "１d", "9" * 12 + "w"]
)
def test_what_is_not_a_duration_is_refused_with_its_mend(text: str) -> None:
    """The message names the text and the form to write."""
    with pytest.raises(TimeError, match="write") as refused:
        parse_duration(text)
    assert repr(text) in str(refused.value)


@thorough
@given(st.integers(0, 999), st.integers(0, 999), st.integers(0, 9999))
def test_any_whole_duration_can_be_written(number_of_days: int, minutes: int, seconds: int) -> None:
    """And reads back as it was."""
    expected = timedelta(days=number_of_days, minutes=minutes, seconds=seconds)
    assert parse_duration(f"{number_of_days}d{minutes}m{seconds}s") == expected
