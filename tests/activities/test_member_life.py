"""What a member's lifecycle reads and keeps, on both databases."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.bonuses import Bonuses
from activities.consents import Consents
from activities.coupon_holders import Holder
from activities.coupons import Coupons
from activities.database import writing
from activities.member_life import Keeping, Look, MemberLife, UnknownMemberError
from activities.members import MEMBERS, Members
from activities.merchants import Merchants
from activities.tasks import Tasks
from models.agenda import Foreseen, Hindered, Reason
from models.bonus import Accrual
from models.consent import Consent, ConsentGiven
from models.coupon import CouponDrop
from models.drop_state import DropChange
from models.member import Member
from models.member_content import Balance, MemberContent
from models.member_facts import Purchased, Registered
from models.member_state import Known, Memory, Stage, memory_of
from models.merchant import Merchant, SmsProvider, SmsSettings
from models.notices import Kind, NoticeClass
from models.policy import Trade
from models.regular_task import RegularTask, TaskKind
from models.tables.messages import MessageRow, MessageStatus
from tests.members import MemberLife as Lived
from tests.members import clock, profile
from tests.requirements import requirement

NOW = clock("2026-03-02 09:30")
SHOP = Merchant("shop", "Shop", "Asia/Taipei", "en", "TW", "TWD")
ANNA = Member(
    "shop", "anna", "Anna", clock("2026-01-05 12:00"), "anna@example.com", birth_date=date(1990, 3, 8)
)
LOOK = Look("shop", "anna", NOW)
DAY = timedelta(days=1)


@pytest.fixture
async def life(engine: AsyncEngine) -> MemberLife:
    merchants = Merchants(engine)
    await merchants.apply(SHOP, NOW)
    return MemberLife(engine, merchants)


async def test_a_memory_comes_back_as_it_was_kept(engine: AsyncEngine, life: MemberLife) -> None:
    """With all that was told and sent; and a change of the member takes nothing away from it."""
    await Members(engine).upsert([ANNA], NOW)
    lived = Lived(profile(registered="2026-01-05 12:00"))
    lived.tell(Registered(event_id="r"))
    lived.tell(Purchased(event_id="p"), "2026-01-20 10:00")
    memory = memory_of(lived.state)
    await life.keep(Keeping("shop", "anna", memory))
    await Members(engine).upsert([replace(ANNA, name="Anna Lin")], NOW)
    recalled = await life.recall(LOOK)
    assert recalled.memory == memory
    assert recalled.profile.person.name == "Anna Lin"
    assert recalled.profile.registered_at == ANNA.registered_at


async def test_who_is_no_member_yet_is_waited_for(engine: AsyncEngine, life: MemberLife) -> None:
    """Unknown, or with a phone that is still to be verified; a merchant that is not applied yet too."""
    with pytest.raises(ApplicationError, match="member 'anna' of merchant 'shop' is not known"):
        await life.recall(LOOK)
    await Members(engine).upsert([ANNA], NOW, granted=False)
    with pytest.raises(ApplicationError) as caught:
        await life.recall(LOOK)
    assert (caught.value.type, caught.value.non_retryable) == ("UnknownMember", False)
    assert caught.value.category is ApplicationErrorCategory.BENIGN, "no log is filled by waiting"
    with pytest.raises(ApplicationError, match="merchant 'other' is not known"):
        await life.recall(replace(LOOK, merchant_id="other"))
    assert (await life.look(LOOK)).profile is None


async def test_a_memory_that_cannot_be_read_begins_anew(engine: AsyncEngine, life: MemberLife) -> None:
    """The message log sees to it that nothing goes twice."""
    await Members(engine).upsert([ANNA], NOW)
    async with writing(engine) as connection:
        await connection.execute(update(MEMBERS).values(memory='{"purchased": 7}'))
    assert (await life.recall(LOOK)).memory == Memory()


@requirement("WACA-37", "LOY-62", "LOY-71", "LOY-80")
async def test_all_that_others_hold_for_a_member_is_foreseen(engine: AsyncEngine, life: MemberLife) -> None:
    """From the tables as their owners fill them; of nobody else's anything."""
    await hold(engine)
    coming = (await life.look(LOOK)).foreseen
    assert [(one.kind, one.due) for one in coming] == [
        ("bonus_burn", clock("2026-03-02 10:00")),
        ("coupon_issued", clock("2026-03-05 15:00")),
        ("birthday", clock("2026-03-08 10:00")),
        ("bonuses_end", clock("2026-03-09 00:00")),
        ("coupon_expiring", clock("2026-03-24 15:00")),
    ]
    assert coming[0].words == "30 gift"
    assert coming[1].source == "coupon:shop:spring"


async def test_what_a_paused_task_would_bring_is_not_foreseen(engine: AsyncEngine, life: MemberLife) -> None:
    """It will not come: whoever reads the agenda is told no other. Resumed, it is there again."""
    await hold(engine)
    tasks = Tasks(engine, Merchants(engine))

    async def kinds() -> set[str]:
        return {str(one.kind) for one in (await life.look(LOOK)).foreseen}

    await tasks.hold("shop", ["birthday"], paused=True)
    assert "birthday" not in await kinds()
    await tasks.hold("shop", ["birthday"], paused=False)
    assert "birthday" in await kinds()


@requirement("WACA-37", "MAAC-12")
async def test_what_is_held_up_is_foreseen_until_the_message_log_has_it(
    engine: AsyncEngine,
) -> None:
    """Given at 01:52, it goes at nine: before any attempt, while it is deferred, and not once it has gone."""
    await Merchants(engine).apply(replace(SHOP, sms=SmsSettings(SmsProvider.TWSMS)), NOW)
    await hold(engine)
    night = clock("2026-03-06 01:52")
    await Members(engine).upsert([replace(ANNA, member_id="eve", phone="+886912345678")], NOW)
    drop = (await Coupons(engine).drop("shop", "spring")).drop
    await Coupons(engine).add(drop, [Holder("eve", "T-9")], night)
    look = Look("shop", "eve", night + timedelta(hours=1))

    async def goes() -> datetime | None:
        coming = (await MemberLife(engine, Merchants(engine)).look(look)).foreseen
        return next((one.goes for one in coming if one.kind == Kind.COUPON_ISSUED), None)

    key = "coupon:shop:spring/coupon_issued/issued/eve"
    assert await goes() == clock("2026-03-06 09:00")
    row = {"notice_key": key, "channel": "sms", "merchant_id": "shop", "lifecycle": "coupon:shop:spring"}
    common = {"kind": Kind.COUPON_ISSUED, "role": "member", "due": night, "not_after": night + DAY}
    async with writing(engine) as connection:
        await connection.execute(insert(MessageRow).values(**row, **common, status=MessageStatus.DEFERRED))
    assert await goes() == clock("2026-03-06 09:00")
    async with writing(engine) as connection:
        await connection.execute(update(MessageRow).values(status=MessageStatus.SENT))
    assert await goes() is None


@requirement("WACA-38", "MAAC-12")
async def test_a_moved_last_day_that_waits_for_the_morning_is_foreseen(engine: AsyncEngine) -> None:
    """Since when the drop is as it is, is kept with it."""
    await Merchants(engine).apply(replace(SHOP, sms=SmsSettings(SmsProvider.TWSMS)), NOW)
    await hold(engine)
    moved = clock("2026-03-26 22:00")
    drop = replace((await Coupons(engine).drop("shop", "spring")).drop, usable_to=date(2026, 4, 1))
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=moved)
    await environment.run(Coupons(engine).write_drop, DropChange(drop))
    key = "coupon:shop:spring/coupon_expiring/2026-04-01/anna"
    row = {"notice_key": key, "channel": "sms", "merchant_id": "shop", "lifecycle": "coupon:shop:spring"}
    common = {"kind": Kind.COUPON_EXPIRING, "role": "member", "due": moved, "not_after": moved + DAY}
    async with writing(engine) as connection:
        await connection.execute(insert(MessageRow).values(**row, **common, status=MessageStatus.DEFERRED))
    await Members(engine).upsert([replace(ANNA, phone="+886912345678")], NOW)
    life = MemberLife(engine, Merchants(engine))
    found = (await life.look(Look("shop", "anna", moved + timedelta(hours=1)))).foreseen
    (one,) = (one for one in found if one.kind == Kind.COUPON_EXPIRING)
    assert (one.due, one.goes) == (moved, clock("2026-03-27 09:00"))


@requirement("LS-41", "LS-50", "MAAC-12")
async def test_what_a_barred_merchant_sends_by_sms_is_foreseen_by_email(engine: AsyncEngine) -> None:
    """As the gate will have it."""
    barred = replace(SHOP, country="CA", trade=(Trade.ALCOHOL,), sms=SmsSettings(SmsProvider.TWSMS))
    await Merchants(engine).apply(barred, NOW)
    await hold(engine)
    await Members(engine).upsert([replace(ANNA, phone="+886912345678")], NOW)
    found = (await MemberLife(engine, Merchants(engine)).look(LOOK)).foreseen
    issued = next(one for one in found if one.kind == Kind.COUPON_ISSUED)
    assert (issued.channels, issued.hindered) == (("email",), (Hindered("sms", Reason.BARRED),))


@requirement("MAAC-12")
async def test_what_a_member_said_tells_by_which_channels_it_comes(
    engine: AsyncEngine, life: MemberLife
) -> None:
    """Its own word, or that about its address: the later one counts."""
    await hold(engine)

    async def birthday() -> Foreseen:
        found = (await life.look(LOOK)).foreseen
        return next(one for one in found if one.kind == Kind.BIRTHDAY)

    assert (await birthday()).channels == ("email",)
    no = ConsentGiven(
        "shop", "email", NoticeClass.LOYALTY, Consent.OPTED_OUT, "link", NOW, address="Anna@example.com"
    )
    await Consents(engine).record_consent([no])
    assert (await birthday()).hindered == (Hindered("email", Reason.DECLINED),)
    yes = replace(no, state=Consent.OPTED_IN, at=NOW + DAY, address="", member_id="anna")
    await Consents(engine).record_consent([yes])
    assert (await birthday()).channels == ("email",)


async def hold(engine: AsyncEngine) -> None:
    """A coupon and a bonus of Anna's, and some of Ben's; three tasks."""
    await Members(engine).upsert([ANNA, replace(ANNA, member_id="ben", birth_date=None)], NOW)
    drop = CouponDrop("shop", "spring", "Spring tea", date(2026, 3, 5), date(2026, 3, 5), date(2026, 3, 31))
    await Coupons(engine).keep(drop, NOW)
    await Coupons(engine).add(drop, [Holder("anna", "T-1"), Holder("ben", "T-2")], NOW)
    for who, amount in (("anna", 30), ("ben", 7)):
        ends = clock("2026-03-09 00:00")
        accrual = Accrual(who, "gift", Decimal(amount), f"e-{who}", NOW - timedelta(days=1), expires_at=ends)
        await Bonuses(engine).accrue("shop", accrual, NOW)
    tasks = [
        RegularTask("end", "shop", TaskKind.BONUS_BURN, "0 10 * * *", days=14),
        RegularTask("birthday", "shop", TaskKind.BIRTHDAY),
        RegularTask("upkeep", "shop", TaskKind.BONUS_UPKEEP, "0 * * * *"),
    ]
    await Tasks(engine, Merchants(engine)).keep(tasks, NOW)


async def test_the_agenda_of_a_member_at_rest_owes_nothing(engine: AsyncEngine, life: MemberLife) -> None:
    """Nothing would send it. What comes from elsewhere is there."""
    with pytest.raises(UnknownMemberError):
        await life.agenda(LOOK)
    await hold(engine)
    agenda = await life.agenda(LOOK)
    assert (agenda.lifecycle, agenda.stage, agenda.zone) == ("member:shop:anna", Stage.QUIET, "Asia/Taipei")
    assert (agenda.owed, agenda.next_moment, agenda.over) == ((), None, False)
    assert len(agenda.foreseen) == 5


async def test_of_who_was_only_imported_nothing_is_left_out(engine: AsyncEngine, life: MemberLife) -> None:
    """Its life never began: that it has no app is not why it was not invited."""
    await Members(engine).upsert([ANNA], NOW)
    assert (await life.agenda(LOOK)).left_out == ()
    await life.keep(Keeping("shop", "anna", Memory(purchased=Known(NOW, NOW))))
    assert (await life.agenda(LOOK)).left_out


@requirement("MAAC-12", "LOY-43")
async def test_a_notice_is_made_fresh_when_it_is_sent(engine: AsyncEngine, life: MemberLife) -> None:
    """The address, the language and the zone of now, and what can be spent; None of one who is gone."""
    await hold(engine)
    await Members(engine).upsert([replace(ANNA, email="new@example.com", zone="Europe/Paris")], NOW)
    lived = Lived(profile())
    content = MemberContent("anna", "Asia/Taipei")
    found = await life.fresh(lived.agenda.owed[0], content, SHOP, NOW)
    assert found is not None
    notice, said = found
    assert (notice.recipient.email, said.zone) == ("new@example.com", "Europe/Paris")
    assert said.balances == (Balance("gift", Decimal(30)),)
    assert notice.key == lived.agenda.owed[0].key
    assert await life.fresh(lived.agenda.owed[0], replace(content, member_id="nobody"), SHOP, NOW) is None
