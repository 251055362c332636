"""The world tells late, twice and in the wrong order: what comes out the same all the same, and what not.

The same in any order: the payment status, always, unless the customer cancelled the whole order; the order
status and each session, when what was refused is told again until it is taken or no news. Not the same, and
said so below: requests (the last one told wins), two service partners assigned to one session, and a
cancellation that overtakes the payment made before it.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.booking import OrderStatus, PaymentStatus
from models.booking_facts import (
    Accepted,
    AnyBookingFact,
    Assigned,
    Cancelled,
    PaymentFailed,
    PaymentReceived,
    Refunded,
)
from models.merchant import PaymentMethod
from models.notices import Kind
from tests.bookings import BEN, CHLOE, DORA, Life, booking, clock, people, service
from tests.requirements import requirement

thorough = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])

ONCE = (Kind.ORDER_PLACED, Kind.ORDER_FAILED, Kind.PAYMENT_RECEIVED, Kind.ORDER_CANCELLED)
ORDERED = clock("2026-03-02 09:30")
LONGEST_DELAY = 48 * 3600
"""In seconds: a failed order waits three days for news of a payment made in time."""


@dataclass(frozen=True)
class Telling:
    """What happened, in its order; and how it is told: each fact with its delay in seconds, in that order."""

    method: PaymentMethod
    facts: tuple[AnyBookingFact, ...]
    told: tuple[tuple[AnyBookingFact, int], ...]


@st.composite
def lives(draw: st.DrawFn) -> tuple[PaymentMethod, tuple[AnyBookingFact, ...]]:
    """A life that makes sense: declined, paid, accepted, assigned, part of it called off, refunded."""
    method = draw(st.sampled_from(list(PaymentMethod)))
    happened: list[AnyBookingFact] = []
    if method is PaymentMethod.CARD and draw(st.booleans()):
        happened.append(PaymentFailed(event_id="declined"))
    paid = draw(st.booleans())
    if paid:
        happened.append(PaymentReceived(event_id="paid"))
    acceptance: list[list[AnyBookingFact]] = [
        [],
        [Accepted(event_id="all")],
        [Accepted(event_id="one", services=("s1",))],
        [Accepted(event_id="one", services=("s1",)), Accepted(event_id="other", services=("s2",))],
    ]
    happened += draw(st.sampled_from(acceptance))
    if draw(st.booleans()):
        happened.append(Assigned(event_id="dora", service="s1", partner=DORA))
    happened = draw(st.permutations(happened))
    if draw(st.booleans()):
        happened.append(Cancelled(event_id="part", services=("s2",)))
    if paid and draw(st.booleans()):
        happened.append(Refunded(event_id="back"))
    # Up to eight days: a payment may come before its deadline, or after it.
    hours = sorted(draw(st.lists(st.integers(0, 190), min_size=len(happened), max_size=len(happened))))
    return method, tuple(
        replace(fact, at=ORDERED + timedelta(hours=hour)) for fact, hour in zip(happened, hours, strict=True)
    )


@st.composite
def tellings(draw: st.DrawFn) -> Telling:
    """Every fact at least once, some twice, in any order; none before it happened."""
    method, facts = draw(lives())
    again = draw(st.lists(st.sampled_from(facts), max_size=3)) if facts else []
    order = draw(st.permutations([*facts, *again]))
    delays = draw(st.lists(st.integers(0, LONGEST_DELAY), min_size=len(order), max_size=len(order)))
    return Telling(method, facts, tuple(zip(order, delays, strict=True)))


def placed(method: PaymentMethod, *, held: bool = False) -> Life:
    first, second = service("s1", "2026-03-20 14:00", BEN), service("s2", "2026-03-21 14:00", CHLOE)
    return Life(booking(first, second, by=method, ordered=ORDERED), held=held)


def as_it_happened(telling: Telling) -> Life:
    life = placed(telling.method)
    for fact in telling.facts:
        life.tell(fact, fact.at)
    return life


def as_it_was_told(telling: Telling, *, held: bool = False) -> Life:
    life = placed(telling.method, held=held)
    for fact, delay in telling.told:
        assert fact.at is not None
        life.tell(fact, max(life.now, fact.at + timedelta(seconds=delay)))
    return life


def persisted(life: Life, telling: Telling) -> Life:
    """Each refused fact is told again until nothing of it is taken any more."""
    while True:
        taken = [life.tell(fact).taken for fact in telling.facts]
        if not any(taken):
            return life.until("2026-03-15 00:00")


@requirement("WACA-07", "WACA-12", "WACA-31", "WACA-34")
@thorough
@given(tellings())
def test_the_money_is_where_it_is_in_whatever_order_it_is_told(telling: Telling) -> None:
    """Paid in time is paid, too late is not, refunded is refunded."""
    told = as_it_was_told(telling)
    end = max(told.now, clock("2026-03-15 00:00"))
    assert told.until(end).state.payment is as_it_happened(telling).until(end).state.payment


@requirement("WACA-07")
@thorough
@given(tellings())
def test_a_sender_that_persists_gets_to_the_same_order(telling: Telling) -> None:
    """Both statuses, what is on, and what is accepted while the order stands."""
    told, happened = persisted(as_it_was_told(telling), telling), persisted(as_it_happened(telling), telling)
    assert (told.state.order, told.state.payment) == (happened.state.order, happened.state.payment)
    if told.state.standing:
        assert [(s.live, s.accepted, s.partner) for s in told.state.sessions] == [
            (s.live, s.accepted, s.partner) for s in happened.state.sessions
        ]


@requirement("WACA-10", "WACA-11", "WACA-12", "WACA-14")
@thorough
@given(tellings())
def test_no_stage_is_told_twice(telling: Telling) -> None:
    """Whatever comes twice, late or out of order."""
    life = persisted(as_it_was_told(telling), telling)
    counts = Counter(done.notice.kind for done in life.state.done)
    assert all(counts[kind] <= 1 for kind in ONCE)
    keys = [done.notice.key for done in life.state.done]
    assert len(set(keys)) == len(keys)


@requirement("WACA-11", "WACA-12", "WACA-14")
@thorough
@given(tellings())
def test_no_two_notices_that_contradict_each_other_are_owed_at_once(telling: Telling) -> None:
    """Not 'failed' beside 'paid', nor either beside 'cancelled', while the providers are down."""
    life = placed(telling.method, held=True)
    for fact, delay in telling.told:
        assert fact.at is not None
        life.tell(fact, max(life.now, fact.at + timedelta(seconds=delay)))
        owed = [n.kind for n in life.agenda.owed if n.kind in (*ONCE[1:], Kind.PAYMENT_REMINDER)]
        assert len(owed) <= 1, owed


@requirement("WACA-07")
@thorough
@given(tellings())
def test_told_twice_in_a_row_is_told_once(telling: Telling) -> None:
    """A taken fact told again leaves no trace."""
    life = placed(telling.method)
    for fact, delay in telling.told:
        assert fact.at is not None
        taken = life.tell(fact, max(life.now, fact.at + timedelta(seconds=delay))).taken
        before = life.state
        again = life.tell(fact)
        assert not again.taken
        assert life.state == before
        assert again.known or not taken


@requirement("WACA-34")
def test_a_cancellation_that_overtakes_the_payment_leaves_the_money_to_the_merchant() -> None:
    """Not the same in any order: in its order the payment is taken, and the cancellation waits for a refund.

    Overtaken, the payment is refused with what to do, the refund is refused too, and the payment status stays
    unpaid. The order is cancelled either way, and the booker is told so once.
    """
    paid = PaymentReceived(event_id="paid", at=clock("2026-03-02 10:00"))
    off = Cancelled(event_id="off", at=clock("2026-03-02 10:01"))
    back = Refunded(event_id="back", at=clock("2026-03-04 10:00"))
    in_order, overtaken = placed(PaymentMethod.ATM), placed(PaymentMethod.ATM)
    assert [in_order.tell(fact, fact.at).taken for fact in (paid, off, back)] == [True, False, True]
    overtaken.take(off, "2026-03-02 10:01")
    assert [overtaken.tell(fact).taken for fact in (paid, back)] == [False, False]
    assert in_order.state.payment is PaymentStatus.REFUNDED
    assert overtaken.state.payment is PaymentStatus.UNPAID
    for life in (in_order, overtaken):
        assert life.state.order is OrderStatus.CANCELLED
        assert life.sent(Kind.ORDER_CANCELLED) == ["anna"]


@requirement("WACA-18")
def test_of_two_service_partners_the_last_one_told_gives_the_session() -> None:
    """Not the same in any order: an assignment replaces the one before, whenever it happened."""
    first = Assigned(event_id="first", service="s1", partner=DORA, at=clock("2026-03-02 10:00"))
    second = Assigned(event_id="second", service="s1", partner=CHLOE, at=clock("2026-03-02 10:01"))
    life = placed(PaymentMethod.CARD).take(second, "2026-03-02 11:00").take(first)
    assert life.state.sessions[0].partner == DORA
    assert people(notice for notice in life.agenda.owed if notice.kind is Kind.SERVICE_ASSIGNMENT) == []
