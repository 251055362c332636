"""The SMS channels against gateways on loopback that speak their protocols."""

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from channels.base import Attachment, Credentials, DeliveryError, DeliveryState, Message
from channels.http import retry_after
from channels.smartdove import SmartdoveChannel
from channels.twsms import TwSmsChannel
from tests.providers import Answer, FakeSmartdove, FakeTwSms, http_error, lost, said, slow
from tests.requirements import requirement

SMS = Message(key="coupon:lumi:c1/issued/m1", merchant_id="lumi", to="+886912345678", text="您的優惠券已送達")


@asynccontextmanager
async def sms(
    fake: FakeTwSms | FakeSmartdove, more: Mapping[str, str] | None = None, *, patience: float = 5
) -> AsyncIterator[TwSmsChannel | SmartdoveChannel]:
    made = TwSmsChannel if isinstance(fake, FakeTwSms) else SmartdoveChannel
    environment = {**fake.environment, **{f"CARILLON_{k.upper()}": v for k, v in (more or {}).items()}}
    async with httpx.AsyncClient(trust_env=False, timeout=patience) as http:
        yield made(Credentials(environment), http)


async def failure(channel: TwSmsChannel | SmartdoveChannel, message: Message) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await channel.send(message)
    return caught.value


async def test_what_a_merchant_has_set_up_at_its_provider_travels_with_each_message() -> None:
    """A campaign and an address for answers at SMARTDOVE, for receipts at TwSMS; unset, nothing is sent."""
    async with FakeSmartdove() as fake:
        async with sms(fake) as channel:
            await channel.send(SMS)
        hook = "https://lumi.example/answers"
        async with sms(fake, {"smartdove_campaign_id": "7", "smartdove_response_url": hook}) as channel:
            await channel.send(SMS)
    bare, whole = (one.form for one in fake.accepted)
    assert {**bare, "campaign_id": "7", "response_url": hook} == whole
    assert set(bare) == {"token", "phone_number", "content"}
    async with FakeTwSms() as twsms:
        async with sms(twsms) as channel:
            await channel.send(SMS)
        async with sms(twsms, {"twsms_drurl": "https://lumi.example/dr"}) as channel:
            await channel.send(SMS)
    assert [one.form.get("drurl") for one in twsms.accepted] == [None, "https://lumi.example/dr"]


@requirement("WACA-21", "LOY-22")
@pytest.mark.parametrize("made", [FakeTwSms, FakeSmartdove])
async def test_an_sms_arrives_with_its_number_in_the_form_of_the_country(
    made: type[FakeTwSms | FakeSmartdove],
) -> None:
    """Taiwan's numbers in their local form, others with country code and digits; the text as it is,
    and nothing but the text."""
    async with made() as fake, sms(fake) as channel:
        receipt = await channel.send(SMS)
        card = Attachment("card.png", "image/png", b"png")
        await channel.send(
            replace(
                SMS, to="+33612345678", text="À demain & merci + 100 % 😀", html="<p>", attachments=(card,)
            )
        )
    assert [(s.mobile, s.message) for s in fake.accepted] == [
        ("0912345678", SMS.text),
        ("33612345678", "À demain & merci + 100 % 😀"),
    ]
    assert "<p>" not in fake.accepted[1].form.values()
    assert receipt.provider == channel.provider
    assert receipt.provider_id == fake.accepted[0].msgid


@requirement("WACA-24")
async def test_each_merchant_pays_from_its_own_account_at_twsms() -> None:
    """The shop's own user name and password go with its messages, and only with them."""
    async with FakeTwSms() as fake:
        fake.username, fake.password = "lumi-shop", "its-own"
        login = {"twsms_username__lumi": "lumi-shop", "twsms_password__lumi": "its-own"}
        async with sms(fake, login) as channel:
            await channel.send(SMS)
            fake.username = "someone-else"
            error = await failure(channel, SMS)
    assert len(fake.accepted) == 1
    assert (error.permanent, error.doubtful, error.code) == (False, False, "00010")


async def test_a_merchant_without_an_account_is_told_what_to_set() -> None:
    """No account is no reason to give the message up."""
    async with FakeTwSms() as fake, sms(fake, {"twsms_username": ""}) as channel:
        error = await failure(channel, SMS)
    assert (error.permanent, error.code, fake.requests) == (False, "not_configured", [])
    assert "CARILLON_TWSMS_USERNAME" in error.reason


async def test_a_long_text_is_sent_as_one_at_home_and_left_to_twsms_abroad() -> None:
    """`longsms` goes with a text of several segments, but TwSMS has none for numbers abroad."""
    async with FakeTwSms() as fake, sms(fake) as channel:
        for to, text in [(SMS.to, "好" * 70), (SMS.to, "好" * 71), ("+33612345678", "好" * 71)]:
            await channel.send(replace(SMS, to=to, text=text))
    assert [s.form.get("longsms") for s in fake.accepted] == [None, "Y", None]


@pytest.mark.parametrize(
    ("valid_for", "expirytime"),
    [
        (None, None),
        (timedelta(seconds=1), "300"),
        (timedelta(hours=2), "7200"),
        (timedelta(days=7), "86400"),
    ],
)
async def test_a_message_does_not_outlive_its_meaning(valid_for: timedelta | None, expirytime: str) -> None:
    """The validity period goes to TwSMS within the bounds that it takes."""
    async with FakeTwSms() as fake, sms(fake) as channel:
        await channel.send(replace(SMS, valid_for=valid_for))
    assert fake.accepted[0].form.get("expirytime") == expirytime


@pytest.mark.parametrize(
    ("code", "permanent", "doubtful"),
    [
        ("00010", False, False),
        ("00020", False, False),
        ("00041", False, False),
        ("00100", True, False),
        ("00130", True, False),
        ("00180", True, False),
        ("99998", False, False),
        ("12345", False, False),
        ("00001", False, True),
    ],
)
async def test_a_code_of_twsms_is_final_only_where_it_is_about_the_message(
    code: str, permanent: bool, doubtful: bool
) -> None:
    """What the merchant or TwSMS can mend is tried again; an unknown code too."""
    async with FakeTwSms() as fake, sms(fake) as channel:
        fake.script(fake.refusal(code))
        error = await failure(channel, SMS)
    assert (error.permanent, error.doubtful, error.code) == (permanent, doubtful, code)
    assert error.dead_address is (code == "00100")


@pytest.mark.parametrize("to", ["0912345678", "+886", "+886912345678\r\n", "886912345678", ""])
@pytest.mark.parametrize("made", [FakeTwSms, FakeSmartdove])
async def test_a_number_that_is_none_reaches_no_provider(
    made: type[FakeTwSms | FakeSmartdove], to: str
) -> None:
    """Only E.164 is a number here."""
    async with made() as fake, sms(fake) as channel:
        error = await failure(channel, replace(SMS, to=to))
    assert (error.permanent, error.code, fake.requests) == (True, "bad_number", [])
    assert error.dead_address


@pytest.mark.parametrize(
    ("statustext", "state"),
    [
        ("DELIVRD", DeliveryState.DELIVERED),
        ("ACCEPTD", DeliveryState.PENDING),
        ("EXPIRED", DeliveryState.UNDELIVERED),
        ("UNDELIV", DeliveryState.UNDELIVERED),
        ("REJECTD", DeliveryState.UNDELIVERED),
        ("REJMOBIL", DeliveryState.UNDELIVERED),
        ("UNKNOWN", DeliveryState.UNKNOWN),
        ("SOMETHING", DeliveryState.UNKNOWN),
    ],
)
async def test_twsms_tells_what_became_of_a_message(statustext: str, state: DeliveryState) -> None:
    """Its words become one of four."""
    async with FakeTwSms() as fake, sms(fake) as channel:
        receipt = await channel.send(SMS)
        fake.states[receipt.provider_id] = statustext
        assert isinstance(channel, TwSmsChannel)
        assert await channel.state(receipt.provider_id, "lumi", SMS.to) is state


async def test_twsms_may_have_no_word_yet_or_none_at_all() -> None:
    """`00001` is not yet, `00300` is a message that it does not know; a refused question is an error."""
    async with FakeTwSms() as fake, sms(fake) as channel:
        assert isinstance(channel, TwSmsChannel)
        fake.script(fake.refusal("00001"))
        assert await channel.state("1", "lumi", SMS.to) is DeliveryState.PENDING
        assert await channel.state("1", "lumi", SMS.to) is DeliveryState.UNKNOWN
        fake.script(fake.refusal("00010"))
        with pytest.raises(DeliveryError, match="00010"):
            await channel.state("1", "lumi", SMS.to)


@pytest.mark.parametrize("made", [FakeTwSms, FakeSmartdove])
@pytest.mark.parametrize(
    ("answer", "code", "doubtful", "wait"),
    [
        (http_error(503, retry_after="7"), "http_503", False, timedelta(seconds=7)),
        (http_error(429, retry_after="60"), "http_429", False, timedelta(minutes=1)),
        (http_error(500), "http_500", True, None),
        (http_error(501), "http_501", False, None),
        (http_error(403), "http_403", False, None),
        (http_error(302), "http_302", False, None),
        (http_error(504), "http_504", True, None),
        (said("<html>maintenance</html>"), "bad_answer", True, None),
        (said("[]"), "bad_answer", True, None),
        (said("{}"), "bad_answer", True, None),
        (lost(), "no_answer", True, None),
    ],
)
async def test_a_provider_in_trouble_is_tried_again_and_doubted_where_it_may_have_acted(
    made: type[FakeTwSms | FakeSmartdove],
    answer: Answer,
    code: str,
    doubtful: bool,
    wait: timedelta | None,
) -> None:
    """Nothing of it is permanent; Retry-After is honoured."""
    async with made() as fake, sms(fake) as channel:
        fake.script(answer)
        error = await failure(channel, SMS)
        assert (error.permanent, error.doubtful, error.code) == (False, doubtful, code)
        assert error.retry_after == wait
        await channel.send(SMS)
    assert len(fake.accepted) == (2 if code == "no_answer" else 1)


@pytest.mark.parametrize("made", [FakeTwSms, FakeSmartdove])
async def test_an_sms_that_was_not_answered_in_time_is_doubtful(
    made: type[FakeTwSms | FakeSmartdove],
) -> None:
    """The request was written: the message may be on its way."""
    async with made() as fake, sms(fake, patience=0.2) as channel:
        fake.script(slow(5))
        error = await failure(channel, SMS)
    assert (error.permanent, error.doubtful, len(fake.accepted)) == (False, True, 1)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}", "ftp://127.0.0.1", "http://127.0.0.1:port", "nonsense"]
)
async def test_a_provider_that_cannot_be_reached_took_nothing(url: str, unused_tcp_port: int) -> None:
    """Refused connections and impossible addresses leave no doubt."""
    async with FakeTwSms() as fake, sms(fake, {"twsms_url": url.format(port=unused_tcp_port)}) as channel:
        error = await failure(channel, SMS)
    assert (error.permanent, error.doubtful) == (False, False)


@pytest.mark.parametrize("made", [FakeTwSms, FakeSmartdove])
async def test_no_secret_and_no_number_is_in_an_error_or_a_log(
    made: type[FakeTwSms | FakeSmartdove], caplog: pytest.LogCaptureFixture
) -> None:
    """A provider that echoes the request gives nothing away."""
    caplog.set_level(logging.DEBUG)
    secrets = [FakeTwSms.username, FakeTwSms.password, FakeSmartdove.token, "0912345678", SMS.text]
    echo = " ".join(secrets)
    broken = json.dumps({"code": "7", "text": echo, "is_error": 1, "error_message": echo}, ensure_ascii=False)
    async with made() as fake, sms(fake) as channel:
        for answer in (http_error(500, body=echo), said(echo), said(broken)):
            fake.script(answer)
            error = await failure(channel, SMS)
            own = [s for s in secrets if s in fake.environment.values() or s in ("0912345678", SMS.text)]
            for secret in own:
                assert secret not in error.reason
                assert secret not in caplog.text


@pytest.mark.parametrize(
    ("body", "sms_id"),
    [
        ('{"is_error":false,"error_code":0,"error_message":"","sms_id":"5","sms_code":"1"}', "5"),
        ('{"is_error":"0","sms_id":5}', "5"),
        ('[{"is_error":0,"sms_id":"5"}]', "5"),
        ('{"is_error":false,"data":{"sms_id":"5"}}', "5"),
        ('{"error_code":"0","sms_id":"5"}', "5"),
        ('\ufeff<br />\nNotice: x\n{"is_error":false,"sms_id":"5"}', "5"),
    ],
)
async def test_the_answers_of_smartdove_are_read_tolerantly(body: str, sms_id: str) -> None:
    """Its specification is not public: forms that can only mean success are one."""
    async with FakeSmartdove() as fake, sms(fake) as channel:
        fake.script(said(body))
        assert (await channel.send(SMS)).provider_id == sms_id


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"is_error":true,"error_code":3,"error_message":"no points"}', "3"),
        ('{"is_error":"1"}', "refused"),
        ('{"error_code":12,"sms_id":"5"}', "12"),
    ],
)
async def test_an_error_of_smartdove_is_never_final(body: str, code: str) -> None:
    """What its codes mean is not known, so the message is not given up for one."""
    async with FakeSmartdove() as fake, sms(fake) as channel:
        fake.script(said(body))
        error = await failure(channel, SMS)
    assert (error.permanent, error.doubtful, error.code) == (False, False, code)


def test_retry_after_is_seconds_or_a_date() -> None:
    """Both forms of RFC 9110; nonsense is no wait."""
    now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert retry_after("120", now) == timedelta(minutes=2)
    assert retry_after("Sun, 01 Mar 2026 12:05:00 GMT", now) == timedelta(minutes=5)
    assert retry_after("Sun, 01 Mar 2026 11:00:00 GMT", now) == timedelta()
    assert [retry_after(value, now) for value in ("", "soon", "-5", "²")] == [None] * 4
