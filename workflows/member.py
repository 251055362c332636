"""The life of one member while something is owed to it: a welcome, and invitations while it does not buy."""

from dataclasses import replace
from datetime import datetime

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, is_cancelled_exception

from workflows.lifecycle import ATTEMPT, PATIENT, Lifecycle, read_fact

with workflow.unsafe.imports_passed_through():
    from activities.member_life import Keeping, Look, MemberLife, Recalled
    from models.agenda import Agenda, Delivery, Done, Foreseen, Notice, Report
    from models.ids import member_workflow_id
    from models.member_agenda import member_agenda, member_content
    from models.member_content import MemberContent
    from models.member_facts import MEMBER_FACTS, MemberFact
    from models.member_record import begin, note_unreadable, record, settle
    from models.member_state import NEVER_KNOWN, MemberState, Profile, Stage, memory_of, never_a_member

ONE_FOR_ANOTHER = "one-for-another"
"""A patch: lives that began before it leave out what cannot go by a channel that is chosen."""
WAITS_SOME_WEEKS = "waits-some-weeks-for-a-member"
"""A patch: lives that began before it wait for their member for ever."""


class NeverAMember(Exception):  # noqa: N818  (no fault: how such a life ends)
    """Nobody of that id has become a member."""


@workflow.defn(name="MemberWorkflow")
class MemberWorkflow(Lifecycle[MemberState]):
    """`member:{merchant}:{member}`. Facts are told by the signal `tell`, which also starts it.

    It ends when nothing is owed, and leaves its memory to the life that the next fact begins. [LOY-53]
    """

    @workflow.init
    def __init__(self, state: MemberState) -> None:
        super().__init__(state)
        self.merchant_id = state.merchant_id
        self.stale = True
        self.foreseen: tuple[Foreseen, ...] = ()

    @workflow.run
    async def run(self, _: MemberState) -> Report:
        """Live until nothing is owed, or nobody of that id became a member; answer with the last words."""
        try:
            return await self.live()
        except NeverAMember:
            return never_a_member(self.state)

    @workflow.signal
    def tell(self, fact: RawValue) -> None:
        """Something happened. Any order, any number of times: it is told apart by its event id."""
        super().tell(fact)
        self.stale = True

    @workflow.signal
    def look(self) -> None:
        """Something that the member holds has changed: read it anew."""
        self.stale = self.news = True

    @workflow.query
    def agenda(self) -> Agenda:
        """What is owed, what was sent, what is left out and why; and what will come from elsewhere."""
        if self.state.profile is None:
            lifecycle = member_workflow_id(self.merchant_id, self.state.member_id)
            return Agenda(lifecycle, Stage.WAITING, "UTC")
        return self.agenda_at(self.now())

    async def prepare(self) -> None:
        if self.state.profile is not None:
            return
        self.stale = False
        workflow.set_current_details(f"Waiting for member `{self.state.member_id}`")
        recalled = await self.recalled()
        self.state = begin(self.state, self.known(recalled.profile), recalled.memory, self.now())
        self.foreseen = recalled.foreseen

    async def recalled(self) -> Recalled:
        """The member and its memory, as soon as it is one; NeverAMember some weeks after the last fact."""
        patience = NEVER_KNOWN if workflow.patched(WAITS_SOME_WEEKS) else None
        while True:
            self.news, told = False, len(self.inbox)
            try:
                return await workflow.execute_activity_method(
                    MemberLife.recall,
                    self.question,
                    start_to_close_timeout=ATTEMPT,
                    schedule_to_close_timeout=patience,
                    retry_policy=PATIENT,
                    summary="the member and its memory",
                )
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                # Told something meanwhile it waits once more: a fact is kept for as long as any other. Asked
                # to look it does not: what others hold is no word of this one.
                if len(self.inbox) == told:
                    raise NeverAMember from None

    async def look_again(self) -> None:
        if not self.stale:
            return
        self.stale = False
        seen = await workflow.execute_activity_method(
            MemberLife.look,
            self.question,
            start_to_close_timeout=ATTEMPT,
            retry_policy=PATIENT,
            summary="the member as it is now",
        )
        profile = self.known(seen.profile) if seen.profile else self.state.profile
        self.state = replace(self.state, profile=profile, member_gone=seen.profile is None)
        self.foreseen = seen.foreseen

    def known(self, profile: Profile) -> Profile:
        """A profile as this life decides by it. Asked only where it matters: it is one record more."""
        if profile.chains and not workflow.patched(ONE_FOR_ANOTHER):
            return replace(profile, chains=False)
        return profile

    async def keep(self) -> None:
        await workflow.execute_activity_method(
            MemberLife.keep,
            Keeping(self.merchant_id, self.state.member_id, memory_of(self.state)),
            start_to_close_timeout=ATTEMPT,
            retry_policy=PATIENT,
            summary="what the next life must know",
        )

    async def ring(self, moment: datetime, words: str) -> None:
        await super().ring(moment, words)
        self.stale = True

    def take_in(self, now: datetime) -> None:
        told, self.inbox = self.inbox, []
        for raw in told:
            try:
                fact: MemberFact = read_fact(raw, MEMBER_FACTS)
            except ValueError as error:
                self.state = note_unreadable(self.state, str(error), now)
                continue
            self.state, _ = record(self.state, fact, now)

    def agenda_at(self, now: datetime) -> Agenda:
        coming = tuple(one for one in self.foreseen if one.coming(now))
        return replace(member_agenda(self.state, now), foreseen=coming)

    def delivery(self, notice: Notice) -> Delivery[MemberContent]:
        content = member_content(self.state)
        return Delivery(notice, content, self.merchant_id, workflow.info().workflow_id)

    def settled(self, done: Done) -> MemberState:
        return settle(self.state, done)

    @property
    def question(self) -> Look:
        return Look(self.merchant_id, self.state.member_id, self.now())
