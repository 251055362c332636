"""What comes to a member from elsewhere: each with its moment, by the rules of what brings it."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.agenda import Foreseen, Hindered, Reason
from models.bonus import Lot
from models.consent import Consent
from models.coupon import CouponDrop, CouponState, HeldCoupon
from models.foreseen import BONUSES_BEGIN, BONUSES_END, Holdings, foreseen, overdue_keys
from models.member import Member
from models.member_policy import BonusAccount
from models.merchant import Branch, Merchant, SmsProvider, SmsSettings
from models.notices import CATALOGUE, Kind
from models.policy import GatePolicy
from models.regular_task import Gift, RegularTask, TaskKind
from tests.members import clock
from tests.requirements import requirement

SHOP = Merchant(
    "shop",
    "Shop",
    "Asia/Taipei",
    "en",
    "TW",
    "TWD",
    bonuses={"gift": BonusAccount(), "promo": BonusAccount()},
    sms=SmsSettings(SmsProvider.TWSMS),
)
ANNA = Member(
    "shop",
    "anna",
    "Anna",
    clock("2026-01-05 12:00"),
    "anna@example.com",
    "+886912345678",
    birth_date=date(1990, 3, 8),
)
NOW = clock("2026-03-02 09:30")
ISSUED = "coupon:shop:spring/coupon_issued/issued/anna"
DROP = CouponDrop("shop", "spring", "Spring tea", date(2026, 3, 5), date(2026, 3, 5), date(2026, 3, 31))


def lot(number: int, left: int, begins: str, ends: str = "", currency: str = "gift") -> Lot:
    return Lot(number, currency, Decimal(left), Decimal(left), clock(begins), clock(ends) if ends else None)


def task(id: str, kind: TaskKind, cron: str = "0 10 * * *", **changes: Any) -> RegularTask:
    return RegularTask(id, "shop", kind, cron, **changes)


def coming(now: datetime = NOW, **held: Any) -> list[tuple[str, str, str]]:
    """What comes, by the clock of the shop."""
    holdings = Holdings(SHOP, held.pop("member", ANNA), **held)
    return [
        (f"{(one.due + timedelta(hours=8)):%Y-%m-%d %H:%M}", one.kind, one.words)
        for one in foreseen(holdings, now)
    ]


@requirement("WACA-37", "WACA-38")
def test_a_coupon_tells_of_its_issue_and_of_its_end() -> None:
    """At 15:00, and seven days before the last day at 15:00; what has gone is foreseen no more."""
    held = (HeldCoupon(DROP, "T-1"),)
    ends = ("2026-03-24 15:00", "coupon_expiring", "Spring tea (T-1) can be used until 2026-03-31")
    assert coming(coupons=held) == [("2026-03-05 15:00", "coupon_issued", "Spring tea (T-1)"), ends]
    at_three = clock("2026-03-05 15:00")
    assert coming(at_three - timedelta(seconds=1), coupons=held)[1:] == [ends]
    assert coming(at_three, coupons=held, under_way={ISSUED: False}) == [ends]
    assert foreseen(Holdings(SHOP, ANNA, held), NOW)[0].source == "coupon:shop:spring"


@requirement("WACA-37")
def test_what_is_held_up_is_foreseen_until_it_has_gone() -> None:
    """Given at 01:52 it goes at nine; while no message of it is settled, and its time is not over."""
    given = clock("2026-03-06 01:52")
    held = (HeldCoupon(DROP, "T-1", added_at=given),)

    def seen(at: str, **under_way: bool) -> list[Foreseen]:
        found = {ISSUED: under_way["under_way"]} if under_way else {}
        return [
            one
            for one in foreseen(Holdings(SHOP, ANNA, held, under_way=found), clock(at))
            if one.kind == Kind.COUPON_ISSUED
        ]

    (night,) = seen("2026-03-06 03:00")
    assert (night.due, night.goes) == (given, clock("2026-03-06 09:00"))
    assert night.coming(clock("2026-03-06 08:59"))
    assert not night.coming(clock("2026-03-06 09:00"))
    assert seen("2026-03-06 03:00", under_way=True) == [night]
    assert seen("2026-03-06 03:00", under_way=False) == []
    (morning,) = seen("2026-03-06 10:00", under_way=True)
    assert (morning.goes, morning.until) == (None, given + timedelta(hours=24))
    assert seen("2026-03-07 01:53", under_way=True) == []
    assert overdue_keys(Holdings(SHOP, ANNA, held), clock("2026-03-06 03:00")) == (ISSUED,)
    assert overdue_keys(Holdings(SHOP, ANNA, held), NOW) == ()


@requirement("LOY-62", "LOY-80", "LS-12")
def test_what_a_task_began_and_has_not_sent_is_foreseen() -> None:
    """At seven in the morning, within quiet hours: what its message log says is still to go, and no more."""
    early = {"cron": "0 7 * * *"}
    tasks = (
        task("soon", TaskKind.BONUS_ACTIVATION, days=3, **early),
        task("all", TaskKind.PROMOTION, everybody=True, **early),
        task("greets", TaskKind.BIRTHDAY, at=time(7)),
    )
    mark = "task:shop:soon/bonus_activation/gift@20260307T2300Z/"
    marked = replace(lot(1, 30, "2026-03-10 00:00"), activation_told_by=mark)
    yes = {("promotional", "email"): Consent.OPTED_IN}
    held = Holdings(SHOP, ANNA, lots=(marked, lot(2, 9, "2026-03-10 00:00")), tasks=tasks, words=yes)
    now = clock("2026-03-08 08:00")
    keys = {
        f"{mark}anna": ("bonus_activation", "30 gift"),
        "task:shop:all/promotion/20260307T2300Z/anna": ("promotion", ""),
        "task:shop:birthday/birthday/2026/anna": ("birthday", ""),
    }
    assert set(overdue_keys(held, now)) == keys.keys()
    past = [one for one in foreseen(held, now) if one.due <= now]
    assert past == [], "no attempt has been made at them"
    for key, what in keys.items():
        (one,) = (one for one in foreseen(replace(held, under_way={key: True}), now) if one.due <= now)
        assert (one.kind, one.words) == what
        assert one.goes == clock("2026-03-08 09:00")


@requirement("WACA-39", "LOY-63", "MAAC-12")
def test_what_cannot_go_says_why() -> None:
    """By the routes of the catalogue: no address, a channel that is off, a no, and no yes."""
    coupon = (HeldCoupon(DROP, "T-1"),)
    news = (task("all", TaskKind.PROMOTION, everybody=True, channels=("email", "sms", "push")),)

    def ways(merchant: Merchant = SHOP, member: Member = ANNA, **held: Any) -> dict[str, Any]:
        found = foreseen(Holdings(merchant, member, **held), NOW)
        return {one.kind: (one.channels, {h.channel: h.reason for h in one.hindered}) for one in found}

    loyalty = ("loyalty", "sms")
    assert ways(coupons=coupon)["coupon_issued"] == (("sms",), {})
    nowhere = ways(member=replace(ANNA, phone=""), coupons=coupon)["coupon_issued"]
    assert nowhere[1]["sms"] is Reason.NO_ADDRESS
    silent = replace(SHOP, sms=SmsSettings(SmsProvider.OFF))
    assert ways(silent, coupons=coupon)["coupon_issued"][1]["sms"] is Reason.CHANNEL_OFF
    said = ways(coupons=coupon, words={loyalty: Consent.OPTED_OUT})["coupon_issued"]
    assert said[1]["sms"] is Reason.DECLINED
    assert ways(tasks=news)["promotion"] == (
        (),
        {"email": Reason.NOT_AGREED, "sms": Reason.NOT_AGREED, "push": Reason.CHANNEL_OFF},
    )
    yes = ways(tasks=news, words={("promotional", "email"): Consent.OPTED_IN})["promotion"]
    assert yes[0] == ("email",)


def test_a_route_goes_on_to_the_next_channel_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the catalogue says: what keeps the first one from it is told with it."""
    row = replace(CATALOGUE[Kind.COUPON_ISSUED], routes=(("sms", "email"),))
    monkeypatch.setitem(CATALOGUE, Kind.COUPON_ISSUED, row)
    (one, _) = foreseen(Holdings(SHOP, replace(ANNA, phone=""), (HeldCoupon(DROP, "T-1"),)), NOW)
    assert one.channels == ("email",)
    assert one.hindered == (Hindered("sms", Reason.NO_ADDRESS),)


def test_what_quiet_hours_hold_for_too_long_cannot_go() -> None:
    """A birthday at ten in the evening is over before they end."""
    late = (task("greets", TaskKind.BIRTHDAY, at=time(22)),)
    (one,) = foreseen(Holdings(SHOP, ANNA, tasks=late), NOW)
    assert (one.channels, one.goes) == ((), None)
    assert one.hindered == (Hindered("email", Reason.QUIET_TOO_LONG),)


@requirement("WACA-38")
@pytest.mark.parametrize("state", [CouponState.REDEEMED, CouponState.REVOKED])
def test_of_a_coupon_that_is_used_or_taken_back_nothing_comes(state: CouponState) -> None:
    assert coming(coupons=(HeldCoupon(DROP, "T-1", state),)) == []


@requirement("WACA-38")
def test_a_short_coupon_does_not_tell_that_it_ends() -> None:
    """Usable for six days."""
    short = replace(DROP, usable_to=date(2026, 3, 10))
    assert [kind for _, kind, _ in coming(coupons=(HeldCoupon(short, "T-1"),))] == ["coupon_issued"]


@requirement("LOY-61", "LOY-62")
def test_the_run_that_tells_of_bonuses_is_foreseen_with_its_sum() -> None:
    """Three days ahead, daily at ten: lots of one day together, each account by itself."""
    lots = (
        lot(1, 30, "2026-03-20 00:00"),
        lot(2, 12, "2026-03-20 18:00"),
        lot(3, 5, "2026-03-21 00:00", currency="promo"),
    )
    told = task("soon", TaskKind.BONUS_ACTIVATION, days=3)
    assert coming(lots=lots, tasks=(told,)) == [
        ("2026-03-17 10:00", "bonus_activation", "42 gift"),
        ("2026-03-18 10:00", "bonus_activation", "5 promo"),
        ("2026-03-20 00:00", BONUSES_BEGIN, "30 gift"),
        ("2026-03-20 18:00", BONUSES_BEGIN, "12 gift"),
        ("2026-03-21 00:00", BONUSES_BEGIN, "5 promo"),
    ]


@requirement("LOY-61", "LOY-71")
def test_a_sum_below_the_minimum_is_not_told() -> None:
    """And only of the account that the task speaks of."""
    lots = (
        lot(1, 9, "2026-01-01 00:00", "2026-03-10 00:00"),
        lot(2, 11, "2026-01-01 00:00", "2026-04-10 00:00"),
        lot(3, 99, "2026-01-01 00:00", "2026-03-10 00:00", currency="promo"),
    )
    told = task("end", TaskKind.BONUS_BURN, days=7, minimum=Decimal(10), currency="gift")
    assert coming(lots=lots, tasks=(told,)) == [
        ("2026-03-10 00:00", BONUSES_END, "9 gift"),
        ("2026-03-10 00:00", BONUSES_END, "99 promo"),
        ("2026-04-03 10:00", "bonus_burn", "11 gift"),
        ("2026-04-10 00:00", BONUSES_END, "11 gift"),
    ]


@requirement("LOY-62")
def test_what_is_too_little_for_one_run_is_told_by_the_next() -> None:
    """30 are too few on the 10th, 60 are enough on the 11th; what comes after is told by a later run."""
    lots = (lot(1, 30, "2026-03-13 00:00"), lot(2, 30, "2026-03-14 00:00"), lot(3, 80, "2026-03-20 00:00"))
    told = task("soon", TaskKind.BONUS_ACTIVATION, days=3, minimum=Decimal(50))
    assert [one for one in coming(lots=lots, tasks=(told,)) if one[1] != BONUSES_BEGIN] == [
        ("2026-03-11 10:00", "bonus_activation", "60 gift"),
        ("2026-03-17 10:00", "bonus_activation", "80 gift"),
    ]


@requirement("LOY-71")
def test_what_a_run_has_told_is_not_told_again() -> None:
    """The lot knows of it."""
    untold = lot(1, 30, "2026-01-01 00:00", "2026-03-06 00:00")
    task_of = task("end", TaskKind.BONUS_BURN, days=7)
    kinds = [kind for _, kind, _ in coming(lots=(untold,), tasks=(task_of,))]
    assert kinds == ["bonus_burn", BONUSES_END]
    told = replace(untold, burn_told_by="yesterday's")
    assert [kind for _, kind, _ in coming(lots=(told,), tasks=(task_of,))] == [BONUSES_END]


@requirement("LOY-80", "LOY-81", "LOY-82")
def test_the_next_birthday_is_on_the_members_own_clock() -> None:
    """With what it brings, where there is a task that greets; the next year's once this one's is over."""
    greets = task("birthday", TaskKind.BIRTHDAY, "", at=time(10), gift=Gift("gift", Decimal("50.0"), 30))
    assert coming(tasks=(greets,)) == [("2026-03-08 10:00", "birthday", "with 50 gift")]
    abroad = replace(ANNA, zone="Europe/Berlin")
    assert coming(tasks=(greets,), member=abroad) == [("2026-03-08 17:00", "birthday", "with 50 gift")]
    leap = replace(ANNA, birth_date=date(2000, 2, 29))
    assert coming(tasks=(greets,), member=leap)[0][0] == "2027-02-28 10:00"
    assert coming(tasks=(greets,), member=replace(ANNA, birth_date=None)) == []
    assert coming() == []


@requirement("LOY-82")
def test_a_birthday_waits_for_the_morning_where_it_is_celebrated() -> None:
    """Of who has neither phone nor zone that is where the branch is; with a phone it is where that is."""
    shop = replace(SHOP, branches=(Branch("paris", "Paris", zone="Europe/Paris"),))
    alone = replace(ANNA, phone="", branch_id="paris")
    greets = (task("greets", TaskKind.BIRTHDAY, at=time(15)),)
    (one,) = foreseen(Holdings(shop, alone, tasks=greets), NOW)
    assert (one.due, one.goes) == (clock("2026-03-08 22:00"), None), "three in the afternoon in Paris"
    (one,) = foreseen(Holdings(shop, alone, tasks=(replace(greets[0], at=time(7)),)), NOW)
    assert one.goes == clock("2026-03-08 16:00"), "nine in the morning in Paris"
    (one,) = foreseen(Holdings(shop, replace(ANNA, branch_id="paris"), tasks=greets, clock=SHOP.zone), NOW)
    assert one.hindered == (Hindered("email", Reason.QUIET_TOO_LONG),), "its day is over by then"


@requirement("WACA-38")
def test_a_moved_last_day_that_is_held_overnight_is_foreseen_once_it_was_tried() -> None:
    """Moved at ten in the evening, when the moment of its own notice is past: it goes at nine."""
    moved = clock("2026-03-10 22:00")
    short = replace(DROP, usable_from=date(2026, 3, 1), usable_to=date(2026, 3, 12))
    held = HeldCoupon(short, "T-1", added_at=NOW, changed_at=moved)
    key = "coupon:shop:spring/coupon_expiring/2026-03-12/anna"

    def seen(held: HeldCoupon, **log: bool) -> list[Foreseen]:
        found = foreseen(Holdings(SHOP, ANNA, (held,), under_way={key: True} if log else {}), later)
        return [one for one in found if one.kind == Kind.COUPON_EXPIRING]

    later = moved + timedelta(minutes=5)
    (one,) = seen(held, tried=True)
    assert (one.due, one.goes, one.channels) == (moved, clock("2026-03-11 09:00"), ("sms",))
    assert seen(held) == [], "who has not heard of the coupon yet hears of the new day with it"
    assert overdue_keys(Holdings(SHOP, ANNA, (held,)), later)[-1:] == (key,)
    assert seen(replace(held, changed_at=NOW), tried=True) == []
    assert seen(replace(held, added_at=moved + timedelta(seconds=1)), tried=True) == []


@requirement("LS-01", "LS-41", "LS-50")
def test_a_merchant_that_may_send_no_sms_is_shown_with_the_email_in_its_place() -> None:
    """Barred from all of them, or without promotional ones; nobody is asked about what cannot go."""
    news = (task("all", TaskKind.PROMOTION, everybody=True, channels=("sms",)),)
    yes = {("promotional", "email"): Consent.OPTED_IN, ("loyalty", "sms"): Consent.OPTED_OUT}
    held = Holdings(SHOP, ANNA, (HeldCoupon(DROP, "T-1"),), tasks=news, words=yes)

    def ways(held: Holdings) -> dict[str, Any]:
        return {one.kind: (one.channels, one.hindered) for one in foreseen(held, NOW)}

    instead = (("email",), (Hindered("sms", Reason.BARRED),))
    barred = ways(replace(held, sms_barred=True))
    assert barred["coupon_issued"] == barred["promotion"] == instead
    without = ways(replace(held, merchant=replace(SHOP, gate=GatePolicy(promotional_sms=False))))
    assert without["promotion"] == instead
    assert without["coupon_issued"] == ((), (Hindered("sms", Reason.DECLINED),))
    assert "may send no such messages" in Reason.BARRED.sentence


@requirement("LOY-71", "LS-12")
@pytest.mark.parametrize(
    ("cron", "last"), [("0 * * * *", "0100"), ("*/30 * * * *", "0130"), ("*/10 * * * *", "0130")]
)
def test_the_runs_that_were_hide_none_that_come(cron: str, last: str) -> None:
    """However often a task runs: of those that were the last ones count."""
    lots = (
        replace(lot(1, 30, "2026-01-01 00:00", "2026-03-03 00:00"), burn_told_by="an earlier run's"),
        lot(2, 50, "2026-01-01 00:00", "2026-03-04 00:00"),
    )
    ends = task("end", TaskKind.BONUS_BURN, cron, days=3)
    assert "bonus_burn" in {kind for _, kind, _ in coming(lots=lots, tasks=(ends,))}
    news = task("all", TaskKind.PROMOTION, cron, everybody=True)
    assert [kind for _, kind, _ in coming(tasks=(news,))] == ["promotion"]
    newest = overdue_keys(Holdings(SHOP, ANNA, tasks=(news,)), NOW)[-1]
    assert newest == f"task:shop:all/promotion/20260302T{last}Z/anna"


@requirement("LS-12")
def test_a_promotion_comes_to_members_of_its_groups() -> None:
    """Or to everybody; of each the next run only."""
    vip = task("vip", TaskKind.PROMOTION, "0 12 * * 5", groups=("vip",))
    assert coming(tasks=(vip,)) == []
    member = replace(ANNA, groups=("vip", "early"))
    assert coming(tasks=(vip,), member=member) == [("2026-03-06 12:00", "promotion", "")]
    everybody = task("all", TaskKind.PROMOTION, "0 12 1 1 *", everybody=True)
    assert coming(tasks=(everybody,)) == [], "too far ahead"


@settings(max_examples=60, deadline=None)
@given(
    lots=st.lists(
        st.tuples(st.sampled_from(["gift", "promo"]), st.integers(0, 50), st.integers(0, 45 * 24)), max_size=6
    ),
    days=st.integers(1, 10),
    minimum=st.integers(0, 60),
)
def test_the_announcements_are_those_that_the_days_say(
    lots: list[tuple[str, int, int]], days: int, minimum: int
) -> None:
    """A daily run, counted out hour by hour: what is told is taken away, the rest is for the next."""
    begin = datetime(2026, 3, 2, 16, tzinfo=UTC)  # a midnight in Taipei
    made = tuple(
        Lot(number, name, Decimal(left), Decimal(left), begin + timedelta(hours=after))
        for number, (name, left, after) in enumerate(lots)
    )
    told = task("soon", TaskKind.BONUS_ACTIVATION, days=days, minimum=Decimal(minimum))
    found = [
        (one.due, one.words)
        for one in foreseen(Holdings(SHOP, ANNA, lots=made, tasks=(told,)), begin)
        if one.kind == "bonus_activation"
    ]
    expected = []
    for name in ("gift", "promo"):
        sums = [0] * 2000
        for currency, left, after in lots:
            sums[after] += left if currency == name else 0
        for today in range(60):
            ahead = slice(today * 24 + 11, (today + days + 1) * 24)
            if (told_of := sum(sums[ahead])) >= max(minimum, 1):
                expected.append((begin + timedelta(days=today, hours=10), f"{told_of} {name}"))
                sums[ahead] = [0] * len(sums[ahead])
    assert found == sorted(expected)
