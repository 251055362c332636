"""The picture of a booking's two statuses shows every change that can happen, and no other."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from models.booking import BookingState
from models.booking_facts import Accepted, BookingFact, Cancelled, PaymentFailed, PaymentReceived, Refunded
from models.booking_record import advance, begin, record
from models.merchant import PaymentMethod, booking_rules
from tests.requirements import requirement
from tests.world import ADA, BO, MERCHANT, booking, service

OVERVIEW = Path(__file__).resolve().parent.parent.parent / "docs" / "overview.md"
HOUR, PAST_THE_DEADLINE = timedelta(hours=1), timedelta(days=4)
_numbers = count()

Change = tuple[str, str]


def drawn(name: str) -> set[Change]:
    """The arrows of one of the two pictures; `paid_` is how the second one spells its own `paid`."""
    text = OVERVIEW.read_text("utf-8")
    part = text.partition(f'state "{name}" as {name} {{')[2].partition("\n    }")[0]
    arrows = re.findall(r"^ +(\w+) --> (\w+)", part, re.MULTILINE)
    return {(source.rstrip("_"), target.rstrip("_")) for source, target in arrows}


def seen(state: BookingState) -> tuple[Any, ...]:
    """All that decides what can come next."""
    sessions = tuple((one.accepted, one.live) for one in state.sessions)
    return state.order, state.payment, state.failure, state.cancelled_at is None, sessions


def following(state: BookingState, late: bool) -> Iterator[tuple[BookingState, bool]]:
    """What can be of a booking next, before its deadline or after it."""
    placed = state.booking.ordered_at
    now = placed + (PAST_THE_DEADLINE if late else HOUR)
    name = f"e{next(_numbers)}"
    facts: list[BookingFact] = [
        PaymentReceived(event_id=name),
        PaymentReceived(event_id=name, at=placed + HOUR),
        PaymentFailed(event_id=name),
        Refunded(event_id=name),
        *(Accepted(event_id=name, services=some) for some in ((), ("s1",), ("s2",))),
        *(Cancelled(event_id=name, services=some) for some in ((), ("s1",), ("s2",))),
    ]
    for fact in facts:
        yield record(state, fact, now)[0], late
    yield advance(state, placed + PAST_THE_DEADLINE), True


def happening() -> tuple[set[Change], set[Change]]:
    """Every change of the two statuses that there can be, by the pure rules."""
    orders, payments = set[Change](), set[Change]()
    rules = booking_rules(MERCHANT)
    for method in PaymentMethod:
        made = booking(service("s1", 20, ADA), service("s2", 22, BO), method=method)
        first = begin(made, rules)
        waiting, known = [(first, False)], {(seen(first), False)}
        while waiting:
            state, late = waiting.pop()
            for after, then in following(state, late):
                if after.order != state.order:
                    orders.add((state.order.value, after.order.value))
                if after.payment != state.payment:
                    payments.add((state.payment.value, after.payment.value))
                if (seen(after), then) not in known:
                    known.add((seen(after), then))
                    waiting.append((replace(after, seen=(), not_taken=()), then))
    return orders, payments


@requirement("WACA-07", "WACA-31", "WACA-34")
@pytest.mark.parametrize("which", [0, 1], ids=["order", "payment"])
def test_the_picture_shows_what_can_happen(which: int) -> None:
    """Whoever reads it is told all of it."""
    assert drawn(("order", "payment")[which]) == happening()[which]
