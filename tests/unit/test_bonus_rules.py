"""Which bonuses can be spent, which go first, and of which a notice tells."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
    give_back,
    spendable,
    sum_of,
    told,
    turning_point,
)
from models.regular_task import TaskKind
from models.timing import local_day
from tests.requirements import requirement

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TAIPEI = "Asia/Taipei"
ACTIVATION, BURN = TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN


def lot(number: int, left: str = "10", begins: float = 0, ends: float | None = None, at: float = 0) -> Lot:
    """A lot that begins, ends and was accrued so many days after the start."""
    end = None if ends is None else START + ends * DAY
    return Lot(
        number,
        "gift",
        Decimal(left),
        Decimal(left),
        START + begins * DAY,
        end,
        accrued_at=START + at * DAY,
    )


def window(day: int, days: int = 3) -> Window:
    """Of a run on that day of March, at 10:00."""
    return Window(datetime(2026, 3, day, 2, tzinfo=UTC), days, TAIPEI)


def sums(lots: list[Lot], what: TaskKind, on: list[int], minimum: int = 0) -> list[int]:
    """What is told on these days of March, one after another; their lots remember."""
    found = []
    for day in on:
        telling = announced(lots, what, window(day), Decimal(minimum), f"run {day}")
        lots = [told(one, what, f"run {day}") if one in telling else one for one in lots]
        found.append(int(sum_of(telling)))
    return found


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
        lot(2, "5", ends=9, at=0.5),
        lot(3, "5", ends=9, at=0.2),
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
        end = None if ends is None else begins + ends * DAY / 4
        found.append(Lot(number, "gift", amount, left, begins, end, draw(moments)))
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
    """3 days ahead of 10 March are the rest of it and the 11th to the 13th, by the merchant's calendar."""
    ten, fourteenth = window(10).at, START + timedelta(days=12, hours=16)
    second = timedelta(seconds=1)
    inside = [
        Lot(1, "gift", Decimal(7), Decimal(7), ten + second),
        Lot(2, "gift", Decimal(5), Decimal(5), fourteenth - second),
    ]
    outside = [replace(inside[0], active_from=ten), replace(inside[1], active_from=fourteenth)]
    assert sums([*inside, *outside], ACTIVATION, [10]) == [12]


@requirement("LOY-62", "LOY-71")
@pytest.mark.parametrize("what", [ACTIVATION, BURN])
def test_what_comes_about_later_today_and_nobody_could_tell_before_is_told(what: TaskKind) -> None:
    """Accrued on the 9th at 19:00, after that day's run, and active or gone on the 10th at 20:00."""
    late = lot(1, "60", begins=9.5, ends=9.5)
    assert sums([late], what, [10, 11], minimum=50) == [60, 0]
    first, second = lot(1, "30", begins=9.5, ends=9.5), lot(2, "30", begins=11, ends=11)
    assert sums([first], what, [9], minimum=50) == [0]
    assert sums([first, second], what, [10], minimum=50) == [60], "what was too little the day before"


@requirement("LOY-71", "LOY-73")
def test_of_what_burns_only_what_is_left_counts() -> None:
    """Bonuses that never end burn never."""
    spent = Lot(1, "gift", Decimal(10), Decimal(4), START, START + 11 * DAY)
    assert sums([spent, lot(2), lot(3, "0", ends=11)], BURN, [10]) == [4]


@requirement("LOY-61", "LOY-71")
@pytest.mark.parametrize(
    ("total", "minimum", "enough"), [(9, 10, False), (10, 10, True), (0, 0, False), (1, 0, True)]
)
@pytest.mark.parametrize("what", [ACTIVATION, BURN])
def test_less_than_the_minimum_is_not_told(what: TaskKind, total: int, minimum: int, enough: bool) -> None:
    """Nor is nothing at all."""
    lots = [lot(1, str(total), begins=11, ends=11)]
    assert bool(announced(lots, what, window(10), Decimal(minimum), "run")) is enough


@requirement("LOY-62")
def test_what_was_too_little_to_tell_counts_again_the_next_day() -> None:
    """30 three days ahead are too few; 30 more come into reach the day after, and 60 are told, once."""
    lots = [lot(1, "30", begins=12), lot(2, "30", begins=13), lot(3, "49", begins=14)]
    assert sums(lots, ACTIVATION, [10, 11, 12], minimum=50) == [0, 60, 0]


@requirement("LOY-71")
def test_what_was_too_little_to_burn_counts_again_the_next_day() -> None:
    """Until its day is there: then it is too late to tell."""
    lots = [lot(1, "30", ends=12), lot(2, "30", ends=13), lot(3, "30", ends=16), lot(4, "20", ends=18)]
    assert sums(lots, BURN, [10, 11, 13, 16, 17], minimum=50) == [0, 60, 0, 50, 0]
    assert sums(lots, BURN, [10, 13, 17], minimum=50) == [0, 0, 0]


@requirement("LOY-62", "LOY-71")
def test_what_a_run_has_told_only_the_same_run_tells_again() -> None:
    """Of the activation by itself, and of the burn."""
    lots = [told(lot(1, "1", begins=11, ends=11), BURN, "mine"), lot(2, "2", begins=11, ends=12)]
    again = [announced(lots, BURN, window(10), Decimal(0), run) for run in ("mine", "other")]
    assert [sum_of(telling) for telling in again] == [3, 2]
    assert announced(lots, BURN, window(10), Decimal(3), "other") == ()
    assert sum_of(announced(lots, ACTIVATION, window(10), Decimal(3), "other")) == 3


runs = st.lists(st.integers(1, 12), min_size=1, max_size=6)
zones = st.sampled_from([TAIPEI, "Europe/Paris", "America/St_Johns", "Pacific/Apia"])
minima = st.sampled_from([0, 1, 3, 6]).map(Decimal)


@settings(max_examples=60)
@given(random_lots(), st.integers(1, 4), runs, zones, st.sampled_from([ACTIVATION, BURN]), minima)
def test_over_any_runs_a_lot_is_told_once_and_only_ahead_of_its_moment(
    lots: list[Lot], days: int, on: list[int], zone: str, what: TaskKind, minimum: Decimal
) -> None:
    """By a count of calendar days, in whatever order they run: what nobody told is told if it is enough."""
    left = {one.lot_id: one for one in lots if one.left > 0 and turning_point(one, what) is not None}
    for number, half in enumerate(on):
        at, run = START + half * DAY / 2, f"run {number}"
        near = [
            one.lot_id
            for one in left.values()
            if (moment := turning_point(one, what) or START) > at
            and (local_day(moment, zone) - local_day(at, zone)).days <= days
        ]
        enough = sum(left[lot_id].left for lot_id in near) >= minimum
        telling = announced(lots, what, Window(at, days, zone), minimum, run)
        assert [one.lot_id for one in telling] == (sorted(near) if enough else [])
        lots = [told(one, what, run) if one in telling else one for one in lots]
        for one in telling:
            del left[one.lot_id]
