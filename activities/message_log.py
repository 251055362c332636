"""The claim: who may send a message, and what came of it. One row per notice and channel, ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import col

from activities.database import reading, writing
from models.agenda import ChannelOutcome, Delivery, Status
from models.tables.messages import MessageRow, MessageStatus

ON_THE_WAY = (MessageStatus.WAITING, MessageStatus.CLAIMED)


@dataclass(frozen=True)
class Claim:
    """The right to send a message once, held by `token`.

    `doubtful`: an earlier attempt may have handed it over. `outcome` is set when it is settled already:
    then there is nothing to send.
    """

    key: str
    channel: str
    token: str
    doubtful: bool = False
    outcome: ChannelOutcome | None = None


class MessageLog:
    """The message log of all merchants."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = postgresql_insert if engine.dialect.name == "postgresql" else sqlite_insert

    async def claim(
        self, delivery: Delivery[Any], channel: str, token: str, now: datetime, said: Mapping[str, Any]
    ) -> Claim:
        """Take a message for sending. `said` are the columns that tell what it says.

        A claim left by an attempt that died is taken over and marked doubtful: it may have been sent.
        """
        key = delivery.notice.key
        values = {**_identity(delivery, channel), **said}
        held = {"status": MessageStatus.CLAIMED, "token": token, "claimed_at": now}
        async with writing(self._engine) as connection:
            if await self._insert_new(connection, {**values, **held, "attempts": 1}):
                return Claim(key, channel, token)
            row = await _locked(connection, key, channel)
            if row.status not in ON_THE_WAY:
                return Claim(key, channel, token, row.doubtful, _outcome(row))
            doubtful = row.doubtful or row.status == MessageStatus.CLAIMED
            await connection.execute(
                update(MessageRow)
                .where(col(MessageRow.id) == row.id)
                .values(**said, **held, doubtful=doubtful, attempts=row.attempts + 1)
            )
        return Claim(key, channel, token, doubtful)

    async def settle(self, claim: Claim, outcome: ChannelOutcome, *, provider_id: str = "") -> ChannelOutcome:
        """Write what came of a claimed message."""
        await self._leave(
            claim,
            status=MessageStatus(outcome.status),
            reason=outcome.reason,
            provider=outcome.provider,
            provider_id=provider_id,
            settled_at=outcome.at,
            doubtful=outcome.doubtful,
        )
        return outcome

    async def release(self, claim: Claim, reason: str, *, doubtful: bool) -> None:
        """Give a claim back after an attempt that failed; another attempt will come."""
        await self._leave(claim, status=MessageStatus.WAITING, reason=reason, doubtful=doubtful)

    async def close(
        self, delivery: Delivery[Any], channel: str, status: Status, reason: str, now: datetime
    ) -> ChannelOutcome:
        """Settle a message that will not be sent any more, unless it is settled already.

        One that an attempt still holds may have been sent: that is said, not guessed.
        """
        key = delivery.notice.key
        final = {"status": MessageStatus(status), "reason": reason, "settled_at": now}
        async with writing(self._engine) as connection:
            if await self._insert_new(connection, {**_identity(delivery, channel), **final}):
                return ChannelOutcome(channel, status, now, reason)
            row = await _locked(connection, key, channel)
            if row.status not in ON_THE_WAY:
                return _outcome(row)
            if row.status == MessageStatus.CLAIMED or row.doubtful:
                status = Status.UNCERTAIN
                reason = f"{reason}; an attempt may have sent it before"
                final |= {"status": MessageStatus.UNCERTAIN, "reason": reason, "doubtful": True}
            elif row.reason:
                reason = f"{reason}; the last attempt said: {row.reason}"
                final |= {"reason": reason}
            await connection.execute(update(MessageRow).where(col(MessageRow.id) == row.id).values(**final))
        return ChannelOutcome(channel, status, now, reason, doubtful=status is Status.UNCERTAIN)

    async def messages(
        self, *, lifecycle: str = "", merchant_id: str = "", limit: int = 200
    ) -> list[dict[str, Any]]:
        """The newest messages first, of one lifecycle or merchant or of all."""
        query = select(MessageRow).order_by(col(MessageRow.id).desc()).limit(limit)
        if lifecycle:
            query = query.where(col(MessageRow.lifecycle) == lifecycle)
        if merchant_id:
            query = query.where(col(MessageRow.merchant_id) == merchant_id)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [dict(row) for row in rows]

    async def _insert_new(self, connection: AsyncConnection, values: Mapping[str, Any]) -> bool:
        statement = self._insert(MessageRow).values(**{**_DEFAULTS, **values}).on_conflict_do_nothing()
        return (await connection.execute(statement)).rowcount == 1

    async def _leave(self, claim: Claim, **values: Any) -> None:
        """Change a claimed row, but only while this attempt still holds it."""
        async with writing(self._engine) as connection:
            await connection.execute(
                update(MessageRow)
                .where(
                    col(MessageRow.notice_key) == claim.key,
                    col(MessageRow.channel) == claim.channel,
                    col(MessageRow.token) == claim.token,
                    col(MessageRow.status) == MessageStatus.CLAIMED,
                )
                .values(**values)
            )


_DEFAULTS: dict[str, Any] = {
    "recipient": "", "address": "", "locale": "", "subject": "", "text": "", "segments": 0, "reason": "",
    "provider": "", "provider_id": "", "doubtful": False, "attempts": 0, "token": "",
}  # fmt: skip


def _identity(delivery: Delivery[Any], channel: str) -> dict[str, Any]:
    notice = delivery.notice
    return {
        "notice_key": notice.key,
        "channel": channel,
        "merchant_id": delivery.merchant_id,
        "lifecycle": delivery.lifecycle,
        "kind": notice.kind,
        "role": notice.role,
        "recipient": notice.recipient.name,
        "address": notice.recipient.address(channel),
        "due": notice.due,
        "not_after": notice.not_after,
    }


async def _locked(connection: AsyncConnection, key: str, channel: str) -> Row[Any]:
    # On SQLite the transaction holds the whole database already; FOR UPDATE is left out there.
    query = (
        select(MessageRow.__table__)  # type: ignore[attr-defined]
        .where(col(MessageRow.notice_key) == key, col(MessageRow.channel) == channel)
        .with_for_update()
    )
    row: Row[Any] = (await connection.execute(query)).one()
    return row


def _outcome(row: Row[Any]) -> ChannelOutcome:
    return ChannelOutcome(
        channel=row.channel,
        status=Status(row.status),
        at=row.settled_at,
        reason=row.reason,
        provider=row.provider,
        doubtful=row.doubtful,
    )
