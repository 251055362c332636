"""Providers call the gateway: who is believed, and what a call settles."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.message_log import MessageLog
from activities.receipts import Receipts
from channels.registry import Channels
from gateway.app import application
from gateway.forms import LONGEST
from tests.activities.test_message_log import NOW
from tests.activities.test_receipts import sent

SETTINGS = {
    "CARILLON_PUBLIC_URL": "https://notices.example/",
    "CARILLON_TWILIO_AUTH_TOKEN": "12345",
    "CARILLON_TWSMS_DRURL_KEY": "k/1",
    "CARILLON_TWSMS_DRURL_KEY__ATELIER": "another",
}
TWSMS = "/receipts/twsms/lumi?key=k%2F1"


@pytest.fixture
async def calls(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the gateway as providers do, through a proxy: the gateway sees another address than they call."""
    async with Channels.from_environment(SETTINGS) as channels:
        made = application(engine, channels)
        transport = httpx.ASGITransport(made)
        async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.7:8088") as client:
            yield client


async def status_of(engine: AsyncEngine, key: str) -> str:
    rows = await MessageLog(engine).messages()
    return next(str(row["status"]) for row in rows if row["notice_key"] == key)


def signature(url: str, form: dict[str, str], token: str = "12345") -> str:
    """What Twilio puts into its header, by its documentation."""
    said = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()).decode()


async def test_twilios_signed_call_settles_its_message(calls: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """The signature is over the address that Twilio called, not the one behind the proxy."""
    key = await sent(engine, "SM1", "twilio")
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    signed = signature("https://notices.example/receipts/twilio/lumi", form)
    answer = await calls.post("/receipts/twilio/lumi", data=form, headers={"X-Twilio-Signature": signed})
    assert answer.status_code == 204
    assert await status_of(engine, key) == "delivered"


@pytest.mark.parametrize("token", ["", "54321"])
async def test_a_call_that_twilio_did_not_sign_changes_nothing(
    token: str, calls: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """Without a signature, or with that of another account, nobody is believed."""
    key = await sent(engine, "SM1", "twilio")
    form = {"MessageSid": "SM1", "MessageStatus": "undelivered"}
    signed = signature("https://notices.example/receipts/twilio/lumi", form, token) if token else ""
    answer = await calls.post("/receipts/twilio/lumi", data=form, headers={"X-Twilio-Signature": signed})
    assert answer.status_code == 403
    assert await status_of(engine, key) == "sent"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_twsms_calls_with_our_key_in_the_address(
    method: str, calls: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """By GET or by POST, and twice: the message is settled once."""
    key = await sent(engine, "771")
    said = {"msgid": "771", "statustext": "DELIVRD"}
    for _ in range(2):
        if method == "GET":
            answer = await calls.get(f"{TWSMS}&{urlencode(said)}")
        else:
            answer = await calls.post(TWSMS, data=said)
        assert answer.status_code == 204
    assert await status_of(engine, key) == "delivered"


@pytest.mark.parametrize("path", ["/receipts/twsms/lumi", f"{TWSMS}x", "/receipts/twsms/atelier?key=k%2F1"])
async def test_a_call_without_the_key_of_its_merchant_changes_nothing(
    path: str, calls: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """TwSMS signs nothing: only the key tells its call from anyone's."""
    key = await sent(engine, "771")
    answer = await calls.post(path, data={"msgid": "771", "statustext": "UNDELIV"})
    assert answer.status_code == 403
    assert await status_of(engine, key) == "sent"


@pytest.mark.parametrize("query", ["", "?key="])
async def test_where_no_key_is_set_nobody_is_believed(query: str, engine: AsyncEngine) -> None:
    """No key is not the empty key."""
    key = await sent(engine, "771")
    async with Channels.from_environment({}) as channels:
        transport = httpx.ASGITransport(application(engine, channels))
        async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.7:8088") as client:
            answer = await client.post(
                f"/receipts/twsms/lumi{query}", data={"msgid": "771", "statustext": "UNDELIV"}
            )
    assert answer.status_code == 403
    assert await status_of(engine, key) == "sent"


async def test_a_caller_writes_no_lines_into_the_log(
    calls: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody may name a merchant with a line break in it."""
    await calls.post("/receipts/twsms/lumi%0Aall%20is%20well", data={"msgid": "1"})
    assert "not proven" in caplog.text
    assert "\nall is well" not in caplog.text


async def test_a_word_that_comes_before_our_own_note_is_kept(
    calls: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """The provider is thanked, and the message is settled once it is noted as sent."""
    assert (await calls.post(TWSMS, data={"msgid": "99", "statustext": "DELIVRD"})).status_code == 204
    key = await sent(engine, "99")
    async with Channels.from_environment(SETTINGS) as channels:
        await Receipts(engine, channels).poll(NOW)
    assert await status_of(engine, key) == "delivered"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/receipts/smartdove/lumi", b"", 404, "twilio, twsms"),
        (TWSMS, b"statustext=DELIVRD", 400, "names no message"),
        (TWSMS, b"x" * (LONGEST + 1), 413, "is not read"),
        ("/nowhere", b"", 404, "Not Found"),
    ],
)
async def test_a_call_that_cannot_be_taken_is_told_why(
    path: str, body: bytes, status: int, words: str, calls: httpx.AsyncClient
) -> None:
    """An error is JSON with a sentence."""
    answer = await calls.post(path, content=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]


async def test_the_gateway_says_that_it_is_well(calls: httpx.AsyncClient) -> None:
    """For whoever watches over it."""
    assert (await calls.get("/health")).json() == {"status": "well"}
