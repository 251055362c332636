"""What is wrong with messages now, read by an index of those in trouble: never the whole log."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, literal_column, not_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.database import aware
from activities.handing_over import OUR_OWN, PACE
from activities.ledger_books import ACCOUNTS, ALERTS
from activities.message_rows import MESSAGES
from activities.pipeline import TEMPLATE
from models.credits import Pool
from models.ids import credits_lifecycle_id
from models.notices import Kind
from models.tables.messages import MessageStatus
from models.tables.staff import StaffAlertRow
from models.trouble import Cause, Key, Remembered, Trouble

TOLD = StaffAlertRow.__table__  # type: ignore[attr-defined]

LATE = timedelta(minutes=5)
"""A message that waits for so long past its moment is in trouble."""
GIVEN_UP = timedelta(days=1)
"""So long past its last moment a message that still waits is nobody's: who sends it would have settled it."""
REASONS = 1_000
"""So many different ones are read at the most."""
CHUNK = 500
CHANGING = ("since", "seen", "level", "number", "example", "told_at", "tried_at")
LOOK: Key = ("", "look", "")
"""Where it is remembered when it was last looked."""

_SETTING = re.compile(r"\bCARILLON_[A-Z0-9_]+")


async def troubles(connection: AsyncConnection, since: datetime, now: datetime) -> list[Trouble]:
    """What waits too long at `now`, and what was settled badly after `since`; without shortages of points."""
    found = _merged([_waiting(row) for row in await connection.execute(_late(now))])
    for status, cause in ((MessageStatus.MISSED, Cause.MISSED), (MessageStatus.UNCERTAIN, Cause.UNCERTAIN)):
        rows = await connection.execute(_ended(status, since))
        found += [Trouble(row.merchant_id, cause, count=row.number, example=row.example) for row in rows]
    return found + await _emails_that_were_not_sent(connection, since)


async def sms_points(connection: AsyncConnection) -> dict[str, int]:
    """What is left on every account of SMS points, in thousandths, by merchant."""
    query = select(ACCOUNTS.c.merchant_id, ACCOUNTS.c.balance).where(ACCOUNTS.c.pool == Pool.SMS)
    return {row.merchant_id: row.balance for row in await connection.execute(query)}


async def remembered(connection: AsyncConnection) -> dict[Key, Remembered]:
    """What was seen and told before."""
    found = [_remembered(row) for row in await connection.execute(select(TOLD))]
    return {one.key: one for one in found}


async def remember(connection: AsyncConnection, ones: Iterable[Remembered], ended: Collection[Key]) -> None:
    """Write down what was seen and told, and forget what has ended."""
    for merchant_id, cause, about in sorted(ended):
        key = (TOLD.c.merchant_id == merchant_id, TOLD.c.cause == cause, TOLD.c.about == about)
        await connection.execute(delete(TOLD).where(*key))
    rows = [_row(one) for one in sorted(ones, key=lambda one: one.key)]
    if rows:
        insert = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
        new = insert(TOLD)
        values = {name: new.excluded[name] for name in CHANGING}
        keys = ["merchant_id", "cause", "about"]
        await connection.execute(new.on_conflict_do_update(index_elements=keys, set_=values), rows)


def _is(status: MessageStatus) -> ColumnElement[bool]:
    # As it stands in the index: a database does not use an index of some rows for a value that it is given.
    written: ColumnElement[str] = literal_column(f"'{status.value}'")
    there: ColumnElement[bool] = MESSAGES.c.status == written
    return there


def _late(now: datetime) -> Select[Any]:
    same = [MESSAGES.c[name] for name in ("merchant_id", "provider", "rule", "reason")]
    return (
        select(*same, func.count().label("number"), func.min(MESSAGES.c.id).label("example"))
        .where(
            _is(MessageStatus.WAITING),
            MESSAGES.c.due <= now - LATE,
            MESSAGES.c.not_after > now - GIVEN_UP,
            MESSAGES.c.reason.not_in(OUR_OWN),
            not_(MESSAGES.c.reason.endswith(PACE)),
        )
        .group_by(*same)
        .limit(REASONS)
    )


def _ended(status: MessageStatus, since: datetime) -> Select[Any]:
    return (
        select(MESSAGES.c.merchant_id, func.count().label("number"), func.min(MESSAGES.c.id).label("example"))
        .where(
            _is(status),
            MESSAGES.c.settled_at > since,
            MESSAGES.c.kind != Kind.SMS_POINTS_LOW,  # told of by itself
        )
        .group_by(MESSAGES.c.merchant_id)
    )


async def _emails_that_were_not_sent(connection: AsyncConnection, since: datetime) -> list[Trouble]:
    """Emails of shortages that nobody was sent, or that lost their merchant. [WACA-29b]"""
    done = select(ALERTS.c.merchant_id).where(ALERTS.c.done_at > since).distinct()
    merchants = sorted((await connection.execute(done)).scalars())
    found = []
    for start in range(0, len(merchants), CHUNK):
        lifecycles = [credits_lifecycle_id(one) for one in merchants[start : start + CHUNK]]
        query = (
            select(
                MESSAGES.c.merchant_id, func.count().label("number"), func.max(MESSAGES.c.id).label("example")
            )
            .where(
                MESSAGES.c.lifecycle.in_(lifecycles),
                MESSAGES.c.status.in_(NOT_TOLD),
                MESSAGES.c.settled_at > since,
            )
            .group_by(MESSAGES.c.merchant_id)
        )
        rows = await connection.execute(query)
        found += [
            Trouble(row.merchant_id, Cause.EMAIL, count=row.number, example=row.example) for row in rows
        ]
    return found


NOT_TOLD = (
    MessageStatus.REFUSED,
    MessageStatus.FAILED,
    MessageStatus.MISSED,
    MessageStatus.UNCERTAIN,
)


def _waiting(row: Row[Any]) -> Trouble:
    if row.rule == TEMPLATE:
        return Trouble(row.merchant_id, Cause.TEMPLATE, count=row.number, example=row.example)
    setting = _SETTING.search(row.reason)
    named = setting.group() if setting is not None else ""
    return Trouble(row.merchant_id, Cause.PROVIDER, row.provider, row.number, row.example, setting=named)


def _merged(found: Sequence[Trouble]) -> list[Trouble]:
    """One of each merchant, cause and provider, whatever the reasons."""
    merged: dict[Key, Trouble] = {}
    for one in found:
        other = merged.get(one.key)
        merged[one.key] = one if other is None else _both(other, one)
    return list(merged.values())


def _both(one: Trouble, other: Trouble) -> Trouble:
    first = min((one, other), key=lambda trouble: trouble.example or 0)
    setting = one.setting or other.setting
    return replace(first, count=one.count + other.count, setting=setting)


def _remembered(row: Row[Any]) -> Remembered:
    return Remembered(
        (row.merchant_id, row.cause, row.about),
        aware(row.since),
        aware(row.seen),
        row.level,
        row.number,
        row.example,
        row.told_at and aware(row.told_at),
        row.tried_at and aware(row.tried_at),
    )


def _row(one: Remembered) -> dict[str, Any]:
    merchant_id, cause, about = one.key
    about_it = {"merchant_id": merchant_id, "cause": cause, "about": about}
    moments = {"since": one.since, "seen": one.seen, "told_at": one.told_at, "tried_at": one.tried_at}
    return about_it | moments | {"level": one.level, "number": one.count, "example": one.example}
