"""A booking as it stands: what was ordered, what became of it, and the two statuses that follow.

The order status is worked out from what happened, never stored, so it cannot disagree with it. [WACA-07]
"""

import itertools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from models.agenda import Done, Notice, NotTaken
from models.merchant import BookingRules, PaymentMethod
from models.people import Person
from models.timing import end_of_day, local_day


class OrderStatus(StrEnum):
    """The merchant's handling of the order. [WACA-07]"""

    PROCESSING = "processing"
    PAID = "paid"
    ACCEPTING = "accepting"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    FAILED = "failed"


class PaymentStatus(StrEnum):
    """The money. [WACA-07]"""

    UNPAID = "unpaid"
    PAID = "paid"
    REFUNDED = "refunded"


class Failure(StrEnum):
    """Why an order failed. [WACA-31]"""

    CARD = "card"
    DEADLINE = "deadline"


@dataclass(frozen=True)
class Service:
    """One service of an order: what, when (UTC instants), and for whom.

    `notes` are the service's own pre-visit notes, shown in place of the merchant's. [WACA-05]
    """

    id: str
    name: str
    starts_at: datetime
    ends_at: datetime
    participants: tuple[Person, ...] = ()
    place: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Booking:
    """What a booking system hands over. Without participants, a service is for the booker. [WACA-10]

    `payment_info` is what the booker needs in order to pay: an account, a code, a link.
    """

    merchant_id: str
    booking_id: str
    ordered_at: datetime
    booker: Person
    services: tuple[Service, ...]
    payment_method: PaymentMethod
    total: Decimal
    payment_info: str = ""
    branch_id: str = ""
    currency: str = ""


@dataclass(frozen=True)
class Session:
    """A service as it stands now. `revision` rises with each change that a calendar must see."""

    service: Service
    accepted_at: datetime | None = None
    cancelled_at: datetime | None = None
    changed_at: datetime | None = None
    partner: Person | None = None
    revision: int = 0

    @property
    def id(self) -> str:
        return self.service.id

    @property
    def live(self) -> bool:
        return self.cancelled_at is None

    @property
    def accepted(self) -> bool:
        return self.live and self.accepted_at is not None

    @property
    def known_at(self) -> datetime | None:
        """Since when the session stands as it does: nothing about it could be told before."""
        moments = [moment for moment in (self.accepted_at, self.changed_at) if moment is not None]
        return max(moments, default=None)


@dataclass(frozen=True)
class BookingState:
    """All of a booking: the workflow's input, its continue-as-new argument and what its query answers from.

    `raised` are the notices that something that happened gave rise to; those of the calendar are worked out.
    """

    booking: Booking
    rules: BookingRules | None = None
    sessions: tuple[Session, ...] = ()
    payment: PaymentStatus = PaymentStatus.UNPAID
    failure: Failure | None = None
    failed_at: datetime | None = None
    cancelled_at: datetime | None = None
    raised: tuple[Notice, ...] = ()
    done: tuple[Done, ...] = ()
    not_taken: tuple[NotTaken, ...] = ()
    seen: tuple[str, ...] = ()

    @property
    def order(self) -> OrderStatus:
        """The order status, from what happened. [WACA-07]"""
        if self.cancelled_at is not None:
            return OrderStatus.CANCELLED
        if self.failure is not None:
            return OrderStatus.FAILED
        accepted = [session.accepted for session in self.live]
        if any(accepted):
            return OrderStatus.ACCEPTED if all(accepted) else OrderStatus.ACCEPTING
        return OrderStatus.PAID if self.payment is PaymentStatus.PAID else OrderStatus.PROCESSING

    @property
    def live(self) -> tuple[Session, ...]:
        """The sessions that are not cancelled."""
        return tuple(session for session in self.sessions if session.live)

    @property
    def standing(self) -> bool:
        """Whether the order is neither cancelled nor failed."""
        return self.order not in (OrderStatus.CANCELLED, OrderStatus.FAILED)

    @property
    def ready(self) -> BookingRules:
        """The rules. Nothing is decided before they are read."""
        if self.rules is None:
            raise ValueError("the merchant's rules are not read yet")
        return self.rules

    def session(self, service_id: str) -> Session | None:
        return next((session for session in self.sessions if session.id == service_id), None)

    def with_session(self, session: Session) -> "BookingState":
        sessions = tuple(session if old.id == session.id else old for old in self.sessions)
        return replace(self, sessions=sessions)

    def sessions_of(self, person_id: str) -> tuple[Session, ...]:
        """The sessions that a person takes part in, cancelled ones too."""
        return tuple(
            session
            for session in self.sessions
            if any(person.id == person_id for person in session.service.participants)
        )

    @property
    def settled(self) -> frozenset[str]:
        """The keys of the notices that are settled."""
        return frozenset(done.notice.key for done in self.done)


def payment_deadline(state: BookingState) -> datetime | None:
    """The last second for payment: the end of day N+2 or N+3 at the shop, or None. [WACA-33]"""
    rules = state.ready
    days = rules.policy.payment_days.get(state.booking.payment_method)
    if days is None:
        return None
    ordered_on = local_day(state.booking.ordered_at, rules.zone)
    return end_of_day(ordered_on + timedelta(days=days), rules.zone)


def past_deadline(state: BookingState, at: datetime) -> bool:
    """Whether the last second for payment was over by then."""
    deadline = payment_deadline(state)
    return deadline is not None and at >= deadline + timedelta(seconds=1)


def last_end(state: BookingState) -> datetime:
    """When the last session that is still on is over; of an order without one, when it was cancelled."""
    ends = [session.service.ends_at for session in state.live]
    return max(ends, default=state.cancelled_at or state.booking.ordered_at)


def named(booking: Booking) -> Booking:
    """The booking with an id on every person: the same person in two services is one person."""
    booker = replace(booking.booker, id=booking.booker.id or "booker")
    known: dict[tuple[str, str, str], Person] = {_likeness(booker): booker}
    given = frozenset(person.id for service in booking.services for person in service.participants)
    taken = given | {booker.id}
    fresh = (f"p{number}" for number in itertools.count(1) if f"p{number}" not in taken)
    services = []
    for service in booking.services:
        people: dict[str, Person] = {}
        for person in service.participants or (booker,):
            found = known.get(_likeness(person)) if not person.id else person
            if found is None:
                found = replace(person, id=next(fresh))
            known.setdefault(_likeness(found), found)
            people.setdefault(found.id, found)
        services.append(replace(service, participants=tuple(people.values())))
    return replace(booking, booker=booker, services=tuple(services))


def identified(state: BookingState, person: Person) -> Person:
    """The person with an id: the one this booking knows them by, else one that nobody of it has or had."""
    if person.id:
        return person
    people = [participant for session in state.sessions for participant in session.service.participants]
    people.append(state.booking.booker)
    known = next((other for other in people if _likeness(other) == _likeness(person)), None)
    if known is not None:
        return replace(person, id=known.id)
    taken = frozenset(other.id for other in (*people, *(notice.recipient for notice in state.raised)))
    fresh = (f"p{number}" for number in itertools.count(1) if f"p{number}" not in taken)
    return replace(person, id=next(fresh))


def _likeness(person: Person) -> tuple[str, str, str]:
    return (person.name, person.email, person.phone)
