"""What a member is owed, by the dates of the requirements; and any life at all, against a second opinion."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.agenda import Reason, Status
from models.member_facts import MemberFact, Purchased, Registered
from models.member_policy import MemberPolicy
from models.member_record import REMEMBERED, begin, record
from models.member_state import MemberState, Stage, memory_of
from models.notices import CATALOGUE, Kind
from models.people import Person
from tests.members import ANNA, REGISTERED, TAIPEI, MemberLife, clock, profile
from tests.requirements import requirement

WELCOME, FIRST, SECOND = Kind.MEMBER_WELCOME, Kind.INVITATION, Kind.INVITATION_AGAIN
thorough = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def joined(**changes: object) -> MemberLife:
    """A member who registered on Monday 2 March 2026 at 18:30, as it was told at once."""
    life = MemberLife(profile(**changes))  # type: ignore[arg-type]
    life.tell(Registered(event_id="", at=life.now))
    return life


def bought(life: MemberLife, day: str, told: str = "") -> None:
    """A purchase at noon of that day, told at once or at that moment."""
    at = clock(f"{day} 12:00", life.zone)
    life.tell(Purchased(event_id="", at=at), told or at)


@requirement("LOY-31", "LOY-50", "LOY-51", "LOY-52")
def test_who_never_buys_is_welcomed_and_invited_twice() -> None:
    """At once; two weeks after the registration; two weeks after that. There is no third."""
    life = joined().until("2027-03-02 00:00")
    assert life.sent() == [
        (WELCOME, "2026-03-02 18:30"),
        (FIRST, "2026-03-16 18:30"),
        (SECOND, "2026-03-30 18:30"),
    ]
    assert life.agenda.over


@requirement("LOY-53")
@pytest.mark.parametrize(
    ("bought_on", "first", "second"),
    [
        (["2026-03-07"], "2026-03-21 12:00", "2026-04-04 12:00"),
        (["2026-03-07", "2026-03-20"], "2026-04-03 12:00", "2026-04-17 12:00"),
        (["2026-03-16"], "2026-03-30 12:00", "2026-04-13 12:00"),
        ([f"2026-03-{day:02}" for day in range(3, 32)], "2026-04-14 12:00", "2026-04-28 12:00"),
    ],
    ids=["day 5 moves it to day 19", "each one moves it", "on its own day", "daily"],
)
def test_a_purchase_postpones_the_invitation(bought_on: list[str], first: str, second: str) -> None:
    """Two weeks from that purchase; it is not called off."""
    life = joined()
    for day in bought_on:
        bought(life, day)
    assert life.owed() == {FIRST: first, SECOND: second}
    assert life.until("2027-03-02 00:00").sent()[1:] == [(FIRST, first), (SECOND, second)]


@requirement("LOY-53")
@pytest.mark.parametrize("day", ["2026-03-17", "2026-03-29", "2026-03-31", "2026-08-01"])
def test_a_purchase_after_the_first_message_begins_the_cycle_anew(day: str) -> None:
    """From that purchase, whether the second message has gone by then or not."""
    life = joined()
    bought(life, day)
    before = len(life.sent())
    life.until("2027-03-02 00:00")
    noon = datetime.fromisoformat(f"{day} 12:00")
    assert life.sent()[before:] == [
        (FIRST, f"{noon + timedelta(days=14):%Y-%m-%d %H:%M}"),
        (SECOND, f"{noon + timedelta(days=28):%Y-%m-%d %H:%M}"),
    ]


@requirement("LOY-53")
@pytest.mark.parametrize(
    ("day", "told", "after"),
    [
        ("2026-03-07", "2026-03-10 09:00", [(FIRST, "2026-03-21 12:00"), (SECOND, "2026-04-04 12:00")]),
        ("2026-03-07", "2026-03-18 09:00", [(SECOND, "2026-04-04 12:00")]),
        ("2026-03-07", "2026-04-05 09:00", []),
        ("2026-03-20", "2026-04-01 09:00", [(SECOND, "2026-04-17 12:00")]),
        ("2026-03-17", "2026-03-17 20:00", [(FIRST, "2026-03-31 12:00"), (SECOND, "2026-04-14 12:00")]),
    ],
    ids=[
        "in time",
        "after the first had gone: that was the first of two",
        "after both had gone: nothing more",
        "between the two: the second one was the first after it",
        "bought after the first had gone",
    ],
)
def test_a_purchase_told_late_counts_at_its_own_time(
    day: str, told: str, after: list[tuple[Kind, str]]
) -> None:
    """As if told in time, but that what went stays sent: after no purchase come more than two."""
    life = joined()
    bought(life, day, told)
    before = len(life.sent())
    assert life.until("2027-03-02 00:00").sent()[before:] == after


@requirement("LOY-53")
def test_what_is_told_so_late_that_its_moment_is_over_brings_no_burst() -> None:
    """While it is still worth sending it goes at once; after that it is left out, and the second follows."""
    late = MemberLife(profile(registered="2026-01-01 10:00"))
    late.until("2026-03-17 08:00").held = True
    bought(late, "2026-03-01", "2026-03-17 09:00")
    assert late.owed() == {FIRST: "2026-03-17 09:00", SECOND: "2026-03-29 12:00"}
    assert late.agenda.owed[0].not_after == clock("2026-03-18 12:00")
    too_late = MemberLife(profile(registered="2026-03-01 12:00"))
    too_late.held = True
    bought(too_late, "2026-03-05", "2026-03-25 09:00")
    assert too_late.why_not()[FIRST] == Reason.KNOWN_TOO_LATE
    # Kept for long, and what is told of it now was before it registered: nothing was ever missed.
    kept = MemberLife(profile(registered="2026-01-05 12:00"))
    kept.held = True
    bought(kept, "2026-01-02", "2026-03-25 09:00")
    assert kept.why_not() == {FIRST: Reason.KNOWN_TOO_LATE, SECOND: Reason.KNOWN_TOO_LATE}
    assert not kept.owed()
    assert too_late.owed() == {SECOND: "2026-04-02 12:00"}


@requirement("LOY-50")
def test_what_was_bought_before_the_registration_changes_nothing() -> None:
    """As a guest: the days are counted from the later of the two."""
    life = joined()
    bought(life, "2026-02-25", "2026-03-03 09:00")
    assert life.owed() == {FIRST: "2026-03-16 18:30", SECOND: "2026-03-30 18:30"}


@requirement("LOY-31")
def test_who_registered_long_ago_is_not_welcomed_now() -> None:
    """Somebody imported: nothing is made up for."""
    life = MemberLife(profile(registered="2025-01-10 10:00"))
    life.now = clock(REGISTERED)
    life.tell(Registered(event_id="r", at=clock("2025-01-10 10:00")))
    assert life.sent() == []
    assert life.agenda.over
    assert life.why_not() == dict.fromkeys((WELCOME, FIRST, SECOND), Reason.KNOWN_TOO_LATE)


def test_one_registration_counts_and_it_is_the_first() -> None:
    """Told by two systems, or again a year later, there is one welcome."""
    life = joined()
    life.tell(Registered(event_id="", at=clock("2026-03-02 18:29")))
    life.tell(Registered(event_id="", at=clock("2027-03-02 18:30")), "2027-03-02 18:30")
    assert [kind for kind, _ in life.sent()] == [WELCOME, FIRST, SECOND]


def test_nothing_counts_from_the_future() -> None:
    """A till whose clock is wrong by a year: its purchase is of now."""
    life = joined()
    life.tell(Purchased(event_id="", at=clock("2027-03-07 12:00")), "2026-03-07 12:00")
    assert life.owed()[FIRST] == "2026-03-21 12:00"


def test_a_fact_is_told_apart_by_its_event_id() -> None:
    """Told again without its time, it does not count as happening now."""
    life = joined()
    assert life.tell(Purchased(event_id="p"), "2026-03-07 12:00").taken
    again = life.tell(Purchased(event_id="p"), "2026-03-08 12:00")
    assert (again.taken, again.known) == (False, True)
    assert life.owed()[FIRST] == "2026-03-21 12:00"


def test_a_time_without_a_zone_is_noted_with_the_mend() -> None:
    """It could be any of a day's."""
    life = joined()
    life.tell(Purchased(event_id="p", at=datetime(2026, 3, 7, 12)))  # noqa: DTZ001
    assert [note.reason for note in life.agenda.not_taken] == [
        "at: 2026-03-07T12:00:00 has no zone; add its offset, or Z for UTC"
    ]
    assert life.tell(Purchased(event_id="p", at=clock("2026-03-02 12:00"))).taken, "mended, it is taken"


@requirement("LOY-52")
@pytest.mark.parametrize("status", [Status.REFUSED, Status.FAILED, Status.MISSED])
def test_an_invitation_that_did_not_go_has_had_its_turn(status: Status) -> None:
    """The second follows by the calendar, and is the last."""
    life = MemberLife(status=status).until("2026-03-16 18:30")
    life.status = Status.SENT
    assert life.until("2027-01-01 00:00").sent() == [(SECOND, "2026-03-30 18:30")]


def test_one_that_did_not_go_is_not_counted_in_the_next_cycle() -> None:
    """A purchase told late, of before the refusal: both of its invitations come."""
    life = MemberLife(status=Status.REFUSED).until("2026-03-16 18:30")
    life.status = Status.SENT
    bought(life, "2026-03-10", "2026-03-17 09:00")
    assert life.until("2027-01-01 00:00").sent() == [
        (FIRST, "2026-03-24 12:00"),
        (SECOND, "2026-04-07 12:00"),
    ]


@requirement("LOY-02", "LOY-05")
def test_only_channels_that_are_chosen_switched_on_and_reachable_are_taken() -> None:
    """And for each of the others the agenda says why."""
    reach = Person("Anna", "anna@example.com", push="token", id="anna")
    life = MemberLife(profile(reach, channels=("email", "sms")))
    (invitation, _) = life.agenda.owed
    assert invitation.channels == ("email",)
    left = {left.channels: left.reason for left in life.agenda.left_out if left.kind is FIRST}
    assert left == {("sms",): Reason.NO_ADDRESS, ("push",): Reason.CHANNEL_OFF}
    policy = MemberPolicy(invitation=("push",))
    life = MemberLife(profile(reach, channels=("email", "push"), policy=policy))
    assert [notice.channels for notice in life.agenda.owed] == [("push",), ("push",)]
    assert life.agenda.left_out == ()


@requirement("LS-50")
def test_an_invitation_by_sms_alone_goes_by_email_to_who_cannot_be_reached_by_it() -> None:
    """Without a phone, or where the shop has no SMS. Not where email is chosen too, or there is none."""
    sms_only = MemberPolicy(invitation=("sms",))

    def owed(person: Person, channels: tuple[str, ...], policy: MemberPolicy = sms_only) -> MemberLife:
        return MemberLife(replace(profile(person, channels=channels, policy=policy), chains=True))

    def by(life: MemberLife) -> set[tuple[str, ...]]:
        return {notice.channels for notice in life.agenda.owed}

    assert by(owed(ANNA, ("email", "sms"))) == {("sms",)}
    assert by(owed(replace(ANNA, phone=""), ("email", "sms"))) == {("email",)}
    assert by(owed(ANNA, ("email",))) == {("email",)}
    nobody = owed(replace(ANNA, email=""), ("email",))
    assert by(nobody) == set()
    left = {(one.channels, one.reason) for one in nobody.agenda.left_out if one.kind is FIRST}
    assert left == {(("sms", "email"), Reason.CHANNEL_OFF)}
    both = owed(replace(ANNA, phone=""), ("email", "sms"), MemberPolicy(invitation=("email", "sms")))
    assert by(both) == {("email",)}
    assert {one.channels for one in both.agenda.left_out if one.kind is FIRST} == {("sms",)}


def test_a_profile_that_was_read_before_there_were_routes_decides_as_it_did() -> None:
    """A life of that time replays: what it cannot send by SMS it leaves out."""
    policy = MemberPolicy(invitation=("sms",))
    life = MemberLife(profile(replace(ANNA, phone=""), policy=policy))
    assert life.agenda.owed == ()
    assert {left.reason for left in life.agenda.left_out if left.kind is FIRST} == {Reason.NO_ADDRESS}


@requirement("CRES-22")
def test_an_invitation_never_goes_as_a_line_notification_message() -> None:
    """It is promotional: it fits none of LINE's cases, whatever a merchant asks for. A registration does."""
    assert (CATALOGUE[FIRST].line_case, CATALOGUE[SECOND].line_case) == (None, None)
    assert CATALOGUE[WELCOME].line_case == 5
    policy = MemberPolicy(invitation=("line_notification", "email"))
    life = MemberLife(profile(channels=("email", "line_notification"), policy=policy))
    assert [notice.channels for notice in life.agenda.owed] == [("email",), ("email",)]


@requirement("MAAC-12")
def test_who_cannot_be_reached_yet_is_waited_for_until_the_moment_itself() -> None:
    """An address that is there when the invitation falls due is soon enough."""
    nobody = Person("Anna", id="anna")
    life = MemberLife(profile(nobody))
    assert (life.owed(), life.agenda.over) == ({}, False)
    assert life.agenda.next_moment == clock("2026-03-16 18:30")
    life.days(10)
    life.state = replace(life.state, profile=profile(ANNA))
    assert life.owed() == {FIRST: "2026-03-16 18:30", SECOND: "2026-03-30 18:30"}
    unreached = MemberLife(profile(nobody)).until("2026-03-30 18:30")
    assert unreached.agenda.over


@pytest.mark.parametrize(
    ("policy", "owed"),
    [
        (MemberPolicy(quiet_days=0), {}),
        (MemberPolicy(invitation=()), {}),
        (MemberPolicy(again_days=0), {FIRST: "2026-03-16 18:30"}),
        (MemberPolicy(quiet_days=3, again_days=4), {FIRST: "2026-03-05 18:30", SECOND: "2026-03-09 18:30"}),
    ],
)
def test_the_merchant_decides_how_long_and_whether(policy: MemberPolicy, owed: dict[Kind, str]) -> None:
    life = joined(policy=policy)
    assert life.owed() == owed
    assert life.agenda.over is not bool(owed)
    if not owed:
        assert life.why_not()[FIRST] == Reason.NOT_WANTED


def test_a_merchant_may_welcome_nobody() -> None:
    life = joined(policy=MemberPolicy(welcome=()))
    assert life.why_not()[WELCOME] == Reason.NOT_WANTED
    assert life.sent() == []


def test_the_time_of_the_first_ends_where_that_of_the_second_begins() -> None:
    """After an outage the two do not come together."""
    life = MemberLife(profile(policy=MemberPolicy(again_days=1)))
    first, second = life.agenda.owed
    assert first.not_after == second.due == first.due + timedelta(days=1)


@requirement("LOY-51")
@pytest.mark.parametrize(
    ("zone", "registered", "first"),
    [
        ("Europe/Berlin", "2026-03-20 18:30", "2026-04-03 18:30"),
        ("Europe/Berlin", "2026-03-15 02:30", "2026-03-29 03:30"),
        ("Europe/Berlin", "2026-10-11 02:30", "2026-10-25 02:30"),
        ("America/New_York", "2026-10-25 10:00", "2026-11-08 10:00"),
    ],
    ids=["over the change", "into the gap", "into the hour that comes twice", "back"],
)
def test_two_weeks_are_fourteen_days_on_the_members_clock(zone: str, registered: str, first: str) -> None:
    """Not 336 hours; a wall time that does not exist moves forward by the gap, and the second comes back."""
    life = MemberLife(profile(zone=zone, registered=registered))
    assert life.owed()[FIRST] == first
    assert life.owed()[SECOND][11:] == registered[11:]
    assert life.agenda.owed[0].due == clock(first, zone)


def test_a_stage_says_where_a_member_stands() -> None:
    life = joined()
    assert life.agenda.stage == Stage.NEW
    bought(life, "2026-03-07")
    assert life.agenda.stage == Stage.ACTIVE
    life.status = Status.REFUSED
    assert life.until("2026-03-21 12:00").agenda.stage == Stage.QUIET
    life.status = Status.SENT
    assert life.until("2026-04-04 12:00").agenda.stage == Stage.INVITED
    life.state = replace(life.state, member_gone=True)
    assert life.agenda.stage == Stage.GONE


def test_a_member_that_is_gone_is_owed_nothing() -> None:
    life = joined()
    life.state = replace(life.state, member_gone=True)
    assert life.owed() == {}
    assert life.why_not() == dict.fromkeys((FIRST, SECOND), Reason.MEMBER_GONE)
    assert life.agenda.over


def test_the_next_life_knows_what_this_one_did() -> None:
    """No second welcome, no invitation twice; and of nobody's address anything is kept."""
    life = joined().until("2026-03-20 12:00")
    memory = memory_of(life.state)
    assert "example.com" not in repr(memory)
    assert "+886" not in repr(memory)
    anew = begin(MemberState("shop", "anna"), life.state.ready, memory, life.now)
    life.state = anew
    life.tell(Registered(event_id="another", at=life.now))
    assert life.until("2027-01-01 00:00").sent()[2:] == [(SECOND, "2026-03-30 18:30")]


def test_what_a_rehearsal_left_from_the_future_is_forgotten() -> None:
    """The development stack moves a member's clock by months; its next life begins today."""
    life = joined().until("2026-03-20 12:00")
    bought(life, "2026-03-21")
    today = clock("2026-03-03 09:00")
    state = begin(MemberState("shop", "anna"), life.state.ready, memory_of(life.state), today)
    assert [done.notice.kind for done in state.done] == [WELCOME]
    assert state.purchased is None
    assert state.registered is not None


def test_a_memory_is_bounded_and_keeps_the_welcome() -> None:
    """A member of many years is not heavier than one of some."""
    life = joined()
    for number in range(30):
        life.days(60)
        life.tell(Purchased(event_id=f"p{number}", at=life.now))
    life.days(60)
    assert len(life.state.done) == 21
    assert life.state.done[0].notice.kind is WELCOME
    state = life.state
    for number in range(2 * REMEMBERED):
        state, _ = record(state, Purchased(event_id=f"q{number}", at=life.now), life.now)
    assert len(state.seen) == REMEMBERED


facts = st.lists(
    st.one_of(
        st.builds(Purchased, event_id=st.just(""), at=st.integers(0, 40 * 24 * 60).map(
            lambda minutes: clock(REGISTERED) + timedelta(minutes=minutes))),
        st.builds(Registered, event_id=st.just(""), at=st.integers(0, 3).map(
            lambda days: clock(REGISTERED) + timedelta(days=days))),
    ),
    max_size=12,
)  # fmt: skip


@requirement("LOY-53")
@thorough
@given(told=facts, seed=st.integers(0, 1000))
def test_any_order_and_any_number_of_times_is_the_same(told: list[MemberFact], seed: int) -> None:
    """Only what happened counts, and when."""
    named = [replace(fact, event_id=f"e{number}") for number, fact in enumerate(told)]
    shuffled = named * 2
    random.Random(seed).shuffle(shuffled)
    lives = []
    for facts in (named, shuffled):
        life = MemberLife()
        life.held = True
        life.now = clock(REGISTERED) + timedelta(days=41)
        for fact in facts:
            life.tell(fact)
        lives.append(life)
    assert lives[0].agenda == lives[1].agenda


def by_the_book(
    registered: datetime, tellings: list[tuple[datetime, datetime]], zone: str
) -> list[tuple[str, datetime]]:
    """A second opinion: every moment that could matter, one after another, and the text of LOY-50 to LOY-53.

    A telling is when it was bought and when that was told.
    """

    def days_later(moment: datetime, days: int) -> datetime:
        wall = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(days=days)
        return wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)

    starts = [registered, *(bought for bought, _ in tellings)]
    dues = [days_later(start, days) for start in starts for days in (14, 28)]
    sent: list[tuple[str, datetime]] = []
    second_of = None
    for now in sorted([*dues, *(told for _, told in tellings)]):
        last = max([registered, *(bought for bought, told in tellings if told <= now)])
        since = [when for _, when in sent if when >= last]
        first, again = days_later(last, 14), days_later(last, 28)
        if not since and first <= now <= first + timedelta(hours=72):
            sent.append(("invitation", now))
            since.append(now)
        if len(since) < 2 and again <= now <= again + timedelta(hours=72) and second_of != last:
            sent.append(("invitation_again", now))
            second_of = last
    return sent


tellings = st.lists(
    st.tuples(
        st.integers(0, 90 * 24 * 6),
        st.one_of(st.just(0), st.integers(0, 24 * 6), st.integers(0, 50 * 24 * 6)),
    ),
    max_size=8,
)
"""Tens of minutes: from the registration until it was bought, and from then until it was told."""


@requirement("LOY-50", "LOY-51", "LOY-52", "LOY-53")
@thorough
@given(told=tellings, zone=st.sampled_from([TAIPEI, "Europe/Berlin", "America/New_York"]))
def test_any_life_is_as_by_the_book(told: list[tuple[int, int]], zone: str) -> None:
    """Bought at any time, told late and out of order: the same messages at the same moments."""
    life = MemberLife(profile(zone=zone, registered="2026-02-20 18:30"))
    registered = life.now
    # Half a minute past: nothing is told at the very moment at which something falls due.
    purchases = [
        (
            registered + timedelta(minutes=10 * after),
            registered + timedelta(minutes=10 * (after + late), seconds=30),
        )
        for after, late in told
    ]
    for number, (bought_at, told_at) in enumerate(sorted(purchases, key=lambda pair: pair[1])):
        life.tell(Purchased(event_id=f"p{number}", at=bought_at), told_at)
    life.days(200)
    sent = [(done.notice.kind.value, done.outcomes[0].at) for done in life.state.done]
    assert sent == by_the_book(registered, purchases, zone)
    for start in [registered, *(bought_at for bought_at, _ in purchases)]:
        following = min((at for at, _ in purchases if at > start), default=life.now)
        assert sum(start <= when < following for _, when in sent) <= 2, "at most two between two purchases"
