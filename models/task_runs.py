"""When a regular task runs. One rule holds: that of `models.timing.cron_runs`.

Temporal reads the same cron otherwise where clocks change: it leaves out a wall time that does not exist,
and one that exists twice it takes for its first, its second or both, as it comes. So a schedule is told the
runs around each change one by one (`runs_near_changes`); what it starts at another moment is none (`is_run`).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from operator import ge

from models.regular_task import RegularTask, TaskKind
from models.timing import cron_runs, local

DAILY = "0 0 * * *"
"""A birthday task runs at the merchant's midnight; each zone has its own moment within the run's day."""
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
NEAR = timedelta(hours=4)
"""So near to a change of the clocks Temporal may err; measured: within two hours."""


def task_cron(task: RegularTask) -> str:
    """The cron of a task, those included that have none in their file."""
    return DAILY if task.kind is TaskKind.BIRTHDAY else task.cron


def task_runs(task: RegularTask, zone: str, after: datetime) -> Iterator[datetime]:
    """The instants after `after` at which the task runs, on the clock of that zone, the merchant's."""
    return cron_runs(task_cron(task), zone, after)


def is_run(task: RegularTask, zone: str, at: datetime) -> bool:
    """Whether the task runs at that instant."""
    return next(task_runs(task, zone, at - SECOND)) == at


def last_midnight(zone: str, at: datetime) -> datetime:
    """The run of a birthday task whose day `at` falls into: the last midnight there, or `at` itself."""
    runs = takewhile(lambda run: run <= at, cron_runs(DAILY, zone, at - 2 * DAY))
    return list(runs)[-1]


def runs_near_changes(cron: str, zone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The runs after `after`, up to `until`, within some hours of a moment at which the clocks change."""
    last = after
    for change in _changes(zone, after - NEAR, until + NEAR):
        start, end = max(change - NEAR, last), min(change + NEAR, until)
        yield from takewhile(partial(ge, end), cron_runs(cron, zone, start))
        last = max(last, end)


def _changes(zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """When the clocks of that zone change, to the minute."""
    while start < end:
        low, high = start, start + DAY
        if _offset(low, zone) != _offset(high, zone):
            while high - low > MINUTE:
                middle = low + (high - low) // MINUTE // 2 * MINUTE
                low, high = (middle, high) if _offset(middle, zone) == _offset(low, zone) else (low, middle)
            yield high
        start += DAY


def _offset(at: datetime, zone: str) -> timedelta:
    return local(at, zone).utcoffset() or timedelta()
