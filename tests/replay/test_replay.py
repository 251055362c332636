"""Workflows that run today go on tomorrow: every recorded history replays against the code as it is."""

import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from worker import WORKFLOWS

HISTORIES_FOLDER = Path(__file__).resolve().parent.parent / "histories"
HISTORIES = sorted(HISTORIES_FOLDER.rglob("*.json"))


def recorded(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"booking:replayed:{path.stem}", path.read_text())


def test_there_are_histories_to_replay() -> None:
    """The proof below is about something."""
    kinds = {path.parent.name for path in HISTORIES}
    assert kinds >= {"booking", "member", "coupon", "wave", "task", "upkeep"}


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_recorded_life_replays(path: Path) -> None:
    """The code of today makes the same decisions in the same order, in the sandbox."""
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    history = recorded(path)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    assert result.replay_failure is None


@pytest.mark.parametrize(
    "name", ["booking/2026-11-under-way-is-next-whole-life", "wave/2026-11-paused-and-resumed"]
)
async def test_a_task_with_the_time_of_the_one_before_it_decides_the_same(name: str) -> None:
    """A worker was seen to be given one after an outage: what its timer waited for has come all the same."""
    document = json.loads((HISTORIES_FOLDER / f"{name}.json").read_text("utf-8"))
    started, fired, changed = "", False, 0
    for event in document["events"]:
        if event["eventType"] == "EVENT_TYPE_TIMER_FIRED":
            fired = True
        elif event["eventType"] == "EVENT_TYPE_WORKFLOW_TASK_STARTED":
            if fired:
                event["eventTime"], changed = started, changed + 1
            started, fired = event["eventTime"], False
    assert changed
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    history = WorkflowHistory.from_json("booking:replayed:stale", document)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    assert result.replay_failure is None


async def test_a_life_that_an_older_worker_decided_replays_though_a_newer_one_read_the_member() -> None:
    """Both run for a while when one takes over from the other: the older leaves out what has no channel."""
    path = HISTORIES_FOLDER / "member" / "2026-11-before-routes-without-a-phone.json"
    document, changed = json.loads(path.read_text("utf-8")), 0
    for event in document["events"]:
        completed = event.get("activityTaskCompletedEventAttributes", {})
        for payload in completed.get("result", {}).get("payloads", ()):
            answer = json.loads(b64decode(payload.get("data", "")) or "null")
            if isinstance(answer, dict) and answer.get("profile"):
                answer["profile"]["chains"], changed = True, changed + 1
                payload["data"] = b64encode(json.dumps(answer).encode()).decode()
    assert changed
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    history = WorkflowHistory.from_json("member:replayed:older", document)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    assert result.replay_failure is None
