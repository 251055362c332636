"""What a merchant does with points and quotas: top up, convert, use otherwise, look.

All of it works in a transaction of the caller's. Each change carries a reference: told twice it is booked
once, and told otherwise it is refused.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.ledger_books import (
    ACCOUNTS,
    ENTRIES,
    QUOTA_ENTRIES,
    QUOTAS,
    Books,
    LedgerError,
    QuotaKey,
    Room,
    open_books,
)
from models.credits import (
    MOST,
    MOST_MESSAGES,
    UNITS,
    EntryKind,
    OtherUse,
    Pool,
    Quota,
    armed_after_topup,
    quota_month,
    to_points,
    to_units,
)
from models.merchant import Merchant


@dataclass(frozen=True)
class Balance:
    """A merchant's points. `armed`: a shortage of SMS points would be told."""

    shop: Decimal = Decimal(0)
    sms: Decimal = Decimal(0)
    armed: bool = True


async def topup(
    connection: AsyncConnection,
    merchant: Merchant,
    pool: Pool,
    points: Decimal,
    reference: str,
    now: datetime,
    note: str = "",
) -> Balance:
    """Points that were bought. [WACA-25]"""
    books = await open_books(connection, merchant.id, now)
    await _in(books, merchant, pool, EntryKind.TOPUP, _some(points), reference, note)
    await books.write()
    return _balance(books)


async def convert(
    connection: AsyncConnection, merchant: Merchant, points: Decimal, reference: str, now: datetime
) -> Balance:
    """Turn points of the shop into as many SMS points; LedgerError where there are too few. [WACA-27]"""
    books = await open_books(connection, merchant.id, now)
    units = _some(points)
    if await _out(books, EntryKind.CONVERT_OUT, units, reference, ""):
        await _in(books, merchant, Pool.SMS, EntryKind.CONVERT_IN, units, reference, "")
    await books.write()
    return _balance(books)


async def spend_other(
    connection: AsyncConnection,
    merchant_id: str,
    use: OtherUse,
    points: Decimal,
    reference: str,
    now: datetime,
) -> Balance:
    """Points of the shop for what else they pay for; LedgerError where there are too few. [WACA-26]"""
    books = await open_books(connection, merchant_id, now)
    await _out(books, EntryKind.OTHER_USE, _some(points), reference, use)
    await books.write()
    return _balance(books)


async def topup_quota(
    connection: AsyncConnection,
    merchant: Merchant,
    key: QuotaKey,
    messages: int,
    reference: str,
    now: datetime,
) -> Quota:
    """More room in the quota of one branch for one month; the allowance of one that is over stays. [LS-20]

    LedgerError where there is nothing to add to, or it would be more than anybody sends.
    """
    if merchant.quota.monthly is None:
        raise LedgerError(f"quota.monthly: merchant {merchant.id!r} has no quota: there is nothing to add to")
    if messages < 1:
        raise LedgerError(f"messages: {messages} adds nothing: write a whole number of 1 or more")
    if messages > MOST_MESSAGES:
        raise LedgerError(f"messages: {messages} is out of range: write a number from 1 to {MOST_MESSAGES}")
    books = await open_books(connection, merchant.id, now)
    await books.open_quotas([key], None if _over(merchant, key, now) else merchant.quota.monthly)
    room = books.rooms.setdefault(key, Room(merchant.quota.monthly))
    known = await books.booked(QUOTA_ENTRIES, reference, EntryKind.TOPUP)
    if known is None:
        if room.topup + messages > MOST_MESSAGES:
            bought = f"with the {room.topup} bought before they are more than {MOST_MESSAGES}"
            raise LedgerError(f"messages: {bought}: write at most {MOST_MESSAGES - room.topup}")
        books.use(key, EntryKind.TOPUP, messages, reference)
    elif (known.branch_id, known.month, known.amount) != (*key, messages):
        raise _another(reference)
    await books.write()
    return Quota(*key, room.allowance, room.topup, room.used)


async def balance(connection: AsyncConnection, merchant_id: str) -> Balance:
    """What is left."""
    rows = (await connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.merchant_id == merchant_id))).all()
    points = {row.pool: to_points(row.balance) for row in rows}
    armed = all(row.alert_armed for row in rows if row.pool == Pool.SMS)
    return Balance(points.get(Pool.SHOP, Decimal(0)), points.get(Pool.SMS, Decimal(0)), armed)


async def quota(connection: AsyncConnection, merchant: Merchant, key: QuotaKey, now: datetime) -> Quota:
    """Used and left of one branch in one month, by the policy as it stands. [LS-22]

    Of a month that is over by the allowance that it had, where anything was sent or bought in it.
    """
    query = select(QUOTAS).where(
        QUOTAS.c.merchant_id == merchant.id, QUOTAS.c.branch_id == key[0], QUOTAS.c.month == key[1]
    )
    row = (await connection.execute(query)).one_or_none()
    topup, used = (row.topup, row.used) if row is not None else (0, 0)
    own = row.allowance if row is not None and _over(merchant, key, now) else merchant.quota.monthly
    return Quota(*key, own, topup, used)


async def entries(connection: AsyncConnection, merchant_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """What moved the points of both pools, the newest first."""
    query = (
        select(ENTRIES).where(ENTRIES.c.merchant_id == merchant_id).order_by(ENTRIES.c.id.desc()).limit(limit)
    )
    rows = (await connection.execute(query)).mappings().all()
    return [
        {
            **{name: row[name] for name in ("pool", "kind", "reference", "at", "note")},
            "points": to_points(row["amount"]),
            "left": to_points(row["balance_after"]),
        }
        for row in rows
    ]


async def differences(connection: AsyncConnection) -> list[str]:
    """Accounts and quotas that are not the sum of their entries: a sentence each, and never any."""
    found = []
    booked = func.coalesce(func.sum(ENTRIES.c.amount), 0)
    same = (ENTRIES.c.merchant_id == ACCOUNTS.c.merchant_id) & (ENTRIES.c.pool == ACCOUNTS.c.pool)
    query = select(ACCOUNTS, booked.label("booked")).outerjoin(ENTRIES, same)
    for row in await connection.execute(query.group_by(*ACCOUNTS.primary_key)):
        if row.balance != row.booked:
            whose = f"the {row.pool} points of {row.merchant_id}"
            found.append(
                f"{whose} are {to_points(row.balance)}, their entries make {to_points(int(row.booked))}"
            )
    booked = func.coalesce(func.sum(QUOTA_ENTRIES.c.amount), 0)
    keys = ("merchant_id", "branch_id", "month")
    matching = [QUOTA_ENTRIES.c[name] == QUOTAS.c[name] for name in keys]
    query = select(QUOTAS, booked.label("booked")).outerjoin(
        QUOTA_ENTRIES, matching[0] & matching[1] & matching[2]
    )
    for row in await connection.execute(query.group_by(*QUOTAS.primary_key)):
        if row.topup - row.used != row.booked:
            whose = f"the quota of {row.merchant_id}, branch {row.branch_id!r}, for {row.month}"
            found.append(f"{whose} is changed by {row.topup - row.used}, its entries make {row.booked}")
    return found


async def _in(
    books: Books,
    merchant: Merchant,
    pool: Pool,
    kind: EntryKind,
    units: int,
    reference: str,
    note: str,
) -> None:
    known = await books.booked(ENTRIES, reference, kind)
    if known is not None:
        if (known.pool, known.amount) != (pool, units):
            raise _another(reference)
        return
    if books.points[pool] + units >= MOST * UNITS:
        left = to_points(books.points[pool])
        raise LedgerError(f"points: with the {left} there are they come to {MOST:,f} or more: write fewer")
    books.book(pool, kind, units, reference, note)
    if pool is Pool.SMS:
        books.armed = armed_after_topup(to_points(books.points[pool]), merchant.credits, armed=books.armed)


async def _out(books: Books, kind: EntryKind, units: int, reference: str, note: str) -> bool:
    """Take points of the shop; answers False where that is done already."""
    known = await books.booked(ENTRIES, reference, kind)
    if known is not None:
        if (known.amount, known.note) != (-units, note):
            raise _another(reference)
        return False
    left = books.points[Pool.SHOP]
    if units > left:
        raise LedgerError(
            f"points: {to_points(units)} are more than the {to_points(left)} points of the shop: top up first"
        )
    books.book(Pool.SHOP, kind, -units, reference, note)
    return True


def _over(merchant: Merchant, key: QuotaKey, now: datetime) -> bool:
    """Whether that month is past, on the branch's clock."""
    return key[1] < quota_month(now, merchant.zone_of(key[0]))


def _some(points: Decimal) -> int:
    units = to_units(points)
    if units <= 0:
        raise LedgerError(f"points: {points} is not more than nothing: write a number above 0")
    return units


def _another(reference: str) -> LedgerError:
    return LedgerError(
        f"reference: {reference!r} names something else that is booked already: give each event its own"
    )


def _balance(books: Books) -> Balance:
    return Balance(to_points(books.points[Pool.SHOP]), to_points(books.points[Pool.SMS]), books.armed)
