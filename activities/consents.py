"""Keeping what recipients say, which addresses are dead, and which merchants may not send."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    bindparam,
    case,
    func,
    insert,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import col

from activities.bulk import Lookup
from activities.database import aware, reading, writing
from channels.base import ANSWERED_STOP
from models.channels import Family
from models.consent import (
    Consent,
    ConsentGiven,
    Suppression,
    given_reason,
    member_subject,
    same_address,
    told_reason,
)
from models.people import Person
from models.tables.consents import ConsentRow, SuppressionRow, SuspensionRow, VerifiedAddressRow

STOP_BESIDE = f"{ANSWERED_STOP}; before that: "
"""Precedes the reason that stood already when the reader answered STOP."""
CONSENTS = ConsentRow.__table__  # type: ignore[attr-defined]
_STATES = Lookup(
    select(*(CONSENTS.c[name] for name in ("subject", "notice_class", "channel", "state", "at"))).where(
        CONSENTS.c.merchant_id == bindparam("merchant")
    ),
    subjects=CONSENTS.c.subject,
)


@dataclass(frozen=True)
class Suspended:
    """A merchant that may not send by a family of channels, and why. `until`: None, until it is resumed.

    `coming`, `ended`: at the moment that was asked about. All instants are UTC.
    """

    merchant_id: str
    family: Family
    reason: str
    since: datetime
    until: datetime | None
    coming: bool
    ended: bool


def last_word(rows: Collection[Row[Any]]) -> Consent:
    """What was said last; of two words at one moment, the no."""
    last = max(rows, key=lambda row: (aware(row.at), row.state == Consent.OPTED_OUT))
    return Consent(last.state)


class Consents:
    """The consents, suppressions and suspensions of all merchants.

    Whatever is told twice counts once, and what is told late does not undo what was said after it. With a
    `connection` all is written in that transaction, else in one of its own.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = postgresql_insert if engine.dialect.name == "postgresql" else sqlite_insert

    async def record_consent(
        self,
        given: Sequence[ConsentGiven],
        connection: AsyncConnection | None = None,
        *,
        undoing: bool = True,
    ) -> None:
        """Keep the last word of each subject on each class and channel.

        Not `undoing`, a yes does not take the place of a no: for words of which nobody knows when they fell.
        """
        new = self._insert(ConsentRow)
        said = new.excluded
        stands = and_(col(ConsentRow.state) == Consent.OPTED_OUT, said.state == Consent.OPTED_IN)
        statement = new.on_conflict_do_update(
            index_elements=["merchant_id", "subject", "channel", "notice_class"],
            set_={"state": said.state, "source": said.source, "at": said.at},
            where=and_(col(ConsentRow.at) <= said.at, true() if undoing else not_(stands)),
        )
        rows = [
            {
                "merchant_id": one.merchant_id,
                "subject": one.subject,
                "channel": one.channel,
                "notice_class": one.notice_class.word,
                "state": one.state,
                "source": one.source,
                "at": one.at.astimezone(UTC),
            }
            for one in given
        ]
        await self._write(statement, rows, connection)

    async def said_by(self, merchant_id: str, subject: str) -> list[dict[str, Any]]:
        """The last words of a member (`member_subject`) or about an address, by class and channel."""
        query = (
            select(ConsentRow.__table__)  # type: ignore[attr-defined]
            .where(col(ConsentRow.merchant_id) == merchant_id, col(ConsentRow.subject) == subject)
            .order_by(col(ConsentRow.notice_class), col(ConsentRow.channel))
        )
        async with reading(self._engine) as connection:
            rows = [dict(row) for row in (await connection.execute(query)).mappings()]
        return [{**row, "at": aware(row["at"])} for row in rows]

    async def states(
        self, connection: AsyncConnection, merchant_id: str, subjects: Collection[str]
    ) -> dict[tuple[str, str, str], str]:
        """What each of these says now, by subject, class and channel."""
        rows = await _STATES.rows(connection, {"subjects": subjects}, merchant=merchant_id)
        return {(row.subject, row.notice_class, row.channel): row.state for row in rows}

    async def words_of(
        self, connection: AsyncConnection, merchant_id: str, person: Person, channels: Collection[str]
    ) -> dict[tuple[str, str], Consent]:
        """The last word of a member, by class and channel: its own, or that about its address."""
        member = member_subject(person.member_id)
        places = {channel: same_address(channel, person.address(channel)) for channel in channels}
        subjects = {member, *(address for address in places.values() if address)}
        found: dict[tuple[str, str], list[Row[Any]]] = {}
        for row in await _STATES.rows(connection, {"subjects": subjects}, merchant=merchant_id):
            if row.subject in (member, places.get(row.channel)):
                found.setdefault((row.notice_class, row.channel), []).append(row)
        return {place: last_word(rows) for place, rows in found.items()}

    async def record_verified(
        self,
        merchant_id: str,
        channel: str,
        address: str,
        source: str,
        at: datetime,
        connection: AsyncConnection | None = None,
    ) -> None:
        """The owner of an address has confirmed it; the first time counts."""
        row = {
            "merchant_id": merchant_id,
            "channel": channel,
            "address": same_address(channel, address),
            "source": source,
            "at": at.astimezone(UTC),
        }
        await self._write(self._insert(VerifiedAddressRow).on_conflict_do_nothing(), [row], connection)

    async def suppress(
        self, suppressions: Sequence[Suppression], connection: AsyncConnection | None = None
    ) -> None:
        """Write to these addresses no more. The first reason stands, until it is lifted.

        STOP is kept beside it: who lifts the other is to know of the reader's own word, and START takes back
        no more than that. ReasonError where one is blank; one that was kept so gives way.
        """
        new = self._insert(SuppressionRow)
        said, reason, lifted_at = new.excluded, col(SuppressionRow.reason), col(SuppressionRow.lifted_at)
        stands = and_(lifted_at.is_(None), func.trim(reason) != "")
        beside = and_(stands, said.reason == ANSWERED_STOP, not_(_stopped()))
        first = SuppressionRow.__table__.c  # type: ignore[attr-defined]
        kept = {"reason": STOP_BESIDE + reason, "source": first.source, "at": first.at}
        statement = new.on_conflict_do_update(
            index_elements=["merchant_id", "address", "channel"],
            set_={name: case((beside, old), else_=said[name]) for name, old in kept.items()}
            | {"lifted_at": None},
            where=or_(lifted_at <= said.at, and_(lifted_at.is_(None), func.trim(reason) == ""), beside),
        )
        rows = [
            {
                **asdict(one),
                "address": same_address(one.channel, one.address),
                "reason": given_reason(one.reason),
                "at": one.at.astimezone(UTC),
                "lifted_at": None,
            }
            for one in suppressions
        ]
        await self._write(statement, rows, connection)

    async def lift(
        self,
        merchant_id: str,
        channel: str,
        address: str,
        now: datetime,
        connection: AsyncConnection | None = None,
    ) -> bool:
        """Write to this address again, whatever was why not; answers whether it was suppressed."""
        statement = update(SuppressionRow).where(*_standing(merchant_id, channel, address))
        async with self._writing(connection) as writer:
            lifting = statement.values(lifted_at=now.astimezone(UTC))
            return (await writer.execute(lifting)).rowcount > 0

    async def take_back_stop(
        self,
        merchant_id: str,
        channel: str,
        address: str,
        now: datetime,
        connection: AsyncConnection | None = None,
    ) -> None:
        """Undo what STOP has suppressed, and nothing else: another reason that it stood beside goes on."""
        statement = update(SuppressionRow).where(*_standing(merchant_id, channel, address))
        reason = col(SuppressionRow.reason)
        alone = statement.where(reason == ANSWERED_STOP).values(lifted_at=now.astimezone(UTC))
        both = statement.where(reason.startswith(STOP_BESIDE, autoescape=True))
        async with self._writing(connection) as writer:
            await writer.execute(alone)
            await writer.execute(both.values(reason=func.substr(reason, len(STOP_BESIDE) + 1)))

    async def stopped(self, merchant_id: str, channel: str, address: str) -> bool:
        """Whether the reader of that address has answered STOP."""
        query = select(SuppressionRow.__table__).where(  # type: ignore[attr-defined]
            *_standing(merchant_id, channel, address), _stopped()
        )
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).first() is not None

    async def suppressions(
        self, *, merchant_id: str = "", lifted: bool = False, limit: int = 200
    ) -> list[dict[str, Any]]:
        """The newest first, of one merchant or of all; with `lifted`, those that are no more as well."""
        query = select(SuppressionRow.__table__).order_by(col(SuppressionRow.at).desc()).limit(limit)  # type: ignore[attr-defined]
        if merchant_id:
            query = query.where(col(SuppressionRow.merchant_id) == merchant_id)
        if not lifted:
            query = query.where(col(SuppressionRow.lifted_at).is_(None))
        async with reading(self._engine) as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def suspend(
        self,
        merchant_id: str,
        family: Family,
        reason: str,
        since: datetime,
        until: datetime | None = None,
        connection: AsyncConnection | None = None,
    ) -> None:
        """Stop a merchant on a family of channels; without an end it lasts until it is resumed. [CRES-04]

        ReasonError where the reason is blank.
        """
        row = {
            "merchant_id": merchant_id,
            "family": family,
            "reason": given_reason(reason),
            "since": since.astimezone(UTC),
            "until": until.astimezone(UTC) if until is not None else None,
        }
        async with self._writing(connection) as writer:
            await writer.execute(insert(SuspensionRow).values(**row))

    async def resume(
        self, merchant_id: str, family: Family, now: datetime, connection: AsyncConnection | None = None
    ) -> bool:
        """End what holds a merchant on that family, or will; answers whether anything did."""
        until = col(SuspensionRow.until)
        statement = (
            update(SuspensionRow)
            .where(
                col(SuspensionRow.merchant_id) == merchant_id,
                col(SuspensionRow.family) == family,
                or_(until.is_(None), until > now.astimezone(UTC)),
            )
            .values(until=now.astimezone(UTC))
        )
        async with self._writing(connection) as writer:
            return (await writer.execute(statement)).rowcount > 0

    async def suspensions(
        self, now: datetime, *, merchant_id: str = "", ended: bool = False
    ) -> list[Suspended]:
        """What holds a merchant at that moment, or will, the newest first; with `ended`, what did too."""
        query = select(SuspensionRow.__table__).order_by(  # type: ignore[attr-defined]
            col(SuspensionRow.since).desc(), col(SuspensionRow.id).desc()
        )
        if merchant_id:
            query = query.where(col(SuspensionRow.merchant_id) == merchant_id)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        found = [_suspended(row, now) for row in rows]
        return [one for one in found if ended or not one.ended]

    async def _write(
        self, statement: Any, rows: Sequence[dict[str, Any]], connection: AsyncConnection | None
    ) -> None:
        if rows:
            async with self._writing(connection) as writer:
                await writer.execute(statement, rows)

    @asynccontextmanager
    async def _writing(self, connection: AsyncConnection | None) -> AsyncIterator[AsyncConnection]:
        if connection is not None:
            yield connection
            return
        async with writing(self._engine) as own:
            yield own


def _standing(merchant_id: str, channel: str, address: str) -> tuple[ColumnElement[bool], ...]:
    """The suppression of an address, while it is not lifted."""
    return (
        col(SuppressionRow.merchant_id) == merchant_id,
        col(SuppressionRow.channel) == channel,
        col(SuppressionRow.address) == same_address(channel, address),
        col(SuppressionRow.lifted_at).is_(None),
    )


def _stopped() -> ColumnElement[bool]:
    """Whether a suppression says that the reader has answered STOP, alone or beside another reason."""
    reason = col(SuppressionRow.reason)
    return or_(reason == ANSWERED_STOP, reason.startswith(STOP_BESIDE, autoescape=True))


def _suspended(row: Row[Any], now: datetime) -> Suspended:
    since = aware(row.since)
    until = aware(row.until) if row.until is not None else None
    # One that was taken back before it began never held anything.
    over = until is not None and until <= now
    reason = told_reason(row.reason)
    return Suspended(row.merchant_id, Family(row.family), reason, since, until, now < since, over)
