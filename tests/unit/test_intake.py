"""What a wrong input is told: every problem at once, each with its field, its value and the mend."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import is_dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from intake import (
    InputError,
    check_booking,
    days_to_today,
    moved_booking,
    read_booking,
    read_fact,
    read_facts,
    read_merchant,
    values,
)
from intake.facts import KINDS, check_fact
from intake.merchants import check_merchant
from intake.problems import Wrong
from intake.reader import PARSERS
from models.booking import Booking
from models.booking_facts import (
    Accepted,
    Assigned,
    Reschedule,
)
from models.merchant import Merchant, PaymentMethod
from models.people import Person
from tests.requirements import requirement

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
MERCHANT_FILES = [file for file in sorted(EXAMPLES.glob("*.toml")) if "-" not in file.stem]
LUMI = read_merchant(EXAMPLES / "lumi.toml")

BOOKING: dict[str, Any] = {
    "merchant_id": "lumi",
    "booking_id": "b-1",
    "ordered_at": "2027-03-01T09:30:00+08:00",
    "booker": {"name": "Mei", "email": "mei@example.com", "phone": "0912 345 678", "locale": "zh-Hant"},
    "services": [
        {
            "id": "s1",
            "name": "Pilates",
            "starts_at": "2027-03-08T10:00:00+08:00",
            "ends_at": "2027-03-08T11:00:00+08:00",
            "participants": [{"name": "Camille", "email": "camille@example.com", "locale": "fr-CA"}],
        }
    ],
    "payment_method": "atm",
    "total": 1800,
}
MERCHANT: dict[str, Any] = {
    "id": "lumi",
    "name": "Lumi",
    "zone": "Asia/Taipei",
    "locale": "zh-Hant",
    "country": "TW",
    "currency": "TWD",
}
ACCEPTED = {"fact": "accepted", "event_id": "e1"}


def changed(base: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The same data with another value at a path such as `services.0.name`; `...` takes it away."""
    data = deepcopy(dict(base))
    *steps, last = path.split(".")
    place: Any = data
    for step in steps:
        place = place[int(step)] if step.isdecimal() else place.setdefault(step, {})
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdecimal() else last] = value
    return data


def told(error: pytest.ExceptionInfo[InputError]) -> list[str]:
    return [str(problem) for problem in error.value.problems]


def test_a_booking_is_read_with_its_instants_in_utc_and_its_numbers_in_full() -> None:
    """Local phone numbers are those of the merchant's country."""
    booking = read_booking(changed(BOOKING, "booker.email", "Mei@EXAMPLE.com"), LUMI)
    assert booking.ordered_at == datetime(2027, 3, 1, 1, 30, tzinfo=UTC)
    assert booking.ordered_at.tzinfo is UTC
    assert booking.booker.phone == "+886912345678"
    assert booking.booker.email == "Mei@example.com"
    assert booking.payment_method is PaymentMethod.ATM
    assert booking.total == Decimal(1800)


def test_null_is_what_many_systems_write_for_nothing() -> None:
    assert read_booking(changed(BOOKING, "booker.phone", None)).booker.phone == ""


def test_an_amount_stays_exact(tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_text(json.dumps(changed(BOOKING, "total", 0.1)))
    assert read_booking(file, LUMI).total == Decimal("0.1")


WRONG_BOOKINGS: list[tuple[str, Any, str]] = [
    ("merchant_id", "lu mi", "merchant_id: 'lu mi' cannot be used as an id: use 1 to 64 letters"),
    ("booking_id", ..., "booking_id: is missing: add a text"),
    ("booking_id", 5, "booking_id: 5 is no text: put it in quotes"),
    ("booking_idd", "b", "booking_idd: is not known: did you mean 'booking_id'?"),
    (
        "ordered_at",
        "2027-03-01T09:30:00",
        "'2027-03-01T09:30:00' has no zone: add the offset, such as +08:00",
    ),
    ("ordered_at", "yesterday", "ordered_at: 'yesterday' is no instant: write it as ISO 8601: 2027-03-01T10"),
    ("ordered_at", 1772328600, "ordered_at: 1772328600 is no instant"),
    ("ordered_at", "0027-03-01T09:30:00Z", "is of another age: write a year from 2000 to 2199"),
    ("ordered_at", datetime(2027, 3, 1, 9, 30), "has no zone"),  # noqa: DTZ001  (that is what is wrong)
    ("booker", "Mei", "booker: 'Mei' is no object: write it with name, email"),
    ("booker.name", " ", "booker.name: ' ' is empty: write it out"),
    ("booker.name", "Mei\nBcc: x", "holds a line break"),
    ("booker.email", "mei@", "booker.email: 'mei@' is no email address: There must be something after"),
    ("booker.phone", "12", "booker.phone: '12' has too few or too many digits: write it as 0912 345 678"),
    ("booker.phone", "call me", "booker.phone: 'call me' is no phone number"),
    ("booker.phone", "+886 2 2771 0000 ext. 3", "has an extension"),
    ("booker.locale", "german", "booker.locale: 'german' is no language tag"),
    ("booker.locale", "de", "booker.locale: 'de' is a language without texts: there is zh-Hant, en, fr"),
    ("booker.member_id", "a/b", "booker.member_id: 'a/b' cannot be used as an id"),
    ("services", [], "services: [] is empty: an order has at least one service"),
    ("services", {}, "services: {} is no list: write it in brackets"),
    (
        "services.0.ends_at",
        "2027-03-08T10:00:00+08:00",
        "services[0].ends_at: '2027-03-08T10:00:00+08:00' is not",
    ),
    (
        "services.0.starts_at",
        "2027-02-08T10:00:00+08:00",
        "is before the order: the order was placed at 2027-03-01",
    ),
    ("services.0.participants.0.name", ..., "services[0].participants[0].name: is missing"),
    ("payment_method", "cardd", "payment_method: 'cardd' is not known: did you mean 'card'?"),
    ("payment_method", "gold", "'gold' is not known: there is card, bank_transfer, atm"),
    ("total", -1, "total: -1 is less than nothing: write what the customer pays"),
    ("total", "much", "total: 'much' is no number: write one such as 1200"),
    ("total", True, "total: true is no number"),
    ("currency", "twd", "currency: 'twd' is no currency: did you mean 'TWD'?"),
    ("branch_id", "yongkan", "branch_id: 'yongkan' is no branch of lumi: did you mean 'yongkang'?"),
    ("merchant_id", "other", "merchant_id: 'other' is another merchant: the merchant is 'lumi'"),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG_BOOKINGS)
def test_a_wrong_booking_is_told_the_field_the_value_and_the_mend(path: str, value: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_booking(changed(BOOKING, path, value), LUMI)
    (problem,) = told(error)
    assert words in problem


def test_all_that_is_wrong_is_said_at_once() -> None:
    """What is broken in one place does not hide what is broken in another."""
    data = changed(BOOKING, "booker.email", "mei")
    data = changed(data, "services.0.ends_at", "2027-03-08T09:00:00+08:00")
    data["services"].append({"id": "s1", "starts_at": "soon"})
    with pytest.raises(InputError) as error:
        read_booking(data, LUMI)
    assert [problem.where for problem in error.value.problems] == [
        "booker.email",
        "services[0].ends_at",
        "services[1].name",
        "services[1].starts_at",
        "services[1].ends_at",
        "services[1].id",
    ]
    assert str(error.value).startswith("the booking cannot be used (6 problems)\n  booker.email: 'mei' is no")


def test_one_id_is_one_person() -> None:
    """Two people of one id would be taken for one, and the second never be written to."""
    data = changed(BOOKING, "booker.id", "p1")
    data = changed(data, "services.0.participants.0.id", "p1")
    with pytest.raises(InputError, match=r"participants\[0\]\.id: 'p1' is someone else at booker"):
        read_booking(data, LUMI)


def test_a_local_number_without_a_merchant_needs_its_country_code() -> None:
    with pytest.raises(
        InputError, match=r"booker.phone: '0912 345 678' has no country code: write it as \+886"
    ):
        read_booking(BOOKING)


@requirement("WACA-05")
def test_notes_of_a_service_that_advertise_are_refused_naming_the_word() -> None:
    """By the merchant's own list of words."""
    with pytest.raises(InputError, match="holds the promotional word '優惠': pre-visit notes only remind"):
        read_booking(changed(BOOKING, "services.0.notes", "本月優惠中"), LUMI)
    own = replace(LUMI, promotional_words=("搶鮮",))
    assert read_booking(changed(BOOKING, "services.0.notes", "本月優惠中"), own)


def test_python_callers_have_the_same_guard() -> None:
    booking = read_booking(BOOKING, LUMI)
    assert check_booking(booking) == booking
    naive = replace(booking, ordered_at=datetime(2027, 3, 1, 9, 30))  # noqa: DTZ001  (that is what is wrong)
    with pytest.raises(InputError, match="ordered_at: 2027-03-01T09:30:00 has no zone"):
        check_booking(naive)
    merchant = replace(LUMI, zone="Asia/Tapei")
    with pytest.raises(InputError, match="did you mean 'Asia/Taipei'"):
        check_merchant(merchant)


WRONG_MERCHANTS: list[tuple[str, Any, str]] = [
    ("zone", "Asia/Tapei", "zone: 'Asia/Tapei' is no zone: did you mean 'Asia/Taipei'?"),
    ("country", "tw", "country: 'tw' is no country: did you mean 'TW'?"),
    ("country", "Taiwan", "country: 'Taiwan' is no country: write its ISO 3166 code"),
    ("currency", "NTD", "currency: 'NTD' is no currency: write its ISO 4217 code"),
    ("website", "javascript:alert(1)", "is no web address: write it as https://..."),
    ("phone", "1", "phone: '1' is no phone number: write it as"),
    ("branches", [{"id": "a", "name": "A"}, {"id": "a", "name": "B"}], "branches[1].id: 'a' is given twice"),
    ("branches", [{"id": "a", "name": "A", "zone": "Mars"}], "branches[0].zone: 'Mars' is no zone"),
    ("sms.provider", "twsm", "sms.provider: 'twsm' is not known: did you mean 'twsms'?"),
    ("sms.text_limit", 0, "sms.text_limit: 0 is out of range"),
    ("booking.payment_days", {"in_person": 2}, "booking.payment_days.in_person: 2 has no deadline"),
    ("booking.payment_days", {"atm": -1}, "booking.payment_days.atm: -1 is out of range"),
    (
        "booking.payment_days",
        {"atmm": 2},
        "booking.payment_days.atmm: 'atmm' is not known: did you mean 'atm'?",
    ),
    (
        "booking.payment_reminder",
        {"days": 1, "at": "10:00"},
        "booking.payment_reminder.days: 1 counts days after",
    ),
    (
        "booking.pre_visit",
        {"days": -2, "at": "ten"},
        "booking.pre_visit.at: 'ten' is no time of day: write it as",
    ),
    (
        "booking.pre_visit",
        {"days": -1, "at": "10:00"},
        "pre_visit_margin_hours: keeps out what is due 14 hours",
    ),
    ("booking.prompt_hours", "24", "booking.prompt_hours: '24' is no whole number"),
    ("email_fallback", "smtp", "email_fallback: 'smtp' is the provider itself: name another one"),
    ("members.welcome", ["emial"], "names 'emial', which is no channel: did you mean 'email'?"),
    ("members.invitation", ["sms", "sms"], "members.invitation: [...] names a channel twice"),
    ("members.quiet_days", -1, "members.quiet_days: -1 is out of range: write a number from 0 to 365"),
    ("members.again_days", -1, "members.again_days: -1 is out of range: write a number from 0 to 365"),
    ("phone_check.digits", 3, "phone_check.digits: 3 is out of range: write a number from 4 to 10"),
    ("coupons.expiring", {"days": 7, "at": "15:00"}, "coupons.expiring.days: 7 counts days after"),
    ("bonuses", {"a b": {}}, "bonuses.a b: {} cannot be used: currency: 'a b' cannot be used as an id"),
    ("bonuses", {"gift": {"names": {"xx": "?"}}}, "bonuses.gift.names.xx: 'xx' is"),
    ("promotional_words", ["sale", " "], "promotional_words: [...] holds an empty word: leave it out"),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG_MERCHANTS)
def test_a_wrong_merchant_is_told_the_field_the_value_and_the_mend(path: str, value: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_merchant(changed(MERCHANT, path, value))
    (problem,) = told(error)
    assert words in problem


@requirement("WACA-05")
def test_notes_of_a_merchant_that_advertise_are_refused_naming_the_word() -> None:
    notes = {"en": "Towels are on sale.", "fr": "Prenez une serviette.", "de": "Bitte pünktlich."}
    with pytest.raises(InputError) as error:
        read_merchant(changed(MERCHANT, "booking.pre_visit_notes", notes))
    assert told(error) == [
        "booking.pre_visit_notes.en: 'Towels are on sale.' holds the promotional word 'sale': "
        "pre-visit notes only remind: leave it out",
        "booking.pre_visit_notes.de: 'de' is a language without texts: there is zh-Hant, en, fr",
    ]


@requirement("WACA-23")
def test_an_sms_text_over_the_limit_is_refused() -> None:
    sms = {"provider": "console", "text_limit": 20, "texts": {"pre_visit": {"en": "x" * 21}}}
    with pytest.raises(InputError, match=r"sms\.texts\.pre_visit\.en: .*21 characters"):
        read_merchant(changed(MERCHANT, "sms", sms))


@requirement("WACA-23")
def test_an_sms_text_that_cannot_be_rendered_is_refused() -> None:
    texts = {"pre_visit": {"en": "{{ nam }}"}, "voucher": {"en": "x"}}
    with pytest.raises(InputError) as error:
        read_merchant(changed(MERCHANT, "sms", {"provider": "console", "texts": texts}))
    unknown, no_sms = told(error)
    assert "'nam' is not known: did you mean 'name'?" in unknown
    assert "'voucher' is no kind of SMS" in no_sms


@requirement("WACA-05")
@requirement("LS-60")
def test_an_sms_text_of_the_file_is_checked_as_one_that_is_saved() -> None:
    """Promotional words, public shorteners, emoji where TwSMS refuses them: with sample values, too."""
    texts = {
        "pre_visit": {"en": "Big SALE, {{ name }}", "fr": "{{ name }} : https://bit.ly/3x"},
        "order_placed": {"zh-TW": "{% if total %}謝謝😀{% endif %}"},
    }
    with pytest.raises(InputError) as error:
        read_merchant(changed(MERCHANT, "sms", {"provider": "twsms", "texts": texts}))
    word, link, emoji = told(error)
    assert word.startswith("sms.texts.pre_visit.en: cannot be used: the promotional word 'sale'")
    assert link.startswith("sms.texts.pre_visit.fr: cannot be used: a link of the public shortener bit.ly")
    assert emoji.startswith("sms.texts.order_placed.zh-TW: cannot be used: the emoji 😀")
    del texts["pre_visit"]
    assert read_merchant(changed(MERCHANT, "sms", {"provider": "smpp", "texts": texts}))


def test_facts_are_read_in_the_order_of_the_file() -> None:
    facts = read_facts(
        [ACCEPTED, {"fact": "assigned", "event_id": "e2", "service": "s1", "partner": {"name": "S"}}]
    )
    assert facts == [Accepted(event_id="e1"), Assigned(event_id="e2", service="s1", partner=Person("S"))]


WRONG_FACTS: list[tuple[Any, str]] = [
    ({"event_id": "e1"}, "[0].fact: is missing: there is payment_received"),
    ({"fact": "acepted", "event_id": "e1"}, "[0].fact: 'acepted' is no fact: did you mean 'accepted'?"),
    ({"fact": ["accepted"], "event_id": "e1"}, "[0].fact: [...] is no fact"),
    ("accepted", "[0].fact: is missing"),
    ({"fact": "accepted"}, "[0].event_id: is missing: add a text"),
    ({"fact": "accepted", "event_id": ""}, "[0].event_id: '' cannot be an event id: use 1 to 100 characters"),
    ({"fact": "accepted", "event_id": "e" * 101}, "cannot be an event id"),
    ({**ACCEPTED, "service": "s1"}, "[0].service: is not known: did you mean 'services'?"),
    ({**ACCEPTED, "services": "s1"}, "[0].services: 's1' is no list"),
    ({**ACCEPTED, "at": "2027-03-03T10:00"}, "[0].at: '2027-03-03T10:00' has no zone"),
    (
        {"fact": "assigned", "event_id": "e", "service": "s", "partner": {"name": "S", "email": "s"}},
        "[0].partner.email: 's' is no email address",
    ),
]


@pytest.mark.parametrize(("fact", "words"), WRONG_FACTS)
def test_a_wrong_fact_is_told_its_place_in_the_file(fact: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_facts([ACCEPTED, ACCEPTED, fact][2:])
    (problem,) = told(error)
    assert words in problem


def test_a_request_is_read_like_a_fact() -> None:
    data = {"event_id": "e", "service": "s1", "starts_at": "2027-03-09T10:00:00+08:00"}
    request = read_fact("reschedule", data, LUMI)
    assert request == Reschedule(event_id="e", service="s1", starts_at=datetime(2027, 3, 9, 2, tzinfo=UTC))
    assert check_fact(request) == request


FILES: list[tuple[str, bytes, str]] = [
    ("b.json", b'{"a": 1,}', "is not JSON ("),
    ("b.json", b'{"a": 1, "a": 2}', "'a' is given twice"),
    ("b.json", b'{"total": NaN}', "NaN is no number"),
    ("b.json", b"[" * 100_000, "is nested too deeply"),
    ("b.json", b"\xff\xfe", "is not in UTF-8: save it as UTF-8"),
    ("b.json", b"[1]", "[...] is no object"),
    ("b.toml", b"a = \n", "is not TOML (Invalid value (at line 1, column 5))"),
    ("b.toml", b"ordered_at = 2027-03-01\n", "2027-03-01 is a day without a time"),
    ("b", b"a = \n", "is not TOML"),
    ("b", b'{"a"', "is not JSON"),
]


@pytest.mark.parametrize(("name", "content", "words"), FILES)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_booking(file)
    assert str(error.value).startswith(f"{file} cannot be used")
    assert words in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"b\.json cannot be used\n  there is no such file"):
        read_booking(tmp_path / "b.json")


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    """By the ending of the name, or else by the content."""
    as_toml = "\n".join(f"{key} = {json.dumps(value)}" for key, value in MERCHANT.items())
    texts = {"m.toml": as_toml, "m.json": json.dumps(MERCHANT), "toml": as_toml, "json": json.dumps(MERCHANT)}
    read = set()
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        read.add(repr(read_merchant(tmp_path / name)))
    assert read == {repr(Merchant(**MERCHANT))}


def test_every_example_can_be_read() -> None:
    merchants = {merchant.id: merchant for merchant in map(read_merchant, MERCHANT_FILES)}
    facts = set(EXAMPLES.glob("*.facts.json"))
    bookings = set(EXAMPLES.glob("*.json")) - facts
    assert len(bookings) >= 4
    for file in bookings:
        data = json.loads(file.read_text("utf-8"))
        assert read_booking(file, merchants[data["merchant_id"]]).booking_id
    assert all(read_facts(file, LUMI) for file in facts)


def leaves(kind: Any) -> Iterator[Any]:
    """The types of all single values in a type."""
    if is_dataclass(kind):
        for hint in get_type_hints(kind).values():
            yield from leaves(hint)
    elif get_origin(kind) not in (None, Literal):
        for part in get_args(kind):
            if part not in (type(None), ...):
                yield from leaves(part)
    else:
        yield kind


@pytest.mark.parametrize("kind", [Booking, Merchant, *KINDS.values()], ids=lambda kind: kind.__name__)
def test_every_type_of_the_input_can_be_read(kind: type) -> None:
    """A new field of a type that the reader does not know fails here, not at a user's."""
    unknown = {
        leaf
        for leaf in leaves(kind)
        if leaf not in PARSERS and get_origin(leaf) is not Literal and not issubclass(leaf, Enum)
    }
    assert unknown == set()


@pytest.mark.parametrize(
    ("now", "ordered"),
    [
        ("2026-10-25T10:00:00+01:00", "2026-10-25T09:30:00+01:00"),
        ("2026-10-25T08:00:00+01:00", "2026-10-24T09:30:00+02:00"),
    ],
)
def test_an_example_played_today_keeps_its_wall_clock(now: str, ordered: str) -> None:
    """Ordered today, or yesterday where that hour is still to come; also over the end of summer time."""
    booking = read_booking(changed(BOOKING, "ordered_at", "2027-03-01T09:30:00+01:00"), LUMI)
    days = days_to_today(booking, "Europe/Paris", datetime.fromisoformat(now))
    moved = moved_booking(booking, days, "Europe/Paris")
    assert moved.ordered_at == datetime.fromisoformat(ordered)
    assert (moved.services[0].ends_at - moved.services[0].starts_at).total_seconds() == 3600


def test_a_text_that_no_database_keeps_is_refused() -> None:
    """A NUL in a name would be found out only when the message is written down: it is named here."""
    with pytest.raises(Wrong, match="NUL"):
        values.text("Ada\x00Lin")
