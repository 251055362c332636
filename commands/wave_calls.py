"""What is asked of waves on the server, with errors in the user's words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from client import ANSWER
from commands.failures import Mistake
from models.ids import check_id, wave_workflow_id
from models.wave_state import Progress, WaveReport
from workflows.lifecycle import LAST_OUTCOME, NEXT_NOTICE_AT, STAGE
from workflows.wave import WaveWorkflow


@dataclass(frozen=True)
class Listed:
    """A wave as the server lists it. `running`: it is not over; `next_at`: when it next acts by itself."""

    wave: str
    stage: str
    running: bool
    started_at: datetime
    next_at: datetime | None = None
    outcome: str = ""


def wave_id(given: str) -> str:
    """The id of a wave's workflow; `lumi/w-1` is short for `wave:lumi:w-1`."""
    merchant_id, slash, name = given.partition("/")
    if slash:
        return wave_workflow_id(merchant_id, name)
    if not given.startswith("wave:") or given.count(":") != 2:
        raise Mistake(f"{given!r} is no wave: write it as wave:MERCHANT:ID")
    return given


async def listed(client: Client, merchant_id: str, limit: int) -> list[Listed]:
    """The waves of one merchant, or with an empty id of all, the newest first."""
    if merchant_id and (problem := check_id("--merchant", merchant_id)):
        raise Mistake(problem)
    query = "WorkflowType = 'WaveWorkflow'" + (f" AND MerchantId = '{merchant_id}'" if merchant_id else "")
    found = []
    async for one in client.list_workflows(query, limit=limit):
        attributes = one.typed_search_attributes
        found.append(
            Listed(
                wave=one.id,
                stage=attributes.get(STAGE) or "",
                running=one.status is WorkflowExecutionStatus.RUNNING,
                started_at=one.start_time,
                next_at=attributes.get(NEXT_NOTICE_AT),
                outcome=attributes.get(LAST_OUTCOME) or "",
            )
        )
    return found


async def progress_of(client: Client, wave: str) -> Progress:
    """How far a wave has come; of one that is over too."""
    handle = client.get_workflow_handle(wave)
    try:
        return await handle.query(WaveWorkflow.progress, rpc_timeout=ANSWER)
    except RPCError as error:
        raise await _told(client, wave, error) from None


async def tell(client: Client, wave: str, word: str) -> Progress:
    """Tell a wave to pause, to resume or to cancel; answers how it stands then."""
    handle = client.get_workflow_handle(wave)
    try:
        await handle.signal(word)
    except RPCError as error:
        raise await _told(client, wave, error) from None
    return await progress_of(client, wave)


async def _told(client: Client, wave: str, error: RPCError) -> Exception:
    """The mistake behind an error of Temporal's, where it is one: no such wave, or one that is over."""
    if error.status is not RPCStatusCode.NOT_FOUND or "amespace" in error.message:
        return error
    handle: WorkflowHandle[Any, WaveReport] = client.get_workflow_handle(wave, result_type=WaveReport)
    try:
        description = await handle.describe()
    except RPCError as unknown:
        if unknown.status is not RPCStatusCode.NOT_FOUND:
            return unknown
        return Mistake(f"there is no wave {wave!r}: `carillon wave list` shows those there are")
    if description.status is WorkflowExecutionStatus.COMPLETED:
        report = await handle.result()
        return Mistake(f"{wave} is over: {report.words}")
    status = description.status.name.lower() if description.status is not None else "ended"
    return Mistake(f"{wave} is over: it was {status}")
