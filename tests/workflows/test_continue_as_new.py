"""A long life does not grow a long history: it goes on in a new run, with all it knows."""

from datetime import timedelta
from pathlib import Path

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from models.booking_facts import (
    Accepted,
    PaymentReceived,
    Reschedule,
)
from temporal_server import dynamic_config_arguments, server_program
from tests.world import ADA, a_world, booking, service
from workflows.lifecycle import SEARCH_ATTRIBUTES


async def test_a_booking_that_is_moved_many_times_goes_on_in_new_runs(tmp_path: Path) -> None:
    """Every move is told once, nothing twice, and the pre-visit still comes; over several runs."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=server_program(),
        data_converter=pydantic_data_converter,
        search_attributes=list(SEARCH_ATTRIBUTES),
        dev_server_log_level="error",
        dev_server_extra_args=[
            *dynamic_config_arguments(),
            "--dynamic-config-value",
            "limit.historyCount.suggestContinueAsNew=40",
        ],
    )
    async with environment, a_world(environment.client, tmp_path) as world, world.worker():
        made = booking(service("s1", 30, ADA))
        id = await world.start(made)
        first_run = (await world.handle(id).describe()).run_id
        await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="ok"))
        for day in range(1, 9):
            starts = made.services[0].starts_at + timedelta(days=day)
            ends = starts + timedelta(hours=1)
            await world.carillon.ask(
                id, Reschedule(event_id=f"mv{day}", service="s1", starts_at=starts, ends_at=ends)
            )
            await world.quiet(id)
        await world.tell(id, PaymentReceived(event_id="pay"))
        assert (await world.handle(id).describe()).run_id != first_run
        report = await world.to_the_end(id)
        kinds = await world.kinds_to(ADA)
        assert kinds == [
            "order_placed", "payment_received", "voucher", *["voucher_changed"] * 8, "pre_visit",
        ]  # fmt: skip
        assert report.sent == len(kinds)
