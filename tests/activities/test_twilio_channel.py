"""Twilio: what it is asked, what its codes mean, and whether a callback is its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from channels.base import Credentials, DeliveryError, DeliveryState, Message
from channels.twilio import TwilioChannel, told, told_dead, valid_signature
from tests.providers import Answer, FakeTwilio, http_error, lost, said
from tests.requirements import requirement

SMS = Message(key="coupon:lumi:c1/issued/m1", merchant_id="lumi", to="+886912345678", text="您的優惠券已送達")


@asynccontextmanager
async def twilio(fake: FakeTwilio, more: Mapping[str, str] | None = None) -> AsyncIterator[TwilioChannel]:
    environment = {**fake.environment, **{f"CARILLON_TWILIO_{k.upper()}": v for k, v in (more or {}).items()}}
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        yield TwilioChannel(Credentials(environment), http)


async def failure(channel: TwilioChannel, message: Message = SMS) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await channel.send(message)
    return caught.value


@requirement("LOY-22")
async def test_an_sms_goes_as_text_from_the_account_of_the_shop() -> None:
    """To a number in E.164, and nothing but the text."""
    async with FakeTwilio() as fake, twilio(fake) as channel:
        receipt = await channel.send(replace(SMS, html="<p>", image_url="https://x.tw/a.png"))
    (sms,) = fake.accepted
    assert sms.form == {"To": SMS.to, "Body": SMS.text, "From": "+15005550006"}
    assert (receipt.provider_id, receipt.detail) == (sms.msgid, "queued")


async def test_a_messaging_service_may_stand_for_the_sender_and_be_told_where_to_report() -> None:
    """The service picks the number; the callback and the validity go with the message."""
    settings = {"messaging_service_sid": "MG1", "status_callback": "https://shop.tw/hooks/twilio"}
    async with FakeTwilio() as fake, twilio(fake, settings) as channel:
        for period in (timedelta(hours=2), timedelta(days=3), timedelta(seconds=1)):
            await channel.send(replace(SMS, valid_for=period))
    assert [sms.form["ValidityPeriod"] for sms in fake.accepted] == ["7200", "36000", "10"]
    assert fake.accepted[0].form["MessagingServiceSid"] == "MG1"
    assert fake.accepted[0].form["StatusCallback"] == "https://shop.tw/hooks/twilio"
    assert "From" not in fake.accepted[0].form


@pytest.mark.parametrize(
    ("answer", "permanent", "dead", "code", "wait"),
    [
        (FakeTwilio.refusal(21211), True, True, "21211", None),
        (FakeTwilio.refusal(21614), True, True, "21614", None),
        (FakeTwilio.refusal(21635), True, True, "21635", None),
        (FakeTwilio.refusal(21610), True, False, "21610", None),
        (FakeTwilio.refusal(21617), True, False, "21617", None),
        (FakeTwilio.refusal(20003, status=401), False, False, "20003", None),
        (FakeTwilio.refusal(21408), False, False, "21408", None),
        (FakeTwilio.refusal(21606), False, False, "21606", None),
        (FakeTwilio.refusal(21611), False, False, "21611", timedelta(seconds=1)),
        (FakeTwilio.refusal(20429, status=429), False, False, "20429", timedelta(seconds=1)),
        (FakeTwilio.refusal(20429, status=429, retry_after="7"), False, False, "20429", timedelta(seconds=7)),
        (FakeTwilio.refusal(99999), False, False, "99999", None),
        (FakeTwilio.refusal(20503, status=503), False, False, "20503", None),
        (http_error(503, retry_after="9"), False, False, "http_503", timedelta(seconds=9)),
    ],
)
async def test_a_code_of_twilio_is_final_only_where_it_is_about_the_message(
    answer: Answer, permanent: bool, dead: bool, code: str, wait: timedelta | None
) -> None:
    """A number that is none is dead; one that has unsubscribed is not. The rest is tried again."""
    async with FakeTwilio() as fake, twilio(fake) as channel:
        fake.script(answer)
        error = await failure(channel)
        await channel.send(SMS)
    assert (error.permanent, error.dead_address, error.code) == (permanent, dead, code)
    assert (error.doubtful, error.retry_after) == (False, wait)
    assert error.stopped is (code == "21610")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lost(), "no_answer"),
        (said("<html>"), "bad_answer"),
        (http_error(504), "http_504"),
        (http_error(500), "http_500"),
        (FakeTwilio.refusal(20500, "Internal Server Error", status=500), "20500"),
    ],
)
async def test_an_answer_that_is_none_leaves_a_doubt(answer: Answer, code: str) -> None:
    """Twilio may have taken it."""
    async with FakeTwilio() as fake, twilio(fake) as channel:
        fake.script(answer)
        error = await failure(channel)
    assert (error.permanent, error.doubtful, error.code) == (False, True, code)


async def test_no_secret_of_the_account_or_the_customer_is_in_an_error() -> None:
    """Not even where Twilio repeats it; a wrong login and a missing one explain themselves."""
    async with FakeTwilio() as fake, twilio(fake, {"auth_token": "wrong-token"}) as channel:
        error = await failure(channel)
        assert (error.permanent, error.code) == (False, "20003")
        fake.script(FakeTwilio.refusal(12345, f"{SMS.to} said {SMS.text} by wrong-token"))
        error = await failure(channel)
    assert "***" in error.reason
    assert not any(secret in error.reason for secret in (SMS.to, SMS.text, "wrong-token"))
    async with FakeTwilio() as fake, twilio(fake, {"from": ""}) as channel:
        error = await failure(channel)
        assert (error.code, fake.requests) == ("not_configured", [])
        assert (await failure(channel, replace(SMS, to="0912345678"))).dead_address


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", DeliveryState.PENDING),
        ("sent", DeliveryState.PENDING),
        ("delivered", DeliveryState.DELIVERED),
        ("undelivered", DeliveryState.UNDELIVERED),
        ("failed", DeliveryState.UNDELIVERED),
        ("receiving", DeliveryState.UNKNOWN),
    ],
)
async def test_twilio_tells_what_became_of_a_message(status: str, state: DeliveryState) -> None:
    """When it is asked and when it calls, in the same words."""
    async with FakeTwilio() as fake, twilio(fake) as channel:
        receipt = await channel.send(SMS)
        fake.states[receipt.provider_id] = status
        assert await channel.state(receipt.provider_id, "lumi") is state
        assert await channel.state("SM1", "lumi") is DeliveryState.UNKNOWN
        fake.script(FakeTwilio.refusal(20003, status=401))
        with pytest.raises(DeliveryError, match="20003"):
            await channel.state("SM1", "lumi")
    assert told({"MessageSid": "SM7", "MessageStatus": status}) == ("SM7", state)


@pytest.mark.parametrize(
    ("status", "code", "dead"),
    [
        ("undelivered", "30005", True),
        ("failed", "21614", True),
        ("undelivered", "30003", False),
        ("undelivered", "30007", False),
        ("delivered", "30005", False),
        ("failed", "", False),
    ],
)
def test_a_callback_may_say_that_a_number_is_dead(status: str, code: str, dead: bool) -> None:
    """An unknown one is; a phone that is switched off or a filtered text is not."""
    assert told_dead({"MessageSid": "SM7", "MessageStatus": status, "ErrorCode": code}) is dead


URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
SIGNED = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
"""The example that Twilio's own libraries are tested with, under the token 12345."""


def test_a_callback_is_known_by_its_signature() -> None:
    """Twilio's own example holds, in any order, and with a port in the address, which Twilio leaves out."""
    assert valid_signature("12345", URL, FORM, SIGNED)
    assert valid_signature("12345", URL, dict(reversed(FORM.items())), SIGNED)
    for port in (":443", ":8443"):
        assert valid_signature("12345", URL.replace(".com/", f".com{port}/"), FORM, SIGNED)
    assert valid_signature("12345", URL, {name: [value, value] for name, value in FORM.items()}, SIGNED)


@pytest.mark.parametrize(
    ("token", "url", "form", "signature"),
    [
        ("54321", URL, FORM, SIGNED),
        ("", URL, FORM, SIGNED),
        ("12345", URL + "&baz=3", FORM, SIGNED),
        ("12345", URL.replace("https", "http"), FORM, SIGNED),
        ("12345", URL, {**FORM, "Digits": "4321"}, SIGNED),
        ("12345", URL, {**FORM, "More": "x"}, SIGNED),
        ("12345", URL, FORM, ""),
        ("12345", URL, FORM, "é"),
    ],
)
def test_a_callback_that_anyone_else_made_is_none(
    token: str, url: str, form: dict[str, str], signature: str
) -> None:
    """Another token, address or field, and nothing at all."""
    assert not valid_signature(token, url, form, signature)
