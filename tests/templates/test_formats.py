"""Dates, times and money as a reader in each locale expects them, in the zone of the sessions."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from activities.formats import Formats, one_line, plain_spaces
from models.merchant import PaymentMethod
from models.timing import local

HOUR = timedelta(hours=1)


def formats(tag: str, zone: str = "Asia/Taipei") -> Formats:
    return Formats.of((tag,), zone)


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("zh-Hant", "2026年3月10日（星期二）14:00–15:00"),
        ("en", "Tuesday, 10 March 2026, 14:00–15:00"),
        ("en-US", "Tuesday, March 10, 2026, 2:00 PM–3:00 PM"),
        ("fr", "mardi 10 mars 2026, de 14 h à 15 h"),
        ("fr-CA", "mardi 10 mars 2026, de 14 h à 15 h"),
    ],
)
def test_a_session_is_shown_in_the_readers_words_and_the_shops_time(tag: str, said: str) -> None:
    """Whoever reads it, the time is the one on the shop's wall."""
    starts = datetime(2026, 3, 10, 6, tzinfo=UTC)
    assert plain_spaces(formats(tag).when(starts, starts + HOUR)) == said


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("zh-Hant", "2026年3月10日（星期二）23:30 至 2026年3月11日（星期三）00:30"),
        ("en", "Tuesday, 10 March 2026, 23:30 – Wednesday, 11 March 2026, 00:30"),
        ("fr", "du mardi 10 mars 2026, 23 h 30, au mercredi 11 mars 2026, 0 h 30"),
    ],
)
def test_a_session_over_midnight_shows_both_days(tag: str, said: str) -> None:
    """The day on which it ends is named when it is another one."""
    starts = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)
    assert plain_spaces(formats(tag).when(starts, starts + HOUR)) == said


def test_a_session_without_a_length_shows_only_its_start() -> None:
    """An end that does not come after the start is no end."""
    starts = datetime(2026, 3, 10, 6, tzinfo=UTC)
    assert formats("en").when(starts, starts) == "Tuesday, 10 March 2026, 14:00"


def test_the_wall_clock_holds_when_the_clocks_change() -> None:
    """10:00 in Paris is 10:00 on the day before summer time and on its first day."""
    paris = formats("en", "Europe/Paris")
    before, after = datetime(2026, 3, 28, 9, tzinfo=UTC), datetime(2026, 3, 29, 8, tzinfo=UTC)
    assert paris.when(before, before + HOUR) == "Saturday, 28 March 2026, 10:00–11:00"
    assert paris.when(after, after + HOUR) == "Sunday, 29 March 2026, 10:00–11:00"


def test_a_session_over_the_change_ends_by_the_new_clock() -> None:
    """An hour from 01:30 in Paris ends at 03:30 on the night that summer time begins."""
    starts = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert formats("en", "Europe/Paris").when(starts, starts + HOUR) == "Sunday, 29 March 2026, 01:30–03:30"


def test_the_last_day_to_pay_is_the_day_at_the_shop() -> None:
    """The last second of 4 March in Taipei is still 4 March, whatever UTC or the reader says."""
    deadline = datetime(2026, 3, 4, 15, 59, 59, tzinfo=UTC)
    assert formats("fr").day(deadline) == "mercredi 4 mars 2026"
    assert formats("en", "Pacific/Auckland").day(deadline) == "Thursday, 5 March 2026"


def test_french_says_first_of_the_month() -> None:
    """`1er`, and only for the first."""
    assert formats("fr").day(datetime(2026, 4, 1, 6, tzinfo=UTC)) == "mercredi 1er avril 2026"
    assert formats("fr").day(datetime(2026, 4, 11, 6, tzinfo=UTC)) == "samedi 11 avril 2026"


@pytest.mark.parametrize(
    ("tag", "amount", "currency", "said"),
    [
        ("zh-Hant", "2800", "TWD", "NT$2,800"),
        ("en", "2800", "TWD", "NT$2,800"),
        ("en-US", "2800.00", "TWD", "NT$2,800"),
        ("fr", "2800", "TWD", "2 800 NT$"),
        ("en", "2800.50", "TWD", "NT$2,800.50"),
        ("fr", "1234.5", "EUR", "1 234,50 €"),
        ("en", "80", "EUR", "€80.00"),
        ("zh-Hant", "2800", "JPY", "¥2,800"),
        ("en", "0", "TWD", "NT$0"),
        ("en", "5", "XYZ", "XYZ 5.00"),
    ],
)
def test_money_is_written_as_its_reader_writes_it(tag: str, amount: str, currency: str, said: str) -> None:
    """New Taiwan dollars have no cents unless there are some; nothing is ever rounded away."""
    assert plain_spaces(formats(tag).money(Decimal(amount), currency)) == said


@pytest.mark.parametrize("method", PaymentMethod)
def test_every_payment_method_has_a_name_in_every_locale(method: PaymentMethod) -> None:
    """Three names, none of them the code."""
    names = {formats(tag).method(method) for tag in ("zh-Hant", "en", "fr")}
    assert len(names) == 3
    assert method not in names


def test_a_payment_method_that_is_not_known_stays_as_it_is() -> None:
    """Better its own word than none."""
    assert formats("en").method("cowrie") == "cowrie"


@given(
    st.integers(1_577_836_800, 2_051_222_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(["zh-Hant", "en", "fr", "en-US"]),
)
def test_every_instant_has_words_with_its_day_and_hour(instant: datetime, tag: str) -> None:
    """Day, year and minute of the wall clock stand in what is said."""
    said = formats(tag, "America/New_York").when(instant, instant + HOUR)
    at = local(instant, "America/New_York")
    assert str(at.year) in said
    assert str(at.day) in said
    assert f"{at:%M}" in said or (tag == "fr" and at.minute == 0)


@pytest.mark.parametrize(
    ("given_", "line"), [("a\r\nb", "a b"), ("\ta\x00 b ", "a b"), ("", ""), ("家\u3000人", "家 人")]
)
def test_a_value_is_one_line(given_: str, line: str) -> None:
    """Line breaks, control characters and runs of space become one space."""
    assert one_line(given_) == line


@given(
    st.sampled_from(["zh-Hant", "en", "en-US", "en-IN", "en-ZA", "fr", "fr-CA", "fr-CH"]),
    st.decimals(-(10**9), 10**9, places=2) | st.integers(0, 10**9).map(Decimal),
)
def test_a_number_is_written_as_babel_writes_it(tag: str, amount: Decimal) -> None:
    """Whole or not: the quick way to write most of them is no other way."""
    one = formats(tag)
    assert one.number(amount) == format_decimal(amount, locale=one.home)


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("en", ("1 bonus point", "1.5 bonus points", "300 bonus points", "1 day", "3 days", "10 minutes")),
        ("fr", ("1 point bonus", "1,5 point bonus", "300 points bonus", "1 jour", "3 jours", "10 minutes")),
        ("zh-Hant", ("1 點紅利", "1.5 點紅利", "300 點紅利", "1 天", "3 天", "10 分鐘")),
    ],
)
def test_what_is_counted_agrees_with_its_number(tag: str, said: tuple[str, ...]) -> None:
    """One and a half is one in French and several in English."""
    one = formats(tag)
    points = (one.points(Decimal(amount)) for amount in ("1", "1.5", "300.00"))
    assert (*points, one.days(1), one.days(3), one.minutes(10)) == said


@pytest.mark.parametrize(
    ("tag", "full", "short"),
    [
        ("en", "Friday, 1 January 2027", "1 Jan 2027"),
        ("fr", "vendredi 1er janvier 2027", "01/01/2027"),
        ("zh-Hant", "2027年1月1日（星期五）", "2027/1/1"),
    ],
)
def test_a_day_of_the_calendar_is_written_with_its_year(tag: str, full: str, short: str) -> None:
    """A coupon may last into the next one."""
    day = date(2027, 1, 1)
    assert (formats(tag).full_date(day), formats(tag).short_date(day)) == (full, short)
