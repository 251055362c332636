"""Points and quotas: what a message costs, how many more can go, when somebody must be told. Exact, and pure.

Points are decimals to a thousandth. A cost counts segments; a quota counts recipients. [LS-20, LS-21]
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from models.timing import local

UNITS = 1000
"""A point is kept as so many whole units, so that every database adds exactly."""
MOST = Decimal(10) ** 12
"""More points than this are a slip of the pen."""


MOST_MESSAGES = 10_000_000
"""A month and a branch; more is a slip of the pen."""


class PointsError(ValueError):
    """An amount that cannot be booked; the message says how to mend it."""


class Pool(StrEnum):
    """Whose points: the shop's are shared with other uses until they are converted. [WACA-25, WACA-26]"""

    SHOP = "shop"
    SMS = "sms"


class EntryKind(StrEnum):
    """What moved points, or room in a quota."""

    TOPUP = "topup"
    CONVERT_OUT = "convert_out"
    CONVERT_IN = "convert_in"
    OTHER_USE = "other_use"
    RESERVE = "reserve"
    SETTLE = "settle"
    REFUND = "refund"


class OtherUse(StrEnum):
    """What else the shop's points pay for. [WACA-26]"""

    NEWSLETTER = "newsletter"
    ABANDONED_CART = "abandoned_cart"


@dataclass(frozen=True)
class SmsPrice:
    """Points for one segment, to numbers of the merchant's own country and to all others. [WACA-28]"""

    domestic: Decimal = Decimal("0.85")
    foreign: Decimal = Decimal(3)


@dataclass(frozen=True)
class CreditPolicy:
    """How a merchant's SMS are paid. [WACA-25, WACA-28, WACA-29a, WACA-29b]

    `enabled`: whether they are paid from our points; with an account of the merchant's own they never are.
    `banner_below`: fewer sendable domestic messages than this are shown wherever somebody looks.
    `email_below`: fewer than this are told to the merchant by email, once.
    """

    enabled: bool = False
    price: SmsPrice = SmsPrice()
    banner_below: int = 100
    email_below: int = 50


@dataclass(frozen=True)
class QuotaPolicy:
    """How many SMS each branch may send in a calendar month. [LS-20]

    `monthly`: one for each recipient, however long the text; left out, nothing is counted.
    """

    monthly: int | None = None


@dataclass(frozen=True)
class Quota:
    """One branch in one month. Without an allowance there is no end to it. [LS-20, LS-22]"""

    branch_id: str
    month: str
    allowance: int | None
    topup: int = 0
    used: int = 0

    @property
    def left(self) -> int | None:
        """How many more may go; a policy that was cut below what is used leaves none."""
        return None if self.allowance is None else max(0, self.allowance + self.topup - self.used)


@dataclass(frozen=True)
class Group:
    """Recipients of one message, and what it costs to reach them all."""

    name: str
    recipients: int
    points: Decimal = Decimal(0)


@dataclass(frozen=True)
class Estimate:
    """Whether a group still fits, and what is left when it is sent. None: there is no end. [LS-22]"""

    group: Group
    fits: bool
    messages_left: int | None
    points_left: Decimal | None


def to_units(points: Decimal, name: str = "points") -> int:
    """Points as whole thousandths; PointsError, naming `name`, if they are finer or beyond all reason."""
    if not points.is_finite() or abs(points) >= MOST:
        raise PointsError(f"{name}: {points} cannot be booked: write a number below {MOST:,f}")
    units = points * UNITS
    if units != units.to_integral_value():
        raise PointsError(f"{name}: {points} is finer than a thousandth: write at most three decimals")
    return int(units)


def to_points(units: int) -> Decimal:
    """The points of so many thousandths, without idle zeros."""
    return Decimal(units) / UNITS


def cost(segments: int, price: SmsPrice, *, domestic: bool) -> Decimal:
    """What a text of so many segments costs to one recipient. [WACA-28]"""
    return segments * (price.domestic if domestic else price.foreign)


def sendable(points: Decimal, price: Decimal) -> int:
    """How many messages of one segment these points pay for. [WACA-29c]"""
    return int(points // price)


def low(points: Decimal, below: int, policy: CreditPolicy) -> bool:
    """Whether strictly fewer domestic messages than `below` can still be sent. [WACA-29a to WACA-29c]"""
    return sendable(points, policy.price.domestic) < below


def crossed(points: Decimal, policy: CreditPolicy, *, armed: bool) -> bool:
    """Whether spending down to these points is to be told by email: low, and not told before. [WACA-29b]"""
    return armed and low(points, policy.email_below, policy)


def armed_after_topup(points: Decimal, policy: CreditPolicy, *, armed: bool) -> bool:
    """A top-up that ends the shortage arms the alert again; one that leaves it low does not. [WACA-29b]"""
    return armed or not low(points, policy.email_below, policy)


def quota_month(now: datetime, zone: str) -> str:
    """`2026-03`: the calendar month on the branch's clock. [LS-20]"""
    there = local(now, zone)
    return f"{there.year:04}-{there.month:02}"


def estimates(
    groups: Iterable[Group], messages_left: int | None, points_left: Decimal | None
) -> list[Estimate]:
    """Whether each group fits on top of those before it that did. [LS-21, LS-22]"""
    found = []
    for group in groups:
        messages = None if messages_left is None else messages_left - group.recipients
        points = None if points_left is None else points_left - group.points
        fits = (messages is None or messages >= 0) and (points is None or points >= 0)
        if fits:
            messages_left, points_left = messages, points
        found.append(Estimate(group, fits, messages_left, points_left))
    return found
