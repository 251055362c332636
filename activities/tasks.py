"""Keeping regular tasks, and what has run of them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import col
from temporalio import activity

from activities.bonus_accounts import currencies_of
from activities.database import aware, reading, writing
from activities.members import MEMBERS
from activities.merchants import Merchants
from models.regular_task import RegularTask, TaskKind
from models.tables.merchants import MerchantRow
from models.tables.tasks import RegularTaskRow, TaskRunRow
from models.task_waves import GIFTS_LATE

TASKS = RegularTaskRow.__table__  # type: ignore[attr-defined]
RUNS = TaskRunRow.__table__  # type: ignore[attr-defined]
KEPT = timedelta(days=60)
"""So long runs are kept, counted from the last one but one."""
NOTICES = (TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN)

_task = TypeAdapter(RegularTask)


@dataclass(frozen=True)
class Beginning:
    """A run that is about to begin. `too_late`: it is only to be noted.

    `overtaken`: a newer run has come due; if the task is as it was, this one is only to be noted as well.
    """

    task: RegularTask
    run_at: datetime
    now: datetime
    too_late: bool = False
    overtaken: bool = False


@dataclass(frozen=True)
class Begun:
    """`since`: the run before this one. `skip`: why this one is to do nothing, in words.

    `currencies`: the accounts that the task speaks of.
    """

    since: datetime | None = None
    skip: str = ""
    currencies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ending:
    """A run that is over, and what came of it."""

    task: RegularTask
    run_at: datetime
    now: datetime
    words: str


@dataclass(frozen=True)
class Celebrating:
    """Whose birthdays are looked for: the numbers of their birth dates, month times 100 plus day."""

    merchant_id: str
    birthdays: tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """Which task is asked about."""

    merchant_id: str
    task_id: str


@dataclass(frozen=True)
class Standing:
    """A task as it was last applied; None: it is there no more. `paused`: as far as `carillon task` knows."""

    task: RegularTask | None = None
    paused: bool = False


@dataclass(frozen=True)
class LastRun:
    """What is known of a run. `done_at`: None while it is under way."""

    task_id: str
    run_at: datetime
    words: str
    done_at: datetime | None


async def tasks_of(
    connection: AsyncConnection, merchant_id: str, *, paused: bool = True
) -> tuple[RegularTask, ...]:
    """The regular tasks of a merchant as they were last applied, by their ids; or without the paused ones."""
    query = (
        select(col(RegularTaskRow.document))
        .where(col(RegularTaskRow.merchant_id) == merchant_id)
        .order_by(col(RegularTaskRow.task_id))
    )
    if not paused:
        query = query.where(~col(RegularTaskRow.paused))
    return tuple(_task.validate_json(document) for (document,) in await connection.execute(query))


async def runs_of(connection: AsyncConnection, merchant_id: str) -> dict[str, LastRun]:
    """The last run of each task of a merchant, those included that did nothing."""
    newest = (
        select(RUNS.c.task_id, func.max(RUNS.c.run_at).label("run_at"))
        .where(RUNS.c.merchant_id == merchant_id)
        .group_by(RUNS.c.task_id)
        .subquery()
    )
    query = select(RUNS).join(
        newest, (RUNS.c.task_id == newest.c.task_id) & (RUNS.c.run_at == newest.c.run_at)
    )
    found = await connection.execute(query.where(RUNS.c.merchant_id == merchant_id))
    return {row.task_id: LastRun(row.task_id, aware(row.run_at), row.words, row.done_at) for row in found}


class Tasks:
    """The regular tasks of all merchants."""

    def __init__(self, engine: AsyncEngine, merchants: Merchants) -> None:
        self._engine = engine
        self._merchants = merchants

    async def of(self, merchant_id: str) -> tuple[RegularTask, ...]:
        """The tasks of a merchant as they were last applied."""
        async with reading(self._engine) as connection:
            return await tasks_of(connection, merchant_id)

    async def applied(self, merchant_id: str) -> dict[str, datetime]:
        """When each task was last applied."""
        query = select(TASKS.c.task_id, TASKS.c.applied_at).where(TASKS.c.merchant_id == merchant_id)
        async with reading(self._engine) as connection:
            return {task_id: aware(at) for task_id, at in await connection.execute(query)}

    async def runs(self, merchant_id: str) -> dict[str, LastRun]:
        """The last run of each task."""
        async with reading(self._engine) as connection:
            return await runs_of(connection, merchant_id)

    async def keep(self, tasks: Sequence[RegularTask], now: datetime) -> None:
        """Keep tasks as they are given, new or changed. One that is paused stays so."""
        async with writing(self._engine) as connection:
            held = await _paused(connection, {task.merchant_id for task in tasks})
            for task in tasks:
                await connection.execute(delete(TASKS).where(*_named(task.merchant_id, [task.task_id])))
            rows = [
                {
                    "merchant_id": task.merchant_id,
                    "task_id": task.task_id,
                    "document": _task.dump_json(task).decode(),
                    "applied_at": now,
                    "paused": (task.merchant_id, task.task_id) in held,
                }
                for task in tasks
            ]
            if rows:
                await connection.execute(insert(TASKS), rows)

    async def hold(self, merchant_id: str, task_ids: Iterable[str], *, paused: bool) -> None:
        """Keep that tasks are paused, or no more: then what they bring to members is foreseen again."""
        async with writing(self._engine) as connection:
            await connection.execute(
                update(TASKS).where(*_named(merchant_id, task_ids)).values(paused=paused)
            )

    async def remove(self, merchant_id: str, task_ids: Iterable[str]) -> None:
        """Forget tasks. What has run of them stays known."""
        async with writing(self._engine) as connection:
            await connection.execute(delete(TASKS).where(*_named(merchant_id, task_ids)))

    @activity.defn(name="begin_task_run")
    async def begin(self, beginning: Beginning) -> Begun:
        """Take note that a run begins, and answer what it needs: the same, however often it is asked."""
        task, run_at = beginning.task, beginning.run_at.astimezone(UTC)
        async with writing(self._engine) as connection:
            await _alone(connection, task.merchant_id)
            currencies = await _currencies(connection, task)
            known = (await connection.execute(select(RUNS).where(_this(task, run_at)))).one_or_none()
            if known is not None:
                skip = known.words if known.skipped else "it has run already" if known.done_at else ""
                return Begun(_aware_or_none(known.since), skip, currencies)
            since = await _last_run(connection, task, run_at)
            skip = await _reason_to_skip(connection, beginning)
            await connection.execute(
                insert(RUNS).values(
                    merchant_id=task.merchant_id,
                    task_id=task.task_id,
                    run_at=run_at,
                    kind=task.kind.value,
                    since=since,
                    skipped=bool(skip),
                    words=skip,
                    begun_at=beginning.now,
                    done_at=beginning.now if skip else None,
                )
            )
            if since is not None:
                old = (RUNS.c.merchant_id == task.merchant_id) & (RUNS.c.task_id == task.task_id)
                await connection.execute(delete(RUNS).where(old, RUNS.c.run_at < since - KEPT))
        return Begun(since, skip, currencies)

    @activity.defn(name="end_task_run")
    async def end(self, ending: Ending) -> None:
        """Take note that a run is over."""
        async with writing(self._engine) as connection:
            await connection.execute(
                update(RUNS)
                .where(_this(ending.task, ending.run_at.astimezone(UTC)))
                .values(done_at=ending.now, words=ending.words)
            )

    @activity.defn(name="task_as_it_stands")
    async def standing(self, asked: Asked) -> Standing:
        """The task as it stands now: it may have been changed, paused or removed since its run began."""
        query = select(TASKS.c.document, TASKS.c.paused).where(*_named(asked.merchant_id, [asked.task_id]))
        async with reading(self._engine) as connection:
            found = (await connection.execute(query)).one_or_none()
        return (
            Standing(_task.validate_json(found.document), found.paused) if found is not None else Standing()
        )

    @activity.defn(name="birthday_zones")
    async def zones(self, celebrating: Celebrating) -> list[str]:
        """The zones in which somebody with such a birth date lives, in order.

        Those of the shop are among them: who becomes a member in the course of the day is mostly there.
        """
        merchant = await self._merchants.get(celebrating.merchant_id)
        query = (
            select(MEMBERS.c.zone, MEMBERS.c.branch_id)
            .where(
                MEMBERS.c.merchant_id == merchant.id,
                MEMBERS.c.granted,
                MEMBERS.c.birthday.in_(celebrating.birthdays),
            )
            .distinct()
        )
        async with reading(self._engine) as connection:
            found = (await connection.execute(query)).all()
        places = {merchant.zone_of(place) for place in ("", *(branch.id for branch in merchant.branches))}
        return sorted(places | {zone or merchant.zone_of(branch_id) for zone, branch_id in found})


async def _paused(connection: AsyncConnection, merchants: Collection[str]) -> set[tuple[str, str]]:
    """The paused tasks of these merchants."""
    query = select(TASKS.c.merchant_id, TASKS.c.task_id).where(
        TASKS.c.merchant_id.in_(sorted(merchants)), TASKS.c.paused
    )
    return {(merchant_id, task_id) for merchant_id, task_id in await connection.execute(query)}


async def _last_run(connection: AsyncConnection, task: RegularTask, before: datetime) -> datetime | None:
    """The last run before that instant that did its work, or does it still; of a task of another name too."""
    query = select(func.max(RUNS.c.run_at)).where(_line(task), RUNS.c.run_at < before)
    return _aware_or_none((await connection.execute(query)).scalar_one())


async def _reason_to_skip(connection: AsyncConnection, beginning: Beginning) -> str:
    """Birthdays have each their own day, and bonuses their marks: a later run takes nothing from these."""
    task = beginning.task
    birthday = task.kind is TaskKind.BIRTHDAY
    if beginning.too_late:
        late = f"{GIFTS_LATE.days} days: no greeting, no gift" if birthday else f"{task.catch_up_hours} hours"
        return f"missed by more than {late}"
    if beginning.overtaken and await _goes_on(connection, task):
        return "a newer run had come due when it could begin: that one does the work"
    if birthday or task.kind in NOTICES:
        return ""
    later = (
        select(RUNS.c.run_at).where(_line(task), RUNS.c.run_at > beginning.run_at.astimezone(UTC)).limit(1)
    )
    overtaken = (await connection.execute(later)).first()
    return "a later run has done its work" if overtaken else ""


async def _goes_on(connection: AsyncConnection, task: RegularTask) -> bool:
    """Whether the schedule starts the task as this run knows it: neither changed, paused nor removed."""
    query = select(TASKS.c.document).where(*_named(task.merchant_id, [task.task_id]), ~TASKS.c.paused)
    document = (await connection.execute(query)).scalar_one_or_none()
    return document is not None and _task.validate_json(document) == task


def _line(task: RegularTask) -> ColumnElement[bool]:
    """The runs that did their work, of this task; where there is one of the kind, under whatever name."""
    found = [RUNS.c.merchant_id == task.merchant_id, RUNS.c.kind == task.kind.value, ~RUNS.c.skipped]
    return and_(*found, *[RUNS.c.task_id == task.task_id] * (task.kind is TaskKind.PROMOTION))


def _named(merchant_id: str, task_ids: Iterable[str]) -> tuple[ColumnElement[bool], ...]:
    return TASKS.c.merchant_id == merchant_id, TASKS.c.task_id.in_(list(task_ids))


def _this(task: RegularTask, run_at: datetime) -> ColumnElement[bool]:
    same = (RUNS.c.merchant_id == task.merchant_id, RUNS.c.task_id == task.task_id)
    return and_(*same, RUNS.c.run_at == run_at)


async def _alone(connection: AsyncConnection, merchant_id: str) -> None:
    """Two runs of one merchant begin one after the other."""
    query = select(col(MerchantRow.id)).where(col(MerchantRow.id) == merchant_id)
    await connection.execute(query.with_for_update())


async def _currencies(connection: AsyncConnection, task: RegularTask) -> tuple[str, ...]:
    """The account of a bonus notice, or all that hold something."""
    if task.kind not in NOTICES:
        return ()
    return (task.currency,) if task.currency else await currencies_of(connection, task.merchant_id)


def _aware_or_none(moment: datetime | None) -> datetime | None:
    return None if moment is None else aware(moment)
