"""What is done every minute, whoever waits for it: receipts are asked for, merchants told of shortages."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.receipts import Polled
    from activities.upkeep import Upkeep

POLLING = timedelta(minutes=3)
"""One page at the worst: every provider silent until its patience ends."""
TELLING = timedelta(seconds=30)
"""As long as a delivery: longer than any hand-over, so that one attempt is over before the next begins."""
TWICE = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_attempts=2)
"""What fails twice is left to the next minute."""
LAST = Priority(priority_key=5)
"""Nothing that is due waits for upkeep."""


@dataclass(frozen=True)
class UpkeepDone:
    """What one run did. `alerts`: how many are settled."""

    polled: Polled
    alerts: int


@workflow.defn(name="UpkeepWorkflow")
class UpkeepWorkflow:
    """One run of upkeep, started by a schedule. The two parts go side by side: neither holds up the other."""

    @workflow.run
    async def run(self) -> UpkeepDone:
        polling = workflow.start_activity_method(
            Upkeep.poll_receipts,
            start_to_close_timeout=POLLING,
            retry_policy=TWICE,
            priority=LAST,
            summary="ask what became of messages",
        )
        telling = workflow.start_activity_method(
            Upkeep.send_alerts,
            start_to_close_timeout=TELLING,
            retry_policy=TWICE,
            priority=LAST,
            summary="tell merchants of shortages",
        )
        await workflow.wait([polling, telling])
        return UpkeepDone(await polling, await telling)
