"""`carillon fast-forward` of a drop whose wave holds over quiet hours: moved with it, or refused by name."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from temporalio.client import Client

import cli
from activities.coupon_holders import Holder
from activities.coupons import Coupons
from activities.members import Members
from activities.merchants import Merchants
from commands.clock import moved
from models.ids import wave_workflow_id
from models.policy import GatePolicy
from tests.requirements import requirement
from tests.workflows.test_coupon_lives import (
    ISSUED,
    SHOP,
    ZONE,
    a_drop,
    a_member,
    begun,
    clock,
    given,
    told,
    waiting_at,
)
from tests.world import World, a_world, booking, eventually, now

ANSWERS = 60
"""Seconds: whoever waits longer hangs."""


@pytest.fixture
async def shop(temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A shop with quiet hours and one member; the commands find the server and the database."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal.service_client.config.target_host)
    async with a_world(temporal, tmp_path, merchant=SHOP) as world, world.worker():
        monkeypatch.setenv("CARILLON_DATABASE_URL", world.settings.database_url)
        monkeypatch.setenv("CARILLON_TASK_QUEUE", world.settings.task_queue)
        await Merchants(world.engine).apply(replace(SHOP, gate=GatePolicy()), now())
        await Members(world.engine).upsert([replace(a_member("ada"), zone=SHOP.zone)], now())
        yield world


async def held_drop(shop: World) -> tuple[str, str]:
    """A drop whose wave holds from 23:00 until 09:00; answers both ids."""
    drop = a_drop(1, 1, 5)
    lifecycle = await begun(shop, drop)
    await shop.forward_to(lifecycle, clock(1, 23))
    await given(shop, drop, "ada")
    wave = wave_workflow_id(SHOP.id, f"coupon.{drop.drop_id}.late-1")
    held = await eventually(partial(waiting_at, shop.handle(wave)))
    assert held.astimezone(ZONE).strftime("%H:%M") == "09:00"
    return lifecycle, wave


async def forwarded(lifecycle: str, far: str) -> int:
    arguments = ("fast-forward", lifecycle, far)
    return await asyncio.wait_for(asyncio.to_thread(cli.run, arguments), ANSWERS)


@requirement("WACA-37")
async def test_a_wave_that_holds_is_moved_with_its_drop(
    shop: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Past nine in the morning: who slept has the message, and the drop goes on."""
    lifecycle, _ = await held_drop(shop)
    assert await forwarded(lifecycle, "12h") == 0
    assert "coupon issued" in capsys.readouterr().out
    assert await told(shop) == {"ada": [ISSUED]}


async def test_who_does_not_go_far_enough_hears_which_wave_holds(
    shop: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """And until when; nothing has moved."""
    lifecycle, wave = await held_drop(shop)
    before = await shop.clock(lifecycle) - now()
    assert await forwarded(lifecycle, "3h") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"{wave} holds until" in said
    assert "09:00 (times of Asia/Taipei)" in said
    assert f"carillon wave show {wave}" in said
    assert await shop.clock(lifecycle) - now() - before < timedelta(seconds=5)
    assert await told(shop) == {}


async def test_a_wave_that_is_paused_is_named(shop: World, capsys: pytest.CaptureFixture[str]) -> None:
    """However far one goes, it would not go on by itself."""
    lifecycle, wave = await held_drop(shop)
    await shop.handle(wave).signal("pause")
    assert await forwarded(lifecycle, "20h") == 1
    assert f"{wave} is paused" in " ".join(capsys.readouterr().err.split())


async def test_a_wave_that_begins_to_hold_on_the_way_goes_on_by_itself(shop: World) -> None:
    """At 15:00, two at night where the member lives: its clock is moved with that of what began it."""
    await Members(shop.engine).upsert([replace(a_member("ada"), zone="America/New_York")], now())
    drop = a_drop(1, 1, 5)
    await Coupons(shop.engine).keep(drop, now())
    await Coupons(shop.engine).add(drop, [Holder("ada")], now())
    lifecycle = await begun(shop, drop)
    far = clock(1, 16) - await shop.clock(lifecycle)
    assert await forwarded(lifecycle, f"{far // timedelta(minutes=1)}m") == 0
    assert await told(shop) == {"ada": [ISSUED]}


async def test_who_breaks_it_off_leaves_no_clock_that_moves_later(shop: World) -> None:
    """A provider is slow, so that nothing moves; once it has answered thirty days do not pass after all."""
    shop.mail_sink.delay = 3
    lifecycle = (await shop.carillon.start_booking(booking())).lifecycle
    agenda = await shop.until(lifecycle, lambda agenda: bool(agenda.owed))
    handle, shown = shop.handle(lifecycle), list[str]()
    moving = asyncio.create_task(moved(shop.carillon, handle, timedelta(days=30), shown.append, agenda))
    await eventually(partial(_something, shown))
    moving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await moving
    await shop.until(lifecycle, lambda agenda: bool(agenda.done))
    await asyncio.sleep(1)  # long enough for thirty days to pass
    assert await shop.clock(lifecycle) - now() < timedelta(minutes=5)


async def _something(shown: list[str]) -> bool | None:
    return True if shown else None


@pytest.mark.parametrize(
    ("id_", "mend"),
    [
        ("wave:lumi:w-1", "see it with `carillon wave show wave:lumi:w-1`"),
        ("phone:lumi:ada", "see the member with `carillon member show lumi/ada`"),
        ("task:lumi:birthday", "see it with `carillon task list lumi`"),
        ("order:lumi:o-1", "write it as booking:MERCHANT:ID, member:MERCHANT:ID or coupon:MERCHANT:ID"),
    ],
)
@pytest.mark.parametrize("command", [("agenda",), ("fast-forward", "1d")])
def test_what_is_no_lifecycle_is_refused_with_the_mend(
    command: tuple[str, ...], id_: str, mend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is asked: only a lifecycle has an agenda."""
    name, *rest = command
    assert cli.run([name, id_, *rest]) == 1
    assert f"'{id_}' has no agenda: {mend}" in " ".join(capsys.readouterr().err.split())
