"""What a caller hears while no worker is there to answer."""

from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

import client
from client import UnansweredError
from models.booking_facts import Cancel
from tests.world import a_world, booking


async def test_a_request_that_nobody_answers_is_given_up_and_can_be_asked_again(
    temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks is not kept waiting for a worker; asked again with its event id, it is one request."""
    async with a_world(temporal, tmp_path) as world:
        started = await world.carillon.start_booking(booking())
        request = Cancel(event_id="off-1")
        with monkeypatch.context() as patch:
            patch.setattr(client, "ANSWER", timedelta(milliseconds=500))
            with pytest.raises(UnansweredError, match="'off-1'"):
                await world.carillon.ask(started.lifecycle, request)
        async with world.worker():
            assert (await world.carillon.ask(started.lifecycle, request)).stage == "cancelled"
