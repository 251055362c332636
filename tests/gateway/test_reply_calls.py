"""Twilio tells the gateway of SMS that come in: who is believed, and what STOP ends."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.consents import Consents
from activities.merchants import Merchants
from activities.rates import real_time
from channels.registry import Channels
from gateway.app import application
from models.consent import Suppression
from models.merchant import SmsProvider, SmsSettings
from tests.faults.campaign_items import SHOP
from tests.gateway.test_receipt_calls import SETTINGS, signature

PHONE = "+886912345678"
ADDRESS = "/answers/twilio/lumi"
SENDERS = {
    "CARILLON_TWILIO_ACCOUNT_SID": "AC1",
    "CARILLON_TWILIO_FROM": "+15005550006",
    "CARILLON_TWILIO_FROM__OWN_NUMBER": "+15005550007",
    "CARILLON_TWILIO_ACCOUNT_SID__OWN_ACCOUNT": "AC2",
}
STOP = {"MessageSid": "SM1", "From": PHONE, "To": "+15005550006", "Body": "Stop"}


@pytest.fixture
async def calls(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the gateway as Twilio does, through a proxy."""
    await Merchants(engine).apply(SHOP, real_time())
    async with Channels.from_environment(SETTINGS | SENDERS) as channels:
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


async def test_what_is_answered_goes_to_all_who_send_from_that_number(
    calls: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """They share the house's. A number or an account of one's own is not meant, nor another provider."""
    twilio = replace(SHOP, sms=SmsSettings(SmsProvider.TWILIO))
    others = [replace(twilio, id=name) for name in ("atelier", "own_number", "own_account")]
    for one in (twilio, *others, replace(twilio, id="elsewhere", sms=SmsSettings(SmsProvider.SMPP))):
        await Merchants(engine).apply(one, real_time())
    await call(calls, STOP)
    assert await merchants_stopped(engine) == {"lumi", "atelier"}
    told = [Suppression(name, "sms", PHONE, "answered STOP", "twilio", real_time()) for name in STOPPED_ALONE]
    await Consents(engine).suppress(told)
    await call(calls, {**STOP, "Body": "START"})
    assert await merchants_stopped(engine) == set(STOPPED_ALONE)


STOPPED_ALONE = ("own_number", "own_account", "elsewhere")


async def merchants_stopped(engine: AsyncEngine) -> set[str]:
    return {row["merchant_id"] for row in await Consents(engine).suppressions()}


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
