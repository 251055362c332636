"""Coupons in SQL: who holds them, and that each is used once, whoever comes at the same time."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities.audience import Chosen
from activities.audiences import SELECTIONS
from activities.coupon_holders import Added, Holder
from activities.coupon_rows import CODE_LENGTH, CODE_LETTERS
from activities.coupons import CouponError, Coupons, held_by
from activities.database import open_database, reading
from activities.members import Members
from activities.merchants import Merchants
from activities.message_log import Closing, MessageLog
from models.agenda import Delivery, Notice
from models.coupon import CouponDrop, CouponState
from models.coupon_agenda import Moved
from models.drop_state import DropChange
from models.ids import notice_key
from models.member import Member
from models.merchant import Branch, Merchant, SmsProvider, SmsSettings
from models.notices import Kind
from models.people import Person, Role
from models.tables.messages import MessageStatus
from models.wave import Audience, Wave
from tests.requirements import requirement

SHOP = Merchant(
    "lumi",
    "Lumi",
    "Asia/Taipei",
    "zh-Hant",
    "TW",
    "TWD",
    branches=(Branch("paris", "Paris", zone="Europe/Paris"),),
    sms=SmsSettings(SmsProvider.TWSMS),
)
DROP = CouponDrop("lumi", "spring", "Spring", date(2027, 3, 1), date(2027, 3, 1), date(2027, 3, 31))
NOW = datetime(2027, 2, 20, 4, tzinfo=UTC)
IN_USE = datetime(2027, 3, 10, 4, tzinfo=UTC)


@pytest.fixture
async def coupons(engine: AsyncEngine) -> Coupons:
    """A merchant with three members and a drop, which nobody holds."""
    await Merchants(engine).apply(SHOP, NOW)
    await Members(engine).upsert([a_member(name) for name in ("ada", "bo", "cy")], NOW)
    made = Coupons(engine)
    assert await made.keep(DROP, NOW)
    return made


def a_member(name: str) -> Member:
    return Member("lumi", name, name.title(), NOW, phone="+886912345678")


async def given(coupons: Coupons, *names: str, now: datetime = NOW) -> Added:
    return await coupons.add(DROP, [Holder(name, f"CODE-{name}") for name in names], now)


async def state_of(engine: AsyncEngine, name: str) -> CouponState:
    async with reading(engine) as connection:
        (held,) = await held_by(connection, "lumi", name)
    return held.state


async def test_a_member_holds_a_coupon_once_however_often_it_is_given(coupons: Coupons) -> None:
    """With the code that was given, or one that is made; a page told again changes nothing."""
    first = await coupons.add(DROP, [Holder("ada"), Holder("bo", "MINE"), Holder("ada")], NOW)
    assert (first.new, first.same, first.refused, first.since) == (2, 1, (), NOW)
    again = await coupons.add(DROP, [Holder("ada"), Holder("bo", "MINE")], NOW + timedelta(days=3))
    assert (again.new, again.same, again.since) == (0, 2, None)
    assert await coupons.tally("lumi", "spring") == {
        CouponState.ISSUED: 2, CouponState.REDEEMED: 0, CouponState.REVOKED: 0
    }  # fmt: skip


async def test_what_cannot_be_given_is_refused_one_by_one(coupons: Coupons) -> None:
    """Each with its place, the field and the mend; the rest goes in."""
    given = [Holder("ada", "A"), Holder("nobody"), Holder("bo", "A"), Holder("cy", "C"), Holder("ada", "B")]
    added = await coupons.add(DROP, given, NOW)
    assert (added.new, added.same) == (2, 0)
    assert [(one.place, one.field, one.value, one.what) for one in added.refused] == [
        (1, "member_id", "nobody", "is no member of lumi"),
        (2, "code", "A", "is taken"),
        (4, "code", "B", "is not the code that the member holds"),
    ]
    other = replace(DROP, drop_id="other")
    await coupons.keep(other, NOW)
    taken = await coupons.add(other, [Holder("bo", "C")], NOW)
    assert [one.what for one in taken.refused] == ["is taken"], "a code is one of the whole merchant"


async def test_whoever_was_cut_off_before_telling_is_told_again(coupons: Coupons) -> None:
    """A run that wrote and died is made good by another one within a day."""
    await given(coupons, "ada")
    later = NOW + timedelta(hours=5)
    assert (await given(coupons, "ada", now=later)).since == NOW
    assert (await given(coupons, "ada", "bo", now=later)).since == NOW
    assert (await given(coupons, "ada", "bo", now=NOW + timedelta(hours=25))).since == later


async def test_codes_that_are_made_are_never_misread_and_never_the_same(
    coupons: Coupons, engine: AsyncEngine
) -> None:
    """No letter that is taken for another."""
    await Members(engine).upsert([a_member(f"m{n}") for n in range(300)], NOW)
    assert (await coupons.add_members(DROP, NOW)).new == 303
    async with reading(engine) as connection:
        codes = [(await held_by(connection, "lumi", f"m{n}"))[0].code for n in range(300)]
    assert len(set(codes)) == 300
    assert all(len(code) == CODE_LENGTH and set(code) <= set(CODE_LETTERS) for code in codes)
    assert not set("01OILU") & set(CODE_LETTERS)


async def test_a_group_is_given_a_coupon_in_one_go(coupons: Coupons, engine: AsyncEngine) -> None:
    """And those alone who are in it."""
    await Members(engine).upsert([replace(a_member("ada"), groups=("vip",))], NOW)
    assert (await coupons.add_members(DROP, NOW, group="vip")).new == 1
    assert (await coupons.add_members(DROP, NOW, group="nobody")).new == 0
    everybody = await coupons.add_members(DROP, NOW)
    assert (everybody.new, everybody.same) == (2, 1)


async def test_twenty_thousand_are_given_at_once_by_two_who_do_the_same(
    coupons: Coupons, engine: AsyncEngine
) -> None:
    """Each of them holds it once, with one code."""
    await Members(engine).upsert((a_member(f"m{n:05}") for n in range(20_000)), NOW)
    one, other = await asyncio.gather(coupons.add_members(DROP, NOW), coupons.add_members(DROP, NOW))
    assert one.new + other.new == 20_003
    assert one.new + one.same == other.new + other.same == 20_003
    assert (await coupons.tally("lumi", "spring"))[CouponState.ISSUED] == 20_003


async def test_a_coupon_is_redeemed_once(coupons: Coupons) -> None:
    """Told twice under one event id it is one; another till hears when it was."""
    await given(coupons, "ada")
    for code in ("CODE-ada", "CODE-ada"):
        held = await coupons.redeem("lumi", code, "till-1", IN_USE, IN_USE)
        assert (held.state, held.member_id) == (CouponState.REDEEMED, "ada")
    with pytest.raises(CouponError, match="it was redeemed at 2027-03-10 04:00 UTC"):
        await coupons.redeem("lumi", "CODE-ada", "till-2", IN_USE, IN_USE)
    with pytest.raises(CouponError, match="'nonsense' is no coupon of lumi"):
        await coupons.redeem("lumi", "nonsense", "till-2", IN_USE, IN_USE)


async def test_a_made_code_is_found_as_people_type_it(coupons: Coupons, engine: AsyncEngine) -> None:
    """In small letters, with a blank at its end."""
    await coupons.add(DROP, [Holder("ada")], NOW)
    async with reading(engine) as connection:
        (held,) = await held_by(connection, "lumi", "ada")
    found = await coupons.redeem("lumi", f" {held.code.lower()} ", "till-1", IN_USE, IN_USE)
    assert found.code == held.code


async def test_nobody_redeems_a_coupon_in_the_future(coupons: Coupons) -> None:
    """What we are told of has happened: a moment to come counts as now, by which the coupon is judged."""
    await given(coupons, "ada", "bo")
    with pytest.raises(CouponError, match="cannot be used on 2027-02-20: it can be from 2027-03-01 on"):
        await coupons.redeem("lumi", "CODE-ada", "till-1", IN_USE, NOW)
    await coupons.redeem("lumi", "CODE-bo", "till-1", IN_USE + timedelta(days=99), IN_USE)
    with pytest.raises(CouponError, match="it was redeemed at 2027-03-10 04:00 UTC"):
        await coupons.redeem("lumi", "CODE-bo", "till-2", IN_USE, IN_USE)


@requirement("WACA-35", "WACA-37")
async def test_who_waits_for_the_phone_to_be_verified_holds_a_coupon_from_then_on(
    coupons: Coupons, engine: AsyncEngine
) -> None:
    """And is told of it as one who is given it then. Who was a member before keeps the day."""
    members = Members(engine)
    await members.upsert([a_member("di")], NOW, granted=False)
    await given(coupons, "ada", "di")
    wave = a_wave(Kind.COUPON_ISSUED, since=IN_USE.isoformat())
    assert await chosen(engine, wave, ("ada", "di")) == ([], [])
    for name in ("ada", "di", "di"):
        await members.grant("lumi", name, IN_USE)
    who, found = await chosen(engine, wave, ("ada", "di"))
    assert (who, [one.not_after for one in found]) == (["di"], [IN_USE + timedelta(days=1)])
    held = [
        (one.member_id, one.added_at) for name in ("ada", "di") for one in await coupons.untold("lumi", name)
    ]
    assert held == [("ada", NOW), ("di", IN_USE)]
    await coupons.redeem("lumi", "CODE-di", "till", IN_USE, IN_USE)
    assert await coupons.untold("lumi", "di") == []


@requirement("WACA-38")
async def test_a_moved_last_day_is_told_to_whoever_has_heard_of_another(
    coupons: Coupons, engine: AsyncEngine
) -> None:
    """Whoever is still to hear of the coupon hears of the new day with it."""
    moved = datetime(2027, 3, 30, 2, tzinfo=UTC)
    await given(coupons, "ada")
    await given(coupons, "bo", now=moved - timedelta(hours=9))
    await given(coupons, "cy", now=moved + timedelta(seconds=1))
    await Members(engine).upsert([a_member("di")], NOW)
    await given(coupons, "di", now=moved - timedelta(hours=9))
    longer = replace(DROP, usable_to=date(2027, 4, 3))
    await ActivityEnvironment().run(coupons.write_drop, DropChange(longer))
    told = {"last_day": "2027-04-03", **Moved(moved, 31).parameters}
    wave, names = a_wave(Kind.COUPON_EXPIRING, **told), ("ada", "bo", "cy", "di")
    assert [one.person.id for one in (await chosen(engine, wave, names))[1]] == ["ada"]
    issued = a_wave(Kind.COUPON_ISSUED)
    for name, at in (("bo", moved - timedelta(hours=1)), ("di", moved + timedelta(hours=1))):
        await settle(engine, issued, name, at)
    found = (await chosen(engine, wave, names))[1]
    assert [one.person.id for one in found] == ["ada", "bo"], "di has just read of the new day"
    assert {one.not_after for one in found} == {datetime(2027, 4, 3, 15, 59, 59, tzinfo=UTC)}


@requirement("WACA-38", "LS-50")
async def test_whose_email_in_the_place_of_an_sms_waits_is_still_to_hear_of_the_coupon(
    coupons: Coupons, engine: AsyncEngine
) -> None:
    """It has no phone, and its email waits for the morning: that tells the day as it was moved."""
    moved = datetime(2027, 3, 30, 2, tzinfo=UTC)
    given_at = moved - timedelta(hours=9)
    await given(coupons, "ada")
    await given(coupons, "bo", now=given_at)
    longer = replace(DROP, usable_to=date(2027, 4, 3))
    await ActivityEnvironment().run(coupons.write_drop, DropChange(longer))
    issued = a_wave(Kind.COUPON_ISSUED)
    refused = closing(issued, "bo", given_at, MessageStatus.REFUSED, rule="address")
    waiting = closing(issued, "bo", given_at, MessageStatus.DEFERRED, "email", "quiet_hours")
    await MessageLog(engine).close([refused, waiting])
    told = {"last_day": "2027-04-03", **Moved(moved, 31).parameters}
    wave = a_wave(Kind.COUPON_EXPIRING, **told)
    assert [one.person.id for one in (await chosen(engine, wave, ("ada", "bo")))[1]] == ["ada"]


async def settle(engine: AsyncEngine, wave: Wave, name: str, at: datetime) -> None:
    """A message of that wave that was not sent, for whatever reason."""
    await MessageLog(engine).close([closing(wave, name, at, MessageStatus.LAPSED)])


def closing(
    wave: Wave, name: str, at: datetime, status: MessageStatus, channel: str = "sms", rule: str = ""
) -> Closing:
    """What became of a member's message of that wave."""
    person = Person(name.title(), phone="+886912345678", member_id=name, id=name)
    key = notice_key(wave.lifecycle, wave.kind, wave.subject, name)
    notice = Notice(key, wave.kind, Role.MEMBER, person, ("sms",), wave.due, wave.not_after)
    delivery = Delivery(notice, None, "lumi", wave.lifecycle)
    return Closing(delivery, channel, status, "a test", at, rule)


@pytest.mark.parametrize(
    ("drop", "at", "why"),
    [
        (DROP, "2027-02-28 23:59", "cannot be used on 2027-02-28: it can be from 2027-03-01 on"),
        (DROP, "2027-03-01 00:00", None),
        (DROP, "2027-03-31 23:59", None),
        (DROP, "2027-04-01 00:00", "cannot be used on 2027-04-01: its last day was 2027-03-31"),
        # In Paris it is seven hours earlier, and six in summer.
        (replace(DROP, branch_id="paris"), "2027-03-01 06:59", "cannot be used on 2027-02-28"),
        (replace(DROP, branch_id="paris"), "2027-04-01 05:59", None),
        (replace(DROP, branch_id="paris"), "2027-04-01 06:00", "its last day was 2027-03-31"),
    ],
)
async def test_a_coupon_is_used_on_its_days_by_the_clock_of_its_shop(
    engine: AsyncEngine, drop: CouponDrop, at: str, why: str | None
) -> None:
    """Both the first and the last one included; `at` is on the clock of Taipei."""
    await Merchants(engine).apply(SHOP, NOW)
    await Members(engine).upsert([a_member("ada")], NOW)
    coupons = Coupons(engine)
    await coupons.keep(drop, NOW)
    await coupons.add(drop, [Holder("ada", "A")], NOW)
    moment = datetime.fromisoformat(f"{at}+08:00")
    if why is None:
        await coupons.redeem("lumi", "A", "till", moment, moment)
    else:
        with pytest.raises(CouponError, match=why):
            await coupons.redeem("lumi", "A", "till", moment, moment)


async def test_of_many_tills_that_redeem_one_coupon_one_wins(coupons: Coupons, database_url: str) -> None:
    """On connections of their own, all at once; and nobody redeems what is revoked at the same moment."""
    await given(coupons, "ada", "bo")
    engines = [open_database(database_url) for _ in range(4)]
    tills = [Coupons(engine) for engine in engines for _ in range(4)]

    async def redeem(number: int, code: str) -> str:
        try:
            await tills[number].redeem("lumi", code, f"till-{number}", IN_USE, IN_USE)
        except CouponError as error:
            return "revoked" if "revoked" in str(error) else "redeemed before"
        return "won"

    async def revoke() -> str:
        try:
            await coupons.revoke(DROP, "bo", "desk", IN_USE)
        except CouponError:
            return "too late"
        return "done"

    first = Counter(await asyncio.gather(*(redeem(number, "CODE-ada") for number in range(16))))
    assert first == {"won": 1, "redeemed before": 15}
    second = Counter(await asyncio.gather(*(redeem(number, "CODE-bo") for number in range(8)), revoke()))
    assert second in ({"won": 1, "redeemed before": 7, "too late": 1}, {"revoked": 8, "done": 1})
    for engine in engines:
        await engine.dispose()


@requirement("WACA-38")
async def test_what_is_revoked_cannot_be_redeemed_and_the_other_way_round(
    coupons: Coupons, engine: AsyncEngine
) -> None:
    """One coupon, or the whole drop: then all that is not redeemed, and nobody is given it any more."""
    await given(coupons, "ada", "bo", "cy")
    for _ in range(2):
        assert (await coupons.revoke(DROP, "ada", "desk", IN_USE)).state is CouponState.REVOKED
    with pytest.raises(CouponError, match="CODE-ada cannot be used: it was revoked"):
        await coupons.redeem("lumi", "CODE-ada", "till", IN_USE, IN_USE)
    await coupons.redeem("lumi", "CODE-bo", "till", IN_USE, IN_USE)
    with pytest.raises(CouponError, match="CODE-bo cannot be revoked: it was redeemed"):
        await coupons.revoke(DROP, "bo", "desk", IN_USE)
    with pytest.raises(CouponError, match="'di' holds no coupon"):
        await coupons.revoke(DROP, "di", "desk", IN_USE)

    await ActivityEnvironment().run(coupons.write_drop, DropChange(DROP, revoked=True))
    with pytest.raises(CouponError, match="CODE-cy cannot be used: it was revoked"):
        await coupons.redeem("lumi", "CODE-cy", "till", IN_USE, IN_USE)
    with pytest.raises(CouponError, match="'spring' is revoked: nobody can be given"):
        await given(coupons, "cy")
    assert [await state_of(engine, name) for name in ("ada", "bo", "cy")] == [
        "revoked",
        "redeemed",
        "revoked",
    ]
    assert await coupons.tally("lumi", "spring") == {
        CouponState.ISSUED: 0, CouponState.REDEEMED: 1, CouponState.REVOKED: 2
    }  # fmt: skip


async def test_a_drop_keeps_its_days_and_changes_its_name(coupons: Coupons) -> None:
    """What would change its days says how that is done."""
    assert not await coupons.keep(DROP, NOW)
    assert await coupons.keep(replace(DROP, name="Summer"), NOW)
    assert (await coupons.drop("lumi", "spring")).drop.name == "Summer"
    with pytest.raises(CouponError, match="issue_on: '2027-03-02' was '2027-03-01' before and stays so"):
        await coupons.keep(replace(DROP, issue_on=date(2027, 3, 2)), NOW)
    with pytest.raises(CouponError, match="`carillon coupon extend lumi/spring 2027-04-30`"):
        await coupons.keep(replace(DROP, usable_to=date(2027, 4, 30)), NOW)
    with pytest.raises(CouponError, match="lumi/other is not known"):
        await coupons.drop("lumi", "other")
    with pytest.raises(CouponError, match="is over: its last day was 2027-03-31"):
        await given(coupons, "ada", now=datetime(2027, 4, 1, tzinfo=UTC))


def a_wave(kind: Kind, **parameters: str) -> Wave:
    audience = Audience(kind.value, {"drop": "spring", **parameters})
    subject = "issued" if kind is Kind.COUPON_ISSUED else "2027-03-31"
    last, lifecycle = IN_USE + timedelta(days=9), "coupon:lumi:spring"
    return Wave("w", "lumi", kind, audience, ("sms",), IN_USE, last, lifecycle, subject)


async def chosen(engine: AsyncEngine, wave: Wave, names: Sequence[str]) -> tuple[list[str], list[Chosen]]:
    """Who is in the audience at all, and what is told to these."""
    selection = SELECTIONS[wave.audience.name]
    async with reading(engine) as connection:
        who = (await connection.execute(selection.who(wave, SHOP, IN_USE))).scalars().all()
        return sorted(map(str, who)), await selection.read(connection, wave, SHOP, names, IN_USE)


@requirement("WACA-37", "WACA-38")
async def test_only_who_can_use_the_coupon_still_is_told_of_it(coupons: Coupons, engine: AsyncEngine) -> None:
    """Asked at the time of sending. Who was given it later is told for a day from then on."""
    await given(coupons, "ada", "bo")
    late = datetime(2027, 3, 28, tzinfo=UTC)
    await given(coupons, "cy", now=late)
    await coupons.redeem("lumi", "CODE-bo", "till", IN_USE, IN_USE)
    names = ("ada", "bo", "cy")
    who, found = await chosen(engine, a_wave(Kind.COUPON_ISSUED), names)
    assert who == [one.person.id for one in found] == ["ada", "cy"]
    issued = datetime(2027, 3, 1, 7, tzinfo=UTC)
    assert [one.not_after for one in found] == [issued + timedelta(days=1), late + timedelta(days=1)]
    view = found[0].content.coupon
    assert view is not None
    assert (view.name, view.code, view.usable_to) == ("Spring", "CODE-ada", date(2027, 3, 31))
    assert (found[0].content.zone, found[0].content.branch_id) == ("Asia/Taipei", "")

    _, expiring = await chosen(engine, a_wave(Kind.COUPON_EXPIRING, last_day="2027-03-31"), names)
    assert [one.person.id for one in expiring] == ["ada"], "the issued notice of the other names the last day"
    _, moved = await chosen(engine, a_wave(Kind.COUPON_EXPIRING, last_day="2027-03-30"), names)
    assert moved == []
    since = a_wave(Kind.COUPON_ISSUED, since=late.isoformat())
    assert (await chosen(engine, since, names))[0] == ["cy"]
    await ActivityEnvironment().run(coupons.write_drop, DropChange(DROP, revoked=True))
    assert await chosen(engine, a_wave(Kind.COUPON_ISSUED), names) == ([], [])
