"""STOP and START from phones: by a real SMSC and by hand, on both databases, until the gate keeps to them."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.attempt import Attempt, Item
from activities.consents import Consents
from activities.handing_over import HandingOver
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.pipeline import Pipeline
from activities.rates import Rates, real_time
from activities.rendering import Renderer
from activities.replies import Replies
from activities.standing import Standings
from channels.base import DeliveryState, Message, Reply
from channels.registry import Channels
from models.agenda import Status
from models.consent import Suppression
from models.merchant import SmsProvider, SmsSettings
from tests.activities.test_delivery_doubts import Clock, free
from tests.activities.test_receipts import sent
from tests.faults.campaign_items import SHOP
from tests.providers import FakeTwilio
from tests.smsc.process import Smsc

PHONE = "+886912345678"
SMS = Message("n1", "lumi", PHONE, "Your visit is tomorrow.")
LUMI = replace(SHOP, credits=replace(SHOP.credits, enabled=False), sms=SmsSettings(SmsProvider.SMPP))
ATELIER = replace(LUMI, id="atelier", name="Atelier")


@pytest.fixture(scope="module")
async def process() -> AsyncIterator[Smsc]:
    async with Smsc.running() as smsc:
        yield smsc


@pytest.fixture
async def smsc(process: Smsc) -> Smsc:
    await process.fresh()
    return process


@pytest.fixture
async def replies(engine: AsyncEngine) -> Replies:
    for merchant in (LUMI, ATELIER):
        await Merchants(engine).apply(merchant, real_time())
    return Replies(engine)


async def stopped(engine: AsyncEngine, merchant: str = "lumi") -> list[tuple[str, str]]:
    """The suppressed addresses of a merchant, and why."""
    rows = await Consents(engine).suppressions(merchant_id=merchant)
    return [(row["address"], row["reason"]) for row in rows]


def attempt(token: str) -> Attempt:
    return Clock().attempt(token)


def pipeline_of(engine: AsyncEngine, channels: Channels) -> Pipeline:
    log = MessageLog(engine)
    return Pipeline(log, Standings(engine), Renderer(), HandingOver(log, channels, Rates(engine)))


async def test_stop_by_smpp_ends_what_the_merchant_sends_and_start_brings_it_back(
    engine: AsyncEngine, replies: Replies, smsc: Smsc
) -> None:
    """In every class: carriers mean every message of that sender. The gate tells why."""
    settings = {**smsc.environment, "CARILLON_SMPP_SOURCE": "+886900000001"}

    async def nothing(_: str, __: DeliveryState) -> None: ...

    async with Channels.from_environment(settings, on_receipt=nothing, on_reply=replies.told) as channels:
        await channels.get("sms", "smpp").send(SMS)
        one = free(0, LUMI)
        phone = one.delivery.notice.recipient.phone
        said(smsc, phone, "Stop.")
        assert (await smsc.heard("deliver_sm_resp"))["status"] == 0
        assert await stopped(engine) == [(phone, "answered STOP")]
        assert await stopped(engine, "atelier") == [(phone, "answered STOP")], "it sends from there as well"
        (answers,) = await pipeline_of(engine, channels).send([one], attempt("first"))
        assert answers[-1].status is Status.REFUSED  # type: ignore[union-attr]
        assert "answered STOP" in answers[-1].reason
        said(smsc, phone, "START")
        await smsc.heard("deliver_sm_resp", 2)
    assert await stopped(engine) == []
    assert len(smsc.submitted) == 1


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("取消訂閱", {"data_coding": 8}),
        ("Arrêt", {"data_coding": 8}),
        ("ARRÊT", {"data_coding": 3}),
        ("STOP", {"destination_addr": "0900000001", "dest_addr_ton": 2}),
    ],
)
async def test_a_word_is_read_in_its_alphabet_and_its_sender_in_either_spelling(
    engine: AsyncEngine, replies: Replies, smsc: Smsc, text: str, fields: dict[str, object]
) -> None:
    """Chinese and French come in UCS-2; an SMSC may name our number as it is dialled at home."""
    settings = {**smsc.environment, "CARILLON_SMPP_SOURCE": "+886900000001"}

    async def nothing(_: str, __: DeliveryState) -> None: ...

    async with Channels.from_environment(settings, on_receipt=nothing, on_reply=replies.told) as channels:
        await channels.get("sms", "smpp").send(SMS)
        said(smsc, PHONE, text, **fields)
        await smsc.heard("deliver_sm_resp")
    assert await stopped(engine) == [(PHONE, "answered STOP")]


async def test_a_reply_to_another_number_or_with_other_words_changes_nothing(
    engine: AsyncEngine, replies: Replies, smsc: Smsc
) -> None:
    """It is thanked for, lest the SMSC say it for ever."""
    settings = {**smsc.environment, "CARILLON_SMPP_SOURCE": "+886900000001"}

    async def nothing(_: str, __: DeliveryState) -> None: ...

    async with Channels.from_environment(settings, on_receipt=nothing, on_reply=replies.told) as channels:
        await channels.get("sms", "smpp").send(SMS)
        said(smsc, PHONE, "Can I come an hour later?")
        said(smsc, PHONE, "STOP", destination_addr="886900000002")
        said(smsc, "0912345678", "STOP")
        assert (await smsc.heard("deliver_sm_resp", 3))["status"] == 0
    assert await stopped(engine) == []


async def test_of_several_merchants_behind_one_number_those_are_meant_that_have_written(
    engine: AsyncEngine, replies: Replies
) -> None:
    """The others would lose a reader who does not know them. Where none has, all are meant."""
    await sent(engine, provider="smpp", address=PHONE)
    await replies.told(Reply("smpp", PHONE, "STOP", lambda _: True))
    assert await stopped(engine) == [(PHONE, "answered STOP")]
    assert await stopped(engine, "atelier") == []
    await replies.told(Reply("smpp", "+886911111111", "STOP", lambda _: True))
    assert await stopped(engine, "atelier") == [("+886911111111", "answered STOP")]


async def test_start_lifts_nothing_but_what_stop_has_suppressed(
    engine: AsyncEngine, replies: Replies
) -> None:
    """A number that was called dead, or suppressed by hand, stays so; STOP said twice is said once."""
    by_hand = Suppression("lumi", "sms", PHONE, "no such number", "twilio", real_time())
    await Consents(engine).suppress([by_hand])
    for text in ("STOP", "STOP", "START", "START"):
        await replies.said("lumi", "twilio", PHONE, text)
    assert await stopped(engine) == [(PHONE, "no such number")]


async def test_stop_stands_beside_the_reason_that_was_there_before(
    engine: AsyncEngine, replies: Replies
) -> None:
    """Whoever lifts that one sees it; what is told of the number later takes no place of it."""
    consents = Consents(engine)
    dead = Suppression("lumi", "sms", PHONE, "no such number", "twilio", real_time())
    await consents.suppress([dead])
    assert not await consents.stopped("lumi", "sms", PHONE)
    await replies.said("lumi", "twilio", PHONE, "STOP")
    await consents.suppress([dead])
    assert await consents.stopped("lumi", "sms", PHONE)
    (row,) = await consents.suppressions(merchant_id="lumi")
    assert (row["reason"], row["source"]) == ("answered STOP; before that: no such number", "twilio")
    assert await consents.lift("lumi", "sms", PHONE, real_time())
    await replies.said("lumi", "twilio", PHONE, "STOP")
    assert await stopped(engine) == [(PHONE, "answered STOP")], "what was lifted is past"


async def test_what_twilio_says_of_somebody_who_has_answered_stop_is_kept_to(engine: AsyncEngine) -> None:
    """21610: the next message is not tried, and its reason is STOP, until START."""
    one = free(0, merchant=replace(LUMI, sms=SmsSettings(SmsProvider.TWILIO)))
    again = replace(one, delivery=replace(one.delivery, notice=replace(one.delivery.notice, key="another")))
    async with FakeTwilio() as fake:
        fake.script(FakeTwilio.refusal(21610))
        async with Channels.from_environment(fake.environment) as channels:
            sending = pipeline_of(engine, channels)
            first = await status(sending, one)
            second = await status(sending, again)
        assert len(fake.requests) == 1
    assert (first, second) == (Status.FAILED, Status.REFUSED)
    phone = one.delivery.notice.recipient.phone
    assert await stopped(engine) == [(phone, "answered STOP")]
    await Replies(engine).said("lumi", "twilio", phone, "START")
    assert await stopped(engine) == []


async def status(sending: Pipeline, one: Item) -> Status:
    (answers,) = await sending.send([one], attempt(one.delivery.notice.key))
    found = answers[-1]
    return found.status  # type: ignore[union-attr]


def said(smsc: Smsc, phone: str, text: str, **fields: object) -> None:
    """An SMS from a phone to the number that we send from."""
    smsc.order(
        deliver={
            "source_addr": phone.removeprefix("+"),
            "source_addr_ton": 1,
            "destination_addr": "886900000001",
            "dest_addr_ton": 1,
            "short_message": {"message": text},
            **fields,
        }
    )
