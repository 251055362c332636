"""The pre-visit notice: two days before, per session, to each participant. [WACA-17, WACA-36]"""

from dataclasses import replace
from datetime import timedelta

import pytest

from models.agenda import Reason, Status
from models.booking_facts import (
    Accepted,
    Cancelled,
    Refunded,
    Reschedule,
)
from models.merchant import BookingPolicy
from models.notices import Kind
from models.timing import Offset
from tests.bookings import ANNA, BEN, CHLOE, Life, booking, clock, people, service, shop
from tests.requirements import requirement

SECOND = timedelta(seconds=1)
ACCEPTED = Accepted(event_id="")

# Zone, the session's start by the clock of the shop; then due and not_after in UTC.
VISITS = [
    ("Asia/Taipei", "2026-03-20 14:00", "2026-03-18T02:00", "2026-03-19T06:00"),
    ("Asia/Taipei", "2026-03-20 00:00", "2026-03-18T02:00", "2026-03-18T16:00"),  # its first second
    ("Asia/Taipei", "2026-03-20 23:59:59", "2026-03-18T02:00", "2026-03-19T15:59:59"),  # its last
    ("Asia/Kathmandu", "2026-03-20 08:00", "2026-03-18T04:15", "2026-03-19T02:15"),
    ("Pacific/Kiritimati", "2026-03-20 08:00", "2026-03-17T20:00", "2026-03-18T18:00"),
    ("Pacific/Pago_Pago", "2026-03-20 08:00", "2026-03-18T21:00", "2026-03-19T19:00"),
    ("Europe/Berlin", "2026-03-30 09:00", "2026-03-28T09:00", "2026-03-29T07:00"),  # clocks change between
    ("Europe/Berlin", "2026-03-31 09:00", "2026-03-29T08:00", "2026-03-30T07:00"),  # on the day it is due
    ("Europe/Berlin", "2026-03-29 09:00", "2026-03-27T09:00", "2026-03-28T07:00"),  # on the day of the visit
    ("Europe/Berlin", "2026-10-26 09:00", "2026-10-24T08:00", "2026-10-25T08:00"),
    ("Europe/Berlin", "2026-10-27 09:00", "2026-10-25T09:00", "2026-10-26T08:00"),
    ("America/New_York", "2026-11-03 09:00", "2026-11-01T15:00", "2026-11-02T14:00"),
    ("America/Santiago", "2026-09-08 09:00", "2026-09-06T13:00", "2026-09-07T12:00"),  # no midnight that day
    ("Australia/Lord_Howe", "2026-10-06 09:00", "2026-10-03T23:00", "2026-10-04T22:00"),  # half an hour
]


def accepted_life(starts: str, ordered: str, zone: str = "Asia/Taipei") -> Life:
    life = Life(booking(service("s1", starts, BEN, zone=zone), ordered=ordered, zone=zone), zone=zone)
    return life.take(ACCEPTED)


@requirement("WACA-17", "WACA-36")
@pytest.mark.parametrize(("zone", "starts", "due", "not_after"), VISITS)
def test_the_pre_visit_notice_is_due_at_ten_two_days_before_by_the_clock_of_the_shop(
    zone: str, starts: str, due: str, not_after: str
) -> None:
    """And means something until a day before the session."""
    (notice,) = accepted_life(starts, "2026-02-20 09:00", zone).owed(Kind.PRE_VISIT)
    assert (notice.due, notice.not_after) == (clock(due, "UTC"), clock(not_after, "UTC"))


@requirement("WACA-17", "WACA-36", "WACA-39")
def test_it_goes_to_each_participant_of_each_session_by_email_and_sms() -> None:
    """Not to the booker, and not for what is not accepted."""
    life = Life(
        booking(
            service("s1", "2026-03-20 14:00", BEN, CHLOE),
            service("s2", "2026-03-21 14:00", BEN),
            service("s3", "2026-03-22 14:00", CHLOE),
        )
    )
    life.take(Accepted(event_id="", services=("s1", "s2")))
    owed = life.owed(Kind.PRE_VISIT)
    assert [(n.recipient.id, n.about) for n in owed] == [
        ("ben", ("s1",)),
        ("chloe", ("s1",)),
        ("ben", ("s2",)),
    ]
    assert all(notice.channels == ("email", "sms") for notice in owed)
    assert life.why_not(Kind.PRE_VISIT) == [Reason.NOT_ACCEPTED_YET]
    assert life.until("2026-03-18 10:00").sent(Kind.PRE_VISIT) == ["ben", "chloe"]
    assert life.until("2026-03-21 15:00").sent(Kind.PRE_VISIT) == ["ben", "chloe", "ben"]


@requirement("WACA-36")
@pytest.mark.parametrize("zone", ["Asia/Taipei", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"])
@pytest.mark.parametrize(
    ("ordered", "starts", "owed"),
    [
        ("2026-03-02 00:00:00", "2026-03-02 23:59:59", False),  # the order's day
        ("2026-03-02 00:00:00", "2026-03-03 23:59:59", False),  # the day after, though 48 hours ahead
        ("2026-03-02 23:59:59", "2026-03-03 00:00:00", False),
        ("2026-03-02 00:00:00", "2026-03-04 00:00:00", True),  # two days after
        ("2026-03-02 00:00:00", "2026-03-04 23:59:59", True),
        ("2026-03-02 23:59:58", "2026-03-04 00:00:00", True),  # two days after, though 24 hours ahead
    ],
)
def test_never_for_a_service_on_the_orders_day_or_the_day_after(
    zone: str, ordered: str, starts: str, owed: bool
) -> None:
    """Days are those of the shop's calendar, not hours."""
    life = accepted_life(starts, ordered, zone)
    assert len(life.owed(Kind.PRE_VISIT)) + len(life.settled(Kind.PRE_VISIT)) == owed
    assert life.why_not(Kind.PRE_VISIT) == ([] if owed else [Reason.SERVICE_TOO_SOON])


@requirement("WACA-36")
def test_the_day_of_the_order_is_that_of_the_shop() -> None:
    """The same two instants: two days apart in Taipei, one day apart in Berlin."""
    ordered, starts = clock("2026-03-02 15:59:59", "UTC"), clock("2026-03-03 16:00", "UTC")
    for zone, expected in (("Asia/Taipei", []), ("Europe/Berlin", [Reason.SERVICE_TOO_SOON])):
        life = Life(booking(service("s1", starts, BEN), ordered=ordered), zone=zone).take(ACCEPTED)
        assert life.why_not(Kind.PRE_VISIT) == expected


@requirement("WACA-36")
@pytest.mark.parametrize(
    ("remaining", "owed"),
    [
        (timedelta(hours=24) + SECOND, True),
        (timedelta(hours=24), True),
        (timedelta(hours=24) - SECOND, False),
    ],
)
def test_accepted_late_it_is_due_at_once_while_a_day_remains(remaining: timedelta, owed: bool) -> None:
    """With exactly a day left it still goes; a second later it is left out, and the voucher has to do."""
    starts = clock("2026-03-20 14:00")
    life = Life(booking()).take(ACCEPTED, starts - remaining)
    if owed:
        (done,) = life.settled(Kind.PRE_VISIT)
        assert done.status is Status.SENT
        assert (done.notice.due, done.notice.not_after) == (starts - remaining, starts - timedelta(hours=24))
    else:
        assert life.settled(Kind.PRE_VISIT) == []
        assert life.why_not(Kind.PRE_VISIT) == [Reason.KNOWN_TOO_LATE]
    assert life.sent(Kind.VOUCHER) == ["ben"]


@requirement("WACA-36")
@pytest.mark.parametrize(
    ("accepted", "due"),
    [
        ("2026-03-18 09:59:59", "2026-03-18 10:00:00"),
        ("2026-03-18 10:00:00", "2026-03-18 10:00:00"),
        ("2026-03-18 10:00:01", "2026-03-18 10:00:01"),
    ],
)
def test_accepted_around_its_moment_it_is_due_at_the_later_of_the_two(accepted: str, due: str) -> None:
    """Before ten it waits for ten."""
    life = Life(booking()).take(ACCEPTED, accepted).until("2026-03-20 16:00")
    assert [done.notice.due for done in life.settled(Kind.PRE_VISIT)] == [clock(due)]


@requirement("WACA-36")
def test_before_acceptance_it_waits_and_says_for_what() -> None:
    """Its moment passes; accepted after that it is due at once."""
    life = Life(booking()).until("2026-03-18 12:00")
    assert life.why_not(Kind.PRE_VISIT) == [Reason.NOT_ACCEPTED_YET]
    assert life.take(ACCEPTED).sent(Kind.PRE_VISIT) == ["ben"]


@requirement("WACA-36")
def test_an_acceptance_told_late_counts_from_when_it_happened() -> None:
    """Accepted in time, told with 23 hours left: it is missed, not sent too late."""
    life = Life(booking()).until("2026-03-19 15:00")
    life.take(Accepted(event_id="", at=clock("2026-03-10 09:00")))
    assert [done.status for done in life.settled(Kind.PRE_VISIT)] == [Status.MISSED]


@requirement("WACA-36")
def test_an_outage_longer_than_its_window_makes_it_missed() -> None:
    """A report, not a stale reminder."""
    life = Life(booking()).take(ACCEPTED)
    life.held = True
    life.until(clock("2026-03-19 14:00") + SECOND).release()
    assert [done.status for done in life.settled(Kind.PRE_VISIT)] == [Status.MISSED]


@requirement("WACA-36")
def test_an_outage_within_its_window_only_delays_it() -> None:
    """At its last moment it still goes."""
    life = Life(booking()).take(ACCEPTED)
    life.held = True
    life.until("2026-03-19 14:00").release()
    assert life.sent(Kind.PRE_VISIT) == ["ben"]


@requirement("WACA-17", "WACA-34")
@pytest.mark.parametrize("told", [Cancelled(event_id=""), Refunded(event_id="")])
def test_a_cancelled_booking_owes_none(told: Cancelled | Refunded) -> None:
    """However it was cancelled."""
    life = Life(booking()).take(ACCEPTED).take(told)
    assert life.owed(Kind.PRE_VISIT) == []
    assert life.why_not(Kind.PRE_VISIT) == [Reason.ORDER_CANCELLED]


@requirement("WACA-36")
def test_moved_away_from_the_day_after_the_order_it_is_owed() -> None:
    """And moved onto it, it is not."""
    life = accepted_life("2026-03-03 14:00", "2026-03-02 09:30")
    assert life.why_not(Kind.PRE_VISIT) == [Reason.SERVICE_TOO_SOON]
    move = Reschedule(event_id="", service="s1", starts_at=clock("2026-03-10 14:00"))
    life.take(move)
    assert [notice.due for notice in life.owed(Kind.PRE_VISIT)] == [clock("2026-03-08 10:00")]
    life.take(replace(move, starts_at=clock("2026-03-03 18:00")))
    assert life.why_not(Kind.PRE_VISIT) == [Reason.SERVICE_TOO_SOON]


@requirement("WACA-36")
def test_days_hour_and_margin_are_the_merchants() -> None:
    """One day before at 18:30, for services from three days after the order, until two hours before."""
    policy = BookingPolicy(
        pre_visit=Offset(-1, clock("2026-01-01 18:30", "UTC").time()),
        pre_visit_least_days=3,
        pre_visit_margin_hours=2,
    )
    rules = shop(policy=policy)
    soon = Life(booking(service("s1", "2026-03-04 14:00", BEN)), rules).take(ACCEPTED)
    assert soon.why_not(Kind.PRE_VISIT) == [Reason.SERVICE_TOO_SOON]
    (notice,) = Life(booking(), rules).take(ACCEPTED).owed(Kind.PRE_VISIT)
    assert (notice.due, notice.not_after) == (clock("2026-03-19 18:30"), clock("2026-03-20 12:00"))


@requirement("WACA-17")
def test_the_booker_gets_it_only_as_a_participant() -> None:
    """Anna booked for Ben and herself."""
    life = Life(booking(service("s1", "2026-03-20 14:00", BEN, ANNA))).take(ACCEPTED)
    assert sorted(people(life.owed(Kind.PRE_VISIT))) == ["anna", "ben"]
