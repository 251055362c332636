"""What bonus accounts hold, and what changed them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Subquery, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.bonus_books import ACCOUNTS, ENTRIES, LOTS, chunks, lot, something_left
from models.bonus import Entry, EntryKind, Lot
from models.credits import to_points
from models.member_content import Balance


async def balances_of(
    connection: AsyncConnection, merchant_id: str, member_ids: Sequence[str], now: datetime
) -> dict[str, tuple[Balance, ...]]:
    """What can be spent now of each account that a member ever had, by member; 0 included.

    One query for each 500 members. [LOY-13, LOY-43]
    """
    spendable = and_(
        something_left(),
        LOTS.c.active_from <= now,
        or_(LOTS.c.expires_at.is_(None), LOTS.c.expires_at > now),
        *(LOTS.c[name] == ACCOUNTS.c[name] for name in ("merchant_id", "member_id", "currency")),
    )
    keys = ACCOUNTS.c.member_id, ACCOUNTS.c.currency
    query = (
        select(*keys, func.coalesce(func.sum(LOTS.c.remaining), 0))
        .select_from(ACCOUNTS.outerjoin(LOTS, spendable))
        .where(ACCOUNTS.c.merchant_id == merchant_id)
        .group_by(*keys)
        .order_by(*keys)
    )
    found: dict[str, list[Balance]] = {member_id: [] for member_id in member_ids}
    for some in chunks(list(found)):
        for member_id, currency, units in await connection.execute(query.where(keys[0].in_(some))):
            found[member_id].append(Balance(currency, to_points(int(units))))
    return {member_id: tuple(balances) for member_id, balances in found.items()}


async def lots_of(connection: AsyncConnection, merchant_id: str, member_id: str) -> tuple[Lot, ...]:
    """The lots of a member of which something is left, the oldest first."""
    query = select(LOTS).where(
        LOTS.c.merchant_id == merchant_id, LOTS.c.member_id == member_id, something_left()
    )
    return tuple(map(lot, await connection.execute(query.order_by(LOTS.c.accrued_at, LOTS.c.id))))


async def statement(
    connection: AsyncConnection, merchant_id: str, member_id: str, limit: int = 50
) -> tuple[Entry, ...]:
    """What changed a member's bonuses, the newest first."""
    query = (
        select(ENTRIES)
        .where(ENTRIES.c.merchant_id == merchant_id, ENTRIES.c.member_id == member_id)
        .order_by(ENTRIES.c.id.desc())
        .limit(limit)
    )
    return tuple(
        Entry(
            currency=row.currency,
            kind=EntryKind(row.kind),
            amount=to_points(row.amount),
            lot_id=row.lot_id,
            event_id=row.event_id,
            at=row.at,
            of=row.of_event,
            note=row.note,
        )
        for row in await connection.execute(query)
    )


async def currencies_of(connection: AsyncConnection, merchant_id: str) -> tuple[str, ...]:
    """The currencies of which a member of the merchant has something left."""
    query = select(LOTS.c.currency).where(LOTS.c.merchant_id == merchant_id, something_left()).distinct()
    return tuple(sorted((await connection.execute(query)).scalars()))


async def differences(connection: AsyncConnection) -> list[str]:
    """Lots that are not the sum of their entries, accounts not that of their lots: a sentence each."""
    entered = _sums(ENTRIES.c.amount, {"id": ENTRIES.c.lot_id})
    held = _sums(LOTS.c.remaining, {key.name: LOTS.c[key.name] for key in ACCOUNTS.primary_key})
    wrong = [
        f"lot {row.id} holds {to_points(row.remaining)}, its entries make {to_points(int(row.total))}"
        for row in await connection.execute(_unlike(LOTS, LOTS.c.remaining, entered))
    ]
    return wrong + [
        f"{row.member_id} of {row.merchant_id} has {to_points(row.balance)} {row.currency}, "
        f"the lots make {to_points(int(row.total))}"
        for row in await connection.execute(_unlike(ACCOUNTS, ACCOUNTS.c.balance, held))
    ]


def _sums(amount: Any, keys: dict[str, Any]) -> Subquery:
    named = (column.label(name) for name, column in keys.items())
    return select(*named, func.sum(amount).label("total")).group_by(*keys.values()).subquery()


def _unlike(table: Any, amount: Any, sums: Subquery) -> Select[Any]:
    """The rows whose amount is not their sum, with it; what has none makes 0."""
    total = func.coalesce(sums.c.total, 0)
    same = and_(*(sums.c[key.name] == key for key in table.primary_key))
    return select(table, total.label("total")).outerjoin(sums, same).where(amount != total)
