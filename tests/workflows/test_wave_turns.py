"""Many waves on one worker with few hands: who goes first, and that everybody has a turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import Client

from activities.audiences import SELECTIONS
from activities.merchants import Merchants
from channels.base import Message
from models.merchant import SmsProvider, SmsSettings
from models.notices import Kind
from tests.waves import AWAKE, EVERYBODY, Counting, Everybody, Running, begin, enrol, members, wave
from tests.world import World, a_world, booking, now

BIG = replace(AWAKE, id="big", sms=SmsSettings(SmsProvider.OFF))
SMALL = replace(BIG, id="small", email="hello@small.example")
HANDS, PAGE, PAGES = 2, 5, 40


@pytest.fixture(autouse=True)
def audience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SELECTIONS, EVERYBODY, Everybody())


@asynccontextmanager
async def few_hands(temporal: Client, folder: Path) -> AsyncIterator[tuple[World, Counting]]:
    """Two merchants on one worker that does two things at a time; the big one's members are many."""

    async def slow(_: Message) -> None:
        await asyncio.sleep(0.02)

    hands = {"CARILLON_CONCURRENT_ACTIVITIES": str(HANDS)}
    async with a_world(temporal, folder, merchant=BIG, environment=hands) as world:
        await Merchants(world.engine).apply(SMALL, now())
        await enrol(world.engine, members(PAGE * PAGES, BIG.id))
        provider = Counting(answer=slow)
        world.extra_channels = {"smtp": provider}
        async with world.worker():
            yield world, provider


async def test_a_payment_reminder_does_not_wait_for_another_merchants_wave(
    temporal: Client, tmp_path: Path
) -> None:
    """All pages of the wave are at the door before it, and it leaves after a handful of them."""
    async with few_hands(temporal, tmp_path) as (world, provider):
        made = booking(merchant_id=SMALL.id)
        lifecycle = await world.start(made)
        reminder = (await world.carillon.agenda(lifecycle)).owed[0]
        assert reminder.kind is Kind.PAYMENT_REMINDER
        running = await all_at_the_door(world)
        before = len(provider.order)
        await world.forward_to(lifecycle, reminder.due)
        await world.until(lifecycle, lambda agenda: any(d.notice.key == reminder.key for d in agenda.done))
        ahead = provider.order[before:].index(made.booker.email)
        assert ahead <= 4 * HANDS * PAGE, "it waited for the wave"
        assert (await running.report()).sent == PAGE * PAGES


async def test_two_waves_of_one_class_have_their_turns(temporal: Client, tmp_path: Path) -> None:
    """A small merchant's greetings are out long before the big one's, which were at the door first."""
    async with few_hands(temporal, tmp_path) as (world, provider):
        few = members(4 * PAGE, SMALL.id, email=lambda number: f"small{number}@example.com")
        await enrol(world.engine, few)
        big = await all_at_the_door(world)
        before = len(provider.order)
        small = await begin(world, wave(merchant_id=SMALL.id), page_size=PAGE)
        assert (await small.report()).sent == 4 * PAGE
        last = max(provider.order.index(one.email) for one in few)
        others = last - before - len(few)
        assert others <= 10 * HANDS * PAGE, "they waited for the big wave"
        assert (await big.report()).sent == PAGE * PAGES


async def all_at_the_door(world: World) -> Running:
    """A wave of the big merchant all pages of which are under way at one time."""
    running = await begin(world, wave(merchant_id=BIG.id), page_size=PAGE, in_flight=PAGES, cut_ahead=PAGES)
    await running.until(lambda progress: progress.in_flight >= PAGES - 2 * HANDS)
    return running
