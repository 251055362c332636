"""`carillon doctor`: what is reachable, migrated, registered; and what to do about what is not."""

import asyncio
import os
import platform
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.alerts import banners
from activities.consents import Consents
from activities.database import reading
from activities.merchants import Merchants
from activities.tasks import tasks_of
from commands.doctor_merchants import Sender, findings
from commands.failures import (
    MISTAKE,
    MISTAKES,
    OUT_OF_REACH,
    Finished,
    Mistake,
    OutOfReach,
    talking_to_temporal,
)
from commands.finding import Finding
from commands.output import say
from commands.reach import VAR, Address, DataDir, Namespace, Reach
from models.ids import upkeep_id
from workflows.lifecycle import SEARCH_ATTRIBUTES

STILL_THERE = timedelta(seconds=75)
"""A worker asks for work once a minute at the least; the server remembers it for longer."""


def doctor(data_dir: DataDir = VAR, address: Address = None, namespace: Namespace = None) -> None:
    """What is reachable, migrated and registered, and what to do about the rest."""
    raise Finished(asyncio.run(_examine(Reach(data_dir, address, namespace))))


async def _examine(reach: Reach) -> int:
    worst = 0
    for examine in (_python, _temporal, _database):
        async for finding in examine(reach):
            _show(finding)
            worst = max(worst, finding.status)
    say()
    say("All is well." if worst == 0 else "Mend the lines marked with a cross, from the top.")
    return worst


def _show(finding: Finding) -> None:
    if not finding.wrong:
        say(("  ok  ", "green"), finding.what)
        return
    mark = ("  x   ", "bold red") if finding.status else ("  !   ", "bold yellow")
    say(mark, f"{finding.what}: {finding.wrong}")
    if finding.mend:
        say((f"      -> {finding.mend}", "cyan"))


async def _python(_: Reach) -> AsyncIterator[Finding]:
    yield Finding(f"Python {platform.python_version()} at {sys.executable}")


async def _temporal(reach: Reach) -> AsyncIterator[Finding]:
    where = f"Temporal at {reach.temporal_address}"
    try:
        client = await reach.temporal()
        async with talking_to_temporal(reach.temporal_address):
            request = DescribeNamespaceRequest(namespace=client.namespace)
            await client.workflow_service.describe_namespace(request)
            yield Finding(f"{where}, namespace {client.namespace}")
            yield await _attributes(client)
            yield await _worker(client, reach.settings.task_queue)
            yield await _upkeep(client, reach.settings.task_queue)
    except (OutOfReach, Mistake) as error:
        what, _, mend = str(error).partition(": ")
        yield Finding(where, what, mend, OUT_OF_REACH)


async def _attributes(client: Client) -> Finding:
    request = ListSearchAttributesRequest(namespace=client.namespace)
    known = (await client.operator_service.list_search_attributes(request)).custom_attributes
    missing = [key for key in SEARCH_ATTRIBUTES if key.name not in known]
    if not missing:
        return Finding(f"search attributes {', '.join(key.name for key in SEARCH_ATTRIBUTES)}")
    kinds = " ".join(
        f"--name {key.name} --type {key.indexed_value_type.name.title().replace('_', '')}" for key in missing
    )
    command = f"temporal operator search-attribute create --namespace {client.namespace} {kinds}"
    return Finding("search attributes", f"{len(missing)} are missing", command, MISTAKE)


async def _worker(client: Client, task_queue: str) -> Finding:
    kinds = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
    requests = [
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=kind
        )
        for kind in kinds
    ]
    answers = [await client.workflow_service.describe_task_queue(request) for request in requests]
    fresh = datetime.now(UTC) - STILL_THERE
    workers = min(
        sum(poller.last_access_time.ToDatetime(UTC) > fresh for poller in answer.pollers)
        for answer in answers
    )
    what = f"a worker on task queue {task_queue!r}"
    if workers:
        return Finding(f"{what} ({workers} at work)")
    return Finding(what, "none is at work", "start `carillon up`, or `python -m worker`", OUT_OF_REACH)


async def _upkeep(client: Client, task_queue: str) -> Finding:
    name = upkeep_id(task_queue)
    what = f"the schedule {name!r}, for receipts and alerts"
    try:
        description = await client.get_schedule_handle(name).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return Finding(what, "there is none", "start a worker with CARILLON_UPKEEP=yes: it makes it", MISTAKE)
    if description.schedule.state.paused:
        return Finding(what, "it is paused", "unpause it in the Web UI, under Schedules")
    return Finding(what)


async def _database(reach: Reach) -> AsyncIterator[Finding]:
    try:
        async with reach.database() as engine:
            senders = await _senders(engine)
    except (OutOfReach, *MISTAKES) as error:
        what, _, mend = str(error).partition(": ")
        yield Finding("the database", what, mend, OUT_OF_REACH)
        return
    yield Finding("the database, migrated")
    if not senders:
        yield Finding("merchants", "none is known", "`carillon merchant apply FILE`", MISTAKE)
    for sender in senders:
        for finding in findings(sender, os.environ, development=reach.development):
            yield finding


async def _senders(engine: AsyncEngine) -> list[Sender]:
    """The merchants, and what else the database says of each."""
    known = Merchants(engine)
    merchants = [await known.get(merchant_id) for merchant_id in await known.ids()]
    suspended = await Consents(engine).suspensions(datetime.now(UTC))
    async with reading(engine) as connection:
        low = await banners(connection, merchants)
        tasks = {one.id: await tasks_of(connection, one.id, paused=False) for one in merchants}
    return [
        Sender(
            merchant,
            [one for one in suspended if one.merchant_id == merchant.id],
            tasks[merchant.id],
            low.get(merchant.id, ""),
        )
        for merchant in merchants
    ]
