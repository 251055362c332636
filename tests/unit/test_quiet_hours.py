"""Quiet hours and caps: what waits, until when, and what never does."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from models.agenda import Status
from models.consent import Consent
from models.merchant import Merchant
from models.notices import NoticeClass
from models.policy import ClassPolicy, GatePolicy, QuietHours
from models.quiet import quiet_until
from models.timing import instant, local, local_day
from policies.answers import Code
from policies.gate import Deferred, Passed, Proposal, Refused, gate
from tests.proposals import SHOP, proposed

SECURITY, TRANSACTIONAL, REMINDER, LOYALTY, PROMOTIONAL = NoticeClass
YES: dict[str, Any] = {"consent": Consent.OPTED_IN}
ZONES = [
    "Asia/Taipei", "Europe/Paris", "America/New_York", "America/St_Johns", "Australia/Lord_Howe",
    "Pacific/Apia", "Pacific/Kiritimati", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Kathmandu",
    "Europe/London",
]  # fmt: skip
instants = st.integers(0, 30 * 365 * 24 * 60).map(
    lambda minutes: datetime(2005, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
hours = st.times().map(lambda found: found.replace(second=0, microsecond=0, fold=0))


def at(clock: str, zone: str = SHOP.zone) -> datetime:
    return instant(datetime.fromisoformat(clock), zone)


def waits(proposal: Proposal) -> str:
    """Until when, on the recipient's clock; empty where it goes at once."""
    decision = gate(proposal)
    return f"{local(decision.until, proposal.zone):%Y-%m-%d %H:%M}" if isinstance(decision, Deferred) else ""


@pytest.mark.parametrize(
    ("clock", "until"),
    [
        ("2026-03-03 08:59:59", "2026-03-03 09:00"),
        ("2026-03-03 09:00", ""),
        ("2026-03-03 15:00", ""),
        ("2026-03-03 20:59:59", ""),
        ("2026-03-03 21:00", "2026-03-04 09:00"),
        ("2026-03-03 23:59:59", "2026-03-04 09:00"),
        ("2026-03-04 00:00", "2026-03-04 09:00"),
    ],
)
@pytest.mark.parametrize("notice_class", [LOYALTY, PROMOTIONAL])
def test_quiet_hours_are_from_nine_to_nine(notice_class: NoticeClass, clock: str, until: str) -> None:
    """To the second."""
    assert waits(proposed(notice_class, now=at(clock), **YES)) == until


@pytest.mark.parametrize("notice_class", [SECURITY, TRANSACTIONAL, REMINDER])
def test_what_is_owed_and_what_reminds_goes_by_night(notice_class: NoticeClass) -> None:
    """A reminder could be made to wait by policy; the others never."""
    assert waits(proposed(notice_class, now=at("2026-03-03 03:00"))) == ""


def test_the_recipients_clock_counts() -> None:
    """15:00 in Taipei is 08:00 in Paris."""
    afternoon = at("2026-03-03 15:00")
    assert waits(proposed(LOYALTY, now=afternoon)) == ""
    assert waits(proposed(LOYALTY, now=afternoon, zone="Europe/Paris")) == "2026-03-03 09:00"


def test_what_would_wait_past_its_last_moment_is_missed() -> None:
    """To wait until the last moment itself is in time."""
    night = at("2026-03-03 22:00")
    assert waits(proposed(LOYALTY, now=night, lasts=timedelta(hours=11))) == "2026-03-04 09:00"
    decision = gate(proposed(LOYALTY, now=night, lasts=timedelta(hours=11, seconds=-1)))
    assert isinstance(decision, Refused)
    assert (decision.status, decision.code, decision.rule) == (Status.MISSED, Code.MISSED, "quiet_hours")
    assert decision.reason == (
        "quiet hours from 21:00 to 09:00 Asia/Taipei: it waits until 2026-03-04 09:00, "
        "which is after its last moment, 2026-03-04 08:59"
    )


@pytest.mark.parametrize(
    ("clock", "starts", "ends", "until"),
    [
        ("13:00", 12, 14, "2026-03-03 14:00"),
        ("14:00", 12, 14, ""),
        ("11:59", 12, 14, ""),
        ("03:00", 8, 8, ""),
        ("23:00", 0, 9, ""),
        ("00:00", 0, 9, "2026-03-03 09:00"),
        ("23:59", 21, 0, "2026-03-04 00:00"),
    ],
)
def test_a_merchant_may_set_other_hours(clock: str, starts: int, ends: int, until: str) -> None:
    """Within a day, from or to midnight, or none."""
    merchant = replace(SHOP, gate=GatePolicy(quiet_hours=QuietHours(time(starts), time(ends))))
    assert waits(proposed(LOYALTY, merchant=merchant, now=at(f"2026-03-03 {clock}"))) == until


def test_an_hour_that_comes_twice_is_not_quiet_twice() -> None:
    """Quiet hours that end at 02:30 have ended once; clocks going back do not begin them anew."""
    quiet = QuietHours(time(21), time(2, 30))
    first = datetime(2026, 10, 25, 0, 15, tzinfo=UTC)  # 02:15 in Paris, and an hour later again
    assert quiet_until(first, quiet, "Europe/Paris") == first + timedelta(minutes=15)
    assert quiet_until(first + timedelta(hours=1), quiet, "Europe/Paris") is None


def test_an_end_that_does_not_exist_moves_forward_by_the_gap() -> None:
    """02:30 on the last Sunday of March is 03:30 in Paris."""
    until = quiet_until(at("2026-03-29 01:00", "Europe/Paris"), QuietHours(ends=time(2, 30)), "Europe/Paris")
    assert until is not None
    assert f"{local(until, 'Europe/Paris'):%d %H:%M}" == "29 03:30"


@given(now=instants, zone=st.sampled_from(ZONES), starts=hours, ends=hours)
@example(datetime(2011, 12, 30, 9, 0, tzinfo=UTC), "Pacific/Apia", time(21), time(9))
def test_quiet_hours_end_on_the_recipients_clock(now: datetime, zone: str, starts: time, ends: time) -> None:
    """In any zone, whatever its clocks do: after now, within some hours, at the end and at no other time."""
    until = quiet_until(now, QuietHours(starts, ends), zone)
    assume(until is not None)
    assert until is not None
    assert now < until <= now + timedelta(days=2, hours=1)
    there = local(until, zone)
    wall = there.replace(tzinfo=None)
    exists = local(instant(wall.replace(hour=ends.hour, minute=ends.minute), zone), zone).time() == ends
    assert there.time() == ends or not exists


@given(now=instants, zone=st.sampled_from(ZONES), ends=st.times(time(4), time(20)), starts=hours)
def test_what_has_waited_goes(now: datetime, zone: str, starts: time, ends: time) -> None:
    """At the end of quiet hours there are none."""
    quiet = QuietHours(starts, ends)
    until = quiet_until(now, quiet, zone)
    assume(until is not None)
    assert until is not None
    assert quiet_until(until, quiet, zone) is None or local(until, zone).time() != ends


capping = replace(SHOP, gate=GatePolicy(reminder=ClassPolicy(daily_cap=1)))


@pytest.mark.parametrize(
    ("notice_class", "sent", "merchant", "answer"),
    [
        (PROMOTIONAL, 1, SHOP, ""),
        (PROMOTIONAL, 2, SHOP, Code.CAPPED),
        (LOYALTY, 2, SHOP, ""),
        (LOYALTY, 3, SHOP, "2026-03-04 09:00"),
        (REMINDER, 99, SHOP, ""),
        (REMINDER, 1, capping, "2026-03-04 09:00"),
        (TRANSACTIONAL, 99, capping, ""),
        (SECURITY, 99, capping, ""),
    ],
)
def test_not_too_many_in_one_day(
    notice_class: NoticeClass, sent: int, merchant: Merchant, answer: str
) -> None:
    """Over the cap a promotion is dropped, and a coupon's notice waits for tomorrow; the owed go."""
    proposal = proposed(notice_class, merchant=merchant, sent_today=sent, **YES)
    decision = gate(proposal)
    assert (decision.code if isinstance(decision, Refused) else waits(proposal)) == answer


def test_a_promotion_held_over_midnight_is_counted_tomorrow() -> None:
    """In the evening the day's cap is no reason to drop what goes in the morning; before dawn it is."""
    evening = proposed(PROMOTIONAL, now=at("2026-03-03 22:00"), sent_today=2, **YES)
    assert waits(evening) == "2026-03-04 09:00"
    dawn = gate(replace(evening, now=at("2026-03-03 07:00")))
    assert isinstance(dawn, Refused)
    assert dawn.code is Code.CAPPED


@given(now=instants, zone=st.sampled_from(ZONES), sent=st.integers(3, 9))
def test_over_the_cap_it_waits_for_another_day(now: datetime, zone: str, sent: int) -> None:
    """Of the recipient's calendar, at an hour that is not quiet."""
    decision = gate(proposed(LOYALTY, now=now, zone=zone, sent_today=sent))
    assert isinstance(decision, Deferred)
    assert local_day(decision.until, zone) > local_day(now, zone)
    assert isinstance(gate(proposed(LOYALTY, now=decision.until, zone=zone)), Passed)
