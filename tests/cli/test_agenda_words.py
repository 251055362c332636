"""`carillon agenda`: what was sent and did not arrive is told, though the lifecycle does not know it."""

import asyncio
import json

import pytest

import cli
from activities.message_log import MessageLog
from activities.rates import real_time
from activities.receipts import Receipts
from channels.base import DeliveryState
from channels.registry import Channels
from tests.world import World, booking


@pytest.fixture
def reached(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The commands find both servers."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", world.client.service_client.config.target_host)
    monkeypatch.setenv("CARILLON_DATABASE_URL", world.settings.database_url)
    return world


async def test_what_did_not_arrive_is_told_behind_what_was_sent(
    reached: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the provider's later word, with its reason; without the database the agenda is shown as well."""
    id = await reached.start(booking())
    rows = await MessageLog(reached.engine).messages(lifecycle=id)
    by_sms = next(row for row in rows if row["channel"] == "sms")
    await agenda_of(id)
    assert "sms sent" in capsys.readouterr().out
    async with Channels.from_environment({}) as channels:
        receipts = Receipts(reached.engine, channels)
        why = "TwSMS MOBERROR: the mobile number is wrong"
        word = (by_sms["provider"], by_sms["provider_id"], DeliveryState.UNDELIVERED, real_time(), why)
        assert await receipts.told(*word)
    await agenda_of(id)
    said = " ".join(capsys.readouterr().out.split())
    assert "email sent; sms sent: not delivered, TwSMS MOBERROR: the mobile number is wrong" in said
    await agenda_of(id, "--json")
    outcomes = json.loads(capsys.readouterr().out)["done"][0]["outcomes"]
    by_sms = next(one for one in outcomes if one["channel"] == "sms")
    assert (by_sms["status"], by_sms["reason"]) == ("sent", f"not delivered, {why}")
    monkeypatch.setenv("CARILLON_DATABASE_URL", "sqlite:///nowhere/carillon.db")
    await agenda_of(id)
    told = capsys.readouterr()
    assert "sms sent" in told.out
    assert "Whether what was sent has arrived is not known here: there is no database" in told.err


async def agenda_of(id: str, *options: str) -> None:
    """The command in a thread of its own, as it would run in a process of its own."""
    assert await asyncio.to_thread(cli.run, ("agenda", id, *options)) == 0
