"""Birthdays: the day that is celebrated, and the moment of the greeting on the member's own clock. [LOY-82]

Whoever was born on 29 February celebrates on the 28th where the year has no 29th.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from models.timing import SECOND, Offset, end_of_day, local_day, moment

FEBRUARY_28 = 228
FEBRUARY_29 = 229
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Occasion:
    """One calendar day in one zone, and when its birthdays are greeted: `due` and `not_after` are UTC."""

    zone: str
    day: date
    due: datetime
    not_after: datetime


def birthday_on(birth_date: date, year: int) -> date:
    """The day of that year on which this birth date is celebrated."""
    try:
        return birth_date.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def birthday_due(birth_date: date, year: int, at: time, zone: str) -> datetime:
    """The moment of that year's greeting, UTC."""
    return moment(birthday_on(birth_date, year), Offset(at=at), zone)


def next_birthday(birth_date: date, at: time, zone: str, after: datetime) -> datetime:
    """The first moment of a greeting after that instant, UTC."""
    year = local_day(after, zone).year
    due = birthday_due(birth_date, year, at, zone)
    return due if due > after else birthday_due(birth_date, year + 1, at, zone)


def birthday_number(birth_date: date) -> int:
    """Month times 100 plus day, as members are found by it."""
    return birth_date.month * 100 + birth_date.day


def celebrated_on(day: date) -> tuple[int, ...]:
    """The numbers of the birth dates that are celebrated on that day."""
    number = birthday_number(day)
    common = (day + ONE_DAY).month != day.month
    return (FEBRUARY_28, FEBRUARY_29) if number == FEBRUARY_28 and common else (number,)


def occasions(zones: Sequence[str], at: time, start: datetime, end: datetime) -> tuple[Occasion, ...]:
    """The greetings of those zones that fall due from `start` until just before `end`, by `due`."""
    found = [
        Occasion(zone, day, due, end_of_day(day, zone))
        for zone in zones
        for day in _days(local_day(start, zone) - ONE_DAY, local_day(end, zone) + ONE_DAY)
        if start <= (due := moment(day, Offset(at=at), zone)) < end
    ]
    return tuple(sorted(found, key=lambda occasion: (occasion.due, occasion.zone)))


def _days(first: date, last: date) -> list[date]:
    return [first + number * ONE_DAY for number in range((last - first).days + 1)]


def gift_ends(days: int, occasion: Occasion, given: datetime) -> datetime | None:
    """When a gift of so many days can no longer be spent: it holds on the last of them still. [LOY-81]

    They are counted from the birthday; of a gift that comes after it, from the day on which it is `given`.
    """
    first = max(occasion.day, local_day(given, occasion.zone))
    return end_of_day(first + days * ONE_DAY, occasion.zone) + SECOND if days else None
