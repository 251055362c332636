"""What a member's lifecycle reads and keeps: the member as it is now, what it holds, and its memory."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.addresses import zone_of
from activities.bonus_accounts import balances_of, lots_of
from activities.bulk import all_rows, among
from activities.consents import Consents
from activities.coupons import held_by
from activities.database import aware, reading, writing
from activities.members import MEMBERS, read_members
from activities.merchants import Merchants, UnknownMerchantError
from activities.message_rows import MESSAGES, ON_THE_WAY
from activities.tasks import tasks_of
from models.agenda import Agenda, Foreseen, Notice
from models.foreseen import Holdings, foreseen, overdue_keys
from models.member import Member
from models.member_agenda import member_agenda
from models.member_content import MemberContent
from models.member_record import begin
from models.member_state import MemberState, Memory, Profile, profile_of
from models.merchant import Merchant
from policies.checks.trade_ban import barred

_memory = TypeAdapter(Memory)
_log = logging.getLogger(__name__)


class UnknownMemberError(LookupError):
    """No such member; the message says how to add it."""

    def __init__(self, merchant_id: str, member_id: str) -> None:
        super().__init__(
            f"member {member_id!r} of merchant {merchant_id!r} is not known, or its phone is still to be"
            " verified: add it with `carillon member import FILE`, or give its code back with"
            " `carillon member verify`"
        )


@dataclass(frozen=True)
class Look:
    """Which member is asked about. `now`: the lifecycle's own time."""

    merchant_id: str
    member_id: str
    now: datetime


@dataclass(frozen=True)
class Seen:
    """A member as it is now, None where it is one no longer; and what will come to it from elsewhere."""

    profile: Profile | None
    foreseen: tuple[Foreseen, ...] = ()


@dataclass(frozen=True)
class Recalled:
    """A member as it is now, and what its last life remembered."""

    profile: Profile
    memory: Memory
    foreseen: tuple[Foreseen, ...] = ()


@dataclass(frozen=True)
class Keeping:
    """What a life leaves to the next."""

    merchant_id: str
    member_id: str
    memory: Memory


class MemberLife:
    """Reads and keeps what the lifecycle of a member needs."""

    def __init__(self, engine: AsyncEngine, merchants: Merchants) -> None:
        self._engine = engine
        self._merchants = merchants
        self._consents = Consents(engine)

    @activity.defn(name="recall_member")
    async def recall(self, look: Look) -> Recalled:
        """All that a life begins with. One who is no member yet is waited for, and so is the merchant."""
        try:
            return await self.remembered(look)
        except (UnknownMerchantError, UnknownMemberError) as error:
            kind = type(error).__name__.removesuffix("Error")
            # Told before it is kept is nothing out of order: it fills no log.
            raise ApplicationError(str(error), type=kind, category=ApplicationErrorCategory.BENIGN) from None

    @activity.defn(name="look_at_member")
    async def look(self, look: Look) -> Seen:
        """The member as it is now, and what will come to it. [MAAC-12]"""
        merchant = await self._merchants.get(look.merchant_id)
        async with reading(self._engine) as connection:
            member = await _member(connection, look.merchant_id, look.member_id)
            if member is None:
                return Seen(None)
            holdings = await self._holdings(connection, merchant, member, look.now)
        return Seen(profile_of(member, merchant), foreseen(holdings, look.now))

    @activity.defn(name="keep_member")
    async def keep(self, keeping: Keeping) -> None:
        """Write the memory down for the next life. Of one who is a member no longer nothing is kept."""
        which = MEMBERS.c.merchant_id == keeping.merchant_id, MEMBERS.c.member_id == keeping.member_id
        memory = _memory.dump_json(keeping.memory, exclude_defaults=True).decode()
        async with writing(self._engine) as connection:
            await connection.execute(update(MEMBERS).where(*which).values(memory=memory))

    async def remembered(self, look: Look) -> Recalled:
        """All that a life begins with. UnknownMerchantError, UnknownMemberError."""
        seen = await self.look(look)
        if seen.profile is None:
            raise UnknownMemberError(look.merchant_id, look.member_id)
        query = select(MEMBERS.c.memory).where(
            MEMBERS.c.merchant_id == look.merchant_id, MEMBERS.c.member_id == look.member_id
        )
        async with reading(self._engine) as connection:
            kept = (await connection.execute(query)).scalar_one_or_none()
        return Recalled(seen.profile, _read(kept or ""), seen.foreseen)

    async def agenda(self, look: Look) -> Agenda:
        """The agenda of a member whose lifecycle does not run: nothing is owed, others may bring something.

        UnknownMerchantError, UnknownMemberError.
        """
        recalled = await self.remembered(look)
        blank = MemberState(look.merchant_id, look.member_id)
        state = begin(blank, recalled.profile, recalled.memory, look.now)
        agenda = member_agenda(state, look.now)
        # Of one whose life never began nothing was owed: no channel is the reason why nothing came.
        left_out = agenda.left_out if state.registered or state.purchased else ()
        found = replace(agenda, owed=(), left_out=left_out, next_moment=None, over=False)
        return replace(found, foreseen=recalled.foreseen)

    async def fresh(
        self, notice: Notice, content: MemberContent, merchant: Merchant, now: datetime
    ) -> tuple[Notice, MemberContent] | None:
        """A notice to the member as it is now, and what it says; None where it is a member no longer."""
        member_id = content.member_id
        async with reading(self._engine) as connection:
            member = await _member(connection, merchant.id, member_id)
            if member is None:
                return None
            balances = (await balances_of(connection, merchant.id, [member_id], now))[member_id]
        profile = profile_of(member, merchant)
        said = replace(content, zone=profile.zone, branch_id=profile.branch_id, balances=balances)
        return replace(notice, recipient=profile.person), said

    async def _holdings(
        self, connection: AsyncConnection, merchant: Merchant, member: Member, now: datetime
    ) -> Holdings:
        person = member.person
        holdings = Holdings(
            merchant,
            member,
            coupons=await held_by(connection, merchant.id, member.member_id),
            lots=await lots_of(connection, merchant.id, member.member_id),
            tasks=await tasks_of(connection, merchant.id, paused=False),
            words=await self._consents.words_of(connection, merchant.id, person, merchant.channels),
            clock=person.zone or (zone_of(person.phone, merchant.zone) if person.phone else ""),
            sms_barred=barred(merchant) is not None,
        )
        overdue = overdue_keys(holdings, now)
        return replace(holdings, under_way=await _under_way(connection, overdue)) if overdue else holdings


async def _under_way(connection: AsyncConnection, keys: Sequence[str]) -> dict[str, bool]:
    """Of those notices at which an attempt has been made, whether any message of theirs is still to go."""
    columns = MESSAGES.c.notice_key, MESSAGES.c.status
    query = select(*columns).where(among(connection.dialect, MESSAGES.c.notice_key, keys))
    found: dict[str, bool] = {}
    for key, status in await all_rows(connection, query):
        found[key] = found.get(key, False) or status in ON_THE_WAY
    return found


async def _member(connection: AsyncConnection, merchant_id: str, member_id: str) -> Member | None:
    found = (await read_members(connection, merchant_id, [member_id])).get(member_id)
    return found and replace(found, registered_at=aware(found.registered_at))


def _read(memory: str) -> Memory:
    """What was kept; nothing where it cannot be read: the message log sees to it that nothing goes twice."""
    try:
        return _memory.validate_json(memory) if memory else Memory()
    except ValidationError:
        _log.exception("the memory of a member cannot be read")
        return Memory()
