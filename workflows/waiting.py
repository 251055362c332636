"""What a workflow waits for that has parts of its own: a moment, a wave."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError

from workflows.wave import WaveWorkflow, labels_of

with workflow.unsafe.imports_passed_through():
    from models.wave import Wave
    from models.wave_state import WaveReport, WaveState


async def deliver(wave: Wave) -> WaveReport | None:
    """One wave to its end; None where another run has started it."""
    try:
        return await workflow.execute_child_workflow(
            WaveWorkflow.run,
            WaveState(wave),
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            **labels_of(wave),
        )
    except WorkflowAlreadyStartedError:
        return None


async def until(moment: datetime) -> None:
    """Wait for a moment that is still to come."""
    left = moment - workflow.now()
    if left > timedelta(0):
        await workflow.sleep(left)
