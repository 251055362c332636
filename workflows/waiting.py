"""What a workflow waits for that has parts of its own: a moment, a wave."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError, is_cancelled_exception

from workflows.wave import WaveWorkflow, labels_of

with workflow.unsafe.imports_passed_through():
    from models.wave import Wave
    from models.wave_showing import BROKEN_OFF, CANCELLED, ELSEWHERE, wordless_report
    from models.wave_state import WaveReport, WaveState


async def deliver(wave: Wave) -> WaveReport:
    """One wave, and its last words. One that has none, as it was terminated, holds up nothing else."""
    try:
        return await workflow.execute_child_workflow(
            WaveWorkflow.run,
            WaveState(wave),
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            **labels_of(wave),
        )
    except WorkflowAlreadyStartedError:
        return wordless_report(wave, ELSEWHERE)
    except ChildWorkflowError as error:
        if is_cancelled_exception(error):
            return wordless_report(wave, CANCELLED)
        workflow.logger.error("wave %s was broken off: %s", wave.wave_id, error.cause or error)
        return wordless_report(wave, BROKEN_OFF)


async def deliver_in_turn(wave: Wave, again: timedelta) -> WaveReport:
    """The same, after one of that id which somebody else has started: that one is let end first."""
    try:
        while (report := await deliver(wave)).stage == ELSEWHERE:
            await workflow.sleep(again, summary=f"{wave.wave_id} is under way already")
    except asyncio.CancelledError:
        return wordless_report(wave, CANCELLED)
    return report


async def until(moment: datetime) -> None:
    """Wait for a moment that is still to come."""
    left = moment - workflow.now()
    if left > timedelta(0):
        await workflow.sleep(left)
