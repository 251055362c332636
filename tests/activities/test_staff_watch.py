"""The staff is told what is wrong with messages, through the real Apprise, on both databases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities.alerts import pending_alerts
from activities.attempt import Attempt, Item
from activities.database import reading, writing
from activities.handing_over import HandingOver
from activities.ledger import tell_of_shortage
from activities.ledger_accounts import topup
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.message_rows import MESSAGES, Closing
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.rendering import Renderer, RenderError
from activities.staff import StaffWatch
from activities.standing import Standings
from activities.template_samples import sample
from activities.troubles import troubles
from channels.registry import Channels
from channels.staff import StaffAlerts
from models.agenda import Delivery
from models.credits import Pool
from models.merchant import Merchant, SmsProvider, SmsSettings
from models.notices import Kind
from models.tables.messages import MessageStatus
from tests.activities.test_upkeep import tell, upkeep_of
from tests.databases import listen
from tests.providers import FakeStaff, FakeTwSms, MailSink, http_error
from tests.requirements import requirement
from tests.shops import PAYING

SHOP = replace(PAYING, sms=SmsSettings(SmsProvider.TWSMS))
MINUTE = timedelta(minutes=1)
PHONE = "+886912345678"


@dataclass
class Clock:
    """Real time, and so much later."""

    later: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.later


@dataclass
class House:
    """A shop, its messages, and the staff that watches them."""

    engine: AsyncEngine
    staff: FakeStaff
    clock: Clock
    watch: StaffWatch

    @property
    def told(self) -> list[str]:
        return [one.message for one in self.staff.accepted]

    async def look(self, minutes: int = 1, again: int = 1) -> list[str]:
        """What the staff is told by so many looks, so many minutes apart."""
        before = len(self.told)
        for _ in range(again):
            self.clock.later += minutes * MINUTE
            await ActivityEnvironment().run(self.watch.tell_staff)
        return self.told[before:]

    async def send(self, environment: dict[str, str], renderer: Renderer | None = None, key: str = "") -> str:
        """An SMS of an order, once through the pipeline; answers its notice key."""
        one = sample(Kind.ORDER_PLACED, merchant=SHOP)
        async with Channels.from_environment(environment) as channels:
            log, now = MessageLog(self.engine), self.clock()
            handing_over = HandingOver(log, channels, Rates(self.engine))
            pipeline = Pipeline(log, Standings(self.engine), renderer or Renderer(), handing_over)
            notice = replace(one.notice, key=key or str(uuid4()), channels=("sms",))
            notice = replace(notice, due=now, not_after=now + timedelta(days=1))
            item = Item(Delivery(notice, one.content, SHOP.id, "booking:lumi:b1"), "sms", SHOP)
            await pipeline.send([item], Attempt(str(uuid4()), now, timedelta))
        return notice.key

    async def close(self, status: MessageStatus, count: int = 1) -> None:
        """Messages that came to such an end just now."""
        one, now = sample(Kind.ORDER_PLACED, merchant=SHOP), self.clock()
        deliveries = [
            Delivery(replace(one.notice, key=str(uuid4())), one.content, SHOP.id, "booking:lumi:b1")
            for _ in range(count)
        ]
        await MessageLog(self.engine).close([Closing(d, "sms", status, "why", now) for d in deliveries])


@asynccontextmanager
async def house_of(engine: AsyncEngine, shop: Merchant = SHOP) -> AsyncIterator[House]:
    async with FakeStaff() as staff, Channels.from_environment(staff.environment) as channels:
        merchants, clock = Merchants(engine), Clock()
        await merchants.apply(shop, clock())
        watch = StaffWatch(engine, merchants, StaffAlerts(channels.credentials), clock)
        yield House(engine, staff, clock, watch)


@pytest.fixture
async def house(engine: AsyncEngine) -> AsyncIterator[House]:
    async with house_of(engine) as made:
        yield made


async def test_messages_that_wait_for_a_provider_are_told_of_once(house: House) -> None:
    """Its login is not set: with how many, one of them, the variable, and nothing of the reader's."""
    for _ in range(3):
        await house.send({})
    assert await house.look(1, again=5) == [], "they may go yet"
    (said,) = await house.look(1, again=30)
    assert said.startswith(
        "Carillon, lumi: messages wait for twsms: 3 messages (such as 1) of lumi cannot go"
    )
    assert said.endswith("Set CARILLON_TWSMS_USERNAME. See `carillon explain 1`")
    assert PHONE not in said
    assert "Mei" not in said
    async with FakeTwSms() as twsms:
        for row in await MessageLog(house.engine).messages():
            await house.send(twsms.environment, key=row["notice_key"])
    assert await house.look(1, again=20) == []
    await house.send({})
    assert len(await house.look(1, again=12)) == 1, "it was well in between"


async def test_what_waits_for_nobody_any_more_is_not_told_of_for_ever(house: House) -> None:
    """A day past its last moment who sends it would have settled it: there is nothing left to do."""
    await house.send({})
    async with reading(house.engine) as connection:
        last = house.clock() + timedelta(days=1)
        assert [one.count for one in await troubles(connection, last, last + timedelta(hours=23))] == [1]
        assert await troubles(connection, last, last + timedelta(hours=25)) == []


async def test_a_provider_that_is_down_or_refuses_the_login_is_told_of(house: House) -> None:
    """Whatever it says is no part of the alert: that may quote a phone."""
    async with FakeTwSms() as twsms:
        twsms.script(http_error(503), twsms.refusal("00010"))
        for _ in range(2):
            await house.send(twsms.environment)
    (said,) = await house.look(2, again=8)
    assert "2 messages (such as 1) of lumi cannot go" in said


async def test_a_pace_that_a_provider_sets_is_no_trouble(house: House) -> None:
    """Those that wait for their turn are many, and all is well."""
    await house.send({})
    async with writing(house.engine) as connection:
        said = {"reason": "twsms takes only so many messages a second"}
        await connection.execute(MESSAGES.update().values(**said))
    assert await house.look(2, again=10) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [(MessageStatus.MISSED, "messages were missed"), (MessageStatus.UNCERTAIN, "messages are uncertain")],
)
async def test_what_was_missed_or_is_uncertain_since_the_last_look_is_told_of(
    house: House, status: MessageStatus, words: str
) -> None:
    """Once; what nobody looked at for hours as well, and what is old not."""
    await house.close(status)
    house.clock.later = timedelta(hours=1)
    assert await house.look() == [], "what was before the first look is old"
    await house.close(status, count=2)
    (said,) = await house.look(1, again=10)
    assert said.startswith(f"Carillon, lumi: {words}: 2 messages (such as 2) of lumi")
    await house.look(1, again=20)
    await house.close(status)
    assert len(await house.look(180)) == 1, "nobody looked for three hours"


class Broken(Renderer):
    """A template that lacks a value."""

    def render(self, *_: Any, **__: Any) -> Any:
        raise RenderError("order_placed/en/sms: 'naem' is not known")


async def test_a_template_that_cannot_be_rendered_is_told_of_and_its_message_is_in_the_history(
    house: House,
) -> None:
    """It waits with the reason; mended, it goes."""
    key = await house.send({}, Broken())
    (row,) = await MessageLog(house.engine).messages()
    assert (row["status"], row["rule"]) == ("waiting", "template")
    assert "'naem' is not known" in row["reason"]
    (said,) = await house.look(3, again=4)
    assert said.startswith("Carillon, lumi: a template cannot be rendered: 1 message (such as 1) of lumi")
    async with FakeTwSms() as twsms:
        await house.send(twsms.environment, key=key)
        await house.send(twsms.environment, Broken(), key=key)
    (row,) = await MessageLog(house.engine).messages()
    assert row["status"] == "sent", "and what is sent stays so, whatever becomes of its template"


@requirement("WACA-29a", "WACA-29b")
async def test_the_staff_hears_of_points_below_both_thresholds(engine: AsyncEngine) -> None:
    """Each once."""
    async with house_of(engine, PAYING) as house:
        for bought in ("84", "-"):
            async with writing(engine) as connection:
                if bought != "-":
                    await topup(connection, PAYING, Pool.SMS, Decimal(bought), bought, house.clock())
                else:
                    await connection.execute(
                        text("UPDATE credit_accounts SET balance = 42000 WHERE pool = 'sms'")
                    )
            (said,) = await house.look(1, again=5)
            assert ("run low" in said) is (bought == "84")
        assert "domestic messages. See `carillon credits show lumi`" in said


@requirement("WACA-29b")
async def test_a_merchant_without_an_address_is_not_forgotten(engine: AsyncEngine) -> None:
    """The email of its shortage is refused: the staff is told, who can write the address down."""
    nobody = replace(PAYING, email="")
    async with house_of(engine, nobody) as house, MailSink() as sink:
        await house.look()
        async with writing(engine) as connection:
            await tell_of_shortage(connection, nobody, "m1", house.clock())
            assert len(await pending_alerts(connection)) == 1
        async with upkeep_of(engine, sink.environment) as upkeep:
            assert await tell(upkeep) == 1
        said = await house.look(1, again=3)
    assert any("nearly used up" in one for one in said)
    assert any("could not be told by email: 1 message" in one for one in said)
    assert len(said) == 2
    assert sink.mails == []


async def test_a_service_of_the_staff_that_fails_is_tried_again_later(house: House) -> None:
    """In some minutes, and not every minute; also when what was missed is not seen any more by then."""
    await house.look()
    house.staff.script(http_error(500), http_error(500))
    await house.close(MessageStatus.MISSED)
    assert await house.look(1, again=10) == []
    (said,) = await house.look(1, again=30)
    assert "1 message (such as 1)" in said


async def test_where_nobody_is_named_all_is_well(
    engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """The words are in the log of the process."""
    async with house_of(engine) as house, Channels.from_environment({}) as nobody:
        house.watch = StaffWatch(engine, Merchants(engine), StaffAlerts(nobody.credentials), house.clock)
        await house.look()
        await house.close(MessageStatus.MISSED)
        assert await house.look(1, again=3) == []
    assert caplog.text.count("messages were missed") == 1


async def test_a_look_reads_only_what_is_in_trouble(house: House) -> None:
    """By its index, among however many that were sent: the whole log is never read."""
    asked: list[tuple[str, Any]] = []
    listen(house.engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
    now = house.clock()
    async with reading(house.engine) as connection:
        await troubles(connection, now - MINUTE, now)
        statements = [(sql, values) for sql, values in asked if "FROM messages" in sql]
        assert len(statements) == 3
        if house.engine.dialect.name == "postgresql":
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for sql, values in statements:
            explain = "EXPLAIN QUERY PLAN " if house.engine.dialect.name == "sqlite" else "EXPLAIN "
            plan = str((await connection.exec_driver_sql(explain + sql, values)).all())
            assert "ix_messages_troubled" in plan, plan
