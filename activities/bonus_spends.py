"""Paying with bonuses, and giving back what was paid. [LOY-12]"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.bonus_books import (
    ENTRIES,
    LOTS,
    Account,
    BonusBooks,
    about,
    another_event,
    lock,
    lot,
    something_left,
    units_of,
)
from models.bonus import BonusError, EntryKind, Part, Refund, Returned, Short, Spend, Spent
from models.bonus_rules import allocate, give_back, spendable
from models.credits import to_points, to_units


async def spend(connection: AsyncConnection, merchant_id: str, wanted: Spend, now: datetime) -> Spent | Short:
    """Take all that is asked for, or nothing.

    What could be spent when it happened pays for it, as far as it is still there when we are told.
    """
    units, account = units_of(wanted.amount), (wanted.member_id, wanted.currency)
    await lock(connection, merchant_id, [account])
    known = await _booked(connection, merchant_id, account, EntryKind.SPEND, wanted.event_id)
    if known:
        if -_total(known) != units:
            raise BonusError(another_event(wanted.event_id))
        return Spent(wanted.event_id, wanted.amount, _parts(known))
    at = min(wanted.at, now)
    query = select(LOTS).where(*_of_account(LOTS, merchant_id, account), something_left())
    lots = [lot(row) for row in await connection.execute(query)]
    parts = allocate(lots, wanted.amount, at)
    if not parts:
        return _short(wanted, lots, at)
    books = BonusBooks(connection, merchant_id)
    for part in parts:
        changed = about(EntryKind.SPEND, wanted.event_id, at, note=wanted.note)
        books.change(account, part.lot_id, -to_units(part.amount), changed)
    await books.write()
    return Spent(wanted.event_id, wanted.amount, parts)


async def refund(connection: AsyncConnection, merchant_id: str, wanted: Refund, now: datetime) -> Returned:
    """Give back what a spend took, into the lots that it came from, what was taken last first.

    What comes from lots that have ended by now makes a new lot, which holds for `days` from now.
    """
    account = (wanted.member_id, wanted.currency)
    await lock(connection, merchant_id, [account])
    known = await _booked(connection, merchant_id, account, EntryKind.REFUND, wanted.event_id)
    if known:
        asked = _total(known) if wanted.amount is None else units_of(wanted.amount)
        if (known[0].of_event, _total(known)) != (wanted.of, asked):
            raise BonusError(another_event(wanted.event_id))
        return Returned(wanted.event_id, to_points(_total(known)), _parts(known))
    spent = await _booked(connection, merchant_id, account, EntryKind.SPEND, wanted.of)
    if not spent:
        raise BonusError(f"of: {wanted.of!r} is no spend of {wanted.currency} by this member: tell it first")
    before = await _given_back(connection, merchant_id, account, wanted.of)
    units = _back(wanted, -_total(spent) - before)
    parts = give_back(_parts(spent), to_points(before), to_points(units))
    parts = await _into_lots(connection, merchant_id, wanted, parts, now)
    return Returned(wanted.event_id, to_points(units), parts)


async def _into_lots(
    connection: AsyncConnection, merchant_id: str, wanted: Refund, parts: Sequence[Part], now: datetime
) -> tuple[Part, ...]:
    account, at = (wanted.member_id, wanted.currency), min(wanted.at, now)
    changed = about(EntryKind.REFUND, wanted.event_id, at, of=wanted.of, note=wanted.note)
    query = select(LOTS.c.id).where(LOTS.c.id.in_([part.lot_id for part in parts]), LOTS.c.expires_at <= now)
    ended = set((await connection.execute(query)).scalars()) if wanted.days else set()
    books = BonusBooks(connection, merchant_id)
    kept = [part for part in parts if part.lot_id not in ended]
    for part in kept:
        books.change(account, part.lot_id, to_units(part.amount), changed)
    if units := sum(to_units(part.amount) for part in parts if part.lot_id in ended):
        lot_id = await _new_lot(connection, merchant_id, wanted, units, now)
        books.begun(account, lot_id, units, changed)
        kept.append(Part(lot_id, to_points(units)))
    await books.write()
    return tuple(kept)


async def _new_lot(
    connection: AsyncConnection, merchant_id: str, wanted: Refund, units: int, now: datetime
) -> int:
    row = {
        "merchant_id": merchant_id,
        "member_id": wanted.member_id,
        "currency": wanted.currency,
        "kind": EntryKind.REFUND,
        "event_id": wanted.event_id,
        "amount": units,
        "remaining": units,
        "accrued_at": min(wanted.at, now),
        "active_from": now,
        "expires_at": now + timedelta(days=wanted.days),
        "note": wanted.note,
    }
    return int((await connection.execute(insert(LOTS).returning(LOTS.c.id), row)).scalar_one())


async def _booked(
    connection: AsyncConnection, merchant_id: str, account: Account, kind: EntryKind, event_id: str
) -> Sequence[Row[Any]]:
    """What was booked for that event; BonusError where it is an event of another member."""
    member_id, currency = account
    query = select(ENTRIES).where(
        ENTRIES.c.merchant_id == merchant_id,
        ENTRIES.c.event_id == event_id,
        ENTRIES.c.kind == kind,
        ENTRIES.c.currency == currency,
    )
    rows = (await connection.execute(query.order_by(ENTRIES.c.id))).all()
    if any(row.member_id != member_id for row in rows):
        raise BonusError(another_event(event_id))
    return rows


async def _given_back(connection: AsyncConnection, merchant_id: str, account: Account, of: str) -> int:
    query = select(func.coalesce(func.sum(ENTRIES.c.amount), 0)).where(
        *_of_account(ENTRIES, merchant_id, account),
        ENTRIES.c.kind == EntryKind.REFUND,
        ENTRIES.c.of_event == of,
    )
    return int((await connection.execute(query)).scalar_one())


def _back(wanted: Refund, left: int) -> int:
    """How much comes back; BonusError where so much is not left of the spend."""
    units = left if wanted.amount is None else units_of(wanted.amount)
    if left <= 0:
        raise BonusError(f"of: all of {wanted.of!r} was given back before: there is nothing more to give")
    if units > left:
        raise BonusError(
            f"amount: {wanted.amount} is more than the {to_points(left)} that are left of {wanted.of!r}: "
            "write so much or less, or leave it out for all of it"
        )
    return units


def _short(wanted: Spend, lots: Sequence[Any], at: datetime) -> Short:
    left = spendable(lots, at)
    reason = f"{wanted.amount} {wanted.currency} are asked for, and {left} can be spent"
    return Short(wanted.event_id, left, reason)


def _of_account(table: Any, merchant_id: str, account: Account) -> tuple[Any, ...]:
    key = (("merchant_id", merchant_id), ("member_id", account[0]), ("currency", account[1]))
    return tuple(table.c[name] == value for name, value in key)


def _total(entries: Sequence[Row[Any]]) -> int:
    return sum(entry.amount for entry in entries)


def _parts(entries: Sequence[Row[Any]]) -> tuple[Part, ...]:
    return tuple(Part(entry.lot_id, abs(to_points(entry.amount))) for entry in entries)
