"""Upkeep in a real world: a schedule that is made once, and what one run of it does."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleOverlapPolicy
from temporalio.service import RPCError

from activities.database import writing
from activities.ledger import Want, reserve
from activities.ledger_accounts import topup
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.message_rows import Closing
from activities.template_samples import sample
from client import ensure_upkeep
from models.agenda import Delivery
from models.credits import Pool
from models.ids import upkeep_id
from models.merchant import PaymentMethod
from models.notices import Kind
from models.tables.messages import MessageStatus
from tests.providers import FakeStaff, http_error
from tests.requirements import requirement
from tests.shops import PAYING
from tests.world import World, a_world, booking, eventually, now
from workflows.upkeep import UpkeepDone, UpkeepWorkflow


async def test_the_schedule_is_made_once_and_kept_as_it_is_meant(world: World) -> None:
    """Every worker sees to it when it starts; what an administrator has paused stays paused."""
    queue = world.settings.task_queue
    await ensure_upkeep(world.client, queue)
    handle = world.client.get_schedule_handle(upkeep_id(queue))
    try:
        await handle.pause(note="the provider is being moved")
        await ensure_upkeep(world.client, queue)
        found = (await handle.describe()).schedule
        assert [interval.every for interval in found.spec.intervals] == [timedelta(minutes=1)]
        assert found.policy.overlap is ScheduleOverlapPolicy.SKIP
        assert found.policy.catchup_window == timedelta(minutes=1)
        assert (found.state.paused, found.state.note) == (True, "the provider is being moved")
        assert isinstance(found.action, ScheduleActionStartWorkflow)
        assert (found.action.workflow, found.action.task_queue) == ("UpkeepWorkflow", queue)
    finally:
        await handle.delete()


async def test_a_worker_makes_the_schedule_only_where_it_is_asked_to(
    temporal: Client, tmp_path: Path
) -> None:
    """`CARILLON_UPKEEP=no`, as in tests: none. Else there is one, and it runs."""
    async with a_world(temporal, tmp_path) as world:
        handle = temporal.get_schedule_handle(upkeep_id(world.settings.task_queue))
        async with world.worker():
            assert not await _there(world)
        world.settings = replace(world.settings, upkeep=True)
        async with world.worker():
            assert await _there(world)
            await handle.trigger()

            async def ran() -> bool | None:
                return bool((await handle.describe()).info.recent_actions) or None

            await eventually(ran)
        await handle.delete()


async def _there(world: World) -> bool:
    try:
        await world.client.get_schedule_handle(upkeep_id(world.settings.task_queue)).describe()
    except RPCError:
        return False
    return True


@requirement("WACA-29b")
async def test_one_run_asks_for_receipts_and_tells_of_shortages(world: World) -> None:
    """The SMS of an order placed is *delivered* once TwSMS says so; the shop that runs dry has its mail."""
    started = await world.carillon.start_booking(booking(method=PaymentMethod.IN_PERSON))
    await world.until(started.lifecycle, lambda agenda: len(agenda.done) >= 1)
    shop = replace(PAYING, id="dry")
    await Merchants(world.engine).apply(shop, now())
    async with writing(world.engine) as connection:
        await topup(connection, shop, Pool.SMS, Decimal(10), "top-up", now())
        await reserve(connection, shop, [Want("m1", Decimal(1))], now())
    done = await run_of(world)
    assert (done.polled.asked, done.alerts) == (0, 1), "it was sent just now: it is asked about in a minute"
    assert [mail["To"].addresses[0].addr_spec for mail in world.mails][-1] == shop.email
    rows = await MessageLog(world.engine).messages()
    (sms,) = [row for row in rows if row["provider"] == "twsms"]
    assert sms["status"] == "sent"
    assert timedelta(seconds=30) < sms["ask_at"].replace(tzinfo=now().tzinfo) - now() <= timedelta(seconds=61)


async def test_one_run_tells_the_staff_what_is_wrong_and_a_staff_channel_that_fails_holds_up_nothing(
    temporal: Client, tmp_path: Path, database_url: str
) -> None:
    """Through the worker, on both databases: once, by a service on loopback; the merchant is told anyway."""
    shop = replace(PAYING, id="dry")
    async with (
        FakeStaff() as staff,
        a_world(temporal, tmp_path, database_url=database_url, environment=staff.environment) as world,
        world.worker(),
    ):
        await Merchants(world.engine).apply(shop, now())
        assert (await run_of(world)).told == 0
        async with writing(world.engine) as connection:
            await topup(connection, shop, Pool.SMS, Decimal(10), "top-up", now())
            await reserve(connection, shop, [Want("m1", Decimal(1))], now())
        staff.script(http_error(500))
        done = await run_of(world)
        assert (done.alerts, done.told) == (1, 0)
        assert len(world.mails) == 1
        one = sample(Kind.ORDER_PLACED)
        missed = Delivery(one.notice, one.content, "lumi", "booking:lumi:b1")
        log = MessageLog(world.engine)
        await log.close([Closing(missed, "sms", MessageStatus.MISSED, "too late", now())])
        assert [(await run_of(world)).told for _ in range(3)] == [1, 0, 0]
        rows = await log.messages(merchant_id="lumi")
    (said,) = [alert.message for alert in staff.accepted]
    assert said.startswith("Carillon, lumi: messages were missed: 1 message (such as ")
    assert said.endswith(f"See `carillon explain {rows[0]['id']}`")


async def run_of(world: World) -> UpkeepDone:
    return await world.client.execute_workflow(
        UpkeepWorkflow.run,
        id=f"{upkeep_id(world.settings.task_queue)}-now",
        task_queue=world.settings.task_queue,
        run_timeout=timedelta(seconds=30),
    )
