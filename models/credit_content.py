"""What a merchant is told of its points, wherever it looks and by email, as plain values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from models.agenda import Delivery, Notice
from models.credits import low, sendable
from models.ids import credits_lifecycle_id, notice_key
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.people import Person

PROMPT = timedelta(hours=24)
"""How long the shortage is worth telling: later the merchant has seen it, or has run dry."""


@dataclass(frozen=True)
class LowPointsContent:
    """Points as they stood at `at`, UTC, and how many domestic messages they paid for. [WACA-29b]"""

    points: Decimal
    sendable: int
    at: datetime
    zone: str


@dataclass(frozen=True)
class Alert:
    """A shortage that is to be told, written when a message caused it. [WACA-29b]"""

    id: int
    merchant_id: str
    kind: Kind
    reference: str
    points: Decimal
    sendable: int
    at: datetime


def alert_delivery(alert: Alert, merchant: Merchant) -> Delivery[LowPointsContent]:
    """The email of an alert. The same alert is the same notice: it goes once, however often it is taken."""
    lifecycle, row = credits_lifecycle_id(merchant.id), CATALOGUE[alert.kind]
    notice = Notice(
        key=notice_key(lifecycle, alert.kind, str(alert.id), row.role),
        kind=alert.kind,
        role=row.role,
        recipient=Person(merchant.name, email=merchant.email, locale=merchant.locale, id=row.role),
        channels=row.channels,
        due=alert.at,
        not_after=alert.at + PROMPT,
    )
    content = LowPointsContent(alert.points, alert.sendable, alert.at, merchant.zone)
    return Delivery(notice, content, merchant.id, lifecycle)


def banner(merchant: Merchant, points: Decimal) -> str | None:
    """What everybody who looks at this merchant is told while its SMS points are low, or None. [WACA-29a]"""
    policy = merchant.credits
    if not merchant.charged() or not low(points, policy.banner_below, policy):
        return None
    left = sendable(points, policy.price.domestic)
    return (
        f"SMS points of {merchant.id} run low: {points} are left, enough for {left} domestic messages. "
        f"Convert more with `carillon credits convert {merchant.id} POINTS`"
    )
