"""A member is erased: who that was is in no table any more, and what was sent says so without them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, func, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.consents import CONSENTS, Consents
from activities.coupon_rows import COUPONS
from activities.database import aware, transact
from activities.members import GROUPS, MEMBERS
from activities.message_rows import MESSAGES
from models.channels import EMAIL, PUSH, SMS
from models.consent import Consent, ConsentGiven, member_subject, same_address
from models.notices import NoticeClass
from models.tables.bonuses import BonusAccountRow, BonusEntryRow, BonusLotRow
from models.tables.consents import VerifiedAddressRow
from models.tables.members import PhoneCodeRow

ERASED = "(erased)"
"""Stands in a message for whoever it went to, and for an address in the words of a provider."""

_BONUSES: list[Table] = [
    BonusEntryRow.__table__,  # type: ignore[attr-defined]
    BonusLotRow.__table__,  # type: ignore[attr-defined]
    BonusAccountRow.__table__,  # type: ignore[attr-defined]
]
_CODES = PhoneCodeRow.__table__  # type: ignore[attr-defined]
_VERIFIED = VerifiedAddressRow.__table__  # type: ignore[attr-defined]
_REDACTED = (
    update(MESSAGES)
    .where(MESSAGES.c.id == bindparam("number"))
    .values(
        recipient=ERASED, address="", subject="", text="", provider_id="", ask_at=None,
        reason=bindparam("reason_"), held=bindparam("held_"),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Erased:
    """What was erased of a member; `messages` are kept without whom they went to and what they said."""

    messages: int = 0
    coupons: int = 0
    bonuses: int = 0


Addresses = dict[str, str]
"""By channel."""


async def erase_member(engine: AsyncEngine, merchant_id: str, member_id: str) -> Erased | None:
    """Erase a member, all of it or nothing; None where there is no such member.

    The message log keeps that something went, when and by whose decision: without that it would be sent
    again. An address that has said no, or is dead, is kept with that alone: whoever brings it back in a list
    shall not write to it. Addresses that another member of the merchant has too are left as they are.
    """

    async def erase(connection: AsyncConnection) -> Erased | None:
        row = (await connection.execute(_member(merchant_id, member_id))).one_or_none()
        if row is None:
            return None
        told = {EMAIL: row.email, SMS: row.phone, PUSH: row.push}
        own = {
            channel: address
            for channel, address in told.items()
            if address and not await _shared(connection, merchant_id, member_id, channel, address)
        }
        # Rows of messages first, as everybody does who locks several things.
        messages = await _redact(connection, merchant_id, member_id, own)
        await _keep_refusals(connection, Consents(engine), merchant_id, member_id, own)
        coupons = await _delete(connection, COUPONS, merchant_id, COUPONS.c.member_id == member_id)
        bonuses = 0
        for table in _BONUSES:
            bonuses = await _delete(connection, table, merchant_id, table.c.member_id == member_id)
        await _delete(connection, _CODES, merchant_id, _CODES.c.member_id == member_id)
        for channel, address in own.items():
            subject = same_address(channel, address)
            verified = and_(_VERIFIED.c.channel == channel, _VERIFIED.c.address == subject)
            await _delete(connection, _VERIFIED, merchant_id, verified)
        await _delete(connection, GROUPS, merchant_id, GROUPS.c.member_id == member_id)
        await _delete(connection, MEMBERS, merchant_id, MEMBERS.c.member_id == member_id)
        return Erased(messages, coupons, bonuses)

    return await transact(engine, erase)


def _member(merchant_id: str, member_id: str) -> Any:
    whose = MEMBERS.c.merchant_id == merchant_id, MEMBERS.c.member_id == member_id
    return select(MEMBERS.c.email, MEMBERS.c.phone, MEMBERS.c.push).where(*whose).with_for_update()


async def _shared(
    connection: AsyncConnection, merchant_id: str, member_id: str, channel: str, address: str
) -> bool:
    """Whether somebody else has that address too, as a family may."""
    column = {EMAIL: func.lower(MEMBERS.c.email), SMS: MEMBERS.c.phone, PUSH: MEMBERS.c.push}[channel]
    wanted = address.lower() if channel == EMAIL else address
    others = MEMBERS.c.merchant_id == merchant_id, MEMBERS.c.member_id != member_id, column == wanted
    return await connection.scalar(select(MEMBERS.c.member_id).where(*others).limit(1)) is not None


async def _redact(connection: AsyncConnection, merchant_id: str, member_id: str, own: Addresses) -> int:
    """Every message to the member: by its lifecycle, by waves, and whatever else went to its addresses."""
    named = and_(
        MESSAGES.c.notice_key.endswith(f"/{member_id}", autoescape=True),
        not_(MESSAGES.c.lifecycle.startswith("booking:")),  # people of a booking have ids of their own
    )
    to_it = or_(named, MESSAGES.c.address.in_(list(own.values())))
    columns = MESSAGES.c.id, MESSAGES.c.address, MESSAGES.c.reason, MESSAGES.c.held
    query = select(*columns).where(MESSAGES.c.merchant_id == merchant_id, to_it).order_by(MESSAGES.c.id)
    rows = (await connection.execute(query.with_for_update())).all()
    redacted = [
        {
            "number": row.id,
            "reason_": _without(row.reason, [row.address, *own.values()]),
            "held_": _without(row.held, [row.address, *own.values()]),
        }
        for row in rows
    ]
    if redacted:
        await connection.execute(_REDACTED, redacted)
    return len(redacted)


def _without(text: str, addresses: Sequence[str]) -> str:
    """What a provider said, without the addresses that it names."""
    for address in addresses:
        text = text.replace(address, ERASED) if address else text
    return text


async def _keep_refusals(
    connection: AsyncConnection, consents: Consents, merchant_id: str, member_id: str, own: Addresses
) -> None:
    """What the member has refused its addresses refuse from here on; everything else it said is gone."""
    subject, classes = member_subject(member_id), {one.word: one for one in NoticeClass}
    found = select(CONSENTS).where(CONSENTS.c.merchant_id == merchant_id, CONSENTS.c.subject == subject)
    refused = [
        ConsentGiven(
            merchant_id, row.channel, classes[row.notice_class], Consent.OPTED_OUT, row.source, aware(row.at),
            address=own[row.channel],
        )
        for row in await connection.execute(found)
        if row.state == Consent.OPTED_OUT and row.channel in own
    ]  # fmt: skip
    if refused:
        await consents.record_consent(refused, connection)
    await _delete(connection, CONSENTS, merchant_id, CONSENTS.c.subject == subject)
    for channel, address in own.items():
        agreed = and_(
            CONSENTS.c.subject == same_address(channel, address), CONSENTS.c.state != Consent.OPTED_OUT
        )
        await _delete(connection, CONSENTS, merchant_id, agreed)


async def _delete(
    connection: AsyncConnection, table: Any, merchant_id: str, which: ColumnElement[bool]
) -> int:
    done = await connection.execute(delete(table).where(table.c.merchant_id == merchant_id, which))
    return int(done.rowcount)
