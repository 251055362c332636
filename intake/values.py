"""Single values: how each is read, and what makes one of no use."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import phonenumbers
from babel.numbers import list_currencies
from email_validator import EmailNotValidError, validate_email

from activities.formats import SHIPPED, shipped_locale
from intake.problems import Wrong, nearest, shown
from models.ids import check_id
from models.merchant import promotional_word
from models.timing import TimeError, zone

YEARS = range(2000, 2200)
"""A year outside of these is a slip of the pen."""
LONGEST_LINE = 200
LONGEST_EVENT_ID = 100
LONGEST_GROUP = 64
DEAREST = Decimal(10) ** 12

EXAMPLES: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    Decimal: "a number such as 1200 or 80.50",
    datetime: "an instant such as 2027-03-01T10:00:00+08:00",
    date: "a day such as 2027-03-01",
    time: "a time of day such as 10:00",
}

TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def text(data: Any) -> str:
    """A text. A number is not taken for one: a phone number would lose its zeros."""
    if isinstance(data, str) and "\x00" in data:
        raise Wrong("has a NUL character in it, which no database keeps", "take it out")
    if isinstance(data, str):
        return str(data)
    raise Wrong("is no text", "put it in quotes" if isinstance(data, int | Decimal) else "write a text")


def whole(data: Any) -> int:
    """A whole number."""
    if isinstance(data, int) and not isinstance(data, bool):
        return data
    raise Wrong("is no whole number", "write one without quotes, such as 24")


def truth(data: Any) -> bool:
    """True or false."""
    if isinstance(data, bool):
        return data
    raise Wrong("is neither true nor false", "write true or false, without quotes")


def number(data: Any) -> Decimal:
    """A decimal number, exact: `80.50` stays so."""
    try:
        if not isinstance(data, bool) and isinstance(data, int | float | str | Decimal):
            found = Decimal(str(data))
            if found.is_finite():
                return found
    except InvalidOperation:
        pass
    raise Wrong("is no number", "write one such as 1200 or 80.50")


def instant(data: Any) -> datetime:
    """An instant, as UTC. One without its offset could be any of a day's."""
    if isinstance(data, str):
        try:
            data = datetime.fromisoformat(data)
        except ValueError:
            raise Wrong("is no instant", f"write it as ISO 8601: {_instant_example()}") from None
    if not isinstance(data, datetime):
        what = "is a day without a time" if isinstance(data, date) else "is no instant"
        raise Wrong(what, f"write it as ISO 8601: {_instant_example()}")
    if data.utcoffset() is None:
        raise Wrong("has no zone", "add the offset, such as +08:00, or Z for UTC")
    if data.year not in YEARS:
        raise Wrong("is of another age", f"write a year from {YEARS[0]} to {YEARS[-1]}")
    return data.astimezone(UTC)


def day(data: Any) -> date:
    """A day of the calendar, without a time."""
    try:
        found = date.fromisoformat(data) if isinstance(data, str) else data
    except ValueError:
        found = None
    if not isinstance(found, date) or isinstance(found, datetime):
        raise Wrong("is no day", "write it as 2027-03-01")
    if found.year not in YEARS:
        raise Wrong("is of another age", f"write a year from {YEARS[0]} to {YEARS[-1]}")
    return found


def wall_time(data: Any) -> time:
    """A time of day, on the shop's clock."""
    try:
        found = time.fromisoformat(data) if isinstance(data, str) else data
    except ValueError:
        found = None
    if not isinstance(found, time):
        raise Wrong("is no time of day", "write it as 10:00")
    if found.tzinfo is not None:
        raise Wrong("carries a zone", "write the shop's wall time alone: 10:00")
    return found


def line(value: str, _: object = None) -> str:
    """A name, a title: something, on one line."""
    if not value.strip():
        raise Wrong("is empty", "write it out")
    if not value.isprintable():
        raise Wrong("holds a line break or another control character", "write it on one line")
    if len(value) > LONGEST_LINE:
        raise Wrong(f"has {len(value)} characters", f"write at most {LONGEST_LINE}")
    return value


def identifier(value: str, _: object = None) -> str:
    """Something that becomes part of a workflow id."""
    if (wrong := check_id("", value)) is not None:
        _, _, mend = wrong.rpartition(": ")
        raise Wrong("cannot be used as an id", mend)
    return value


def event_id(value: str, _: object = None) -> str:
    """The name of a happening, which tells it from every other."""
    if not 1 <= len(value) <= LONGEST_EVENT_ID or not value.isprintable():
        raise Wrong("cannot be an event id", f"use 1 to {LONGEST_EVENT_ID} characters, on one line")
    return value


def group(name: str) -> str:
    """The name of a group of members, without blanks around it: the same where it is imported and written to.

    A semicolon parts one name from the next. [LS-03]
    """
    mend = f"use at most {LONGEST_GROUP} characters, on one line"
    if ";" in name or name != name.strip():
        raise Wrong(f"names a group {shown(name)}", "leave out semicolons, and blanks around it")
    if not 0 < len(name) <= LONGEST_GROUP or not name.isprintable():
        raise Wrong(f"names a group {shown(name)}", mend)
    return name


def zone_name(value: str, _: object = None) -> str:
    """The IANA name of a zone."""
    try:
        zone(value)
    except TimeError as error:
        raise Wrong("is no zone", str(error).partition(": ")[2]) from None
    return value


def locale(value: str, _: object = None) -> str:
    """A language tag whose language has texts."""
    if not TAG.fullmatch(value):
        raise Wrong("is no language tag", f"write one such as {', '.join(SHIPPED)}, fr-CA")
    if shipped_locale(value) is None:
        raise Wrong("is a language without texts", nearest(value, SHIPPED))
    return value


def currency(value: str, _: object = None) -> str:
    """The ISO 4217 code of a currency."""
    return _code(value, list_currencies(), "is no currency", "write its ISO 4217 code, such as TWD or EUR")


def country(value: str, _: object = None) -> str:
    """The ISO 3166 code of a country."""
    known = phonenumbers.SUPPORTED_REGIONS
    return _code(value, known, "is no country", "write its ISO 3166 code, such as TW or FR")


def email(value: str, _: object = None) -> str:
    """An email address, its domain in small letters. Whether it exists is not asked."""
    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise Wrong("is no email address", str(error).rstrip(".")) from None


def phone(value: str, home: str) -> str:
    """A phone number in E.164 form; one without its country code is one of `home`."""
    region = home if home in phonenumbers.SUPPORTED_REGIONS else None
    if region is None and not value.strip().startswith("+"):
        raise Wrong("has no country code", "write it as +886912345678")
    try:
        found = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        raise Wrong("is no phone number", _phone_example(region)) from None
    if not phonenumbers.is_possible_number(found) or found.extension:
        what = "has an extension" if found.extension else "has too few or too many digits"
        raise Wrong(what, _phone_example(region))
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164)


def amount(value: Decimal, _: object = None) -> Decimal:
    """What an order costs."""
    if value < 0:
        raise Wrong("is less than nothing", "write what the customer pays: 0 or more")
    if value >= DEAREST:
        raise Wrong("is beyond any price", "write what the customer pays")
    return value


def reminding(value: str, words: tuple[str, ...]) -> str:
    """Pre-visit notes: they remind and must not advertise. [WACA-05]"""
    if (word := promotional_word(value, words)) is not None:
        raise Wrong(f"holds the promotional word {word!r}", "pre-visit notes only remind: leave it out")
    return value


def web_address(value: str, _: object = None) -> str:
    """A link that a mail may carry."""
    if not value.startswith(("https://", "http://")) or not value.isprintable() or " " in value:
        raise Wrong("is no web address", "write it as https://...")
    return value


def _code(value: str, known: Any, what: str, mend: str) -> str:
    if value in known:
        return value
    raise Wrong(what, f"did you mean {value.upper()!r}?" if value.upper() in known else mend)


def _instant_example() -> str:
    return EXAMPLES[datetime].removeprefix("an instant such as ")


def _phone_example(region: str | None) -> str:
    sample = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    if sample is None:
        return "write it as +886912345678"
    national = phonenumbers.format_number(sample, phonenumbers.PhoneNumberFormat.NATIONAL)
    return (
        f"write it as {national} or {phonenumbers.format_number(sample, phonenumbers.PhoneNumberFormat.E164)}"
    )
