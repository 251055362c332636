"""What a check answers, and what the gate makes of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.agenda import Status

POLICY_VERSION = "2026-11"
"""Names the rules as they are now; kept with every decision. A check that answers otherwise renews it."""


class Code(StrEnum):
    """Why a message may not go, for programs."""

    MISSED = "missed"
    SUSPENDED = "suspended"
    CHANNEL_OFF = "channel_off"
    NO_CONSENT = "no_consent"
    OPTED_OUT = "opted_out"
    SUPPRESSED = "suppressed"
    NO_ADDRESS = "no_address"
    BAD_ADDRESS = "bad_address"
    NOT_VERIFIED = "not_verified"
    CLASS_BARRED = "class_barred"
    TRADE_BARRED = "trade_barred"
    NOT_AVAILABLE = "not_available"
    PROMOTIONAL_WORDS = "promotional_words"
    SHORT_LINK = "short_link"
    TOO_LONG = "too_long"
    CAPPED = "capped"
    QUOTA_USED_UP = "quota_used_up"
    NO_CREDITS = "no_credits"


@dataclass(frozen=True, slots=True)
class Refuse:
    """A check's no. `reason` reads after "Not sent: "."""

    rule: str
    code: Code
    reason: str


@dataclass(frozen=True, slots=True)
class Defer:
    """A check's not yet: from `until` on it has nothing against the message. `reason` says what holds it."""

    rule: str
    until: datetime
    reason: str


Answer = Refuse | Defer | None
"""What a check says; None has nothing against the message."""


@dataclass(frozen=True, slots=True)
class Passed:
    """It may go."""

    rule: str = ""
    reason: str = ""
    policy_version: str = POLICY_VERSION


@dataclass(frozen=True, slots=True)
class Refused:
    """It may not go by this channel. `status` is what that makes of the message: refused or missed."""

    status: Status
    rule: str
    code: Code
    reason: str
    policy_version: str = POLICY_VERSION


@dataclass(frozen=True, slots=True)
class Deferred:
    """It may be asked about again at `until`, which is after now and not after its last moment."""

    until: datetime
    rule: str
    reason: str
    policy_version: str = POLICY_VERSION


Decision = Passed | Refused | Deferred
