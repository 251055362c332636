"""A month of a shop's regular tasks, day by day, against a plain loop over plain data.

What is expected is worked out here from the numbers alone: it shares no code with what is tested.
"""

import asyncio
import re
from calendar import monthrange
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from temporalio.client import Client

from activities.message_log import MessageLog
from models.bonus import Accrual
from models.regular_task import Gift, TaskKind
from models.task_runs import task_runs
from models.timing import SECOND
from models.wave import Words
from tests.requirements import requirement
from tests.tasks import a_shop, accrue, enrol, lot, member, run, task
from tests.world import World, now

SEED = 20270
MEMBERS = 40
ACTIVATION, BURN, MINIMUM = 2, 3, 50
GIFT_DAYS = 5
HERE = ZoneInfo("Asia/Taipei")
PLACES = ["", "", "", "Europe/Paris", "America/New_York", "Pacific/Auckland"]
GROUPS = ["gold", "yoga", "silver"]
ASKED = {"gold", "yoga"}


@dataclass(frozen=True)
class Somebody:
    """A member, in numbers. `born`: month and day, or nothing. `place`: a zone, blank is the shop's."""

    name: str
    born: tuple[int, int] | None
    place: str
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Given:
    """Bonuses: `told` when we heard of them, spendable from `begins`, gone at `ends`."""

    name: str
    currency: str
    amount: int
    told: datetime
    begins: datetime
    ends: datetime


Told = tuple[str, str, str, str, date]
"""Who, of what, of which account, how much, on which day by the shop's clock."""


def people(random: Random, first: date) -> list[Somebody]:
    """A third of them celebrate within the month or beside it; of three it is the end of February."""
    found = [Somebody(f"f{number}", (2, 27 + number), "", ("gold",)) for number in range(3)]
    for number in range(MEMBERS):
        near = first + timedelta(days=random.randrange(-3, 34))
        born = (near.month, near.day) if number % 3 == 0 else random.choice([None, (7, 7), (12, 24)])
        groups = tuple(sorted(random.sample(GROUPS, random.randrange(3))))
        found.append(Somebody(f"m{number:02}", born, random.choice(PLACES), groups))
    return found


def bonuses(random: Random, everybody: list[Somebody], first: date) -> list[Given]:
    """Some told before the month and some within it, at hours that no task runs at."""
    start, found = datetime.combine(first, datetime.min.time(), HERE), []
    for _ in range(MEMBERS * 6):
        told = start + timedelta(
            days=random.randrange(-10, 28), hours=random.choice([1, 7, 15, 22]), minutes=30
        )
        begins = told + timedelta(days=random.randrange(0, 8), hours=random.randrange(0, 24))
        ends = begins + timedelta(days=random.randrange(1, 12), hours=random.randrange(0, 24))
        who, currency = random.choice(everybody).name, random.choice(["points", "stars"])
        found.append(Given(who, currency, random.choice([10, 24, 25, 26, 50, 75]), told, begins, ends))
    return found


def expected_notices(given: list[Given], days: list[date]) -> Iterator[Told]:
    """Day by day: what of it is ahead and nobody has told, by member and account; told if it is enough."""
    for what, ahead in (("bonus_activation", ACTIVATION), ("bonus_burn", BURN)):
        told_of: set[int] = set()
        for today in days:
            ten = datetime.combine(today, datetime.min.time(), HERE) + timedelta(hours=10)
            sums: dict[tuple[str, str], list[int]] = {}
            for number, one in enumerate(given):
                moment = one.begins if what == "bonus_activation" else one.ends
                day = moment.astimezone(HERE).date()
                wanted = what == "bonus_burn" or one.currency == "points"
                near = moment > ten >= one.told and (day - today).days <= ahead
                if wanted and near and number not in told_of:
                    sums.setdefault((one.name, one.currency), []).append(number)
            for (name, currency), numbers in sums.items():
                amount = sum(given[number].amount for number in numbers)
                if amount >= MINIMUM:
                    told_of.update(numbers)
                    yield name, what, currency, str(amount), today


def expected_birthdays(everybody: list[Somebody], days: list[date]) -> Iterator[Told]:
    for one, moment in birthdays(everybody, days):
        yield one.name, "birthday", "", "", moment.astimezone(HERE).date()


def birthdays(everybody: list[Somebody], days: list[date]) -> Iterator[tuple[Somebody, datetime]]:
    """Ten o'clock of each birthday, where the member is, in the month as the shop's calendar has it."""
    for year in (days[0].year - 1, days[0].year, days[0].year + 1):
        for one in everybody:
            if one.born is not None:
                month, day = one.born[0], min(one.born[1], monthrange(year, one.born[0])[1])
                ten = datetime(year, month, day, 10, tzinfo=ZoneInfo(one.place) if one.place else HERE)
                if ten.astimezone(HERE).date() in days:
                    yield one, ten


def expected_gifts(everybody: list[Somebody], days: list[date]) -> Iterator[Given]:
    """Each birthday brings 60 stars, spendable from its greeting to the end of the fifth day after it."""
    for one, ten in birthdays(everybody, days):
        end = ten.replace(hour=0) + timedelta(days=GIFT_DAYS + 1)
        yield Given(one.name, "stars", 60, ten + timedelta(minutes=1), ten, end)


def expected_promotions(everybody: list[Somebody], days: list[date]) -> Iterator[Told]:
    for today in days:
        if today.isoweekday() == 1:
            yield from (
                (one.name, "promotion", "", "", today) for one in everybody if ASKED & set(one.groups)
            )


def expected(everybody: list[Somebody], given: list[Given], days: list[date]) -> list[Told]:
    notices = expected_notices(given, days)
    return sorted([*notices, *expected_birthdays(everybody, days), *expected_promotions(everybody, days)])


async def lived(world: World, days: list[date], given: list[Given]) -> list[Told]:
    """Each run of each task in the month, one day after the other; what the message log then tells.

    What is given is told before the ten o'clock that follows: on that day, nothing else looks at it.
    """
    tasks = [
        task(TaskKind.BONUS_ACTIVATION, days=ACTIVATION, currency="points"),
        task(TaskKind.BONUS_BURN, days=BURN),
        task(TaskKind.BONUS_UPKEEP, cron="30 3 * * wed"),
        task(TaskKind.BIRTHDAY, cron="", gift=Gift("stars", Decimal(60), GIFT_DAYS)),
        task(TaskKind.PROMOTION, cron="0 11 * * mon", groups=tuple(ASKED), words={"en": Words("Come!")}),
    ]
    midnights = [datetime.combine(day, datetime.min.time(), HERE).astimezone(UTC) for day in days]
    untold = sorted(given, key=lambda one: one.told)
    for midnight in midnights:
        end, ten = midnight + timedelta(days=1), midnight + timedelta(hours=10)
        now_told = [one for one in untold if one.told <= ten]
        untold = untold[len(now_told) :]
        await accrue(world, map(_lot, now_told), ten)
        runs = [(one, next(task_runs(one, "Asia/Taipei", midnight - SECOND))) for one in tasks]
        await asyncio.gather(*(run(world, one, at) for one, at in runs if at < end))
    rows = await MessageLog(world.engine).messages(limit=10_000)
    assert {row["status"] for row in rows} == {"sent"}
    return sorted(map(_told, rows))


def _told(row: dict[str, Any]) -> Told:
    _, kind, subject, name = row["notice_key"].split("/")
    due = row["due"].replace(tzinfo=UTC).astimezone(HERE).date()
    if kind not in ("bonus_activation", "bonus_burn"):
        return name, kind, "", "", due
    (amount,) = re.findall(r"[0-9]+", row["subject"])
    return name, kind, subject.partition("@")[0], amount, due


@requirement("LOY-62", "LOY-71", "LOY-80", "LOY-81", "LOY-82", "LS-12")
async def test_a_month_of_tasks_tells_everybody_what_a_plain_loop_says(
    temporal: Client, tmp_path: Path
) -> None:
    """Member, kind, account, sum and day: exactly, and nothing else."""
    random = Random(SEED)
    first = (now() + timedelta(days=33)).date().replace(day=1)
    days = [first + timedelta(days=number) for number in range(monthrange(first.year, first.month)[1])]
    everybody = people(random, first)
    given = bonuses(random, everybody, first)
    async with a_shop(temporal, tmp_path, sandboxed=False) as (world, _):
        await enrol(
            world,
            *(
                member(one.name, zone=one.place, groups=one.groups, birth_date=_birth_date(one))
                for one in everybody
            ),
        )
        gifts = [*expected_gifts(everybody, days)]
        wanted = expected(everybody, [*given, *gifts], days)
        kinds = Counter(kind for _, kind, *_ in wanted)
        assert len(kinds) == 4
        assert min(kinds.values()) > 5, "there is something to compare"
        assert await lived(world, days, given) == wanted


def _lot(one: Given) -> Accrual:
    begins, ends = one.begins.astimezone(UTC), one.ends.astimezone(UTC)
    return lot(one.name, one.amount, begins=begins, ends=ends, currency=one.currency)


def _birth_date(one: Somebody) -> date | None:
    return date(1996, *one.born) if one.born else None
