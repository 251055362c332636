"""A worker for the pages of waves: a process of its own, to be killed.

`python -m tests.faults.wave_worker` imports everything once. Then each line on its input is one worker more,
forked off: the addresses of Temporal and of the provider, the task queue and the database.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities import waves as waves_of_activities
from activities.database import open_database
from activities.handing_over import HandingOver
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.rendering import Renderer
from activities.standing import Standings
from activities.waves import Waves
from channels.registry import Channels
from tests.faults.campaign_worker import Loopback
from tests.waves import EVERYBODY, Everybody


async def work(order: dict[str, str]) -> None:
    """Take pages until killed."""
    # Who is killed is not alive any more: nobody need wait a minute and a half to be sure of it.
    waves_of_activities.ALIVE = timedelta(seconds=1)
    client = await Client.connect(order["temporal"], data_converter=pydantic_data_converter)
    engine = open_database(order["database"])
    log, merchants = MessageLog(engine), Merchants(engine)
    provider = Loopback(int(order["provider"]), idempotent=False)
    channels = Channels({}, cast(httpx.AsyncClient, None), extra={"smtp": provider})
    handing_over = HandingOver(log, channels, Rates(engine))
    pipeline = Pipeline(log, Standings(engine), Renderer(), handing_over)
    waves = Waves(engine, merchants, pipeline, log, {EVERYBODY: Everybody()})
    activities: list[Callable[..., Any]] = [waves.cut, waves.deliver_page, waves.close]
    await Worker(client, task_queue=order["queue"], activities=activities).run()


def main() -> None:
    """Fork a worker for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                asyncio.run(work(json.loads(line)))
            finally:
                os._exit(0)


if __name__ == "__main__":
    main()
