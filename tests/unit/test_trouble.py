"""When the staff is told of a trouble, and in which words."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.trouble import AGAIN, CALM, Cause, Key, Remembered, Trouble, look, short_of_points, words
from tests.requirements import requirement
from tests.shops import NOW, PAYING

MINUTE = timedelta(minutes=1)
MISSED = Trouble("lumi", Cause.MISSED, count=2, example=17)
DOWN = Trouble("lumi", Cause.PROVIDER, "twsms", count=3, example=18)
LOW = Trouble("lumi", Cause.POINTS, count=80)
LOWER = replace(LOW, count=40, level=2)


def told(*looks: tuple[timedelta, list[Trouble]], fails: bool = False) -> list[tuple[timedelta, Trouble]]:
    """What is told by such looks, each so long after the first moment."""
    remembered: dict[Key, Remembered] = {}
    said = []
    for after, found in looks:
        now = NOW + after
        seen = look(found, remembered, now)
        remembered = {
            key: one for key, one in (remembered | dict(seen.remember)).items() if key not in seen.ended
        }
        for trouble in seen.tell:
            one = remembered[trouble.key]
            remembered[trouble.key] = one.tried(now) if fails else one.told(trouble, now)
            said.append((after, trouble))
    return said


def minutes(first: int, last: int, *found: Trouble) -> list[tuple[timedelta, list[Trouble]]]:
    return [(minute * MINUTE, list(found)) for minute in range(first, last)]


def test_a_trouble_that_lasts_is_told_once_and_again_after_a_day() -> None:
    """Not every minute."""
    assert [after for after, _ in told(*minutes(0, 60 * 24 + 5, MISSED))] == [timedelta(0), AGAIN]


def test_a_provider_that_stumbles_is_no_news() -> None:
    """It is told when it was seen for some minutes on end; an attempt in between is no end of it."""
    assert told(*minutes(0, 3, DOWN), *minutes(3, 30)) == []
    assert told(*minutes(0, 2, DOWN), *minutes(2, 4), *minutes(4, 30, DOWN)) == [(4 * MINUTE, DOWN)]


def test_it_is_told_anew_when_it_was_well_in_between() -> None:
    """For a quarter of an hour; not after a moment."""
    well = int(CALM / MINUTE) + 2
    assert len(told(*minutes(0, 5, MISSED), *minutes(5, 10), *minutes(10, 15, MISSED))) == 1
    assert len(told(*minutes(0, 5, MISSED), *minutes(5, 5 + well), *minutes(5 + well, 40, MISSED))) == 2


@requirement("WACA-29a", "WACA-29b")
def test_a_shortage_is_told_at_each_threshold_and_not_every_day() -> None:
    """Below 100 and below 50; after a top-up over 50 the next time below it is told again."""
    week = minutes(60, 60 * 24 * 7, LOWER)[::60]
    assert [trouble for _, trouble in told(*minutes(0, 9, LOW), *minutes(9, 20, LOWER), *week)] == [
        LOW,
        LOWER,
    ]
    assert [one for _, one in told(*minutes(0, 2, LOWER), *minutes(2, 4, LOW), *minutes(4, 6, LOWER))] == [
        LOWER,
        LOWER,
    ]


def test_where_nobody_could_be_told_it_is_tried_again_some_minutes_later() -> None:
    """Until somebody was."""
    assert [after for after, _ in told(*minutes(0, 11, MISSED), fails=True)] == [
        0 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
    ]


def test_what_has_happened_is_owed_until_it_is_told() -> None:
    """It is not seen any more by then; a provider that is up again is no news."""
    for trouble, times in ((MISSED, 4), (DOWN, 1)):
        failing = told(*minutes(0, 5, trouble), *minutes(5, 20), fails=True)
        assert [one.count for _, one in failing] == [trouble.count] * times
    assert len(told(*minutes(0, 1, MISSED), *minutes(1, 60 * 30), fails=True)) == 24 * 60 / 5


@given(st.lists(st.sampled_from([(), (MISSED,), (DOWN,), (MISSED, DOWN)]), max_size=200))
def test_whatever_comes_and_goes_nothing_is_told_twice_within_a_quarter_of_an_hour(
    looks: list[tuple[Trouble, ...]],
) -> None:
    """One look a minute: two alerts about one thing lie at least CALM apart."""
    last: dict[Key, timedelta] = {}
    for after, trouble in told(*((n * MINUTE, list(found)) for n, found in enumerate(looks))):
        assert trouble.key not in last or after - last[trouble.key] > CALM
        last[trouble.key] = after


@requirement("WACA-29a", "WACA-29b", "WACA-29c")
@pytest.mark.parametrize(("points", "level"), [("85", 0), ("84.9", 1), ("42.5", 1), ("42.4", 2), ("0", 2)])
def test_a_shortage_begins_strictly_below_a_threshold(points: str, level: int) -> None:
    """100 exactly and 50 exactly are none; nor is there one where nothing is charged."""
    found = short_of_points(PAYING, Decimal(points))
    assert (found.level if found else 0) == level
    free = replace(PAYING, credits=replace(PAYING.credits, enabled=False))
    assert short_of_points(free, Decimal(points)) is None


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (LOW, "lumi has SMS points for 80 domestic messages. See `carillon credits show lumi`"),
        (
            replace(DOWN, setting="CARILLON_TWSMS_USERNAME"),
            "3 messages (such as 18) of lumi cannot go: it is down, refuses the login or is not set up."
            " Set CARILLON_TWSMS_USERNAME. See `carillon explain 18`",
        ),
        (
            replace(MISSED, count=1),
            "1 message (such as 17) of lumi did not go in time, and will not be sent late."
            " See `carillon explain 17`",
        ),
    ],
)
def test_an_alert_says_whose_how_many_and_where_to_see_more(trouble: Trouble, said: str) -> None:
    """With the number of one message, and nothing of a member's."""
    title, body = words(trouble)
    assert title.startswith("Carillon, lumi: ")
    assert body == said


def test_every_cause_has_its_words() -> None:
    """None is forgotten, and no two are alike."""
    titles: Mapping[Cause, str] = {
        cause: words(Trouble("lumi", cause, count=1, example=1))[0] for cause in Cause
    }
    assert len(set(titles.values())) == len(Cause)
