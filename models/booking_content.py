"""What a booking's notices say, as plain values: instants, amounts and names, not yet in any language."""

import itertools
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from models.agenda import Notice
from models.booking import BookingState, PaymentStatus, Session, payment_deadline
from models.notices import Kind
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
    """`sessions` are on, `gone` are those that the recipient must forget; `zone` is where they take place.

    `first`: the recipient holds nothing of this booking yet, so that nothing has changed for them.
    `accepted`: the merchant has taken on some of it.
    """

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
    refunded: bool = False
    accepted: bool = False
    first: bool = False
    failure: str = ""
    about: Literal["booking"] = "booking"


def booking_content(state: BookingState, notice: Notice) -> BookingContent:
    """What this notice says as the booking stands now."""
    booking = state.booking
    on, gone = _sessions(state, notice)
    return BookingContent(
        booking_id=booking.booking_id,
        branch_id=booking.branch_id,
        zone=state.ready.zone,
        booker=booking.booker.name,
        sessions=tuple(map(_view, on)),
        gone=tuple(map(_view, gone)),
        voucher=f"{booking.booking_id}-{notice.recipient.id}" if notice.role is Role.PARTICIPANT else "",
        total=booking.total,
        currency=booking.currency,
        payment_method=booking.payment_method,
        payment_info=booking.payment_info,
        payment_deadline=payment_deadline(state),
        paid=state.payment is PaymentStatus.PAID,
        refunded=state.payment is PaymentStatus.REFUNDED,
        accepted=any(session.accepted for session in state.sessions),
        first=not _told_before(state, notice),
        failure=state.failure or "",
    )


def _sessions(state: BookingState, notice: Notice) -> tuple[list[Session], list[Session]]:
    about = [session for session in map(state.session, notice.about) if session is not None]
    match notice.role:
        case Role.BOOKER:
            return list(state.live or state.sessions), []
        case Role.PARTICIPANT:
            mine = state.sessions_of(notice.recipient.id)
            ahead = [session for session in mine if session.service.ends_at > notice.due]
            on = [session for session in ahead if session.accepted and state.standing]
            return on, [session for session in about if _lost(state, session, mine)]
        case _:
            return about, []


def _lost(state: BookingState, session: Session, mine: tuple[Session, ...]) -> bool:
    """Whether the recipient has no part in this session any more: it is off, or is somebody else's."""
    return not state.standing or not session.live or session not in mine


def _told_before(state: BookingState, notice: Notice) -> bool:
    """Whether the recipient was owed a voucher of this booking before this notice."""
    kinds = (Kind.VOUCHER, Kind.VOUCHER_CHANGED)
    earlier = itertools.takewhile(lambda raised: raised.key != notice.key, state.raised)
    return any(raised.kind in kinds and raised.recipient.id == notice.recipient.id for raised in earlier)


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
