"""What all lifecycles share: the loop, the wait, what is shown, and the end.

A lifecycle decides by pure functions of its state; this waits for what they name and acts on it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from temporalio import workflow
from temporalio.common import (
    Priority,
    RawValue,
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.delivery import Deliveries
    from models.agenda import Agenda, ChannelOutcome, CloseOut, Delivery, Done, Notice, Report, Status
    from models.notices import CATALOGUE, ways
    from models.showing import agenda_markdown, report, wake_words

S = TypeVar("S")

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

ATTEMPT = timedelta(seconds=30)
"""One attempt at an activity: longer than any hand-over, so that one is over before the next begins."""
PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=10)
)
"""Again and again: a provider or a database that is down comes back."""

MERCHANT_ID = SearchAttributeKey.for_keyword("MerchantId")
MEMBER_ID = SearchAttributeKey.for_keyword("MemberId")
STAGE = SearchAttributeKey.for_keyword("Stage")
NEXT_NOTICE = SearchAttributeKey.for_keyword("NextNotice")
NEXT_NOTICE_AT = SearchAttributeKey.for_datetime("NextNoticeAt")
LAST_OUTCOME = SearchAttributeKey.for_keyword("LastOutcome")
SEARCH_ATTRIBUTES = (MERCHANT_ID, MEMBER_ID, STAGE, NEXT_NOTICE, NEXT_NOTICE_AT, LAST_OUTCOME)

UNDER_WAY_IS_NEXT = "under-way-is-next"
"""A patch: lives that began before it name what comes after a notice that is under way."""


class Loop(ABC, Generic[S]):
    """A durable process that owes notices, however they are sent. Its whole memory is `state`."""

    def __init__(self, state: S) -> None:
        self.state = state
        self.merchant_id = ""
        self.inbox: list[RawValue] = []
        self.ready = False
        self.news = False
        self.ended = False
        self.reached = LONG_AGO
        self.alarm: asyncio.Task[None] | None = None
        self.alarm_at: datetime | None = None
        self.under_way: dict[str, asyncio.Task[list[ChannelOutcome]]] = {}

    @workflow.signal
    def tell(self, fact: RawValue) -> None:
        """Something happened. Any order, any number of times: it is told apart by its event id."""
        self.inbox.append(fact)
        self.news = True

    @abstractmethod
    async def prepare(self) -> None:
        """Read what the state still needs."""

    async def look_again(self) -> None:
        """Read anew what may have changed elsewhere, where that is anything: before each turn of the loop."""

    async def keep(self) -> None:
        """Write down what the next life must know, where there is one. Whatever is told meanwhile counts."""

    @abstractmethod
    def take_in(self, now: datetime) -> None:
        """Record what was told, and let the calendar do its part."""

    @abstractmethod
    def agenda_at(self, now: datetime) -> Agenda:
        """What is owed, by the pure rules."""

    @abstractmethod
    def settled(self, done: Done) -> S:
        """The state with a notice settled."""

    @abstractmethod
    def start_delivery(self, notice: Notice) -> asyncio.Task[list[ChannelOutcome]]:
        """Begin to send a notice whose moment has come. Cancelled, it still says what came of it."""

    def now(self) -> datetime:
        """The lifecycle's clock: never before a moment that its own alarm has reached.

        A worker that lived through an outage of the server may be given a task with the time of the one
        before it (seen with Server 1.32). It would set its alarm anew, and nobody could replay that.
        """
        return max(workflow.now(), self.reached)

    async def live(self) -> Report:
        """Decide, wait, act; until nothing is owed and nothing can come."""
        await self.prepare()
        self.ready = True
        while True:
            self.news = False
            await self.look_again()
            self.take_in(self.now())
            agenda = self.agenda_at(self.now())
            self.start_due(agenda)
            self.withdraw_lapsed(agenda)
            self.show(agenda)
            if self.idle and (agenda.over or workflow.info().is_continue_as_new_suggested()):
                await workflow.wait_condition(workflow.all_handlers_finished)
                if agenda.over:
                    await self.keep()
                if not self.news:
                    break
            else:
                await self.told_or(agenda)
        if not agenda.over:
            workflow.continue_as_new(self.state)
        self.ended = True
        return self.last_words(agenda)

    def last_words(self, agenda: Agenda) -> Report:
        """How it ended, and what came of what it owed."""
        return report(agenda)

    @property
    def idle(self) -> bool:
        return not self.under_way

    async def told_or(self, agenda: Agenda) -> None:
        """Wait until something is told or settled, or the agenda's next moment has come."""
        self.set_alarm(agenda.next_moment, wake_words(agenda))
        await workflow.wait_condition(lambda: self.news)

    def set_alarm(self, moment: datetime | None, words: str) -> None:
        """One timer for the next moment, set anew only when that moment is another."""
        if moment == self.alarm_at:
            return
        if self.alarm is not None:
            self.alarm.cancel()
        self.alarm_at, self.alarm = moment, None
        if moment is not None:
            self.alarm = asyncio.create_task(self.ring(moment, words))

    async def ring(self, moment: datetime, words: str) -> None:
        remaining = moment - self.now()
        if remaining > timedelta(0):
            await workflow.sleep(remaining, summary=words)
            self.reached = max(self.reached, moment)
        self.alarm_at, self.alarm = None, None
        self.news = True

    def start_due(self, agenda: Agenda) -> None:
        """Begin to send every notice whose moment has come. Each goes on by itself: none holds up another."""
        for notice in agenda.owed:
            if notice.due <= self.now() and notice.key not in self.under_way:
                handle = self.start_delivery(notice)
                self.under_way[notice.key] = handle
                asyncio.create_task(self.finish(notice, handle))  # noqa: RUF006  (Temporal's loop keeps it)

    async def finish(self, notice: Notice, handle: asyncio.Task[list[ChannelOutcome]]) -> None:
        """Wait for a delivery and write down what came of it."""
        outcomes = await self.outcomes(notice, handle)
        self.state = self.settled(Done(notice, tuple(outcomes)))
        del self.under_way[notice.key]
        self.news = True

    async def outcomes(
        self,
        notice: Notice,  # noqa: ARG002  (for those that need it)
        handle: asyncio.Task[list[ChannelOutcome]],
    ) -> list[ChannelOutcome]:
        """What came of a delivery, in the end."""
        return await handle

    def withdraw_lapsed(self, agenda: Agenda) -> None:
        """Stop trying to send what is no longer owed."""
        for key, handle in self.under_way.items():
            if agenda.key(key) is None:
                handle.cancel()

    def show(self, agenda: Agenda) -> None:
        """Tell the Web UI: the agenda in words, and the search attributes that have changed."""
        workflow.set_current_details(agenda_markdown(agenda))
        wanted: list[SearchAttributePair[str]] = [SearchAttributePair(STAGE, agenda.stage)]
        if agenda.done:
            last = agenda.done[-1]
            wanted.append(SearchAttributePair(LAST_OUTCOME, f"{last.notice.kind} {last.status}"))
        known = workflow.info().typed_search_attributes
        updates: list[SearchAttributeUpdate] = [  # type: ignore[type-arg]
            pair.key.value_set(pair.value) for pair in wanted if known.get(pair.key) != pair.value
        ]
        updates += _next_notice(known, self.next_notice(agenda))
        if updates:
            workflow.upsert_search_attributes(updates)

    def next_notice(self, agenda: Agenda) -> Notice | None:
        """The one that the search attributes name."""
        return next((notice for notice in agenda.owed if notice.key not in self.under_way), None)


class Lifecycle(Loop[S]):
    """A process whose notices each go to one person."""

    def next_notice(self, agenda: Agenda) -> Notice | None:
        """The first that is not settled, under way or not: one that is held up is found by its moment.

        It is also one record less for each message.
        """
        if workflow.patched(UNDER_WAY_IS_NEXT):
            return next(iter(agenda.owed), None)
        return super().next_notice(agenda)

    @abstractmethod
    def delivery(self, notice: Notice) -> Delivery:  # type: ignore[type-arg]
        """The notice with what it says as things stand."""

    def start_delivery(self, notice: Notice) -> asyncio.Task[list[ChannelOutcome]]:
        """Hand a notice to the activity that sends it, for as long as the notice means something."""
        left = max(notice.not_after - self.now(), timedelta(0))
        return workflow.start_activity_method(
            Deliveries.deliver,
            self.delivery(notice),
            start_to_close_timeout=ATTEMPT,
            # An attempt that begins at the last moment may still finish.
            schedule_to_close_timeout=left + ATTEMPT,
            retry_policy=PATIENT,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            priority=self.priority(notice),
            summary=f"{notice.kind} to {notice.role} by {ways(notice.kind, notice.channels)}",
        )

    async def outcomes(
        self, notice: Notice, handle: asyncio.Task[list[ChannelOutcome]]
    ) -> list[ChannelOutcome]:
        """What the activity says; where it had no time left, or was told to stop, what is written instead."""
        try:
            return await handle
        except ActivityError:
            lapsed = self.agenda_at(self.now()).key(notice.key) is None
            status = Status.LAPSED if lapsed else Status.MISSED
            why = "it was no longer owed" if lapsed else "it could not be sent in its time"
            return await workflow.execute_activity_method(
                Deliveries.close_out,
                CloseOut(self.delivery(notice), status, why),
                start_to_close_timeout=ATTEMPT,
                retry_policy=PATIENT,
                summary=f"{notice.kind}: {status}",
            )

    def priority(self, notice: Notice) -> Priority:
        """Urgent classes first, and every merchant its turn."""
        return Priority(priority_key=int(CATALOGUE[notice.kind].notice_class), fairness_key=self.merchant_id)


def read_fact(raw: RawValue, kinds: Mapping[str, type]) -> Any:
    """A fact of one of these kinds from what was told; ValueError says what cannot be read."""
    converter = workflow.payload_converter()
    told = converter.from_payload(raw.payload, dict)
    kind = kinds.get(str(told.get("fact")))
    if kind is None:
        raise ValueError(f"fact: {told.get('fact')!r} is none of {', '.join(kinds)}")
    return converter.from_payload(raw.payload, kind)


def _next_notice(known: TypedSearchAttributes, notice: Notice | None) -> list[SearchAttributeUpdate]:  # type: ignore[type-arg]
    if notice is None:
        named = known.get(NEXT_NOTICE) is not None
        return [NEXT_NOTICE.value_unset(), NEXT_NOTICE_AT.value_unset()] if named else []
    if (known.get(NEXT_NOTICE), known.get(NEXT_NOTICE_AT)) == (notice.kind, notice.due):
        return []
    return [NEXT_NOTICE.value_set(notice.kind), NEXT_NOTICE_AT.value_set(notice.due)]
