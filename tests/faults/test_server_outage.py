"""The server is down for longer than a reminder's window: the reminder is missed and reported, never late."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from activities.message_log import MessageLog
from models.agenda import Status
from models.booking import Booking
from models.booking_facts import Accepted, Cancelled
from models.merchant import BookingPolicy, Merchant, PaymentMethod, SmsProvider, SmsSettings
from models.notices import Kind
from models.timing import Offset, local
from tests.processes import free_port, server_process
from tests.requirements import requirement
from tests.world import ADA, MERCHANT, World, a_world, booking, now, service


@dataclass(frozen=True)
class Reminded:
    """A booking whose reminder falls due in some seconds, and means something for three more."""

    booking: Booking
    merchant: Merchant
    due: datetime
    last: datetime


def reminded_soon() -> Reminded:
    due = now() + timedelta(seconds=6)
    last = due + timedelta(seconds=3)
    starts = last + timedelta(hours=24)
    wall = local(due, MERCHANT.zone)
    days = wall.date() - local(starts, MERCHANT.zone).date()
    policy = BookingPolicy(pre_visit=Offset(days.days, wall.time()), pre_visit_least_days=0)
    merchant = replace(MERCHANT, sms=SmsSettings(SmsProvider.OFF), booking=policy)
    made = booking(service("s1", 2, ADA), method=PaymentMethod.IN_PERSON)
    session = replace(made.services[0], starts_at=starts, ends_at=starts + timedelta(hours=1))
    return Reminded(replace(made, services=(session,)), merchant, due, last)


async def placed(world: World, one: Reminded) -> str:
    """The booking, accepted, with nothing owed but its reminder."""
    id = await world.start(one.booking)
    agenda = await world.tell(id, Accepted(event_id="ok"))
    assert [(n.kind, n.due, n.not_after) for n in agenda.owed] == [(Kind.PRE_VISIT, one.due, one.last)]
    return id


async def outage(one: Reminded) -> None:
    """Until its last moment is over."""
    await asyncio.sleep((one.last - now()).total_seconds() + 1)


async def missed(world: World, id: str) -> None:
    """The reminder is written down as missed, and nobody was sent it."""
    agenda = await world.until(id, lambda agenda: not agenda.owed)
    done = next(done for done in agenda.done if done.notice.kind is Kind.PRE_VISIT)
    assert [outcome.status for outcome in done.outcomes] == [Status.MISSED]
    assert "passed" in done.outcomes[0].reason
    assert "pre_visit" not in await world.kinds_to(ADA)
    rows = await MessageLog(world.engine).messages(lifecycle=id)
    assert [row["status"] for row in rows if row["kind"] == "pre_visit"] == ["missed"]


@requirement("WACA-36")
@pytest.mark.timeout(120)
async def test_a_reminder_whose_time_passed_in_an_outage_is_missed_and_not_late(tmp_path: Path) -> None:
    """Due in some seconds, its last moment some seconds later; server and worker away meanwhile: missed."""
    one, port, database = reminded_soon(), free_port(), tmp_path / "temporal.db"
    async with (
        server_process(database, port) as client,
        a_world(client, tmp_path, merchant=one.merchant) as world,
        world.worker(),
    ):
        id = await placed(world, one)
        queue = world.settings.task_queue
    await outage(one)
    async with (
        server_process(database, port) as client,
        a_world(client, tmp_path, merchant=one.merchant, queue=queue) as world,
        world.worker(),
    ):
        await missed(world, id)
        assert world.mails == []


@requirement("WACA-36")
@pytest.mark.timeout(120)
async def test_a_worker_that_lives_through_an_outage_sends_nothing_late_either(tmp_path: Path) -> None:
    """It finds the server again by itself, and goes on: the next message of the booking is sent."""
    one, port, database = reminded_soon(), free_port(), tmp_path / "temporal.db"
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        client = await first.enter_async_context(server_process(database, port))
        async with a_world(client, tmp_path, merchant=one.merchant) as world, world.worker():
            id = await placed(world, one)
            await first.aclose()
            await outage(one)
            await second.enter_async_context(server_process(database, port))
            await missed(world, id)
            mails = len(world.mails)
            await world.tell(id, Cancelled(event_id="off"))
            assert await world.kinds_to(ADA) == [
                "order_placed",
                "voucher",
                "order_cancelled",
                "voucher_changed",
            ]
            assert len(world.mails) > mails
