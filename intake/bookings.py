"""A booking, as a booking system hands it over."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from intake import values
from intake.files import Source, load
from intake.people import PERSON, context_of
from intake.problems import Problem, nearest, shown
from intake.reader import Check, Context, Reader, Rule, sound
from models.booking import Booking, Service
from models.merchant import Merchant
from models.people import Person


def read_booking(source: Source, merchant: Merchant | None = None) -> Booking:
    """A checked booking, its instants in UTC and its phone numbers in E.164 form; InputError if it is none.

    With its merchant, local phone numbers are known and the branch and the merchant's own words are checked.
    """
    name, data = load(source, "the booking")
    rules = {**RULES, Booking: lambda booking, _: _booking_rules(booking, merchant)}
    found: Booking = Reader(CHECKS, rules, context_of(merchant)).whole(Booking, data, name)
    return found


def merchant_named(source: Source) -> str:
    """The merchant that a booking names, before anything of it is checked; empty where it names none."""
    _, data = load(source, "the booking")
    named = data.get("merchant_id") if isinstance(data, Mapping) else None
    return named if isinstance(named, str) else ""


def check_booking(booking: Booking, merchant: Merchant | None = None) -> Booking:
    """The same guard for a booking that Python code made."""
    return read_booking(asdict(booking), merchant)


CHECKS: Mapping[tuple[type, str], Check] = {
    **PERSON,
    (Booking, "merchant_id"): values.identifier,
    (Booking, "booking_id"): values.identifier,
    (Booking, "branch_id"): values.identifier,
    (Booking, "currency"): values.currency,
    (Booking, "total"): values.amount,
    (Service, "id"): values.identifier,
    (Service, "name"): values.line,
    (Service, "place"): values.line,
    (Service, "notes"): lambda value, context: values.reminding(value, context.words),
}


def _service_rules(service: Service, _: Context) -> Iterator[Problem]:
    if sound(service.starts_at, service.ends_at) and service.ends_at <= service.starts_at:
        yield Problem("ends_at", "is not after the start", "a service ends after it starts")


RULES: Mapping[type, Rule] = {Service: _service_rules}


def _booking_rules(booking: Booking, merchant: Merchant | None) -> Iterator[Problem]:
    if sound(booking.services):
        yield from _services_rules(booking)
        yield from _people_rules(booking)
    if merchant is not None:
        yield from _merchant_rules(booking, merchant)


def _services_rules(booking: Booking) -> Iterator[Problem]:
    if not booking.services:
        yield Problem("services", "is empty", "an order has at least one service")
    taken: set[str] = set()
    for number, service in enumerate(booking.services):
        if not sound(service):
            continue
        where = f"services[{number}]"
        if sound(service.id) and service.id in taken:
            yield Problem(f"{where}.id", "is given twice", "give each service its own id")
        taken.add(service.id)
        if sound(service.starts_at, booking.ordered_at) and service.starts_at < booking.ordered_at:
            mend = f"the order was placed at {shown(booking.ordered_at)}: correct one of them"
            yield Problem(f"{where}.starts_at", "is before the order", mend)


def _people_rules(booking: Booking) -> Iterator[Problem]:
    """One id is one person: two would be taken for one, and the second never be written to."""
    people = [("booker", booking.booker)] if sound(booking.booker) else []
    for number, service in enumerate(booking.services):
        if sound(service) and sound(service.participants):
            found = enumerate(service.participants)
            people += [(f"services[{number}].participants[{n}]", one) for n, one in found if sound(one)]
    known: dict[str, tuple[str, Person]] = {}
    for where, person in people:
        if not sound(person.id) or not person.id:
            continue
        first, other = known.setdefault(person.id, (where, person))
        if other != person:
            mend = "give them two ids, or write them alike"
            yield Problem(f"{where}.id", f"is someone else at {first}", mend)


def _merchant_rules(booking: Booking, merchant: Merchant) -> Iterator[Problem]:
    if sound(booking.merchant_id) and booking.merchant_id != merchant.id:
        mend = f"the merchant is {merchant.id!r}"
        yield Problem("merchant_id", "is another merchant", mend)
    elif sound(booking.branch_id) and booking.branch_id and merchant.branch(booking.branch_id) is None:
        mend = nearest(booking.branch_id, [branch.id for branch in merchant.branches] or ["none"])
        yield Problem("branch_id", f"is no branch of {merchant.id}", mend)
