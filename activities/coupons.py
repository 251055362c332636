"""Coupons: drops, who holds them, and what became of each. [WACA-37, WACA-38]"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Row, Update, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.coupon_holders import Added, Holder, HolderPage
from activities.coupon_rows import (
    COUPONS,
    DROPS,
    KeptDrop,
    held,
    inserting,
    read_drop,
    state_of,
    with_drop,
)
from activities.database import aware, reading, writing
from activities.members import GROUPS, MEMBERS
from activities.merchants import Merchants, UnknownMerchantError
from activities.message_rows import MESSAGES
from models.coupon import CouponDrop, CouponState, HeldCoupon
from models.drop_state import ISSUED, DropBegun, DropChange, drop_rules
from models.ids import coupon_workflow_id, notice_key
from models.notices import Kind
from models.timing import local_day

PAGE = 2_000
"""So many holders are written in one transaction."""
FIXED = ("issue_on", "usable_from", "branch_id")
"""What a drop keeps for life; its last day moves by `extend`."""


class CouponError(ValueError):
    """What cannot be done with a coupon; the message says why, and how to mend it."""


class Coupons:
    """The coupons of all merchants. Every change is made once, whoever tells of it at the same time."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._merchants = Merchants(engine)

    async def keep(self, drop: CouponDrop, now: datetime) -> bool:
        """Keep a drop; answers whether that changed anything. Of a known one only the name may change."""
        columns = {name: getattr(drop, name) for name in ("name", "issue_on", "usable_from", "usable_to")}
        whole = {**_key(drop), **columns, "branch_id": drop.branch_id, "updated_at": now, "revoked_at": None}
        async with writing(self._engine) as connection:
            if (await connection.execute(inserting(connection, DROPS), whole)).rowcount:
                return True
            known = await _known_drop(connection, drop.merchant_id, drop.drop_id)
            _must_agree(known.drop, drop)
            if known.drop.name == drop.name:
                return False
            await connection.execute(_drop_update(drop).values(name=drop.name, updated_at=now))
        return True

    async def drop(self, merchant_id: str, drop_id: str) -> KeptDrop:
        """The drop as it stands; CouponError when there is none of that id."""
        async with reading(self._engine) as connection:
            return await _known_drop(connection, merchant_id, drop_id)

    async def add(self, drop: CouponDrop, holders: Iterable[Holder], now: datetime) -> Added:
        """Give members the coupon: one or a million. Who holds it already keeps it as it is.

        A page at a time, each in its own transaction: broken off and told again, nothing is lost or doubled.
        """
        added, remaining = Added(), iter(holders)
        while page := list(islice(remaining, PAGE)):
            added += await self.add_page(drop, page, now)
        return added

    async def add_page(self, drop: CouponDrop, page: Sequence[Holder], now: datetime) -> Added:
        """Some thousands of holders, in one transaction."""
        merchant = await self._merchants.get(drop.merchant_id)
        async with writing(self._engine) as connection:
            kept = await _known_drop(connection, drop.merchant_id, drop.drop_id)
            _must_be_open(kept, local_day(now, merchant.zone_of(kept.drop.branch_id)))
            return await HolderPage(connection, kept.drop, page, now.astimezone(UTC)).add()

    async def add_members(self, drop: CouponDrop, now: datetime, *, group: str = "") -> Added:
        """Give it to every member, or to those of a group."""
        added, after = Added(), ""
        while ids := await self._members_after(drop.merchant_id, group, after):
            added += await self.add_page(drop, [Holder(member_id) for member_id in ids], now)
            after = ids[-1]
        return added

    async def redeem(
        self, merchant_id: str, code: str, event_id: str, at: datetime, now: datetime
    ) -> HeldCoupon:
        """Use a coupon, once. Told again under the same event id it answers the same.

        `now` is when we are told: what we are told of did not happen later. CouponError when it is none, or
        was used or revoked before, or on a day that is none of its days by the shop's clock.
        """
        merchant, at = await self._merchants.get(merchant_id), min(at, now)
        async with writing(self._engine) as connection:
            row = await _by_code(connection, merchant_id, code)
            if row.event_id == event_id and row.state == CouponState.REDEEMED:
                return held(row)
            if why := _not_redeemable(row, local_day(at, merchant.zone_of(row.branch_id))):
                raise CouponError(why)
            await _change(connection, row, CouponState.REDEEMED, event_id, at)
            return replace(held(row), state=CouponState.REDEEMED)

    async def revoke(self, drop: CouponDrop, member_id: str, event_id: str, at: datetime) -> HeldCoupon:
        """Take one member's coupon back. What is revoked stays so; what was redeemed cannot be."""
        query = with_drop().where(
            COUPONS.c.merchant_id == drop.merchant_id,
            COUPONS.c.drop_id == drop.drop_id,
            COUPONS.c.member_id == member_id,
        )
        async with writing(self._engine) as connection:
            row = (await connection.execute(query.with_for_update(of=COUPONS))).one_or_none()
            if row is None:
                raise CouponError(f"member: {member_id!r} holds no coupon of the drop {drop.drop_id!r}")
            if row.state == CouponState.REDEEMED:
                raise CouponError(f"coupon {row.code} cannot be revoked: {_when_redeemed(row)}")
            if row.state == CouponState.ISSUED:
                await _change(connection, row, CouponState.REVOKED, event_id, at)
            return replace(held(row), state=CouponState.REVOKED)

    async def untold(self, merchant_id: str, member_id: str) -> list[HeldCoupon]:
        """The coupons that a member can use and has no message of yet."""
        async with reading(self._engine) as connection:
            held = await held_by(connection, merchant_id, member_id)
            keys = {_issued_key(one): one for one in held if one.state is CouponState.ISSUED}
            told = select(MESSAGES.c.notice_key).where(MESSAGES.c.notice_key.in_(keys))
            known = set((await connection.execute(told)).scalars()) if keys else set()
        return [one for key, one in keys.items() if key not in known]

    @activity.defn
    async def begin_drop(self, drop: CouponDrop) -> DropBegun:
        """Keep a drop whose lifecycle begins. What is kept of it already, such as its last day, stands.

        An unknown merchant is no reason to lose a drop: it waits until the merchant is applied.
        """
        try:
            merchant = await self._merchants.get(drop.merchant_id)
        except UnknownMerchantError as error:
            raise ApplicationError(str(error), type="UnknownMerchant") from None
        with suppress(CouponError):
            await self.keep(drop, activity.info().started_time)
        kept = await self.drop(drop.merchant_id, drop.drop_id)
        holders = sum((await self.tally(drop.merchant_id, drop.drop_id)).values())
        rules = drop_rules(merchant, kept.drop.branch_id)
        return DropBegun(kept.drop, rules, holders, revoked=kept.revoked_at is not None)

    @activity.defn
    async def channels_of(self, drop: CouponDrop) -> tuple[str, ...]:
        """By which channels the merchant tells of coupons now."""
        try:
            merchant = await self._merchants.get(drop.merchant_id)
        except UnknownMerchantError as error:
            raise ApplicationError(str(error), type="UnknownMerchant") from None
        return drop_rules(merchant, drop.branch_id).channels

    @activity.defn
    async def write_drop(self, change: DropChange) -> None:
        """Write down what was granted: the last day of use, or that all of it is revoked."""
        now = activity.info().started_time
        values: dict[str, Any] = {"usable_to": change.drop.usable_to, "updated_at": now}
        async with writing(self._engine) as connection:
            await connection.execute(_drop_update(change.drop).values(values))
            if change.revoked:
                fresh = _drop_update(change.drop).where(DROPS.c.revoked_at.is_(None))
                await connection.execute(fresh.values(revoked_at=now))

    async def tally(self, merchant_id: str, drop_id: str) -> dict[CouponState, int]:
        """How many coupons of a drop are in each state."""
        query = (
            select(COUPONS.c.state, func.count().label("many"))
            .where(COUPONS.c.merchant_id == merchant_id, COUPONS.c.drop_id == drop_id)
            .group_by(COUPONS.c.state)
        )
        async with reading(self._engine) as connection:
            kept = await _known_drop(connection, merchant_id, drop_id)
            rows = (await connection.execute(query)).all()
        found = dict.fromkeys(CouponState, 0)
        for row in rows:
            state = CouponState(row.state)
            if kept.revoked_at and state is CouponState.ISSUED:
                state = CouponState.REVOKED
            found[state] += row.many
        return found

    async def _members_after(self, merchant_id: str, group: str, after: str) -> list[str]:
        rows = GROUPS if group else MEMBERS
        query = select(rows.c.member_id).where(rows.c.merchant_id == merchant_id, rows.c.member_id > after)
        if group:
            query = query.where(GROUPS.c.group_id == group)
        async with reading(self._engine) as connection:
            return list((await connection.execute(query.order_by(rows.c.member_id).limit(PAGE))).scalars())


async def holders_of(engine: AsyncEngine, merchant_id: str, drop_id: str, limit: int) -> list[str]:
    """The members who hold a coupon of the drop, so many at the most."""
    query = select(COUPONS.c.member_id).where(
        COUPONS.c.merchant_id == merchant_id, COUPONS.c.drop_id == drop_id
    )
    async with reading(engine) as connection:
        return list((await connection.execute(query.limit(limit))).scalars())


async def held_by(connection: AsyncConnection, merchant_id: str, member_id: str) -> tuple[HeldCoupon, ...]:
    """The coupons of one member, the first to end first."""
    query = with_drop().where(COUPONS.c.merchant_id == merchant_id, COUPONS.c.member_id == member_id)
    rows = await connection.execute(query.order_by(DROPS.c.usable_to, COUPONS.c.drop_id))
    return tuple(held(row) for row in rows)


def _key(drop: CouponDrop) -> dict[str, str]:
    return {"merchant_id": drop.merchant_id, "drop_id": drop.drop_id}


def _issued_key(held: HeldCoupon) -> str:
    """The notice that tells its holder of it."""
    lifecycle = coupon_workflow_id(held.drop.merchant_id, held.drop.drop_id)
    return notice_key(lifecycle, Kind.COUPON_ISSUED, ISSUED, held.member_id)


def _drop_update(drop: CouponDrop) -> Update:
    return update(DROPS).where(DROPS.c.merchant_id == drop.merchant_id, DROPS.c.drop_id == drop.drop_id)


async def _known_drop(connection: AsyncConnection, merchant_id: str, drop_id: str) -> KeptDrop:
    kept = await read_drop(connection, merchant_id, drop_id)
    if kept is None:
        raise CouponError(
            f"drop {merchant_id}/{drop_id} is not known: make it with `carillon coupon drop FILE`"
        )
    return kept


def _must_agree(kept: CouponDrop, told: CouponDrop) -> None:
    for name in FIXED:
        was, now = getattr(kept, name), getattr(told, name)
        if was != now:
            raise CouponError(f"{name}: {str(now)!r} was {str(was)!r} before and stays so: make another drop")
    if kept.usable_to != told.usable_to:
        mend = f"`carillon coupon extend {kept.merchant_id}/{kept.drop_id} {told.usable_to}`"
        raise CouponError(f"usable_to: {str(told.usable_to)!r} is {kept.usable_to} here: move it by {mend}")


def _must_be_open(kept: KeptDrop, today: date) -> None:
    if kept.revoked_at is not None:
        raise CouponError(f"drop {kept.drop.drop_id!r} is revoked: nobody can be given its coupon any more")
    if today > kept.drop.usable_to:
        raise CouponError(f"drop {kept.drop.drop_id!r} is over: its last day was {kept.drop.usable_to}")


async def _by_code(connection: AsyncConnection, merchant_id: str, code: str) -> Row[Any]:
    """The coupon of that code, locked; typed in small letters too."""
    spellings = sorted({code, code.strip().upper()})
    query = with_drop().where(COUPONS.c.merchant_id == merchant_id, COUPONS.c.code.in_(spellings))
    rows: Sequence[Row[Any]] = (await connection.execute(query.with_for_update(of=COUPONS))).all()
    if not rows:
        raise CouponError(f"code: {code!r} is no coupon of {merchant_id}")
    exact: list[Row[Any]] = [row for row in rows if row.code == code]
    return (exact or rows)[0]


def _not_redeemable(row: Row[Any], day: date) -> str:
    """Why it cannot be used on that day, or an empty string."""
    match state_of(row):
        case CouponState.REDEEMED:
            return f"coupon {row.code} cannot be used: {_when_redeemed(row)}"
        case CouponState.REVOKED:
            return f"coupon {row.code} cannot be used: it was revoked"
    if day < row.usable_from:
        return f"coupon {row.code} cannot be used on {day}: it can be from {row.usable_from} on"
    if day > row.usable_to:
        return f"coupon {row.code} cannot be used on {day}: its last day was {row.usable_to}"
    return ""


def _when_redeemed(row: Row[Any]) -> str:
    return f"it was redeemed at {aware(row.changed_at):%Y-%m-%d %H:%M} UTC"


async def _change(
    connection: AsyncConnection, row: Row[Any], state: CouponState, event_id: str, at: datetime
) -> None:
    """The row is locked: nobody else changes it meanwhile."""
    await connection.execute(
        update(COUPONS)
        .where(
            COUPONS.c.merchant_id == row.merchant_id,
            COUPONS.c.drop_id == row.drop_id,
            COUPONS.c.member_id == row.member_id,
            COUPONS.c.state == CouponState.ISSUED,
        )
        .values(state=state.value, changed_at=at.astimezone(UTC), event_id=event_id)
    )
