"""`carillon wave`: list, show, pause, resume and cancel, and what is said where that cannot be."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

import cli
from activities.audiences import SELECTIONS
from tests.waves import AWAKE, EVERYBODY, Counting, Everybody, Running, begin, enrol, members, wave
from tests.world import World, a_world, eventually

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def shop(temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A shop with three members and a worker; the commands find the server."""
    monkeypatch.setitem(SELECTIONS, EVERYBODY, Everybody())
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal.service_client.config.target_host)
    async with a_world(temporal, tmp_path, merchant=AWAKE) as world:
        await enrol(world.engine, members(3))
        world.extra_channels = {"smtp": Counting()}
        async with world.worker():
            yield world


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `carillon wave ...`; answers its status, words and errors."""

    async def call(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(cli.run, ["wave", *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return status, said.out, said.err

    return call


async def tomorrow(shop: World) -> Running:
    """A wave that waits for tomorrow."""
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    running = await begin(shop, wave(due=due, not_after=due + timedelta(hours=1), subject=uuid4().hex))
    await running.until(lambda progress: progress.stage == "waiting")
    return running


async def test_a_wave_is_shown_paused_resumed_and_runs_to_its_end(shop: World, run: Run) -> None:
    running = await tomorrow(shop)
    id = running.handle.id
    status, out, _ = await run("show", id)
    assert (status, "waiting" in out, "birthday to the audience everybody, due" in out) == (0, True, True)
    status, out, _ = await run("pause", id.removeprefix("wave:").replace(":", "/"), "--json")
    assert (status, json.loads(out)["stage"], json.loads(out)["next_moment"]) == (0, "paused", None)
    status, out, _ = await run("resume", id, "--json")
    assert (status, json.loads(out)["stage"]) == (0, "waiting")
    due = (await running.progress()).due
    await shop.forward_to(id, due)
    assert (await running.report()).sent == 3
    status, out, _ = await run("show", id, "--json")
    shown = json.loads(out)
    assert (status, shown["wave"], shown["stage"], shown["sent"], shown["selected"]) == (0, id, "sent", 3, 3)
    status, out, _ = await run("show", id)
    assert "3 selected: 3 sent" in out


async def test_waves_are_listed_by_merchant(shop: World, run: Run) -> None:
    running = await tomorrow(shop)

    async def found() -> list[dict[str, Any]] | None:
        _, out, _ = await run("list", "--merchant", AWAKE.id, "--json")
        return [one for one in json.loads(out) if one["wave"] == running.handle.id and one["next_at"]] or None

    (listed,) = await eventually(found)
    assert listed["stage"] == "waiting"
    assert listed["running"]
    status, out, _ = await run("list")
    assert (status, running.handle.id in out) == (0, True)
    assert await run("list", "--merchant", "nobody") == (0, "there are no waves of nobody\n", "")


async def test_a_cancelled_wave_can_be_told_nothing_more(shop: World, run: Run) -> None:
    """Each command names the wave's end, and exits as the user's mistake."""
    running = await tomorrow(shop)
    id = running.handle.id
    status, out, _ = await run("cancel", id)
    assert (status, "cancelled" in out) == (0, True)
    await running.report()
    for word in ("pause", "resume", "cancel"):
        status, _, err = await run(word, id)
        assert (status, err) == (1, f"{id} is over: Cancelled. 0 selected: 0 sent.\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("show", "wave:lumi:lost"), "there is no wave 'wave:lumi:lost': `carillon wave list` shows those"),
        (("pause", "lumi/lost"), "there is no wave 'wave:lumi:lost'"),
        (("cancel", "booking:lumi:b-1"), "'booking:lumi:b-1' is no wave: write it as wave:MERCHANT:ID"),
        (("list", "--merchant", "a' OR '1"), "--merchant: \"a' OR '1\" cannot be used as an id"),
    ],
)
async def test_what_cannot_be_is_told(
    shop: World,  # noqa: ARG001  (the server and the worker)
    run: Run,
    arguments: tuple[str, ...],
    complaint: str,
) -> None:
    status, out, err = await run(*arguments)
    assert (status, out) == (1, "")
    assert complaint in err
