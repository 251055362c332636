"""The life of one booking: from the order to the last session."""

from dataclasses import replace
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows.lifecycle import ATTEMPT, PATIENT, Lifecycle, read_fact

with workflow.unsafe.imports_passed_through():
    from activities.merchants import Merchants, Place
    from models.agenda import Agenda, Delivery, Done, Notice, Report
    from models.booking import BookingState
    from models.booking_agenda import booking_agenda
    from models.booking_content import BookingContent, booking_content
    from models.booking_facts import (
        FACTS,
        AnyBookingFact,
        BookingRequest,
        Cancel,
        ChangeParticipant,
        Reschedule,
    )
    from models.booking_record import advance, begin, note_unreadable, record, refusal
    from models.ids import booking_workflow_id


@workflow.defn(name="BookingWorkflow")
class BookingWorkflow(Lifecycle[BookingState]):
    """`booking:{merchant}:{booking}`. Facts are told by the signal `tell`; requests are updates."""

    @workflow.init
    def __init__(self, state: BookingState) -> None:
        super().__init__(state)
        self.merchant_id = state.booking.merchant_id

    @workflow.run
    async def run(self, _: BookingState) -> Report:
        """Live until the last session is over and nothing is owed; answer with the last words."""
        return await self.live()

    @workflow.update
    async def reschedule(self, request: Reschedule) -> Agenda:
        """Move a service to another time."""
        return await self.grant(request)

    @workflow.update
    async def change_participant(self, request: ChangeParticipant) -> Agenda:
        """Let someone else receive a service. [WACA-09]"""
        return await self.grant(request)

    @workflow.update
    async def cancel(self, request: Cancel) -> Agenda:
        """Cancel the order, or some of its services. [WACA-34]"""
        return await self.grant(request)

    @reschedule.validator
    def may_reschedule(self, request: Reschedule) -> None:
        self.must_allow(request)

    @change_participant.validator
    def may_change_participant(self, request: ChangeParticipant) -> None:
        self.must_allow(request)

    @cancel.validator
    def may_cancel(self, request: Cancel) -> None:
        self.must_allow(request)

    @workflow.query
    def agenda(self) -> Agenda:
        """What is owed, what was sent, what is left out and why."""
        if self.state.rules is None:
            lifecycle = booking_workflow_id(self.merchant_id, self.state.booking.booking_id)
            return Agenda(lifecycle, "waiting for the merchant's rules", "UTC")
        return self.agenda_at(self.now())

    @workflow.query
    def content(self, notice: Notice) -> BookingContent:
        """What a notice says as things stand, for a preview."""
        return booking_content(self.state, notice)

    async def prepare(self) -> None:
        if self.state.rules is not None:
            return
        booking = self.state.booking
        workflow.set_current_details(f"Reading the rules of merchant `{booking.merchant_id}`")
        rules = await workflow.execute_activity_method(
            Merchants.booking_rules,
            Place(booking.merchant_id, booking.branch_id),
            start_to_close_timeout=ATTEMPT,
            retry_policy=PATIENT,
            summary="the merchant's rules",
        )
        self.state = begin(booking, rules)

    def take_in(self, now: datetime) -> None:
        told, self.inbox = self.inbox, []
        for raw in told:
            try:
                fact: AnyBookingFact = read_fact(raw, FACTS)
            except ValueError as error:
                self.state = note_unreadable(self.state, "unreadable", str(error), now)
                continue
            self.state, _ = record(self.state, fact, now)
        self.state = advance(self.state, now)

    def agenda_at(self, now: datetime) -> Agenda:
        return booking_agenda(self.state, now)

    def delivery(self, notice: Notice) -> Delivery[BookingContent]:
        content = booking_content(self.state, notice)
        return Delivery(notice, content, self.merchant_id, workflow.info().workflow_id)

    def settled(self, done: Done) -> BookingState:
        return replace(self.state, done=(*self.state.done, done))

    def must_allow(self, request: BookingRequest) -> None:
        """Refuse a request before it is written into the history."""
        if self.ended:
            raise ApplicationError("the booking has ended", type="Ended")
        if not self.ready:
            return
        reason = refusal(self.state, request, self.now())
        if reason is not None:
            raise ApplicationError(reason, type="Refused")

    async def grant(self, request: BookingRequest) -> Agenda:
        """Do what is asked, after what was told before it; answer with the new agenda."""
        await workflow.wait_condition(lambda: self.ready)
        self.take_in(self.now())
        self.state, verdict = record(self.state, request, self.now())
        self.news = True
        if not verdict.taken and not verdict.known:
            raise ApplicationError(verdict.reason, type="Refused", non_retryable=True)
        return self.agenda_at(self.now())
