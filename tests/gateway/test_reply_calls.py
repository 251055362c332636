"""Twilio tells the gateway of SMS that come in: who is believed, and what STOP ends."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.consents import Consents
from activities.merchants import Merchants
from activities.rates import real_time
from channels.registry import Channels
from gateway.app import application
from tests.faults.campaign_items import SHOP
from tests.gateway.test_receipt_calls import SETTINGS, signature

PHONE = "+886912345678"
ADDRESS = "/answers/twilio/lumi"
STOP = {"MessageSid": "SM1", "From": PHONE, "To": "+15005550006", "Body": "Stop"}


@pytest.fixture
async def calls(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the gateway as Twilio does, through a proxy."""
    await Merchants(engine).apply(SHOP, real_time())
    async with Channels.from_environment(SETTINGS) as channels:
        transport = httpx.ASGITransport(application(engine, channels))
        async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.7:8088") as client:
            yield client


async def call(
    calls: httpx.AsyncClient, form: dict[str, str], path: str = ADDRESS, token: str = "12345"
) -> httpx.Response:
    signed = signature(f"https://notices.example{path}", form, token)
    return await calls.post(path, data=form, headers={"X-Twilio-Signature": signed})


async def stopped(engine: AsyncEngine) -> list[tuple[str, str, str]]:
    rows = await Consents(engine).suppressions()
    return [(row["address"], row["channel"], row["reason"]) for row in rows]


async def test_stop_suppresses_and_start_lifts(calls: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Twice is once. Nothing is written back: Twilio does that."""
    for _ in range(2):
        answer = await call(calls, STOP)
        assert (answer.status_code, answer.text) == (200, "<Response/>")
        assert answer.headers["content-type"].startswith("text/xml")
    assert await stopped(engine) == [(PHONE, "sms", "answered STOP")]
    await call(calls, {**STOP, "Body": "UNSTOP"})
    assert await stopped(engine) == []


@pytest.mark.parametrize(
    ("fields", "suppressed"),
    [
        ({"Body": "退訂"}, True),
        ({"Body": "no more please", "OptOutType": "STOP"}, True),
        ({"Body": "STOP", "OptOutType": "HELP"}, False),
        ({"Body": "I cannot stop smiling"}, False),
        ({"Body": ""}, False),
        ({"From": "whatsapp:+886912345678"}, False),
        ({"From": "LUMI"}, False),
    ],
)
async def test_a_word_of_stopping_counts_and_nothing_else(
    calls: httpx.AsyncClient, engine: AsyncEngine, fields: dict[str, str], suppressed: bool
) -> None:
    """Where an account has words of its own, Twilio says what they mean."""
    assert (await call(calls, {**STOP, **fields})).status_code == 200
    assert bool(await stopped(engine)) is suppressed


async def test_who_is_not_twilio_stops_nothing(calls: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """Without a signature, with another account's, or of a merchant that is not known."""
    assert (await calls.post(ADDRESS, data=STOP)).status_code == 403
    assert (await call(calls, STOP, token="54321")).status_code == 403
    assert (await call(calls, STOP, "/answers/twilio/nobody")).status_code == 404
    assert await stopped(engine) == []
