"""One delivery to many members who share a moment: page by page, some pages at a time."""

from dataclasses import replace
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import is_cancelled_exception

from workflows.lifecycle import ATTEMPT, MERCHANT_ID, PATIENT, STAGE
from workflows.wave_pages import PageWork, priority_of

with workflow.unsafe.imports_passed_through():
    from activities.waves import PAGE, Waves
    from models.ids import wave_workflow_id
    from models.notices import ways
    from models.showing import shown_time
    from models.wave import Wave
    from models.wave_showing import WAITING, wave_report
    from models.wave_state import CloseWave, Progress, WaveReport, WaveState, with_end


@workflow.defn(name="WaveWorkflow")
class WaveWorkflow(PageWork):
    """`wave:{merchant}:{wave}`. Told to pause, resume or cancel by signals; `progress` says how far it is."""

    @workflow.init
    def __init__(self, state: WaveState) -> None:
        super().__init__(state)

    @workflow.run
    async def run(self, _: WaveState) -> WaveReport:
        """Wait for the moment, deliver to everybody, answer with the last words."""
        try:
            await self.deliver()
        except BaseException as error:
            if not is_cancelled_exception(error):
                raise
            # Cancelled in the Web UI, or with what started it: an orderly end all the same.
            self.cancel()
            await self.deliver()
        self.state = with_end(self.state)
        await workflow.execute_activity_method(
            Waves.close,
            CloseWave(self.state.wave, everybody=self.state.cancelled),
            start_to_close_timeout=PAGE,
            heartbeat_timeout=ATTEMPT,
            retry_policy=PATIENT,
            priority=priority_of(self.state.wave),
            summary="settle what will not be sent any more",
        )
        self.show()
        return wave_report(self.state)

    @workflow.signal
    def pause(self) -> None:
        """Begin no page; those under way leave off."""
        self.state = replace(self.state, paused=True)
        self.leave_off()

    @workflow.signal
    def resume(self) -> None:
        """Go on where it stands."""
        self.state, self.news = replace(self.state, paused=False), True

    @workflow.signal
    def cancel(self) -> None:
        """Send nothing more, and end."""
        self.state = replace(self.state, cancelled=True, paused=False)
        if self.cutting is not None:
            self.cutting.cancel()
        self.leave_off()

    @workflow.query
    def progress(self) -> Progress:
        """How far it has come, and what holds it."""
        return self.found()

    async def deliver(self) -> None:
        """Decide, wait, act; until no page is left."""
        while not (self.state.over and self.idle):
            self.news = False
            if not workflow.info().is_continue_as_new_suggested():
                self.begin()
            elif self.idle:
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(self.state)
            self.show()
            await self.told_or_time()

    async def told_or_time(self) -> None:
        """Wait until something is told or done, or, where a hand is free, for the next moment."""
        now = self.now()
        moment = self.state.next_moment(now)
        if moment is None or self.full:
            await workflow.wait_condition(lambda: self.news)
            return
        words = f"{self.state.wave.kind}, {shown_time(moment, self.state.zone)}"
        try:
            await workflow.wait_condition(lambda: self.news, timeout=moment - now, timeout_summary=words)
        except TimeoutError:
            self.reached = moment


def labels_of(wave: Wave) -> dict[str, Any]:
    """How a wave is to be started, whoever starts it: its id, and what an administrator sees of it."""
    pairs = [SearchAttributePair(MERCHANT_ID, wave.merchant_id), SearchAttributePair(STAGE, WAITING)]
    kind = wave.kind.replace("_", " ")
    return {
        "id": wave_workflow_id(wave.merchant_id, wave.wave_id),
        "search_attributes": TypedSearchAttributes(pairs),
        "static_summary": f"{kind} of {wave.merchant_id}, due {wave.due:%Y-%m-%d %H:%M} UTC",
        "static_details": f"To the audience {wave.audience.name}, by {ways(wave.kind, wave.channels)}",
        "priority": priority_of(wave),
    }
