"""Addresses: what can be one, by phonenumbers and email-validator, and where a telephone's clock stands."""

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from activities.addresses import address_problem, zone_of
from models.channels import LINE_NOTIFICATION


@pytest.mark.parametrize(
    ("channel", "address", "problem"),
    [
        ("email", "ada@example.com", ""),
        ("email", "Ada.Lin+tag@mail.example.com", ""),
        ("email", "é@exemple.fr", ""),
        ("email", "ada@台灣.tw", ""),
        ("email", "ada", "no email address"),
        ("email", "ada@@example.com", "no email address"),
        ("email", "ada..lin@example.com", "two periods"),
        ("email", "ada@localhost", "should have a period"),
        ("email", "ada@shop.invalid", "special-use"),
        ("sms", "+886912345678", ""),
        ("sms", "+33612345678", ""),
        ("sms", "+14165550123", ""),
        ("sms", "+886223456789", ""),
        ("sms", "0912345678", "country code"),
        ("sms", "+88691", "no number that can be called"),
        ("sms", "+999123456789", "country code"),
        (LINE_NOTIFICATION, "+8860", "number"),
        ("push", "any-token-at-all", ""),
    ],
)
def test_what_is_wrong_with_an_address(channel: str, address: str, problem: str) -> None:
    """In words that fit after "Not sent: "."""
    found = address_problem(channel, address)
    assert problem in found
    assert bool(found) == bool(problem)


@given(st.from_regex(r"[a-zA-Z0-9._+-]{1,40}@(?:[a-z0-9-]{1,12}\.){1,3}[a-z]{2,10}", fullmatch=True))
def test_the_quick_look_at_an_email_address_agrees_with_the_close_one(address: str) -> None:
    """The quick one takes nothing that email-validator refuses."""
    try:
        validate_email(address, check_deliverability=False)
        valid = True
    except EmailNotValidError:
        valid = False
    assert (address_problem("email", address) == "") == valid


@given(
    st.sampled_from(["886", "33", "81", "44", "1", "7", "39", "852", "55", "49", "52"]),
    st.from_regex(r"[0-9]{6,11}", fullmatch=True),
)
def test_the_quick_look_at_a_number_agrees_with_the_close_one(code: str, rest: str) -> None:
    """The quick one takes nothing that phonenumbers refuses."""
    number = f"+{code}{rest}"
    try:
        valid = phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        valid = False
    assert (address_problem("sms", number) == "") == valid


@pytest.mark.parametrize(
    ("phone", "home", "zone"),
    [
        ("+886912345678", "Asia/Taipei", "Asia/Taipei"),
        ("+33612345678", "Asia/Taipei", "Europe/Paris"),
        ("+13105551234", "America/New_York", "America/Los_Angeles"),
        ("+18005551234", "America/New_York", "America/New_York"),
        ("+18005551234", "Asia/Taipei", ""),
        ("no number", "Asia/Taipei", ""),
        ("", "Asia/Taipei", ""),
    ],
)
def test_where_a_telephone_is_at_home(phone: str, home: str, zone: str) -> None:
    """One of several possible zones tells nothing, unless the shop's is among them."""
    assert zone_of(phone, home) == zone
