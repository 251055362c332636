"""A member is erased: nothing in the database says any more who that was."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import String, cast, or_, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col

from activities.bonus_accruals import accrue_all
from activities.bonuses import Bonuses, differences
from activities.consents import Consents
from activities.coupons import Coupons
from activities.database import reading, writing
from activities.erasing import ERASED, Erased, Erasure, erase_member
from activities.ledger import Want
from activities.ledger_accounts import balance, topup
from activities.members import Members
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.message_rows import Asked, Claim, Left
from models.agenda import Delivery, Notice
from models.bonus import Accrual, Spend
from models.consent import Consent, ConsentGiven, Suppression
from models.coupon import CouponDrop
from models.credits import Pool
from models.ids import message_reference
from models.member import Member
from models.notices import Kind, NoticeClass
from models.people import Person, Role
from models.tables.bonuses import BonusAccountRow, BonusEntryRow, BonusLotRow
from models.tables.members import PhoneCodeRow
from models.tables.messages import MessageStatus
from tests.world import MERCHANT, eventually

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
ADA = Member(
    MERCHANT.id, "ada", "Ada Lovelace", NOW, "Ada@Example.com", "+886912000111", "token-of-ada", "en",
    birth_date=date(1990, 12, 10), customer_id="CUST-77", groups=("vip",),
)  # fmt: skip
BO = replace(ADA, member_id="bo", name="Bo", phone="+886912000222", push="token-of-bo", customer_id="C-78")
"""Of one family: they read the same mailbox."""
TRACES = ("Ada Love", "886912000111", "token-of-ada", "CUST-77", "SECRET")


async def message(
    engine: AsyncEngine, key: str, channel: str, member: Member, reason: str = "", lifecycle: str = ""
) -> None:
    """One that was sent, with words for nobody else."""
    log = MessageLog(engine)
    person = Person(member.name, member.email, member.phone, "en", member.member_id, member.member_id)
    notice = Notice(key, Kind.COUPON_ISSUED, Role.MEMBER, person, (channel,), NOW, NOW + timedelta(days=1))
    delivery = Delivery(notice, None, MERCHANT.id, lifecycle or key.partition("/")[0])
    said = {"text": f"SECRET for {member.name}", "subject": f"Dear {member.name}", "segments": 1}
    (claim,) = await log.claim([Asked(delivery, channel, MERCHANT, "token", NOW, said)])
    await log.leave([Left(claim, MERCHANT.id, MessageStatus.SENT, NOW, reason, "twsms", "id-1", ask_at=NOW)])


async def filled(engine: AsyncEngine) -> None:
    """Two members with everything that a member can have."""
    await Merchants(engine).apply(MERCHANT, NOW)
    await Members(engine).upsert([ADA, BO], NOW)
    drop = CouponDrop(MERCHANT.id, "spring", "Spring", NOW.date(), NOW.date(), date(2026, 4, 1))
    coupons, bonuses, consents = Coupons(engine), Bonuses(engine), Consents(engine)
    await coupons.keep(drop, NOW)
    await coupons.add_members(drop, NOW)
    for one in (ADA, BO):
        who = one.member_id
        await bonuses.accrue(MERCHANT.id, Accrual(who, "gift", Decimal(10), f"a-{who}", NOW), NOW)
        await bonuses.spend(MERCHANT.id, Spend(who, "gift", Decimal(3), f"s-{who}", NOW), NOW)
        await message(engine, f"coupon:lumi:spring/coupon_issued/now/{who}", "sms", one, f"ok {one.phone}")
        await message(engine, f"member:lumi:{who}/member_welcome//{who}", "email", one)
    await message(engine, "booking:lumi:b1/voucher//p1", "sms", ADA)
    await message(engine, "booking:lumi:b1/voucher//p1", "email", ADA)
    loyalty, promotional = NoticeClass.LOYALTY, NoticeClass.PROMOTIONAL
    await consents.record_consent(
        [
            ConsentGiven(MERCHANT.id, "sms", promotional, Consent.OPTED_OUT, "till", NOW, member_id="ada"),
            ConsentGiven(MERCHANT.id, "email", promotional, Consent.OPTED_OUT, "till", NOW, member_id="ada"),
            ConsentGiven(MERCHANT.id, "sms", loyalty, Consent.OPTED_IN, "till", NOW, member_id="ada"),
            ConsentGiven(MERCHANT.id, "sms", loyalty, Consent.OPTED_IN, "till", NOW, address=ADA.phone),
            ConsentGiven(MERCHANT.id, "sms", loyalty, Consent.OPTED_IN, "till", NOW, member_id="bo"),
        ]
    )
    await consents.suppress([Suppression(MERCHANT.id, "sms", ADA.phone, "answered STOP", "twilio", NOW)])
    async with writing(engine) as connection:
        code = {"merchant_id": MERCHANT.id, "member_id": "ada", "phone": ADA.phone, "reference": "r"}
        more = {"salt": "s", "hash": "h", "state": "answered", "at": NOW, "expires_at": NOW}
        codes = PhoneCodeRow.__table__  # type: ignore[attr-defined]
        await connection.execute(codes.insert(), {**code, **more})


async def erase(engine: AsyncEngine, member_id: str = "ada", *bookings: str, at: datetime = NOW) -> Erased:
    return await erase_member(engine, Erasure(MERCHANT.id, member_id, at, bookings))


async def everything(engine: AsyncEngine, trace: str) -> list[str]:
    """Where any column of any table holds these letters."""
    found = []
    async with reading(engine) as connection:
        for table in SQLModel.metadata.sorted_tables:
            holding = or_(*(cast(column, String).contains(trace) for column in table.c))
            rows = (await connection.execute(select(table).where(holding))).all()
            found += [table.name] * len(rows)
    return sorted(found)


async def messages(engine: AsyncEngine, **whose: Any) -> Sequence[dict[str, Any]]:
    return await MessageLog(engine).messages(merchant_id=MERCHANT.id, **whose)


async def test_nothing_in_the_database_says_who_an_erased_member_was(engine: AsyncEngine) -> None:
    """In no column of no table; but for the number that has refused, which is not written to again."""
    await filled(engine)
    for trace in TRACES:
        assert await everything(engine, trace), f"{trace} is nowhere before: this proves nothing"
    assert await erase(engine) == Erased(True, messages=3, coupons=1, bonuses=1)
    kept = {trace: await everything(engine, trace) for trace in TRACES}
    # Bo's messages have words of their own, and the mail to the mailbox that Bo reads too is to Bo as well.
    assert kept == {
        "Ada Love": ["messages"],
        "886912000111": ["consents", "suppressions"],
        "token-of-ada": [],
        "CUST-77": [],
        "SECRET": ["messages", "messages", "messages"],
    }
    async with reading(engine) as connection:
        assert await differences(connection) == []


async def test_what_went_to_an_erased_member_is_told_without_whom_and_what(engine: AsyncEngine) -> None:
    """That it went, when, by whom and why stays: it does not go again, and `explain` has its answer."""
    await filled(engine)
    await erase(engine)
    key = "coupon:lumi:spring/coupon_issued/now/ada"
    (row,) = [one for one in await messages(engine) if one["notice_key"] == key]
    assert (row["status"], row["provider"], row["segments"]) == ("sent", "twsms", 1)
    assert (row["recipient"], row["reason"]) == (ERASED, f"ok {ERASED}")
    assert [row[name] for name in ("address", "subject", "text", "provider_id", "ask_at")] == [
        "",
        "",
        "",
        "",
        None,
    ]


async def test_an_erased_members_no_is_kept_to_for_its_addresses(engine: AsyncEngine) -> None:
    """Whoever brings the number back in a list does not write to it. What it agreed to is gone."""
    await filled(engine)
    await erase(engine)
    consents = Consents(engine)
    said = await consents.said_by(MERCHANT.id, ADA.phone)
    assert [(one["channel"], one["notice_class"], one["state"]) for one in said] == [
        ("sms", "promotional", "opted_out")
    ]
    assert [one["channel"] for one in await consents.said_by(MERCHANT.id, "member:ada")] == ["email"]
    (suppressed,) = await consents.suppressions(merchant_id=MERCHANT.id)
    assert (suppressed["address"], suppressed["reason"]) == (ADA.phone, "answered STOP")


async def test_others_are_left_as_they_are(engine: AsyncEngine) -> None:
    """Also the one who reads the same mailbox, and a member of that id at another merchant."""
    await filled(engine)
    other = replace(MERCHANT, id="other")
    await Merchants(engine).apply(other, NOW)
    await Members(engine).upsert([replace(ADA, merchant_id="other")], NOW)
    before = await messages(engine, member_id="bo")
    await erase(engine)
    members = Members(engine)
    assert await members.get(MERCHANT.id, "ada") is None
    assert await members.get(MERCHANT.id, "bo") == BO
    assert await members.get("other", "ada") == replace(ADA, merchant_id="other")
    assert await messages(engine, member_id="bo") == before
    assert [one["state"] for one in await Consents(engine).said_by(MERCHANT.id, "member:bo")] == ["opted_in"]


async def test_who_is_no_member_is_not_erased(engine: AsyncEngine) -> None:
    """Twice is as once."""
    await filled(engine)
    assert await erase(engine, "cy") == Erased()
    assert (await erase(engine)).known
    assert await erase(engine) == Erased()


async def test_an_id_that_differs_in_its_letters_case_is_somebody_else(engine: AsyncEngine) -> None:
    """On SQLite LIKE does not tell them apart."""
    await filled(engine)
    key = "coupon:lumi:spring/coupon_issued/now/ADA"
    await message(engine, key, "sms", replace(ADA, member_id="ADA", name="Other", phone="+886912000333"))
    await erase(engine)
    (row,) = [one for one in await messages(engine) if one["notice_key"] == key]
    assert (row["recipient"], row["address"]) == ("Other", "+886912000333")


async def test_a_shops_own_alert_is_no_message_to_a_member_called_merchant(engine: AsyncEngine) -> None:
    """Whose key ends in the role that it goes to."""
    await filled(engine)
    alert = replace(ADA, name="Lumi", phone="", email="shop@example.com")
    await message(engine, "credits:lumi/sms_points_low/1/merchant", "email", alert)
    assert (await erase(engine, "merchant")).messages == 0


async def test_mail_to_the_mailbox_in_another_spelling_is_redacted(engine: AsyncEngine) -> None:
    """`Ada@Example.com` is the mailbox of `ada@example.com`."""
    await filled(engine)
    await Members(engine).upsert([replace(ADA, email="Ada.L@Example.com")], NOW)
    key = "booking:lumi:b2/voucher//p1"
    await message(engine, key, "email", replace(ADA, email="ada.l@example.com"), "250 <ADA.L@example.com> ok")
    await erase(engine)
    (row,) = [one for one in await messages(engine) if one["notice_key"] == key]
    assert (row["recipient"], row["reason"]) == (ERASED, f"250 <{ERASED}> ok")


async def test_all_that_a_deleted_booking_sent_is_redacted(engine: AsyncEngine) -> None:
    """Also to an address that the member has no more, and to whoever was told of the member in it."""
    await filled(engine)
    teacher = replace(BO, name="Tom", email="tom@example.com")
    await message(engine, "booking:lumi:b3/assignment//tom", "email", teacher)
    assert (await erase(engine, "ada", "booking:lumi:b3")).messages == 4
    assert "tom@example.com" not in {one["address"] for one in await messages(engine)}


async def test_a_no_that_no_address_can_keep_is_kept_by_the_number(engine: AsyncEngine) -> None:
    """Bo reads the same mailbox and has refused nothing; brought back by an old list, Ada has."""
    await filled(engine)
    await erase(engine)
    await Members(engine).upsert([ADA], NOW)
    said = await Consents(engine).said_by(MERCHANT.id, "member:ada")
    assert [(one["channel"], one["state"]) for one in said] == [("email", "opted_out")]


async def test_what_was_on_its_way_to_an_erased_member_is_settled_and_costs_nothing(
    engine: AsyncEngine,
) -> None:
    """The lifecycle that would have settled it is gone. What may have gone is not called unsent."""
    await filled(engine)
    shop = replace(MERCHANT, credits=replace(MERCHANT.credits, enabled=True))
    log = MessageLog(engine)
    person = Person("Ada Lovelace", phone=ADA.phone, member_id="ada", id="ada")

    async with writing(engine) as connection:
        await topup(connection, shop, Pool.SMS, Decimal(10), "invoice-1", NOW)

    async def claimed(subject: str, at: datetime) -> str:
        key = f"member:lumi:ada/invitation/{subject}/ada"
        notice = Notice(key, Kind.INVITATION, Role.MEMBER, person, ("sms",), NOW, NOW + timedelta(days=1))
        delivery = Delivery(notice, None, shop.id, "member:lumi:ada")
        want = Want(message_reference(key, "sms"), Decimal("0.85"))
        (claim,) = await log.claim([Asked(delivery, "sms", shop, "token", at, {"text": "SECRET"}, want)])
        if subject == "waits":
            await log.leave([Left(claim, shop.id, MessageStatus.WAITING, at, "no answer", "twsms")])
        return key

    await claimed("waits", NOW)
    await claimed("died", NOW - timedelta(hours=1))
    in_hand = await claimed("in hand", NOW)
    await erase(engine)
    found = {
        one["notice_key"].split("/")[2]: one
        for one in await messages(engine)
        if "invitation" in one["notice_key"]
    }
    assert {name: (one["status"], one["text"]) for name, one in found.items()} == {
        "waits": ("lapsed", ""),
        "died": ("uncertain", ""),
        "in hand": ("handing_over", ""),
    }
    async with reading(engine) as connection:  # of the two that may have gone nothing is given back
        assert (await balance(connection, shop.id)).sms == Decimal("8.30")
    # Its attempt writes down what came of it; asked again, that is redacted as well.
    claim = Claim(in_hand, "sms", "token")
    await log.leave([Left(claim, shop.id, MessageStatus.SENT, NOW, f"to {ADA.phone}", "twsms", "id-9")])
    assert (await erase(engine)).messages == 1
    (row,) = [one for one in await messages(engine) if one["notice_key"] == in_hand]
    assert (row["status"], row["provider_id"], row["reason"]) == ("sent", "", f"to {ERASED}")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_till_that_is_at_an_account_comes_to_its_end_before_it_is_erased(engine: AsyncEngine) -> None:
    """Nothing of what it wrote is left: no lot without an account, from which a later spend would take."""
    await filled(engine)

    async def waits() -> bool | None:
        async with reading(engine) as connection:
            query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            return bool(await connection.scalar(query)) or None

    async with writing(engine) as connection:
        await accrue_all(connection, MERCHANT.id, [Accrual("ada", "gift", Decimal(5), "late", NOW)], NOW)
        erasing = asyncio.create_task(erase(engine))
        await eventually(waits)
        assert not erasing.done()
    assert (await erasing).bonuses == 1
    async with reading(engine) as connection:
        for row in (BonusAccountRow, BonusLotRow, BonusEntryRow):
            left = (await connection.execute(select(row).where(col(row.member_id) == "ada"))).all()
            assert left == []
