"""Waves on a real server: everybody once, whatever is paused, late, asleep or broken."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import delete
from temporalio import activity
from temporalio.client import Client

from activities import handing_over
from activities.audiences import SELECTIONS
from activities.consents import Consents
from activities.database import writing
from activities.members import MEMBERS
from activities.message_log import MessageLog
from channels.base import Abilities, DeliveryError, Message
from models.consent import Consent, ConsentGiven
from models.merchant import Merchant
from models.notices import NoticeClass
from models.timing import Offset, local, moment
from models.wave_state import Counts, Progress
from tests.waves import AWAKE, EVERYBODY, HAND, Counting, Everybody, address, begin, enrol, members, wave
from tests.world import MERCHANT, World, a_world, now
from workflows.wave import WaveWorkflow

REST = 40
PAGE = HAND + REST
"""A page that is not sent in one go: so many are left when it leaves off."""


@pytest.fixture(autouse=True)
def audience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SELECTIONS, EVERYBODY, Everybody())


@asynccontextmanager
async def counting(
    temporal: Client, folder: Path, merchant: Merchant = AWAKE, **environment: str
) -> AsyncIterator[tuple[World, Counting]]:
    """A world whose mail goes to a provider that counts."""
    async with a_world(temporal, folder, merchant=merchant, environment=environment) as world:
        provider = Counting()
        world.extra_channels = {"smtp": provider}
        async with world.worker():
            yield world, provider


async def test_a_wave_of_several_pages_reaches_everybody_once(temporal: Client, tmp_path: Path) -> None:
    async with counting(temporal, tmp_path) as (world, provider):
        await enrol(world.engine, members(230))
        running = await begin(world, wave(), page_size=50, cut_ahead=2)
        report = await running.report()
        assert provider.taken == Counter({address(number): 1 for number in range(230)})
        assert report.counts == Counts(sent=230, messages=230)
        assert (report.selected, report.stage) == (230, "sent")


async def test_the_same_wave_again_sends_nothing_more(temporal: Client, tmp_path: Path) -> None:
    """Whoever has joined meanwhile is told; the others have it, and are counted as such."""
    async with counting(temporal, tmp_path) as (world, provider):
        await enrol(world.engine, members(60))
        made = wave()
        first = await (await begin(world, made)).report()
        await enrol(world.engine, members(70)[60:])
        again = await (await begin(world, made)).report()
        assert (first.sent, again.sent) == (60, 70)
        assert provider.taken == Counter({address(number): 1 for number in range(70)})


async def test_a_paused_wave_leaves_off_after_the_group_in_hand_and_goes_on(
    temporal: Client, tmp_path: Path
) -> None:
    """Nothing goes while it is paused; resumed, it reaches everybody, each once."""
    async with counting(temporal, tmp_path) as (world, provider):
        await enrol(world.engine, members(2 * PAGE))
        provider.answer = until_told_to_stop
        running = await begin(world, wave(), page_size=PAGE, in_flight=1, heartbeat_seconds=1)
        await provider.busy()
        await running.handle.signal(WaveWorkflow.pause)
        paused = await running.until(lambda progress: progress.in_flight == 0)
        assert (paused.stage, paused.counts.sent, paused.waiting) == ("paused", HAND, REST)
        assert sum(provider.taken.values()) == HAND
        provider.answer = None
        await running.handle.signal(WaveWorkflow.resume)
        report = await running.report()
        assert report.counts == Counts(sent=2 * PAGE, messages=2 * PAGE)
        assert provider.taken == Counter({address(number): 1 for number in range(2 * PAGE)})


@pytest.mark.parametrize("by_temporal", [False, True])
async def test_a_cancelled_wave_ends_and_says_who_was_not_told(
    temporal: Client, tmp_path: Path, by_temporal: bool
) -> None:
    """Whether by the wave's own word or by Temporal's: what was begun is written down, nothing else goes."""
    async with counting(temporal, tmp_path) as (world, provider):
        await enrol(world.engine, members(2 * PAGE))
        provider.answer = until_told_to_stop
        running = await begin(world, wave(), page_size=PAGE, in_flight=1, heartbeat_seconds=1)
        await provider.busy()
        await (running.handle.cancel() if by_temporal else running.handle.signal(WaveWorkflow.cancel))
        report = await running.report()
        assert (report.stage, report.selected) == ("cancelled", PAGE)
        assert report.counts == Counts(sent=HAND, messages=HAND, lapsed=REST)
        assert sum(provider.taken.values()) == HAND
        rows = await MessageLog(world.engine).messages(limit=1000)
        assert Counter(row["status"] for row in rows) == {"sent": HAND, "lapsed": REST}
        assert (await running.progress()).stage == "cancelled"


async def test_a_wave_waits_for_its_moment_and_may_be_cancelled_before(
    temporal: Client, tmp_path: Path
) -> None:
    async with counting(temporal, tmp_path) as (world, provider):
        await enrol(world.engine, members(3))
        due = datetime.now(UTC) + timedelta(days=3)
        running = await begin(world, wave(due=due, not_after=due + timedelta(hours=1)))
        progress = await running.until(lambda progress: progress.stage == "waiting")
        assert (progress.next_moment, progress.selected) == (due, 0)
        await running.handle.signal(WaveWorkflow.cancel)
        assert (await running.report()).counts == Counts()
        assert not provider.taken


async def test_who_sleeps_is_told_at_nine_on_their_own_clock(temporal: Client, tmp_path: Path) -> None:
    """At noon in Taipei it is night in Paris and in New York: there the message waits for the morning."""
    zones = ("Asia/Taipei", "Europe/Paris", "America/New_York")
    async with counting(temporal, tmp_path, MERCHANT) as (world, provider):
        await enrol(world.engine, members(60, zone=lambda number: zones[number % 3]))
        noon = moment(datetime.now(UTC).date() + timedelta(days=2), Offset(0, time(12)), zones[0])
        running = await begin(world, wave(due=noon, not_after=noon + timedelta(days=1)), page_size=25)
        lifecycle = running.handle.id
        await running.until(lambda progress: progress.stage == "waiting")
        for told in (20, 40, 60):
            progress = await running.progress()
            assert progress.next_moment is not None
            await world.forward_to(lifecycle, progress.next_moment)
            if told < 60:
                await running.until(partial(are_told, told))
        report = await running.report()
        assert report.counts == Counts(sent=60, messages=60)
        hours = Counter(
            (zones[int(row["address"][1:6]) % 3], local(row["settled_at"].replace(tzinfo=UTC), zone).hour)
            for row in await MessageLog(world.engine).messages(limit=1000)
            for zone in [zones[int(row["address"][1:6]) % 3]]
        )
        assert hours == {(zones[0], 12): 20, (zones[1], 9): 20, (zones[2], 9): 20}
        assert set(provider.taken.values()) == {1}


async def test_what_fails_for_a_moment_is_tried_again_and_holds_up_nobody(
    temporal: Client, tmp_path: Path
) -> None:
    async with counting(temporal, tmp_path) as (world, provider):
        await enrol(world.engine, members(90))
        failing = Counter({address(number): 1 for number in range(0, 90, 10)})

        async def busy(message: Message) -> None:
            if failing[message.to]:
                failing[message.to] -= 1
                raise DeliveryError("busy")

        provider.answer = busy
        running = await begin(world, wave(), page_size=30)
        waiting = await running.until(lambda progress: progress.complete and not progress.in_flight)
        assert (waiting.counts.sent, waiting.waiting, waiting.reasons) == (81, 9, {"busy": 9})
        report = await running.report()
        assert report.counts == Counts(sent=90, messages=90)
        assert provider.taken == Counter({address(number): 1 for number in range(90)})


async def test_a_provider_that_sets_a_pace_is_not_outrun(
    temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who would wait too long for a turn comes again at the moment that the pace leaves free."""
    monkeypatch.setattr(handing_over, "TURN", timedelta(seconds=0.3))
    async with counting(temporal, tmp_path) as (world, provider):
        await enrol(world.engine, members(90))
        provider.abilities = Abilities(per_second=60)
        began = datetime.now(UTC)
        running = await begin(world, wave(), page_size=30, in_flight=2)
        report = await running.report()
        assert datetime.now(UTC) - began > timedelta(seconds=1.4)
        assert report.counts == Counts(sent=90, messages=90)
        assert provider.taken == Counter({address(number): 1 for number in range(90)})


async def test_what_cannot_go_in_its_time_is_missed(temporal: Client, tmp_path: Path) -> None:
    """Also whoever the wave had not come to: nothing is sent late, nobody is left out of the count."""
    async with counting(temporal, tmp_path) as (world, provider):

        async def down(_: Message) -> None:
            raise DeliveryError("down", retry_after=timedelta(hours=2))

        provider.answer = down
        await enrol(world.engine, members(90))
        made = wave(not_after=datetime.now(UTC) + timedelta(hours=1))
        running = await begin(world, made, page_size=30, in_flight=1)
        await running.until(lambda progress: progress.waiting == 90)
        await world.forward_to(running.handle.id, made.not_after + timedelta(seconds=1))
        report = await running.report()
        assert report.counts == Counts(missed=90)
        assert {row["status"] for row in await MessageLog(world.engine).messages()} == {"missed"}
        late = wave(due=made.due - timedelta(days=2), not_after=made.due - timedelta(days=1), subject="old")
        assert (await (await begin(world, late)).report()).counts == Counts(missed=90)
        assert not provider.taken


async def test_who_cannot_be_reached_is_counted_with_the_reason(temporal: Client, tmp_path: Path) -> None:
    """No address, no consent: the history holds a row for each, with the rule."""
    async with counting(temporal, tmp_path) as (world, _):
        await enrol(
            world.engine, [replace(one, email="") if n < 5 else one for n, one in enumerate(members(20))]
        )
        no = ConsentGiven(
            MERCHANT.id, "email", NoticeClass.LOYALTY, Consent.OPTED_OUT, "web", now(), address=address(7)
        )
        await Consents(world.engine).record_consent([no])
        running = await begin(world, wave(channels=("push", "email")))
        report = await running.report()
        assert report.counts == Counts(sent=14, messages=14, skipped={"address": 5, "consent": 1})
        assert "6 skipped (5 address, 1 consent)" in report.words


async def test_who_leaves_the_audience_while_a_message_waits_is_not_told(
    temporal: Client, tmp_path: Path
) -> None:
    """A coupon that is redeemed at night needs no reminder in the morning; the history says so."""
    async with counting(temporal, tmp_path) as (world, provider):

        async def busy(_: Message) -> None:
            raise DeliveryError("busy", retry_after=timedelta(hours=1))

        provider.answer = busy
        await enrol(world.engine, members(10))
        running = await begin(world, wave())
        waiting = await running.until(lambda progress: progress.waiting == 10)
        provider.answer = None
        async with writing(world.engine) as connection:
            await connection.execute(delete(MEMBERS).where(MEMBERS.c.member_id < "m00004"))
        assert waiting.next_moment is not None
        await world.forward_to(running.handle.id, waiting.next_moment)
        report = await running.report()
        assert report.counts == Counts(sent=6, messages=6, lapsed=4)
        rows = await MessageLog(world.engine).messages()
        assert Counter(row["status"] for row in rows) == {"sent": 6, "lapsed": 4}


async def test_a_worker_that_is_stopped_hands_its_page_on(temporal: Client, tmp_path: Path) -> None:
    """It comes to the end of the group in hand, in its time of grace; the next one does the rest."""
    async with a_world(temporal, tmp_path, merchant=AWAKE) as world:
        await enrol(world.engine, members(PAGE))
        provider = Counting(answer=until_the_worker_ends)
        world.extra_channels = {"smtp": provider}
        async with world.worker():
            running = await begin(world, wave(), page_size=PAGE, heartbeat_seconds=1)
            await provider.busy()
        assert sum(provider.taken.values()) == HAND
        provider.answer = None
        async with world.worker():
            report = await running.report()
        assert report.counts == Counts(sent=PAGE, messages=PAGE)
        assert set(provider.taken.values()) == {1}


def are_told(members: int, progress: Progress) -> bool:
    return progress.counts.sent == members and not progress.in_flight


async def until_told_to_stop(_: Message) -> None:
    """A slow provider: it answers once the page has heard that it is to leave off."""
    with suppress(asyncio.CancelledError):
        await activity.wait_for_cancelled()


async def until_the_worker_ends(_: Message) -> None:
    await activity.wait_for_worker_shutdown()
