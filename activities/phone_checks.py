"""The activity that sends a code to a phone: made here, it passes through nothing else. [WACA-35]"""

from datetime import timedelta
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.attempt import Answer, Attempt, Item, Later, this_attempt
from activities.database import reading
from activities.members import Members
from activities.merchants import Merchants, UnknownMerchantError
from activities.message_rows import MESSAGES, outcome_of
from activities.phone_codes import CodeError, Fresh, PhoneCodes, Sending
from activities.pipeline import Pipeline
from models.agenda import Delivery, Notice, Status
from models.channels import SMS
from models.ids import notice_key, phone_check_id
from models.member import Member
from models.member_content import PhoneCodeContent
from models.merchant import Merchant
from models.notices import Kind
from models.people import Role
from models.phone_check import PhoneCheck, PhoneCheckReport

MINUTE = timedelta(minutes=1)
MAY_HAVE_GONE = (Status.SENT, Status.UNCERTAIN)


class PhoneChecks:
    """The activity of phone checks, with what it needs."""

    def __init__(self, engine: AsyncEngine, merchants: Merchants, pipeline: Pipeline) -> None:
        self._engine = engine
        self._members = Members(engine)
        self._codes = PhoneCodes(engine)
        self._merchants = merchants
        self._pipeline = pipeline

    @activity.defn
    async def send_code(self, check: PhoneCheck) -> PhoneCheckReport:
        """Send a code to a member's phone; while it may still go this raises, so that Temporal tries again.

        Safe to run again: one that has gone is not sent again, and no limit counts an attempt twice.
        """
        attempt = this_attempt()
        try:
            merchant = await self._merchants.get(check.merchant_id)
        except UnknownMerchantError as error:
            return PhoneCheckReport(Status.REFUSED, str(error))
        member = await self._members.get(check.merchant_id, check.member_id)
        if member is None or not member.phone:
            return PhoneCheckReport(Status.REFUSED, f"{check.member_id} has no phone to write to")
        sending = Sending(merchant, member.member_id, member.phone, str(activity.info().workflow_run_id))
        row = await self._logged(sending)
        if row is not None and row.settled_at is not None:
            return _told(row)  # a further code would only shut out the one on the phone
        if row is None and check.asked_at is not None and attempt.now > check.asked_at + _holds(merchant):
            await self._codes.withdraw(sending)
            return PhoneCheckReport(Status.MISSED, "it could not be sent in time: ask for a new one")
        try:
            fresh = await self._codes.make(sending, attempt.now)
        except CodeError as error:
            return PhoneCheckReport(Status.REFUSED, str(error))
        item = Item(_delivery(sending, member, fresh, attempt), SMS, merchant)
        ((*_, answer),) = await self._pipeline.send([item], attempt)
        return await self._report(sending, fresh, answer)

    async def _report(self, sending: Sending, fresh: Fresh, answer: Answer) -> PhoneCheckReport:
        if isinstance(answer, Later):
            raise ApplicationError(
                answer.reason,
                type="Later",
                next_retry_delay=answer.wait,
                category=ApplicationErrorCategory.BENIGN,
            )
        if answer.status in MAY_HAVE_GONE:
            return PhoneCheckReport(answer.status, answer.reason, fresh.ends_at)
        await self._codes.withdraw(sending)
        return PhoneCheckReport(answer.status, answer.reason)

    async def _logged(self, sending: Sending) -> Row[Any] | None:
        """The message of an earlier attempt at this sending."""
        query = select(MESSAGES).where(MESSAGES.c.notice_key == _key(sending), MESSAGES.c.channel == SMS)
        async with reading(self._engine) as connection:
            return (await connection.execute(query)).one_or_none()


def _told(row: Row[Any]) -> PhoneCheckReport:
    outcome = outcome_of(row)
    ends_at = row.not_after if outcome.status in MAY_HAVE_GONE else None
    return PhoneCheckReport(outcome.status, outcome.reason, ends_at)


def _holds(merchant: Merchant) -> timedelta:
    """How long a code holds, and whoever asked for it may be waiting."""
    return timedelta(minutes=merchant.phone_check.minutes)


def _key(sending: Sending) -> str:
    lifecycle = phone_check_id(sending.merchant.id, sending.member_id)
    return notice_key(lifecycle, Kind.PHONE_CODE, sending.reference, sending.member_id)


def _delivery(sending: Sending, member: Member, fresh: Fresh, attempt: Attempt) -> Delivery[PhoneCodeContent]:
    merchant: Merchant = sending.merchant
    notice = Notice(
        key=_key(sending),
        kind=Kind.PHONE_CODE,
        role=Role.MEMBER,
        recipient=member.person,
        channels=(SMS,),
        due=attempt.started,
        not_after=fresh.ends_at,
    )
    left = -((attempt.now - fresh.ends_at) // MINUTE)
    content = PhoneCodeContent(fresh.code, max(left, 1), merchant.zone_of(member.branch_id))
    lifecycle = phone_check_id(merchant.id, member.member_id)
    return Delivery(notice, content, merchant.id, lifecycle)
