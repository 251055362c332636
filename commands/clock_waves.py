"""The waves of a lifecycle that hold: while one does, the clock of the lifecycle cannot be moved past it."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio.client import WorkflowHandle

from client import Carillon
from commands.failures import Mistake
from commands.wave_calls import progress_of
from models.wave_showing import HOLDING, PAUSED, WAITING

STANDING = (HOLDING, PAUSED, WAITING)


@dataclass(frozen=True)
class Holding:
    """A wave that waits by its own `clock`: until that instant, None while it is paused."""

    handle: WorkflowHandle[Any, Any]
    clock: datetime
    until: datetime | None

    @property
    def id(self) -> str:
        return self.handle.id


async def held_waves(carillon: Carillon, handle: WorkflowHandle[Any, Any]) -> list[Holding]:
    """Those of its waves that are under way, and wait for a moment or for somebody."""
    children = (await handle.describe()).raw_description.pending_children
    found = []
    for wave in sorted(child.workflow_id for child in children):
        with suppress(Mistake):  # it is over by now
            progress = await progress_of(carillon.client, wave)
            if progress.stage in STANDING:
                until = None if progress.stage == PAUSED else progress.next_moment
                clock = await carillon.now(wave)
                found.append(Holding(carillon.client.get_workflow_handle(wave), clock, until))
    return found
