"""A worker of several processes: one decides, the others send; they come and go together."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import Client

from models.merchant import PaymentMethod, SmsProvider, SmsSettings
from settings import Part, Settings, SettingsError, settings_from
from tests.processes import Process, worker_process
from tests.world import ADA, MERCHANT, World, a_world, booking, eventually

SENDERS = 2


def crew_of(settings: Settings) -> Settings:
    return replace(settings, environment={**settings.environment, "CARILLON_SENDERS": str(SENDERS)})


def children_of(process: Process) -> list[int]:
    pid = process.child.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def all_hired(process: Process) -> list[int]:
    """The processes of the crew, once all are there."""

    async def there() -> list[int] | None:
        children = children_of(process)
        return children if len(children) == 1 + SENDERS else None

    return await eventually(there)


async def none_left(pids: list[int]) -> bool:
    async def gone() -> bool | None:
        return True if not any(map(alive, pids)) else None

    return await eventually(gone)


async def booked(world: World) -> None:
    """A booking is placed, and its mail is out."""
    started = await world.carillon.start_booking(booking(method=PaymentMethod.IN_PERSON))
    await world.until(started.lifecycle, lambda agenda: bool(agenda.done), 60)
    assert len(world.mails_to(ADA)) == 1


@asynccontextmanager
async def a_crew(temporal: Client, folder: Path) -> AsyncIterator[tuple[World, Process, list[int]]]:
    """A world of its own, the process that started its crew, and the crew."""
    merchant = replace(MERCHANT, sms=SmsSettings(SmsProvider.OFF))
    address = temporal.service_client.config.target_host
    async with (
        a_world(temporal, folder, merchant=merchant) as world,
        worker_process(address, crew_of(world.settings)) as worker,
    ):
        yield world, worker, await all_hired(worker)


@pytest.mark.timeout(120)
async def test_a_crew_decides_and_sends_and_ends_with_what_it_was_told(
    temporal: Client, tmp_path: Path
) -> None:
    """A booking goes through it; told to stop, all of it ends, and that is no failure."""
    async with a_crew(temporal, tmp_path) as (world, worker, crew):
        await booked(world)
        await worker.stop()
        assert worker.child.returncode == 0
        assert await none_left(crew)


@pytest.mark.timeout(120)
async def test_a_crew_that_lost_somebody_ends_so_that_it_is_started_again(
    temporal: Client, tmp_path: Path
) -> None:
    """A crew without its decider, or with one sender less, is not left to itself."""
    async with a_crew(temporal, tmp_path) as (_, worker, crew):
        os.kill(crew[1], signal.SIGKILL)
        status = await asyncio.wait_for(worker.child.wait(), 60)
        assert status not in (0, None)
        assert await none_left(crew)


@pytest.mark.timeout(120)
async def test_nobody_of_a_crew_outlives_the_process_that_started_it(
    temporal: Client, tmp_path: Path
) -> None:
    """Killed with no goodbye, it takes the others along: two crews at one provider were one too many."""
    async with a_crew(temporal, tmp_path) as (_, worker, crew):
        worker.kill()
        assert await none_left(crew)


def test_how_many_send_is_a_setting() -> None:
    """None is one process that does everything; what is no number is named."""
    assert (settings_from({}).senders, settings_from({}).part) == (0, Part.EVERYTHING)
    assert settings_from({"CARILLON_SENDERS": "2"}).senders == 2
    with pytest.raises(SettingsError, match="CARILLON_SENDERS='two' cannot be used: give a whole number"):
        settings_from({"CARILLON_SENDERS": "two"})
