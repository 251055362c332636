"""Regular tasks for tests: a shop whose members may be written to at any hour, and runs of a chosen day."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from temporalio.client import Client, ScheduleBackfill, WorkflowHandle
from temporalio.service import RPCError

from activities.bonuses import Bonuses
from activities.members import Members
from activities.merchants import Merchants
from activities.tasks import Tasks
from channels.base import Abilities, DeliveryError, Message, Receipt
from commands.task_schedules import TaskSchedules
from models.bonus import Accrual
from models.ids import task_schedule_id
from models.member import Member
from models.member_policy import BonusAccount
from models.merchant import Merchant
from models.policy import ClassPolicy, GatePolicy
from models.regular_task import RegularTask, TaskKind
from models.task_waves import TaskReport, TaskRun
from tests.world import MERCHANT, World, a_world, eventually, now
from worker import running_worker
from workflows.regular_task import RegularTaskWorkflow

TAIPEI = "Asia/Taipei"
SHOP = replace(
    MERCHANT,
    locale="en",
    bonuses={"points": BonusAccount({"en": "points"}), "stars": BonusAccount({"en": "stars"})},
    gate=GatePolicy(loyalty=ClassPolicy(), promotional=ClassPolicy()),
)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Post:
    """A mail provider that keeps what it takes: to whom, and what it says.

    `busy`: whom it refuses once, and for how long where it says so.
    """

    provider: str = "smtp"
    abilities: Abilities = field(default_factory=Abilities)
    taken: list[tuple[str, str]] = field(default_factory=list)
    busy: dict[str, timedelta | None] = field(default_factory=dict)

    async def send(self, message: Message) -> Receipt:
        name = message.to.partition("@")[0]
        if name in self.busy:
            raise DeliveryError("busy", retry_after=self.busy.pop(name))
        self.taken.append((name, f"{message.subject}\n{message.text}"))
        return Receipt(self.provider)

    async def close(self) -> None:
        """Nothing is open."""

    @property
    def readers(self) -> list[str]:
        """Who got something, by name, once for each."""
        return sorted(name for name, _ in self.taken)

    def to(self, name: str) -> list[str]:
        return [text for reader, text in self.taken if reader == name]


@asynccontextmanager
async def a_shop(
    temporal: Client, folder: Path, *, sandboxed: bool = True, shop: Merchant = SHOP
) -> AsyncIterator[tuple[World, Post]]:
    """A world at work, whose mail is kept; as in production, without the sandbox, it takes half the time."""
    async with a_world(temporal, folder, merchant=shop) as world:
        post = Post()
        world.extra_channels = {"smtp": post}
        unsandboxed = running_worker(world.client, world.settings, extra_channels=world.extra_channels)
        async with world.worker() if sandboxed else unsandboxed:
            yield world, post


def at_ten(days: int = 1) -> datetime:
    """10:00 in Taipei, so many days ahead."""
    return now().replace(hour=2, minute=0, second=0) + timedelta(days=days)


def task(kind: TaskKind, **changes: Any) -> RegularTask:
    """A task of the shop's, with its kind for a name."""
    settings: dict[str, Any] = {"cron": "0 10 * * *", "days": 3, "minimum": Decimal(50)}
    return RegularTask(kind.value.replace("_", "-"), SHOP.id, kind, **{**settings, **changes})


def member(name: str, **changes: Any) -> Member:
    return Member(SHOP.id, name, name.capitalize(), LONG_AGO, email=f"{name}@example.com", **changes)


async def enrol(world: World, *members: Member) -> None:
    await Members(world.engine).upsert(members, LONG_AGO)


def lot(name: str, amount: float, *, begins: datetime | None = None, ends: datetime | None = None,
        currency: str = "points", event: str = "") -> Accrual:  # fmt: skip
    """Bonuses of one member, told long ago."""
    event = event or uuid4().hex
    return Accrual(name, currency, Decimal(str(amount)), event, LONG_AGO, begins or LONG_AGO, ends)


async def accrue(world: World, lots: Iterable[Accrual], told: datetime = LONG_AGO) -> None:
    await Bonuses(world.engine).accrue_many(SHOP.id, list(lots), told)


async def apply(world: World, task: RegularTask) -> None:
    """Keep a task as a file that is applied does."""
    await Tasks(world.engine, Merchants(world.engine)).keep([task], LONG_AGO)


async def run(world: World, task: RegularTask, at: datetime) -> TaskReport:
    """One run to its end, on its own day; a birthday's to the end of its last greeting."""
    await apply(world, task)
    handle = await world.client.start_workflow(
        RegularTaskWorkflow.run,
        TaskRun(task, TAIPEI, at),
        id=f"run-{uuid4().hex}",
        task_queue=world.settings.task_queue,
    )
    left = at - datetime.now(UTC) + timedelta(hours=30 if task.kind is TaskKind.BIRTHDAY else 0, seconds=1)
    if left > timedelta(0):
        await world.skipper.fast_forward(handle, left)
    return await asyncio.wait_for(handle.result(), 30)


async def started(world: World, run: TaskRun, at: datetime) -> TaskReport:
    """What comes of the run that a schedule starts for that moment, as if it had come just now."""
    schedules = TaskSchedules(world.client, world.settings.task_queue, f"{SHOP.id}-{uuid4().hex[:8]}")
    name = task_schedule_id(schedules.merchant_id, run.task.task_id)
    await schedules.put(run, now())
    handle = world.client.get_schedule_handle(name)
    await handle.pause()
    await handle.backfill(ScheduleBackfill(at - timedelta(seconds=1), at + timedelta(seconds=1)))
    run_id = f"{task_schedule_id(SHOP.id, run.task.task_id)}-{at:%Y-%m-%dT%H:%M:%SZ}"

    async def result() -> TaskReport | None:
        begun: WorkflowHandle[Any, TaskReport] = world.client.get_workflow_handle(
            run_id, result_type=TaskReport
        )
        try:
            return await begun.result()
        except RPCError:
            return None

    try:
        return await eventually(result)
    finally:
        await schedules.remove(run.task.task_id)
