"""The codes that verify phones: made, kept as salted hashes, taken back once. [WACA-35]"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.consents import Consents
from activities.database import reading, writing
from activities.members import MEMBERS, grant
from models.channels import SMS
from models.member import Member
from models.merchant import Merchant
from models.showing import shown_time
from models.tables.members import PhoneCodeRow

CODES = PhoneCodeRow.__table__  # type: ignore[attr-defined]
SOURCE = "phone code"

_COST = {"n": 2**12, "r": 8, "p": 1}
"""Some 10 ms and 4 MB for each answer: the row stays locked meanwhile."""


class CodeState(StrEnum):
    """What became of a code."""

    OPEN = "open"
    ANSWERED = "answered"
    SPENT = "spent"
    REPLACED = "replaced"
    UNSENT = "unsent"


class CodeError(Exception):
    """A code that cannot be sent, or an answer that does not do; the sentence says why, and what to do."""


@dataclass(frozen=True)
class Sending:
    """One code asked for. `reference` names it, the same for every attempt at it."""

    merchant: Merchant
    member_id: str
    phone: str
    reference: str


@dataclass(frozen=True)
class Fresh:
    """A code just made, in the clear: for the message alone."""

    code: str = field(repr=False)
    ends_at: datetime


class PhoneCodes:
    """The codes of all merchants."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._consents = Consents(engine)

    async def may_send(self, merchant: Merchant, phone: str, now: datetime) -> None:
        """CodeError where no further code goes to this phone for now; it says when again."""
        async with reading(self._engine) as connection:
            await _check_pace(connection, merchant, phone, now)

    async def answered(self, merchant: Merchant, member: Member, given: str) -> bool:
        """Whether the last code that went to the phone that a member has now was given back, and is this.

        CodeError where it was given back, and this is another.
        """
        query = select(CODES).where(
            _to(merchant.id, member.phone),
            CODES.c.member_id == member.member_id,
            CODES.c.state != CodeState.UNSENT,
        )
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.order_by(CODES.c.id))).all()
        last = [row for row in rows if row.reference == rows[-1].reference]
        if not last or last[-1].state != CodeState.ANSWERED:
            return False
        if not _right(last, given):
            raise CodeError(
                f"the phone of {member.member_id} was verified before, and this is not the code that did it:"
                " nothing is left to verify"
            )
        return True

    async def make(self, sending: Sending, now: datetime) -> Fresh:
        """A code for one attempt at a sending; CodeError where none may go.

        Codes of earlier sendings are taken no more. Those of earlier attempts at this one are: any of them
        may be on the phone. They all end together.
        """
        policy, now = sending.merchant.phone_check, now.astimezone(UTC)
        async with writing(self._engine) as connection:
            await _alone_with(connection, sending.merchant.id, sending.phone)
            earlier = await _of_sending(connection, sending)
            if not earlier:
                await _check_pace(connection, sending.merchant, sending.phone, now)
            elif any(row.state != CodeState.OPEN for row in earlier):
                raise CodeError("its code is not open any more")
            await _replace(connection, sending)
            at = earlier[0].at if earlier else now
            code = f"{secrets.randbelow(10**policy.digits):0{policy.digits}}"
            fresh = Fresh(code, at + timedelta(minutes=policy.minutes))
            await _keep(connection, sending, fresh, at)
        return fresh

    async def withdraw(self, sending: Sending) -> None:
        """No attempt at this sending has left, and none will: it counts towards no limit."""
        async with writing(self._engine) as connection:
            await _become(
                connection, _of(sending.merchant.id, sending.phone, sending.reference), CodeState.UNSENT
            )

    async def answer(self, merchant: Merchant, member_id: str, given: str, now: datetime) -> None:
        """The member's answer. The right one verifies the phone and grants the membership; CodeError else.

        Answers to one member's codes follow one another, so that guesses made at one time are all counted.
        """
        now = now.astimezone(UTC)
        async with writing(self._engine) as connection:
            member = await _locked_member(connection, merchant.id, member_id)
            refusal = await self._answer(connection, merchant, member, given, now)
        if refusal:  # said only now: a wrong answer is written down
            raise CodeError(refusal)

    async def _answer(
        self, connection: AsyncConnection, merchant: Merchant, member: Row[Any], given: str, now: datetime
    ) -> str:
        """What is wrong with an answer, or nothing where it is right."""
        rows = await _open_codes(connection, member)
        if not rows:
            return f"no code is open for {member.member_id}: ask for a new one"
        if rows[0].expires_at <= now:
            ended = shown_time(rows[0].expires_at, merchant.zone)
            return f"the code ended at {ended} ({merchant.zone}): ask for a new one"
        if not _right(rows, given):
            return await _count_wrong(connection, rows, merchant.phone_check.attempts)
        await _become(connection, _with(rows[0]), CodeState.ANSWERED)
        await self._consents.record_verified(merchant.id, SMS, member.phone, SOURCE, now, connection)
        await grant(connection, merchant.id, member.member_id, now)
        return ""


async def _alone_with(connection: AsyncConnection, merchant_id: str, phone: str) -> None:
    """Sendings to one phone follow one another. On SQLite a writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        key = func.hashtextextended(f"phone code {merchant_id} {phone}", 0)
        await connection.execute(select(func.pg_advisory_xact_lock(key)))


async def _of_sending(connection: AsyncConnection, sending: Sending) -> Sequence[Row[Any]]:
    query = select(CODES).where(_of(sending.merchant.id, sending.phone, sending.reference))
    return (await connection.execute(query.order_by(CODES.c.id))).all()


def _of(merchant_id: str, phone: str, reference: str) -> ColumnElement[bool]:
    """The codes of one sending."""
    return and_(_to(merchant_id, phone), CODES.c.reference == reference)


def _with(row: Row[Any]) -> ColumnElement[bool]:
    """The codes of the same sending as that one."""
    return _of(row.merchant_id, row.phone, row.reference)


def _to(merchant_id: str, phone: str) -> ColumnElement[bool]:
    return and_(CODES.c.merchant_id == merchant_id, CODES.c.phone == phone)


async def _check_pace(connection: AsyncConnection, merchant: Merchant, phone: str, now: datetime) -> None:
    """At most so many sendings in so many hours, with a pause between two. [WACA-35]"""
    policy = merchant.phone_check
    since = max(timedelta(hours=policy.hours), timedelta(seconds=policy.pause_seconds))
    query = (
        select(func.min(CODES.c.at, type_=CODES.c.at.type).label("at"))
        .where(_to(merchant.id, phone), CODES.c.at > now - since, CODES.c.state != CodeState.UNSENT)
        .group_by(CODES.c.reference)
    )
    sent = sorted((await connection.execute(query)).scalars())
    again = now
    if sent:
        again = sent[-1] + timedelta(seconds=policy.pause_seconds)
    if len(sent) >= policy.sends:
        again = max(again, sent[-policy.sends] + timedelta(hours=policy.hours))
    if again > now:
        when = shown_time(again + timedelta(minutes=1), merchant.zone)
        raise CodeError(f"too many codes went to this phone: try again at {when} ({merchant.zone})")


async def _replace(connection: AsyncConnection, sending: Sending) -> None:
    """Of one member, and to one phone, only the last sending counts."""
    whose = and_(_to(sending.merchant.id, sending.phone), CODES.c.member_id == sending.member_id)
    others = CODES.c.reference != sending.reference
    await _become(connection, and_(whose, others), CodeState.REPLACED)


async def _become(connection: AsyncConnection, which: ColumnElement[bool], state: CodeState) -> None:
    await connection.execute(update(CODES).where(which, CODES.c.state == CodeState.OPEN).values(state=state))


async def _keep(connection: AsyncConnection, sending: Sending, fresh: Fresh, at: datetime) -> None:
    salt = secrets.token_hex(16)
    row = {
        "merchant_id": sending.merchant.id,
        "member_id": sending.member_id,
        "phone": sending.phone,
        "reference": sending.reference,
        "salt": salt,
        "hash": _hash(salt, fresh.code),
        "state": CodeState.OPEN,
        "wrong": 0,
        "at": at,
        "expires_at": fresh.ends_at,
    }
    await connection.execute(insert(CODES).values(row))


async def _locked_member(connection: AsyncConnection, merchant_id: str, member_id: str) -> Row[Any]:
    query = (
        select(MEMBERS.c.merchant_id, MEMBERS.c.member_id, MEMBERS.c.phone)
        .where(MEMBERS.c.merchant_id == merchant_id, MEMBERS.c.member_id == member_id)
        .with_for_update()
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise CodeError(f"{member_id!r} is no member of {merchant_id}: register it first")
    return row


async def _open_codes(connection: AsyncConnection, member: Row[Any]) -> Sequence[Row[Any]]:
    """Those that an answer may be to: of this member, to the phone that it has now."""
    query = select(CODES).where(
        _to(member.merchant_id, member.phone),
        CODES.c.member_id == member.member_id,
        CODES.c.state == CodeState.OPEN,
    )
    rows = (await connection.execute(query.order_by(CODES.c.id).with_for_update())).all()
    return [row for row in rows if row.reference == rows[-1].reference]


def _right(rows: Sequence[Row[Any]], given: str) -> bool:
    """Whether it is one of these codes. It takes as long whichever digits are wrong."""
    plain = "".join(given.split()).replace("-", "")
    right = [hmac.compare_digest(row.hash, _hash(row.salt, plain)) for row in rows]
    return any(right)


async def _count_wrong(connection: AsyncConnection, rows: Sequence[Row[Any]], attempts: int) -> str:
    wrong = max(row.wrong for row in rows) + 1
    left = attempts - wrong
    state = CodeState.OPEN if left > 0 else CodeState.SPENT
    await connection.execute(update(CODES).where(_with(rows[0])).values(wrong=wrong, state=state))
    if left > 0:
        return f"that is not the code: {left} {'try is' if left == 1 else 'tries are'} left"
    return "that is not the code, and it was the last try: ask for a new one"


def _hash(salt: str, code: str) -> str:
    return hashlib.scrypt(code.encode(), salt=bytes.fromhex(salt), **_COST).hex()
