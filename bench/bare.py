"""The yardstick: a workflow with one timer and one activity that does nothing."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from temporalio import activity, workflow

ATTEMPT = timedelta(seconds=30)


@dataclass
class HandOvers:
    """When each message was handed over, in seconds since 1970."""

    moments: list[float] = field(default_factory=list)

    @activity.defn
    async def hand_over(self) -> None:
        """Nothing but the moment."""
        self.moments.append(time.time())


@workflow.defn(name="Bare")
class Bare:
    """Waits for its moment, hands over, ends."""

    @workflow.run
    async def run(self, due: datetime) -> None:
        remaining = due - workflow.now()
        if remaining > timedelta(0):
            await workflow.sleep(remaining)
        await workflow.execute_activity_method(HandOvers.hand_over, start_to_close_timeout=ATTEMPT)
