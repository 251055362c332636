"""Whether an address can be one, and where a telephone's clock stands. No network is asked."""

import re
from functools import cache, lru_cache

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from phonenumbers import PhoneMetadata, PhoneNumber
from phonenumbers.timezone import time_zones_for_geographical_number, time_zones_for_number

from models.channels import EMAIL, LINE_NOTIFICATION, SMS

KEPT = 2_000
"""So many answers that took a closer look are kept; the next message to the same address has it at once."""

_UNKNOWN_ZONE = "Etc/Unknown"

# What most addresses look like. All that it takes is valid, at a fiftieth of what looking closely costs.
_PLAIN_EMAIL = re.compile(
    r"(?=.{6,254}\Z)[A-Za-z0-9_+-]{1,30}(?:\.[A-Za-z0-9_+-]{1,30})?"
    r"@(?:[a-z0-9]{1,30}(?:-[a-z0-9]{1,30})?\.){1,4}(?P<top>[a-z]{2,20})"
)
_BETWEEN_DIGITS = str.maketrans("", "", " -")
_CODE = re.compile(r"\+([1-9][0-9]{0,2})")
_LONGEST_CODE = len("+886")


def address_problem(channel: str, address: str) -> str:
    """Why nothing can arrive at this address, as half a sentence; empty where there is no reason."""
    if channel == EMAIL:
        return "" if is_plain_email(address) else _email_problem(address)
    if channel in (SMS, LINE_NOTIFICATION):
        return "" if _is_plain_mobile(address) else _phone_problem(address)
    return ""


def zone_of(phone: str, home: str) -> str:
    """The zone that a number in E.164 form tells of; `home` where it is one of several that it may be.

    Empty where the number tells nothing.
    """
    zones = _only_zone(phone) or _zones_of_number(phone)
    if home in zones:
        return home
    return zones[0] if len(zones) == 1 and zones[0] != _UNKNOWN_ZONE else ""


def is_plain_email(address: str) -> bool:
    """Whether it looks like most addresses do, and is valid as it stands."""
    plain = _PLAIN_EMAIL.fullmatch(address)
    return plain is not None and plain["top"] not in SPECIAL_USE_DOMAIN_NAMES


def plain_mobile(written: str, country: str) -> str:
    """A mobile number as it is mostly written, in E.164 form; empty where it takes a closer look.

    One without a country code is of that country, and begins with its 0.
    """
    digits = written.translate(_BETWEEN_DIGITS)
    if digits[:1] == "0":
        code = _code_where_0_is_dialled(country)
        digits = f"+{code}{digits[1:]}" if code else ""
    return digits if _is_plain_mobile(digits) else ""


@lru_cache(maxsize=KEPT)
def _email_problem(address: str) -> str:
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        return f"{address!r} is no email address: {str(error).rstrip('.')}"
    return ""


@lru_cache(maxsize=KEPT)
def _phone_problem(address: str) -> str:
    try:
        number = phonenumbers.parse(address)
    except phonenumbers.NumberParseException:
        return f"{address!r} is no phone number with its country code"
    # Possible is enough: a number of a range that is newer than our tables must not lose a reminder.
    return "" if phonenumbers.is_possible_number(number) else f"{address!r} is no number that can be called"


def _is_plain_mobile(address: str) -> bool:
    """Whether it is a mobile number of a country that has its code for itself."""
    code = _country_code(address[:_LONGEST_CODE])
    mobile = _mobile(code) if code else None
    return mobile is not None and mobile.fullmatch(address, 1 + len(code)) is not None


@lru_cache(maxsize=KEPT)
def _country_code(beginning: str) -> str:
    found = _CODE.match(beginning)
    digits = found[1] if found else ""
    codes = (digits[:length] for length in range(1, len(digits) + 1))
    return next((code for code in codes if int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), "")


@cache
def _mobile(code: str) -> re.Pattern[str] | None:
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)]
    metadata = PhoneMetadata.metadata_for_region(regions[0], None) if len(regions) == 1 else None
    mobile = metadata.mobile if metadata is not None else None
    if mobile is None or not mobile.national_number_pattern:
        return None
    # A zero in front may be one that the parser would take off.
    return re.compile(rf"(?!0)(?:{mobile.national_number_pattern})", re.ASCII)


@cache
def _code_where_0_is_dialled(country: str) -> str:
    """The code of a country where a 0, and nothing else, goes before a number within it."""
    metadata = PhoneMetadata.metadata_for_region(country, None)
    if metadata is None or metadata.national_prefix_for_parsing != "0":
        return ""
    return str(metadata.country_code)


def _only_zone(phone: str) -> tuple[str, ...]:
    code = _country_code(phone[:_LONGEST_CODE])
    return _zones_of(code) if code else ()


@lru_cache(maxsize=KEPT)
def _zones_of_number(phone: str) -> tuple[str, ...]:
    try:
        return tuple(time_zones_for_number(phonenumbers.parse(phone)))
    except phonenumbers.NumberParseException:
        return ()


@cache
def _zones_of(code: str) -> tuple[str, ...]:
    """The zone of a whole country that has but one clock; else nothing."""
    zones = time_zones_for_geographical_number(PhoneNumber(country_code=int(code), national_number=0))
    return tuple(zones) if len(zones) == 1 and zones[0] != _UNKNOWN_ZONE else ()
