"""The Temporal Schedules of regular tasks: one for each, made equal to what was applied.

A schedule fires by its cron in the merchant's zone. Around a change of the clocks Temporal errs, so each run
there is told to it besides, as an instant: `HORIZON` ahead, anew with each apply. What it starts at another
moment the workflow lets be. So the runs are those of `models.task_runs`, and a test holds them to it.

Runs may overlap: what each tells is settled when it begins, by the database and the keys of its notices. One
that waited for another would be late, or lost, for a wave that somebody has paused.
"""

from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from models.ids import task_run_id, task_schedule_id
from models.regular_task import RegularTask
from models.task_runs import runs_near_changes, task_cron
from models.task_waves import TaskRun, patience, run_stamp
from workflows.lifecycle import MERCHANT_ID, STAGE
from workflows.regular_task import RegularTaskWorkflow

HORIZON = timedelta(days=10 * 366)
"""So far ahead the runs around changes of the clocks are told."""
MOST = 600
"""So many of them at most: more than ten years for a task of every half hour, two for one of every minute."""
MONTH = timedelta(days=31)
"""So long before the first one that was not told it is time to apply the task again."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HALF_A_CENTURY = timedelta(days=20_000)
"""Less than has passed since 1970: Temporal leaves out the first of its intervals."""


@dataclass(frozen=True)
class Planned:
    """A task as its schedule on the server has it; `job` is None where nobody can read it."""

    schedule_id: str
    job: TaskRun | None
    paused: bool = False
    note: str = ""

    @property
    def state(self) -> str:
        """`on`, or that it is paused and why."""
        return f"paused: {self.note}".rstrip(": ") if self.paused else "on"


class TaskSchedules:
    """The schedules of one merchant's tasks. Nothing else on the server is touched."""

    def __init__(self, client: Client, task_queue: str, merchant_id: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self.merchant_id = merchant_id

    async def found(self, task_ids: Iterable[str]) -> dict[str, Planned]:
        """Those that are on the server, by the task's id.

        The server's list may lag behind what was made just now: whoever knows of tasks names them.
        """
        ids = {*task_ids, *[task_id async for task_id in self._listed()]}
        found = {task_id: await self._planned(task_id) for task_id in sorted(ids)}
        return {task_id: planned for task_id, planned in found.items() if planned is not None}

    async def put(self, job: TaskRun, now: datetime) -> None:
        """Make the schedule as it is meant, new or changed. One that is paused stays so."""
        name = task_schedule_id(self.merchant_id, job.task.task_id)
        wanted = task_schedule(job, self._task_queue, now)

        def as_wanted(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(replace(wanted, state=found.description.schedule.state))

        attributes = TypedSearchAttributes([SearchAttributePair(MERCHANT_ID, self.merchant_id)])
        try:
            await self._client.create_schedule(name, wanted, search_attributes=attributes)
        except ScheduleAlreadyRunningError:
            await self._client.get_schedule_handle(name).update(as_wanted)

    async def remove(self, task_id: str) -> bool:
        """Take the schedule away; answers whether there was one. A run under way goes on."""
        return await _there(self._handle(task_id).delete())

    async def pause(self, task_id: str, note: str) -> bool:
        """Let the schedule start nothing, until it is resumed."""
        return await _there(self._handle(task_id).pause(note=note))

    async def resume(self, task_id: str, note: str) -> bool:
        """Let the schedule start again what is to come; what was missed by more than its patience is not."""
        return await _there(self._handle(task_id).unpause(note=note))

    async def run(self, job: TaskRun, at: datetime) -> str:
        """Start a run by hand; answers its id.

        WorkflowAlreadyStartedError where that minute's is under way.
        """
        at = at.replace(second=0, microsecond=0)
        return await self._start(replace(job, at=at), run_stamp(at))

    async def again(self, job: TaskRun, at: datetime, delay: timedelta | None = None) -> None:
        """Start the run of the day that `at` falls into, besides that day's own; it doubles nothing."""
        await self._start(replace(job, at=at), f"{at:%Y%m%dT%H%M%S.%fZ}", delay)

    async def _start(self, job: TaskRun, stamp: str, delay: timedelta | None = None) -> str:
        """Start a run; answers its id."""
        handle = await self._client.start_workflow(
            RegularTaskWorkflow.run,
            job,
            id=task_run_id(self.merchant_id, job.task.task_id, stamp),
            task_queue=self._task_queue,
            search_attributes=_attributes(self.merchant_id),
            static_summary=_summary(job.task),
            start_delay=delay,
        )
        return handle.id

    async def _listed(self) -> AsyncIterator[str]:
        prefix = task_schedule_id(self.merchant_id, "")
        async for listed in await self._client.list_schedules(f"{MERCHANT_ID.name} = '{self.merchant_id}'"):
            if listed.id.startswith(prefix):
                yield listed.id.removeprefix(prefix)

    async def _planned(self, task_id: str) -> Planned | None:
        try:
            description = await self._handle(task_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return await self._read(description)

    async def _read(self, description: ScheduleDescription) -> Planned | None:
        """None for a schedule that starts anything else: it is not ours, whatever it is called."""
        action, state = description.schedule.action, description.schedule.state
        if not isinstance(action, ScheduleActionStartWorkflow) or action.workflow != WORKFLOW:
            return None
        try:
            (job,) = await self._client.data_converter.decode(action.args, [TaskRun])
        except (RuntimeError, ValueError):
            job = None
        return Planned(description.id, job, state.paused, state.note or "")

    def _handle(self, task_id: str) -> ScheduleHandle:
        return self._client.get_schedule_handle(task_schedule_id(self.merchant_id, task_id))


WORKFLOW = "RegularTaskWorkflow"


def task_schedule(job: TaskRun, task_queue: str, now: datetime) -> Schedule:
    """The schedule of a task."""
    task = job.task
    return Schedule(
        action=ScheduleActionStartWorkflow(
            RegularTaskWorkflow.run,
            job,
            id=task_schedule_id(task.merchant_id, task.task_id),
            task_queue=task_queue,
            typed_search_attributes=_attributes(task.merchant_id),
            static_summary=_summary(task),
        ),
        spec=task_spec(task, job.zone, now),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL, catchup_window=patience(task)),
    )


def task_spec(task: RegularTask, zone: str, now: datetime) -> ScheduleSpec:
    """When Temporal starts the task: at every run of it, and sometimes besides."""
    cron = task_cron(task)
    told = islice(runs_near_changes(cron, zone, now, now + HORIZON), MOST)
    return ScheduleSpec(cron_expressions=[cron], intervals=[_once(run) for run in told], time_zone_name=zone)


def untold(job: TaskRun, applied_at: datetime, now: datetime) -> datetime | None:
    """The next run near a change of the clocks, within a month, that its schedule was not told of."""
    cron = task_cron(job.task)
    told = list(islice(runs_near_changes(cron, job.zone, applied_at, applied_at + HORIZON), MOST))
    until = told[-1] if len(told) == MOST else applied_at + HORIZON
    return next(runs_near_changes(cron, job.zone, max(until, now), now + MONTH), None)


def _once(at: datetime) -> ScheduleIntervalSpec:
    """One instant: intervals are counted from 1970 in UTC, and the next of these is half a century away."""
    return ScheduleIntervalSpec(every=HALF_A_CENTURY, offset=(at - EPOCH) % HALF_A_CENTURY)


def _attributes(merchant_id: str) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(MERCHANT_ID, merchant_id), SearchAttributePair(STAGE, "running")]
    )


def _summary(task: RegularTask) -> str:
    return f"{task.kind.value.replace('_', ' ')} of {task.merchant_id}: {task.task_id}"


async def _there(doing: Awaitable[None]) -> bool:
    try:
        await doing
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
