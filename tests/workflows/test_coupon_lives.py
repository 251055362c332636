"""Whole lives of coupon drops on the real server, with time skipped and every message read from the log."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from activities import merchants
from activities.coupon_holders import Holder
from activities.coupons import CouponError, Coupons, held_by
from activities.database import reading, writing
from activities.member_life import Look, MemberLife
from activities.members import Enrolment, Members
from activities.merchants import Merchants
from activities.message_log import MessageLog
from client import EndedError, RefusedError
from commands.membership import Membership
from models import drop_state
from models.agenda import Agenda, Foreseen, Reason, Report, Status
from models.coupon import CouponDrop
from models.drop_state import DropStage, ExtendDrop, HoldersAdded, RevokeDrop
from models.ids import coupon_workflow_id, wave_workflow_id
from models.member import Member
from models.merchant import SmsProvider, SmsSettings
from models.notices import CATALOGUE, Kind
from models.policy import ClassPolicy, GatePolicy
from models.wave import Audience
from models.wave_showing import NOBODY
from temporal_server import dynamic_config_arguments, server_program
from tests.requirements import requirement
from tests.waves import begin as begin_wave
from tests.waves import wave as a_wave
from tests.world import MERCHANT, World, a_world, eventually, now
from workflows.lifecycle import SEARCH_ATTRIBUTES
from workflows.wave import WaveWorkflow

FREE = GatePolicy(loyalty=ClassPolicy())
"""Nobody is asked and no hour is quiet: these tests are about the calendar."""
SHOP = replace(MERCHANT, gate=FREE, locale="en")
ZONE = ZoneInfo(SHOP.zone)
TODAY = now().astimezone(ZONE).date()
SECOND = timedelta(seconds=1)
NAMES = ("ada", "bo", "cy")
ISSUED, EXPIRING = "coupon_issued", "coupon_expiring"


@pytest.fixture
async def world(temporal: Client, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(temporal, tmp_path, merchant=SHOP) as made, made.worker():
        await Members(made.engine).upsert([a_member(name) for name in (*NAMES, "di", "ed")], now())
        yield made


def a_member(name: str) -> Member:
    number = 900_000_000 + sum(ord(letter) << 8 * place for place, letter in enumerate(name)) % 10**8
    return Member(SHOP.id, name, name.title(), now(), phone=f"+886{number}")


def day(number: int) -> date:
    """So many days from today, by the shop's calendar."""
    return TODAY + timedelta(days=number)


def clock(number: int, hour: int = 15, minute: int = 0) -> datetime:
    """What the shop's clock shows then, by ZoneInfo alone."""
    return datetime.combine(day(number), time(hour, minute), ZONE).astimezone(UTC)


def a_drop(issue: int, first: int, last: int) -> CouponDrop:
    return CouponDrop(SHOP.id, f"d-{uuid4().hex[:6]}", "Spring coupon", day(issue), day(first), day(last))


async def begun(world: World, drop: CouponDrop, *names: str) -> str:
    """A drop at work, with its first holders."""
    await Coupons(world.engine).keep(drop, now())
    if names:
        await Coupons(world.engine).add(drop, map(Holder, names), now())
    lifecycle = (await world.carillon.start_coupon(drop)).lifecycle
    await world.until(lifecycle, lambda agenda: agenda.stage != DropStage.WAITING)
    return lifecycle


async def given(world: World, drop: CouponDrop, *names: str) -> None:
    """More holders, by the clock of the drop."""
    lifecycle = coupon_workflow_id(drop.merchant_id, drop.drop_id)
    added = await Coupons(world.engine).add(drop, map(Holder, names), await world.clock(lifecycle))
    assert added.new == len(names)
    assert added.since is not None
    await world.carillon.tell(lifecycle, HoldersAdded(event_id=uuid4().hex, since=added.since, holders=9))


async def foreseen_by(world: World, member_id: str, at: datetime) -> tuple[Foreseen, ...]:
    """What comes to a member, as its agenda has it at that moment."""
    life = MemberLife(world.engine, Merchants(world.engine))
    return (await life.look(Look(SHOP.id, member_id, at))).foreseen


async def last_words(world: World, lifecycle: str) -> Report:
    """Of a drop that ends by itself."""
    handle = world.client.get_workflow_handle(lifecycle, result_type=Report)
    return await asyncio.wait_for(handle.result(), 20)


async def told(world: World) -> dict[str, list[str]]:
    """The kinds of notice that each member was sent, in order, as the message log has them."""
    found: dict[str, list[str]] = {}
    for row in reversed(await MessageLog(world.engine).messages(limit=1000)):
        if row["status"] == "sent":
            found.setdefault(row["recipient"].lower(), []).append(row["kind"])
    return found


async def coupons_told(world: World) -> dict[str, list[str]]:
    """The same, of coupons alone."""
    found = {
        name: [kind for kind in kinds if "coupon" in kind] for name, kinds in (await told(world)).items()
    }
    return {name: kinds for name, kinds in found.items() if kinds}


async def code_of(world: World, name: str) -> str:
    async with reading(world.engine) as connection:
        (held,) = await held_by(connection, SHOP.id, name)
    return held.code


def owed(agenda: Agenda) -> list[tuple[str, datetime]]:
    return [(notice.kind.value, notice.due) for notice in agenda.owed]


@requirement("WACA-37", "WACA-38", "WACA-39")
async def test_holders_hear_at_15_00_of_the_issue_day_and_seven_days_before_the_last(world: World) -> None:
    """By SMS alone. Who has redeemed, or whose coupon is revoked, hears no more."""
    drop = a_drop(2, 3, 20)
    lifecycle = await begun(world, drop, *NAMES)
    found = await world.carillon.agenda(lifecycle)
    assert owed(found) == [(ISSUED, clock(2)), (EXPIRING, clock(13))]
    assert found.owed[0].recipient.name == "3 holders"
    await world.forward_to(lifecycle, clock(2) - timedelta(seconds=5))
    assert await told(world) == {}
    await world.forward_to(lifecycle, clock(2))
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
    assert await told(world) == {name: [ISSUED] for name in NAMES}
    assert {sms.form["mobile"] for sms in world.twsms.accepted} == {
        "0" + a_member(name).phone.removeprefix("+886") for name in NAMES
    }
    assert all("Spring coupon" in sms.message for sms in world.twsms.accepted)

    coupons, clock_now = Coupons(world.engine), clock(5)
    code = await code_of(world, "ada")
    await coupons.redeem(SHOP.id, code, "till-1", clock_now, clock_now)
    await coupons.revoke(drop, "bo", "desk-1", clock_now)
    await world.forward_to(lifecycle, clock(13))
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 2)
    assert await told(world) == {"ada": [ISSUED], "bo": [ISSUED], "cy": [ISSUED, EXPIRING]}
    report = await world.to_the_end(lifecycle)
    assert (report.stage, report.sent) == (DropStage.OVER, 4)


@requirement("WACA-37", "WACA-38")
async def test_who_is_given_a_coupon_later_hears_of_it_at_once_and_once(world: World) -> None:
    """Before the moment they wait for it; past the moment that it ends the issued notice says so alone."""
    drop = a_drop(1, 1, 15)
    lifecycle = await begun(world, drop)
    await given(world, drop, "ada")
    await world.forward_to(lifecycle, clock(1))
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
    assert await told(world) == {"ada": [ISSUED]}
    await world.forward_to(lifecycle, clock(1, 16))
    await given(world, drop, "bo")
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 2)
    await given(world, drop, "cy")
    waiting = await world.until(lifecycle, lambda agenda: len(agenda.owed) == 2)
    assert waiting.owed[0].recipient.name.startswith("those added since")
    await given(world, drop, "di")
    await world.forward_to(lifecycle, clock(1, 17))
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 3)
    assert await told(world) == {name: [ISSUED] for name in ("ada", "bo", "cy", "di")}
    await world.forward_to(lifecycle, clock(8))
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 4)
    await world.forward_to(lifecycle, clock(9))
    await given(world, drop, "ed")
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 5)
    assert await told(world) == {**{n: [ISSUED, EXPIRING] for n in ("ada", "bo", "cy", "di")}, "ed": [ISSUED]}
    assert (await world.to_the_end(lifecycle)).sent == 9


@requirement("WACA-37")
async def test_a_drop_that_becomes_known_after_its_moment_is_told_of_at_once(world: World) -> None:
    """And not at all where its last day is over by then."""
    late, over = await begun(world, a_drop(-2, -2, 3), "ada"), a_drop(-9, -9, -1)
    done = await world.until(late, lambda agenda: len(agenda.done) == 1)
    assert done.left_out[0].reason is Reason.SHORT_COUPON
    assert await told(world) == {"ada": [ISSUED]}
    lifecycle = (await world.carillon.start_coupon(over)).lifecycle
    report = await last_words(world, lifecycle)
    assert report.stage == DropStage.OVER
    assert "too late to tell" in report.words


@requirement("WACA-37")
async def test_in_quiet_hours_a_later_holder_is_told_when_they_end(world: World) -> None:
    """At nine on the holder's clock. A drop that is revoked meanwhile is not told of any more."""
    await Merchants(world.engine).apply(replace(SHOP, gate=GatePolicy()), now())
    await Members(world.engine).upsert([replace(a_member(name), zone=SHOP.zone) for name in NAMES], now())
    for drop, revoked in (a_drop(1, 1, 5), False), (a_drop(1, 1, 5), True):
        lifecycle = await begun(world, drop)
        await world.forward_to(lifecycle, clock(1, 23))
        await given(world, drop, "ada" if revoked else "bo")
        wave = world.handle(wave_workflow_id(SHOP.id, f"coupon.{drop.drop_id}.late-1"))
        held = await eventually(partial(waiting_at, wave))
        assert held.astimezone(ZONE).strftime("%H:%M") == "09:00"
        (coming, *_) = await foreseen_by(world, "ada" if revoked else "bo", await world.clock(wave.id))
        assert (coming.kind, coming.goes) == (ISSUED, held.replace(microsecond=0)), (
            "held up, it is on the holder's agenda"
        )
        assert (await world.carillon.agenda(lifecycle)).owed
        if revoked:
            request = RevokeDrop(event_id="off")
            assert (await world.carillon.ask(lifecycle, request)).stage == DropStage.REVOKED
            assert (await last_words(world, lifecycle)).stage == DropStage.REVOKED
        else:
            await world.skipper.fast_forward(wave, clock(2, 9) - await world.clock(wave.id) + SECOND)
            await world.until(lifecycle, lambda agenda: len(agenda.done) == 2)
            later = await foreseen_by(world, "bo", await world.clock(wave.id))
            assert [one for one in later if one.kind == ISSUED] == [], "it has gone"
            assert (await world.to_the_end(lifecycle)).sent == 1
    assert await told(world) == {"bo": [ISSUED]}
    rows = await MessageLog(world.engine).messages(limit=10)
    assert [row["status"] for row in rows if row["recipient"] == "Ada"] == ["lapsed"]


@requirement("WACA-37")
async def test_who_sleeps_is_told_in_the_morning_whoever_is_given_the_coupon_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wave to those who come after ends first, and takes nothing from the one that waits."""
    monkeypatch.setattr(drop_state, "PAUSE", SECOND)
    await Merchants(world.engine).apply(replace(SHOP, gate=GatePolicy()), now())
    ada, bo = replace(a_member("ada"), zone="America/New_York"), replace(a_member("bo"), zone=SHOP.zone)
    await Members(world.engine).upsert([ada, bo], now())
    drop = a_drop(1, 1, 5)
    lifecycle = await begun(world, drop)
    await world.forward_to(lifecycle, clock(1, 16))
    await given(world, drop, "ada")
    wave = world.handle(wave_workflow_id(SHOP.id, f"coupon.{drop.drop_id}.late-1"))
    nine = await eventually(partial(waiting_at, wave))
    await given(world, drop, "bo")
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 2)
    assert await told(world) == {"bo": [ISSUED]}
    await world.skipper.fast_forward(wave, nine - await world.clock(wave.id) + SECOND)
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 3)
    assert await told(world) == {"ada": [ISSUED], "bo": [ISSUED]}


@requirement("WACA-38")
async def test_a_wave_that_is_terminated_does_not_hold_up_its_drop(world: World) -> None:
    """Whoever ends it in the Web UI: the drop says so, tells of its last day, and ends."""
    await Merchants(world.engine).apply(replace(SHOP, gate=GatePolicy()), now())
    await Members(world.engine).upsert([replace(a_member("ada"), zone=SHOP.zone)], now())
    drop = a_drop(1, 1, 12)
    lifecycle = await begun(world, drop)
    await world.forward_to(lifecycle, clock(1, 23))
    await given(world, drop, "ada")
    wave = world.handle(wave_workflow_id(SHOP.id, f"coupon.{drop.drop_id}.late-1"))
    await eventually(partial(waiting_at, wave))
    await wave.terminate("enough")
    found = await world.until(lifecycle, lambda agenda: len(agenda.done) == 2)
    assert (found.done[-1].status, "Broken off" in found.done[-1].outcomes[0].reason) == (Status.FAILED, True)
    report = await world.to_the_end(lifecycle)
    assert (report.stage, report.sent) == (DropStage.OVER, 1)
    assert await told(world) == {"ada": [EXPIRING]}


@requirement("WACA-37")
@pytest.mark.parametrize("revoked", [False, True])
async def test_a_drop_waits_for_a_wave_that_an_earlier_life_of_it_has_left(
    world: World, monkeypatch: pytest.MonkeyPatch, revoked: bool
) -> None:
    """Then it sends its own; unless it was revoked meanwhile."""
    monkeypatch.setattr(drop_state, "AGAIN", SECOND)
    drop = a_drop(-1, -1, 3)
    audience = Audience("members", {"groups": ""})
    left = a_wave(
        wave_id=f"coupon.{drop.drop_id}.issued", audience=audience, due=clock(2), not_after=clock(3)
    )
    wave = (await begin_wave(world, left)).handle
    lifecycle = await begun(world, drop, "ada")
    await asyncio.sleep(0.5)
    assert await told(world) == {}
    if revoked:
        await world.carillon.ask(lifecycle, RevokeDrop(event_id="off"))
        assert (await last_words(world, lifecycle)).stage == DropStage.REVOKED
    else:
        await wave.signal(WaveWorkflow.cancel)
        await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
        assert await told(world) == {"ada": [ISSUED]}


async def waiting_at(wave: WorkflowHandle[Any, Any]) -> datetime | None:
    """The moment that a wave waits for, once it has found who to send to."""
    try:
        found = await wave.query(WaveWorkflow.progress)
    except RPCError:
        return None
    return found.next_moment if found.waiting else None


@requirement("WACA-38")
async def test_a_moved_last_day_moves_the_notice(world: World) -> None:
    """Before it went: only the new one comes. After: another one names the new day, at once if need be."""
    drop = a_drop(1, 1, 10)
    lifecycle = await begun(world, drop, "ada")
    found = await world.carillon.agenda(lifecycle)
    assert owed(found)[-1] == (EXPIRING, clock(3))
    moved = ExtendDrop(event_id="x1", usable_to=day(14))
    for _ in range(2):
        assert owed(await world.carillon.ask(lifecycle, moved)) == [(ISSUED, clock(1)), (EXPIRING, clock(7))]
    await world.forward_to(lifecycle, clock(6))
    assert await told(world) == {"ada": [ISSUED]}
    await world.forward_to(lifecycle, clock(7))
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 2)
    assert f"{day(14):%Y}" in world.twsms.accepted[-1].message
    found = await world.carillon.ask(lifecycle, ExtendDrop(event_id="x2", usable_to=day(21)))
    assert owed(found) == [(EXPIRING, clock(14))]
    await world.forward_to(lifecycle, clock(14))
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 3)
    assert await told(world) == {"ada": [ISSUED, EXPIRING, EXPIRING]}

    soon = await world.carillon.ask(lifecycle, ExtendDrop(event_id="x3", usable_to=day(18)))
    (notice,) = soon.owed
    assert clock(14) <= notice.due < clock(14, 16)
    assert notice.not_after == clock(19, 0) - SECOND
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 4)
    assert await told(world) == {"ada": [ISSUED, EXPIRING, EXPIRING, EXPIRING]}
    assert len({sms.message for sms in world.twsms.accepted[1:]}) == 3, "each names another day"
    back = await world.carillon.ask(lifecycle, ExtendDrop(event_id="back", usable_to=day(21)))
    assert back.owed == (), "that day was told of before"
    await world.carillon.ask(lifecycle, ExtendDrop(event_id="again", usable_to=day(18)))
    with pytest.raises(RefusedError, match="is past: write"):
        await world.carillon.ask(lifecycle, ExtendDrop(event_id="x4", usable_to=day(13)))
    kept = (await Coupons(world.engine).drop(SHOP.id, drop.drop_id)).drop
    assert kept.usable_to == day(18)
    await world.to_the_end(lifecycle)
    with pytest.raises(EndedError):
        await world.carillon.ask(lifecycle, ExtendDrop(event_id="x5", usable_to=day(900)))


@requirement("WACA-38")
async def test_a_moved_last_day_is_told_of_once_it_is_written_down(world: World) -> None:
    """However long the database is busy: the pages of its wave read the day there."""
    drop = a_drop(-9, -9, 10)
    lifecycle = await begun(world, drop, "ada")
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
    async with writing(world.engine):
        asking = asyncio.create_task(
            world.carillon.ask(lifecycle, ExtendDrop(event_id="x", usable_to=day(2)))
        )
        await world.until(lifecycle, lambda agenda: bool(agenda.owed) and agenda.owed[0].due < clock(1))
        await asyncio.sleep(1)
    await asking
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 2)
    assert await told(world) == {"ada": [ISSUED, EXPIRING]}


@requirement("WACA-37", "WACA-38")
async def test_a_last_day_that_is_moved_at_night_is_told_of_in_the_morning(world: World) -> None:
    """To whoever has heard of another one. Who is given the coupon after that reads the new day with it."""
    await Merchants(world.engine).apply(replace(SHOP, gate=GatePolicy()), now())
    await Members(world.engine).upsert([replace(a_member(name), zone=SHOP.zone) for name in NAMES], now())
    drop = a_drop(1, 1, 20)
    lifecycle = await begun(world, drop, "ada")
    await world.forward_to(lifecycle, clock(1))
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
    await world.forward_to(lifecycle, clock(2, 23))
    # Below seven days, of twenty that were told.
    found = await world.carillon.ask(lifecycle, ExtendDrop(event_id="x", usable_to=day(5)))
    assert [(one.kind, one.not_after) for one in found.owed] == [(EXPIRING, clock(6, 0) - SECOND)]
    await given(world, drop, "bo")
    waves = [
        world.handle(wave_workflow_id(SHOP.id, f"coupon.{drop.drop_id}.{name}"))
        for name in (day(5), "late-1")
    ]
    for wave in waves:
        nine = await eventually(partial(waiting_at, wave))
        assert nine.astimezone(ZONE).strftime("%H:%M") == "09:00"
        await world.skipper.fast_forward(wave, nine - await world.clock(wave.id) + SECOND)
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 3)
    assert await told(world) == {"ada": [ISSUED, EXPIRING], "bo": [ISSUED]}
    assert (await world.to_the_end(lifecycle)).sent == 3


@requirement("WACA-38")
@pytest.mark.parametrize(("last", "kinds"), [(8, [ISSUED]), (9, [ISSUED, EXPIRING])])
async def test_a_coupon_usable_for_fewer_than_seven_days_gets_no_notice_that_it_ends(
    world: World, last: int, kinds: list[str]
) -> None:
    """Six days: none. Exactly seven: sent."""
    lifecycle = await begun(world, a_drop(1, 3, last), "ada")
    left = (await world.carillon.agenda(lifecycle)).left_out
    assert [one.reason for one in left] == [Reason.SHORT_COUPON] * (last == 8)
    assert (await world.to_the_end(lifecycle)).sent == len(kinds)
    assert await told(world) == {"ada": kinds}


@requirement("WACA-38")
async def test_a_revoked_drop_is_told_of_no_more(world: World) -> None:
    """Nobody can redeem it or be given it either, and its life is over."""
    drop = a_drop(1, 1, 20)
    lifecycle = await begun(world, drop, "ada")
    await world.forward_to(lifecycle, clock(1))
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
    code = await code_of(world, "ada")
    found = await world.carillon.ask(lifecycle, RevokeDrop(event_id="off"))
    assert (found.stage, found.owed) == (DropStage.REVOKED, ())
    report = await last_words(world, lifecycle)
    assert (report.stage, report.sent) == (DropStage.REVOKED, 1)
    with pytest.raises(CouponError, match="was revoked"):
        await Coupons(world.engine).redeem(SHOP.id, code, "till-1", clock(2), clock(2))
    with pytest.raises(CouponError, match="is revoked"):
        await Coupons(world.engine).add(drop, [Holder("bo")], clock(2))
    assert not (await world.carillon.start_coupon(drop)).new
    for event_id in ("off", "off again"):
        again = await world.carillon.ask(lifecycle, RevokeDrop(event_id=event_id))
        assert (again.stage, again.owed) == (DropStage.REVOKED, ())
    with pytest.raises(EndedError):
        await world.carillon.ask(lifecycle, ExtendDrop(event_id="x", usable_to=day(30)))


@requirement("WACA-39")
async def test_a_drop_is_told_of_by_the_channels_that_its_merchant_has_at_the_moment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SMS is switched on after the drop was made, and off, and on again. No email takes its place here."""
    monkeypatch.setattr(merchants, "FRESH_SECONDS", 0)
    for kind in (Kind.COUPON_ISSUED, Kind.COUPON_EXPIRING):
        monkeypatch.setitem(CATALOGUE, kind, replace(CATALOGUE[kind], routes=(("sms",),)))

    async def sms(provider: SmsProvider) -> None:
        await Merchants(world.engine).apply(replace(SHOP, sms=SmsSettings(provider)), now())

    await sms(SmsProvider.OFF)
    drop = a_drop(1, 1, 15)
    lifecycle = await begun(world, drop, "ada")
    found = await world.carillon.agenda(lifecycle)
    assert (found.owed, {left.reason for left in found.left_out}) == ((), {Reason.CHANNEL_OFF})
    await sms(SmsProvider.TWSMS)
    await world.forward_to(lifecycle, clock(1))
    found = await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
    assert (owed(found), await told(world)) == ([(EXPIRING, clock(8))], {"ada": [ISSUED]})
    await sms(SmsProvider.OFF)
    await given(world, drop, "bo")
    found = await world.until(lifecycle, lambda agenda: len(agenda.done) == 2)
    assert (found.done[-1].status, found.owed) == (Status.REFUSED, ())
    assert "switched on no channel" in found.done[-1].outcomes[0].reason
    await sms(SmsProvider.TWSMS)
    await world.forward_to(lifecycle, clock(8))
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 3)
    assert await told(world) == {"ada": [ISSUED, EXPIRING], "bo": [EXPIRING]}
    assert (await world.to_the_end(lifecycle)).sent == 3


@requirement("WACA-35", "WACA-37")
async def test_who_verifies_the_phone_after_the_issue_hears_of_the_coupon_then(world: World) -> None:
    """It was given to somebody who was no member yet, and nobody could tell of it."""
    way = Membership(world.engine, world.carillon, SHOP)
    await way.register(Enrolment(a_member("fay")), now())
    (code,) = re.findall("[0-9]{6}", world.twsms.accepted[-1].message)
    drop, ahead = a_drop(-1, -1, 20), a_drop(2, 2, 20)
    lifecycle, later = await begun(world, drop, "ada", "fay"), await begun(world, ahead, "fay")
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
    assert await coupons_told(world) == {"ada": [ISSUED]}
    for _ in range(2):
        await way.verify("fay", code, datetime.now(UTC))
    found = await world.until(lifecycle, lambda agenda: len(agenda.done) == 2)
    assert owed(found) == [(EXPIRING, clock(13))]
    assert await coupons_told(world) == {"ada": [ISSUED], "fay": [ISSUED]}
    assert owed(await world.carillon.agenda(later))[0] == (ISSUED, clock(2))
    assert (await world.to_the_end(lifecycle)).sent == 4


@requirement("WACA-37")
@pytest.mark.parametrize("first", [0, 1])
async def test_whoever_two_waves_come_to_is_counted_once(
    world: World, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """Given the coupon again at night, with others: whichever wave is the first in the morning."""
    monkeypatch.setattr(drop_state, "PAUSE", SECOND)
    await Merchants(world.engine).apply(replace(SHOP, gate=GatePolicy()), now())
    await Members(world.engine).upsert([replace(a_member(name), zone=SHOP.zone) for name in NAMES], now())
    drop = a_drop(1, 1, 5)
    lifecycle = await begun(world, drop)
    await world.forward_to(lifecycle, clock(1, 23))
    found = await world.quiet(lifecycle)
    assert (found.done[0].status, found.done[0].outcomes[0].reason) == (Status.LAPSED, NOBODY)
    ids = [wave_workflow_id(SHOP.id, f"coupon.{drop.drop_id}.late-{number}") for number in (1, 2)]
    coupons = Coupons(world.engine)
    for wave, names in zip(ids, (NAMES[:2], NAMES), strict=True):
        added = await coupons.add(drop, map(Holder, names), await world.clock(lifecycle))
        assert added.since is not None
        await world.carillon.tell(lifecycle, HoldersAdded(event_id=wave, since=added.since, holders=3))
        await eventually(partial(waiting_at, world.handle(wave)))
    for wave in (ids[first], ids[1 - first]):
        left = clock(2, 9) - await world.clock(wave) + SECOND
        await world.skipper.fast_forward(world.handle(wave), left)
        await world.handle(wave).result()
    found = await world.until(lifecycle, lambda agenda: len(agenda.done) == 3)
    assert await told(world) == {name: [ISSUED] for name in NAMES}
    words = [done.outcomes[0].reason for done in found.done[1:]]
    alone = ["2 selected: 2 sent", "3 selected: 1 sent, 2 by another wave"]
    taken = ["3 selected: 3 sent", "2 selected: 0 sent, 2 by another wave"]
    assert words == [f"Sent. {one}." for one in (taken if first else alone)]
    assert (await world.to_the_end(lifecycle)).sent == 3


async def test_a_drop_that_is_told_of_many_holders_goes_on_in_new_runs(tmp_path: Path) -> None:
    """With all it knows: each holder hears of the coupon once, and once that it ends."""
    arguments = ["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40"]
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=server_program(),
        data_converter=pydantic_data_converter,
        search_attributes=list(SEARCH_ATTRIBUTES),
        dev_server_log_level="error",
        dev_server_extra_args=[*dynamic_config_arguments(), *arguments],
    )
    names = [f"m{number}" for number in range(12)]
    async with environment, a_world(environment.client, tmp_path, merchant=SHOP) as world, world.worker():
        await Members(world.engine).upsert([a_member(name) for name in names], now())
        drop = a_drop(0, 0, 30)
        drop = replace(drop, issue_on=day(-1))
        lifecycle = await begun(world, drop)
        await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
        first_run = (await world.handle(lifecycle).describe()).run_id
        for name in names:
            await given(world, drop, name)
            await world.skipper.fast_forward(world.handle(lifecycle), timedelta(minutes=6))
            await world.until(lifecycle, lambda agenda: ISSUED not in dict(owed(agenda)))
        assert (await world.handle(lifecycle).describe()).run_id != first_run
        assert (await world.to_the_end(lifecycle)).sent == 2 * len(names)
        assert await told(world) == {name: [ISSUED, EXPIRING] for name in names}
