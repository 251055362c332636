"""What can happen to a booking, and what can be asked of it.

A fact happened and can only be recorded; a request may be refused and is answered.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from models.people import Person


@dataclass(frozen=True, kw_only=True)
class Fact:
    """`event_id` makes telling it twice the same as telling it once; `at` is when it happened, UTC."""

    event_id: str
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class PaymentReceived(Fact):
    """The money is there: reconciled by the merchant or reported by the payment company. [WACA-12]"""

    fact: Literal["payment_received"] = "payment_received"


@dataclass(frozen=True, kw_only=True)
class PaymentFailed(Fact):
    """The card was declined. [WACA-31a]"""

    fact: Literal["payment_failed"] = "payment_failed"


@dataclass(frozen=True, kw_only=True)
class Refunded(Fact):
    """The merchant finished the refund; the order is cancelled by it. [WACA-34b]"""

    fact: Literal["refunded"] = "refunded"


@dataclass(frozen=True, kw_only=True)
class Accepted(Fact):
    """The merchant took on these services, or all of them. [WACA-15]"""

    services: tuple[str, ...] = ()
    fact: Literal["accepted"] = "accepted"


@dataclass(frozen=True, kw_only=True)
class Assigned(Fact):
    """The session will take place and this service partner gives it. [WACA-18]"""

    service: str
    partner: Person
    fact: Literal["assigned"] = "assigned"


@dataclass(frozen=True, kw_only=True)
class Cancelled(Fact):
    """The customer cancelled before payment, or the merchant called off some services. [WACA-16, WACA-34a]"""

    services: tuple[str, ...] = ()
    fact: Literal["cancelled"] = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Reschedule(Fact):
    """Move a service to another time."""

    service: str
    starts_at: datetime
    ends_at: datetime | None = None
    fact: Literal["reschedule"] = "reschedule"


@dataclass(frozen=True, kw_only=True)
class ChangeParticipant(Fact):
    """Let someone else receive the service. [WACA-09]"""

    service: str
    participant: str
    person: Person
    fact: Literal["change_participant"] = "change_participant"


@dataclass(frozen=True, kw_only=True)
class Cancel(Fact):
    """Ask for what `Cancelled` tells: it is refused where the state does not allow it."""

    services: tuple[str, ...] = ()
    fact: Literal["cancel"] = "cancel"


BookingFact = PaymentReceived | PaymentFailed | Refunded | Accepted | Assigned | Cancelled
BookingRequest = Reschedule | ChangeParticipant | Cancel
AnyBookingFact = BookingFact | BookingRequest

FACTS: dict[str, type[BookingFact]] = {
    "payment_received": PaymentReceived,
    "payment_failed": PaymentFailed,
    "refunded": Refunded,
    "accepted": Accepted,
    "assigned": Assigned,
    "cancelled": Cancelled,
}
REQUESTS: dict[str, type[BookingRequest]] = {
    "reschedule": Reschedule,
    "change_participant": ChangeParticipant,
    "cancel": Cancel,
}
