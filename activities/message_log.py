"""The claim: who may send a message, and what came of it. One row per notice and channel, ever."""

import logging
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import CursorResult, Dialect, Row, bindparam, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.batch import OUT_OF_REACH, Batch
from activities.bulk import Bulk, Written, all_rows, among, given
from activities.caps import over_the_cap, take_turns
from activities.consents import Consents
from activities.database import reading, transact
from activities.ledger import Short, lock, refund, reserve, settle, tell_of_shortage
from activities.message_rows import (
    HELD,
    HOLDER,
    HOLDING,
    IS_HELD,
    LEFT_COLUMNS,
    MESSAGES,
    NEW_COLUMNS,
    NOT_YET,
    ON_THE_WAY,
    THEIRS,
    Asked,
    Claim,
    Closing,
    Left,
    Name,
    Place,
    claim_on,
    claimed_row,
    closed_columns,
    closed_outcome,
    holder,
    holds_still,
    left_columns,
    locked,
    named,
    new_row,
    outcome_of,
    suppression,
    taken_over,
    to_member,
    under_way,
)
from models.agenda import ChannelOutcome, Status
from models.channels import SMS
from models.ids import message_reference
from models.tables.messages import MessageStatus

__all__ = ["Asked", "Claim", "Closing", "Left", "MessageLog"]

_log = logging.getLogger(__name__)

_UNTIL = bindparam("until_", type_=MESSAGES.c.alive_until.type)
_LEAVING = (
    update(MESSAGES)
    .where(
        MESSAGES.c.channel == bindparam("channel_"),
        MESSAGES.c.token == bindparam("token_"),
        MESSAGES.c.status.in_(HELD),
    )
    .values(
        status=MessageStatus.HANDING_OVER,
        alive_until=func.coalesce(_UNTIL, MESSAGES.c.alive_until),
    )
    .returning(MESSAGES.c.notice_key)
)
"""Marks what one attempt holds still of one channel, and tells what that is."""

_WRITTEN = select(MESSAGES.c.notice_key, MESSAGES.c.channel).where(
    MESSAGES.c.id.between(bindparam("first"), bindparam("last"))
)


@dataclass(frozen=True)
class _Turn:
    """What one attempt asks of the log at one time: all of it is answered in one transaction, or none."""

    asked: Sequence[Asked] = ()
    marks: Sequence[Claim] = ()
    left: Sequence[Left] = ()


class _NewRows(NamedTuple):
    """The rows of messages that are asked for, in the order in which they are written, and how they are.

    `first`: whoever asked for each of them first.
    """

    first: dict[Place, Asked]
    rows: Mapping[Place, Mapping[str, Any]]
    written: Sequence[Written]


@dataclass(frozen=True)
class _Came:
    """The claims that were asked for; of each mark, whether it may leave."""

    claims: list[Claim]
    marked: list[bool]


class MessageLog:
    """The message log of all merchants. Everything takes a page; one message is a page of one.

    In a transaction message rows are locked first and ledgers after them, so that nobody waits in a ring. Two
    attempts at one page may: PostgreSQL ends one of them, and it is carried out again.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._consents = Consents(engine)
        self._new = _inserting(engine.dialect)
        self._left = _leaving(engine.dialect)
        self._turns: Batch[_Turn, _Came] = Batch(engine, self._answer)
        self._closings: Batch[Closing, ChannelOutcome | None] = Batch(engine, self._close)
        self._notes: Batch[Closing, None] = Batch(engine, self._note)

    async def claim(self, asked: Sequence[Asked], left: Sequence[Left] = ()) -> list[Claim]:
        """Take messages for sending, and pay for them in the same transaction.

        In the same one is written what came of others (`left`): an attempt that hands over group after group
        has never more than one in doubt.

        A message that an attempt was handing over when it died is taken over and doubtful, but not before
        that one is surely over; until then it is hindered. One that an attempt only held is not doubtful.
        One that cannot be written is hindered, and hinders no other.

        With what else is asked of the log at the same time it is one transaction: so is all that follows.
        """
        (came,) = await self._turns.ask_each([_Turn(asked, left=left)])
        if isinstance(came, _Came):
            return came.claims
        if isinstance(came, OUT_OF_REACH):
            raise came
        # One of them cannot be written. What came of the others first: nothing is claimed where that fails.
        await self.leave(left)
        overtaken = await transact(self._engine, lambda connection: _overtaken(connection, left))
        return [
            Claim(*one.place, one.token, overtaken=True) if one.token in overtaken else await self._alone(one)
            for one in asked
        ]

    async def hand_over(self, claims: Sequence[Claim]) -> list[bool]:
        """Mark held messages as leaving, just before they do: from here on they may have been sent.

        Answers whether each may leave: one that was taken over or closed meanwhile may not.
        """
        (came,) = await self._turns.ask_all([_Turn(marks=claims)])
        return came.marked

    async def leave(self, left: Sequence[Left]) -> None:
        """Write what came of claimed messages, where their attempt holds them still."""
        if not left:
            return
        (came,) = await self._turns.ask_each([_Turn(left=left)])
        if isinstance(came, OUT_OF_REACH) or (isinstance(came, Exception) and len(left) == 1):
            raise came
        if isinstance(came, Exception):  # one of them cannot be written: the others are
            alone = await self._turns.ask_each([_Turn(left=[one]) for one in left])
            for answer in alone:
                if isinstance(answer, Exception):
                    raise answer

    async def put_off(self, closings: Sequence[Closing]) -> None:
        """Note why messages wait that nobody has taken yet; what is there already is left as it is.

        It is a note and no more: one that cannot be written hinders nobody.
        """
        for came in await self._notes.ask_each(closings):
            if isinstance(came, Exception):
                _not_written(came)

    async def _alone(self, asked: Asked) -> Claim:
        (came,) = await self._turns.ask_each([_Turn([asked])])
        return came.claims[0] if isinstance(came, _Came) else _hindered(asked, came)

    async def close(self, closings: Sequence[Closing]) -> list[ChannelOutcome | None]:
        """Settle messages that are not sent, unless they are settled already; answers what is true of each.

        None for one that is only put off; where that cannot be written, it waits all the same. None too for
        one that an attempt may be handing over: what comes of it that one tells, and whoever wants it closed
        comes again. One that may have been sent before: that is said, not guessed.
        """
        outcomes = []
        came = await self._closings.ask_each(closings)
        for one, outcome in zip(closings, came, strict=True):
            if not isinstance(outcome, Exception):
                outcomes.append(outcome)
            elif one.deferred and not isinstance(outcome, OUT_OF_REACH):
                _not_written(outcome)
                outcomes.append(None)
            else:
                raise outcome
        return outcomes

    async def messages(
        self,
        *,
        lifecycle: str = "",
        merchant_id: str = "",
        member_id: str = "",
        addresses: Sequence[str] = (),
        limit: int = 200,
    ) -> list[dict[str, Any]]:
        """The newest messages first, of one lifecycle or merchant or of all.

        With `member_id` those to one member of the merchant: by its lifecycle and by waves, and whatever else
        went to its `addresses`.
        """
        query = select(MESSAGES).order_by(MESSAGES.c.id.desc()).limit(limit)
        if lifecycle:
            query = query.where(MESSAGES.c.lifecycle == lifecycle)
        if merchant_id:
            query = query.where(MESSAGES.c.merchant_id == merchant_id)
        if member_id:
            known = [address for address in addresses if address]
            named = to_member(self._engine.dialect, member_id)
            query = query.where(or_(named, MESSAGES.c.address.in_(known)))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [dict(row) for row in rows]

    async def _answer(self, connection: AsyncConnection, turns: Sequence[_Turn]) -> list[_Came]:
        """The rows of messages first, and the ledgers after them."""
        asked = [one for turn in turns for one in turn.asked]
        left = [one for turn in turns for one in turn.left]
        marks = [one for turn in turns for one in turn.marks]
        new = self._new_rows(asked)
        await take_turns(connection, asked)
        marked = await self._hand_over(connection, marks) if marks else set()
        overtaken, back = await self._leave(connection, left) if left else (set(), [])
        claims = await self._claim(connection, asked, new, overtaken) if asked else []
        await _lock_all(connection, asked, claims, back)
        granted = iter(await _paid(connection, asked, claims))
        await _give_back(connection, back)
        return [
            _Came(list(islice(granted, len(turn.asked))), [one.name in marked for one in turn.marks])
            for turn in turns
        ]

    def _new_rows(self, asked: Sequence[Asked]) -> _NewRows:
        """What a claim writes where nothing is yet, put together before anything is locked."""
        # One message may be asked for twice in one go: by a page that names it twice, or by an attempt that
        # was given up while it waited and the one that follows it.
        first = {one.place: one for one in reversed(asked)}
        rows = {place: claimed_row(first[place]) for place in sorted(first)}
        return _NewRows(first, rows, self._new.written(list(rows.values())))

    async def _claim(
        self, connection: AsyncConnection, asked: Sequence[Asked], new_rows: _NewRows, overtaken: Set[str]
    ) -> list[Claim]:
        if overtaken:
            may = [one for one in asked if one.token not in overtaken]
            going = iter(await self._claim(connection, may, self._new_rows(may), set()))
            return [
                Claim(*one.place, one.token, overtaken=True) if one.token in overtaken else next(going)
                for one in asked
            ]
        if not asked:
            return []
        first, rows, written = new_rows
        if over := await over_the_cap(connection, list(reversed(first.values()))):
            rows = {place: row for place, row in rows.items() if place not in over}
            written = self._new.written(list(rows.values()))
        new = await self._insert_new(connection, rows, written)
        known = await locked(connection, [place for place in first if place not in new])
        claims = []
        for one in asked:
            row = known.get(one.place)
            claim = claim_on(one, row)
            if one.place in over and claim.holds:
                claim = replace(claim, hindrance="others go to the same recipient at this moment")
            if claim.outcome is None and first[one.place] is not one:
                claim = replace(claim, hindrance="it is being sent already")
            elif row is not None and claim.holds:
                await _take_over(connection, one, row, claim)
            claims.append(claim)
        return claims

    async def _hand_over(self, connection: AsyncConnection, claims: Sequence[Claim]) -> set[Name]:
        keys: dict[tuple[str, str], list[str]] = {}
        for claim in claims:
            keys.setdefault((claim.channel, claim.token), []).append(claim.key)
        untils = {(claim.channel, claim.token): claim.until for claim in claims}
        held = set()
        for (channel, token), theirs in sorted(keys.items()):
            until = untils[channel, token]
            marking = _LEAVING.where(among(connection.dialect, MESSAGES.c.notice_key, sorted(theirs)))
            marked = await all_rows(
                connection, marking, {"channel_": channel, "token_": token, "until_": until}
            )
            held |= {(key, channel, token) for (key,) in marked}
        return held

    async def _leave(self, connection: AsyncConnection, left: Sequence[Left]) -> tuple[set[str], list[Left]]:
        """Answers the attempts that others have overtaken, and the messages whose cost is given back."""
        ordered = sorted(left, key=lambda one: one.claim.place)
        owing = any(one.refund or one.free or one.charged for one in ordered)
        back = await _held_still(connection, ordered) if owing else []
        rows = [{**named(one.claim), **left_columns(one)} for one in ordered]
        written = sum(one.rowcount for one in await self._left.for_all(connection, rows))
        overtaken = set() if written == len(rows) else await _overtaken(connection, ordered)
        dead = [suppression(one) for one in ordered if one.dead_address]
        if dead:
            await self._consents.suppress(dead, connection)
        return overtaken, [one for one in back if one.refund or one.free or one.charged]

    async def _note(self, connection: AsyncConnection, closings: Sequence[Closing]) -> list[None]:
        rows = {one.place: new_row(one.delivery, one.channel, one.columns) for one in closings}
        await self._insert_new(connection, rows)
        return [None] * len(closings)

    async def _close(
        self, connection: AsyncConnection, closings: Sequence[Closing]
    ) -> list[ChannelOutcome | None]:
        rows = {one.place: new_row(one.delivery, one.channel, one.columns) for one in closings}
        new = await self._insert_new(connection, rows)
        known = await locked(connection, [place for place in rows if place not in new])
        outcomes = []
        for one in closings:
            row = known.get(one.place)
            if row is None:
                outcomes.append(closed_outcome(one.channel, one.columns))
            elif under_way(row, one.now) is not None:
                outcomes.append(None)
            elif row.status in ON_THE_WAY:
                outcomes.append(await _close_known(connection, one, row))
            else:
                outcomes.append(outcome_of(row))
        await _tell_of_shortages(connection, closings)
        return outcomes

    async def _insert_new(
        self,
        connection: AsyncConnection,
        rows: Mapping[Place, Mapping[str, Any]],
        written: Sequence[Written] | None = None,
    ) -> set[Place]:
        """Write the rows that are not there yet; answers which. `written`: how they are written, if known."""
        if not rows:
            return set()
        written = written or self._new.written([rows[place] for place in sorted(rows)])
        came = [await connection.exec_driver_sql(*one) for one in written]
        if connection.dialect.name == "postgresql":
            return {(row.notice_key, row.channel) for one in came for row in one}
        if sum(one.rowcount for one in came) == len(rows):
            return set(rows)
        return await _just_written(connection, came)


async def _just_written(connection: AsyncConnection, came: Sequence[CursorResult[Any]]) -> set[Place]:
    """The rows that these have written: nobody else writes meanwhile, so that their ids follow each other.

    SQLite could answer them itself, but one by one: each lets go of the interpreter.
    """
    places = set[Place]()
    for one in came:
        if one.rowcount:
            ids = {"first": one.lastrowid - one.rowcount + 1, "last": one.lastrowid}
            places |= {(row.notice_key, row.channel) for row in await all_rows(connection, _WRITTEN, ids)}
    return places


def _not_written(error: Exception) -> None:
    # Only the name: the sentence of a database error quotes what was to be written.
    _log.warning("why a message waits is not written down: %s", type(error).__name__)


def _inserting(dialect: Dialect) -> Bulk:
    rows = given(dialect, MESSAGES, NEW_COLUMNS)
    insert = postgresql_insert if dialect.name == "postgresql" else sqlite_insert
    # A condition, lest SQLite take ON for that of a join.
    new = insert(MESSAGES).from_select(NEW_COLUMNS, select(*rows.c).where(true())).on_conflict_do_nothing()
    answered = [MESSAGES.c.notice_key, MESSAGES.c.channel] if dialect.name == "postgresql" else []
    return Bulk(dialect, new.returning(*answered) if answered else new, MESSAGES, NEW_COLUMNS)


def _leaving(dialect: Dialect) -> Bulk:
    rows = given(dialect, MESSAGES, (*HOLDER, *LEFT_COLUMNS))
    theirs = update(MESSAGES).where(*(MESSAGES.c[name] == rows.c[name] for name in HOLDER), IS_HELD)
    written = theirs.values({name: rows.c[name] for name in LEFT_COLUMNS})
    return Bulk(dialect, written, MESSAGES, (*HOLDER, *LEFT_COLUMNS))


async def _overtaken(connection: AsyncConnection, left: Sequence[Left]) -> set[str]:
    """The attempts of which others hold a message, or have closed one: they may not go on."""
    rows = await locked(connection, [one.claim.place for one in left], HOLDING)
    written = {(*place, row.token, row.status) for place, row in rows.items()}
    return {one.claim.token for one in left if (*one.claim.name, one.status) not in written}


def _hindered(asked: Asked, error: Exception) -> Claim:
    if isinstance(error, OUT_OF_REACH):
        raise error
    # Only the name: the sentence of a database error quotes what was to be written.
    why = type(getattr(error, "orig", None) or error).__name__
    return Claim(*asked.place, asked.token, hindrance=f"it cannot be claimed: {why}")


async def _held_still(connection: AsyncConnection, left: Sequence[Left]) -> list[Left]:
    """Those whose attempt holds them still: only that one may give back what they cost."""
    rows = await locked(connection, [one.claim.place for one in left], HOLDING)
    return [one for one in left if holds_still(one.claim, rows)]


async def _take_over(connection: AsyncConnection, one: Asked, row: Row[Any], claim: Claim) -> None:
    await connection.execute(
        update(MESSAGES).where(MESSAGES.c.id == row.id).values(**taken_over(one, row, claim))
    )


async def _lock_all(
    connection: AsyncConnection, asked: Sequence[Asked], claims: Sequence[Claim], back: Sequence[Left]
) -> None:
    """The ledgers of several merchants are locked at once, in the one order in which everybody does."""
    wanting = {
        one.merchant.id
        for one, claim in zip(asked, claims, strict=True)
        if one.want is not None and claim.holds
    }
    merchants = wanting | {one.merchant_id for one in back}
    if len(merchants) > 1:
        await lock(connection, merchants, (asked[0] if asked else back[0]).now)


async def _paid(connection: AsyncConnection, asked: Sequence[Asked], claims: Sequence[Claim]) -> list[Claim]:
    """The claims with what they cost reserved; those that cannot be paid for are refused."""
    paid = list(claims)
    wanting: dict[str, list[int]] = {}
    for number, (one, claim) in enumerate(zip(asked, claims, strict=True)):
        if one.want is not None and claim.holds:
            wanting.setdefault(one.merchant.id, []).append(number)
    for merchant_id in sorted(wanting):
        numbers = wanting[merchant_id]
        first = asked[numbers[0]]
        wants = [want for number in numbers if (want := asked[number].want) is not None]
        answers = await reserve(connection, first.merchant, wants, first.now)
        for number, answer in zip(numbers, answers, strict=True):
            want = asked[number].want
            if isinstance(answer, Short):
                paid[number] = await _refuse(connection, asked[number], claims[number], answer)
            elif want is not None and want.in_part:
                paid[number] = replace(claims[number], unpaid=not answer.points)
    return paid


async def _refuse(connection: AsyncConnection, one: Asked, claim: Claim, short: Short) -> Claim:
    columns = {
        "status": MessageStatus.REFUSED,
        "reason": short.reason,
        "rule": short.which.value,
        "settled_at": one.now,
    }
    await connection.execute(THEIRS, {**holder(claim), **columns})
    outcome = ChannelOutcome(one.channel, Status.REFUSED, one.now, short.reason, rule=short.which.value)
    return replace(claim, outcome=outcome)


async def _give_back(connection: AsyncConnection, left: Sequence[Left]) -> None:
    """Refund what messages cost that will never arrive, and the points of those that cost none.

    Of those that cost points after all it is told where few are left.
    """
    merchants: dict[str, list[Left]] = {}
    for one in left:
        merchants.setdefault(one.merchant_id, []).append(one)
    for merchant_id in sorted(merchants):
        ones, now = merchants[merchant_id], merchants[merchant_id][0].now
        refunded = [_reference(one) for one in ones if one.refund]
        free = {_reference(one): Decimal(0) for one in ones if one.free}
        await refund(connection, merchant_id, refunded, "not sent", now)
        await settle(connection, merchant_id, free, now)
        for one in ones:
            if one.charged is not None:
                await tell_of_shortage(connection, one.charged, _reference(one), now)
                break


def _reference(left: Left) -> str:
    return message_reference(left.claim.key, left.claim.channel)


async def _tell_of_shortages(connection: AsyncConnection, closings: Sequence[Closing]) -> None:
    """Each merchant once, however many of its messages are refused."""
    short = {one.short.id: one for one in reversed(closings) if one.short is not None}
    if len(short) > 1:
        await lock(connection, short, closings[0].now)
    for _, one in sorted(short.items()):
        if one.short is not None:
            await tell_of_shortage(connection, one.short, message_reference(*one.place), one.now)


async def _close_known(connection: AsyncConnection, one: Closing, row: Row[Any]) -> ChannelOutcome | None:
    columns = closed_columns(one, row)
    if not one.deferred:  # whoever settles it, of those who have the same to tell
        columns["due"] = one.delivery.notice.due
    await connection.execute(update(MESSAGES).where(MESSAGES.c.id == row.id).values(**columns))
    if one.channel == SMS and columns["status"] not in (*NOT_YET, MessageStatus.UNCERTAIN):
        reference = message_reference(*one.place)
        await refund(connection, row.merchant_id, [reference], one.reason, one.now)
    return closed_outcome(one.channel, columns)
