"""A long life does not grow a long history: it goes on in a new run, with all it knows."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.audiences import SELECTIONS
from activities.members import Members
from channels.base import DeliveryError, Message
from models.agenda import Agenda
from models.booking_facts import (
    Accepted,
    PaymentReceived,
    Reschedule,
)
from models.member import Member
from models.member_facts import Purchased, Registered
from models.wave_state import Counts
from temporal_server import dynamic_config_arguments, server_program
from tests.waves import AWAKE, EVERYBODY, Counting, Everybody, address, begin, enrol, members, wave
from tests.world import ADA, MERCHANT, a_world, booking, now, service
from workflows.lifecycle import SEARCH_ATTRIBUTES


@pytest.fixture(scope="module")
async def hasty() -> AsyncIterator[Client]:
    """A server that suggests a new run after some forty events."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=server_program(),
        data_converter=pydantic_data_converter,
        search_attributes=list(SEARCH_ATTRIBUTES),
        dev_server_log_level="error",
        dev_server_extra_args=[
            *dynamic_config_arguments(),
            "--dynamic-config-value",
            "limit.historyCount.suggestContinueAsNew=40",
        ],
    )
    async with environment:
        yield environment.client


async def test_a_booking_that_is_moved_many_times_goes_on_in_new_runs(hasty: Client, tmp_path: Path) -> None:
    """Every move is told once, nothing twice, and the pre-visit still comes; over several runs."""
    async with a_world(hasty, tmp_path) as world, world.worker():
        made = booking(service("s1", 30, ADA))
        id = await world.start(made)
        first_run = (await world.handle(id).describe()).run_id
        await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="ok"))
        for day in range(1, 9):
            starts = made.services[0].starts_at + timedelta(days=day)
            ends = starts + timedelta(hours=1)
            await world.carillon.ask(
                id, Reschedule(event_id=f"mv{day}", service="s1", starts_at=starts, ends_at=ends)
            )
            await world.quiet(id)
        await world.tell(id, PaymentReceived(event_id="pay"))
        assert (await world.handle(id).describe()).run_id != first_run
        report = await world.to_the_end(id)
        kinds = await world.kinds_to(ADA)
        assert kinds == [
            "order_placed", "payment_received", "voucher", *["voucher_changed"] * 8, "pre_visit",
        ]  # fmt: skip
        assert report.sent == len(kinds)


def invites_at(due: datetime, agenda: Agenda) -> bool:
    return [notice.due for notice in agenda.owed] == [due, due + timedelta(days=14)]


async def test_a_member_who_buys_every_day_goes_on_in_new_runs(hasty: Client, tmp_path: Path) -> None:
    """With all that is remembered: no second welcome, no purchase twice, and the invitation at its moment."""
    async with a_world(hasty, tmp_path) as world, world.worker():
        ada = Member(MERCHANT.id, "ada", ADA.name, now(), ADA.email, locale="en")
        await Members(world.engine).upsert([ada], now())
        id = await world.carillon.tell_member(MERCHANT.id, "ada", Registered(event_id="r"))
        first_run = (await world.handle(id).describe()).run_id
        for day in range(1, 13):
            at = ada.registered_at + timedelta(days=day)
            await world.forward_to(id, at)
            await world.carillon.tell_member(MERCHANT.id, "ada", Purchased(event_id=f"p{day}", at=at))
            due = at + timedelta(days=14)
            await world.until(id, partial(invites_at, due))
        await world.carillon.tell_member(MERCHANT.id, "ada", Registered(event_id="again"))
        await world.carillon.tell_member(MERCHANT.id, "ada", Purchased(event_id="p3"))
        assert (await world.handle(id).describe()).run_id != first_run
        agenda = await world.quiet(id)
        assert invites_at(due, agenda)
        assert await world.kinds_to(ADA) == ["member_welcome"]


async def test_a_wave_of_many_pages_goes_on_in_new_runs(
    hasty: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages that wait are taken along; everybody is told once, and counted once."""
    monkeypatch.setitem(SELECTIONS, EVERYBODY, Everybody())
    failing = {address(number) for number in range(0, 150, 10)}

    async def busy(message: Message) -> None:
        if message.to in failing:
            failing.remove(message.to)
            raise DeliveryError("busy", retry_after=timedelta(hours=1))

    async with a_world(hasty, tmp_path, merchant=AWAKE) as world:
        provider = Counting(answer=busy)
        world.extra_channels = {"smtp": provider}
        await enrol(world.engine, members(150))
        async with world.worker():
            running = await begin(world, wave(), page_size=10, in_flight=2, cut_ahead=2)
            first_run = running.handle.first_execution_run_id
            waiting = await running.until(lambda progress: progress.complete and not progress.in_flight)
            assert (waiting.selected, waiting.waiting) == (150, 15)
            assert waiting.next_moment is not None
            lifecycle = running.handle.id
            assert (await world.handle(lifecycle).describe()).run_id != first_run
            await world.forward_to(lifecycle, waiting.next_moment + timedelta(seconds=5))
            report = await running.report()
        assert report.counts == Counts(sent=150, messages=150)
        assert provider.taken == Counter({address(number): 1 for number in range(150)})
