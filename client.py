"""The one way in: start a booking, tell it what happened, ask it what it owes.

carillon = Carillon(await connect())
await carillon.start_booking(booking)
await carillon.tell("booking:lumi:b-1042", PaymentReceived(event_id="pay-77"))
agenda = await carillon.agenda("booking:lumi:b-1042")
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from intake import check_booking
from intake.coupons import check_drop
from intake.member_facts import check_member_fact, check_member_ids
from models.agenda import Agenda, Notice, Report
from models.booking import Booking, BookingState
from models.booking_content import BookingContent
from models.booking_facts import BookingFact, BookingRequest
from models.coupon import CouponDrop
from models.drop_state import DropRequest, DropStage, DropState, HoldersAdded, RevokeDrop
from models.ids import booking_workflow_id, coupon_workflow_id, member_workflow_id, phone_check_id, upkeep_id
from models.member_facts import MemberFact
from models.member_state import MemberState, Stage
from models.phone_check import PhoneCheck, PhoneCheckReport
from settings import TASK_QUEUE
from workflows.booking import BookingWorkflow
from workflows.coupon import CouponWorkflow
from workflows.lifecycle import MEMBER_ID, MERCHANT_ID, STAGE
from workflows.member import MemberWorkflow
from workflows.phone_check import PhoneCheckWorkflow
from workflows.upkeep import UpkeepWorkflow

ANSWER = timedelta(seconds=11)
"""How long an answer may take: a little longer than the server needs to find that a worker is gone."""
_UNANSWERED = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)

EVERY = timedelta(minutes=1)
"""How often there is upkeep. What was missed while nobody worked is not made up for: one run does all."""
STUCK = timedelta(minutes=15)
"""A run of upkeep that has not ended by then holds up the next ones, and is ended."""

Clock = Callable[[WorkflowHandle[Any, Any]], Awaitable[datetime]]


class UnknownLifecycleError(LookupError):
    """There is no lifecycle of that id."""


class EndedError(Exception):
    """The lifecycle is over; `report` holds its last words, where they are kept still."""

    def __init__(self, lifecycle: str, report: Report | None) -> None:
        words = report.words if report is not None else "its history is kept no longer"
        super().__init__(f"{lifecycle} has ended: {words}")
        self.report = report


class RefusedError(Exception):
    """A request that the state does not allow; the message says why."""


class UnansweredError(Exception):
    """Nobody answered a request in time. It may be granted yet: asked again, it must keep its event id."""

    def __init__(self, lifecycle: str, request: BookingRequest | DropRequest) -> None:
        super().__init__(
            f"{lifecycle} did not answer in time, and may do it yet: see with `carillon doctor` whether "
            f"a worker is at work, then ask again with the event id {request.event_id!r}"
        )


@dataclass(frozen=True)
class Started:
    """`new` is False when the same booking was started before: there is one lifecycle for each."""

    lifecycle: str
    new: bool


@dataclass(frozen=True)
class Run:
    """One run of a workflow, at work or ended."""

    workflow: str
    run_id: str
    at_work: bool


async def connect(**options: Any) -> Client:
    """A Temporal client by the environment or the profile (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TLS ...)."""
    config: dict[str, Any] = {"target_host": "localhost:7233", **ClientConfig.load_client_connect_config()}
    return await Client.connect(**{**config, **options}, data_converter=pydantic_data_converter)


async def connect_to(address: str, namespace: str = "default") -> Client:
    """A Temporal client of the plain server at that address, whatever the environment says."""
    return await Client.connect(address, namespace=namespace, data_converter=pydantic_data_converter)


async def ensure_upkeep(client: Client, task_queue: str = TASK_QUEUE) -> None:
    """See to it that there is the schedule of upkeep, as it is meant today. One that was paused stays so."""
    name = upkeep_id(task_queue)
    wanted = Schedule(
        action=ScheduleActionStartWorkflow(
            UpkeepWorkflow.run,
            id=name,
            task_queue=task_queue,
            execution_timeout=STUCK,
            static_summary="Upkeep: receipts and alerts",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=EVERY),
    )

    def as_wanted(found: ScheduleUpdateInput) -> ScheduleUpdate:
        return ScheduleUpdate(replace(wanted, state=found.description.schedule.state))

    try:
        await client.create_schedule(name, wanted)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(name).update(as_wanted)


async def _real_time(_: WorkflowHandle[Any, Any]) -> datetime:
    return datetime.now(UTC)


class Carillon:
    """Talks to the lifecycles. `clock` answers a lifecycle's own time: real time, but where it was moved."""

    def __init__(self, client: Client, *, task_queue: str = TASK_QUEUE, clock: Clock = _real_time) -> None:
        self.client = client
        self._task_queue = task_queue
        self._clock = clock

    async def start_booking(self, booking: Booking) -> Started:
        """Begin the life of a booking. Starting the same one again, even after its end, changes nothing.

        InputError names everything in the booking that cannot be.
        """
        booking = check_booking(booking)
        lifecycle = booking_workflow_id(booking.merchant_id, booking.booking_id)
        attributes = [
            SearchAttributePair(MERCHANT_ID, booking.merchant_id),
            SearchAttributePair(STAGE, "processing"),
        ]
        if booking.booker.member_id:
            attributes.append(SearchAttributePair(MEMBER_ID, booking.booker.member_id))
        try:
            await self.client.start_workflow(
                BookingWorkflow.run,
                BookingState(booking),
                id=lifecycle,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=TypedSearchAttributes(attributes),
                static_summary=f"Booking {booking.booking_id} at {booking.merchant_id}",
                static_details="Services: " + ", ".join(service.name for service in booking.services),
            )
        except WorkflowAlreadyStartedError:
            return Started(lifecycle, new=False)
        return Started(lifecycle, new=True)

    async def start_coupon(self, drop: CouponDrop) -> Started:
        """Begin the life of a coupon drop. Starting the same one again, even after its end, changes nothing.

        Whoever gives members the coupon tells of it by `HoldersAdded`. InputError names what cannot be.
        """
        drop = check_drop(drop)
        lifecycle = coupon_workflow_id(drop.merchant_id, drop.drop_id)
        attributes = [
            SearchAttributePair(MERCHANT_ID, drop.merchant_id),
            SearchAttributePair(STAGE, DropStage.WAITING),
        ]
        try:
            await self.client.start_workflow(
                CouponWorkflow.run,
                DropState(drop),
                id=lifecycle,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=TypedSearchAttributes(attributes),
                static_summary=f"Coupon {drop.name} of {drop.merchant_id}",
                static_details=f"Issued {drop.issue_on}, usable from {drop.usable_from}",
            )
        except WorkflowAlreadyStartedError:
            return Started(lifecycle, new=False)
        return Started(lifecycle, new=True)

    async def tell(self, lifecycle: str, fact: BookingFact | HoldersAdded) -> None:
        """Tell a booking or a coupon drop what happened, once or more: `event_id` makes it one fact.

        EndedError when it is over, UnknownLifecycleError when there is none.
        A fact without `at` counts as happening now.
        """
        handle = self.client.get_workflow_handle(lifecycle)
        try:
            if fact.at is None:
                fact = replace(fact, at=await self._clock(handle))
            await handle.signal(BookingWorkflow.tell, args=[fact])
        except RPCError as error:
            raise await self._gone(handle, error) from None

    async def tell_member(self, merchant_id: str, member_id: str, fact: MemberFact) -> str:
        """Tell what happened to a member, once or more; answers the id of its lifecycle.

        It is started where it does not run: with its memory, and as soon as the member is known. A fact
        without `at` counts as happening now. InputError names what cannot be.
        """
        check_member_ids(merchant_id, member_id)
        fact, lifecycle = check_member_fact(fact), member_workflow_id(merchant_id, member_id)
        if fact.at is None:
            fact = replace(fact, at=await self._member_clock(lifecycle))
        attributes = [
            SearchAttributePair(MERCHANT_ID, merchant_id),
            SearchAttributePair(MEMBER_ID, member_id),
            SearchAttributePair(STAGE, Stage.WAITING),
        ]
        await self.client.start_workflow(
            MemberWorkflow.run,
            MemberState(merchant_id, member_id),
            id=lifecycle,
            task_queue=self._task_queue,
            start_signal="tell",
            start_signal_args=[fact],
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=f"Member {member_id} at {merchant_id}",
        )
        return lifecycle

    async def check_phone(
        self, merchant_id: str, member_id: str, patience: timedelta = ANSWER
    ) -> PhoneCheckReport | None:
        """Send a code to a member's phone; answers what came of it, None where it is on its way. [WACA-35]

        While one is on its way no other is sent. InputError names what cannot be.
        """
        check_member_ids(merchant_id, member_id)
        attributes = [
            SearchAttributePair(MERCHANT_ID, merchant_id),
            SearchAttributePair(MEMBER_ID, member_id),
        ]
        handle = await self.client.start_workflow(
            PhoneCheckWorkflow.run,
            PhoneCheck(merchant_id, member_id),
            id=phone_check_id(merchant_id, member_id),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=f"A code to the phone of {member_id} at {merchant_id}",
        )
        try:
            return await asyncio.wait_for(handle.result(), patience.total_seconds())
        except TimeoutError:
            return None

    async def look_at_member(self, merchant_id: str, member_id: str) -> None:
        """Let the lifecycle of a member read anew what the member holds, if it runs."""
        handle = self.client.get_workflow_handle(member_workflow_id(merchant_id, member_id))
        try:
            await handle.signal(MemberWorkflow.look)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise

    async def runs_about(self, merchant_id: str, member_id: str) -> list[Run]:
        """Every run about one member: its own lifecycle, the checks of its phone, the bookings it has made.

        InputError names what cannot be.
        """
        check_member_ids(merchant_id, member_id)
        own = (member_workflow_id(merchant_id, member_id), phone_check_id(merchant_id, member_id))
        named = " OR ".join(f"WorkflowId = '{one}'" for one in own)
        about = f"{MERCHANT_ID.name} = '{merchant_id}' AND {MEMBER_ID.name} = '{member_id}'"
        found = self.client.list_workflows(f"{named} OR ({about})")
        running = WorkflowExecutionStatus.RUNNING
        return [Run(one.id, one.run_id, at_work=one.status is running) async for one in found]

    async def delete(self, run: Run) -> None:
        """End a run where it is at work, and delete its history. One that is gone already is no matter."""
        execution = WorkflowExecution(workflow_id=run.workflow, run_id=run.run_id)
        request = DeleteWorkflowExecutionRequest(
            namespace=self.client.namespace, workflow_execution=execution
        )
        try:
            await self.client.workflow_service.delete_workflow_execution(request)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise

    async def runs(self, lifecycle: str) -> bool:
        """Whether a lifecycle of that id is at work now."""
        try:
            description = await self.client.get_workflow_handle(lifecycle).describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return False
        return description.status is WorkflowExecutionStatus.RUNNING

    async def _member_clock(self, lifecycle: str) -> datetime:
        """The lifecycle's own time where it runs, else the real one."""
        if not await self.runs(lifecycle):
            return datetime.now(UTC)
        return await self._clock(self.client.get_workflow_handle(lifecycle))

    async def ask(self, lifecycle: str, request: BookingRequest | DropRequest) -> Agenda:
        """Ask for a change that may be refused; answers with the new agenda, or RefusedError says why not.

        The same request asked again is granted again, and changes nothing: so is to revoke a drop whose life
        has ended by that. UnansweredError when no worker is there to answer, or the merchant is not applied
        yet.
        """
        handle = self.client.get_workflow_handle(lifecycle)
        try:
            agenda: Agenda = await handle.execute_update(
                request.fact, request, result_type=Agenda, rpc_timeout=ANSWER
            )
        except WorkflowUpdateFailedError as error:
            cause = error.cause
            why = cause.message if isinstance(cause, ApplicationError) else str(cause)
            ended = isinstance(cause, ApplicationError) and cause.type == "Ended"
            if ended and (found := await self._revoked(lifecycle, request)) is not None:
                return found
            raise RefusedError(why) from None
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            if isinstance(error.__cause__, asyncio.CancelledError):
                raise error.__cause__ from None
            raise UnansweredError(lifecycle, request) from None
        except RPCError as error:
            gone = await self._gone(handle, error)
            ended = isinstance(gone, EndedError)
            if ended and (found := await self._revoked(lifecycle, request)) is not None:
                return found
            raise gone from None
        return agenda

    async def _revoked(self, lifecycle: str, request: BookingRequest | DropRequest) -> Agenda | None:
        """The agenda of a drop that is to be revoked and has ended so; None where it is another end."""
        if not isinstance(request, RevokeDrop):
            return None
        agenda = await self.agenda(lifecycle)
        return agenda if agenda.stage == DropStage.REVOKED else None

    async def agenda(self, lifecycle: str) -> Agenda:
        """What a lifecycle owes, what it sent and what it leaves out; of one that has ended too."""
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(lifecycle)
        try:
            return await handle.query(BookingWorkflow.agenda, rpc_timeout=ANSWER)
        except RPCError as error:
            if error.status not in _UNANSWERED:
                raise await self._gone(handle, error) from None
        # It went to a worker that has just died; by now the server knows, and another one answers.
        return await handle.query(BookingWorkflow.agenda, rpc_timeout=ANSWER)

    async def content(self, lifecycle: str, notice: Notice) -> BookingContent:
        """What a notice of this lifecycle says as things stand now."""
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(lifecycle)
        try:
            return await handle.query(BookingWorkflow.content, notice, rpc_timeout=ANSWER)
        except RPCError as error:
            raise await self._gone(handle, error) from None

    async def now(self, lifecycle: str) -> datetime:
        """The lifecycle's own time: the real one, unless its clock was moved."""
        handle = self.client.get_workflow_handle(lifecycle)
        try:
            return await self._clock(handle)
        except RPCError as error:
            raise await self._gone(handle, error) from None

    async def _gone(self, handle: WorkflowHandle[Any, Any], error: RPCError) -> Exception:
        """The error that a caller can act on, for one that Temporal gave."""
        if error.status != RPCStatusCode.NOT_FOUND:
            return error
        try:
            description = await handle.describe()
        except RPCError as unknown:
            if unknown.status != RPCStatusCode.NOT_FOUND:
                return unknown
            return UnknownLifecycleError(
                f"there is no lifecycle {handle.id!r}: start it first, or check its id"
            )
        if description.status is not WorkflowExecutionStatus.COMPLETED:
            return EndedError(handle.id, None)
        typed = self.client.get_workflow_handle(handle.id, result_type=Report)
        return EndedError(handle.id, await typed.result())
