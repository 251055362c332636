"""Giving bonuses: one lot for each event. [LOY-11, LOY-81]"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.bonus_books import (
    LOTS,
    BonusBooks,
    about,
    another_event,
    chunks,
    insert_new,
    lock,
    units_of,
)
from activities.database import aware
from models.bonus import Accrual, Accrued, BonusError, EntryKind, Refused
from models.credits import to_points

Key = tuple[str, str]
"""An event and a currency."""


async def accrue_all(
    connection: AsyncConnection, merchant_id: str, accruals: Sequence[Accrual], now: datetime
) -> list[Accrued | Refused]:
    """Give bonuses to many; the answers are in the same order."""
    asked = [_lot_row(merchant_id, accrual, now) for accrual in accruals]
    rows = [row for row in asked if not isinstance(row, Refused)]
    if rows:
        await lock(connection, merchant_id, [(row["member_id"], row["currency"]) for row in rows], make=True)
        await _begin(connection, merchant_id, rows)
    known = await _lots_of(connection, merchant_id, sorted({row["event_id"] for row in rows}))
    return [
        row if isinstance(row, Refused) else _answer(accrual, row, known[_key(row)])
        for accrual, row in zip(accruals, asked, strict=True)
    ]


async def _begin(connection: AsyncConnection, merchant_id: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the lots of those events that are new."""
    firsts = {_key(row): row for row in reversed(rows)}
    columns = (LOTS.c.id, LOTS.c.event_id, LOTS.c.currency)
    new = insert_new(connection, LOTS).returning(*columns)
    books = BonusBooks(connection, merchant_id)
    for lot_id, event_id, currency in await connection.execute(new, list(firsts.values())):
        row = firsts[event_id, currency]
        changed = about(EntryKind.ACCRUE, event_id, row["accrued_at"], note=row["note"])
        books.begun((row["member_id"], currency), lot_id, row["amount"], changed)
    await books.write()


async def _lots_of(
    connection: AsyncConnection, merchant_id: str, event_ids: Sequence[str]
) -> dict[Key, Row[Any]]:
    query = select(LOTS).where(LOTS.c.merchant_id == merchant_id, LOTS.c.kind == EntryKind.ACCRUE)
    found = {}
    for some in chunks(event_ids):
        for row in await connection.execute(query.where(LOTS.c.event_id.in_(some))):
            found[row.event_id, row.currency] = row
    return found


def _lot_row(merchant_id: str, accrual: Accrual, now: datetime) -> dict[str, Any] | Refused:
    at = min(accrual.at, now)
    begins = accrual.active_from or at
    try:
        units = units_of(accrual.amount)
    except BonusError as error:
        return Refused(accrual.event_id, str(error))
    if accrual.expires_at is not None and accrual.expires_at <= begins:
        why = f"{accrual.expires_at.isoformat()} is not after {begins.isoformat()}, when they begin"
        return Refused(accrual.event_id, f"expires_at: {why}: give a later moment, or none")
    return {
        "merchant_id": merchant_id,
        "member_id": accrual.member_id,
        "currency": accrual.currency,
        "kind": EntryKind.ACCRUE,
        "event_id": accrual.event_id,
        "amount": units,
        "remaining": units,
        "accrued_at": at,
        "active_from": begins,
        "expires_at": accrual.expires_at,
        "note": accrual.note,
    }


def _answer(accrual: Accrual, row: dict[str, Any], known: Row[Any]) -> Accrued | Refused:
    if (row["member_id"], row["amount"]) != (known.member_id, known.amount):
        return Refused(known.event_id, another_event(known.event_id))
    begins, happened = aware(known.active_from), aware(known.accrued_at)
    ends = aware(known.expires_at) if known.expires_at is not None else None
    # Told again without a beginning it is the same beginning: that of its event, however late it is told.
    if (accrual.active_from or happened, accrual.expires_at) != (begins, ends):
        kept = f"from {begins.isoformat()} " + (f"until {ends.isoformat()}" if ends else "for ever")
        why = f"event_id: {known.event_id!r} is booked already, to be spent {kept}"
        return Refused(known.event_id, f"{why}: other dates need an event of their own")
    return Accrued(known.event_id, known.member_id, known.id, to_points(known.amount))


def _key(row: dict[str, Any]) -> Key:
    return row["event_id"], row["currency"]
