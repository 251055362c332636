"""`carillon task`: what a merchant does again and again, set up once each from one file."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.tasks import Asked
from commands.failures import Mistake, talking_to_temporal
from commands.looking import let_look
from commands.output import err, plain, print_json, say, table, warn
from commands.reach import VAR, Address, AsJson, DataDir, Namespace, Reach, of_merchant
from commands.task_apply import Change, Shop, What, next_moments
from commands.task_schedules import Planned, untold
from intake import read_tasks, tasks_merchant
from models.regular_task import RegularTask, TaskKind
from models.showing import shown_time, utc_text
from models.task_waves import TaskRun

task_app = typer.Typer(
    no_args_is_help=True, help="Regular tasks: bonus notices, birthdays, upkeep, promotions."
)

Task = Annotated[str, typer.Argument(help="MERCHANT/TASK", metavar="TASK")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the difference, and change nothing.")]
Note = Annotated[str, typer.Option(help="Why, for whoever looks at it next.")]
STYLES = {What.CREATE: "green", What.CHANGE: "yellow", What.REMOVE: "red", What.KEEP: "dim"}
FIVE = 5


@dataclass(frozen=True)
class Seen:
    """One task as `list` shows it: as it is in the database, and its schedule."""

    task: RegularTask
    zone: str
    planned: Planned | None
    last: str
    next: list[datetime]
    untold: datetime | None = None
    """The next run near a change of the clocks that its schedule does not know of."""

    @property
    def state(self) -> str:
        if self.planned is None:
            return "no schedule: apply it again"
        if self.planned.job != TaskRun(self.task, self.zone):
            return "its schedule is another: apply it again"
        if self.planned.paused:
            return self.planned.state
        if self.untold is not None:
            day = shown_time(self.untold, self.zone)
            return f"it was not told of its runs from {day} on, where clocks change: apply it again"
        return "on"


@task_app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="The tasks of one merchant, as TOML or JSON.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Make the tasks equal to the file: create, change, remove. The difference is shown first."""
    asyncio.run(_apply(Reach(data_dir, address, namespace), file, yes=yes, dry_run=dry_run))


@task_app.command("list")
def list_(
    merchant: Annotated[str, typer.Argument(help="The merchant's id.", metavar="MERCHANT")],
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """The tasks of a merchant: when each comes next, and what came of its last run."""
    zone, found, strays = asyncio.run(_list(Reach(data_dir, address, namespace), merchant))
    if as_json:
        print_json([_document(seen) for seen in found])
    else:
        heads = ("task", "what", "when", "next", "state", "last run")
        table(f"Regular tasks of {merchant}, times of {zone}", heads, (_row(seen, zone) for seen in found))
        if not found:
            say(f"{merchant} has no regular tasks: set them up with `carillon task apply FILE`")
    for name in strays:
        warn(
            f"{name} has a schedule and no task: apply its file, or `carillon task remove {merchant}/{name}`"
        )


@task_app.command("next")
def next_(
    task: Task,
    count: Annotated[int, typer.Option(min=1, max=1000, help="So many.")] = FIVE,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """When a task comes next, in the merchant's time; one that is paused does not."""
    zone, found, planned = asyncio.run(_known(Reach(data_dir, address, namespace), task))
    held = planned is not None and planned.paused
    moments = [] if held else next_moments(found, zone, datetime.now(UTC), count)
    if as_json:
        print_json([utc_text(moment) for moment in moments])
    for moment in moments if not as_json else ():
        say(shown_time(moment, zone))
    if planned is not None and planned.paused:
        warn(f"{task} is {planned.state}: nothing comes until `carillon task resume {task}`")


@task_app.command()
def run(
    task: Task,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Run a task now. What it has told already, it does not tell again; a promotion goes out once more."""
    started = asyncio.run(_run(Reach(data_dir, address, namespace), task))
    say((started, "bold"), "  started: see it in the Web UI, or with `carillon task list`")


@task_app.command()
def pause(
    task: Task,
    note: Note = "paused with `carillon task pause`",
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Let a task start nothing until it is resumed. What runs already goes on, but for birthdays to come."""
    asyncio.run(_hold(Reach(data_dir, address, namespace), task, note, paused=True))
    say((task, "bold"), " is paused")


@task_app.command()
def resume(
    task: Task,
    note: Note = "resumed with `carillon task resume`",
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Let a task run again, from its next moment on; today's birthdays that it has not brought come too."""
    asyncio.run(_hold(Reach(data_dir, address, namespace), task, note, paused=False))
    say((task, "bold"), " is on")


@task_app.command()
def remove(
    task: Task,
    yes: Yes = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Remove one task. What runs already goes on, but for birthdays to come; apply makes it again."""
    asyncio.run(_remove(Reach(data_dir, address, namespace), task, yes=yes))
    say((task, "bold"), " is removed")


@asynccontextmanager
async def shop_of(reach: Reach, merchant_id: str) -> AsyncIterator[Shop]:
    """The tasks of a merchant, where the database and the server are both there."""
    client = await reach.temporal()
    async with talking_to_temporal(reach.temporal_address), reach.database() as engine:
        yield await Shop.of(engine, client, reach.settings.task_queue, merchant_id)


async def _apply(reach: Reach, file: Path, *, yes: bool, dry_run: bool) -> None:
    async with shop_of(reach, tasks_merchant(file)) as shop:
        tasks = read_tasks(file, shop.merchant)
        changes = await shop.difference(tasks)
        table(f"{shop.merchant.id}: {file}", ("task", "", "what is different"), map(_change_row, changes))
        if dry_run:
            say("\n", "Nothing was changed: leave out --dry-run to make it so")
            return
        going = [change.task_id for change in changes if change.what is What.REMOVE]
        if going and not yes:
            _confirm(f"Remove {', '.join(going)}?")
        now = datetime.now(UTC)
        with err().status("Applying"):
            held = await shop.apply(tasks, changes, now)
            if any(change.what is not What.KEEP for change in changes):
                await let_look(reach, shop.merchant.id)
        zone = shop.merchant.zone
        rows = ((task.task_id, held.get(task.task_id) or _coming(task, zone, now)) for task in tasks)
        table(f"Next, times of {zone}", ("task", "when"), rows)
        say("\n", (f"{len(tasks)} tasks", "bold"), f" of {shop.merchant.id} are as in the file")


async def _list(reach: Reach, merchant_id: str) -> tuple[str, list[Seen], list[str]]:
    async with shop_of(reach, merchant_id) as shop:
        stored, planned = await shop.read()
        runs, applied = await shop.tasks.runs(merchant_id), await shop.tasks.applied(merchant_id)
    zone, now, found = shop.merchant.zone, datetime.now(UTC), []
    for task_id, task in stored.items():
        last, its = runs.get(task_id), planned.get(task_id)
        words = f"{shown_time(last.run_at, zone)}: {last.words or 'under way'}" if last else ""
        moments = [] if its is not None and its.paused else next_moments(task, zone, now, 1)
        unknown = untold(TaskRun(task, zone), applied.get(task_id, now), now)
        found.append(Seen(task, zone, its, words, moments, unknown))
    return zone, found, sorted(planned.keys() - stored.keys())


async def _known(reach: Reach, name: str) -> tuple[str, RegularTask, Planned | None]:
    merchant_id, task_id = named(name)
    async with shop_of(reach, merchant_id) as shop:
        task = await _stored(shop, task_id)
        return shop.merchant.zone, task, (await shop.schedules.found([task_id])).get(task_id)


async def _run(reach: Reach, name: str) -> str:
    merchant_id, task_id = named(name)
    async with shop_of(reach, merchant_id) as shop:
        job = TaskRun(await _stored(shop, task_id), shop.merchant.zone)
        standing = await shop.tasks.standing(Asked(merchant_id, task_id))
        if standing.paused and job.task.kind is TaskKind.BIRTHDAY:
            raise Mistake(f"task {name!r} is paused, and so are its birthdays: resume it, and today's come")
        try:
            return await shop.schedules.run(job, datetime.now(UTC))
        except WorkflowAlreadyStartedError as error:
            raise Mistake(f"this run is under way: {error.workflow_id}") from None


async def _hold(reach: Reach, name: str, note: str, *, paused: bool) -> None:
    merchant_id, task_id = named(name)
    async with shop_of(reach, merchant_id) as shop:
        found = shop.pause(task_id, note) if paused else shop.resume(task_id, note, datetime.now(UTC))
        if not await found:
            await _stored(shop, task_id)
            raise Mistake(f"task {name!r} has no schedule: apply its file again")
    await let_look(reach, merchant_id)


async def _remove(reach: Reach, name: str, *, yes: bool) -> None:
    merchant_id, task_id = named(name)
    async with shop_of(reach, merchant_id) as shop:
        stored, planned = await shop.read([task_id])
        if task_id not in {**stored, **planned}:
            raise _unknown(shop, task_id, stored)
        if not yes:
            _confirm(f"Remove {name}?")
        await shop.schedules.remove(task_id)
        await shop.tasks.remove(merchant_id, [task_id])
    await let_look(reach, merchant_id)


async def _stored(shop: Shop, task_id: str) -> RegularTask:
    stored = {task.task_id: task for task in await shop.tasks.of(shop.merchant.id)}
    if task_id not in stored:
        raise _unknown(shop, task_id, stored)
    return stored[task_id]


def _unknown(shop: Shop, task_id: str, stored: Iterable[str]) -> Mistake:
    has = ", ".join(stored) or "none: set them up with `carillon task apply FILE`"
    return Mistake(f"task {task_id!r} is not known: merchant {shop.merchant.id!r} has {has}")


def named(name: str) -> tuple[str, str]:
    """The merchant and the task of MERCHANT/TASK."""
    return of_merchant(name, "task", "MERCHANT/TASK", "task")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise Mistake(f"{question} Say so with --yes: nobody can be asked here.")
    if not typer.confirm(question, err=True):
        raise Mistake("Nothing was changed.")


def _coming(task: RegularTask, zone: str, now: datetime) -> str:
    return ", ".join(shown_time(moment, zone) for moment in next_moments(task, zone, now, FIVE))


def _change_row(change: Change) -> tuple[Any, ...]:
    return change.task_id, Text(change.what, style=STYLES[change.what]), change.words


def _row(seen: Seen, zone: str) -> tuple[str, ...]:
    task = seen.task
    when = f"at {task.at:%H:%M}, where the member is" if task.kind is TaskKind.BIRTHDAY else task.cron
    coming = ", ".join(shown_time(moment, zone) for moment in seen.next)
    return task.task_id, plain(task.kind), when, coming, seen.state, seen.last


def _document(seen: Seen) -> dict[str, Any]:
    return {
        "task": seen.task.task_id,
        "kind": seen.task.kind.value,
        "cron": seen.task.cron,
        "next": [utc_text(moment) for moment in seen.next],
        "state": seen.state,
        "last_run": seen.last,
    }
