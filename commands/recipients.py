"""Whom a command speaks of: by an address, whose channel shows, or as a member."""

from commands.failures import Mistake
from intake import values
from intake.problems import Wrong
from models.channels import EMAIL, SMS
from models.merchant import Merchant


def address_of(given: str, merchant: Merchant, channel: str | None = None) -> tuple[str, str]:
    """The channel of an address, and the address as messages are sent to it.

    An email address, or a phone number, local ones of the merchant's country; for any other `channel` it
    stands as it is. Mistake for what is neither.
    """
    try:
        if channel == EMAIL or (channel is None and "@" in given):
            return EMAIL, values.email(given)
        if channel == SMS or (channel is None and given.strip()[:1] in {"+", *"0123456789"}):
            return SMS, values.phone(given, merchant.country)
    except Wrong as wrong:
        raise Mistake(f"{given!r} {wrong.what}: {wrong.mend}") from None
    if channel is None:
        raise Mistake(f"{given!r} is neither an email address nor a number such as +886912345678")
    return channel, given
