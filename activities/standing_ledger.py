"""What is left in points and quotas for SMS that want to go. Only read: it is reserved with the claim."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.ledger_books import ACCOUNTS, ENTRIES, QUOTA_ENTRIES, QUOTAS
from models.channels import SMS
from models.credits import EntryKind, Pool, Quota, quota_month, to_points
from models.ids import message_reference
from models.merchant import Merchant
from policies.proposal import Proposal

CHUNK = 500
"""So many values in one list of a query."""
LONGEST = 255
"""An SMS has no more segments than this: whoever has the points for it has enough for any."""

T = TypeVar("T")
Room = tuple[str, str, str]
"""A merchant, a branch, a month."""


@dataclass(frozen=True)
class Left:
    """None where nothing is counted, or where this message has paid already."""

    quota: int | None = None
    credits: Decimal | None = None


async def left_for(connection: AsyncConnection, proposals: Sequence[Proposal]) -> dict[int, Left]:
    """By the place of the proposal: what is left for it.

    A message that an earlier attempt has paid for is not asked to pay again, whatever is left.
    """
    counted = {n: p for n, p in enumerate(proposals) if p.channel == SMS and _is_counted(p.merchant)}
    if not counted:
        return {}
    points = await _points(connection, {p.merchant.id for p in counted.values() if p.merchant.charged()})
    rooms = {n: _room(p) for n, p in counted.items() if p.merchant.quota.monthly is not None}
    used = await _quotas(connection, set(rooms.values()))
    left = {
        n: Left(
            quota=_quota(p, rooms[n], used) if n in rooms else None,
            credits=points.get(p.merchant.id, Decimal(0)) if p.merchant.charged() else None,
        )
        for n, p in counted.items()
    }
    scarce = {n: message_reference(p.notice.key, SMS) for n, p in counted.items() if _scarce(p, left[n])}
    paid = await _paid(connection, {(counted[n].merchant.id, ref) for n, ref in scarce.items()})
    for n, reference in scarce.items():
        if (counted[n].merchant.id, reference) in paid:
            left[n] = Left()
    return left


def _is_counted(merchant: Merchant) -> bool:
    return merchant.charged() or merchant.quota.monthly is not None


def _scarce(proposal: Proposal, left: Left) -> bool:
    price = proposal.merchant.credits.price
    enough = LONGEST * max(price.domestic, price.foreign)
    return left.quota == 0 or (left.credits is not None and left.credits < enough)


def _room(proposal: Proposal) -> Room:
    merchant, branch_id = proposal.merchant, proposal.branch_id
    return merchant.id, branch_id, quota_month(proposal.now, merchant.zone_of(branch_id))


def _quota(proposal: Proposal, room: Room, used: Mapping[Room, tuple[int, int]]) -> int | None:
    _, branch_id, month = room
    return Quota(branch_id, month, proposal.merchant.quota.monthly, *used.get(room, (0, 0))).left


async def _points(connection: AsyncConnection, merchants: Collection[str]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for some in _pieces(merchants):
        query = select(ACCOUNTS.c.merchant_id, ACCOUNTS.c.balance).where(
            ACCOUNTS.c.merchant_id.in_(some), ACCOUNTS.c.pool == Pool.SMS
        )
        found |= {row.merchant_id: to_points(row.balance) for row in await connection.execute(query)}
    return found


async def _quotas(connection: AsyncConnection, rooms: Collection[Room]) -> dict[Room, tuple[int, int]]:
    """What was added and what is used, of those that there are."""
    found: dict[Room, tuple[int, int]] = {}
    key = (QUOTAS.c.merchant_id, QUOTAS.c.branch_id, QUOTAS.c.month)
    for some in _pieces(rooms):
        query = select(*key, QUOTAS.c.topup, QUOTAS.c.used).where(tuple_(*key).in_(some))
        for row in await connection.execute(query):
            found[row.merchant_id, row.branch_id, row.month] = (row.topup, row.used)
    return found


async def _paid(connection: AsyncConnection, references: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those for which something is reserved, and was not given back."""
    paid: set[tuple[str, str]] = set()
    for some in _pieces(references):
        for table in (ENTRIES, QUOTA_ENTRIES):
            key = (table.c.merchant_id, table.c.reference)
            query = (
                select(*key)
                .where(
                    table.c.merchant_id.in_(sorted({merchant_id for merchant_id, _ in some})),
                    table.c.reference.in_([reference for _, reference in some]),
                    table.c.kind.in_((EntryKind.RESERVE, EntryKind.REFUND)),
                )
                .group_by(*key)
                .having(func.max(table.c.kind) == func.min(table.c.kind))
                .having(func.max(table.c.kind) == EntryKind.RESERVE)
            )
            paid |= {(row.merchant_id, row.reference) for row in await connection.execute(query)}
    return paid


def _pieces(values: Collection[T]) -> list[list[T]]:
    ordered = sorted(values)  # type: ignore[type-var]
    return [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]
