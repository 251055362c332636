"""The gate: the ordered checks that a message passes before it may go.

A check is one function that answers None, or why not. Adding one is a function and a line in CHECKS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from models.agenda import Notice, Status
from models.merchant import Merchant, SmsProvider


@dataclass(frozen=True)
class Proposal:
    """A message that wants to go: this notice, by this channel, at this moment (UTC)."""

    notice: Notice
    channel: str
    merchant: Merchant
    now: datetime


@dataclass(frozen=True)
class Objection:
    """Why a message may not go, and what that makes of it."""

    check: str
    status: Status
    reason: str


def within_its_time(proposal: Proposal) -> Objection | None:
    """A message past its last moment is missed: nothing is sent too late."""
    if proposal.now <= proposal.notice.not_after:
        return None
    late = proposal.now - proposal.notice.not_after
    reason = (
        f"its last moment, {proposal.notice.not_after:%Y-%m-%d %H:%M} UTC, passed {late} before it could go"
    )
    return Objection("within_its_time", Status.MISSED, reason)


def channel_is_on(proposal: Proposal) -> Objection | None:
    """The merchant may have switched SMS off since the lifecycle began. [WACA-20]"""
    if proposal.channel == "sms" and proposal.merchant.sms.provider is SmsProvider.OFF:
        return Objection("channel_is_on", Status.REFUSED, "the merchant has switched SMS off")
    return None


def has_an_address(proposal: Proposal) -> Objection | None:
    """Nothing goes without somewhere to go to."""
    if proposal.notice.recipient.address(proposal.channel):
        return None
    return Objection("has_an_address", Status.REFUSED, f"the recipient has no address for {proposal.channel}")


CHECKS: tuple[Callable[[Proposal], Objection | None], ...] = (
    within_its_time,
    channel_is_on,
    has_an_address,
)


def objection(proposal: Proposal) -> Objection | None:
    """The first check that objects, or None: then the message may go."""
    return next((found for check in CHECKS if (found := check(proposal)) is not None), None)
