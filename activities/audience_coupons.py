"""The holders of a coupon who are to hear that they have it, or that it ends. [WACA-37, WACA-38]

Asked at the moment of sending: who has redeemed it by then, or whose coupon is revoked, is not in it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from typing import Any

from sqlalchemy import Select, bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.audience import Chosen
from activities.bulk import Lookup
from activities.coupon_rows import COUPONS, DROPS, read_drop
from activities.database import aware
from activities.members import MEMBERS, OF_AN_ADDRESSEE, addressee
from activities.message_rows import MESSAGES
from activities.wave_rows import read_settled
from models.coupon import CouponState
from models.coupon_agenda import Telling, expiring_telling, issued_telling, moved_of
from models.drop_state import ISSUED
from models.ids import notice_key
from models.member_content import CouponView, MemberContent
from models.merchant import Merchant
from models.notices import Kind
from models.wave import Wave

Rule = Callable[..., Telling | None]
"""Of a drop, by a policy, in a zone: when a holder added at that instant is told, if at all."""


class CouponHolders:
    """Those who hold a coupon of the drop that the parameter `drop` names, and may use it still.

    `since`, an instant: only those added from then on, who had not been told when the wave was due.
    `last_day`: nobody, once it was moved to another. `moved`: since when it is this one, for holders who had
    heard of another.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def overlaps(self, wave: Wave) -> bool:
        """Those given it later may be told by any wave to later holders. Of a last day there is one wave."""
        return wave.kind is Kind.COUPON_ISSUED

    def who(self, wave: Wave, merchant: Merchant, now: datetime) -> Select[tuple[str]]:  # noqa: ARG002
        """Their ids. Whether each of them is told is decided by its page."""
        return select(COUPONS.c.member_id).where(_open(wave))

    async def read(
        self,
        connection: AsyncConnection,
        wave: Wave,
        merchant: Merchant,
        member_ids: Sequence[str],
        now: datetime,  # noqa: ARG002
    ) -> list[Chosen]:
        """What is told to these: their code, and the drop as it stands now."""
        parameters = wave.audience.parameters
        kept = await read_drop(connection, wave.merchant_id, parameters["drop"])
        if kept is None or kept.revoked_at is not None:
            return []
        if parameters.get("last_day") not in (None, str(kept.drop.usable_to)):
            return []
        drop, zone = kept.drop, merchant.zone_of(kept.drop.branch_id)
        holders = await _holders(connection, wave, member_ids)
        # Those who were given it in one go are told of it alike.
        moments = {holder.added_at for holder in holders}
        moved = moved_of(parameters)
        rule = self._rule if moved is None else partial(self._rule, moved=moved)
        tellings = {at: rule(drop, merchant.coupons, zone, aware(at)) for at in moments}
        later = set[str]()
        if moved is not None:
            at_once = [at for at in moments if _due(tellings[at]) == moved.at]
            issued = {at: issued_telling(drop, merchant.coupons, zone, aware(at)) for at in at_once}
            news = {one.member_id: issued[one.added_at] for one in holders if one.added_at in issued}
            later = await _hear_later(connection, wave, moved.at, news)
        chosen = []
        for code, added_at, member_id, *whom in holders:
            telling = tellings[added_at]
            if telling is None or member_id in later:
                continue
            person, branch_id = addressee(member_id, *whom)
            view = CouponView(drop.name, code, drop.usable_from, drop.usable_to)
            content = MemberContent(member_id, zone, drop.branch_id or branch_id, coupon=view)
            chosen.append(Chosen(person, content, telling.not_after))
        return chosen


COUPON_SELECTIONS = {
    "coupon_issued": CouponHolders(issued_telling),
    "coupon_expiring": CouponHolders(expiring_telling),
}


async def _holders(connection: AsyncConnection, wave: Wave, member_ids: Sequence[str]) -> list[Any]:
    """Those of these whose coupon is open, in the order of their ids; the columns of `_HOLDERS`."""
    parameters = wave.audience.parameters
    of_drop = {"merchant": wave.merchant_id, "drop": parameters["drop"]}
    found = await _HOLDERS.rows(connection, {"members": member_ids}, **of_drop)
    if since := parameters.get("since"):
        # Who had been told before the wave was due is not among these ids; of what is written down since, the
        # message log sees to it that it does not go again.
        first = datetime.fromisoformat(since)
        found = [one for one in found if aware(one.added_at) >= first]
    return sorted(found, key=attrgetter("member_id"))


_HOLDERS = Lookup(
    select(COUPONS.c.code, COUPONS.c.added_at, *OF_AN_ADDRESSEE)
    .join_from(
        COUPONS,
        MEMBERS,
        (MEMBERS.c.merchant_id == COUPONS.c.merchant_id) & (MEMBERS.c.member_id == COUPONS.c.member_id),
    )
    .where(
        COUPONS.c.merchant_id == bindparam("merchant"),
        COUPONS.c.drop_id == bindparam("drop"),
        COUPONS.c.state == CouponState.ISSUED,
        MEMBERS.c.granted,
    ),
    members=COUPONS.c.member_id,
)


async def _hear_later(
    connection: AsyncConnection, wave: Wave, moved: datetime, issued: Mapping[str, Telling | None]
) -> set[str]:
    """Those of these who had not heard of the coupon when its last day was moved: they hear of the new one.

    `issued`: when each is told of it. Past the end of that time it is settled, or nobody tells it any more.
    """
    maybe = [name for name, telling in issued.items() if telling is not None and telling.not_after >= moved]
    told = replace(wave, kind=Kind.COUPON_ISSUED, subject=ISSUED)
    settled = await read_settled(connection, told, maybe) if maybe else {}
    # Of whom nothing is settled as a whole, an email is still to do in the place of the SMS.
    first = {name: min((one.at for one in by.values()), default=moved) for name, by in settled.items()}
    return set(maybe) - {name for name, at in first.items() if at < moved}


def _due(telling: Telling | None) -> datetime | None:
    return None if telling is None else telling.due


def _open(wave: Wave) -> Any:
    """Coupons of the drop that can be redeemed still, unless its day forbids it."""
    parameters = wave.audience.parameters
    drop_id = parameters["drop"]
    revoked = exists().where(
        DROPS.c.merchant_id == wave.merchant_id,
        DROPS.c.drop_id == drop_id,
        DROPS.c.revoked_at.is_not(None),
    )
    found = (
        (COUPONS.c.merchant_id == wave.merchant_id)
        & (COUPONS.c.drop_id == drop_id)
        & (COUPONS.c.state == CouponState.ISSUED)
        & ~revoked
    )
    if since := parameters.get("since"):
        told = exists().where(
            MESSAGES.c.notice_key
            == notice_key(wave.lifecycle, wave.kind, wave.subject, "") + COUPONS.c.member_id,
            MESSAGES.c.settled_at < wave.due,
        )
        found = found & (COUPONS.c.added_at >= datetime.fromisoformat(since).astimezone(UTC)) & ~told
    return found
