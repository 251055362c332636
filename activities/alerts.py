"""What is to be told to merchants: written with its cause, taken as often as needed, told once."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.ledger_books import ALERTS
from models.credit_content import Alert
from models.credits import to_points
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
