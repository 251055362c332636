"""The worker process: settings -> database and channels -> a worker on its task queue."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.common import VersioningBehavior
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import CompositePayloadConverter
from temporalio.service import RPCError
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkerDeploymentVersion,
    WorkflowRunner,
)

from activities.bonuses import Bonuses
from activities.coupons import Coupons
from activities.database import migrate, open_database
from activities.declining import DecliningLinks
from activities.delivery import Deliveries
from activities.handing_over import HandingOver
from activities.member_life import MemberLife
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.phone_checks import PhoneChecks
from activities.pipeline import Pipeline
from activities.rates import Rates, real_time
from activities.receipts import Receipts
from activities.rendering import Renderer
from activities.replies import Replies
from activities.staff import StaffWatch
from activities.standing import Standings
from activities.task_bonuses import TaskBonuses
from activities.tasks import Tasks
from activities.templates import Templates
from activities.upkeep import Upkeep
from activities.waves import Waves
from channels.base import Channel, DeliveryState, OnReceipt
from channels.registry import Channels
from channels.smpp import SmppChannel
from channels.staff import StaffAlerts
from client import connect, ensure_upkeep
from crew import work_together
from settings import Part, Settings, settings_from
from workflows.booking import BookingWorkflow
from workflows.coupon import CouponWorkflow
from workflows.member import MemberWorkflow
from workflows.phone_check import PhoneCheckWorkflow
from workflows.regular_task import RegularTaskWorkflow
from workflows.upkeep import UpkeepWorkflow
from workflows.wave import WaveWorkflow

STICKY = timedelta(seconds=300)
"""At the default of 10 s a backlog of more than 10 s is worked twice: five times slower in a burst."""
GRACE = timedelta(seconds=25)
"""A stopping worker lets what it has begun to send come to its end."""
SIGNS = timedelta(seconds=5)
"""Signs of life are passed on so often; the answer to one tells a page that its wave is paused."""

WORKFLOWS = [
    BookingWorkflow,
    CouponWorkflow,
    MemberWorkflow,
    PhoneCheckWorkflow,
    RegularTaskWorkflow,
    UpkeepWorkflow,
    WaveWorkflow,
]


@asynccontextmanager
async def running_worker(
    client: Client,
    settings: Settings,
    *,
    runner: WorkflowRunner | None = None,
    extra_channels: Mapping[str, Channel] | None = None,
    write: Callable[[str], None] = print,
) -> AsyncIterator[Worker]:
    """A worker with all that it needs, stopped and closed at the end of the block.

    `write` is where the console provider shows its messages.

    It does what `settings.part` says.

    Our workflow files import deterministic code only and a test holds them to it, so they run unsandboxed:
    half the memory and a third of the time for each workflow. Tests run them in the sandbox all the same.
    """
    async with AsyncExitStack() as stack:
        activities: list[Callable[..., Any]] = []
        if settings.part is not Part.DECIDING:
            engine = open_database(settings.database_url)
            stack.push_async_callback(engine.dispose)
            channels = Channels.from_environment(
                settings.environment,
                extra=extra_channels,
                write=write,
                on_receipt=taking(lambda: receipts),
                on_reply=Replies(engine).told,
            )
            stack.push_async_callback(channels.close)
            receipts = Receipts(engine, channels)
            activities = _activities(engine, channels, receipts)
        worker = Worker(
            _with_shared_readers(client),
            task_queue=settings.task_queue,
            workflows=[] if settings.part is Part.SENDING else WORKFLOWS,
            activities=activities,
            workflow_runner=runner or UnsandboxedWorkflowRunner(),
            max_concurrent_activities=settings.concurrent_activities,
            max_concurrent_workflow_tasks=settings.concurrent_workflow_tasks,
            max_cached_workflows=settings.cached_workflows,
            sticky_queue_schedule_to_start_timeout=STICKY,
            graceful_shutdown_timeout=GRACE,
            max_heartbeat_throttle_interval=SIGNS,
            deployment_config=_deployment(settings.build_id),
        )
        await stack.enter_async_context(worker)
        if settings.upkeep and settings.part is not Part.SENDING:
            await _upkeep(client, settings.task_queue)
        yield worker


def _activities(engine: AsyncEngine, channels: Channels, receipts: Receipts) -> list[Callable[..., Any]]:
    merchants, log = Merchants(engine), MessageLog(engine)
    handing_over = HandingOver(log, channels, Rates(engine))
    renderer = Renderer(links=DecliningLinks(channels.credentials))
    pipeline = Pipeline(log, Standings(engine), renderer, handing_over, Templates(engine))
    life = MemberLife(engine, merchants)
    deliveries = Deliveries(log, merchants, pipeline, life)
    phone_checks = PhoneChecks(engine, merchants, pipeline)
    tasks, task_bonuses = Tasks(engine, merchants), TaskBonuses(engine, merchants, Bonuses(engine))
    upkeep = Upkeep(engine, merchants, pipeline, receipts)
    watch = StaffWatch(engine, merchants, StaffAlerts(channels.credentials))
    waves = Waves(engine, merchants, pipeline, log)
    coupons = Coupons(engine)
    return [
        merchants.booking_rules,
        coupons.begin_drop,
        coupons.channels_of,
        coupons.write_drop,
        deliveries.deliver,
        deliveries.close_out,
        life.recall,
        life.look,
        life.keep,
        phone_checks.send_code,
        tasks.begin,
        tasks.end,
        tasks.zones,
        tasks.standing,
        task_bonuses.give,
        task_bonuses.burn,
        upkeep.poll_receipts,
        upkeep.send_alerts,
        watch.tell_staff,
        waves.cut,
        waves.deliver_page,
        waves.close,
    ]


def taking(receipts: Callable[[], Receipts]) -> OnReceipt:
    """What an SMSC tells, told to the receipts; they are made after the channels, which they need."""

    async def on_receipt(provider_id: str, state: DeliveryState) -> None:
        # What is not noted as sent yet is kept: there is nothing that the SMSC must say again.
        await receipts().told(SmppChannel.provider, provider_id, state, real_time())

    return on_receipt


async def _upkeep(client: Client, task_queue: str) -> None:
    try:
        await ensure_upkeep(client, task_queue)
    except RPCError:
        # Reminders go without it: that is no reason to send none. `carillon doctor` tells of it.
        logging.getLogger("carillon").exception("there is no schedule of upkeep")


_pydantic = PydanticPayloadConverter()


class SharedReaders(CompositePayloadConverter):
    """Pydantic's converter, with readers of each type that are made once for the whole process.

    The SDK makes a converter for every workflow, and each would make its readers anew: milliseconds and
    hundreds of kilobytes a booking.
    """

    def __init__(self) -> None:
        super().__init__(*_pydantic.converters.values())


def _with_shared_readers(client: Client) -> Client:
    config = client.config()
    config["data_converter"] = replace(client.data_converter, payload_converter_class=SharedReaders)
    return Client(**config)


def collect_seldom() -> None:
    """Look for garbage less often: each full search walks every cached workflow while nothing else moves.

    It is a quarter of a second for a thousand of them, and workflow code that stands still for two seconds
    counts as hung.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 10)


def _deployment(build_id: str) -> WorkerDeploymentConfig | None:
    # Without a build id there is no versioning at all: a behaviour set on the workflow would make it hang.
    if not build_id:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name="carillon", build_id=build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


def _stop_with_input(stopped: asyncio.Event) -> None:
    """Nothing is ever said on the input: it ends when the process at its other end has died."""
    loop, end = asyncio.get_running_loop(), sys.stdin.fileno()

    def ended() -> None:
        loop.remove_reader(end)
        stopped.set()

    loop.add_reader(end, ended)


async def main() -> int:
    """Work until told to stop; answers an exit status."""
    settings = settings_from(os.environ, Path(os.environ.get("CARILLON_DATA_DIR", "var")))
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    if settings.part is Part.EVERYTHING:
        await migrate(settings.database_url)
        if settings.senders:
            return await work_together(settings.senders)
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    if settings.part is not Part.EVERYTHING:
        _stop_with_input(stopped)
    collect_seldom()
    async with running_worker(await connect(), settings):
        logging.getLogger("carillon").info("%s on task queue %s", settings.part, settings.task_queue)
        await stopped.wait()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
