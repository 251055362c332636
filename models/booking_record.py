"""What each happening does to a booking.

Facts and requests both go through `record`, which takes the whole of one or leaves the state as it was, with
the reason. [WACA-07, WACA-31, WACA-34]
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from models.agenda import NotTaken, Verdict
from models.booking import (
    Booking,
    BookingState,
    Failure,
    PaymentStatus,
    Session,
    identified,
    named,
    past_deadline,
    payment_deadline,
)
from models.booking_facts import (
    Accepted,
    AnyBookingFact,
    Assigned,
    BookingRequest,
    Cancel,
    Cancelled,
    ChangeParticipant,
    PaymentFailed,
    PaymentReceived,
    Refunded,
    Reschedule,
)
from models.booking_raise import (
    Cause,
    raise_assignment,
    raise_for_booker,
    raise_vouchers,
    tell_holders,
)
from models.merchant import BookingRules, PaymentMethod
from models.notices import Kind

REMEMBERED = 500
"""How many event ids and refusals a booking remembers: far more than a booking's life has."""


class Refused(Exception):  # noqa: N818  (a refusal is an answer, not a fault)
    """The state does not allow it; the message says why."""


class NothingNew(Exception):  # noqa: N818  (the same)
    """It is so already."""


def begin(booking: Booking, rules: BookingRules) -> BookingState:
    """The state of an order that was just placed. [WACA-10]"""
    booking = named(booking)
    sessions = tuple(Session(service) for service in booking.services)
    state = BookingState(booking, rules, sessions)
    return raise_for_booker(state, Kind.ORDER_PLACED, Cause("placed", booking.ordered_at))


def advance(state: BookingState, now: datetime) -> BookingState:
    """Let the calendar do its part: at its deadline an unpaid order fails, by most methods. [WACA-31b]"""
    deadline = failing_deadline(state)
    if deadline is None or not past_deadline(state, now):
        return state
    return _fail(state, Failure.DEADLINE, Cause("deadline", deadline))


def failing_deadline(state: BookingState) -> datetime | None:
    """The deadline at which the order fails if it stays unpaid, or None."""
    unpaid = state.standing and state.payment is PaymentStatus.UNPAID
    if not unpaid or state.booking.payment_method not in state.ready.policy.fails_unpaid:
        return None
    return payment_deadline(state)


def record(state: BookingState, fact: AnyBookingFact, now: datetime) -> tuple[BookingState, Verdict]:
    """Take a fact in, or say why not. A fact told late counts from when it happened, never from the future.

    Idempotent by event id. What is not taken is remembered with its reason, and changes nothing else.
    """
    if fact.event_id in state.seen:
        return state, Verdict(taken=False, known=True, reason="told before")
    if (unclear := _without_zone(fact)) is not None:
        return _noted(state, NotTaken(fact.event_id, fact.fact, unclear, now)), Verdict(False, unclear)
    cause = Cause(fact.event_id, min(fact.at or now, now))
    state = advance(state, cause.at)
    seen = (*state.seen, fact.event_id)[-REMEMBERED:]
    try:
        state = replace(_RULES[type(fact)](state, fact, cause), seen=seen)
        return _unnoted(state, fact.event_id), Verdict(taken=True)
    except NothingNew as same:
        verdict = Verdict(taken=False, known=True, reason=str(same))
        state = replace(state, seen=seen)
    except Refused as refusal:
        # Not remembered as seen: told again when the state allows it, it is taken.
        verdict = Verdict(taken=False, reason=str(refusal))
    return _noted(state, NotTaken(fact.event_id, fact.fact, verdict.reason, cause.at)), verdict


def refusal(state: BookingState, request: BookingRequest, now: datetime) -> str | None:
    """Why a request would be refused now, or None. Changes nothing."""
    _, verdict = record(state, request, now)
    return None if verdict.taken or verdict.known else verdict.reason


def note_unreadable(state: BookingState, fact: str, reason: str, now: datetime) -> BookingState:
    """Remember that something was told which could not be read: it is shown, not dropped."""
    number = sum(note.event_id.startswith("unreadable-") for note in state.not_taken) + 1
    return _noted(state, NotTaken(f"unreadable-{number}", fact, reason, now))


def _noted(state: BookingState, note: NotTaken) -> BookingState:
    others = _unnoted(state, note.event_id).not_taken
    return replace(state, not_taken=(*others, note)[-REMEMBERED:])


def _unnoted(state: BookingState, event_id: str) -> BookingState:
    """Without the note on a fact that was refused once and is taken now."""
    return replace(state, not_taken=tuple(note for note in state.not_taken if note.event_id != event_id))


def _without_zone(fact: AnyBookingFact) -> str | None:
    """Which instant of a fact could be any of a day's: nothing can be decided by it."""
    for name, value in vars(fact).items():
        if isinstance(value, datetime) and value.utcoffset() is None:
            return f"{name}: {value.isoformat()} has no zone; add its offset, or Z for UTC"
    return None


def _payment_received(state: BookingState, _: PaymentReceived, cause: Cause) -> BookingState:
    if state.payment is not PaymentStatus.UNPAID:
        raise NothingNew(f"the payment is {state.payment} already")
    if state.cancelled_at is not None:
        raise Refused("the order is cancelled: refund the payment, or take a new order")
    if state.failure is not None and past_deadline(state, cause.at):
        raise Refused("the order failed at its payment deadline: refund the payment, or take a new order")
    failed = state.failure is not None
    state = replace(state, payment=PaymentStatus.PAID, failure=None, failed_at=None)
    state = raise_for_booker(state, Kind.PAYMENT_RECEIVED, cause)
    # Those with a voucher were told that it is off: tell them that it is on again.
    return tell_holders(_revised(state), state.live, cause) if failed else state


def _payment_failed(state: BookingState, _: PaymentFailed, cause: Cause) -> BookingState:
    if state.failure is not None:
        raise NothingNew("the order failed already")
    if state.payment is not PaymentStatus.UNPAID:
        raise Refused(f"the payment is {state.payment}: a failure of an earlier attempt changes nothing")
    if state.cancelled_at is not None:
        raise Refused("the order is cancelled")
    if state.booking.payment_method is not PaymentMethod.CARD:
        raise Refused(f"only a card is declined: a payment by {state.booking.payment_method} is waited for")
    return _fail(state, Failure.CARD, cause)


def _refunded(state: BookingState, _: Refunded, cause: Cause) -> BookingState:
    if state.payment is PaymentStatus.REFUNDED:
        raise NothingNew("the payment is refunded already")
    if state.cancelled_at is not None:
        raise Refused("the order was cancelled before it was paid")
    # A refund tells that a payment was there, even when that payment is told later or not at all.
    state = replace(state, payment=PaymentStatus.REFUNDED, failure=None, failed_at=None)
    return _cancel_all(state, cause)


def _accepted(state: BookingState, fact: Accepted, cause: Cause) -> BookingState:
    _must_stand(state)
    sessions = _chosen(state, fact.services)
    fresh = [session for session in sessions if not session.accepted]
    if not fresh:
        raise NothingNew("these services are accepted already")
    for session in fresh:
        state = state.with_session(replace(session, accepted_at=cause.at))
    state = raise_vouchers(state, fresh, cause)
    for session in fresh:
        if session.partner is not None:
            state = raise_assignment(state, session.id, cause)
    return state


def _assigned(state: BookingState, fact: Assigned, cause: Cause) -> BookingState:
    _must_stand(state)
    if not fact.partner.name:
        raise Refused("partner: name who gives the service")
    (session,) = _chosen(state, (fact.service,))
    partner = replace(fact.partner, id=fact.partner.id or f"partner-{session.id}")
    if session.partner == partner:
        raise NothingNew("this service partner is assigned already")
    state = state.with_session(replace(session, partner=partner))
    # Before acceptance nothing is certain yet: the partner hears of it with the acceptance.
    return raise_assignment(state, session.id, cause) if session.accepted else state


def _cancelled(state: BookingState, fact: Cancelled | Cancel, cause: Cause) -> BookingState:
    if state.cancelled_at is not None:
        raise NothingNew("the order is cancelled already")
    known = [state.session(service) for service in fact.services]
    if known and all(session is not None and not session.live for session in known):
        raise NothingNew("these services are cancelled already")
    _must_stand(state)
    sessions = _chosen(state, fact.services)
    if len(sessions) == len(state.live):
        if state.payment is PaymentStatus.PAID:
            raise Refused("a paid order is cancelled by its refund: tell 'refunded' when that is done")
        return _cancel_all(state, cause)
    for session in sessions:
        state = state.with_session(replace(session, cancelled_at=cause.at, revision=session.revision + 1))
    return tell_holders(state, sessions, cause)


def _reschedule(state: BookingState, request: Reschedule, cause: Cause) -> BookingState:
    _must_stand(state)
    (session,) = _chosen(state, (request.service,))
    starts, ends = request.starts_at, request.ends_at
    ends = ends or starts + (session.service.ends_at - session.service.starts_at)
    if ends <= starts:
        raise Refused("ends_at: a service ends after it starts")
    if starts <= cause.at:
        raise Refused(f"starts_at: {starts.isoformat()} is past; choose a time to come")
    if session.service.starts_at <= cause.at:
        raise Refused("the service has begun and cannot be moved")
    if (starts, ends) == (session.service.starts_at, session.service.ends_at):
        raise NothingNew("the service is at that time already")
    moved = replace(
        session,
        service=replace(session.service, starts_at=starts, ends_at=ends),
        changed_at=cause.at,
        revision=session.revision + 1,
    )
    state = state.with_session(moved)
    if not moved.accepted:
        return state
    state = tell_holders(state, [moved], cause)
    return raise_assignment(state, moved.id, cause) if moved.partner is not None else state


def _change_participant(state: BookingState, request: ChangeParticipant, cause: Cause) -> BookingState:
    _must_stand(state)
    (session,) = _chosen(state, (request.service,))
    people = session.service.participants
    old = next((person for person in people if person.id == request.participant), None)
    if old is None:
        raise Refused(
            f"participant: {request.participant!r} takes no part in {session.id!r}; it has "
            + ", ".join(repr(person.id) for person in people)
        )
    if not request.person.name:
        raise Refused("person: name who takes part")
    if session.service.starts_at <= cause.at:
        raise Refused("the service has begun: its participants cannot change any more")
    new = identified(state, request.person)
    if new == old:
        raise NothingNew("this person takes part already")
    if new.id != old.id and any(person.id == new.id for person in people):
        raise Refused(f"person: {new.id!r} takes part in {session.id!r} already")
    swapped = tuple(new if person.id == old.id else person for person in people)
    changed = replace(
        session,
        service=replace(session.service, participants=swapped),
        changed_at=cause.at,
        revision=session.revision + 1 if session.accepted else session.revision,
    )
    state = state.with_session(changed)
    return tell_holders(state, [changed], cause, people=(new, old)) if changed.accepted else state


def _must_stand(state: BookingState) -> None:
    if not state.standing:
        raise Refused(f"the order is {state.order}")


def _chosen(state: BookingState, services: tuple[str, ...]) -> list[Session]:
    """The live sessions named, or all of them; Refused for one that is unknown or cancelled."""
    chosen = []
    for service in services or tuple(session.id for session in state.live):
        session = state.session(service)
        if session is None:
            known = ", ".join(repr(session.id) for session in state.sessions)
            raise Refused(f"service: there is no {service!r} in this order; it has {known}")
        if not session.live:
            raise Refused(f"service: {service!r} is cancelled")
        if session not in chosen:
            chosen.append(session)
    return chosen


def _cancel_all(state: BookingState, cause: Cause) -> BookingState:
    live = state.live
    for session in live:
        state = state.with_session(replace(session, cancelled_at=cause.at, revision=session.revision + 1))
    state = replace(state, cancelled_at=cause.at)
    state = raise_for_booker(state, Kind.ORDER_CANCELLED, cause)
    return tell_holders(state, live, cause)


def _fail(state: BookingState, failure: Failure, cause: Cause) -> BookingState:
    state = replace(state, failure=failure, failed_at=cause.at)
    state = raise_for_booker(state, Kind.ORDER_FAILED, cause)
    return tell_holders(_revised(state), state.live, cause)


def _revised(state: BookingState) -> BookingState:
    """Every session that a calendar may hold has changed for it."""
    sessions = tuple(replace(s, revision=s.revision + 1) if s.accepted else s for s in state.sessions)
    return replace(state, sessions=sessions)


_RULES = cast(
    "dict[type, Callable[[BookingState, Any, Cause], BookingState]]",
    {
        PaymentReceived: _payment_received,
        PaymentFailed: _payment_failed,
        Refunded: _refunded,
        Accepted: _accepted,
        Assigned: _assigned,
        Cancelled: _cancelled,
        Cancel: _cancelled,
        Reschedule: _reschedule,
        ChangeParticipant: _change_participant,
    },
)
