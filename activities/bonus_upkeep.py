"""What ends burns, a page at a time; what begins needs nobody: it is spendable by the moment alone."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.bonus_books import LOTS, BonusBooks, about, lock, something_left
from models.bonus import EntryKind

PAGE = 500
"""So many lots burn in one transaction."""


@dataclass(frozen=True)
class Burnt:
    """So many lots have burnt, thousandths by currency. `more`: there may be others."""

    lots: int
    units: Counter[str] = field(default_factory=Counter)
    more: bool = False


async def burn_page(connection: AsyncConnection, merchant_id: str, now: datetime) -> Burnt:
    """Burn what is left of the first lots that have ended."""
    query = select(LOTS).where(LOTS.c.merchant_id == merchant_id, something_left(), LOTS.c.expires_at <= now)
    seen = (await connection.execute(query.order_by(LOTS.c.expires_at).limit(PAGE))).all()
    await lock(connection, merchant_id, [(row.member_id, row.currency) for row in seen])
    # Somebody may have spent of them until the accounts were ours: what is left now is what burns.
    rows = (await connection.execute(query.where(LOTS.c.id.in_([row.id for row in seen])))).all()
    books, units = BonusBooks(connection, merchant_id), Counter[str]()
    changed = about(EntryKind.BURN, f"burn-{uuid4().hex[:16]}", now)
    for row in rows:
        books.change((row.member_id, row.currency), row.id, -row.remaining, changed)
        units[row.currency] += row.remaining
    await books.write()
    return Burnt(len(rows), units, more=len(seen) == PAGE)


async def activated(
    connection: AsyncConnection, merchant_id: str, since: datetime, now: datetime
) -> Counter[str]:
    """What became spendable after `since`, up to now, in thousandths by currency."""
    query = select(LOTS.c.currency, func.sum(LOTS.c.remaining)).where(
        LOTS.c.merchant_id == merchant_id,
        something_left(),
        LOTS.c.active_from > since,
        LOTS.c.active_from <= now,
    )
    rows = await connection.execute(query.group_by(LOTS.c.currency))
    return Counter({currency: int(units) for currency, units in rows})
