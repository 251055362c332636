"""What a booking's notices say, as plain values: instants, amounts and names, not yet in any language."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from models.agenda import Notice
from models.booking import BookingState, PaymentStatus, Session, payment_deadline
from models.people import Role


@dataclass(frozen=True)
class SessionView:
    """A session as its recipient needs it: UTC instants, shown in the booking's zone."""

    id: str
    name: str
    starts_at: datetime
    ends_at: datetime
    place: str = ""
    participants: tuple[str, ...] = ()
    partner: str = ""
    notes: str = ""
    revision: int = 0


@dataclass(frozen=True)
class BookingContent:
    """`sessions` are on, `gone` are those that the recipient must forget; `zone` is where they take place."""

    booking_id: str
    branch_id: str
    zone: str
    booker: str
    sessions: tuple[SessionView, ...]
    gone: tuple[SessionView, ...] = ()
    voucher: str = ""
    total: Decimal = Decimal(0)
    currency: str = ""
    payment_method: str = ""
    payment_info: str = ""
    payment_deadline: datetime | None = None
    paid: bool = False
    failure: str = ""
    about: Literal["booking"] = "booking"


def booking_content(state: BookingState, notice: Notice) -> BookingContent:
    """What this notice says as the booking stands now."""
    booking = state.booking
    on, gone = _sessions(state, notice)
    slip = next((session.slip for session in (*on, *gone) if session.slip), booking.booking_id)
    return BookingContent(
        booking_id=booking.booking_id,
        branch_id=booking.branch_id,
        zone=state.ready.zone,
        booker=booking.booker.name,
        sessions=tuple(map(_view, on)),
        gone=tuple(map(_view, gone)),
        voucher=f"{slip}-{notice.recipient.id}" if notice.role is Role.PARTICIPANT else "",
        total=booking.total,
        currency=booking.currency,
        payment_method=booking.payment_method,
        payment_info=booking.payment_info,
        payment_deadline=payment_deadline(state),
        paid=state.payment is PaymentStatus.PAID,
        failure=state.failure or "",
    )


def _sessions(state: BookingState, notice: Notice) -> tuple[list[Session], list[Session]]:
    about = [session for session in map(state.session, notice.about) if session is not None]
    match notice.role:
        case Role.BOOKER:
            return list(state.live or state.sessions), []
        case Role.PARTICIPANT:
            mine = state.sessions_of(notice.recipient.id)
            on = [session for session in mine if session.accepted and state.standing]
            return on, [session for session in about if session not in on and _was_on(session)]
        case _:
            return about, []


def _was_on(session: Session) -> bool:
    """Whether the recipient may have this session in a calendar: it was accepted once."""
    return session.accepted_at is not None


def _view(session: Session) -> SessionView:
    service = session.service
    return SessionView(
        id=service.id,
        name=service.name,
        starts_at=service.starts_at,
        ends_at=service.ends_at,
        place=service.place,
        participants=tuple(person.name for person in service.participants),
        partner=session.partner.name if session.partner else "",
        notes=service.notes,
        revision=session.revision,
    )
