"""Which bonuses can be spent, which go first, and of which a notice tells."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bonus import Lot, Part
from models.bonus_rules import (
    Window,
    allocate,
    announced,
    announced_lots,
    give_back,
    spendable,
    turning_point,
    worth_telling,
)
from models.regular_task import TaskKind
from models.timing import local_day
from tests.requirements import requirement

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TAIPEI = "Asia/Taipei"
ACTIVATION, BURN = TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN


def lot(number: int, left: str = "10", begins: float = 0, ends: float | None = None, told: float = 0) -> Lot:
    """A lot that begins, ends and was told so many days after the start."""
    end = None if ends is None else START + ends * DAY
    return Lot(
        number,
        "gift",
        Decimal(left),
        Decimal(left),
        START + begins * DAY,
        end,
        accrued_at=START + told * DAY,
        told_at=START + told * DAY,
    )


def noon(day: int) -> datetime:
    """Noon in Taipei on that day of March."""
    return datetime(2026, 3, day, 4, tzinfo=UTC)


def window(day: int, days: int = 3, since: int | None = None, zone: str = TAIPEI) -> Window:
    """Of a run at noon on that day of March, after one on another day."""
    last = None if since is None else noon(since)
    return Window(date(2026, 3, day), days, zone, since=last, until=noon(day))


@requirement("LOY-12")
def test_bonuses_are_spendable_from_their_first_moment_until_just_before_their_end() -> None:
    """At the end itself they are not any more."""
    lots = [lot(1, "10", begins=1, ends=2)]
    moment = timedelta(microseconds=1)
    asked = [START + DAY - moment, START + DAY, START + 2 * DAY - moment, START + 2 * DAY]
    assert [spendable(lots, now) for now in asked] == [0, 10, 10, 0]


@requirement("LOY-12")
def test_what_ends_first_is_spent_first_and_of_two_that_end_together_the_older() -> None:
    """What never ends goes last; what has not begun, or has ended, not at all."""
    lots = [
        lot(1, "5"),
        lot(2, "5", ends=9, told=0.5),
        lot(3, "5", ends=9, told=0.2),
        lot(4, "5", ends=4),
        lot(5, "5", begins=2, ends=3),
        lot(6, "5", begins=-2, ends=1),
    ]
    parts = allocate(lots, Decimal(17), START + DAY)
    assert [(part.lot_id, int(part.amount)) for part in parts] == [(4, 5), (3, 5), (2, 5), (1, 2)]


@requirement("LOY-12")
def test_a_spend_takes_all_that_is_asked_for_or_nothing() -> None:
    """A thousandth too much is too much."""
    lots = [lot(1, "5"), lot(2, "5")]
    assert allocate(lots, Decimal("10.001"), START) == ()
    assert len(allocate(lots, Decimal(10), START)) == 2


amounts = st.integers(1, 5_000).map(lambda units: Decimal(units) / 1000)
moments = st.integers(-8, 20).map(lambda quarters: START + quarters * DAY / 4)


@st.composite
def random_lots(draw: st.DrawFn) -> list[Lot]:
    found = []
    for number in range(draw(st.integers(0, 8))):
        amount, begins = draw(amounts), draw(moments)
        ends = draw(st.none() | st.integers(1, 16))
        left = draw(st.sampled_from([amount, amount / 2, Decimal(0)]))
        told = draw(moments)
        end = None if ends is None else begins + ends * DAY / 4
        found.append(Lot(number, "gift", amount, left, begins, end, told, told))
    return found


@given(random_lots(), amounts, moments)
def test_a_spend_is_paid_by_active_lots_in_order_and_adds_up(
    lots: list[Lot], amount: Decimal, now: datetime
) -> None:
    """Whatever there is: exactly the amount or nothing, each lot before the next is touched."""
    parts = allocate(lots, amount, now)
    by_id = {one.lot_id: one for one in lots}
    assert sum(part.amount for part in parts) == (amount if spendable(lots, now) >= amount else 0)
    taken = [by_id[part.lot_id] for part in parts]
    for one in taken:
        assert one.active_from <= now
        assert one.expires_at is None or one.expires_at > now
    for before, after in pairwise(taken):
        assert before.expires_at is not None or after.expires_at is None
        assert after.expires_at is None or before.expires_at <= after.expires_at  # type: ignore[operator]
    assert all(part.amount == by_id[part.lot_id].left for part in parts[:-1])
    first = min((one.expires_at for one in lots if _active(one, now) and one.expires_at), default=None)
    assert not parts or taken[0].expires_at == first


def _active(one: Lot, now: datetime) -> bool:
    return one.left > 0 and one.active_from <= now and (one.expires_at is None or now < one.expires_at)


@requirement("LOY-12")
def test_what_was_taken_last_comes_back_first() -> None:
    """A second refund goes on where the first one ended."""
    parts = (Part(1, Decimal(5)), Part(2, Decimal(3)), Part(3, Decimal(2)))
    assert give_back(parts, Decimal(0), Decimal(4)) == (Part(3, Decimal(2)), Part(2, Decimal(2)))
    assert give_back(parts, Decimal(4), Decimal(6)) == (Part(2, Decimal(1)), Part(1, Decimal(5)))


@given(st.lists(amounts, min_size=1, max_size=5), st.lists(amounts, min_size=1, max_size=5))
def test_refunds_one_by_one_give_back_what_one_refund_of_all_would(
    taken: list[Decimal], wanted: list[Decimal]
) -> None:
    """To each lot no more than came from it."""
    parts, before = [Part(number, amount) for number, amount in enumerate(taken)], Decimal(0)
    got = dict.fromkeys(range(len(taken)), Decimal(0))
    for amount in [*wanted, sum(taken, Decimal(0))]:
        some = min(amount, sum(taken) - before)
        back = give_back(parts, before, some)
        assert sum(part.amount for part in back) == some
        for part in back:
            got[part.lot_id] += part.amount
        before += some
    assert [got[number] for number in range(len(taken))] == taken


@requirement("LOY-61", "LOY-62", "LOY-64")
def test_what_becomes_spendable_on_the_days_ahead_is_told_with_its_sum() -> None:
    """3 days ahead of 10 March are the 11th to the 13th, by the merchant's calendar."""
    eleventh, fourteenth = (START + timedelta(days=days, hours=16) for days in (9, 12))
    second = timedelta(seconds=1)
    inside = [
        Lot(1, "gift", Decimal(7), Decimal(7), eleventh),
        Lot(2, "gift", Decimal(5), Decimal(5), fourteenth - second),
    ]
    outside = [replace(inside[0], active_from=eleventh - second), replace(inside[1], active_from=fourteenth)]
    assert announced([*inside, *outside], ACTIVATION, window(10)) == 12


@requirement("LOY-71", "LOY-73")
def test_of_what_burns_only_what_is_left_counts() -> None:
    """Bonuses that never end burn never."""
    spent = Lot(1, "gift", Decimal(10), Decimal(4), START, START + 11 * DAY)
    assert announced([spent, lot(2), lot(3, "0", ends=11)], BURN, window(10)) == 4


@requirement("LOY-61", "LOY-71")
@pytest.mark.parametrize(
    ("total", "minimum", "told"), [(9, 10, False), (10, 10, True), (0, 0, False), (1, 0, True)]
)
def test_less_than_the_minimum_is_not_told(total: int, minimum: int, told: bool) -> None:
    """Nor is nothing at all."""
    assert worth_telling(Decimal(total), Decimal(minimum)) is told


@requirement("LOY-62", "LOY-71")
def test_what_the_last_run_told_of_is_not_told_again() -> None:
    """The next day has one new day; what came in since counts on all of them."""
    lots = [lot(1, "1", ends=11), lot(2, "2", ends=13), lot(4, "4", ends=12, told=9.5)]
    assert announced(lots, BURN, window(10)) == 1, "of the rest one is later, and one not told yet"
    assert announced(lots, BURN, window(11, since=10)) == 2 + 4
    assert announced(lots, BURN, window(11)) == 1 + 2 + 4, "the first run looks at the whole window"
    assert announced(lots, BURN, window(12, since=11)) == 0


runs = st.lists(st.integers(1, 12), min_size=1, max_size=6, unique=True).map(sorted)
zones = st.sampled_from([TAIPEI, "Europe/Paris", "America/St_Johns", "Pacific/Apia"])


@settings(max_examples=60)
@given(random_lots(), st.integers(1, 4), runs, zones, st.sampled_from([ACTIVATION, BURN]))
def test_over_any_runs_a_lot_is_told_once_and_only_ahead_of_its_day(
    lots: list[Lot], days: int, on: list[int], zone: str, what: TaskKind
) -> None:
    """By a count of calendar days: a lot is told by the first run that knows of it and has it in reach."""
    found: list[int] = []
    expected: list[int] = []
    since = None
    for number in on:
        now = START + number * DAY / 2
        today = local_day(now, zone)
        told = announced_lots(lots, what, Window(today, days, zone, since=since, until=now))
        found += [one.lot_id for one in told]
        for one in lots:
            moment = turning_point(one, what)
            if moment is None or one.left == 0 or one.told_at > now or one.lot_id in expected:
                continue
            if 1 <= (local_day(moment, zone) - today).days <= days:
                expected.append(one.lot_id)
        since = now
    assert sorted(found) == sorted(expected)
