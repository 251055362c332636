"""One whole life for each path through the order's states, on the real server, with time skipped."""

import asyncio
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from icalendar import Calendar

from models.agenda import Report
from models.booking import OrderStatus
from models.booking_facts import (
    Accepted,
    BookingFact,
    Cancelled,
    PaymentFailed,
    PaymentReceived,
    Refunded,
)
from models.merchant import PaymentMethod
from tests.requirements import requirement
from tests.world import ADA, BO, World, booking, service

PAST_THE_DEADLINE = timedelta(days=4)
ONE, TWO = Accepted(event_id="a1", services=("s1",)), Accepted(event_id="a2", services=("s2",))
ALL, PAID = Accepted(event_id="a"), PaymentReceived(event_id="p")
REFUNDED, DECLINED, CANCELLED = Refunded(event_id="r"), PaymentFailed(event_id="d"), Cancelled(event_id="c")


IN_TIME = PaymentReceived(event_id="in time")
"""Paid on the second day, told after the deadline."""

Step = BookingFact | timedelta
Path = tuple[PaymentMethod, list[tuple[Step, OrderStatus]]]
S = OrderStatus

PATHS: dict[str, Path] = {
    "accepted, failed at the deadline, restored": (
        PaymentMethod.ATM,
        [(ALL, S.ACCEPTED), (PAST_THE_DEADLINE, S.FAILED), (IN_TIME, S.ACCEPTED)],
    ),
    "accepting, failed at the deadline, restored": (
        PaymentMethod.ATM,
        [(ONE, S.ACCEPTING), (PAST_THE_DEADLINE, S.FAILED), (IN_TIME, S.ACCEPTING)],
    ),
    "accepted, declined": (PaymentMethod.CARD, [(ALL, S.ACCEPTED), (DECLINED, S.FAILED)]),
    "accepting, declined": (PaymentMethod.CARD, [(ONE, S.ACCEPTING), (DECLINED, S.FAILED)]),
    "declined, paid after all": (PaymentMethod.CARD, [(DECLINED, S.FAILED), (PAID, S.PAID)]),
    "declined, refunded": (PaymentMethod.CARD, [(DECLINED, S.FAILED), (REFUNDED, S.CANCELLED)]),
    "accepted, cancelled before payment": (PaymentMethod.ATM, [(ALL, S.ACCEPTED), (CANCELLED, S.CANCELLED)]),
    "accepting, cancelled before payment": (
        PaymentMethod.ATM,
        [(ONE, S.ACCEPTING), (CANCELLED, S.CANCELLED)],
    ),
    "paid, refunded": (PaymentMethod.CARD, [(PAID, S.PAID), (REFUNDED, S.CANCELLED)]),
    "accepting, refunded": (
        PaymentMethod.CARD,
        [(PAID, S.PAID), (ONE, S.ACCEPTING), (REFUNDED, S.CANCELLED)],
    ),
    "a refund told before any payment": (PaymentMethod.BANK_TRANSFER, [(REFUNDED, S.CANCELLED)]),
    "in instalments, unpaid": (PaymentMethod.IN_PERSON, [(ONE, S.ACCEPTING), (TWO, S.ACCEPTED)]),
    "accepting, the rest is cancelled": (
        PaymentMethod.CARD,
        [(PAID, S.PAID), (ONE, S.ACCEPTING), (Cancelled(event_id="c2", services=("s2",)), S.ACCEPTED)],
    ),
    "accepting, what was accepted is cancelled": (
        PaymentMethod.CARD,
        [(PAID, S.PAID), (ONE, S.ACCEPTING), (Cancelled(event_id="c1", services=("s1",)), S.PAID)],
    ),
    "accepting unpaid, what was accepted is cancelled": (
        PaymentMethod.IN_PERSON,
        [(ONE, S.ACCEPTING), (Cancelled(event_id="c1", services=("s1",)), S.PROCESSING)],
    ),
}


@requirement("WACA-07", "WACA-31", "WACA-34")
@pytest.mark.parametrize("name", PATHS)
async def test_a_path_is_lived_to_its_end(world: World, name: str) -> None:
    """Each step leads where it should; every message of the log is in a mailbox, and none is there twice.

    Who held a voucher of an order that fails or is cancelled has it taken out of the calendar; restored, it
    is there again.
    """
    method, steps = PATHS[name]
    made = booking(service("s1", 10, ADA), service("s2", 12, BO), method=method)
    id, stage = await world.start(made), S.PROCESSING
    for step, stage in steps:
        if isinstance(step, timedelta):
            await world.forward_to(id, made.ordered_at + step)
        else:
            at = made.ordered_at + timedelta(days=1)
            await world.carillon.tell(id, PaymentReceived(event_id="p", at=at) if step is IN_TIME else step)
        await world.until(id, lambda agenda, stage=stage: agenda.stage == stage)  # type: ignore[misc]
        await world.quiet(id)
    report = await (_ended(world, id) if stage is S.CANCELLED else world.to_the_end(id))
    # A payment of three days ago is no news any more: that notice is missed, by its last moment.
    missed = 1 if "restored" in name else 0
    assert (report.stage, report.missed, report.failed) == (stage, missed, 0), report.words
    for person in (ADA, BO):
        mails = world.mails_to(person)
        assert len(mails) == len(await world.kinds_to(person))
        assert len({mail["Message-ID"] for mail in mails}) == len(mails)
        methods = [str(calendar["METHOD"]) for mail in mails for calendar in _calendars(mail)]
        if methods and stage in (S.FAILED, S.CANCELLED):
            assert methods[-1] == "CANCEL"
        if methods and "restored" in name:
            assert methods[-1] == "REQUEST"
    assert len(world.mails_to(ADA)) > 1


async def _ended(world: World, lifecycle: str) -> Report:
    """Nothing is owed any more: it ends by itself."""
    handle = world.client.get_workflow_handle(lifecycle, result_type=Report)
    return await asyncio.wait_for(handle.result(), 30)


def _calendars(mail: EmailMessage) -> list[Any]:
    parts = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    return [Calendar.from_ical(part.get_content()) for part in parts]
