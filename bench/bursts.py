"""Many reminders due at one instant: how late each is, and what it costs the worker and the server."""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import quantiles
from typing import Any

from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from bench.bare import Bare
from bench.bookings import waiting_booking, whole_second
from bench.processes import Cost, Server, Side, WorkerProcess, worker_process
from models.ids import booking_workflow_id
from settings import Settings
from workflows.booking import BookingWorkflow
from workflows.lifecycle import MERCHANT_ID, STAGE

WARMING = 30
"""So many go before, unmeasured: a worker that has worked has its templates and statements at hand."""
AT_ONCE = 50
"""Starts under way at one time."""
QUIET = 0.3
"""Processor seconds in a second below which everyone only waits."""
LIMIT = 300.0
"""Seconds after which a burst that has not ended is given up."""
_names = itertools.count(1)


@dataclass(frozen=True)
class Burst:
    """`lateness`: seconds from due to each hand-over, in order.

    `settled`: seconds from due until every workflow was done with its message; the processor seconds are
    those spent until then.
    """

    lateness: list[float]
    settled: float
    worker_cpu: float
    server_cpu: float
    waiting_bytes: float
    """Of the worker's memory, for each workflow that waits."""

    @property
    def per_second(self) -> float:
        return len(self.lateness) / self.lateness[-1]

    @property
    def settled_per_second(self) -> float:
        return len(self.lateness) / self.settled

    @property
    def cpu(self) -> float:
        """Processor seconds a message, of both."""
        return (self.worker_cpu + self.server_cpu) / len(self.lateness)

    def percentile(self, percent: int) -> float:
        return quantiles(self.lateness, n=100, method="inclusive")[percent - 1]


class NotInTimeError(Exception):
    """The bookings were not all waiting when their moment came."""


async def burst(
    side: Side, count: int, pace: float, server: Server, client: Client, settings: Settings
) -> Burst:
    """Let that many fall due at one instant; `pace` is how many this machine starts in a second.

    All of them wait beforehand. Where they do not, it is tried again with more time.
    """
    lead = 8 + 2.5 * count / pace
    for _ in range(3):
        name = f"{side}-{count}-{next(_names)}"
        try:
            return await _burst(side, count, name, lead, server, client, settings)
        except NotInTimeError:
            lead *= 2
            await _end(client, name)
    raise NotInTimeError(f"{count} workflows do not come to wait within {lead / 2:.0f} s on this machine")


async def _burst(
    side: Side, count: int, name: str, lead: float, server: Server, client: Client, settings: Settings
) -> Burst:
    settings = replace(settings, task_queue=name)
    async with worker_process(side, server.address, settings) as worker:
        start = _start_booking if side is Side.CARILLON else _start_bare
        soon = whole_second(2)
        await bounded(lambda number: start(client, name, count + number, soon), WARMING)
        await _all_settled(client, _SETTLED[side].format(name), WARMING)
        empty = worker.cost.memory
        due = whole_second(lead)
        await bounded(lambda number: start(client, name, number, due), count)
        await _all_waiting(due, worker, server)
        waiting = (worker.cost.memory - empty) / count
        before = worker.cost.seconds, server.cost.seconds
        await asyncio.sleep(due.timestamp() - time.time())
        await _all_settled(client, _SETTLED[side].format(name), WARMING + count)
        settled = time.time() - due.timestamp()
        worker_cpu, server_cpu = worker.cost.seconds - before[0], server.cost.seconds - before[1]
        moments = [moment for moment in await worker.stop() if moment >= due.timestamp()]
    if len(moments) != count:
        raise RuntimeError(f"{len(moments)} of {count} messages were handed over")
    lateness = sorted(at - due.timestamp() for at in moments)
    return Burst(lateness, settled, worker_cpu, server_cpu, waiting)


async def bounded(work: Callable[[int], Coroutine[Any, Any, None]], count: int) -> None:
    """Do it for each number, some at one time."""
    numbers = iter(range(count))

    async def one_after_another() -> None:
        for number in numbers:
            await work(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_another())


async def _start_booking(client: Client, name: str, number: int, due: datetime) -> None:
    state = waiting_booking(name, number, due)
    booking = state.booking
    await client.start_workflow(
        BookingWorkflow.run,
        state,
        id=booking_workflow_id(booking.merchant_id, booking.booking_id),
        task_queue=name,
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(MERCHANT_ID, booking.merchant_id),
                SearchAttributePair(STAGE, state.order.value),
            ]
        ),
        static_summary=f"Booking {booking.booking_id} at {booking.merchant_id}",
    )


async def _start_bare(client: Client, name: str, number: int, due: datetime) -> None:
    await client.start_workflow(Bare.run, due, id=f"{name}-{number}", task_queue=name)


_SETTLED = {
    Side.CARILLON: "TaskQueue = '{}' AND LastOutcome = 'pre_visit sent'",
    Side.BARE: "TaskQueue = '{}' AND ExecutionStatus = 'Completed'",
}
"""Who has no more work with its message: a booking waits on for its session, a bare workflow has ended."""


async def _all_waiting(due: datetime, worker: WorkerProcess, server: Server) -> None:
    """Until nobody does anything but wait for the moment."""
    while True:
        before = _spent(worker.cost, server.cost)
        await asyncio.sleep(1)
        if time.time() > due.timestamp() - 0.5:
            raise NotInTimeError
        if _spent(worker.cost, server.cost) - before < QUIET:
            return


async def _end(client: Client, name: str) -> None:
    """What was begun in vain must not cost the next ones anything."""
    async for workflow in client.list_workflows(f"TaskQueue = '{name}' AND ExecutionStatus = 'Running'"):
        await client.get_workflow_handle(workflow.id).terminate()


async def _all_settled(client: Client, query: str, count: int) -> None:
    async with asyncio.timeout(LIMIT):
        while (await client.count_workflows(query)).count < count:  # noqa: ASYNC110  (another process works)
            await asyncio.sleep(0.25)


def _spent(*processes: Cost) -> float:
    return sum(process.seconds for process in processes)
