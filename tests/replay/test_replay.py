"""Workflows that run today go on tomorrow: every recorded history replays against the code as it is."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from worker import WORKFLOWS

HISTORIES = sorted((Path(__file__).resolve().parent.parent / "histories").rglob("*.json"))


def recorded(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"booking:replayed:{path.stem}", path.read_text())


def test_there_are_histories_to_replay() -> None:
    """The proof below is about something."""
    assert {path.parent.name for path in HISTORIES} >= {"booking", "member", "coupon", "wave", "task"}


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_recorded_life_replays(path: Path) -> None:
    """The code of today makes the same decisions in the same order, in the sandbox."""
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    history = recorded(path)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    assert result.replay_failure is None
