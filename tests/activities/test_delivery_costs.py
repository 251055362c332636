"""What a message costs where one provider stands in for another: by whom it went, and what is left then."""

from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.alerts import pending_alerts
from activities.attempt import Later
from activities.database import reading, writing
from activities.ledger_accounts import balance, differences, quota, topup
from channels.base import DeliveryError, Message, Receipt
from models.agenda import ChannelOutcome, Status
from models.credits import Pool, quota_month
from models.merchant import Merchant, SmsProvider, SmsSettings
from tests.activities.test_delivery_doubts import Clock, Fake, down, pipeline, taken
from tests.faults.campaign_items import NOON, SHOP, item
from tests.requirements import requirement

OWN_FIRST = replace(SHOP, sms=SmsSettings(SmsProvider.TWSMS, fallback=SmsProvider.SMARTDOVE))
OURS_FIRST = replace(SHOP, sms=SmsSettings(SmsProvider.SMARTDOVE, fallback=SmsProvider.TWSMS))


@requirement("WACA-24", "WACA-25", "WACA-28")
@pytest.mark.parametrize(
    ("shop", "first_is_down", "points", "left", "by"),
    [
        (OWN_FIRST, False, 10, "10", "twsms"),
        (OWN_FIRST, True, 10, "9.15", "smartdove"),
        (OURS_FIRST, False, 10, "9.15", "smartdove"),
        (OURS_FIRST, True, 10, "10", "twsms"),
        (OWN_FIRST, False, 0, "0", "twsms"),
        (OURS_FIRST, False, 0, "0", "twsms"),
    ],
    ids=["own", "ours stands in", "ours", "own stands in", "own, no points", "ours has no points"],
)
async def test_a_message_costs_what_the_provider_that_sent_it_costs(
    engine: AsyncEngine, shop: Merchant, first_is_down: bool, points: int, left: str, by: str
) -> None:
    """By TwSMS nothing; by ours its points, never more than there are. It counts in the quota either way."""
    if points:
        async with writing(engine) as connection:
            await topup(connection, shop, Pool.SMS, Decimal(points), "first", NOON)
    names = [provider.value for provider in shop.sms.providers]
    first, second = Fake(down if first_is_down else taken, names[0]), Fake(taken, names[1])
    one = replace(item(0), merchant=shop)
    ((answer,),) = await pipeline(engine, first, second).send([one], Clock().attempt())
    assert isinstance(answer, ChannelOutcome)
    assert answer.status is Status.SENT
    assert [one.provider for one in (first, second) if one.answer is taken and one.given] == [by]
    async with reading(engine) as connection:
        assert (await balance(connection, shop.id)).sms == Decimal(left)
        used = await quota(connection, shop, ("", quota_month(NOON, shop.zone)), NOON)
        assert used.used == 1
        assert await differences(connection) == []


async def test_a_message_that_is_not_paid_for_goes_by_nobody_who_costs_points(engine: AsyncEngine) -> None:
    """The provider that costs nothing is down: it waits, and our account is not overdrawn."""
    ours, own = Fake(provider="smartdove"), Fake(down, "twsms")
    one = replace(item(0), merchant=OURS_FIRST)
    ((answer,),) = await pipeline(engine, ours, own).send([one], Clock().attempt())
    assert isinstance(answer, Later)
    assert ours.given == []


async def alerts_of(engine: AsyncEngine) -> list[int]:
    """How many messages could be sent at each crossing that was told."""
    async with reading(engine) as connection:
        return [alert.sendable for alert in await pending_alerts(connection)]


async def test_points_that_are_only_set_aside_tell_of_no_shortage(engine: AsyncEngine) -> None:
    """A page that goes by the shop's own account takes none; one by ours tells when few are left."""
    async with writing(engine) as connection:
        await topup(connection, OWN_FIRST, Pool.SMS, 80 * Decimal("0.85"), "first", NOON)
    own, ours = Fake(taken, "twsms"), Fake(taken, "smartdove")
    sending = pipeline(engine, own, ours)
    await sending.send([replace(item(n), merchant=OWN_FIRST) for n in range(60)], Clock().attempt())
    assert await alerts_of(engine) == []
    own.answer = down
    await sending.send([replace(item(n), merchant=OWN_FIRST) for n in range(60, 100)], Clock().attempt("b"))
    assert await alerts_of(engine) == [40]


async def test_points_stay_taken_where_the_provider_that_costs_them_may_have_sent(
    engine: AsyncEngine,
) -> None:
    """It lost its answer, and then the shop's own account took the message."""
    async with writing(engine) as connection:
        await topup(connection, OWN_FIRST, Pool.SMS, Decimal(10), "first", NOON)

    async def lost(_: Message) -> Receipt:
        raise DeliveryError("no answer", doubtful=True)

    own, ours = Fake(down, "twsms"), Fake(lost, "smartdove")
    one, sending = replace(item(0), merchant=OWN_FIRST), pipeline(engine, own, ours)
    await sending.send([one], Clock().attempt())
    own.answer = taken
    ((answer,),) = await sending.send([one], Clock().attempt("b"))
    assert isinstance(answer, ChannelOutcome)
    assert answer.doubtful
    async with reading(engine) as connection:
        assert (await balance(connection, SHOP.id)).sms == Decimal("9.15")


async def test_a_message_that_had_no_points_has_them_after_a_top_up(engine: AsyncEngine) -> None:
    """And that there were none is told. Its quota is used once."""
    own, ours = Fake(down, "twsms"), Fake(taken, "smartdove")
    one, sending = replace(item(0), merchant=OWN_FIRST), pipeline(engine, own, ours)
    ((answer,),) = await sending.send([one], Clock().attempt())
    assert isinstance(answer, Later)
    assert await alerts_of(engine) == [0]
    async with writing(engine) as connection:
        await topup(connection, OWN_FIRST, Pool.SMS, Decimal(100), "first", NOON)
    ((answer,),) = await sending.send([one], Clock().attempt("b"))
    assert isinstance(answer, ChannelOutcome)
    async with reading(engine) as connection:
        assert (await balance(connection, SHOP.id)).sms == Decimal("99.15")
        assert (await quota(connection, OWN_FIRST, ("", quota_month(NOON, SHOP.zone)), NOON)).used == 1
        assert await differences(connection) == []
