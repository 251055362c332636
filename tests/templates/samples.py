"""Notices of real bookings, lived through by the models, and the shops that they are from."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from models.agenda import Notice
from models.booking import Booking, BookingState, Service
from models.booking_agenda import booking_agenda
from models.booking_content import BookingContent, booking_content
from models.booking_facts import (
    Accepted,
    AnyBookingFact,
    Assigned,
    Cancelled,
    ChangeParticipant,
    PaymentFailed,
    PaymentReceived,
    Reschedule,
)
from models.booking_record import advance, begin, record
from models.merchant import BookingPolicy, Branch, Merchant, PaymentMethod, booking_rules
from models.notices import CATALOGUE, Kind
from models.people import Person

LOCALES = ("zh-Hant", "en", "fr")
ORDERED = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)

STUDIO = Merchant(
    id="lumi",
    name="Lumi Studio",
    zone="Asia/Taipei",
    locale="zh-Hant",
    country="TW",
    currency="TWD",
    email="hello@lumi.example",
    phone="02-2771-0000",
    website="https://lumi.example",
    address="No. 1, Yongkang St., Taipei",
    branches=(Branch("west", "West End", phone="02-2311-0000", address="No. 9, Chengdu Rd., Taipei"),),
    booking=BookingPolicy(
        pre_visit_notes={"zh-Hant": "請提早十分鐘到。\n不必化妝。", "en": "Come early.\nNo make-up."}
    ),
)
BARE = Merchant("bare", "Lumi", "Asia/Taipei", "zh-Hant", "TW", "TWD")
"""A shop that tells no more than it must."""

MEI = Person("Mei Lin", "mei@example.com", "+886900000001", id="mei")
TOM = Person("Tom Wu", "tom@example.com", "+886900000002", id="tom")
HANA = Person("Hana Chen", "hana@lumi.example", id="hana")


@dataclass(frozen=True)
class Case:
    """A notice, what it says, and who sends it."""

    notice: Notice
    content: BookingContent
    merchant: Merchant = STUDIO

    def to(self, **changes: str) -> "Case":
        """The same for a recipient who differs in this."""
        recipient = replace(self.notice.recipient, **changes)
        return replace(self, notice=replace(self.notice, recipient=recipient))

    def saying(self, **changes: object) -> "Case":
        """The same with other content."""
        return replace(self, content=replace(self.content, **changes))  # type: ignore[arg-type]


def service(
    id_: str = "s1", starts: datetime = datetime(2026, 3, 20, 6, tzinfo=UTC), *people: Person
) -> Service:
    """An hour; 14:00 at the shop unless told otherwise."""
    return Service(id_, "Portrait session", starts, starts + timedelta(hours=1), people, place="Room 2")


def placed(
    *services: Service, by: PaymentMethod = PaymentMethod.BANK_TRANSFER, merchant: Merchant = STUDIO
) -> BookingState:
    """An order of Monday 2 March 2026, 09:30 at the shop."""
    order = Booking(
        merchant_id=merchant.id,
        booking_id="B1024",
        ordered_at=ORDERED,
        booker=MEI,
        services=services or (service("s1", datetime(2026, 3, 20, 6, tzinfo=UTC), TOM),),
        payment_method=by,
        total=Decimal(2800),
        payment_info="812-0001234567",
    )
    return begin(order, booking_rules(merchant))


def after(state: BookingState, *facts: AnyBookingFact) -> BookingState:
    """The booking after these, one an hour."""
    for number, fact in enumerate(facts, start=1):
        fact = replace(fact, event_id=f"{len(state.seen)}-{fact.fact}")
        state, verdict = record(state, fact, ORDERED + timedelta(hours=len(state.seen) + number))
        assert verdict.taken, verdict.reason
    return state


def case(state: BookingState, kind: Kind, person: str = "", merchant: Merchant = STUDIO) -> Case:
    """The latest notice of that kind, to that person or anyone."""
    owed = booking_agenda(state, ORDERED).owed
    notice = [n for n in owed if n.kind is kind and person in ("", n.recipient.id)][-1]
    return Case(notice, booking_content(state, notice), merchant)


def accepted(*services: Service) -> BookingState:
    return after(placed(*services), Accepted(event_id=""))


def full() -> Iterator[Case]:
    """Every kind and every variant of its wording, with all that there is to say."""
    two = (
        service("s1", datetime(2026, 3, 20, 6, tzinfo=UTC), TOM),
        service("s2", datetime(2026, 3, 21, 15, 30, tzinfo=UTC), TOM),
    )
    unpaid = placed(*two)
    yield case(unpaid, Kind.ORDER_PLACED)
    yield case(placed(*two, by=PaymentMethod.CARD), Kind.ORDER_PLACED)
    yield case(unpaid, Kind.PAYMENT_REMINDER)
    declined = after(placed(*two, by=PaymentMethod.CARD), PaymentFailed(event_id=""))
    yield case(declined, Kind.ORDER_FAILED)
    yield case(advance(placed(*two, by=PaymentMethod.ATM), ORDERED + timedelta(days=5)), Kind.ORDER_FAILED)
    yield case(after(unpaid, PaymentReceived(event_id="")), Kind.PAYMENT_RECEIVED)
    yield case(after(unpaid, Cancelled(event_id="")), Kind.ORDER_CANCELLED)
    both = after(unpaid, Accepted(event_id=""))
    yield case(both, Kind.VOUCHER)
    yield case(both, Kind.PRE_VISIT)
    yield case(after(unpaid, _accept("s1"), _accept("s2")), Kind.VOUCHER_CHANGED)
    yield case(after(both, Cancelled(event_id="", services=("s2",))), Kind.VOUCHER_CHANGED)
    yield case(after(both, Cancelled(event_id="")), Kind.VOUCHER_CHANGED)
    yield case(moved(both, "s1"), Kind.VOUCHER_CHANGED)
    yield case(after(both, Assigned(event_id="", service="s1", partner=HANA)), Kind.SERVICE_ASSIGNMENT)


def minimal() -> Iterator[Case]:
    """The same with everything left away that may be missing."""
    for one in full():
        bare = {"place": "", "partner": "", "notes": "", "participants": ()}
        content = replace(
            one.content,
            sessions=tuple(replace(session, **bare) for session in one.content.sessions),  # type: ignore[arg-type]
            gone=tuple(replace(session, **bare) for session in one.content.gone),  # type: ignore[arg-type]
            payment_method="",
            payment_info="",
            payment_deadline=None,
            failure="",
            booker="",
        )
        recipient = Person("", id="x")
        yield Case(replace(one.notice, recipient=recipient, about=()), content, BARE)


def moved(state: BookingState, service_id: str, days: int = 1) -> BookingState:
    session = state.session(service_id)
    assert session is not None
    starts = session.service.starts_at + timedelta(days=days)
    return after(state, Reschedule(event_id="", service=service_id, starts_at=starts))


def handed_on(state: BookingState, service_id: str, old: Person, new: Person) -> BookingState:
    return after(state, ChangeParticipant(event_id="", service=service_id, participant=old.id, person=new))


def channels(kind: Kind) -> tuple[str, ...]:
    return CATALOGUE[kind].channels


def _accept(service_id: str) -> Accepted:
    return Accepted(event_id="", services=(service_id,))
