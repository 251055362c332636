"""What one run of a regular task sends: its waves, and the last moment at which it is worth beginning."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from models.birthday import ONE_DAY, Occasion, celebrated_on, occasions
from models.ids import task_schedule_id
from models.notices import Kind
from models.regular_task import RegularTask, TaskKind
from models.task_runs import last_midnight, task_runs
from models.timing import Offset, local_day, moment
from models.wave import Audience, Wave

WORTH = timedelta(hours=22)
"""How long the notices of a task are worth sending, birthdays aside: not into the next day's run.

That comes after 23 hours where the clocks go forward.
"""
SURELY = timedelta(minutes=10)
"""So long after it nothing is being sent of them any more: longer than one go at a page."""
LONGEST_DAY = timedelta(hours=25)
GIFTS_LATE = timedelta(days=7)
"""So late a birthday's run is begun for its gifts, though it comes too late to greet anybody."""
_STAMP = "%Y%m%dT%H%MZ"
_MARK = re.compile(r"@([0-9]{8}T[0-9]{4}Z)/$")


@dataclass(frozen=True)
class TaskRun:
    """What a schedule starts: the task as it was applied, and the merchant's zone then.

    `at`: the run that is asked for by hand; None: the one that the schedule has started this for.
    """

    task: RegularTask
    zone: str
    at: datetime | None = None


@dataclass(frozen=True)
class TaskReport:
    """What came of one run. `skipped`: why it did nothing, in words. `sent`: how many messages have gone.

    `gifts`: how many members have a birthday's bonuses; `bonuses`: what upkeep did, in words. `broken_off`:
    so many of its waves were terminated. `missed`: to so many members it came too late. `left`: for each zone
    whose birthdays or greetings it let be, why, in words.
    """

    run_at: datetime
    skipped: str = ""
    waves: int = 0
    sent: int = 0
    gifts: int = 0
    bonuses: str = ""
    broken_off: int = 0
    missed: int = 0
    left: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The report in one line."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        waves = "1 wave" if self.waves == 1 else f"{self.waves} waves"
        parts = [f"{waves}, {self.sent} sent"] * bool(self.waves)
        parts += [f"{self.missed} too late"] * bool(self.missed)
        parts += [f"{self.broken_off} broken off"] * bool(self.broken_off)
        parts += [f"{self.gifts} gifts"] * bool(self.gifts) + [self.bonuses] * bool(self.bonuses)
        parts += [f"not in {_zones(number)}: {why}" for why, number in Counter(self.left).items()]
        return ", ".join(parts) or "nobody to write to"

    def plus(
        self, *, waves: int = 0, sent: int = 0, gifts: int = 0, broken_off: int = 0, missed: int = 0
    ) -> "TaskReport":
        """With what has come since."""
        return replace(
            self,
            waves=self.waves + waves,
            sent=self.sent + sent,
            gifts=self.gifts + gifts,
            broken_off=self.broken_off + broken_off,
            missed=self.missed + missed,
        )

    def leaving(self, why: str) -> "TaskReport":
        """With one zone more whose birthdays were let be, where there is a reason."""
        return replace(self, left=(*self.left, why)) if why else self


def run_stamp(run: datetime) -> str:
    """A run as part of an id: `20270301T0200Z`."""
    return f"{run:{_STAMP}}"


def patience(task: RegularTask) -> timedelta:
    """How long after its moment a run is still begun.

    A birthday task has its moments all through the day that its run begins, and its gifts may come late.
    """
    late = timedelta(hours=task.catch_up_hours)
    return max(late, GIFTS_LATE) + LONGEST_DAY if task.kind is TaskKind.BIRTHDAY else late


def over(mark: str, now: datetime) -> bool:
    """Whether the run that has left this mark, how the keys of its notices begin, sends nothing any more."""
    found = _MARK.search(mark)
    if found is None:
        return False
    run = datetime.strptime(found[1], _STAMP).replace(tzinfo=UTC)
    return now > run + WORTH + SURELY


def overtaken(run: TaskRun, at: datetime, now: datetime) -> bool:
    """Whether the schedule has by now another run of the task to start, so that this one is not the newest.

    Only promotions say the same again. One that is asked for by hand waits for no schedule.
    """
    if run.at is not None or run.task.kind is not TaskKind.PROMOTION:
        return False
    return next(task_runs(run.task, run.zone, at)) <= now


def bonus_wave(run: TaskRun, currency: str, at: datetime) -> Wave:
    """The notices about one account. [LOY-62, LOY-71]"""
    parameters = {
        "currency": currency,
        "minimum": str(run.task.minimum),
        "days": str(run.task.days),
    }
    audience = Audience(run.task.kind.value, parameters)
    return _wave(run.task, audience, at, f"{currency}@{run_stamp(at)}")


def promotion_wave(run: TaskRun, at: datetime) -> Wave:
    """One text to the members of some groups, or to all of them. [LS-03, LS-11, LS-12]"""
    groups = "".join(f"{group};" for group in run.task.groups)
    return _wave(run.task, Audience("members", {"groups": groups}), at, run_stamp(at))


def birthday_numbers(run: TaskRun, at: datetime) -> tuple[int, ...]:
    """The birth dates that may be celebrated somewhere in the world within the run's day."""
    today = local_day(last_midnight(run.zone, at), run.zone)
    days = (today + number * ONE_DAY for number in (-1, 0, 1, 2))
    return tuple(sorted({number for day in days for number in celebrated_on(day)}))


def birthday_occasions(run: TaskRun, zones: Sequence[str], at: datetime) -> tuple[Occasion, ...]:
    """The birthdays of the run's day, up to the next run. [LOY-82]"""
    start = last_midnight(run.zone, at)
    end = next(task_runs(run.task, run.zone, start))
    return occasions(zones, run.task.at, start, end)


def in_time(run: TaskRun, found: Sequence[Occasion], now: datetime) -> tuple[Occasion, ...]:
    """Those that can be greeted still."""
    return tuple(one for one in found if now <= greeted_until(run.task, one, now))


def greeted_until(task: RegularTask, occasion: Occasion, now: datetime) -> datetime:
    """The last moment of a greeting that is begun at `now`.

    That is the end of its day; of one that begins too late it is past, and it is called missed. [LOY-82]
    """
    latest = occasion.due + timedelta(hours=task.catch_up_hours)
    return min(occasion.not_after, latest) if now > latest else occasion.not_after


def why_left(
    run: TaskRun, occasion: Occasion, task: RegularTask | None, now: datetime, *, paused: bool = False
) -> str:
    """Why a run lets a birthday be whose moment has come, in words; empty where it does not.

    `task`: as it was last applied; None where it was removed. What is applied has a run of its own from the
    last midnight on: with another hour the birthday is that one's, unless it would have been before it.
    """
    if task is None or task.kind is not TaskKind.BIRTHDAY:
        return "the task was removed"
    if paused:
        return "the task is paused"
    moved = task.at != run.task.at
    if moved and moment(occasion.day, Offset(at=task.at), occasion.zone) >= last_midnight(run.zone, now):
        return f"another run comes at {task.at:%H:%M}"
    return ""


def greetings(
    run: TaskRun, occasion: Occasion, now: datetime, *, leaves: bool = True
) -> tuple[list[Wave], str]:
    """The wave that greets, begun at `now`; or none, and why in words.

    A run that is asked for, as by whoever applies the task, `leaves` a greeting that is too late: called
    missed it is the year's, and with the hour mended that day nobody would be greeted.
    """
    wave = birthday_wave(run, occasion, now)
    if leaves and run.at is not None and now > wave.not_after:
        return [], f"too late to greet at {run.task.at:%H:%M}"
    return [wave], ""


def birthday_wave(run: TaskRun, occasion: Occasion, now: datetime) -> Wave:
    """The greetings of one day in one zone, begun at `now`.

    Its lifecycle and subject are the same all year: a member is greeted once a year, though the birth date
    is corrected or the task renamed. [LOY-80]
    """
    task = run.task
    parameters = {"zone": occasion.zone, "date": occasion.day.isoformat()}
    return Wave(
        wave_id=f"{task.task_id}-{occasion.day:%Y%m%d}-{occasion.zone.replace('/', '.')}",
        merchant_id=task.merchant_id,
        kind=Kind.BIRTHDAY,
        audience=Audience(task.kind.value, parameters),
        channels=task.channels,
        due=occasion.due,
        not_after=greeted_until(task, occasion, now),
        lifecycle=task_schedule_id(task.merchant_id, TaskKind.BIRTHDAY),
        subject=str(occasion.day.year),
    )


def birthday_event(year: int, member_id: str) -> str:
    """The event of a birthday's accrual: one a year, whatever happens. [LOY-81]"""
    return f"birthday:{year}:{member_id}"


def _zones(number: int) -> str:
    return "1 zone" if number == 1 else f"{number} zones"


def _wave(task: RegularTask, audience: Audience, due: datetime, subject: str) -> Wave:
    return Wave(
        wave_id=f"{task.task_id}-{subject.replace('@', '-')}",
        merchant_id=task.merchant_id,
        kind=Kind(task.kind.value),
        audience=audience,
        channels=task.channels,
        due=due,
        not_after=due + WORTH,
        lifecycle=task_schedule_id(task.merchant_id, task.task_id),
        subject=subject,
        words=task.words,
    )
