"""Whom a command speaks of: by an address, whose channel shows, or as a member."""

from enum import StrEnum

from commands.failures import Mistake
from intake import values
from intake.problems import Wrong
from models.channels import EMAIL, PUSH, SMS
from models.merchant import Merchant

LONGEST = 320
"""Characters of an address that can be kept."""


class ChannelName(StrEnum):
    """A channel that a message comes by."""

    EMAIL = EMAIL
    SMS = SMS
    PUSH = PUSH


def address_of(given: str, merchant: Merchant, channel: str | None = None) -> tuple[str, str]:
    """The channel of an address, and the address as messages are sent to it.

    An email address, or a phone number, local ones of the merchant's country; for any other `channel` it
    stands as it is. Mistake for what is neither, is blank or is too long to be kept.
    """
    if not given.strip() or len(given) > LONGEST:
        raise Mistake(f"the address has {len(given.strip())} characters: write one of 1 to {LONGEST}")
    try:
        if channel == EMAIL or (channel is None and "@" in given):
            return EMAIL, values.email(given)
        if channel == SMS or (channel is None and given.strip()[:1] in {"+", *"0123456789"}):
            return SMS, values.phone(given, merchant.country)
    except Wrong as wrong:
        raise Mistake(f"{given!r} {wrong.what}: {wrong.mend}") from None
    if channel is None:
        raise Mistake(f"{given!r} is neither an email address nor a number such as +886912345678")
    return str(channel), given
