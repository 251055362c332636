"""What a booking owes: a pure function of its state, which is asked again after every happening.

Nothing is pre-scheduled anywhere: a cancelled or moved booking just has another agenda.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from models.addressing import Entry, addressed, without
from models.agenda import Agenda, LeftOut, Notice, Reason
from models.booking import (
    BookingState,
    OrderStatus,
    PaymentStatus,
    Session,
    last_end,
    payment_deadline,
)
from models.booking_raise import make_notice
from models.booking_record import failing_deadline
from models.ids import booking_workflow_id
from models.merchant import PaymentMethod
from models.notices import Kind
from models.people import Person
from models.timing import local_day, moment


def booking_agenda(state: BookingState, now: datetime) -> Agenda:
    """All that the booking owes, what became of the rest, and when it next acts by itself."""
    settled, on = state.settled, state.ready.channels
    entries = [*(_raised(state, notice) for notice in state.raised), *_calendar(state)]
    entries = [part for entry in entries if entry.key not in settled for part in addressed(entry, on)]
    owed = sorted((e for e in entries if isinstance(e, Notice)), key=lambda notice: (notice.due, notice.key))
    over = not owed and now >= _closing(state)
    return Agenda(
        lifecycle=booking_workflow_id(state.booking.merchant_id, state.booking.booking_id),
        stage=state.order,
        zone=state.ready.zone,
        owed=tuple(owed),
        done=state.done,
        left_out=tuple(entry for entry in entries if isinstance(entry, LeftOut)),
        not_taken=state.not_taken,
        next_moment=None if over else _next_moment(state, owed, now),
        over=over,
    )


def _raised(state: BookingState, notice: Notice) -> Entry:
    """A raised notice, unless what happened since has made it pointless."""
    if state.order is OrderStatus.CANCELLED and notice.kind in _POINTLESS_WHEN_OFF:
        return without(notice, Reason.ORDER_CANCELLED)
    if state.order is OrderStatus.FAILED and notice.kind in _POINTLESS_WHEN_OFF:
        return without(notice, Reason.ORDER_FAILED)
    if notice.kind is Kind.ORDER_FAILED and state.failure is None:
        restored = state.order is not OrderStatus.CANCELLED
        return without(notice, Reason.ORDER_RESTORED if restored else Reason.ORDER_CANCELLED)
    about = [session for session in map(state.session, notice.about) if session is not None]
    if notice.kind in _PER_SESSION and about and not any(session.live for session in about):
        return without(notice, Reason.SESSION_CANCELLED)
    if notice.kind is Kind.VOUCHER and not _takes_part(notice.recipient, about):
        return without(notice, Reason.REPLACED)
    if notice.kind is Kind.SERVICE_ASSIGNMENT and not _gives(notice.recipient, about):
        return without(notice, Reason.REPLACED)
    if notice.not_after < notice.due:
        return without(notice, Reason.KNOWN_TOO_LATE)
    return notice


def _takes_part(person: Person, sessions: list[Session]) -> bool:
    return any(taker.id == person.id for session in sessions for taker in session.service.participants)


def _gives(person: Person, sessions: list[Session]) -> bool:
    return any(session.partner == person for session in sessions)


_POINTLESS_WHEN_OFF = (
    Kind.ORDER_PLACED,
    Kind.PAYMENT_RECEIVED,
    Kind.VOUCHER,
    Kind.SERVICE_ASSIGNMENT,
)
_PER_SESSION = (Kind.VOUCHER, Kind.SERVICE_ASSIGNMENT)


def _calendar(state: BookingState) -> list[Entry]:
    """The notices of the calendar, worked out anew."""
    visits = [
        _pre_visit(state, session, person)
        for session in state.sessions
        for person in session.service.participants
    ]
    return [_payment_reminder(state), *visits]


def _payment_reminder(state: BookingState) -> Entry:
    """The day before the deadline while it is unpaid; never for payment in person. [WACA-13, WACA-33]"""
    booking, rules = state.booking, state.ready
    deadline = payment_deadline(state)
    draft = make_notice(
        state,
        Kind.PAYMENT_REMINDER,
        booking.booker,
        deadline or booking.ordered_at,
        deadline or booking.ordered_at,
        "deadline",
        (session.id for session in state.live),
    )
    if booking.payment_method is PaymentMethod.IN_PERSON:
        return without(draft, Reason.PAID_IN_PERSON, undated=True)
    if deadline is None:
        return without(draft, Reason.NO_DEADLINE, undated=True)
    due = moment(local_day(deadline, rules.zone), rules.policy.payment_reminder, rules.zone)
    draft = replace(draft, due=due)
    off = _off(state)
    if off is not None:
        return without(draft, off)
    if state.payment is not PaymentStatus.UNPAID:
        return without(draft, Reason.ALREADY_PAID)
    return draft if due > booking.ordered_at else without(draft, Reason.ORDERED_TOO_LATE)


def _pre_visit(state: BookingState, session: Session, person: Person) -> Entry:
    """Two days before, at the shop's hour; accepted later, at once while a day remains. [WACA-36]"""
    rules, policy = state.ready, state.ready.policy
    starts = session.service.starts_at
    service_day = local_day(starts, rules.zone)
    not_after = starts - timedelta(hours=policy.pre_visit_margin_hours)
    due = moment(service_day, policy.pre_visit, rules.zone)
    # The time is part of the name: a moved session is another visit, and the same one is told only once.
    subject = f"{session.id}@{starts.astimezone(UTC):%Y%m%dT%H%MZ}"
    draft = make_notice(state, Kind.PRE_VISIT, person, due, not_after, subject, (session.id,))
    off = _off(state)
    if off is not None:
        return without(draft, off)
    if not session.live:
        return without(draft, Reason.SESSION_CANCELLED)
    if (service_day - local_day(state.booking.ordered_at, rules.zone)).days < policy.pre_visit_least_days:
        return without(draft, Reason.SERVICE_TOO_SOON)
    if session.accepted_at is None:
        return without(draft, Reason.NOT_ACCEPTED_YET)
    due = max(due, session.known_at or due)
    if due > not_after:
        return without(draft, Reason.KNOWN_TOO_LATE)
    return replace(draft, due=due)


def _off(state: BookingState) -> Reason | None:
    """Why nothing of the calendar is owed any more, or None."""
    if state.order is OrderStatus.CANCELLED:
        return Reason.ORDER_CANCELLED
    return Reason.ORDER_FAILED if state.order is OrderStatus.FAILED else None


def _closing(state: BookingState) -> datetime:
    """When nothing can come any more: the last session over, the last deadline and the last chance gone."""
    if state.cancelled_at is not None:
        return state.cancelled_at
    if state.failed_at is not None:
        return state.failed_at + timedelta(hours=state.ready.policy.late_payment_hours)
    return max(filter(None, (last_end(state), _failing_moment(state))))


def _failing_moment(state: BookingState) -> datetime | None:
    """When the order fails if it stays unpaid: its deadline is the last second for payment."""
    deadline = failing_deadline(state)
    return None if deadline is None else deadline + timedelta(seconds=1)


def _next_moment(state: BookingState, owed: list[Notice], now: datetime) -> datetime | None:
    moments = [_closing(state), *(notice.due for notice in owed)]
    failing = _failing_moment(state)
    if failing is not None:
        moments.append(failing)
    coming = [when for when in moments if when > now]
    return min(coming, default=None)
