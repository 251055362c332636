"""What a message costs, how many more can go, and when somebody is told."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.phone import is_domestic
from models.credit_content import banner
from models.credits import (
    CreditPolicy,
    Group,
    PointsError,
    Quota,
    SmsPrice,
    armed_after_topup,
    cost,
    crossed,
    estimates,
    quota_month,
    sendable,
    to_points,
    to_units,
)
from models.merchant import Merchant, SmsProvider, SmsSettings
from tests.requirements import requirement

PRICE = SmsPrice()
POLICY = CreditPolicy(enabled=True)
SHOP = Merchant(
    "lumi",
    "Lumi Studio",
    "Asia/Taipei",
    "zh-Hant",
    "TW",
    "TWD",
    sms=SmsSettings(SmsProvider.SMARTDOVE),
    credits=POLICY,
)


@requirement("WACA-28")
@pytest.mark.parametrize(
    ("segments", "domestic", "points"),
    [(1, True, "0.85"), (3, True, "2.55"), (1, False, "3"), (2, False, "6")],
)
def test_a_segment_costs_085_at_home_and_3_abroad(segments: int, domestic: bool, points: str) -> None:
    """Long texts cost by the segment, whoever gets them."""
    assert cost(segments, PRICE, domestic=domestic) == Decimal(points)


@requirement("WACA-28")
@pytest.mark.parametrize(
    ("number", "country", "home"),
    [
        ("+886912345678", "TW", True),
        ("+85291234567", "TW", False),
        ("+33612345678", "FR", True),
        ("+12125550100", "US", True),
        ("+14165550100", "US", False),
        ("+14165550100", "CA", True),
        ("+447400123456", "GB", True),
        ("+18005550100", "US", True),
        ("no number", "TW", False),
    ],
)
def test_a_number_is_domestic_by_its_own_country(number: str, country: str, home: bool) -> None:
    """Canada is abroad from the United States, although both answer to +1."""
    assert is_domestic(number, country) is home


@requirement("WACA-29c")
@pytest.mark.parametrize(
    ("points", "count"), [("0", 0), ("0.84", 0), ("0.85", 1), ("42.5", 50), ("42.499", 49), ("85", 100)]
)
def test_the_sendable_count_is_whole_messages(points: str, count: int) -> None:
    """100 domestic messages are 85 points, 50 are 42.5."""
    assert sendable(Decimal(points), PRICE.domestic) == count


@given(st.integers(0, 10**9))
def test_the_sendable_count_is_affordable_and_one_more_is_not(units: int) -> None:
    """At any balance."""
    points = to_points(units)
    count = sendable(points, PRICE.domestic)
    assert cost(count, PRICE, domestic=True) <= points < cost(count + 1, PRICE, domestic=True)


@requirement("WACA-29b", "WACA-29c")
def test_fifty_exactly_is_not_told_and_forty_nine_are() -> None:
    """Strictly below; and once it was told, not again."""
    assert not crossed(Decimal("42.5"), POLICY, armed=True)
    assert crossed(Decimal("42.499"), POLICY, armed=True)
    assert not crossed(Decimal("42.499"), POLICY, armed=False)


@requirement("WACA-29b")
def test_only_a_topup_that_ends_the_shortage_arms_the_alert_again() -> None:
    """One that leaves 49 messages does not."""
    assert not armed_after_topup(Decimal("42.499"), POLICY, armed=False)
    assert armed_after_topup(Decimal("42.5"), POLICY, armed=False)
    assert armed_after_topup(Decimal(1), POLICY, armed=True), "what was not told yet still will be"


@requirement("WACA-29a", "WACA-29c")
def test_below_a_hundred_messages_whoever_looks_is_told() -> None:
    """100 exactly: nothing. The sentence says how many are left and what to do."""
    assert banner(SHOP, Decimal(85)) is None
    said = banner(SHOP, Decimal("84.9"))
    assert said is not None
    assert "84.9 are left, enough for 99 domestic messages" in said
    assert "carillon credits convert lumi" in said


@requirement("WACA-24")
@pytest.mark.parametrize("provider", [SmsProvider.TWSMS, SmsProvider.OFF])
def test_a_merchant_with_an_account_of_its_own_pays_us_nothing(provider: SmsProvider) -> None:
    """Neither cost nor banner."""
    own = replace(SHOP, sms=SmsSettings(provider))
    assert own.sms_points(2, domestic=True) == 0
    assert banner(own, Decimal(0)) is None
    assert own.sms_points(2, domestic=True, provider=SmsProvider.SMARTDOVE) == Decimal("1.70")


@requirement("WACA-25")
def test_points_are_counted_only_where_the_merchant_file_says_so() -> None:
    """Off by default: nothing changes for who has not asked for it."""
    assert replace(SHOP, credits=CreditPolicy()).sms_points(1, domestic=False) == 0
    assert SHOP.sms_points(1, domestic=False) == 3


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_points_are_kept_exactly(units: int) -> None:
    """To a thousandth, there and back."""
    assert to_units(to_points(units)) == units


@pytest.mark.parametrize("points", ["0.0001", "NaN", "Infinity", "1E+12", "-1E+12"])
def test_points_that_cannot_be_kept_exactly_are_refused(points: str) -> None:
    """In words that say how to mend it."""
    with pytest.raises(PointsError, match=r"points: .*: write"):
        to_units(Decimal(points))


@requirement("LS-20")
@pytest.mark.parametrize(
    ("now", "zone", "month"),
    [
        (datetime(2026, 3, 31, 15, 59, tzinfo=UTC), "Asia/Taipei", "2026-03"),
        (datetime(2026, 3, 31, 16, 0, tzinfo=UTC), "Asia/Taipei", "2026-04"),
        (datetime(2026, 4, 1, 3, 59, tzinfo=UTC), "America/Montreal", "2026-03"),
        (datetime(2026, 12, 31, 23, 0, tzinfo=UTC), "Europe/Paris", "2027-01"),
    ],
)
def test_a_quota_counts_by_the_month_on_the_branchs_clock(now: datetime, zone: str, month: str) -> None:
    """The month turns at the branch's midnight."""
    assert quota_month(now, zone) == month


@requirement("LS-20", "LS-22")
def test_used_and_left_of_a_month_are_shown() -> None:
    """1,000 a month, and what was bought on request; a policy cut below what is used leaves none."""
    assert Quota("west", "2026-03", 1000, topup=200, used=300).left == 900
    assert Quota("west", "2026-03", 100, used=300).left == 0
    assert Quota("west", "2026-03", None, used=300).left is None


@requirement("LS-21", "LS-22")
def test_each_added_group_is_estimated_on_top_of_those_that_fit() -> None:
    """A group of 100 counts 100; one that does not fit takes nothing from the next."""
    groups = [Group("regulars", 100), Group("everybody", 901), Group("new", 900)]
    found = estimates(groups, 1000, None)
    assert [(one.fits, one.messages_left) for one in found] == [(True, 900), (False, 900), (True, 0)]
    dear = estimates([Group("abroad", 10, Decimal(30))], None, Decimal("29.9"))
    assert [(one.fits, one.points_left) for one in dear] == [(False, Decimal("29.9"))]
