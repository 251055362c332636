"""A worker is killed in the middle of a delivery: what is sent, how often, and what the history says."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from activities.message_log import MessageLog
from models.agenda import Status
from models.merchant import PaymentMethod, SmsProvider, SmsSettings
from tests.processes import worker_process
from tests.providers import MailSink
from tests.world import ADA, MERCHANT, World, a_world, booking


class DeadlySink(MailSink):
    """A mail server that calls `strike` once, just before it takes the first mail or just after."""

    def __init__(self, *, after_taking: bool) -> None:
        super().__init__()
        self.strike: Callable[[], None] | None = None
        self._after_taking = after_taking

    async def handle_MAIL(self, *args: Any) -> str:  # noqa: N802
        if not self._after_taking:
            await self._strike()
        return await super().handle_MAIL(*args)

    async def handle_DATA(self, *args: Any) -> str:  # noqa: N802
        answer = await super().handle_DATA(*args)
        if self._after_taking:
            await self._strike()
        return answer

    async def _strike(self) -> None:
        if self.strike is not None:
            strike, self.strike = self.strike, None
            strike()
            await asyncio.sleep(1)


async def one_death(temporal: Client, folder: Path, *, after_taking: bool) -> tuple[World, dict[str, Any]]:
    """A booking whose order-placed mail meets the death of its worker; another worker takes over."""
    sink = DeadlySink(after_taking=after_taking)
    merchant = replace(MERCHANT, sms=SmsSettings(SmsProvider.OFF))
    address = temporal.service_client.config.target_host
    async with a_world(temporal, folder, merchant=merchant, sink=sink) as world:
        async with worker_process(address, world.settings) as first:
            sink.strike = first.kill
            started = await world.carillon.start_booking(booking(method=PaymentMethod.IN_PERSON))
            await first.child.wait()
        async with world.worker():
            agenda = await world.until(started.lifecycle, lambda agenda: bool(agenda.done), 60)
            assert agenda.done[0].status is Status.SENT
        (row,) = await MessageLog(world.engine).messages()
    return world, row


@pytest.mark.timeout(120)
async def test_a_worker_killed_around_a_hand_over_loses_nothing_and_says_what_is_doubtful(
    temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed before the provider had it: sent once. Killed after: sent again, the same Message-ID, marked.

    The log cannot tell the two apart, so both are marked: a transactional notice twice is better than none.
    """
    (before, row_before), (after, row_after) = await asyncio.gather(
        one_death(temporal, tmp_path_factory.mktemp("before"), after_taking=False),
        one_death(temporal, tmp_path_factory.mktemp("after"), after_taking=True),
    )
    assert len(before.mails_to(ADA)) == 1
    assert len(after.mails_to(ADA)) == 2
    assert len({mail["Message-ID"] for mail in after.mails}) == 1
    for row in (row_before, row_after):
        assert (row["status"], row["doubtful"], row["attempts"]) == ("sent", True, 2)
