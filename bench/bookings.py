"""The bookings of the benchmark: one session each, by email, in all shipped languages by turns."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from models.booking import Booking, BookingState, Service
from models.booking_agenda import booking_agenda
from models.booking_facts import Accepted, PaymentReceived
from models.booking_record import begin, record
from models.merchant import BookingPolicy, BookingRules, Merchant, PaymentMethod, booking_rules
from models.people import Person
from models.rehearsal import settle_due
from models.timing import Offset, local

MERCHANT = Merchant(
    id="lumi",
    name="Lumi Studio",
    zone="Asia/Taipei",
    locale="zh-Hant",
    country="TW",
    currency="TWD",
    email="hello@lumi.example",
    phone="+886227001234",
    address="12 Yongkang Street, Taipei",
)
LOCALES = ("zh-Hant", "en", "fr")
HOUR = timedelta(hours=1)


def booking(name: str, number: int, ordered_at: datetime, starts_at: datetime) -> Booking:
    """The booking of that number."""
    person = Person(
        f"Ada {number}", f"ada{number}@example.com", locale=LOCALES[number % len(LOCALES)], id="ada"
    )
    return Booking(
        merchant_id=MERCHANT.id,
        booking_id=f"{name}-{number}",
        ordered_at=ordered_at,
        booker=person,
        services=(Service("s1", "Pilates", starts_at, starts_at + HOUR, (person,), place="Studio A"),),
        payment_method=PaymentMethod.CARD,
        total=Decimal(1800),
    )


def reminded_at(due: datetime) -> BookingRules:
    """Rules by which a session two days after `due` is reminded of at that instant, a whole second."""
    at = local(due, MERCHANT.zone).time()
    return booking_rules(replace(MERCHANT, booking=BookingPolicy(pre_visit=Offset(-2, at))))


def waiting_booking(name: str, number: int, due: datetime) -> BookingState:
    """A booking that is paid and accepted, has told of it, and waits only to remind at `due`.

    It is made by the lifecycle's own pure code, as one that was continued as new.
    """
    ordered_at = due - timedelta(days=5)
    made = booking(name, number, ordered_at, due + timedelta(days=2))
    state = begin(made, reminded_at(due))
    then = ordered_at + HOUR
    for fact in (PaymentReceived(event_id="pay-1", at=then), Accepted(event_id="acc-1", at=then)):
        state, verdict = record(state, fact, then)
        if not verdict.taken:
            raise ValueError(verdict.reason)
    settled = settle_due(state, booking_agenda(state, then), then)
    (left,) = booking_agenda(settled, then).owed
    if left.due != due:
        raise ValueError(f"{left.kind} is due at {left.due}, not at {due}")
    return settled


def whole_second(seconds_from_now: float) -> datetime:
    """An instant about that far from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds_from_now + 1)).replace(microsecond=0)
