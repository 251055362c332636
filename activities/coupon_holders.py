"""Members who are given a coupon, some thousands at a time: who holds it, and which codes are taken."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.coupon_rows import chunks, codes_of, insert_coupons, made_code
from activities.members import MEMBERS
from models.coupon import CouponDrop

TOLD_AGAIN = timedelta(days=1)
"""Holders given again within this are told of again: whoever wrote them may have died before telling."""


@dataclass(frozen=True)
class Holder:
    """Someone who is given a coupon; without a code one is made."""

    member_id: str
    code: str = ""


@dataclass(frozen=True)
class Refusal:
    """One who was not given the coupon: at which place among those given, from 0; why, and how to mend it."""

    place: int
    field: str
    value: str
    what: str
    mend: str


@dataclass(frozen=True)
class Added:
    """What became of holders that were given.

    `since`: holders added from this instant on may not have heard of their coupon yet.
    """

    new: int = 0
    same: int = 0
    refused: tuple[Refusal, ...] = ()
    since: datetime | None = None

    def __add__(self, later: "Added") -> "Added":
        """With the page that follows."""
        before = self.new + self.same + len(self.refused)
        refused = tuple(replace(one, place=one.place + before) for one in later.refused)
        since = min((one for one in (self.since, later.since) if one), default=None)
        return Added(self.new + later.new, self.same + later.same, (*self.refused, *refused), since)


class HolderPage:
    """A page of holders on its way into the database."""

    def __init__(
        self, connection: AsyncConnection, drop: CouponDrop, page: Sequence[Holder], now: datetime
    ) -> None:
        self._connection = connection
        self._drop = drop
        self._page = page
        self._now = now

    async def add(self) -> Added:
        """Write it; answers what became of each."""
        kept = await self._holding(sorted({holder.member_id for holder in self._page}))
        given = {holder.member_id: holder.code for holder in reversed(self._page)}
        members = await self._members(sorted(given.keys() - kept.keys()))
        fresh = {member_id: given[member_id] for member_id in members}
        new = 0
        # Almost always once: again only for a code that was made twice.
        while fresh:
            wanted = {member_id: code or made_code() for member_id, code in fresh.items()}
            await insert_coupons(self._connection, self._drop, wanted, self._now)
            found = await self._holding(list(wanted))
            new += sum(wanted[member_id] == code for member_id, (code, _) in found.items())
            kept |= found
            fresh = {name: code for name, code in fresh.items() if name not in found and not code}
        return self._answer(kept, set(members), new)

    def _answer(self, kept: dict[str, tuple[str, datetime]], members: set[str], new: int) -> Added:
        refused = tuple(
            refusal
            for place, holder in enumerate(self._page)
            if (refusal := self._refusal(place, holder, kept, members)) is not None
        )
        recent = self._now - TOLD_AGAIN
        since = min((at for _, at in kept.values() if at >= recent), default=None)
        return Added(new, len(self._page) - new - len(refused), refused, since)

    def _refusal(
        self, place: int, holder: Holder, kept: dict[str, tuple[str, datetime]], members: set[str]
    ) -> Refusal | None:
        """Why this one was not given the coupon as it was told, if so."""
        member_id, code = holder.member_id, holder.code
        if member_id in kept:
            other = kept[member_id][0]
            if not code or code == other:
                return None
            mend = f"the member holds {other}: leave the code out"
            return Refusal(place, "code", code, "is not the code that the member holds", mend)
        if member_id in members:
            return Refusal(place, "code", code, "is taken", "give each holder a code of its own, or none")
        what, mend = f"is no member of {self._drop.merchant_id}", "import the member, or mend the id"
        return Refusal(place, "member_id", member_id, what, mend)

    async def _holding(self, member_ids: Sequence[str]) -> dict[str, tuple[str, datetime]]:
        return await codes_of(self._connection, self._drop.merchant_id, self._drop.drop_id, member_ids)

    async def _members(self, member_ids: Sequence[str]) -> list[str]:
        """Those of these who are members, or will be once their phone is verified."""
        query = select(MEMBERS.c.member_id).where(MEMBERS.c.merchant_id == self._drop.merchant_id)
        found: list[str] = []
        for ids in chunks(member_ids):
            found += (await self._connection.execute(query.where(MEMBERS.c.member_id.in_(ids)))).scalars()
        return found
