"""What became of messages that were sent: told by their providers, or asked of them.

A word may come twice, late, out of order, and before our own note that the message was sent. The last word
is kept: *delivered* beats *undelivered* whichever was told first, for what has arrived has arrived; a pending
word changes nothing. See docs/decisions/0007-receipts.md.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, bindparam, delete, or_, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.batch import Batch
from activities.consents import Consents
from activities.database import aware, reading, writing
from activities.ledger import lock, refund
from activities.message_rows import MESSAGES
from channels.base import Asking, DeliveryError, DeliveryState, Word
from channels.registry import Channels
from models.channels import SMS
from models.consent import Suppression, told_reason
from models.ids import message_reference
from models.tables.messages import MessageStatus
from models.tables.providers import EarlyReceiptRow

__all__ = ["FIRST_ASK", "Polled", "Receipts", "after", "next_ask"]

EARLY = EarlyReceiptRow.__table__  # type: ignore[attr-defined]

FIRST_ASK = timedelta(minutes=1)
"""So long after it was sent a message is first asked about; then after twice as long, and so on."""
SELDOM = timedelta(hours=4)
ASKS = 25
"""With these waits, some 72 hours."""
LAST_ASK = timedelta(hours=72)
"""So long after it was sent a message is asked about once more at the most: later no provider knows more."""
AFTER_A_FAILURE = timedelta(minutes=5)
"""When an account that did not answer, or may not ask, is used again."""
PAGE = 200
AT_ONCE = 20
PATIENCE = timedelta(seconds=10)
KEPT = timedelta(days=1)
"""How long a word waits for its message to be noted as sent."""

FINAL = {
    DeliveryState.DELIVERED: MessageStatus.DELIVERED,
    DeliveryState.UNDELIVERED: MessageStatus.UNDELIVERED,
}
GONE = (MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.UNDELIVERED)

Account = tuple[str, str]
"""A provider, and the merchant whose account it is."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """A word, from whom, and when it was heard."""

    provider: str
    word: Word
    now: datetime

    @property
    def place(self) -> tuple[str, str]:
        return self.provider, self.word.provider_id


@dataclass(frozen=True)
class Polled:
    """How many messages were asked about, how many have their last word now, and how many asks failed."""

    asked: int = 0
    settled: int = 0
    failed: int = 0


def after(status: str, state: DeliveryState) -> MessageStatus | None:
    """What a word makes of a message; None where it changes nothing."""
    told = FINAL.get(state)
    if told is None or told == status:
        return None
    if status == MessageStatus.SENT or (status, told) == (MessageStatus.UNDELIVERED, MessageStatus.DELIVERED):
        return told
    return None


def next_ask(asks: int) -> timedelta | None:
    """How long after that many asks the next one comes; None when there were enough."""
    return min(FIRST_ASK * 2 ** min(asks, 30), SELDOM) if asks < ASKS else None


class Receipts:
    """Takes the words of providers, and asks those that do not tell on their own."""

    def __init__(self, engine: AsyncEngine, channels: Channels) -> None:
        self._engine = engine
        self._channels = channels
        self._consents = Consents(engine)
        self._insert = postgresql_insert if engine.dialect.name == "postgresql" else sqlite_insert
        self._words: Batch[Told, bool] = Batch(engine, self._take)
        self._resting: dict[Account, datetime] = {}

    async def told(
        self, provider: str, provider_id: str, state: DeliveryState, now: datetime, dead_address: str = ""
    ) -> bool:
        """Settle a sent message by its provider's word. Told twice, or out of order, it is settled once.

        What did not arrive is refunded where the provider refunds, and a dead address, with the reason, is
        written to no more. False where no such message is noted as sent (yet): a last word is kept for a
        day, and taken by the next `poll` after the message is; whoever can tell again may do so.
        """
        if state not in FINAL:
            return True
        return await self._words.ask(Told(provider, Word(provider_id, state, dead_address), now))

    async def poll(self, now: datetime) -> Polled:
        """Ask about the messages whose turn it is, a page of them, those that wait longest first.

        An ask that fails counts as any other: the next comes after twice as long, and the last some 72 hours
        after the message was sent. An account that fails rests for some minutes, and holds up no other.
        """
        self._resting = {account: until for account, until in self._resting.items() if until > now}
        early = await self._take_early(now)
        due = await self._due(now)
        room, down = asyncio.Semaphore(AT_ONCE), set[Account]()
        words = await asyncio.gather(*(self._ask(row, room, down) for row in due))
        heard = [
            Told(row.provider, word, now)
            for row, word in zip(due, words, strict=True)
            if word is not None and word.state in FINAL
        ]
        await self._words.ask_all(heard)
        self._resting |= dict.fromkeys(down, now + AFTER_A_FAILURE)
        return Polled(len(due), early + len(heard), words.count(None))

    async def _ask(self, row: Row[Any], room: asyncio.Semaphore, down: set[Account]) -> Word | None:
        """The provider's word on one message; None where it could not be had."""
        account = (row.provider, row.merchant_id)
        async with room:
            if account in down:
                return None
            try:
                provider = self._channels.get(row.channel, row.provider)
                if not isinstance(provider, Asking):
                    return Word(row.provider_id, DeliveryState.UNKNOWN)
                async with asyncio.timeout(PATIENCE.total_seconds()):
                    word = await provider.ask(row.provider_id, row.merchant_id, row.address)
            except (DeliveryError, TimeoutError) as error:
                permanent = isinstance(error, DeliveryError) and error.permanent
                _log.warning("%s says nothing of a message: %s", row.provider, error or "no answer in time")
                if not permanent:
                    down.add(account)
                return None
            except Exception:
                _log.exception("%s says nothing of a message", row.provider)
                return None
        return replace(word, provider_id=row.provider_id)

    async def _due(self, now: datetime) -> Sequence[Row[Any]]:
        """Those whose turn it is. Their next one is set before they are asked: nobody asks twice."""
        account = tuple_(MESSAGES.c.provider, MESSAGES.c.merchant_id)
        query = (
            select(*(MESSAGES.c[name] for name in ASKED))
            .where(MESSAGES.c.ask_at.is_not(None), MESSAGES.c.ask_at <= now)
            .where(account.not_in(sorted(self._resting)) if self._resting else true())
            .order_by(MESSAGES.c.ask_at, MESSAGES.c.id)
            .limit(PAGE)
            .with_for_update(skip_locked=True)
        )
        async with writing(self._engine) as connection:
            rows = (await connection.execute(query)).all()
            turns = [{"of": row.id, "asks": row.asks + 1, "ask_at": _next(row, now)} for row in rows]
            if turns:
                await connection.execute(_TURN, turns)
        return rows

    async def _take_early(self, now: datetime) -> int:
        """Take the words whose messages are noted by now, and forget those that wait for too long."""
        noted = (
            select(MESSAGES.c.id)
            .where(
                MESSAGES.c.provider == EARLY.c.provider,
                MESSAGES.c.provider_id == EARLY.c.provider_id,
                MESSAGES.c.provider_id != "",
                MESSAGES.c.status.in_(GONE),
            )
            .exists()
        )
        async with reading(self._engine) as connection:
            rows = (await connection.execute(select(EARLY).where(noted).limit(PAGE))).all()
        words = [
            Told(row.provider, Word(row.provider_id, DeliveryState(row.state), row.dead_address), now)
            for row in rows
        ]
        await self._words.ask_all(words)
        async with writing(self._engine) as connection:
            await connection.execute(delete(EARLY).where(_any_of(EARLY, words) | (EARLY.c.at < now - KEPT)))
        return len(words)

    async def _take(self, connection: AsyncConnection, told: Sequence[Told]) -> list[bool]:
        rows = await _locked(connection, told)
        standing = {row.id: row.status for ones in rows.values() for row in ones}
        changes: list[tuple[Row[Any], Told, MessageStatus]] = []
        for one in told:
            for row in rows.get(one.place, ()):
                status = after(standing[row.id], one.word.state)
                if status is not None:
                    standing[row.id] = status
                    changes.append((row, one, status))
        if changes:
            await connection.execute(_SETTLE, [_columns(*change) for change in changes])
        lost = [(row, one) for row, one, _ in changes if standing[row.id] == MessageStatus.UNDELIVERED]
        await self._refund(connection, lost)
        dead = [_suppression(row, one) for row, one in lost if one.word.dead_address]
        if dead:
            await self._consents.suppress(dead, connection)
        await self._keep(connection, [one for one in told if one.place not in rows])
        return [one.place in rows for one in told]

    async def _refund(self, connection: AsyncConnection, lost: Sequence[tuple[Row[Any], Told]]) -> None:
        """Give back what it cost; but for what may have gone twice, for one of the two may have arrived."""
        merchants: dict[str, list[str]] = {}
        for row, one in lost:
            if row.channel == SMS and not row.doubtful and self._refunds(row, one.provider):
                reference = message_reference(row.notice_key, row.channel)
                merchants.setdefault(row.merchant_id, []).append(reference)
        if not merchants:
            return
        now = lost[0][1].now
        if len(merchants) > 1:
            await lock(connection, merchants, now)
        for merchant_id in sorted(merchants):
            await refund(connection, merchant_id, merchants[merchant_id], "not delivered", now)

    def _refunds(self, row: Row[Any], provider: str) -> bool:
        try:
            abilities = self._channels.get(row.channel, provider).abilities
            name = f"{provider.upper()}_REFUNDS"
            return self._channels.credentials.switch(name, row.merchant_id, default=abilities.refunds)
        except DeliveryError as error:
            _log.warning("nothing is refunded: %s", error)
            return False

    async def _keep(self, connection: AsyncConnection, early: Sequence[Told]) -> None:
        new = self._insert(EARLY)
        values = {name: new.excluded[name] for name in ("state", "dead_address", "at")}
        statement = new.on_conflict_do_update(
            index_elements=["provider", "provider_id"],
            set_=values,
            where=EARLY.c.state != DeliveryState.DELIVERED,
        )
        rows = [
            {
                "provider": one.provider,
                "provider_id": one.word.provider_id,
                "state": one.word.state,
                "dead_address": one.word.dead_address,
                "at": one.now,
            }
            for one in sorted(early, key=lambda one: one.place)
            if one.word.provider_id and len(one.word.provider_id) <= LONGEST_ID
        ]
        if rows:
            await connection.execute(statement, rows)


LONGEST_ID = 128
"""What is longer is the id of no message of ours."""

ASKED = ("id", "channel", "provider", "provider_id", "merchant_id", "address", "asks", "settled_at")
"""What is needed to ask about a message."""

_SETTLE = update(MESSAGES).where(MESSAGES.c.id == bindparam("of"))
_TURN = _SETTLE.where(MESSAGES.c.status == MessageStatus.SENT)


def _next(row: Row[Any], now: datetime) -> datetime | None:
    wait = next_ask(row.asks + 1)
    if wait is None or (row.settled_at is not None and now >= aware(row.settled_at) + LAST_ASK):
        return None
    return now + wait


def _any_of(table: Any, told: Sequence[Told]) -> Any:
    """The rows of these messages, by provider and id."""
    ids: dict[str, list[str]] = {}
    for one in told:
        ids.setdefault(one.provider, []).append(one.word.provider_id)
    wheres = (and_(table.c.provider == name, table.c.provider_id.in_(ids[name])) for name in sorted(ids))
    return or_(False, *wheres)


async def _locked(
    connection: AsyncConnection, told: Sequence[Told]
) -> Mapping[tuple[str, str], list[Row[Any]]]:
    """The messages that have gone, locked in the order of their keys as everywhere."""
    query = (
        select(MESSAGES)
        .where(_any_of(MESSAGES, told), MESSAGES.c.provider_id != "", MESSAGES.c.status.in_(GONE))
        .order_by(MESSAGES.c.notice_key, MESSAGES.c.channel)
        .with_for_update()
    )
    found: dict[tuple[str, str], list[Row[Any]]] = {}
    for row in await connection.execute(query):
        found.setdefault((row.provider, row.provider_id), []).append(row)
    return found


def _columns(row: Row[Any], one: Told, status: MessageStatus) -> dict[str, Any]:
    reason = one.word.dead_address or row.reason
    if status is MessageStatus.DELIVERED and row.status == MessageStatus.UNDELIVERED:
        reason = "the provider had told before that it did not arrive"
    return {"of": row.id, "status": status, "reason": reason, "told_at": one.now, "ask_at": None}


def _suppression(row: Row[Any], one: Told) -> Suppression:
    return Suppression(
        row.merchant_id, row.channel, row.address, told_reason(one.word.dead_address), one.provider, one.now
    )
