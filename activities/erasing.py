"""A member is erased: its profile, and all that hangs on it, and who it was in what was sent."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Table,
    and_,
    bindparam,
    delete,
    false,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.batch import Batch
from activities.consents import CONSENTS, Consents
from activities.coupon_rows import COUPONS
from activities.database import aware
from activities.ledger import refund
from activities.members import GROUPS, MEMBERS
from activities.message_rows import MESSAGES, ON_THE_WAY, to_member, under_way
from models.channels import EMAIL, PUSH, SMS
from models.consent import Consent, ConsentGiven, member_subject, same_address
from models.ids import message_reference
from models.notices import NoticeClass
from models.tables.bonuses import BonusAccountRow, BonusEntryRow, BonusLotRow
from models.tables.consents import VerifiedAddressRow
from models.tables.members import PhoneCodeRow
from models.tables.messages import MessageStatus

ERASED = "(erased)"
"""Stands in a message for whoever it went to, and for an address in the words of a provider."""
WHY = "the member was erased"

_ACCOUNTS: Table = BonusAccountRow.__table__  # type: ignore[attr-defined]
_LOTS: Table = BonusLotRow.__table__  # type: ignore[attr-defined]
_BONUS_ENTRIES: Table = BonusEntryRow.__table__  # type: ignore[attr-defined]
_CODES: Table = PhoneCodeRow.__table__  # type: ignore[attr-defined]
_VERIFIED: Table = VerifiedAddressRow.__table__  # type: ignore[attr-defined]
_MAY_CHANGE = ("status", "reason", "held", "doubtful", "settled_at")
"""What may change of a message, beside whom it went to and what it said."""
_REDACTED = (
    update(MESSAGES)
    .where(MESSAGES.c.id == bindparam("number"))
    .values(
        recipient=ERASED, address="", subject="", text="", provider_id="", ask_at=None,
        **{name: bindparam(f"new_{name}", type_=MESSAGES.c[name].type) for name in _MAY_CHANGE},
    )
)  # fmt: skip


@dataclass(frozen=True)
class Erased:
    """What was erased of a member; `messages` are kept without whom they went to and what they said.

    `known`: there was such a member still.
    """

    known: bool = False
    messages: int = 0
    coupons: int = 0
    bonuses: int = 0


@dataclass(frozen=True)
class Erasure:
    """Who is to be erased. `bookings`: the lifecycles that are deleted too, and all that they sent."""

    merchant_id: str
    member_id: str
    now: datetime
    bookings: Collection[str] = ()


Addresses = dict[str, str]
"""By channel."""


async def erase_member(engine: AsyncEngine, erasure: Erasure) -> Erased:
    """Erase a member in one transaction. Asked again it takes what was written down meanwhile.

    The message log keeps that something went, when and by whose decision: without that it would be sent
    again. What was on its way is settled, and its points are given back. An address that has said no, or is
    dead, is kept with that alone: whoever brings it back in a list shall not write to it. Addresses that
    another member of the merchant has too are left as they are.
    """

    async def erase(connection: AsyncConnection, asked: Sequence[Erasure]) -> list[Erased]:
        return [await _erase(connection, Consents(engine), one) for one in asked]

    return await Batch(engine, erase).ask(erasure)


async def _erase(connection: AsyncConnection, consents: Consents, one: Erasure) -> Erased:
    merchant_id, member_id = one.merchant_id, one.member_id
    whose = MEMBERS.c.merchant_id == merchant_id, MEMBERS.c.member_id == member_id
    query = select(MEMBERS.c.email, MEMBERS.c.phone, MEMBERS.c.push).where(*whose)
    row = (await connection.execute(query)).one_or_none()
    told = {} if row is None else {EMAIL: row.email, SMS: row.phone, PUSH: row.push}
    own = {
        channel: address
        for channel, address in told.items()
        if address and not await _shared(connection, one, channel, address)
    }
    # Rows of messages first, and ledgers after them, as everybody does.
    messages = await _redact(connection, one, own)
    await _keep_refusals(connection, consents, one, own)
    coupons = await _delete(connection, COUPONS, one, COUPONS.c.member_id == member_id)
    accounts = _ACCOUNTS.c.merchant_id == merchant_id, _ACCOUNTS.c.member_id == member_id
    # A till that is at one of them comes to its end before.
    await connection.execute(select(_ACCOUNTS).where(*accounts).order_by("currency").with_for_update())
    for table in (_BONUS_ENTRIES, _LOTS, _CODES, GROUPS):
        await _delete(connection, table, one, table.c.member_id == member_id)
    bonuses = await _delete(connection, _ACCOUNTS, one, _ACCOUNTS.c.member_id == member_id)
    for channel, address in own.items():
        subject = same_address(channel, address)
        verified = and_(_VERIFIED.c.channel == channel, _VERIFIED.c.address == subject)
        await _delete(connection, _VERIFIED, one, verified)
    await _delete(connection, MEMBERS, one, MEMBERS.c.member_id == member_id)
    return Erased(row is not None, messages, coupons, bonuses)


async def _shared(connection: AsyncConnection, one: Erasure, channel: str, address: str) -> bool:
    """Whether somebody else has that address too, as a family may."""
    column = {EMAIL: func.lower(MEMBERS.c.email), SMS: MEMBERS.c.phone, PUSH: MEMBERS.c.push}[channel]
    wanted = func.lower(address) if channel == EMAIL else address
    others = MEMBERS.c.merchant_id == one.merchant_id, MEMBERS.c.member_id != one.member_id, column == wanted
    return await connection.scalar(select(MEMBERS.c.member_id).where(*others).limit(1)) is not None


async def _redact(connection: AsyncConnection, one: Erasure, own: Addresses) -> int:
    """Every message to the member, by its lifecycle, by waves and to its addresses; all of its bookings."""
    mail = MESSAGES.c.channel == EMAIL, func.lower(MESSAGES.c.address) == func.lower(own.get(EMAIL, ""))
    to_it = or_(
        to_member(connection.dialect, one.member_id),
        MESSAGES.c.address.in_(list(own.values())),
        and_(*mail) if EMAIL in own else false(),
        MESSAGES.c.lifecycle.in_(list(one.bookings)),
    )
    query = select(MESSAGES).where(
        MESSAGES.c.merchant_id == one.merchant_id,
        to_it,
        # What was redacted before, and is settled, stays as it is.
        or_(MESSAGES.c.recipient != ERASED, MESSAGES.c.status.in_(ON_THE_WAY), MESSAGES.c.provider_id != ""),
    )
    found = await connection.execute(
        query.order_by(MESSAGES.c.notice_key, MESSAGES.c.channel).with_for_update()
    )
    rows = found.all()
    changes = [_changed(row, one, own) for row in rows]
    if changes:
        await connection.execute(_REDACTED, changes)
    lapsed = [
        message_reference(row.notice_key, row.channel)
        for row, change in zip(rows, changes, strict=True)
        if row.channel == SMS and row.status in ON_THE_WAY and change["new_status"] is MessageStatus.LAPSED
    ]
    await refund(connection, one.merchant_id, lapsed, WHY, one.now)
    return len(rows)


def _changed(row: Row[Any], one: Erasure, own: Addresses) -> dict[str, Any]:
    """What becomes of a message. One that an attempt may be handing over at this moment that one settles."""
    addresses = [row.address, *own.values()]
    change: dict[str, Any] = {"number": row.id}
    change |= {f"new_{name}": getattr(row, name) for name in _MAY_CHANGE}
    change["new_reason"] = _without(row.reason, addresses)
    change["new_held"] = _without(row.held, addresses)
    if row.status in ON_THE_WAY and under_way(row, one.now) is None:
        may_have_gone = row.doubtful or row.status == MessageStatus.HANDING_OVER
        change |= {
            "new_status": MessageStatus.UNCERTAIN if may_have_gone else MessageStatus.LAPSED,
            "new_reason": f"{WHY}; an attempt may have sent it before" if may_have_gone else WHY,
            "new_doubtful": may_have_gone,
            "new_settled_at": one.now,
        }
    return change


def _without(text: str, addresses: Sequence[str]) -> str:
    """What a provider said, without the addresses that it names, however it writes them."""
    for address in filter(None, addresses):
        text = re.sub(re.escape(address), ERASED, text, flags=re.IGNORECASE)
        digits = re.sub(r"\D", "", address)
        if address.startswith("+") and len(digits) >= LOCAL:
            # With or without its country, with whatever between the digits.
            text = re.sub(r"[+\d]?[\d ().-]*" + r"[ ().-]*".join(digits[-LOCAL:]), ERASED, text)
    # Once the member is gone its addresses are not known any more: whatever looks like one.
    return _LIKE_AN_ADDRESS.sub(ERASED, text)


_LIKE_AN_ADDRESS = re.compile(r"[^\s<>\"']+@[^\s<>\"']+|\+?\d{8,}")
LOCAL = 8
"""So many of the last digits of a telephone number tell whose it is."""


async def _keep_refusals(
    connection: AsyncConnection, consents: Consents, one: Erasure, own: Addresses
) -> None:
    """What the member has refused its addresses refuse from here on; what else it said is gone.

    A no that has no address of its own to go to stays under the number of the member.
    """
    subject, classes = member_subject(one.member_id), {each.word: each for each in NoticeClass}
    found = select(CONSENTS).where(CONSENTS.c.merchant_id == one.merchant_id, CONSENTS.c.subject == subject)
    refused = [
        ConsentGiven(
            one.merchant_id,
            row.channel,
            classes[row.notice_class],
            Consent.OPTED_OUT,
            row.source,
            aware(row.at),
            address=own[row.channel],
        )
        for row in await connection.execute(found)
        if row.state == Consent.OPTED_OUT and row.channel in own
    ]
    if refused:
        await consents.record_consent(refused, connection)
    moved_or_yes = or_(CONSENTS.c.state != Consent.OPTED_OUT, CONSENTS.c.channel.in_(list(own)))
    await _delete(connection, CONSENTS, one, and_(CONSENTS.c.subject == subject, moved_or_yes))
    for channel, address in own.items():
        agreed = and_(
            CONSENTS.c.subject == same_address(channel, address), CONSENTS.c.state != Consent.OPTED_OUT
        )
        await _delete(connection, CONSENTS, one, agreed)


async def _delete(connection: AsyncConnection, table: Any, one: Erasure, which: ColumnElement[bool]) -> int:
    done = await connection.execute(delete(table).where(table.c.merchant_id == one.merchant_id, which))
    return int(done.rowcount)
