"""What a recipient has said, and what has shown, about being written to."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.channels import EMAIL
from models.notices import NoticeClass
from models.policy import ConsentRule

NO_REASON = "no reason given"
"""What is told of a suspension or suppression whose reason is blank: it holds all the same."""


class ReasonError(ValueError):
    """A reason that is blank; the message says how to mend it."""

    def __init__(self) -> None:
        super().__init__("reason: it is blank: write why, in words")


class Consent(StrEnum):
    """What somebody has said about one class of notice on one channel."""

    NOT_ASKED = "not_asked"
    OPTED_IN = "opted_in"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True)
class ConsentGiven:
    """Somebody's word: a member's, for every address of theirs, or that of whoever reads one address.

    `source` is where it was said: "checkout", "unsubscribe link", "answered STOP".
    """

    merchant_id: str
    channel: str
    notice_class: NoticeClass
    state: Consent
    source: str
    at: datetime
    member_id: str = ""
    address: str = ""

    @property
    def subject(self) -> str:
        """Under which name it is kept."""
        if self.member_id:
            return member_subject(self.member_id)
        return same_address(self.channel, self.address)


@dataclass(frozen=True)
class Suppression:
    """An address that is not written to any more, in any class, until it is lifted.

    `reason` is told to whoever asks: "550 no such user", "answered STOP", "complained".
    """

    merchant_id: str
    channel: str
    address: str
    reason: str
    source: str
    at: datetime


def willing(rule: ConsentRule, given: Consent) -> bool:
    """Whether a class of notices with that rule may go to whoever has said that."""
    if rule is ConsentRule.NONE or given is Consent.OPTED_IN:
        return True
    return rule is ConsentRule.OPT_OUT and given is Consent.NOT_ASKED


def member_subject(member_id: str) -> str:
    """Whose consent it is when a member gives it, whatever the address."""
    return f"member:{member_id}"


def given_reason(reason: str) -> str:
    """A reason as it is kept; ReasonError where it is blank."""
    if not (words := reason.strip()):
        raise ReasonError
    return words


def told_reason(reason: str) -> str:
    """A reason as it is told: never blank, whoever wrote it."""
    return reason.strip() or NO_REASON


def same_address(channel: str, address: str) -> str:
    """One spelling for each address: `Ada@Example.com` is the mailbox of `ada@example.com`."""
    return address.strip().casefold() if channel == EMAIL else address.strip()
