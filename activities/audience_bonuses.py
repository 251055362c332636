"""Members whose bonuses are soon to become spendable, or to burn: enough to tell. [LOY-62, LOY-71]"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.audience import Chosen, Selection
from activities.bonus_accounts import balances_of
from activities.bonus_books import CHUNK, LOTS, chunks, lock, something_left
from activities.members import MEMBERS, read_people
from activities.message_rows import MESSAGES
from activities.wave_rows import key_of
from models.bonus_rules import Window, bounds
from models.credits import UNITS, to_points
from models.member_content import BonusView, MemberContent
from models.merchant import Merchant
from models.regular_task import TaskKind
from models.tables.messages import MessageStatus
from models.task_waves import over
from models.timing import local_day
from models.wave import Wave

_total = func.sum(LOTS.c.remaining)


class BonusHolders:
    """Those to whom a run tells something, by `models.bonus_rules.announced`.

    Parameters: `currency`, `minimum` and `days`. The wave is due at the moment of its run.
    """

    def __init__(self, what: TaskKind) -> None:
        activation = what is TaskKind.BONUS_ACTIVATION
        self._moment = LOTS.c.active_from if activation else LOTS.c.expires_at
        self._told_by = LOTS.c.activation_told_by if activation else LOTS.c.burn_told_by
        # The lots of a page are to be found by their members, not by their moments: they are few.
        self._its_moment = func.coalesce(self._moment, self._moment)

    def who(self, wave: Wave, merchant: Merchant, now: datetime) -> Select[tuple[str]]:
        """The members whose sum reaches the minimum."""
        member = exists().where(
            MEMBERS.c.merchant_id == merchant.id, MEMBERS.c.member_id == LOTS.c.member_id, MEMBERS.c.granted
        )
        untold = self._untold(self._moment, wave, merchant, now)
        return _enough(select(LOTS.c.member_id).where(member, untold), wave)

    async def mark(
        self,
        connection: AsyncConnection,
        wave: Wave,
        merchant: Merchant,
        member_ids: Sequence[str],
        now: datetime,
    ) -> None:
        """Mark the lots that are told of. Tills wait: no spend comes between the mark and what is read."""
        currency = wave.audience.parameters["currency"]
        await lock(connection, merchant.id, [(member_id, currency) for member_id in member_ids])
        for some in chunks(member_ids):
            lots = LOTS.c.member_id.in_(some), self._untold(self._its_moment, wave, merchant, now)
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
        """The sum to each of what has not begun, or burnt, by now; nothing after the last of it has.

        A message that waits says on its next go what is still ahead then.
        """
        moments = func.min(self._its_moment), func.max(self._its_moment)
        untold = self._untold(self._its_moment, wave, merchant, now)
        query = _enough(select(LOTS.c.member_id, _total, *moments).where(untold), wave)
        sums = dict[str, tuple[int, datetime, datetime]]()
        for some in chunks(member_ids):
            for member_id, units, *ends in await connection.execute(query.where(LOTS.c.member_id.in_(some))):
                sums[member_id] = int(units), *ends
        people = await read_people(connection, merchant.id, sorted(sums))
        balances = await balances_of(connection, merchant.id, sorted(people), now)
        chosen = []
        for member_id, (person, branch_id) in sorted(people.items()):
            units, first, last = sums[member_id]
            content = MemberContent(
                member_id,
                merchant.zone,
                branch_id,
                bonus=_view(wave, merchant, units, first),
                balances=balances[member_id],
            )
            chosen.append(Chosen(person, content, not_after=last))
        return chosen

    async def take_back(
        self, connection: AsyncConnection, wave: Wave, merchant: Merchant, now: datetime, *, own: bool
    ) -> int:
        """Take marks off lots that are still ahead, so that a later run tells of them; some at a time.

        Where nothing was sent, and something was missed or lapsed or had not come so far: an email, say, in
        the place of an SMS that failed. What was only refused or failed for good stays marked: the message
        of a later run would be, too.
        """
        ahead, mine = self._ahead(self._moment, wave, merchant, now), key_of(wave, "")
        marks = [mine]
        if not own:
            others = select(self._told_by).where(ahead, self._told_by.not_in(["", mine])).distinct()
            marks = [mark for mark in (await connection.execute(others)).scalars() if over(mark, now)]
        if not marks:
            return 0
        lots = ahead, self._told_by.in_(marks), _in_vain(self._told_by.concat(LOTS.c.member_id))
        theirs = select(LOTS.c.member_id).where(*lots).limit(CHUNK)
        member_ids = set((await connection.execute(theirs)).scalars())
        if member_ids:
            currency = wave.audience.parameters["currency"]
            await lock(connection, merchant.id, [(member_id, currency) for member_id in member_ids])
            unmarked = update(LOTS).where(*lots, LOTS.c.member_id.in_(member_ids))
            await connection.execute(unmarked.values({self._told_by: ""}))
        return len(member_ids)

    def _untold(
        self, moment: ColumnElement[datetime], wave: Wave, merchant: Merchant, now: datetime
    ) -> ColumnElement[bool]:
        """The lots ahead of which no other run has told."""
        return and_(self._ahead(moment, wave, merchant, now), self._told_by.in_(["", key_of(wave, "")]))

    def _ahead(
        self, moment: ColumnElement[datetime], wave: Wave, merchant: Merchant, now: datetime
    ) -> ColumnElement[bool]:
        """The lots within the window whose moment has not come meanwhile."""
        parameters = wave.audience.parameters
        after, before = bounds(Window(wave.due, int(parameters["days"]), merchant.zone))
        return and_(
            LOTS.c.merchant_id == merchant.id,
            LOTS.c.currency == parameters["currency"],
            something_left(),
            moment > max(after, now),
            moment < before,
        )


_UNSENT = (MessageStatus.MISSED, MessageStatus.LAPSED, MessageStatus.WAITING, MessageStatus.DEFERRED)
"""Of these a message has not gone; where its run is over, the last two do not go any more either."""
_FOR_GOOD = (MessageStatus.REFUSED, MessageStatus.FAILED)
"""Of these a message has not gone by one channel: where none was missed by another, a later one would not."""

BONUS_SELECTIONS: Mapping[str, Selection] = {
    what.value: BonusHolders(what) for what in (TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN)
}


def _in_vain(key: ColumnElement[str]) -> ColumnElement[bool]:
    """Nothing of the message of that key went, or may have, and not all of it was refused or failed."""
    theirs = exists().where(MESSAGES.c.notice_key == key)
    went = theirs.where(or_(MESSAGES.c.doubtful, MESSAGES.c.status.not_in([*_UNSENT, *_FOR_GOOD])))
    again = theirs.where(MESSAGES.c.status.in_(_FOR_GOOD))
    return and_(~went, or_(~again, theirs.where(MESSAGES.c.status.in_(_UNSENT))))


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
