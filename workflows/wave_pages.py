"""The pages of a wave: cut from its audience, handed to activities, some at a time, and written down."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import Priority, SearchAttributeUpdate
from temporalio.exceptions import ActivityError

from workflows.lifecycle import (
    ATTEMPT,
    LAST_OUTCOME,
    LONG_AGO,
    NEXT_NOTICE,
    NEXT_NOTICE_AT,
    PATIENT,
    STAGE,
)

with workflow.unsafe.imports_passed_through():
    from activities.waves import PAGE, Waves
    from models.notices import CATALOGUE
    from models.wave import Wave
    from models.wave_showing import CANCELLED, HOLDING, SENT, WAITING, progress, progress_markdown
    from models.wave_state import (
        CutOrder,
        Page,
        PageDone,
        PageOrder,
        Progress,
        WaveState,
        with_cut,
        with_failure,
        with_page,
    )


class PageWork:
    """What is under way for a wave. Its whole memory is `state`."""

    def __init__(self, state: WaveState) -> None:
        self.state = state
        self.under_way: dict[str, workflow.ActivityHandle[PageDone]] = {}
        self.cutting: asyncio.Task[None] | None = None
        self.news = False
        self.reached = LONG_AGO

    def now(self) -> datetime:
        """The wave's clock: never before a moment that it has waited for, as with every lifecycle."""
        return max(workflow.now(), self.reached)

    @property
    def idle(self) -> bool:
        return not self.under_way and self.cutting is None

    @property
    def full(self) -> bool:
        return len(self.under_way) >= self.state.options.in_flight

    def begin(self) -> None:
        """Cut the audience and begin pages, as far as the moment has come and hands are free."""
        now = self.now()
        if now < self.state.wave.due:
            return
        if self.cutting is None and self.state.wants_cut(self.under_way):
            self.cutting = asyncio.create_task(self.cut())
        free = self.state.options.in_flight - len(self.under_way)
        for page in self.state.ready(now, self.under_way)[:free]:
            handle = self.start(page)
            self.under_way[page.until] = handle
            asyncio.create_task(self.finish(page, handle))  # noqa: RUF006  (Temporal's loop keeps it)

    def leave_off(self) -> None:
        """Ask the pages under way to stop after the group in hand; they still say what they did."""
        self.news = True
        for handle in self.under_way.values():
            handle.cancel()

    async def cut(self) -> None:
        """Find where the next pages begin and end."""
        try:
            found = await workflow.execute_activity_method(
                Waves.cut,
                CutOrder(self.state.wave, self.state.cursor, self.state.options),
                start_to_close_timeout=ATTEMPT,
                retry_policy=PATIENT,
                priority=priority_of(self.state.wave),
                summary="the next pages of the audience",
            )
            self.state = with_cut(self.state, found)
        except ActivityError:
            return  # the wave was cancelled meanwhile
        finally:
            self.cutting, self.news = None, True

    def start(self, page: Page) -> workflow.ActivityHandle[PageDone]:
        """Hand a page to whoever has a hand free."""
        return workflow.start_activity_method(
            Waves.deliver_page,
            PageOrder(self.state.wave, page, self.state.options),
            start_to_close_timeout=PAGE,
            heartbeat_timeout=timedelta(seconds=self.state.options.heartbeat_seconds),
            retry_policy=PATIENT,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            priority=priority_of(self.state.wave),
            summary=f"{self.state.wave.kind} to members up to {page.until}",
        )

    async def finish(self, page: Page, handle: workflow.ActivityHandle[PageDone]) -> None:
        """Wait for a page and write down what came of it."""
        try:
            done = await handle  # the state is read after it: a pause may have come meanwhile
            self.state = with_page(self.state, page, done)
        except ActivityError:
            self.state = with_failure(self.state, page, self.now())
        del self.under_way[page.until]
        self.news = True

    def found(self) -> Progress:
        """How far the wave has come."""
        return progress(self.state, self.now(), self.under_way)

    def show(self) -> None:
        """Tell the Web UI: the progress in words, and the search attributes that have changed."""
        found, known = self.found(), workflow.info().typed_search_attributes
        workflow.set_current_details(progress_markdown(found))
        updates: list[SearchAttributeUpdate] = [STAGE.value_set(found.stage)]  # type: ignore[type-arg]
        if found.stage in (WAITING, HOLDING) and found.next_moment is not None:
            updates += [NEXT_NOTICE.value_set(found.kind), NEXT_NOTICE_AT.value_set(found.next_moment)]
        else:
            updates += [NEXT_NOTICE.value_unset(), NEXT_NOTICE_AT.value_unset()]
        if found.stage in (SENT, CANCELLED):
            updates.append(LAST_OUTCOME.value_set(f"{found.kind} {found.stage}"))
        if changed := [one for one in updates if known.get(one.key) != one.value]:
            workflow.upsert_search_attributes(changed)


def priority_of(wave: Wave) -> Priority:
    """Urgent classes first, and every merchant its turn."""
    return Priority(priority_key=int(CATALOGUE[wave.kind].notice_class), fairness_key=wave.merchant_id)
