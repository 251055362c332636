"""Becoming a member: stored, its phone verified where there is one, and its lifecycle told. [WACA-35]"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.coupons import Coupons
from activities.members import Enrolment, Kept, Members
from activities.phone_codes import CodeError, PhoneCodes
from client import Carillon, EndedError, UnknownLifecycleError
from models.drop_state import HoldersAdded
from models.ids import coupon_workflow_id
from models.member_facts import Registered
from models.merchant import Merchant
from models.phone_check import PhoneCheckReport, needs_check

REGISTRATION = "registration"
"""The event id of every registration: a member registers once, however often that is told."""


@dataclass(frozen=True)
class Registration:
    """How a member stands. `code`: what came of the code that was sent, None where none was, or not yet.

    `zone`: the merchant's.
    """

    kept: Kept
    zone: str
    code: PhoneCheckReport | None = None

    @property
    def granted(self) -> bool:
        return self.kept.granted


class Membership:
    """The way into one merchant's membership. All of it may be asked again."""

    def __init__(self, engine: AsyncEngine, carillon: Carillon, merchant: Merchant) -> None:
        self._members = Members(engine)
        self._codes = PhoneCodes(engine)
        self._coupons = Coupons(engine)
        self._carillon = carillon
        self.merchant = merchant

    async def register(self, told: Enrolment, now: datetime) -> Registration:
        """Keep a member. Without a phone it is one at once; else a code is sent, and its answer makes it one.

        CodeError where no further code may be sent yet.
        """
        checked = needs_check(self.merchant, told.member)
        await self._members.enrol([told], now, granted=not checked)
        kept = await self._kept(told.member.member_id)
        if not kept.granted and needs_check(self.merchant, kept.member):
            return await self._send(kept, now)
        if not kept.granted:
            await self._members.grant(self.merchant.id, kept.member.member_id, now)
            kept = await self._kept(kept.member.member_id)
        await self._tell(kept, kept.member.registered_at)
        return Registration(kept, self.merchant.zone)

    async def resend(self, member_id: str, now: datetime) -> Registration:
        """Another code; the one before is taken no more. CodeError where none may be sent yet."""
        return await self._send(await self._kept(member_id), now)

    async def verify(self, member_id: str, code: str, now: datetime) -> Registration:
        """The member's answer: the right one grants the membership; CodeError says what is wrong with it."""
        before = await self._kept(member_id)
        # Given back already: after a crash in between only the lifecycle is still to be told.
        if not (before.granted and await self._codes.answered(self.merchant, before.member, code)):
            await self._codes.answer(self.merchant, member_id, code, now)
        kept = await self._kept(member_id)
        # One who was a member before has only verified another phone.
        await self._tell(kept, kept.member.registered_at if before.granted else now)
        return Registration(kept, self.merchant.zone)

    async def _send(self, kept: Kept, now: datetime) -> Registration:
        member_id = kept.member.member_id
        if not needs_check(self.merchant, kept.member):
            raise CodeError(f"{member_id} has no phone to verify, or {self.merchant.id} sends no SMS")
        await self._codes.may_send(self.merchant, kept.member.phone, now)
        code = await self._carillon.check_phone(self.merchant.id, member_id)
        return Registration(kept, self.merchant.zone, code)

    async def _kept(self, member_id: str) -> Kept:
        kept = await self._members.kept(self.merchant.id, member_id)
        if kept is None:
            raise CodeError(f"{member_id!r} is no member of {self.merchant.id}: register it first")
        return kept

    async def _tell(self, kept: Kept, at: datetime) -> None:
        """Told again after a crash it is told once: the event ids are the same."""
        member_id = kept.member.member_id
        await self._carillon.tell_member(
            self.merchant.id, member_id, Registered(event_id=REGISTRATION, at=at)
        )
        # Coupons that it was given before may have been told of to everybody else.
        for held in await self._coupons.untold(self.merchant.id, member_id):
            if held.added_at is not None:
                added = HoldersAdded(event_id=f"granted-{member_id}", since=held.added_at)
                with suppress(EndedError, UnknownLifecycleError):
                    await self._carillon.tell(coupon_workflow_id(self.merchant.id, held.drop.drop_id), added)
