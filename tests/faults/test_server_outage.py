"""The server is down for longer than a reminder's window: the reminder is missed and reported, never late."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from activities.message_log import MessageLog
from models.agenda import Status
from models.booking_facts import Accepted
from models.merchant import BookingPolicy, PaymentMethod, SmsProvider, SmsSettings
from models.notices import Kind
from models.timing import Offset, local
from tests.processes import free_port, server_process
from tests.requirements import requirement
from tests.world import ADA, MERCHANT, a_world, booking, now, service


@requirement("WACA-36")
@pytest.mark.timeout(120)
async def test_a_reminder_whose_time_passed_in_an_outage_is_missed_and_not_late(tmp_path: Path) -> None:
    """Due in some seconds, its last moment some seconds later, and the server away meanwhile: missed."""
    due = now() + timedelta(seconds=6)
    last = due + timedelta(seconds=3)
    starts = last + timedelta(hours=24)
    wall = local(due, MERCHANT.zone)
    days = wall.date() - local(starts, MERCHANT.zone).date()
    policy = BookingPolicy(pre_visit=Offset(days.days, wall.time()), pre_visit_least_days=0)
    merchant = replace(MERCHANT, sms=SmsSettings(SmsProvider.OFF), booking=policy)
    made = booking(service("s1", 2, ADA), method=PaymentMethod.IN_PERSON)
    made = replace(
        made, services=(replace(made.services[0], starts_at=starts, ends_at=starts + timedelta(hours=1)),)
    )
    port, database = free_port(), tmp_path / "temporal.db"
    async with (
        server_process(database, port) as client,
        a_world(client, tmp_path, merchant=merchant) as world,
        world.worker(),
    ):
        id = await world.start(made)
        agenda = await world.tell(id, Accepted(event_id="ok"))
        assert [(n.kind, n.due, n.not_after) for n in agenda.owed] == [(Kind.PRE_VISIT, due, last)]
        queue = world.settings.task_queue
    await asyncio.sleep((last - now()).total_seconds() + 1)
    async with (
        server_process(database, port) as client,
        a_world(client, tmp_path, merchant=merchant, queue=queue) as world,
        world.worker(),
    ):
        agenda = await world.until(id, lambda agenda: not agenda.owed)
        missed = next(done for done in agenda.done if done.notice.kind is Kind.PRE_VISIT)
        assert [outcome.status for outcome in missed.outcomes] == [Status.MISSED]
        assert "passed" in missed.outcomes[0].reason
        assert world.mails == []
        rows = await MessageLog(world.engine).messages(lifecycle=id)
        assert [row["status"] for row in rows if row["kind"] == "pre_visit"] == ["missed"]
