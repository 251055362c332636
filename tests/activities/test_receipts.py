"""What providers say later of a message, on both databases: settled once, refunded, suppressed, asked for."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.consents import Consents
from activities.database import reading, writing
from activities.ledger import Want
from activities.ledger_accounts import balance, topup
from activities.message_log import MessageLog
from activities.message_rows import MESSAGES, Left
from activities.receipts import ASKS, EARLY, PAGE, Polled, Receipts, after, next_ask
from channels.base import DeliveryState, Message, Word
from channels.callbacks import callback
from channels.registry import Channels
from models.credits import Pool
from models.ids import message_reference
from models.tables.messages import MessageStatus
from tests.activities.test_message_log import DELIVERY, NOTICE, NOW, PAYING, asked
from tests.providers import FakeTwilio, FakeTwSms, http_error, lost, slow
from tests.smsc.process import Smsc
from worker import taking

DELIVERED, UNDELIVERED, PENDING = DeliveryState.DELIVERED, DeliveryState.UNDELIVERED, DeliveryState.PENDING
ADAS_PHONE = "+886912345678"
DAY = timedelta(days=1)
MESSAGE = Message("n1", "lumi", ADAS_PHONE, "Your visit is tomorrow.")


@asynccontextmanager
async def receipts_of(engine: AsyncEngine, **environment: str) -> AsyncIterator[Receipts]:
    async with Channels.from_environment(environment) as channels:
        yield Receipts(engine, channels)


@pytest.fixture
async def receipts(engine: AsyncEngine) -> AsyncIterator[Receipts]:
    async with receipts_of(engine) as made:
        yield made


async def sent(engine: AsyncEngine, provider_id: str = "m-1", provider: str = "twsms", **changes: Any) -> str:
    """A message that was sent, with a key of its own; asked about from now on."""
    key, log = f"notice {provider_id}", MessageLog(engine)
    delivery = replace(DELIVERY, notice=replace(NOTICE, key=key))
    want = changes.pop("want", None)
    (claim,) = await log.claim([asked("t", "sms", delivery=delivery, merchant=PAYING, want=want)])
    assert claim.outcome is None
    left = Left(claim, "lumi", MessageStatus.SENT, NOW, provider=provider, provider_id=provider_id)
    await log.leave([replace(left, **{"ask_at": NOW, "address": ADAS_PHONE, **changes})])
    return key


async def row_of(engine: AsyncEngine, provider_id: str = "m-1") -> Mapping[str, Any]:
    async with reading(engine) as connection:
        query = select(MESSAGES).where(MESSAGES.c.provider_id == provider_id)
        return dict((await connection.execute(query)).mappings().one())


async def status_of(engine: AsyncEngine, provider_id: str = "m-1") -> str:
    return str((await row_of(engine, provider_id))["status"])


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ([DELIVERED], "delivered"),
        ([UNDELIVERED], "undelivered"),
        ([PENDING], "sent"),
        ([DeliveryState.UNKNOWN], "sent"),
        ([DELIVERED, DELIVERED], "delivered"),
        ([DELIVERED, PENDING], "delivered"),
        ([UNDELIVERED, DELIVERED], "delivered"),
        ([DELIVERED, UNDELIVERED], "delivered"),
    ],
)
async def test_a_sent_message_is_settled_by_the_word_of_its_provider(
    engine: AsyncEngine, receipts: Receipts, words: list[DeliveryState], status: str
) -> None:
    """Told twice or out of order it is settled once; what has arrived has arrived."""
    await sent(engine)
    assert all([await receipts.told("twsms", "m-1", word, NOW) for word in words])
    row = await row_of(engine)
    assert row["status"] == status
    assert (row["told_at"] is None) == (row["ask_at"] is not None) == (status == "sent")
    assert row["settled_at"] is not None, "when it was sent stays on record"


@given(st.permutations([DELIVERED, UNDELIVERED, PENDING, DeliveryState.UNKNOWN]))
def test_in_whatever_order_the_words_come_the_end_is_the_same(words: list[DeliveryState]) -> None:
    """With each of them told, it is delivered."""
    status: str = MessageStatus.SENT
    for word in words * 2:
        status = after(status, word) or status
    assert status == MessageStatus.DELIVERED


@pytest.mark.parametrize("status", set(MessageStatus) - {MessageStatus.SENT, MessageStatus.UNDELIVERED})
def test_what_was_not_sent_no_word_can_settle(status: MessageStatus) -> None:
    """Nor what has its last word."""
    assert all(after(status, state) is None for state in DeliveryState)


async def test_a_word_that_comes_before_the_note_of_its_message_is_not_lost(
    engine: AsyncEngine, receipts: Receipts
) -> None:
    """It is kept for a day and taken as soon as the message is noted as sent; whoever told may tell again."""
    assert not await receipts.told("smpp", "m-1", UNDELIVERED, NOW)
    assert not await receipts.told("smpp", "m-1", DELIVERED, NOW)
    assert not await receipts.told("smpp", "m-1", UNDELIVERED, NOW)
    assert not await receipts.told("smpp", "", DELIVERED, NOW)
    assert not await receipts.told("smpp", "of somebody else", DELIVERED, NOW)
    assert await receipts.poll(NOW) == Polled()
    await sent(engine, provider="smpp", ask_at=None)
    assert await receipts.poll(NOW) == Polled(settled=1)
    assert await status_of(engine) == "delivered"
    await receipts.poll(NOW + DAY + timedelta(seconds=1))
    async with reading(engine) as connection:
        assert (await connection.execute(select(func.count()).select_from(EARLY))).scalar_one() == 0


async def paid(engine: AsyncEngine, **changes: Any) -> None:
    """Ten points, and a message that took 0.85 of them."""
    async with writing(engine) as connection:
        await topup(connection, PAYING, Pool.SMS, Decimal(10), "top-up", NOW)
    want = Want(message_reference("notice m-1", "sms"), Decimal("0.85"))
    await sent(engine, want=want, **changes)


@pytest.mark.parametrize(
    ("refunds", "doubtful", "left"), [("yes", False, "10"), ("no", False, "9.15"), ("yes", True, "9.15")]
)
async def test_what_did_not_arrive_is_refunded_where_the_provider_refunds(
    engine: AsyncEngine, refunds: str, doubtful: bool, left: str
) -> None:
    """Once, however often it is told; and not for what may have gone twice."""
    await paid(engine, doubtful=doubtful)
    async with receipts_of(engine, CARILLON_TWSMS_REFUNDS=refunds) as receipts:
        for _ in range(2):
            assert await receipts.told("twsms", "m-1", UNDELIVERED, NOW)
    async with reading(engine) as connection:
        assert (await balance(connection, "lumi")).sms == Decimal(left)


async def test_no_provider_is_known_to_refund(receipts: Receipts, engine: AsyncEngine) -> None:
    """TwSMS, Twilio and an SMSC charge for the hand-over, unless a setting says that they give back."""
    await paid(engine)
    assert await receipts.told("twsms", "m-1", UNDELIVERED, NOW)
    async with reading(engine) as connection:
        assert (await balance(connection, "lumi")).sms == Decimal("9.15")


async def test_a_number_that_does_not_exist_is_written_to_no_more(
    engine: AsyncEngine, receipts: Receipts
) -> None:
    """With the provider's reason; a phone that is only out of reach is written to again."""
    await sent(engine)
    await sent(engine, "m-2")
    assert await receipts.told("twsms", "m-2", UNDELIVERED, NOW)
    assert await Consents(engine).suppressions() == []
    assert await receipts.told("twsms", "m-1", UNDELIVERED, NOW, "TwSMS MOBERROR: the mobile number is wrong")
    (suppressed,) = await Consents(engine).suppressions(merchant_id="lumi")
    assert (suppressed["address"], suppressed["channel"], suppressed["source"]) == (
        ADAS_PHONE,
        "sms",
        "twsms",
    )
    assert "MOBERROR" in suppressed["reason"]
    assert "MOBERROR" in (await row_of(engine))["reason"]


async def test_many_words_at_one_time_settle_each_its_own(engine: AsyncEngine, receipts: Receipts) -> None:
    """Two processes told the same hundred words at once: each message has its word, nobody fails."""
    for number in range(100):
        await sent(engine, f"m-{number:03}")
    async with receipts_of(engine) as other:
        words = [
            taker.told("twsms", f"m-{number:03}", DELIVERED if number % 2 else UNDELIVERED, NOW)
            for number in range(100)
            for taker in (receipts, other)
        ]
        assert all(await asyncio.gather(*words))
    rows = await MessageLog(engine).messages()
    assert [row["status"] for row in reversed(rows)] == ["undelivered", "delivered"] * 50


async def test_providers_are_asked_what_became_of_messages(engine: AsyncEngine) -> None:
    """TwSMS and Twilio, each about its own; what is pending is asked about again, after twice as long."""
    async with FakeTwSms() as twsms, FakeTwilio() as twilio:
        await hand_over(twsms, "twsms", engine, {"UNDELIV": "m-1", "ACCEPTD": "m-2", "MOBERROR": "m-3"})
        await hand_over(twilio, "twilio", engine, {"delivered": "m-4", "queued": "m-5"})
        async with receipts_of(engine, **twsms.environment, **twilio.environment) as receipts:
            assert await receipts.poll(NOW) == Polled(asked=5, settled=3)
            assert await receipts.poll(NOW) == Polled(), "none is asked about twice at once"
            waits = timedelta(minutes=2)
            assert await receipts.poll(NOW + waits - timedelta(seconds=1)) == Polled()
            assert await receipts.poll(NOW + waits) == Polled(asked=2)
    rows = {row["notice_key"]: row["status"] for row in await MessageLog(engine).messages()}
    assert [rows[f"n m-{n}"] for n in range(1, 6)] == [
        "undelivered",
        "sent",
        "undelivered",
        "delivered",
        "sent",
    ]
    assert [one["address"] for one in await Consents(engine).suppressions()] == [ADAS_PHONE]


async def hand_over(
    fake: FakeTwSms | FakeTwilio, provider: str, engine: AsyncEngine, states: Mapping[str, str]
) -> None:
    """Messages that the fake took, and what it will say of them."""
    async with Channels.from_environment(fake.environment) as channels:
        for state, key in states.items():
            receipt = await channels.get("sms", provider).send(MESSAGE)
            fake.states[receipt.provider_id] = state
            await sent(engine, receipt.provider_id, provider)
            async with writing(engine) as connection:
                named = MESSAGES.c.provider_id == receipt.provider_id
                await connection.execute(
                    update(MESSAGES).where(named).values(notice_key=f"n {key}", address=ADAS_PHONE)
                )


async def test_a_provider_that_is_down_holds_up_no_other(engine: AsyncEngine) -> None:
    """Its messages are asked about later."""
    async with FakeTwSms() as twsms, FakeTwilio() as twilio:
        await hand_over(twsms, "twsms", engine, {"DELIVRD": "m-1"})
        await hand_over(twilio, "twilio", engine, {"delivered": "m-2"})
        twsms.script(http_error(503), lost())
        async with receipts_of(engine, **twsms.environment, **twilio.environment) as receipts:
            assert await receipts.poll(NOW) == Polled(asked=2, settled=1, failed=1)
            later = NOW + timedelta(minutes=5)
            assert await receipts.poll(later) == Polled(asked=1, failed=1)
            assert await receipts.poll(later + timedelta(minutes=5)) == Polled(asked=1, settled=1)
    assert {row["status"] for row in await MessageLog(engine).messages()} == {"delivered"}


async def test_what_can_never_be_asked_is_asked_ever_more_seldom_and_then_no_more(
    engine: AsyncEngine,
) -> None:
    """TwSMS calls the number wrong, or the login is missing: as with a pending one, for some 72 hours."""
    async with FakeTwSms() as twsms:
        await hand_over(twsms, "twsms", engine, {"DELIVRD": "m-1"})
        twsms.script(*[twsms.refusal("00100")] * (ASKS + 1))
        async with receipts_of(engine, **twsms.environment) as receipts:
            refusals = await asked_about(receipts)
        await sent(engine, "m-2")
        async with receipts_of(engine) as without_login:
            nobody = await asked_about(without_login)
    for asks in (refusals, nobody):
        assert len(asks) == ASKS
        waits = [later - earlier for earlier, later in pairwise(asks)]
        assert waits == sorted(waits)
        assert timedelta(hours=68) <= asks[-1] - NOW <= timedelta(hours=76)
    rows = await MessageLog(engine).messages()
    assert [(row["status"], row["ask_at"]) for row in rows] == [("sent", None)] * 2


async def asked_about(receipts: Receipts) -> list[datetime]:
    """When the one message was asked about in a week of polls, each of which failed."""
    asks, at = [], NOW
    while at < NOW + 7 * DAY:
        polled = await receipts.poll(at)
        assert polled.failed == polled.asked <= 1
        asks += [at] if polled.asked else []
        at += timedelta(minutes=1) if at < NOW + timedelta(hours=1) else timedelta(minutes=15)
    return asks


async def test_a_message_that_was_sent_long_ago_is_asked_about_once_more(engine: AsyncEngine) -> None:
    """Nobody worked for days: no provider knows more than after 72 hours."""
    async with FakeTwSms() as twsms:
        await sent(engine)
        async with receipts_of(engine, **twsms.environment) as receipts:
            assert (await receipts.poll(NOW + 4 * DAY)).asked == 1
            assert (await receipts.poll(NOW + 30 * DAY)).asked == 0


async def test_an_account_that_fails_starves_no_other(engine: AsyncEngine) -> None:
    """Two pages of one that is silent wait longest: the other is asked in the next page, not after both."""
    async with FakeTwSms() as twsms, FakeTwilio() as twilio:
        for number in range(2 * PAGE):
            await sent(engine, f"m-{number:03}", ask_at=NOW - timedelta(hours=1))
        await hand_over(twilio, "twilio", engine, {"delivered": "m-good"})
        twsms.script(*[http_error(503)] * PAGE)
        async with receipts_of(engine, **twsms.environment, **twilio.environment) as receipts:
            assert await receipts.poll(NOW) == Polled(asked=PAGE, failed=PAGE)
            assert await receipts.poll(NOW) == Polled(asked=1, settled=1)
            later = NOW + timedelta(minutes=5)
            assert (await receipts.poll(later)).asked == PAGE, "the rest of it, once it has been left alone"


async def test_a_page_is_asked_about_side_by_side_those_that_wait_longest_first(engine: AsyncEngine) -> None:
    """Bounded, and in time: twenty at once, at a provider that thinks for a moment."""
    async with FakeTwSms() as twsms:
        for number in range(PAGE + 5):
            await sent(engine, f"m-{number:03}", ask_at=NOW - timedelta(seconds=number))
        twsms.script(*[slow(0.1)] * PAGE)
        async with receipts_of(engine, **twsms.environment) as receipts:
            started = asyncio.get_running_loop().time()
            assert await receipts.poll(NOW) == Polled(asked=PAGE)
            assert asyncio.get_running_loop().time() - started < PAGE * 0.1 / 4
    left = [row["provider_id"] for row in await MessageLog(engine).messages(limit=999) if not row["asks"]]
    assert sorted(left) == [f"m-{number:03}" for number in range(5)]


def test_asking_goes_on_for_three_days_and_ever_more_seldom() -> None:
    """After one minute, two, four ...; in the end every four hours."""
    waits = [wait for asks in range(ASKS + 3) if (wait := next_ask(asks)) is not None]
    assert waits == sorted(waits)
    assert waits[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert timedelta(hours=68) <= sum(waits, timedelta(0)) <= timedelta(hours=74)


async def test_an_smsc_tells_and_is_listened_to_while_a_word_is_outstanding(engine: AsyncEngine) -> None:
    """A process that has nothing to send binds to it, and what it tells, before the note or after, counts."""
    receipts: list[Receipts] = []
    async with (
        Smsc.running() as smsc,
        Channels.from_environment(smsc.environment, on_receipt=taking(lambda: receipts[0])) as channels,
    ):
        receipts.append(Receipts(engine, channels))
        sms = channels.get("sms", "smpp")
        handed = [await sms.send(replace(MESSAGE, key=key)) for key in ("n1", "n2")]
        smsc.receipt(smsc.submitted[0]["id"], "UNDELIV")
        assert (await smsc.heard("deliver_sm_resp"))["status"] == 0, "it came before the note, and is kept"
        for receipt in handed:
            await sent(engine, receipt.provider_id, "smpp")
        assert await receipts[0].poll(NOW) == Polled(asked=1, settled=1)
        async with Channels.from_environment(smsc.environment) as deaf:
            assert (await Receipts(engine, deaf).poll(NOW + DAY)).asked == 1
        smsc.receipt(smsc.submitted[1]["id"], "DELIVRD")
        assert (await smsc.heard("deliver_sm_resp", 2))["status"] == 0
    states = [await status_of(engine, receipt.provider_id) for receipt in handed]
    assert states == ["undelivered", "delivered"]


@pytest.mark.parametrize(
    ("provider", "form", "word"),
    [
        ("twilio", {"MessageSid": "SM1", "MessageStatus": "delivered"}, Word("SM1", DELIVERED)),
        (
            "twilio",
            {"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "30005"},
            Word("SM1", UNDELIVERED, "Twilio 30005: there is no such number"),
        ),
        (
            "twilio",
            {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30003"},
            Word("SM1", UNDELIVERED),
        ),
        (
            "twilio",
            {"MessageSid": "SM1", "MessageStatus": "failed", "ErrorCode": "21610"},
            Word("SM1", UNDELIVERED, "answered STOP"),
        ),
        ("twsms", {"msgid": "265", "statustext": "DELIVRD"}, Word("265", DELIVERED)),
        (
            "twsms",
            {"msgid": "265", "statustext": "MOBERROR"},
            Word("265", UNDELIVERED, "TwSMS MOBERROR: the mobile number is wrong"),
        ),
        ("twsms", {"a": "b"}, Word("", DeliveryState.UNKNOWN)),
    ],
)
def test_what_a_provider_calls_us_with_is_read_in_one_way(
    provider: str, form: Mapping[str, str], word: Word
) -> None:
    """Whoever it is: which message, what became of it, and whether its number exists."""
    assert callback(provider, form) == word
