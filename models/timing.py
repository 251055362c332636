"""Time: the one place that turns local wall time into an instant, and back.

An instant is an aware datetime; every instant that leaves here is in UTC. Local time is given as a wall time
and the IANA name of a zone. Where the clocks change, one rule holds everywhere:

- a wall time that does not exist moves forward by the gap (02:30 on the last Sunday of March is 03:30 in
  Berlin; a day that a zone left out is the day after);
- a wall time that exists twice is its first.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache
from heapq import heappop, heappush
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from croniter import CroniterBadDateError, CroniterError, croniter

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
OFF_THE_CALENDAR = "is off the calendar: give a year from 2 to 9998."

NOT_PLACES = frozenset({"Factory", "localtime"})
"""Names in the zone database that mean another thing on each machine, or nothing."""

CRON_FIELDS = ("minute", "hour", "day of month", "month", "day of week")
CRON_FORM = f"five fields ({', '.join(CRON_FIELDS)}), such as '0 7 * * 1' for Monday 07:00"
CRON_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
CRON_NUMBERS = {
    "month": {name: str(number) for number, name in enumerate(MONTHS, start=1)},
    "day of week": {name: str(number) for number, name in enumerate(WEEKDAYS)},
}
CRON_VALUE = r"[0-9]{1,2}|[a-z]{3}"
CRON_PART = re.compile(rf"(?:\*|({CRON_VALUE})(?:-({CRON_VALUE}))?)(?:/[0-9]{{1,2}})?")

DURATION = re.compile(r"(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")


class TimeError(ValueError):
    """A zone, time, cron expression or duration that cannot be used; the message says how to mend it."""


@dataclass(frozen=True)
class Offset:
    """So many calendar days from a day (before it, if negative), at that wall-clock time."""

    days: int = 0
    at: time = time(0)


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. TimeError, with the nearest name there is, if it is unknown."""
    names = _zone_names()
    if name in names:
        return ZoneInfo(name)
    near = [known for known in names if known.casefold() == name.casefold()]
    near = near or get_close_matches(name, sorted(names), n=1)
    mend = f"did you mean {near[0]!r}?" if near else "give an IANA name such as 'Asia/Taipei'."
    raise TimeError(f"unknown zone {name!r}: {mend}")


def moment(day: date, offset: Offset, zone_name: str) -> datetime:
    """The instant that lies `offset` from `day` in that zone."""
    return instant(datetime.combine(_shifted(day, offset.days), offset.at), zone_name)


def instant(wall: datetime, zone_name: str) -> datetime:
    """The instant of a naive wall time: moved forward by the gap where there is none, the first of two."""
    if wall.tzinfo is not None:
        raise TimeError(f"{wall.isoformat()} carries a zone already: give the wall time without one.")
    return _reading(wall, zone(zone_name))


def local(instant: datetime, zone_name: str) -> datetime:
    """What the clock shows in that zone, as an aware datetime."""
    return _utc(instant).astimezone(zone(zone_name))


def local_day(instant: datetime, zone_name: str) -> date:
    """The calendar day in that zone."""
    return local(instant, zone_name).date()


def end_of_day(day: date, zone_name: str) -> datetime:
    """The last whole second of that local day.

    Where clocks go back over midnight the day comes twice, and this is the end of its second coming. A day
    that the zone left out moves forward like any wall time: its end is that of the day after.
    """
    tomorrow = _shifted(day, 1)
    midnight = datetime.combine(tomorrow, time())
    before, after = sorted(_reading(midnight, zone(zone_name), fold) - SECOND for fold in (0, 1))
    turn = after if local_day(after, zone_name) <= day else _last_second(day, zone_name, before, after)
    return turn if local_day(turn, zone_name) == day else end_of_day(tomorrow, zone_name)


def add_local_days(instant: datetime, days: int, zone_name: str) -> datetime:
    """That many calendar days later (earlier, if negative) at the same wall-clock time."""
    if days == 0:
        return _utc(instant)
    wall = local(instant, zone_name).replace(tzinfo=None)
    return _reading(datetime.combine(_shifted(wall.date(), days), wall.time()), zone(zone_name))


def check_cron(expression: str) -> None:
    """Refuse, with a TimeError, what is not plain five-field cron or never comes (30 February).

    Plain means numbers, names, `*`, lists, rising ranges and steps. Left out is what Temporal's Schedules
    refuse or read otherwise than croniter: `L`, `W`, `#`, `?`, seconds and years, a range that wraps, and a
    day of month together with a day of week (either one to croniter, both at once to Temporal).
    """
    if nickname := CRON_NICKNAMES.get(expression.strip().lower()):
        raise TimeError(f"cron {expression!r} is a nickname: write {nickname!r}.")
    fields = expression.split()
    if len(fields) != len(CRON_FIELDS):
        raise TimeError(f"cron {expression!r} has not five fields but {len(fields)}: write {CRON_FORM}.")
    for name, field in zip(CRON_FIELDS, fields, strict=True):
        for part in field.lower().split(","):
            _check_part(expression, name, part)
    _, _, days, _, weekdays = _expanded(expression)
    if days != ["*"] and weekdays != ["*"]:
        raise TimeError(
            f"cron {expression!r} names both a day of month and a day of week: write one task for each."
        )
    try:
        croniter(expression, datetime(2000, 1, 1)).get_next()  # noqa: DTZ001 - cron reads wall time
    except CroniterBadDateError:
        raise TimeError(f"cron {expression!r} never comes: name a day that those months have.") from None


def cron_runs(expression: str, zone_name: str, after: datetime) -> Iterator[datetime]:
    """The instants, strictly after `after` and strictly increasing, at which the expression is due.

    Each wall time that matches is due once, by the rule of this module: a daily 02:30 comes once on each
    local date, also when clocks change. An expression whose hour is `*` asks for every hour that passes: it
    comes again in an hour that is repeated. Wall times that a gap moves onto each other are one run.
    """
    check_cron(expression)
    return _runs(expression, zone(zone_name), _utc(after))


def next_run(expression: str, zone_name: str, after: datetime) -> datetime:
    """The first instant after `after` at which the expression is due."""
    return next(cron_runs(expression, zone_name, after))


def parse_duration(text: str) -> timedelta:
    """A duration in whole weeks, days, hours, minutes and seconds, in that order: '1w2d', '90m'."""
    found = DURATION.fullmatch(text)
    if not text or not found:
        raise TimeError(f"{text!r} is not a duration: write numbers with w, d, h, m, s in that order: 2d3h.")
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in found.groups())
    try:
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise TimeError(f"{text!r} is too long: write less than {timedelta.max.days} days.") from None


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones() - NOT_PLACES)


def _utc(given: datetime) -> datetime:
    if given.utcoffset() is None:
        raise TimeError(f"{given.isoformat()} has no zone: give an aware datetime, such as one in UTC.")
    return given.astimezone(UTC)


def _reading(wall: datetime, tz: ZoneInfo, fold: int = 0) -> datetime:
    """The instant by the clock of before a change (fold 0) or of after it (fold 1)."""
    try:
        return wall.replace(tzinfo=tz, fold=fold).astimezone(UTC)
    except OverflowError:
        raise TimeError(f"{wall.isoformat()} in {tz.key} {OFF_THE_CALENDAR}") from None


def _shifted(day: date, days: int) -> date:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        raise TimeError(f"{days} days from {day} {OFF_THE_CALENDAR}") from None


def _last_second(day: date, zone_name: str, low: datetime, high: datetime) -> datetime:
    """The last second not past `day`: `low` is one, `high` is past it, and the day turns once between."""
    while high - low > SECOND:
        middle = low + (high - low) // SECOND // 2 * SECOND
        if local_day(middle, zone_name) > day:
            high = middle
        else:
            low = middle
    return low


def _check_part(expression: str, name: str, part: str) -> None:
    """One element of a list in one field: its form, and that a range rises."""
    found = CRON_PART.fullmatch(part)
    if not found:
        raise TimeError(
            f"cron {expression!r} has {part!r} for its {name}: "
            "write numbers, *, lists (1,3), ranges (1-5) or steps (*/5)."
        )
    low, high = (CRON_NUMBERS.get(name, {}).get(value, value) for value in found.groups())
    if high and low.isdecimal() and high.isdecimal() and int(low) >= int(high):
        raise TimeError(f"cron {expression!r} has {part!r} for its {name}: write a rising range, or a list.")


def _expanded(expression: str) -> list[list[Any]]:
    """The values of each field; ["*"] where it leaves nothing out."""
    try:
        fields: list[list[Any]] = croniter.expand(expression)[0]
    except CroniterError as error:
        raise TimeError(f"cron {expression!r} is not readable ({error}): write {CRON_FORM}.") from None
    return fields


def _runs(expression: str, tz: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Wall times in order give instants nearly in order: a run waits until none can come before it."""
    every_hour = _expanded(expression)[1] == ["*"]
    waiting: list[datetime] = []
    for wall in _walls(expression, after.astimezone(tz).replace(tzinfo=None) - _jump(after, tz)):
        first, second = _reading(wall, tz), _reading(wall, tz, fold=1)
        while waiting and waiting[0] < min(first, second):
            run = heappop(waiting)
            if run > after:
                yield run
                after = run
        heappush(waiting, first)
        if every_hour and second > first:  # a repeated hour; in a gap the second reading is the earlier
            heappush(waiting, second)


def _walls(expression: str, start: datetime) -> Iterator[datetime]:
    """The wall times after `start` that match. Given a zone, croniter would run a daily task twice."""
    clock = croniter(expression, start, ret_type=datetime)
    while True:
        yield clock.get_next()


def _jump(around: datetime, tz: ZoneInfo) -> timedelta:
    """How far the clocks of that zone jump within a day of that instant (none has ever jumped further)."""
    days = ((around + nearby).astimezone(tz) for nearby in (-DAY, timedelta(), DAY))
    shifts = [day.utcoffset() or timedelta() for day in days]
    return max(shifts) - min(shifts)
