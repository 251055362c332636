"""Making the regular tasks of a merchant equal to a file, with the difference shown first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.merchants import FRESH_SECONDS, Merchants
from activities.tasks import Tasks
from commands.task_differences import differences
from commands.task_schedules import Planned, TaskSchedules
from models.birthday import ONE_DAY, occasions
from models.merchant import Merchant
from models.regular_task import RegularTask, TaskKind
from models.task_runs import task_runs
from models.task_waves import TaskRun

KNOWN = timedelta(seconds=FRESH_SECONDS + 1)
"""By then every worker knows where the merchant is."""


class What(StrEnum):
    """What is to be done to one task."""

    CREATE = "create"
    CHANGE = "change"
    REMOVE = "remove"
    KEEP = "keep"


@dataclass(frozen=True)
class Change:
    """What apply does to one task; `words` say what is different. `moved`: the merchant's zone is."""

    task_id: str
    what: What
    words: str = ""
    moved: bool = False


@dataclass
class Shop:
    """One merchant's tasks: those in SQL and their schedules on the server."""

    merchant: Merchant
    tasks: Tasks
    schedules: TaskSchedules

    @classmethod
    async def of(cls, engine: AsyncEngine, client: Client, task_queue: str, merchant_id: str) -> "Shop":
        """UnknownMerchantError where there is no such merchant."""
        merchants = Merchants(engine)
        merchant = await merchants.get(merchant_id)
        return cls(merchant, Tasks(engine, merchants), TaskSchedules(client, task_queue, merchant_id))

    async def read(self, also: Sequence[str] = ()) -> tuple[dict[str, RegularTask], dict[str, Planned]]:
        """The tasks in SQL and the schedules on the server, each by the task's id; `also` are looked for."""
        stored = {task.task_id: task for task in await self.tasks.of(self.merchant.id)}
        return stored, await self.schedules.found([*stored, *also])

    async def difference(self, wanted: Sequence[RegularTask]) -> list[Change]:
        """What is to be done so that there is what is wanted, and nothing else."""
        stored, planned = await self.read([task.task_id for task in wanted])
        changes = [
            _change(task, self.merchant.zone, stored.get(task.task_id), planned.get(task.task_id))
            for task in wanted
        ]
        ids = {task.task_id for task in wanted}
        gone = sorted({*stored, *planned} - ids)
        return changes + [Change(task_id, What.REMOVE, _gone(task_id, stored, planned)) for task_id in gone]

    async def apply(
        self, wanted: Sequence[RegularTask], changes: Sequence[Change], now: datetime
    ) -> dict[str, str]:
        """Do it. Broken off anywhere, the same again does the rest. Answers which tasks are paused, and why.

        What is new is known before it runs, and what goes is still known until it runs no more. The birthdays
        of today are begun again: their run has passed, and knows only the hour that the task had at midnight.
        """
        gone = [change.task_id for change in changes if change.what is What.REMOVE]
        await self.tasks.keep(wanted, now)
        for task in wanted:
            await self.schedules.put(TaskRun(task, self.merchant.zone), now)
        for task_id in gone:
            await self.schedules.remove(task_id)
        await self.tasks.remove(self.merchant.id, gone)
        paused = await self._note_the_paused()
        moved = {change.task_id for change in changes if change.moved}
        for task in wanted:
            await self.celebrate(task, now, moved=task.task_id in moved)
        return paused

    async def pause(self, task_id: str, note: str) -> bool:
        """Let a task start nothing, and its birthdays wait; answers whether it has a schedule."""
        if not await self.schedules.pause(task_id, note):
            return False
        await self.tasks.hold(self.merchant.id, [task_id], paused=True)
        return True

    async def resume(self, task_id: str, note: str, now: datetime) -> bool:
        """Let a task run again, its birthdays from today's on; answers whether it has a schedule."""
        if not await self.schedules.resume(task_id, note):
            return False
        await self.tasks.hold(self.merchant.id, [task_id], paused=False)
        for task in await self.tasks.of(self.merchant.id):
            if task.task_id == task_id:
                await self.celebrate(task, now)
        return True

    async def celebrate(self, task: RegularTask, now: datetime, *, moved: bool = False) -> None:
        """Begin today's birthdays again, if it is a task of these. Of a paused one none come.

        In a zone to which the merchant has moved the day may be over that was still to come in the other.
        """
        days = [now - ONE_DAY, now] if moved else [now]
        for at in days if task.kind is TaskKind.BIRTHDAY else ():
            await self.schedules.again(TaskRun(task, self.merchant.zone), at, KNOWN if moved else None)

    async def _note_the_paused(self) -> dict[str, str]:
        """Some may have been paused or resumed elsewhere, as in the Web UI."""
        stored, planned = await self.read()
        for paused in (True, False):
            those = [name for name in stored if name in planned and planned[name].paused is paused]
            await self.tasks.hold(self.merchant.id, those, paused=paused)
        return {name: one.state for name, one in planned.items() if one.paused}


def next_moments(task: RegularTask, zone: str, now: datetime, count: int) -> list[datetime]:
    """When the task comes next, UTC: its runs, or a birthday's greetings where the merchant is."""
    if task.kind is TaskKind.BIRTHDAY:
        found = occasions([zone], task.at, now, now + timedelta(days=count + 1))
        return [occasion.due for occasion in found][:count]
    return list(islice(task_runs(task, zone, now), count))


def _change(task: RegularTask, zone: str, stored: RegularTask | None, planned: Planned | None) -> Change:
    if planned is None and stored is None:
        return Change(task.task_id, What.CREATE, task.kind.value.replace("_", " "))
    if planned is None:
        return Change(task.task_id, What.CREATE, "it has no schedule")
    if planned.job is None:
        return Change(task.task_id, What.CHANGE, "its schedule is of another version")
    words, moved = differences(planned.job.task, task), planned.job.zone != zone
    if moved:
        words.append(f"zone: {planned.job.zone} -> {zone}")
    if not words and stored != task:
        words.append("the database does not know it as it runs")
    return Change(task.task_id, What.CHANGE if words else What.KEEP, "; ".join(words), moved)


def _gone(task_id: str, stored: Mapping[str, RegularTask], planned: Mapping[str, Planned]) -> str:
    if task_id not in stored:
        return "the database does not know it"
    return "" if task_id in planned else "it has no schedule"
