"""Examples have dates of their own: moved by whole days they play today."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from models.booking import Booking
from models.booking_facts import AnyBookingFact
from models.timing import add_local_days, local_day


def days_to_today(booking: Booking, zone: str, now: datetime) -> int:
    """By how many days the booking must move to be ordered today, or yesterday if that hour is to come."""
    days = (local_day(now, zone) - local_day(booking.ordered_at, zone)).days
    return days if add_local_days(booking.ordered_at, days, zone) <= now else days - 1


def moved_booking(booking: Booking, days: int, zone: str) -> Booking:
    """The booking so many days later, at the same hours on the shop's clock."""
    services = (
        replace(
            service,
            starts_at=add_local_days(service.starts_at, days, zone),
            ends_at=add_local_days(service.ends_at, days, zone),
        )
        for service in booking.services
    )
    ordered_at = add_local_days(booking.ordered_at, days, zone)
    return replace(booking, ordered_at=ordered_at, services=tuple(services))


def moved_facts(facts: list[AnyBookingFact], days: int, zone: str) -> list[AnyBookingFact]:
    """The facts so many days later, at the same hours."""
    return [_moved(fact, days, zone) for fact in facts]


def _moved(fact: AnyBookingFact, days: int, zone: str) -> AnyBookingFact:
    instants: dict[str, Any] = {
        field.name: add_local_days(value, days, zone)
        for field in fields(fact)
        if isinstance(value := getattr(fact, field.name), datetime)
    }
    return replace(fact, **instants)
