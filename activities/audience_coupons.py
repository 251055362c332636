"""The holders of a coupon who are to hear that they have it, or that it ends. [WACA-37, WACA-38]

Asked at the moment of sending: who has redeemed it by then, or whose coupon is revoked, is not in it.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.audience import Chosen
from activities.bulk import all_rows, among
from activities.coupon_rows import COUPONS, DROPS, read_drop
from activities.database import aware
from activities.members import read_people
from activities.message_rows import MESSAGES
from models.coupon import CouponDrop, CouponState
from models.coupon_agenda import Telling, expiring_telling, issued_telling
from models.ids import notice_key
from models.member_content import CouponView, MemberContent
from models.member_policy import CouponPolicy
from models.merchant import Merchant
from models.notices import Kind
from models.wave import Wave

Rule = Callable[[CouponDrop, CouponPolicy, str, datetime | None], Telling | None]
"""When a holder added at that instant is told, if at all."""


class CouponHolders:
    """Those who hold a coupon of the drop that the parameter `drop` names, and may use it still.

    `since`, an instant: only those added from then on, who had not been told when the wave was due.
    `last_day`: nobody, once it was moved to another.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def who(self, wave: Wave, merchant: Merchant, now: datetime) -> Select[tuple[str]]:  # noqa: ARG002
        """Their ids. Whether each of them is told is decided by its page."""
        return select(COUPONS.c.member_id).where(_open(wave))

    def overlaps(self, wave: Wave) -> bool:
        """Those given it later may be told by any wave to later holders. Of a last day there is one wave."""
        return wave.kind is Kind.COUPON_ISSUED

    async def read(
        self,
        connection: AsyncConnection,
        wave: Wave,
        merchant: Merchant,
        member_ids: Sequence[str],
        now: datetime,  # noqa: ARG002
    ) -> list[Chosen]:
        """What is told to these: their code, and the drop as it stands now."""
        kept = await read_drop(connection, wave.merchant_id, wave.audience.parameters["drop"])
        if kept is None or wave.audience.parameters.get("last_day") not in (None, str(kept.drop.usable_to)):
            return []
        drop, zone = kept.drop, merchant.zone_of(kept.drop.branch_id)
        query = select(COUPONS.c.member_id, COUPONS.c.code, COUPONS.c.added_at).where(
            _open(wave), among(connection.dialect, COUPONS.c.member_id, member_ids)
        )
        coupons = {member_id: (code, at) for member_id, code, at in await all_rows(connection, query)}
        people = await read_people(connection, wave.merchant_id, sorted(coupons))
        # Those who were given it in one go are told of it alike.
        moments = {added_at for _, added_at in coupons.values()}
        tellings = {at: self._rule(drop, merchant.coupons, zone, aware(at)) for at in moments}
        chosen = []
        for member_id, (person, branch_id) in sorted(people.items()):
            code, added_at = coupons[member_id]
            telling = tellings[added_at]
            if telling is None:
                continue
            view = CouponView(drop.name, code, drop.usable_from, drop.usable_to)
            content = MemberContent(member_id, zone, drop.branch_id or branch_id, coupon=view)
            chosen.append(Chosen(person, content, telling.not_after))
        return chosen


COUPON_SELECTIONS = {
    "coupon_issued": CouponHolders(issued_telling),
    "coupon_expiring": CouponHolders(expiring_telling),
}


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
