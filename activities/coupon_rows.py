"""The rows of coupons: drops and who holds them, read and written in a transaction of the caller's."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.database import aware
from models.coupon import CouponDrop, CouponState, HeldCoupon
from models.tables.coupons import CouponDropRow, CouponRow

DROPS = CouponDropRow.__table__  # type: ignore[attr-defined]
COUPONS = CouponRow.__table__  # type: ignore[attr-defined]

CHUNK = 500
"""So many ids in one list of a query."""
CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""None that is taken for another when it is read out or typed: no 0 and O, no 1, I and L, no U beside V."""
CODE_LENGTH = 10
"""30 to the tenth: nobody finds one by trying."""
_FAIR = 256 - 256 % len(CODE_LETTERS)
"""A byte below this falls on each letter as often as on any other."""


@dataclass(frozen=True)
class KeptDrop:
    """A drop as it is kept. `revoked_at`: since when nothing of it can be redeemed any more."""

    drop: CouponDrop
    revoked_at: datetime | None = None


def made_code() -> str:
    """A code that nobody guesses and nobody misreads."""
    while True:
        fair = [byte for byte in secrets.token_bytes(2 * CODE_LENGTH) if byte < _FAIR][:CODE_LENGTH]
        if len(fair) == CODE_LENGTH:
            return "".join(CODE_LETTERS[byte % len(CODE_LETTERS)] for byte in fair)


async def read_drop(connection: AsyncConnection, merchant_id: str, drop_id: str) -> KeptDrop | None:
    """The drop, where there is one."""
    query = select(DROPS).where(DROPS.c.merchant_id == merchant_id, DROPS.c.drop_id == drop_id)
    row = (await connection.execute(query)).one_or_none()
    return KeptDrop(drop_of(row), aware(row.revoked_at) if row.revoked_at else None) if row else None


def inserting(connection: AsyncConnection, rows: Any) -> Any:
    """An insert that leaves alone what is there already, in the words of either database."""
    insert = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    return insert(rows).on_conflict_do_nothing()


async def codes_of(
    connection: AsyncConnection, merchant_id: str, drop_id: str, member_ids: Sequence[str]
) -> dict[str, tuple[str, datetime]]:
    """Of those of these who hold the coupon: its code, and since when."""
    query = select(COUPONS.c.member_id, COUPONS.c.code, COUPONS.c.added_at).where(
        COUPONS.c.merchant_id == merchant_id, COUPONS.c.drop_id == drop_id
    )
    found = {}
    for ids in chunks(member_ids):
        for row in await connection.execute(query.where(COUPONS.c.member_id.in_(ids))):
            found[row.member_id] = (row.code, aware(row.added_at))
    return found


async def insert_coupons(
    connection: AsyncConnection, drop: CouponDrop, codes: Mapping[str, str], now: datetime
) -> None:
    """Give these members a coupon with that code, where they have none and the code is free."""
    common = {
        "merchant_id": drop.merchant_id,
        "drop_id": drop.drop_id,
        "state": CouponState.ISSUED.value,
        "added_at": now,
        "changed_at": now,
        "event_id": "",
    }
    # In the order of their ids, so that nobody waits in a ring.
    rows = [{**common, "member_id": member_id, "code": codes[member_id]} for member_id in sorted(codes)]
    if rows:
        await connection.execute(inserting(connection, COUPONS), rows)


async def hold_from(connection: AsyncConnection, merchant_id: str, member_id: str, now: datetime) -> None:
    """Somebody who was given coupons is a member from now on: until then nobody could tell of them."""
    await connection.execute(
        update(COUPONS)
        .where(COUPONS.c.merchant_id == merchant_id, COUPONS.c.member_id == member_id)
        .where(COUPONS.c.state == CouponState.ISSUED, COUPONS.c.added_at < now)
        .values(added_at=now)
    )


def with_drop() -> Select[Any]:
    """Coupons, each with the columns of its drop."""
    of_drop = [DROPS.c[name] for name in ("name", "issue_on", "usable_from", "usable_to", "branch_id")]
    same_drop = (DROPS.c.merchant_id == COUPONS.c.merchant_id) & (DROPS.c.drop_id == COUPONS.c.drop_id)
    of_drop += [DROPS.c.revoked_at, DROPS.c.updated_at]
    return select(*COUPONS.c, *of_drop).join_from(COUPONS, DROPS, same_drop)


def drop_of(row: Row[Any]) -> CouponDrop:
    return CouponDrop(
        row.merchant_id, row.drop_id, row.name, row.issue_on, row.usable_from, row.usable_to, row.branch_id
    )


def held(row: Row[Any]) -> HeldCoupon:
    """The coupon in a row of `with_drop`."""
    added_at, changed_at = aware(row.added_at), aware(row.updated_at)
    return HeldCoupon(drop_of(row), row.code, state_of(row), added_at, row.member_id, changed_at)


def state_of(row: Row[Any]) -> CouponState:
    """A revoked drop takes along what is not redeemed."""
    state = CouponState(row.state)
    return CouponState.REVOKED if row.revoked_at and state is CouponState.ISSUED else state


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
