"""A route goes on by email where no SMS can go: once, in time, and never where the recipient has said no."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities.attempt import Answer, Attempt, Item, Later
from activities.audience import Chosen
from activities.consents import Consents
from activities.database import reading, writing
from activities.delivery import Deliveries
from activities.explain import explained, found_messages
from activities.handing_over import HandingOver
from activities.ledger_accounts import balance, topup
from activities.members import MEMBERS
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.message_rows import MESSAGES, Asked, Claim, Left
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.rendering import Renderer
from activities.standing import Standings
from activities.waves import Waves
from channels.base import Abilities, Channel, DeliveryError, Message, Receipt
from channels.registry import Channels
from models.agenda import ChannelOutcome, CloseOut, Delivery, Notice, Status
from models.channels import Family
from models.consent import Consent, ConsentGiven, Suppression
from models.credits import CreditPolicy, Pool
from models.member_content import CouponView, MemberContent
from models.merchant import Merchant, PushProvider, SmsProvider, SmsSettings
from models.notices import CATALOGUE, Kind, NoticeClass
from models.people import Person, Role
from models.policy import ClassPolicy, ConsentRule, GatePolicy, Trade
from models.tables.messages import MessageStatus
from models.wave import Wave
from models.wave_state import CloseWave, Counts, Page, PageDone, PageOrder
from tests.requirements import requirement
from tests.waves import EVERYBODY, NOON_IN_TAIPEI, Everybody, enrol, members, wave

NOON = NOON_IN_TAIPEI
DAY = timedelta(days=1)
ADA = Person("Ada", "ada@example.com", "+886912345678", "en", member_id="ada", id="ada")
SHOP = Merchant(
    id="lumi",
    name="Lumi Studio",
    zone="Asia/Taipei",
    locale="en",
    country="TW",
    currency="TWD",
    sms=SmsSettings(SmsProvider.SMARTDOVE),
    gate=GatePolicy(loyalty=ClassPolicy(ConsentRule.OPT_OUT), promotional=ClassPolicy(daily_cap=1)),
)
BARRED = replace(SHOP, country="US", trade=(Trade.TOBACCO,))
COUPON = CouponView("Tea for two", "TEA2", date(2026, 3, 10), date(2026, 4, 30))


@dataclass
class Fake:
    """A provider that keeps the addresses of what it takes; `error` is what it answers instead."""

    provider: str
    abilities: Abilities = Abilities()  # noqa: RUF009 - it cannot be changed
    taken: list[str] = field(default_factory=list)
    error: DeliveryError | None = None

    async def send(self, message: Message) -> Receipt:
        if self.error is not None:
            raise self.error
        self.taken.append(message.to)
        return Receipt(self.provider, message.to)

    async def close(self) -> None:
        """Nothing stays open."""


class Shop:
    """A pipeline of one SMS and one mail provider, and what it has written down."""

    def __init__(self, engine: AsyncEngine, log: MessageLog | None = None) -> None:
        self.engine, self.log = engine, log or MessageLog(engine)
        self.sms, self.mail, self.push = Fake("smartdove"), Fake("smtp"), Fake("fcm")
        extra = {fake.provider: cast(Channel, fake) for fake in (self.sms, self.mail, self.push)}
        channels = Channels({}, cast(httpx.AsyncClient, None), extra=extra)
        handing_over = HandingOver(self.log, channels, Rates(engine))
        self.pipeline = Pipeline(self.log, Standings(engine), Renderer(), handing_over)

    async def send(self, notice: Notice, merchant: Merchant = SHOP, at: datetime = NOON) -> list[Answer]:
        """One attempt by all channels of the notice."""
        content = MemberContent("ada", SHOP.zone, coupon=COUPON, title="Tea", body="Tea is ready.")
        delivery = Delivery(notice, content, merchant.id, "coupon:lumi:d1")
        items = [Item(delivery, channel, merchant) for channel in notice.channels]
        answers = await self.pipeline.send(items, Attempt(f"at {at}", at, timedelta))
        return [answer for links in answers for answer in links]

    async def written(self) -> list[tuple[str, str, str]]:
        """Channel, status and rule of every message, the first written first."""
        rows = reversed(await self.log.messages())
        return [(row["channel"], row["status"], row["rule"]) for row in rows]


def a_notice(
    kind: Kind = Kind.COUPON_ISSUED, *channels: str, person: Person = ADA, key: str = "n1"
) -> Notice:
    return Notice(key, kind, Role.MEMBER, person, channels or ("sms",), NOON, NOON + DAY)


def came(answers: Sequence[Answer]) -> list[tuple[str, str]]:
    return [(one.channel, "later" if isinstance(one, Later) else one.status.value) for one in answers]


BY_EMAIL = [("sms", "refused"), ("email", "sent")]
REFUSALS: dict[str, tuple[Merchant, Person]] = {
    "trade_ban": (BARRED, ADA),
    "channel_switch": (replace(SHOP, sms=SmsSettings()), ADA),
    "address": (SHOP, replace(ADA, phone="")),
    "suppression": (SHOP, ADA),
    "suspension": (SHOP, ADA),
    "credits": (replace(SHOP, credits=CreditPolicy(enabled=True)), ADA),
}


@requirement("LS-50", "WACA-39")
@pytest.mark.parametrize(
    "kind", [Kind.COUPON_ISSUED, Kind.COUPON_EXPIRING, Kind.BONUS_BURN, Kind.MEMBER_WELCOME]
)
def test_the_sms_is_the_first_choice_and_email_takes_its_place(kind: Kind) -> None:
    """Where email is not among the notice's channels already; a code goes by no other way."""
    row = CATALOGUE[kind]
    assert row.chain("sms", ("sms",)) == ("sms", "email")
    assert row.chain("sms", ("sms", "push")) == ("sms", "email")
    assert row.chain("sms", ("email", "sms")) == ("sms",)
    assert row.chain("email", ("email",)) == ("email",)
    assert CATALOGUE[Kind.PHONE_CODE].chain("sms", ("sms",)) == ("sms",)
    assert CATALOGUE[Kind.ORDER_PLACED].chain("sms", ("sms",)) == ("sms",)


@requirement("LS-50")
@pytest.mark.parametrize("rule", REFUSALS)
async def test_a_coupon_whose_sms_is_refused_goes_by_email(engine: AsyncEngine, rule: str) -> None:
    """Whatever hinders the SMS: the shop, the number, the points. Once, though it is tried again."""
    merchant, person = REFUSALS[rule]
    shop, consents = Shop(engine), Consents(engine)
    if rule == "suppression":
        async with writing(engine) as connection:
            await consents.suppress(
                [Suppression(SHOP.id, "sms", ADA.phone, "no such number", "smartdove", NOON)], connection
            )
    if rule == "suspension":
        await consents.suspend(SHOP.id, Family.SMS_PLUS, "complaints", NOON)
    for _ in range(2):
        assert came(await shop.send(a_notice(person=person), merchant)) == BY_EMAIL
    assert (shop.sms.taken, shop.mail.taken) == ([], [ADA.email])
    assert await shop.written() == [("sms", "refused", rule), ("email", "sent", "")]


@requirement("LS-01", "LS-50")
async def test_a_promotion_goes_by_email_where_the_shop_has_no_promotional_sms(engine: AsyncEngine) -> None:
    """To who agreed to promotions by email, whatever was said of SMS; a no to email is kept to."""
    gate = GatePolicy(promotional_sms=False, promotional=ClassPolicy(ConsentRule.OPT_IN))
    merchant, shop = replace(SHOP, gate=gate), Shop(engine)
    assert came(await shop.send(a_notice(Kind.PROMOTION), merchant))[-1] == ("email", "refused")
    await _say(engine, "email", Consent.OPTED_IN, NoticeClass.PROMOTIONAL)
    assert came(await shop.send(a_notice(Kind.PROMOTION, key="n2"), merchant)) == BY_EMAIL
    assert shop.mail.taken == [ADA.email]


@requirement("LS-50")
async def test_who_wants_no_sms_gets_no_email_instead_and_a_no_to_email_holds(engine: AsyncEngine) -> None:
    """A no is the recipient's and no matter of the channel. That of the shop is, and email has its own no."""
    shop = Shop(engine)
    await _say(engine, "sms", Consent.OPTED_OUT)
    assert came(await shop.send(a_notice())) == [("sms", "refused")]
    assert came(await shop.send(a_notice(key="n2"), BARRED)) == BY_EMAIL
    await _say(engine, "email", Consent.OPTED_OUT)
    assert came(await shop.send(a_notice(key="n3"), BARRED)) == [("sms", "refused"), ("email", "refused")]
    assert (await shop.written())[-1] == ("email", "refused", "consent")


async def test_who_has_had_enough_promotions_by_sms_gets_none_by_email(engine: AsyncEngine) -> None:
    """The cap is on what one reads, and is not gone round."""
    shop = Shop(engine)
    assert came(await shop.send(a_notice(Kind.PROMOTION))) == [("sms", "sent")]
    assert came(await shop.send(a_notice(Kind.PROMOTION, key="n2"))) == [("sms", "refused")]
    assert shop.mail.taken == []


async def _say(
    engine: AsyncEngine, channel: str, state: Consent, notice_class: NoticeClass = NoticeClass.LOYALTY
) -> None:
    word = ConsentGiven(SHOP.id, channel, notice_class, state, "test", NOON, member_id=ADA.member_id)
    await Consents(engine).record_consent([word])


@requirement("LS-50")
@pytest.mark.parametrize("channels", [("email", "sms"), ("sms", "email")])
async def test_what_goes_by_email_anyway_goes_by_it_once(
    engine: AsyncEngine, channels: tuple[str, ...]
) -> None:
    """The SMS is refused, and that is all that comes of it."""
    shop = Shop(engine)
    answers = came(await shop.send(a_notice(Kind.PROMOTION, *channels), BARRED))
    assert sorted(answers) == [("email", "sent"), ("sms", "refused")]
    assert shop.mail.taken == [ADA.email]


@requirement("WACA-25", "LS-50")
async def test_an_sms_that_fails_for_good_is_paid_back_and_goes_by_email(engine: AsyncEngine) -> None:
    """The points are there again, and the next coupon of that number goes by email at once."""
    merchant = replace(SHOP, credits=CreditPolicy(enabled=True))
    async with writing(engine) as connection:
        await topup(connection, merchant, Pool.SMS, Decimal(10), "first", NOON)
    shop = Shop(engine)
    shop.sms.error = DeliveryError("no such number", permanent=True, dead_address=True)
    assert came(await shop.send(a_notice(), merchant)) == [("sms", "failed"), ("email", "sent")]
    async with reading(engine) as connection:
        assert (await balance(connection, merchant.id)).sms == Decimal(10)
    assert came(await shop.send(a_notice(key="n2"), merchant)) == BY_EMAIL


async def test_an_sms_that_fails_for_now_waits_and_goes_by_no_email(engine: AsyncEngine) -> None:
    """Nor where its last moment passes meanwhile: then it is missed."""
    shop = Shop(engine)
    shop.sms.error = DeliveryError("busy")
    assert came(await shop.send(a_notice())) == [("sms", "later")]
    assert came(await shop.send(a_notice(), at=NOON + DAY + DAY)) == [("sms", "missed")]
    assert shop.mail.taken == []


async def test_the_email_goes_no_later_than_the_sms_might_have(engine: AsyncEngine) -> None:
    """The mail server is down until the last moment has passed: missed, and said so."""
    shop = Shop(engine)
    shop.mail.error = DeliveryError("the server is down")
    assert came(await shop.send(a_notice(), BARRED)) == [("sms", "refused"), ("email", "later")]
    shop.mail.error = None
    late = await shop.send(a_notice(), BARRED, NOON + DAY + DAY)
    assert came(late) == [("sms", "refused"), ("email", "missed")]
    assert shop.mail.taken == []


class Death(BaseException):
    """The worker is no more."""


class Mortal(MessageLog):
    """The message log of an attempt that dies when it comes to the email."""

    async def claim(self, asked: Sequence[Asked], left: Sequence[Left] = ()) -> list[Claim]:
        if any(one.channel == "email" for one in asked):
            raise Death
        return await super().claim(asked, left)


@pytest.mark.parametrize("error", [None, DeliveryError("no such number", permanent=True)])
async def test_an_attempt_that_dies_between_the_two_is_taken_up_and_nothing_goes_twice(
    engine: AsyncEngine, error: DeliveryError | None
) -> None:
    """The SMS was refused, or had failed; the next attempt sends the email, though SMS is open by then."""
    first, merchant = Shop(engine, Mortal(engine)), SHOP if error else BARRED
    first.sms.error = error
    with pytest.raises(Death):
        await first.send(a_notice(), merchant)
    shop = Shop(engine)
    ends = ("sms", "failed" if error else "refused"), ("email", "sent")
    assert came(await shop.send(a_notice(), SHOP)) == list(ends)
    assert (shop.sms.taken, shop.mail.taken) == ([], [ADA.email])


async def close_out(shop: Shop, notice: Notice, status: Status = Status.MISSED) -> list[ChannelOutcome]:
    """What the activity answers that settles a notice whose time is over."""
    deliveries = Deliveries(shop.log, Merchants(shop.engine), shop.pipeline)
    delivery: Delivery[Any] = Delivery(notice, MemberContent("ada", SHOP.zone), SHOP.id, "member:lumi:ada")
    order = CloseOut(delivery, status, "it could not be sent in its time")
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=NOON + DAY)
    return await environment.run(deliveries.close_out, order)


async def test_what_a_route_had_gone_on_to_is_closed_with_it(engine: AsyncEngine) -> None:
    """The email that waited for its server is missed; what became of the SMS stays."""
    shop = Shop(engine)
    shop.mail.error = DeliveryError("the server is down")
    await shop.send(a_notice(), BARRED)
    outcomes = await close_out(shop, a_notice())
    assert came(outcomes) == [("sms", "refused"), ("email", "missed")]
    assert "the server is down" in outcomes[-1].reason
    assert await shop.written() == [("sms", "refused", "trade_ban"), ("email", "missed", "")]


@pytest.mark.parametrize("status", [Status.MISSED, Status.LAPSED, Status.REFUSED])
async def test_a_route_that_had_not_gone_on_is_closed_where_it_stands(
    engine: AsyncEngine, status: Status
) -> None:
    """Nothing is written of an email that nobody had come to."""
    shop = Shop(engine)
    shop.sms.error = DeliveryError("busy")
    await shop.send(a_notice())
    assert came(await close_out(shop, a_notice(), status)) == [("sms", status.value)]
    assert await shop.written() == [("sms", status.value, "")]


async def test_nothing_takes_the_place_of_what_was_handed_over_and_did_not_arrive(
    engine: AsyncEngine,
) -> None:
    """The receipt comes while another channel of the notice still waits, or when its time is over."""
    shop, notice = Shop(engine), a_notice(Kind.PROMOTION, "sms", "push")
    await shop.send(notice)
    async with writing(engine) as connection:
        undelivered = update(MESSAGES).where(MESSAGES.c.channel == "sms")
        await connection.execute(undelivered.values(status=MessageStatus.UNDELIVERED))
    assert ("sms", "failed") in came(await shop.send(notice))
    assert [channel for channel, _ in came(await close_out(shop, notice))] == ["sms", "push"]
    assert shop.mail.taken == []


async def test_the_explanation_of_a_refused_sms_names_the_email(engine: AsyncEngine) -> None:
    """Why the one did not go, and what became of the other."""
    shop = Shop(engine)
    await shop.send(a_notice(), BARRED)
    sms, email = await found_messages(engine, "n1")
    assert explained(sms) == (
        "Not sent: automatic SMS is barred for a business that sells tobacco in the United States"
        " (rule trade_ban, policy 2026-11). The email of the same notice: sent as email by smtp on"
        " 2026-03-10 04:00 UTC."
    )
    assert explained(email) == "Sent as email by smtp on 2026-03-10 04:00 UTC."
    assert [one["channel"] for one in await found_messages(engine, str(sms["id"]))] == ["sms"]


PAGE = Page("", "m99999")


def greeting(**changes: Any) -> Wave:
    return wave(**{"channels": ("sms",), "due": NOON, "not_after": NOON + DAY, **changes})


async def deliver(
    shop: Shop, made: Wave, page: Page = PAGE, at: datetime = NOON, *, waves: Waves | None = None
) -> PageDone:
    """One go at a page of everybody."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=at)
    return await environment.run((waves or _waves(shop)).deliver_page, PageOrder(made, page))


def _waves(shop: Shop) -> Waves:
    return Waves(shop.engine, Merchants(shop.engine), shop.pipeline, shop.log, {EVERYBODY: Everybody()})


def phone(number: int) -> str:
    return f"+8869{10_000_000 + number}"


@requirement("LS-50", "LS-51")
async def test_a_page_of_a_barred_shop_goes_by_email_and_counts_everybody_once(engine: AsyncEngine) -> None:
    """While the mail server is down they wait; afterwards nobody is told or counted twice."""
    await Merchants(engine).apply(BARRED, NOON)
    await enrol(engine, members(6, phone=phone, email=lambda n: "" if n == 5 else f"m{n}@example.com"))
    shop, made = Shop(engine), greeting()
    shop.mail.error = DeliveryError("busy", retry_after=timedelta(minutes=5))
    first = await deliver(shop, made)
    assert (first.selected, first.waiting, first.counts) == (6, 5, Counts(skipped={"trade_ban": 1}))
    shop.mail.error = None
    page = replace(PAGE, counted_to=first.at)
    second = await deliver(shop, made, page, NOON + timedelta(minutes=6))
    assert (second.waiting, second.counts) == (0, Counts(sent=5, messages=5, instead=5))
    third = await deliver(shop, made, replace(page, counted_to=second.at), NOON + timedelta(minutes=9))
    assert (third.selected, third.waiting, third.counts) == (6, 0, Counts())
    assert sorted(shop.mail.taken) == [f"m{n}@example.com" for n in range(5)]
    assert ("email", "refused", "address") in await shop.written()


async def test_what_waits_of_a_page_is_missed_with_its_last_moment(engine: AsyncEngine) -> None:
    """The mail server never comes back: each of them counts as missed, once."""
    await Merchants(engine).apply(BARRED, NOON)
    await enrol(engine, members(3, phone=phone))
    shop, made = Shop(engine), greeting()
    shop.mail.error = DeliveryError("the server is down")
    first = await deliver(shop, made)
    assert (first.waiting, first.counts) == (3, Counts())
    page = replace(PAGE, counted_to=first.at)
    last = await deliver(shop, made, page, made.not_after + timedelta(seconds=1))
    assert (last.waiting, last.counts) == (0, Counts(missed=3))
    assert {(channel, status) for channel, status, _ in await shop.written()} == {
        ("sms", "refused"),
        ("email", "missed"),
    }


async def test_a_cancelled_wave_closes_what_it_had_gone_on_to(engine: AsyncEngine) -> None:
    """Nothing is left waiting."""
    await Merchants(engine).apply(BARRED, NOON)
    await enrol(engine, members(3, phone=phone))
    shop, made = Shop(engine), greeting()
    shop.mail.error = DeliveryError("the server is down")
    await deliver(shop, made)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=NOON + timedelta(hours=1))
    assert await environment.run(_waves(shop).close, CloseWave(made, everybody=True)) == 3
    assert [status for channel, status, _ in await shop.written() if channel == "email"] == ["lapsed"] * 3


async def test_who_has_no_phone_or_a_dead_one_gets_the_email_of_the_page(engine: AsyncEngine) -> None:
    """The others get their SMS, and nobody both. Settled ones are not looked at again."""
    await Merchants(engine).apply(SHOP, NOON)
    await enrol(engine, members(4, phone=lambda n: phone(n) if n else ""))
    shop, made = Shop(engine), greeting()
    done = await deliver(shop, made)
    assert done.counts == Counts(sent=4, messages=4, instead=1)
    assert (len(shop.sms.taken), shop.mail.taken) == (3, [members(1)[0].email])
    assert MessageStatus.REFUSED in [status for _, status, _ in await shop.written()]
    again = await deliver(shop, made, replace(PAGE, counted_to=done.at))
    assert (again.selected, again.counts) == (4, Counts())


async def test_an_sms_of_a_page_that_did_not_arrive_is_neither_sent_again_nor_counted_again(
    engine: AsyncEngine,
) -> None:
    """Its receipt comes between two goes at the page."""
    await Merchants(engine).apply(SHOP, NOON)
    await enrol(engine, members(3, phone=phone))
    shop, made = Shop(engine), greeting()
    done = await deliver(shop, made)
    async with writing(engine) as connection:
        await connection.execute(update(MESSAGES).values(status=MessageStatus.UNDELIVERED))
    again = await deliver(shop, made, replace(PAGE, counted_to=done.at))
    assert (done.counts.sent, again.counts, again.waiting) == (3, Counts(), 0)
    assert (len(shop.sms.taken), shop.mail.taken) == (3, [])


async def test_by_sms_and_push_who_has_no_phone_gets_the_email_beside_the_push_message(
    engine: AsyncEngine,
) -> None:
    """As in a member's own lifecycle: the place of one channel is taken, whatever else the notice goes by."""
    await Merchants(engine).apply(replace(SHOP, push_provider=PushProvider.FCM), NOON)
    await enrol(engine, members(2, phone=lambda n: phone(n) if n else "", push="token"))
    shop, made = Shop(engine), greeting(channels=("sms", "push"))
    done = await deliver(shop, made)
    assert done.counts == Counts(sent=2, messages=4, instead=1)
    assert (len(shop.sms.taken), shop.mail.taken) == (1, [members(1)[0].email])
    assert shop.push.taken == ["token", "token"]


class Unreadable(Everybody):
    """An audience whose members can be told nothing: whoever reads them fails."""

    async def read(self, *_: object) -> list[Chosen]:
        raise ValueError("a broken template")


async def test_a_page_that_cannot_be_read_is_missed_with_what_it_had_gone_on_to(engine: AsyncEngine) -> None:
    """The SMS was refused and its email waits when the last moment passes: nothing of it waits on."""
    await Merchants(engine).apply(BARRED, NOON)
    await enrol(engine, members(3, phone=phone))
    shop, made = Shop(engine), greeting()
    shop.mail.error = DeliveryError("the server is down")
    first = await deliver(shop, made)
    broken = Waves(shop.engine, Merchants(engine), shop.pipeline, shop.log, {EVERYBODY: Unreadable()})
    page, late = replace(PAGE, counted_to=first.at), made.not_after + timedelta(seconds=1)
    last = await deliver(shop, made, page, late, waves=broken)
    assert (last.waiting, last.counts) == (0, Counts(missed=3))
    ends = [(channel, status) for channel, status, _ in await shop.written()]
    assert ends == [("sms", "refused")] * 3 + [("email", "missed")] * 3


LOST = {"no phone": "address", "no sms": "channel_switch"}


@requirement("WACA-25")
@pytest.mark.parametrize("how", LOST)
async def test_a_channel_that_is_lost_while_it_waits_is_settled(engine: AsyncEngine, how: str) -> None:
    """The email has gone; the SMS waits for its provider, and then there is no phone, or no SMS any more.

    It is refused, what it cost is paid back, and the members count by their email.
    """
    merchant = replace(SHOP, credits=CreditPolicy(enabled=True))
    await Merchants(engine).apply(merchant, NOON)
    async with writing(engine) as connection:
        await topup(connection, merchant, Pool.SMS, Decimal(10), "first", NOON)
    await enrol(engine, members(2, phone=phone))
    shop, made = Shop(engine), greeting(channels=("email", "sms"))
    shop.sms.error = DeliveryError("busy")
    first = await deliver(shop, made)
    assert (first.waiting, first.counts) == (2, Counts())
    async with reading(engine) as connection:
        assert (await balance(connection, merchant.id)).sms < Decimal(10)
    if how == "no phone":
        async with writing(engine) as connection:
            await connection.execute(update(MEMBERS).values(phone=""))
    else:
        await Merchants(engine).apply(replace(merchant, sms=SmsSettings()), NOON)
    later = NOON + timedelta(minutes=10)
    done = await deliver(Shop(engine), made, replace(PAGE, counted_to=first.at), later)
    assert (done.waiting, done.counts) == (0, Counts(sent=2, messages=2))
    written = await shop.written()
    assert [one for one in written if one[0] == "sms"] == [("sms", "refused", LOST[how])] * 2
    async with reading(engine) as connection:
        assert (await balance(connection, merchant.id)).sms == Decimal(10)


async def test_an_email_that_took_the_place_of_an_sms_is_settled_when_it_is_lost(engine: AsyncEngine) -> None:
    """The push message has gone; of the SMS, refused, and its email nothing is left but what waits."""
    shop_of = replace(BARRED, push_provider=PushProvider.FCM)
    await Merchants(engine).apply(shop_of, NOON)
    await enrol(engine, members(1, phone=phone, push="token"))
    shop, made = Shop(engine), greeting(channels=("push", "sms"))
    shop.mail.error = DeliveryError("the server is down")
    first = await deliver(shop, made)
    assert first.waiting == 1
    async with writing(engine) as connection:
        await connection.execute(update(MEMBERS).values(phone="", email=""))
    done = await deliver(shop, made, replace(PAGE, counted_to=first.at), NOON + timedelta(minutes=10))
    assert (done.waiting, done.counts) == (0, Counts(sent=1, messages=1))
    assert ("email", "refused", "address") in await shop.written()


async def test_a_page_of_a_shop_without_sms_goes_by_email(engine: AsyncEngine) -> None:
    """SMS was switched off after the task was set up: the history says so for each."""
    await Merchants(engine).apply(replace(SHOP, sms=SmsSettings()), NOON)
    await enrol(engine, members(2, phone=phone))
    shop = Shop(engine)
    done = await deliver(shop, greeting())
    assert done.counts == Counts(sent=2, messages=2, instead=2)
    assert [rule for channel, _, rule in await shop.written() if channel == "sms"] == ["channel_switch"] * 2
