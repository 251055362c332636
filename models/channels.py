"""Channels by name, and the families of them that are suspended together."""

from enum import StrEnum

EMAIL = "email"
SMS = "sms"
PUSH = "push"
"""To the merchant's app on a member's device. [LOY-24]"""
LINE_NOTIFICATION = "line_notification"
"""LINE notification messages: to a phone number, for the scenarios of CRES-11 to CRES-19 only."""


class Family(StrEnum):
    """Channels that a merchant loses together. [CRES-04]"""

    EVERYTHING = "everything"
    EMAIL = "email"
    SMS_PLUS = "sms_plus"
    """SMS and LINE notification messages: one product to the operator, and one sanction."""
    LINE = "line"
    PUSH = "push"


_FAMILIES = {
    EMAIL: Family.EMAIL,
    SMS: Family.SMS_PLUS,
    LINE_NOTIFICATION: Family.SMS_PLUS,
    "line": Family.LINE,
    PUSH: Family.PUSH,
}

_WORDS = {
    EMAIL: "email",
    SMS: "SMS",
    LINE_NOTIFICATION: "LINE notification message",
    "line": "LINE message",
    PUSH: "push message",
    Family.EVERYTHING: "everything",
    Family.SMS_PLUS: "SMS and LINE notification messages",
}


def families(channel: str) -> tuple[Family, ...]:
    """The families whose suspension stops this channel."""
    family = _FAMILIES.get(channel)
    return (Family.EVERYTHING,) if family is None else (Family.EVERYTHING, family)


def in_words(name: str) -> str:
    """A channel or a family of them, for a sentence."""
    return _WORDS.get(name, name)
