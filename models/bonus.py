"""Bonuses: lots of one currency, each spendable from its activation until its end. [LOY-60 to LOY-81]"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class BonusError(ValueError):
    """Something that cannot be booked; the message says how to mend it."""


class EntryKind(StrEnum):
    """What changed a lot. [LOY-11, LOY-12]"""

    ACCRUE = "accrue"
    SPEND = "spend"
    REFUND = "refund"
    BURN = "burn"


@dataclass(frozen=True)
class Lot:
    """What was accrued at one time, and what is left of it.

    Spendable from `active_from` until just before `expires_at` (None: it never ends); UTC instants.
    `accrued_at` is when it happened. Which run told its member that it begins, and which that it burns;
    blank: none yet.
    """

    lot_id: int
    currency: str
    amount: Decimal
    left: Decimal
    active_from: datetime
    expires_at: datetime | None = None
    accrued_at: datetime = LONG_AGO
    activation_told_by: str = ""
    burn_told_by: str = ""


@dataclass(frozen=True)
class Part:
    """What one lot gives to a spend, or gets of a refund."""

    lot_id: int
    amount: Decimal


@dataclass(frozen=True)
class Accrual:
    """Bonuses that a member gets, spendable from `active_from` (None: `at`) until `expires_at`. [LOY-11]"""

    member_id: str
    currency: str
    amount: Decimal
    event_id: str
    at: datetime
    active_from: datetime | None = None
    expires_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True)
class Spend:
    """Bonuses that a member pays with, `at` the moment when it did. [LOY-12]"""

    member_id: str
    currency: str
    amount: Decimal
    event_id: str
    at: datetime
    note: str = ""


@dataclass(frozen=True)
class Refund:
    """Bonuses that come back of the spend of event `of`; None: all that is left of it.

    What comes from a lot that has ended meanwhile is spendable for so many `days`; 0: it burns.
    """

    member_id: str
    currency: str
    of: str
    event_id: str
    at: datetime
    amount: Decimal | None = None
    days: int = 14
    note: str = ""


@dataclass(frozen=True)
class Accrued:
    """The lot that the event made, now or when it was first told."""

    event_id: str
    member_id: str
    lot_id: int
    amount: Decimal


@dataclass(frozen=True)
class Spent:
    """The bonuses are taken. Told again it is the same answer, and nothing more is taken."""

    event_id: str
    amount: Decimal
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Short:
    """Nothing was taken: less can be spent than was asked for. `reason` is a sentence for the till.

    It is not kept: the same event may be told again once there is enough.
    """

    event_id: str
    spendable: Decimal
    reason: str


@dataclass(frozen=True)
class Returned:
    """What was given back, and into which lots."""

    event_id: str
    amount: Decimal
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Refused:
    """One of many was not booked; `reason` says why, and how to mend it."""

    event_id: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """One change of one lot: `amount` came in, or went out if negative. `of`: the spend that was refunded."""

    currency: str
    kind: EntryKind
    amount: Decimal
    lot_id: int
    event_id: str
    at: datetime
    of: str = ""
    note: str = ""


@dataclass(frozen=True)
class Upkeep:
    """What ended and burnt, and what became spendable, by currency. `lots`: how many burnt."""

    lots: int = 0
    burnt: Mapping[str, Decimal] = field(default_factory=dict)
    activated: Mapping[str, Decimal] = field(default_factory=dict)
