"""Members whose bonuses are soon to become spendable, or to burn: enough to tell. [LOY-62, LOY-71]"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.audience import Chosen, Selection
from activities.bonus_accounts import balances_of
from activities.bonus_books import LOTS, chunks, lock, something_left
from activities.members import MEMBERS, read_people
from activities.wave_rows import key_of
from models.bonus_rules import Window, bounds
from models.credits import UNITS, to_points
from models.member_content import BonusView, MemberContent
from models.merchant import Merchant
from models.regular_task import TaskKind
from models.timing import local_day
from models.wave import Wave

_total = func.sum(LOTS.c.remaining)


class BonusHolders:
    """Those to whom a run tells something, by `models.bonus_rules.announced`.

    Parameters: `currency`, `minimum`, `today` (of the run, in the merchant's zone), and `days`.
    """

    def __init__(self, what: TaskKind) -> None:
        activation = what is TaskKind.BONUS_ACTIVATION
        self._moment = LOTS.c.active_from if activation else LOTS.c.expires_at
        self._told_by = LOTS.c.activation_told_by if activation else LOTS.c.burn_told_by
        # The lots of a page are to be found by their members, not by their moments: they are few.
        self._its_moment = func.coalesce(self._moment, self._moment)

    def who(self, wave: Wave, merchant: Merchant, now: datetime) -> Select[tuple[str]]:  # noqa: ARG002
        """The members whose sum reaches the minimum."""
        member = exists().where(
            MEMBERS.c.merchant_id == merchant.id, MEMBERS.c.member_id == LOTS.c.member_id, MEMBERS.c.granted
        )
        return _enough(
            select(LOTS.c.member_id).where(member, self._untold(self._moment, wave, merchant)), wave
        )

    async def mark(
        self, connection: AsyncConnection, wave: Wave, merchant: Merchant, member_ids: Sequence[str]
    ) -> None:
        """Mark the lots that are told of. Tills wait: no spend comes between the mark and what is read."""
        currency = wave.audience.parameters["currency"]
        await lock(connection, merchant.id, [(member_id, currency) for member_id in member_ids])
        for some in chunks(member_ids):
            lots = LOTS.c.member_id.in_(some), self._untold(self._its_moment, wave, merchant)
            enough = _enough(select(LOTS.c.member_id).where(*lots), wave).correlate(None)
            theirs = update(LOTS).where(*lots, self._told_by == "", LOTS.c.member_id.in_(enough))
            await connection.execute(theirs.values({self._told_by: key_of(wave, "")}))

    async def read(
        self,
        connection: AsyncConnection,
        wave: Wave,
        merchant: Merchant,
        member_ids: Sequence[str],
        now: datetime,
    ) -> list[Chosen]:
        """The sum to each, as it is now; nothing after the first of its bonuses has begun, or burnt."""
        first = func.min(self._its_moment)
        lots = select(LOTS.c.member_id, _total, first).where(self._untold(self._its_moment, wave, merchant))
        query, sums = _enough(lots, wave), dict[str, tuple[int, datetime]]()
        for some in chunks(member_ids):
            for member_id, units, soon in await connection.execute(query.where(LOTS.c.member_id.in_(some))):
                sums[member_id] = int(units), soon
        people = await read_people(connection, merchant.id, sorted(sums))
        balances = await balances_of(connection, merchant.id, sorted(people), now)
        chosen = []
        for member_id, (person, branch_id) in sorted(people.items()):
            units, soon = sums[member_id]
            content = MemberContent(
                member_id,
                merchant.zone,
                branch_id,
                bonus=_view(wave, merchant, units, soon),
                balances=balances[member_id],
            )
            chosen.append(Chosen(person, content, not_after=soon))
        return chosen

    def _untold(self, moment: ColumnElement[datetime], wave: Wave, merchant: Merchant) -> ColumnElement[bool]:
        """The lots within the window of which no other run has told."""
        parameters = wave.audience.parameters
        today = date.fromisoformat(parameters["today"])
        start, end = bounds(Window(today, int(parameters["days"]), merchant.zone))
        return and_(
            LOTS.c.merchant_id == merchant.id,
            LOTS.c.currency == parameters["currency"],
            something_left(),
            moment >= start,
            moment < end,
            self._told_by.in_(["", key_of(wave, "")]),
        )


BONUS_SELECTIONS: Mapping[str, Selection] = {
    what.value: BonusHolders(what) for what in (TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN)
}


def _enough(lots: Select[Any], wave: Wave) -> Select[Any]:
    """By member, where the sum reaches the minimum."""
    least = Decimal(wave.audience.parameters["minimum"]) * UNITS
    units = max(1, int(least.to_integral_value(ROUND_CEILING)))
    return lots.group_by(LOTS.c.member_id).having(_total >= units)


def _view(wave: Wave, merchant: Merchant, units: int, first: datetime) -> BonusView:
    """The sum, and the day on which the first of it begins or ends."""
    parameters = wave.audience.parameters
    day = local_day(first, merchant.zone)
    return BonusView(parameters["currency"], to_points(units), on=day, days=int(parameters["days"]))
