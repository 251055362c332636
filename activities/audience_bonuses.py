"""Members whose bonuses are soon to become spendable, or to burn: enough to tell. [LOY-62, LOY-71]"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.audience import Chosen, Selection
from activities.bonus_accounts import balances_of
from activities.bonus_books import LOTS, chunks, something_left
from activities.members import MEMBERS, read_members
from models.bonus_rules import Window, bounds
from models.credits import UNITS, to_points
from models.member_content import BonusView, MemberContent
from models.merchant import Merchant
from models.regular_task import TaskKind
from models.timing import local_day
from models.wave import Wave

_total = func.sum(LOTS.c.remaining)


class BonusHolders:
    """Those of whom `models.bonus_rules.announced` says that the run tells them at least the minimum.

    Parameters: `currency`, `minimum`, `today` (of the run, in the merchant's zone), `days`, and `since`, the
    instant of the run before, or nothing. What was told to us after the wave's moment is for the next run.
    """

    def __init__(self, what: TaskKind) -> None:
        self._moment = LOTS.c.active_from if what is TaskKind.BONUS_ACTIVATION else LOTS.c.expires_at

    def who(self, wave: Wave, merchant: Merchant, now: datetime) -> Select[tuple[str]]:  # noqa: ARG002
        """The members whose sum reaches the minimum."""
        member = exists().where(
            MEMBERS.c.merchant_id == merchant.id, MEMBERS.c.member_id == LOTS.c.member_id, MEMBERS.c.granted
        )
        return _sums(select(LOTS.c.member_id), self._moment, wave, merchant).where(member)

    async def read(
        self,
        connection: AsyncConnection,
        wave: Wave,
        merchant: Merchant,
        member_ids: Sequence[str],
        now: datetime,
    ) -> list[Chosen]:
        """The sum to each, as it is now; nothing after the first of its bonuses has begun, or burnt."""
        # The lots are to be found by their members, not by their moments: those of a page are few.
        moment = func.coalesce(self._moment, self._moment)
        query = _sums(select(LOTS.c.member_id, _total, func.min(moment)), moment, wave, merchant)
        sums: dict[str, tuple[int, datetime]] = {}
        for some in chunks(member_ids):
            for member_id, units, first in await connection.execute(query.where(LOTS.c.member_id.in_(some))):
                sums[member_id] = int(units), first
        members = await read_members(connection, merchant.id, sorted(sums))
        balances = await balances_of(connection, merchant.id, sorted(members), now)
        chosen = []
        for member_id, member in sorted(members.items()):
            units, first = sums[member_id]
            content = MemberContent(
                member_id,
                merchant.zone,
                member.branch_id,
                bonus=_view(wave, merchant, units, first),
                balances=balances[member_id],
            )
            chosen.append(Chosen(member.person, content, not_after=first))
        return chosen


BONUS_SELECTIONS: Mapping[str, Selection] = {
    what.value: BonusHolders(what) for what in (TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN)
}


def _sums(query: Select[Any], moment: ColumnElement[datetime], wave: Wave, merchant: Merchant) -> Select[Any]:
    """The rule of `announced` in SQL, and the minimum."""
    least = Decimal(wave.audience.parameters["minimum"]) * UNITS
    units = max(1, int(least.to_integral_value(ROUND_CEILING)))
    lots = query.where(
        LOTS.c.merchant_id == merchant.id,
        LOTS.c.currency == wave.audience.parameters["currency"],
        something_left(),
        _is_news(moment, _window(wave, merchant)),
    )
    return lots.group_by(LOTS.c.member_id).having(_total >= units)


def _window(wave: Wave, merchant: Merchant) -> Window:
    parameters = wave.audience.parameters
    since = parameters.get("since")
    return Window(
        date.fromisoformat(parameters["today"]),
        int(parameters["days"]),
        merchant.zone,
        since=datetime.fromisoformat(since) if since else None,
        until=wave.due,
    )


def _is_news(moment: ColumnElement[datetime], window: Window) -> ColumnElement[bool]:
    within = bounds(window)
    found = and_(moment >= within.start, moment < within.end, LOTS.c.told_at <= within.until)
    if within.fresh is None:
        return found
    return and_(found, or_(moment >= within.fresh, LOTS.c.told_at > within.since))


def _view(wave: Wave, merchant: Merchant, units: int, first: datetime) -> BonusView:
    """The sum, and the day on which the first of it begins or ends."""
    parameters = wave.audience.parameters
    day = local_day(first, merchant.zone)
    return BonusView(parameters["currency"], to_points(units), on=day, days=int(parameters["days"]))
