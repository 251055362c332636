"""Merchants are told once that their points run low, whatever happens on the way; on both databases."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities.alerts import alerts_done, banners, pending_alerts
from activities.attempt import Attempt, Item
from activities.database import reading, writing
from activities.handing_over import HandingOver
from activities.ledger import Want, reserve
from activities.ledger_accounts import topup
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.receipts import PAGE, Polled, Receipts
from activities.rendering import Renderer
from activities.standing import Standings
from activities.template_samples import sample
from activities.upkeep import Upkeep
from channels.registry import Channels
from models.agenda import ChannelOutcome, Delivery
from models.credits import Pool
from models.merchant import Merchant
from models.notices import Kind
from tests.activities.test_receipts import sent
from tests.providers import FakeTwSms, MailSink
from tests.requirements import requirement
from tests.shops import PAYING


def now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def upkeep_of(engine: AsyncEngine, environment: dict[str, str]) -> AsyncIterator[Upkeep]:
    """Upkeep as a worker does it."""
    async with Channels.from_environment(environment) as channels:
        log, merchants = MessageLog(engine), Merchants(engine)
        handing_over = HandingOver(log, channels, Rates(engine))
        pipeline = Pipeline(log, Standings(engine), Renderer(), handing_over)
        yield Upkeep(engine, merchants, pipeline, Receipts(engine, channels))


@pytest.fixture
async def sink() -> AsyncIterator[MailSink]:
    async with MailSink() as mail_sink:
        yield mail_sink


async def points(engine: AsyncEngine, amount: str, merchant: Merchant = PAYING) -> None:
    async with writing(engine) as connection:
        await topup(connection, merchant, Pool.SMS, Decimal(amount), f"{amount} at {now()}", now())


async def spend(engine: AsyncEngine, amount: str, merchant: Merchant = PAYING, at: Any = None) -> None:
    """A message that costs so much."""
    async with writing(engine) as connection:
        moment = at or now()
        await reserve(connection, merchant, [Want(f"m {now()}", Decimal(amount))], moment)


async def tell(upkeep: Upkeep) -> int:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=now(), workflow_run_id=str(uuid4()))
    answer: int = await environment.run(upkeep.send_alerts)
    return answer


@requirement("WACA-29b", "WACA-29c")
async def test_a_merchant_is_told_once_that_its_points_run_low(engine: AsyncEngine, sink: MailSink) -> None:
    """Below fifty messages, once; again only after a top-up has ended the shortage."""
    await Merchants(engine).apply(PAYING, now())
    await points(engine, "43.35")
    async with upkeep_of(engine, sink.environment) as upkeep:
        await spend(engine, "0.85")
        assert await tell(upkeep) == 0, "fifty are left: that is no shortage"
        await spend(engine, "0.85")
        assert await tell(upkeep) == 1
        await spend(engine, "0.85")
        assert await tell(upkeep) == 0
        await points(engine, "100")
        await spend(engine, "99")
        assert await tell(upkeep) == 1
    assert [mail["To"].addresses[0].addr_spec for mail in sink.mails] == ["owner@lumi.example"] * 2
    assert all("簡訊點數即將使用完畢" in mail["Subject"] for mail in sink.mails)


@requirement("WACA-29b", "WACA-29c")
async def test_a_merchant_that_begins_with_nothing_is_told_when_its_messages_are_refused(
    engine: AsyncEngine, sink: MailSink
) -> None:
    """Points are switched on, and none is converted yet: one email, however many messages that refuses.

    After a top-up the next shortage is told again.
    """
    await Merchants(engine).apply(PAYING, now())
    async with upkeep_of(engine, sink.environment) as upkeep:
        for _ in range(2):
            answers = await refused_sms(engine, sink.environment)
            assert ["0 left" in answer.reason for answer in answers] == [True, True]
        assert await tell(upkeep) == 1
        assert await tell(upkeep) == 0
        await points(engine, "100")
        await spend(engine, "100")
        assert await tell(upkeep) == 1
        await refused_sms(engine, sink.environment)
        assert await tell(upkeep) == 0
    assert len(sink.mails) == 2
    assert "0" in sink.mails[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]


async def refused_sms(engine: AsyncEngine, environment: dict[str, str]) -> list[ChannelOutcome]:
    """Two SMS of a merchant that cannot pay for them, as the gate answers them."""
    one = sample(Kind.ORDER_PLACED, merchant=PAYING)
    async with Channels.from_environment(environment) as channels:
        log = MessageLog(engine)
        pipeline = Pipeline(log, Standings(engine), Renderer(), HandingOver(log, channels, Rates(engine)))
        notice = replace(one.notice, channels=("sms",), due=now(), not_after=now() + timedelta(hours=1))
        notices = [replace(notice, key=str(uuid4())) for _ in range(2)]
        deliveries = [Delivery(notice, one.content, PAYING.id, "booking:lumi:b1") for notice in notices]
        items = [Item(delivery, "sms", PAYING) for delivery in deliveries]
        answers = await pipeline.send(items, Attempt(str(uuid4()), now(), timedelta))
    return [answer for link in answers for answer in link if isinstance(answer, ChannelOutcome)]


@requirement("WACA-29b")
async def test_an_alert_that_was_sent_is_not_sent_again_after_a_crash(
    engine: AsyncEngine, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died between the mail and its note: the log knows, and the note is made up for."""
    await Merchants(engine).apply(PAYING, now())
    await points(engine, "10")
    await spend(engine, "1")

    async def dies(*_: Any) -> None:
        raise OSError("the power went")

    async with upkeep_of(engine, sink.environment) as upkeep:
        with monkeypatch.context() as patch:
            patch.setattr("activities.upkeep.alerts_done", dies)
            with pytest.raises(OSError, match="the power went"):
                await tell(upkeep)
        assert await tell(upkeep) == 1
        assert await tell(upkeep) == 0
    assert len(sink.mails) == 1


async def test_two_workers_that_tell_at_once_tell_one_merchant_once(
    engine: AsyncEngine, sink: MailSink
) -> None:
    """Two runs side by side, which the schedule does not start: at worst two mails with one Message-ID."""
    shops = [replace(PAYING, id=f"shop-{number}", email=f"{number}@shops.example") for number in range(5)]
    for shop in shops:
        await Merchants(engine).apply(shop, now())
        await points(engine, "10", shop)
        await spend(engine, "1", shop)
    async with upkeep_of(engine, sink.environment) as one, upkeep_of(engine, sink.environment) as two:
        await asyncio.gather(tell(one), tell(two))
        assert await tell(one) == 0
    assert len({mail["Message-ID"] for mail in sink.mails}) == 5
    assert {mail["To"].addresses[0].addr_spec for mail in sink.mails} == {shop.email for shop in shops}


async def test_an_alert_waits_while_the_mail_server_is_down(engine: AsyncEngine, sink: MailSink) -> None:
    """It goes with a later run, and what cannot be told to anybody is on record."""
    nobody = replace(PAYING, id="nobody", email="")
    for shop in (PAYING, nobody):
        await Merchants(engine).apply(shop, now())
        await points(engine, "10", shop)
        await spend(engine, "1", shop)
    nowhere = {"CARILLON_SMTP_HOST": "127.0.0.1", "CARILLON_SMTP_PORT": "1"}
    async with upkeep_of(engine, nowhere) as upkeep:
        assert await tell(upkeep) == 1
    (refused,) = [row for row in await MessageLog(engine).messages() if row["merchant_id"] == "nobody"]
    assert (refused["status"], refused["rule"]) == ("refused", "address")
    async with upkeep_of(engine, sink.environment) as upkeep:
        assert await tell(upkeep) == 1
    assert len(sink.mails) == 1


async def test_what_was_not_told_for_a_day_is_missed(engine: AsyncEngine, sink: MailSink) -> None:
    """Nobody is woken by old news; of a merchant that is gone nothing stays pending."""
    gone = replace(PAYING, id="gone")
    await Merchants(engine).apply(PAYING, now())
    for shop in (PAYING, gone):
        await points(engine, "10", shop)
        await spend(engine, "1", shop, at=now() - timedelta(hours=25))
    async with upkeep_of(engine, sink.environment) as upkeep:
        assert await tell(upkeep) == 2
    assert sink.mails == []
    async with reading(engine) as connection:
        assert await pending_alerts(connection) == []
    assert [row["status"] for row in await MessageLog(engine).messages()] == ["missed"]


async def test_an_alert_is_done_once(engine: AsyncEngine) -> None:
    """Marking it again changes nothing."""
    await points(engine, "10")
    await spend(engine, "1")
    async with writing(engine) as connection:
        (alert,) = await pending_alerts(connection)
        await alerts_done(connection, [alert.id, alert.id], now())
        await alerts_done(connection, [alert.id], now())
        assert await pending_alerts(connection) == []


@requirement("WACA-29a", "WACA-29c")
@pytest.mark.parametrize(("amount", "shown"), [("85", False), ("84.99", True), ("0.01", True)])
async def test_everybody_who_looks_is_told_below_a_hundred_messages(
    engine: AsyncEngine, amount: str, shown: bool
) -> None:
    """A hundred exactly is enough; a merchant that is not charged is never told."""
    free = replace(PAYING, id="free", credits=replace(PAYING.credits, enabled=False))
    never = replace(PAYING, id="never")
    await points(engine, amount)
    async with reading(engine) as connection:
        found = await banners(connection, [PAYING, free, never])
        assert await banners(connection, []) == {}
    assert set(found) == ({"lumi", "never"} if shown else {"never"})
    assert "carillon credits convert never" in found["never"]


async def test_all_pages_of_receipts_are_asked_about(engine: AsyncEngine, sink: MailSink) -> None:
    """One run goes on while there is more."""
    async with FakeTwSms() as twsms:
        await asyncio.gather(*(sent(engine, f"m-{number:03}") for number in range(PAGE + 3)))
        async with upkeep_of(engine, {**sink.environment, **twsms.environment}) as upkeep:
            polled: Polled = await ActivityEnvironment().run(upkeep.poll_receipts)
    assert polled == Polled(asked=PAGE + 3)
