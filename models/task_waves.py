"""What one run of a regular task sends: its waves, and the last moment at which it is worth beginning."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.birthday import ONE_DAY, Occasion, celebrated_on, occasions
from models.ids import task_schedule_id
from models.notices import Kind
from models.regular_task import RegularTask, TaskKind
from models.task_runs import last_midnight, task_runs
from models.timing import local_day
from models.wave import Audience, Wave

DAY = timedelta(days=1)
"""How long the notices of a task are worth sending, birthdays aside."""
LONGEST_DAY = timedelta(hours=25)


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
    so many of its waves were terminated.
    """

    run_at: datetime
    skipped: str = ""
    waves: int = 0
    sent: int = 0
    gifts: int = 0
    bonuses: str = ""
    broken_off: int = 0

    @property
    def words(self) -> str:
        """The report in one line."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        waves = "1 wave" if self.waves == 1 else f"{self.waves} waves"
        parts = [f"{waves}, {self.sent} sent"] * bool(self.waves)
        parts += [f"{self.broken_off} broken off"] * bool(self.broken_off)
        parts += [f"{self.gifts} gifts"] * bool(self.gifts) + [self.bonuses] * bool(self.bonuses)
        return ", ".join(parts) or "nobody to write to"

    def plus(self, *, waves: int = 0, sent: int = 0, gifts: int = 0, broken_off: int = 0) -> "TaskReport":
        """With what has come since."""
        return replace(
            self,
            waves=self.waves + waves,
            sent=self.sent + sent,
            gifts=self.gifts + gifts,
            broken_off=self.broken_off + broken_off,
        )


def run_stamp(run: datetime) -> str:
    """A run as part of an id: `20270301T0200Z`."""
    return f"{run:%Y%m%dT%H%MZ}"


def patience(task: RegularTask) -> timedelta:
    """How long after its moment a run is still begun.

    A birthday task has its moments all through the day that its run begins.
    """
    late = timedelta(hours=task.catch_up_hours)
    return late + LONGEST_DAY if task.kind is TaskKind.BIRTHDAY else late


def bonus_wave(run: TaskRun, currency: str, at: datetime) -> Wave:
    """The notices about one account. [LOY-62, LOY-71]"""
    parameters = {
        "currency": currency,
        "minimum": str(run.task.minimum),
        "today": local_day(at, run.zone).isoformat(),
        "days": str(run.task.days),
    }
    audience = Audience(run.task.kind.value, parameters)
    return _wave(run.task, audience, at, f"{currency}@{run_stamp(at)}")


def promotion_wave(run: TaskRun, at: datetime) -> Wave:
    """One text to the members of some groups, or to all of them. [LS-03, LS-11, LS-12]"""
    return _wave(run.task, Audience("members", {"groups": ",".join(run.task.groups)}), at, run_stamp(at))


def birthday_numbers(run: TaskRun, at: datetime) -> tuple[int, ...]:
    """The birth dates that may be celebrated somewhere in the world within the run's day."""
    today = local_day(last_midnight(run.zone, at), run.zone)
    days = (today + number * ONE_DAY for number in (-1, 0, 1, 2))
    return tuple(sorted({number for day in days for number in celebrated_on(day)}))


def birthday_occasions(
    run: TaskRun, zones: Sequence[str], at: datetime, now: datetime
) -> tuple[Occasion, ...]:
    """The birthdays of the run's day, up to the next run, that are not too late to greet. [LOY-82]"""
    start = last_midnight(run.zone, at)
    end = next(task_runs(run.task, run.zone, start))
    late = timedelta(hours=run.task.catch_up_hours)
    found = occasions(zones, run.task.at, start, end)
    return tuple(one for one in found if now <= min(one.due + late, one.not_after))


def birthday_wave(run: TaskRun, occasion: Occasion) -> Wave:
    """The greetings of one day in one zone.

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
        not_after=occasion.not_after,
        lifecycle=task_schedule_id(task.merchant_id, TaskKind.BIRTHDAY),
        subject=str(occasion.day.year),
    )


def birthday_event(year: int, member_id: str) -> str:
    """The event of a birthday's accrual: one a year, whatever happens. [LOY-81]"""
    return f"birthday:{year}:{member_id}"


def _wave(task: RegularTask, audience: Audience, due: datetime, subject: str) -> Wave:
    return Wave(
        wave_id=f"{task.task_id}-{subject.replace('@', '-')}",
        merchant_id=task.merchant_id,
        kind=Kind(task.kind.value),
        audience=audience,
        channels=task.channels,
        due=due,
        not_after=due + DAY,
        lifecycle=task_schedule_id(task.merchant_id, task.task_id),
        subject=subject,
        words=task.words,
    )
