"""What is to be told to merchants: written with its cause, taken as often as needed, told once."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.ledger_books import ACCOUNTS, ALERTS
from models.credit_content import Alert, banner
from models.credits import Pool, to_points
from models.merchant import Merchant
from models.notices import Kind


async def pending_alerts(connection: AsyncConnection, limit: int = 100) -> list[Alert]:
    """Those that are not told yet, the oldest first."""
    query = select(ALERTS).where(ALERTS.c.done_at.is_(None)).order_by(ALERTS.c.id).limit(limit)
    return [
        Alert(
            row.id,
            row.merchant_id,
            Kind(row.kind),
            row.reference,
            to_points(row.points),
            row.sendable,
            row.at,
        )
        for row in await connection.execute(query)
    ]


async def alerts_done(connection: AsyncConnection, ids: Iterable[int], now: datetime) -> None:
    """These are in the message log, and settled there."""
    await connection.execute(
        update(ALERTS).where(ALERTS.c.id.in_(list(ids)), ALERTS.c.done_at.is_(None)).values(done_at=now)
    )


async def banners(connection: AsyncConnection, merchants: Sequence[Merchant]) -> dict[str, str]:
    """What is to be shown wherever somebody looks at one of these, by merchant. [WACA-29a]"""
    charged = [merchant for merchant in merchants if merchant.charged()]
    if not charged:
        return {}
    query = select(ACCOUNTS.c.merchant_id, ACCOUNTS.c.balance).where(
        ACCOUNTS.c.pool == Pool.SMS, ACCOUNTS.c.merchant_id.in_([merchant.id for merchant in charged])
    )
    points = {row.merchant_id: to_points(row.balance) for row in await connection.execute(query)}
    told = {merchant.id: banner(merchant, points.get(merchant.id, to_points(0))) for merchant in charged}
    return {merchant_id: words for merchant_id, words in told.items() if words is not None}
