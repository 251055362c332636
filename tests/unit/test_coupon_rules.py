"""When holders of a coupon hear of it: 15:00, the shop's local days, and what becomes of a moved last day."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.agenda import ChannelOutcome, Done, Reason, Status
from models.coupon import CouponDrop
from models.coupon_agenda import (
    Moved,
    Telling,
    expiring_due,
    expiring_telling,
    issued_due,
    issued_telling,
    moved_of,
)
from models.drop_agenda import drop_agenda, drop_report, outcomes_of, planned, settled
from models.drop_state import (
    LATE_SHOWN,
    DropBegun,
    DropRules,
    DropStage,
    DropState,
    ExtendDrop,
    HoldersAdded,
    RevokeDrop,
    begin,
    drop_rules,
    granted,
    refusal,
    with_channels,
    with_holders,
)
from models.member_policy import CouponPolicy
from models.merchant import Merchant, SmsProvider, SmsSettings
from models.notices import ways
from models.wave_showing import NO_CHANNEL, SENT, wordless_report
from models.wave_state import Counts, WaveReport
from tests.requirements import requirement

TAIPEI, BERLIN, LORD_HOWE = "Asia/Taipei", "Europe/Berlin", "Australia/Lord_Howe"
POLICY = CouponPolicy()
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def clock(text: str, zone: str = TAIPEI) -> datetime:
    """The instant at which the clock of that zone shows `text`, by ZoneInfo alone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def a_drop(first: str, last: str, issue: str = "") -> CouponDrop:
    issue_on, usable_from, usable_to = map(date.fromisoformat, (issue or first, first, last))
    return CouponDrop("lumi", "spring", "Spring coupon", issue_on, usable_from, usable_to)


@requirement("WACA-37", "WACA-38")
@pytest.mark.parametrize(
    ("drop", "zone", "issued", "expiring"),
    [
        (a_drop("2026-03-01", "2026-03-31"), TAIPEI, "2026-03-01 15:00", "2026-03-24 15:00"),
        (a_drop("2026-03-01", "2026-03-31"), BERLIN, "2026-03-01 15:00", "2026-03-24 15:00"),
        # The clocks of Berlin go forward on 29 March and back on 25 October: it is 15:00 all the same.
        (a_drop("2026-03-20", "2026-04-05", "2026-03-29"), BERLIN, "2026-03-29 15:00", "2026-03-29 15:00"),
        (a_drop("2026-10-20", "2026-11-01"), BERLIN, "2026-10-20 15:00", "2026-10-25 15:00"),
        (a_drop("2026-03-25", "2026-04-12"), LORD_HOWE, "2026-03-25 15:00", "2026-04-05 15:00"),
        # The 29th of February is a day like any other.
        (a_drop("2028-02-20", "2028-03-07"), TAIPEI, "2028-02-20 15:00", "2028-02-29 15:00"),
        # Usable for six, seven and eight days, told of a week before.
        (a_drop("2026-03-10", "2026-03-15", "2026-03-01"), TAIPEI, "2026-03-01 15:00", None),
        (a_drop("2026-03-10", "2026-03-16", "2026-03-01"), TAIPEI, "2026-03-01 15:00", "2026-03-09 15:00"),
        (a_drop("2026-03-10", "2026-03-17", "2026-03-01"), TAIPEI, "2026-03-01 15:00", "2026-03-10 15:00"),
        # Issued on its first of seven days: nobody hears of its end before hearing of it.
        (a_drop("2026-03-10", "2026-03-16"), TAIPEI, "2026-03-10 15:00", "2026-03-10 15:00"),
    ],
)
def test_the_moments_are_at_15_00_of_the_shops_days(
    drop: CouponDrop, zone: str, issued: str, expiring: str | None
) -> None:
    """By the clock of the shop, in summer and in winter."""
    assert issued_due(drop, POLICY, zone) == clock(issued, zone)
    found = expiring_due(drop, POLICY, zone)
    assert found == (clock(expiring, zone) if expiring else None)


days = st.dates(date(2020, 1, 1), date(2040, 1, 1))


@requirement("WACA-37", "WACA-38")
@settings(max_examples=100, deadline=None)
@given(
    days, st.integers(0, 60), st.integers(0, 90), st.sampled_from((TAIPEI, BERLIN, LORD_HOWE, "Etc/GMT+12"))
)
def test_a_notice_that_it_ends_comes_seven_days_before_or_not_at_all(
    issue: date, wait: int, length: int, zone: str
) -> None:
    """Seven calendar days by the shop's clock, never before the issued notice, none for a short coupon."""
    first = issue + timedelta(days=wait)
    drop = CouponDrop("lumi", "d", "D", issue, first, first + timedelta(days=length))
    issued, expiring = issued_due(drop, POLICY, zone), expiring_due(drop, POLICY, zone)
    assert issued.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == datetime.combine(issue, time(15))
    assert (expiring is None) == (length < 6)
    if expiring is not None and expiring != issued:
        wall = expiring.astimezone(ZoneInfo(zone))
        assert (wall.time(), (drop.usable_to - wall.date()).days) == (time(15), 7)
        assert expiring > issued


@requirement("WACA-37")
def test_a_holder_of_a_later_hour_is_told_from_that_hour_on() -> None:
    """For a day, and no longer than the coupon can be used."""
    drop = a_drop("2026-03-01", "2026-03-31")
    issued, noon = clock("2026-03-01 15:00"), clock("2026-03-05 12:00")
    before, late = (issued_telling(drop, POLICY, TAIPEI, at) for at in (issued - DAY, noon))
    assert before is not None
    assert late is not None
    assert (before.due, before.not_after) == (issued, issued + DAY)
    assert (late.due, late.not_after) == (noon, noon + DAY)
    last = issued_telling(drop, POLICY, TAIPEI, clock("2026-03-31 20:00"))
    assert last is not None
    assert last.not_after == clock("2026-03-31 23:59:59")
    assert issued_telling(drop, POLICY, TAIPEI, clock("2026-04-01 00:00")) is None


@requirement("WACA-38")
def test_who_is_given_it_after_the_moment_hears_no_more_that_it_ends() -> None:
    """The issued notice names the last day."""
    drop, moment = a_drop("2026-03-01", "2026-03-31"), clock("2026-03-24 15:00")
    assert expiring_telling(drop, POLICY, TAIPEI, moment) is not None
    assert expiring_telling(drop, POLICY, TAIPEI, moment + SECOND) is None


RULES = DropRules(TAIPEI, ("sms",), POLICY)
SPRING = a_drop("2026-03-01", "2026-03-31")


def begun(at: str, drop: CouponDrop = SPRING, rules: DropRules = RULES) -> DropState:
    return begin(DropBegun(drop, rules, holders=3), clock(at))


def owed(state: DropState, at: str) -> list[tuple[str, datetime]]:
    return [(notice.kind.value, notice.due) for notice in drop_agenda(state, clock(at)).owed]


def sent(state: DropState, at: str) -> DropState:
    return sent_by(state, clock(at))


def sent_by(state: DropState, now: datetime) -> DropState:
    """The state with everything settled that is due by then."""
    for notice in drop_agenda(state, now).owed:
        if notice.due <= now:
            state = settled(state, Done(notice, (ChannelOutcome("sms", Status.SENT, now),)))
    return state


def added(at: str, event: str = "") -> HoldersAdded:
    return HoldersAdded(event_id=event or at, since=clock(at), holders=5)


@requirement("WACA-38")
def test_a_moved_last_day_moves_the_notice_and_owes_another_where_it_has_gone() -> None:
    """One for each last day: at its moment, at once where that is past, and never a second one."""
    state = sent(begun("2026-02-20 10:00"), "2026-03-10 10:00")
    longer = granted(state, ExtendDrop(event_id="a", usable_to=date(2026, 4, 10)), clock("2026-03-10 10:00"))
    assert owed(longer, "2026-03-10 10:00") == [("coupon_expiring", clock("2026-04-03 15:00"))]
    told = sent(longer, "2026-04-03 15:00")
    assert owed(told, "2026-04-03 15:00") == []
    again = granted(told, ExtendDrop(event_id="b", usable_to=date(2026, 4, 20)), clock("2026-04-05 10:00"))
    assert owed(again, "2026-04-05 10:00") == [("coupon_expiring", clock("2026-04-13 15:00"))]
    soon = granted(again, ExtendDrop(event_id="c", usable_to=date(2026, 4, 9)), clock("2026-04-05 10:00"))
    assert owed(soon, "2026-04-05 10:00") == [("coupon_expiring", clock("2026-04-05 10:00"))]
    back = granted(soon, ExtendDrop(event_id="d", usable_to=date(2026, 4, 10)), clock("2026-04-05 11:00"))
    assert owed(back, "2026-04-05 11:00") == [], "it was told of that day before"
    assert (
        granted(back, ExtendDrop(event_id="a", usable_to=date(2026, 5, 1)), clock("2026-04-05 12:00")) == back
    )


@requirement("WACA-38")
@pytest.mark.parametrize(
    ("drop", "moved", "at", "told", "until"),
    [
        # Three days longer on the last day but one: everybody believes the 31st.
        (SPRING, "2026-04-03", "2026-03-30 10:00", "2026-03-30 10:00", "2026-04-03 23:59:59"),
        (SPRING, "2026-03-30", "2026-03-30 22:00", "2026-03-30 22:00", "2026-03-30 23:59:59"),
        (SPRING, "2026-03-31", "2026-03-30 10:00", "2026-03-24 15:00", "2026-03-25 15:00"),
        # Shortened to five days, of 31 that were told: at once, or seven days before where that is to come.
        (SPRING, "2026-03-05", "2026-03-03 10:00", "2026-03-03 10:00", "2026-03-05 23:59:59"),
        (
            a_drop("2026-03-20", "2026-03-31", "2026-03-01"),
            *("2026-03-24", "2026-03-02 10:00", "2026-03-17 15:00", "2026-03-18 15:00"),
        ),
        # A coupon of five days becomes one of six, and one of eight.
        (a_drop("2026-03-01", "2026-03-05"), "2026-03-06", "2026-03-02 10:00", None, None),
        (
            a_drop("2026-03-01", "2026-03-05"),
            *("2026-03-08", "2026-03-02 10:00", "2026-03-02 10:00", "2026-03-08 23:59:59"),
        ),
        # Before anybody had heard of it.
        (SPRING, "2026-03-05", "2026-03-01 14:59", None, None),
    ],
)
def test_a_last_day_that_was_moved_too_late_for_its_notice_is_told_at_once(
    drop: CouponDrop, moved: str, at: str, told: str | None, until: str | None
) -> None:
    """Whoever has heard another one believes it still. Short from first to last it gets no notice."""
    state = begun("2026-02-20 10:00", drop)
    request = ExtendDrop(event_id="x", usable_to=date.fromisoformat(moved))
    after = granted(state, request, clock(at))
    found = [one.notice for one in planned(after) if one.notice.kind.value == "coupon_expiring"]
    assert [(one.due, one.not_after) for one in found] == (
        [(clock(told), clock(until))] if told and until else []
    )
    if not told:
        left = {one.kind.value: one.reason for one in drop_agenda(after, clock(at)).left_out}
        assert left["coupon_expiring"] is Reason.SHORT_COUPON
    if told == at:
        before = granted(state, request, clock(at), tells=False)
        assert "coupon_expiring" not in dict(owed(before, at)), "as it was for lives that began before"


@requirement("WACA-38")
@settings(max_examples=100, deadline=None)
@given(
    st.integers(6, 40),
    st.lists(st.tuples(st.integers(0, 5 * 24 * 60), st.integers(0, 30)), min_size=1, max_size=12),
)
def test_a_last_day_that_holders_have_not_heard_is_owed_to_them(
    length: int, moves: list[tuple[int, int]]
) -> None:
    """However often it is moved after the issued notice has gone; and no day is told twice."""
    first = date(2026, 3, 1)
    state = begun("2026-02-20 10:00", replace(SPRING, usable_to=first + timedelta(days=length)))
    now, heard = clock("2026-03-01 15:00"), str(state.drop.usable_to)
    for number, (minutes, days) in enumerate(moves):
        now += timedelta(minutes=minutes)
        state = sent_by(state, now)
        last = now.astimezone(ZoneInfo(TAIPEI)).date() + timedelta(days=days)
        request = ExtendDrop(event_id=str(number), usable_to=last)
        if refusal(state, request, now) is not None:
            break
        state = granted(state, request, now)
        told = [done.notice.key.split("/")[-2] for done in state.done]
        assert len(told) == len(set(told))
        coming = [one for one in drop_agenda(state, now).owed if one.kind.value == "coupon_expiring"]
        assert str(last) in (*told, heard, *(one.key.split("/")[-2] for one in coming))


@requirement("WACA-38")
def test_who_holds_it_since_a_last_day_was_moved_hears_of_that_day_with_the_coupon() -> None:
    """The others at once."""
    drop, moved = a_drop("2026-03-01", "2026-04-03"), Moved(clock("2026-03-30 10:00"), 31)
    told = expiring_telling(drop, POLICY, TAIPEI, clock("2026-03-02 10:00"), moved)
    assert told == Telling(moved.at, clock("2026-04-03 23:59:59"))
    assert expiring_telling(drop, POLICY, TAIPEI, moved.at + SECOND, moved) is None
    assert moved_of(moved.parameters) == moved
    assert moved_of({"last_day": "2026-04-03"}) is None


@requirement("WACA-38")
@pytest.mark.parametrize(
    ("last_day", "at", "why"),
    [
        (date(2026, 3, 9), "2026-03-10 00:00", "2026-03-09 is past: write 2026-03-10 or a later day"),
        (date(2026, 3, 10), "2026-03-10 23:59", None),
        (date(2026, 2, 28), "2026-02-20 10:00", "is before the coupon begins: write 2026-03-01"),
        (date(2026, 4, 9), "2026-04-01 00:00", "last day was 2026-03-31"),
        (date(2026, 4, 9), "2026-03-31 23:59", None),
    ],
)
def test_a_last_day_is_moved_to_today_or_later_while_the_coupon_lasts(
    last_day: date, at: str, why: str | None
) -> None:
    """By the shop's calendar."""
    found = refusal(begun("2026-02-20 10:00"), ExtendDrop(event_id="a", usable_to=last_day), clock(at))
    assert (found is None) if why is None else (why in (found or ""))


@requirement("WACA-38")
def test_a_revoked_drop_owes_nothing_and_is_over() -> None:
    """And says why."""
    state = granted(begun("2026-02-20 10:00"), RevokeDrop(event_id="off"), clock("2026-02-21 10:00"))
    state = with_holders(state, added("2026-03-02 10:00"), clock("2026-03-02 10:00"))
    agenda = drop_agenda(state, clock("2026-03-02 10:00"))
    assert (agenda.owed, agenda.over, agenda.stage) == ((), True, DropStage.REVOKED)
    assert {left.reason for left in agenda.left_out} == {Reason.COUPON_REVOKED}
    assert refusal(state, RevokeDrop(event_id="on"), clock("2026-03-02 10:00")) is None
    assert refusal(state, ExtendDrop(event_id="x", usable_to=date(2026, 4, 1)), clock("2026-03-02 10:00"))
    assert "the coupon is revoked" in drop_report(state, agenda).words


@requirement("WACA-39", "LS-50")
def test_a_coupon_is_told_of_by_sms_whether_the_shop_has_it_or_not() -> None:
    """Whatever else the merchant has. Where it has no SMS the gate says so, and an email takes its place."""
    shop = Merchant("lumi", "Lumi", TAIPEI, "zh-Hant", "TW", "TWD")
    assert drop_rules(shop).channels == ("sms",)
    assert drop_rules(replace(shop, sms=SmsSettings(SmsProvider.TWSMS))).channels == ("sms",)
    agenda = drop_agenda(begun("2026-02-20 10:00", rules=drop_rules(shop)), clock("2026-02-20 10:00"))
    assert {ways(notice.kind, notice.channels) for notice in agenda.owed} == {"sms else email"}


def test_of_a_drop_that_began_without_any_channel_nobody_is_told_and_the_agenda_says_so() -> None:
    """Its rules were read before an email could take the place of an SMS."""
    rules = DropRules(TAIPEI, (), CouponPolicy())
    state = begun("2026-02-20 10:00", rules=rules)
    state = with_holders(state, added("2026-03-05 10:00"), clock("2026-03-05 10:00"))
    agenda = drop_agenda(state, clock("2026-03-05 10:00"))
    assert agenda.owed == ()
    assert {left.reason for left in agenda.left_out} == {Reason.CHANNEL_OFF}


@requirement("WACA-37", "WACA-39")
def test_a_channel_that_is_switched_on_before_the_moment_is_gone_by() -> None:
    """Until then nothing is promised; when it is due it is asked for, and once it is there for what comes."""
    off = begun("2026-02-20 10:00", rules=replace(RULES, channels=()))
    state = replace(off, asks=True)
    before, due = drop_agenda(state, clock("2026-02-21 10:00")), drop_agenda(state, clock("2026-03-01 15:00"))
    assert (before.owed, before.next_moment) == ((), clock("2026-03-01 15:00"))
    assert [left.reason for left in before.left_out] == [Reason.CHANNEL_OFF] * 2
    assert [(one.kind.value, one.channels) for one in due.owed] == [("coupon_issued", ("sms",))]
    assert [left.kind.value for left in due.left_out] == ["coupon_expiring"]
    on = with_channels(state, ("sms",))
    assert [kind for kind, _ in owed(on, "2026-02-21 10:00")] == ["coupon_issued", "coupon_expiring"]
    later = with_holders(
        sent(state, "2026-03-01 15:00"), added("2026-03-02 10:00"), clock("2026-03-02 10:00")
    )
    assert owed(later, "2026-03-02 10:00") == [("coupon_issued", clock("2026-03-02 10:00"))]
    assert drop_agenda(off, clock("2026-03-01 15:00")).owed == (), "a life that began before does not ask"


@requirement("WACA-37")
def test_later_holders_share_waves_that_keep_a_distance() -> None:
    """The first goes at once, who comes within minutes shares the next; nobody who was added is left out."""
    state = sent(begun("2026-02-20 10:00"), "2026-03-01 15:00")
    for at in ("2026-03-02 10:00", "2026-03-02 10:01", "2026-03-02 10:02"):
        state = with_holders(state, added(at), clock(at))
    state = with_holders(state, added("2026-03-02 10:00"), clock("2026-03-02 10:03"))
    assert [(late.since, late.due) for late in state.late] == [
        (clock("2026-03-02 10:00"), clock("2026-03-02 10:00")),
        (clock("2026-03-02 10:01"), clock("2026-03-02 10:05")),
    ]
    later = with_holders(state, added("2026-03-02 09:59", "told late"), clock("2026-03-02 10:04"))
    assert later.late[-1].since == clock("2026-03-02 09:59")
    assert sent(later, "2026-03-02 10:05").late == ()
    early = with_holders(begun("2026-02-20 10:00"), added("2026-02-21 10:00"), clock("2026-02-21 10:00"))
    assert early.late == ()
    assert early.holders == 5


@requirement("WACA-37")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 400)), max_size=25))
def test_every_later_holder_is_in_a_wave_that_begins_after_it_was_told(
    tellings: list[tuple[int, int]],
) -> None:
    """However they are told: seconds after they were added, out of order, in between waves."""
    state, now = sent(begun("2026-02-20 10:00"), "2026-03-01 15:00"), clock("2026-03-02 10:00")
    waves: dict[str, tuple[datetime, datetime]] = {}
    tolds = []
    for number, (age, pause) in enumerate(tellings):
        now += timedelta(seconds=pause)
        since = now - timedelta(seconds=age)
        state = with_holders(state, HoldersAdded(event_id=str(number), since=since), now)
        tolds.append((since, now))
        waves |= {f"{late.number}": (late.since, late.due) for late in state.late}
        for one in list(planned(state)):
            if one.notice.due <= now and one.notice.key not in state.settled:
                state = settled(state, Done(one.notice, (ChannelOutcome("sms", Status.SENT, now),)))
    for since, told in tolds:
        assert any(first <= since and due >= told for first, due in waves.values())
    dues = sorted(due for _, due in waves.values())
    assert all(second - first >= timedelta(minutes=5) for first, second in pairwise(dues))
    assert len([done for done in state.done if "late" in done.notice.key]) <= LATE_SHOWN


def test_all_waves_of_a_drop_share_one_subject_for_one_kind_of_news() -> None:
    """So that the message log keeps anybody from hearing of the coupon twice."""
    state = with_holders(begun("2026-02-20 10:00"), added("2026-03-02 10:00"), clock("2026-03-02 10:00"))
    waves = [one.wave for one in planned(state)]
    assert [(wave.kind, wave.subject) for wave in waves] == [
        ("coupon_issued", "issued"),
        ("coupon_issued", "issued"),
        ("coupon_expiring", "2026-03-31"),
    ]
    assert len({wave.wave_id for wave in waves}) == 3
    assert {wave.lifecycle for wave in waves} == {"coupon:lumi:spring"}


def test_what_came_of_a_wave_is_the_best_that_came_of_anybody() -> None:
    """Nobody at all is a lapse."""
    (one, *_) = planned(begun("2026-02-20 10:00"))
    for counts, status in (
        (Counts(sent=1, failed=5), Status.SENT),
        (Counts(missed=1, failed=5), Status.MISSED),
        (Counts(skipped={"consent": 2}), Status.REFUSED),
        (Counts(), Status.LAPSED),
    ):
        report = WaveReport("w", SENT, "words", counts=counts)
        (outcome,) = outcomes_of(one.notice, report, clock("2026-03-01 15:00"))
        assert (outcome.channel, outcome.status, outcome.reason) == ("sms", status, "words")
    (outcome,) = outcomes_of(one.notice, wordless_report(one.wave, NO_CHANNEL), clock("2026-03-01 15:00"))
    assert (outcome.status, "switched on no channel" in outcome.reason) == (Status.REFUSED, True)
