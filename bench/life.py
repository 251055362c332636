"""What one whole booking costs in history, from the order to the end of its session."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.testing import TimeSkipper

from bench.bookings import booking
from bench.processes import Server, Side, worker_process
from client import Carillon
from models.booking_facts import Accepted, PaymentReceived
from settings import Settings

STILL = 3
"""So many looks in a row that find the same history: nothing happens any more."""


@dataclass(frozen=True)
class Phase:
    """What one phase of a life added to its history."""

    name: str
    events: int
    bytes: int
    messages: int


async def whole_life(server: Server, client: Client, settings: Settings) -> list[Phase]:
    """The phases of a booking that is paid, accepted, reminded of and over."""
    settings = replace(settings, task_queue="life", senders=0)
    skipper = TimeSkipper(client)
    carillon = Carillon(client, task_queue="life", clock=skipper.get_current_time)
    async with worker_process(Side.CARILLON, server.address, settings) as worker:
        now = datetime.now(UTC)
        started = await carillon.start_booking(booking("life", 1, now, now + timedelta(days=10)))
        handle = client.get_workflow_handle(started.lifecycle)
        steps = [await _still(client, started.lifecycle)]
        for fact in (PaymentReceived(event_id="pay-1"), Accepted(event_id="acc-1")):
            await carillon.tell(started.lifecycle, fact)
            steps.append(await _still(client, started.lifecycle))
        for days in (9, 2):
            await skipper.fast_forward(handle, timedelta(days=days))
            steps.append(await _still(client, started.lifecycle))
        await worker.stop()
    names = ("order placed", "paid", "accepted (voucher)", "pre-visit", "the end")
    sizes = [(0, 0), *((step.history_length, _bytes(step)) for step in steps)]
    return [
        Phase(name, events - past_events, size - past_size, 0 if name == "the end" else 1)
        for name, (past_events, past_size), (events, size) in zip(names, sizes, sizes[1:], strict=False)
    ]


async def _still(client: Client, lifecycle: str) -> WorkflowExecutionDescription:
    """The workflow as it stands when its history grows no more."""
    looks: list[int] = []
    while True:
        await asyncio.sleep(0.3)
        described = await client.get_workflow_handle(lifecycle).describe()
        looks.append(described.history_length)
        if looks[-STILL:] == [described.history_length] * STILL:
            return described


def _bytes(description: WorkflowExecutionDescription) -> int:
    return description.raw_description.workflow_execution_info.history_size_bytes
