"""The life of one coupon drop: from the day it is known to its last day of use."""

from dataclasses import replace
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows.drop_waves import DropWaves
from workflows.lifecycle import ATTEMPT, PATIENT, read_fact

with workflow.unsafe.imports_passed_through():
    from activities.coupons import Coupons
    from models.agenda import Agenda, Done, Report
    from models.drop_agenda import drop_agenda, drop_report, lifecycle_of, settled
    from models.drop_state import (
        DROP_FACTS,
        DropChange,
        DropRequest,
        DropStage,
        DropState,
        ExtendDrop,
        RevokeDrop,
        begin,
        granted,
        note_unreadable,
        refusal,
        with_holders,
    )

MOVED_IS_TOLD = "moved-last-day-is-told"
"""A patch: a last day that was moved before it is told only where its own moment is still to come."""
CHANNELS_ANEW = "channels-asked-when-due"
"""A patch: runs that began before it go by the channels that the merchant had then."""


@workflow.defn(name="CouponWorkflow")
class CouponWorkflow(DropWaves):
    """`coupon:{merchant}:{drop}`, however many hold it: each of its notices is a wave. [WACA-37, WACA-38]

    Who holds a coupon, and who has redeemed it, is asked of SQL when a page of a wave is sent.
    """

    @workflow.init
    def __init__(self, state: DropState) -> None:
        super().__init__(state)
        self.merchant_id = state.drop.merchant_id

    @workflow.run
    async def run(self, _: DropState) -> Report:
        """Live until the last day of use is over, or the drop is revoked; answer with the last words."""
        return await self.live()

    @workflow.update
    async def extend(self, request: ExtendDrop) -> Agenda:
        """Let the last day be another; the notice that it ends moves with it."""
        return await self.grant(request)

    @workflow.update
    async def revoke(self, request: RevokeDrop) -> Agenda:
        """Take back what is not redeemed; what is owed of it is withdrawn."""
        return await self.grant(request)

    @extend.validator
    def may_extend(self, request: ExtendDrop) -> None:
        self.must_allow(request)

    @revoke.validator
    def may_revoke(self, request: RevokeDrop) -> None:
        self.must_allow(request)

    @workflow.query
    def agenda(self) -> Agenda:
        """The waves that are owed, what came of those that were, what is left out and why."""
        if self.state.rules is None:
            return Agenda(lifecycle_of(self.state), DropStage.WAITING, "UTC")
        return self.agenda_at(self.now())

    async def prepare(self) -> None:
        asks = workflow.patched(CHANNELS_ANEW)
        if self.state.rules is None:
            await self.begin()
        self.state = replace(self.state, asks=asks)

    async def begin(self) -> None:
        workflow.set_current_details(f"Reading the rules of merchant `{self.merchant_id}`")
        begun = await workflow.execute_activity_method(
            Coupons.begin_drop,
            self.state.drop,
            start_to_close_timeout=ATTEMPT,
            retry_policy=PATIENT,
            summary="keep the drop, read the merchant's rules",
        )
        self.state = begin(begun, self.now())

    def take_in(self, now: datetime) -> None:
        told, self.inbox = self.inbox, []
        for raw in told:
            try:
                fact = read_fact(raw, DROP_FACTS)
            except ValueError as error:
                self.state = note_unreadable(self.state, str(error), now)
                continue
            self.state = with_holders(self.state, fact, now)

    def agenda_at(self, now: datetime) -> Agenda:
        return drop_agenda(self.state, now)

    def settled(self, done: Done) -> DropState:
        return settled(self.state, done)

    def last_words(self, agenda: Agenda) -> Report:
        return drop_report(self.state, agenda)

    def must_allow(self, request: DropRequest) -> None:
        """Refuse a request before it is written into the history."""
        if self.ended:
            raise ApplicationError("the drop has ended", type="Ended")
        if self.ready and (reason := refusal(self.state, request, self.now())) is not None:
            raise ApplicationError(reason, type="Refused")

    async def grant(self, request: DropRequest) -> Agenda:
        """Do what is asked, here and in SQL; answer with the new agenda."""
        await workflow.wait_condition(lambda: self.ready)
        self.take_in(self.now())
        if (reason := refusal(self.state, request, self.now())) is not None:
            raise ApplicationError(reason, type="Refused", non_retryable=True)
        tells = isinstance(request, ExtendDrop) and workflow.patched(MOVED_IS_TOLD)
        self.state = granted(self.state, request, self.now(), tells=tells)
        self.news = True
        async with self.writing:  # one after another: the last one granted is the last one written
            await workflow.execute_activity_method(
                Coupons.write_drop,
                DropChange(self.state.drop, self.state.revoked),
                start_to_close_timeout=ATTEMPT,
                retry_policy=PATIENT,
                summary=f"{request.fact} the drop",
            )
        return self.agenda_at(self.now())
