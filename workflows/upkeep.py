"""What is done every minute, whoever waits for it: receipts are asked for, merchants and the staff told."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.receipts import Polled
    from activities.staff import StaffWatch
    from activities.upkeep import Upkeep

POLLING = timedelta(minutes=3)
"""One page at the worst: every provider silent until its patience ends."""
TELLING = timedelta(seconds=30)
"""As long as a delivery: longer than any hand-over, so that one attempt is over before the next begins."""
WATCHING = timedelta(seconds=45)
"""A look at the log, and every service of the staff's silent until its patience ends."""
TWICE = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_attempts=2)
"""What fails twice is left to the next minute."""
LAST = Priority(priority_key=5)
"""Nothing that is due waits for upkeep."""


@dataclass(frozen=True)
class UpkeepDone:
    """What one run did. `alerts`: how many are settled. `told`: how many went to the staff."""

    polled: Polled
    alerts: int
    told: int = 0


@workflow.defn(name="UpkeepWorkflow")
class UpkeepWorkflow:
    """One run of upkeep, started by a schedule. Its parts go side by side: none holds up another."""

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
        if not workflow.patched("staff-alerts"):
            await workflow.wait([polling, telling])
            return UpkeepDone(await polling, await telling)
        watching = workflow.start_activity_method(
            StaffWatch.tell_staff,
            start_to_close_timeout=WATCHING,
            retry_policy=TWICE,
            priority=LAST,
            summary="tell the staff what is wrong",
        )
        await workflow.wait([polling, telling, watching])
        return UpkeepDone(await polling, await telling, await watching)
