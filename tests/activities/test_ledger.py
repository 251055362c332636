"""The ledger, on both databases: whatever comes in whatever order, a balance is the sum of its entries."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.alerts import alerts_done, pending_alerts
from activities.database import open_database, reading, writing
from activities.ledger import (
    Granted,
    LedgerError,
    Scarce,
    Short,
    Want,
    lock,
    refund,
    reserve,
    settle,
    tell_of_shortage,
)
from activities.ledger_accounts import (
    Balance,
    balance,
    convert,
    differences,
    entries,
    quota,
    spend_other,
    topup,
    topup_quota,
)
from models.credit_content import alert_delivery
from models.credits import MOST, MOST_MESSAGES, CreditPolicy, OtherUse, Pool, QuotaPolicy
from models.merchant import Merchant
from models.notices import Kind
from models.people import Role
from tests.requirements import requirement
from tests.shops import ABROAD, APRIL, COUNTED, CROWDED, HOME, MARCH, NOW, PAIR, PAYING

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
async def ledger(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction; at its end every balance is the sum of its entries."""
    async with writing(engine) as connection:
        yield connection
        assert await differences(connection) == []


def page(start: int, count: int, points: Decimal = HOME) -> list[Want]:
    return [Want(f"m{number}", points) for number in range(start, start + count)]


def crowd(start: int, count: int, branch_id: str = "west") -> list[Want]:
    return [Want(f"q{n}", messages=1, branch_id=branch_id) for n in range(start, start + count)]


async def fill(ledger: AsyncConnection, points: str, merchant: Merchant = PAYING) -> None:
    await topup(ledger, merchant, Pool.SMS, Decimal(points), f"fill {points}", NOW)


@requirement("WACA-25", "WACA-27")
async def test_points_are_bought_for_the_shop_and_then_turned_into_sms_points(
    ledger: AsyncConnection,
) -> None:
    """Nothing can be sent of what is not converted yet; then it can."""
    await topup(ledger, PAYING, Pool.SHOP, Decimal(100), "order 1", NOW)
    (answer,) = await reserve(ledger, PAYING, page(0, 1), NOW)
    assert isinstance(answer, Short)
    assert await convert(ledger, PAYING, Decimal("40.5"), "click 1", NOW) == Balance(
        Decimal("59.5"), Decimal("40.5"), armed=False
    ), "the shortage was told when the message was refused, and 47 messages do not end it"
    assert await reserve(ledger, PAYING, page(0, 1), NOW) == [Granted("m0", HOME)]
    booked = [(entry["pool"], entry["kind"], str(entry["points"])) for entry in await entries(ledger, "lumi")]
    assert booked == [
        ("sms", "reserve", "-0.85"),
        ("sms", "convert_in", "40.5"),
        ("shop", "convert_out", "-40.5"),
        ("shop", "topup", "100"),
    ]


@requirement("WACA-26")
async def test_the_shops_points_are_shared_with_newsletters_and_abandoned_carts(
    ledger: AsyncConnection,
) -> None:
    """What they used cannot be converted any more."""
    await topup(ledger, PAYING, Pool.SHOP, Decimal(10), "order 1", NOW)
    await spend_other(ledger, "lumi", OtherUse.NEWSLETTER, Decimal(6), "news 1", NOW)
    left = await spend_other(ledger, "lumi", OtherUse.ABANDONED_CART, Decimal("0.5"), "cart 1", NOW)
    assert left.shop == Decimal("3.5")
    with pytest.raises(LedgerError, match=r"4 are more than the 3\.5 points of the shop: top up first"):
        await convert(ledger, PAYING, Decimal(4), "click 1", NOW)
    notes = {entry["note"] for entry in await entries(ledger, "lumi") if entry["kind"] == "other_use"}
    assert notes == {"newsletter", "abandoned_cart"}


async def test_an_event_is_booked_once_and_its_reference_serves_no_other(ledger: AsyncConnection) -> None:
    """Told twice: once. The same reference with other numbers: refused."""
    for _ in range(2):
        await topup(ledger, PAYING, Pool.SHOP, Decimal(10), "order 1", NOW)
        await convert(ledger, PAYING, Decimal(4), "click 1", NOW)
        await spend_other(ledger, "lumi", OtherUse.NEWSLETTER, Decimal(1), "news 1", NOW)
    assert await balance(ledger, "lumi") == Balance(Decimal(5), Decimal(4))
    with pytest.raises(LedgerError, match="'order 1' names something else"):
        await topup(ledger, PAYING, Pool.SHOP, Decimal(11), "order 1", NOW)
    with pytest.raises(LedgerError, match="'click 1' names something else"):
        await convert(ledger, PAYING, Decimal(5), "click 1", NOW)
    with pytest.raises(LedgerError, match="'news 1' names something else"):
        await spend_other(ledger, "lumi", OtherUse.ABANDONED_CART, Decimal(1), "news 1", NOW)


@pytest.mark.parametrize("points", ["0", "-1", "0.0001", "NaN"])
async def test_an_amount_that_is_none_is_refused(ledger: AsyncConnection, points: str) -> None:
    """Nothing, less than nothing, or finer than can be kept."""
    with pytest.raises(ValueError, match="points: "):
        await topup(ledger, PAYING, Pool.SHOP, Decimal(points), "order 1", NOW)


@requirement("WACA-28")
async def test_a_page_is_paid_for_in_its_order_as_far_as_the_points_go(ledger: AsyncConnection) -> None:
    """What is too dear is left out with the reason, and a cheaper one after it may still go."""
    await fill(ledger, "4.70")
    wanted = [Want("a", HOME), Want("b", ABROAD), Want("c", ABROAD), Want("d", HOME), Want("e", HOME)]
    answers = await reserve(ledger, PAYING, wanted, NOW)
    assert [type(answer) for answer in answers] == [Granted, Granted, Short, Granted, Short]
    assert answers[2] == Short("c", Scarce.CREDITS, "not enough SMS points: it costs 3 and 0.85 are left")
    assert (await balance(ledger, "lumi")).sms == 0


async def test_the_same_page_again_costs_nothing_more(ledger: AsyncConnection) -> None:
    """An attempt that is repeated, or a message twice in a page."""
    await fill(ledger, "10")
    await reserve(ledger, PAYING, page(0, 3), NOW)
    again = await reserve(ledger, PAYING, [*page(2, 2), *page(3, 1)], NOW)
    assert again == [
        Granted("m2", HOME, before=True),
        Granted("m3", HOME),
        Granted("m3", HOME, before=True),
    ]
    assert (await balance(ledger, "lumi")).sms == Decimal("6.60")


async def test_what_was_not_sent_is_given_back_once(ledger: AsyncConnection) -> None:
    """Points and room in the quota; told again, or of what was never paid for, nothing happens."""
    merchant = replace(PAYING, quota=QuotaPolicy(monthly=10))
    await fill(ledger, "10", merchant)
    await reserve(ledger, merchant, [Want("a", HOME, 1), Want("b", ABROAD, 1)], NOW)
    back = await refund(ledger, "lumi", ["a", "b", "never"], "the number is dead", NOW)
    assert back == {"a": HOME, "b": ABROAD}
    assert await refund(ledger, "lumi", ["a", "b"], "again", NOW) == {}
    assert (await balance(ledger, "lumi")).sms == 10
    assert (await quota(ledger, merchant, ("", MARCH), NOW)).used == 0
    (answer,) = await reserve(ledger, merchant, [Want("a", HOME, 1)], NOW)
    assert isinstance(answer, Short)
    assert answer.which is Scarce.GIVEN_BACK


async def test_a_refund_is_of_what_was_paid_in_the_end(ledger: AsyncConnection) -> None:
    """The provider counted two segments where one was reserved, or went through an account of their own."""
    await fill(ledger, "10")
    await reserve(ledger, PAYING, page(0, 2), NOW)
    told = {"m0": Decimal("1.70"), "m1": Decimal(0), "never": HOME}
    assert await settle(ledger, PAYING.id, told, NOW) == {"m0": Decimal("1.70"), "m1": Decimal(0)}
    assert await settle(ledger, PAYING.id, {"m0": Decimal(3)}, NOW, PAYING.credits) == {}, "settled once"
    assert (await balance(ledger, "lumi")).sms == Decimal("8.30")
    assert await refund(ledger, "lumi", ["m0", "m1"], "undelivered", NOW) == {"m0": Decimal("1.70")}
    assert (await balance(ledger, "lumi")).sms == 10


async def test_a_message_that_cost_more_than_is_left_takes_what_is_left(ledger: AsyncConnection) -> None:
    """Never negative: the rest is not charged."""
    await fill(ledger, "1")
    await reserve(ledger, PAYING, page(0, 1), NOW)
    assert await settle(ledger, PAYING.id, {"m0": ABROAD}, NOW, PAYING.credits) == {"m0": Decimal(1)}
    assert (await balance(ledger, "lumi")).sms == 0


@requirement("WACA-24")
async def test_who_has_no_policy_is_not_counted(ledger: AsyncConnection) -> None:
    """Neither points nor quota: everything is granted, and nothing is written."""
    free = replace(PAYING, credits=CreditPolicy())
    answers = await reserve(ledger, free, [Want("a", ABROAD, 1), Want("b", HOME, 1)], NOW)
    assert answers == [Granted("a"), Granted("b")]
    assert await entries(ledger, "lumi") == []


@requirement("LS-20", "LS-21", "LS-22")
async def test_a_group_of_a_hundred_counts_a_hundred_in_the_month_of_its_branch(
    ledger: AsyncConnection,
) -> None:
    """1,000 a month and branch; another branch and another month have their own."""
    await reserve(ledger, COUNTED, crowd(0, 100), NOW)
    used = await quota(ledger, COUNTED, ("west", MARCH), NOW)
    assert (used.used, used.left) == (100, 900)
    assert (await quota(ledger, COUNTED, ("east", MARCH), NOW)).left == 1000
    assert (await quota(ledger, COUNTED, ("west", APRIL), NOW)).left == 1000
    answers = await reserve(ledger, COUNTED, [*crowd(100, 901), *crowd(2000, 1, "east")], NOW)
    assert [type(answer) for answer in answers[-3:]] == [Granted, Short, Granted]
    assert answers[-2] == Short(
        "q1000",
        Scarce.QUOTA,
        f"the SMS quota of branch west for {MARCH} is used up: 1000 of 1000",
    )
    late = NOW + timedelta(days=31)
    assert [type(a) for a in await reserve(ledger, COUNTED, crowd(3000, 1), late)] == [Granted]


@requirement("LS-20")
async def test_more_can_be_bought_for_a_month(ledger: AsyncConnection) -> None:
    """For one branch, told twice once; there is nothing to add to where there is no quota."""
    few = replace(COUNTED, quota=QuotaPolicy(monthly=1))
    await reserve(ledger, few, crowd(0, 2), NOW)
    for _ in range(2):
        found = await topup_quota(ledger, few, ("west", MARCH), 5, "order 2", NOW)
        assert (found.topup, found.used, found.left) == (5, 1, 5)
    assert [type(a) for a in await reserve(ledger, few, crowd(1, 6), NOW)] == [Granted] * 5 + [Short]
    with pytest.raises(LedgerError, match="'order 2' names something else"):
        await topup_quota(ledger, few, ("east", MARCH), 5, "order 2", NOW)
    with pytest.raises(LedgerError, match=r"quota\.monthly: merchant 'lumi' has no quota"):
        await topup_quota(ledger, PAYING, ("", MARCH), 5, "order 3", NOW)
    with pytest.raises(LedgerError, match="messages: 0 adds nothing"):
        await topup_quota(ledger, few, ("", MARCH), 0, "order 3", NOW)
    with pytest.raises(LedgerError, match="messages: 99999999999 is out of range: write a number from 1"):
        await topup_quota(ledger, few, ("", MARCH), 99999999999, "order 3", NOW)
    with pytest.raises(LedgerError, match=r"with the 5 bought before .*: write at most 9999995"):
        await topup_quota(ledger, few, ("west", MARCH), MOST_MESSAGES, "order 3", NOW)


@requirement("LS-20", "LS-22")
async def test_a_month_that_is_over_keeps_its_allowance(ledger: AsyncConnection) -> None:
    """The policy of today says nothing of March; of a month in which nothing was sent it is all there is."""
    april, few = NOW + timedelta(days=31), replace(COUNTED, quota=QuotaPolicy(monthly=5))
    await reserve(ledger, COUNTED, crowd(0, 100), NOW)
    for shop in (few, replace(COUNTED, quota=QuotaPolicy())):
        over = await quota(ledger, shop, ("west", MARCH), april)
        assert (over.allowance, over.used, over.left) == (1000, 100, 900)
    assert (await quota(ledger, few, ("west", MARCH), NOW)).allowance == 5
    assert (await quota(ledger, few, ("east", MARCH), april)).allowance == 5
    await topup_quota(ledger, few, ("west", MARCH), 7, "order 9", april)
    assert (await quota(ledger, few, ("west", MARCH), april)).left == 907


@requirement("WACA-25")
async def test_points_never_grow_beyond_all_reason(ledger: AsyncConnection) -> None:
    """Bit by bit neither: every database can add them still."""
    await topup(ledger, PAYING, Pool.SHOP, MOST - 1, "order 1", NOW)
    with pytest.raises(LedgerError, match=r"999999999999 there are they come to .* or more: write fewer"):
        await topup(ledger, PAYING, Pool.SHOP, Decimal(1), "order 2", NOW)


@requirement("LS-20")
async def test_a_message_given_back_in_april_makes_room_in_the_month_that_it_was_counted_in(
    ledger: AsyncConnection,
) -> None:
    """A receipt may come days later."""
    await reserve(ledger, COUNTED, crowd(0, 2), NOW)
    await refund(ledger, "counted", ["q0"], "undelivered", NOW + timedelta(days=31))
    assert (await quota(ledger, COUNTED, ("west", MARCH), NOW)).used == 1
    assert (await quota(ledger, COUNTED, ("west", APRIL), NOW)).used == 0


@requirement("WACA-29b", "WACA-29c")
async def test_a_shortage_is_told_once_a_crossing_and_again_after_a_topup_that_ended_it(
    ledger: AsyncConnection,
) -> None:
    """50 exactly: not yet. 49: once. Only a top-up over the threshold arms it again, a refund does not."""
    await fill(ledger, "51")
    await reserve(ledger, PAYING, page(0, 10), NOW)
    assert await pending_alerts(ledger) == [], "50 are left"
    await reserve(ledger, PAYING, page(10, 3), NOW)
    (told,) = await pending_alerts(ledger)
    assert (told.reference, told.sendable, told.points) == ("m10", 47, Decimal("39.95"))
    await reserve(ledger, PAYING, page(13, 5), NOW)
    await refund(ledger, "lumi", [f"m{n}" for n in range(18)], "why", NOW)
    await reserve(ledger, PAYING, page(20, 15), NOW)
    assert len(await pending_alerts(ledger)) == 1
    await reserve(ledger, PAYING, page(40, 10), NOW)
    await fill(ledger, "10")
    await reserve(ledger, PAYING, page(50, 1), NOW)
    assert len(await pending_alerts(ledger)) == 1, "still short after the top-up"
    await topup(ledger, PAYING, Pool.SHOP, Decimal(20), "shop", NOW)
    await convert(ledger, PAYING, Decimal(20), "click", NOW)
    assert (await balance(ledger, "lumi")).armed
    await reserve(ledger, PAYING, page(60, 30), NOW)
    assert [alert.reference for alert in await pending_alerts(ledger)] == ["m10", "m79"]


@requirement("WACA-29b", "WACA-29c")
async def test_a_shortage_that_begins_at_nothing_is_told_when_a_message_is_refused_for_it(
    ledger: AsyncConnection,
) -> None:
    """Once, however many are refused; again when a top-up has ended it. One that is not low is not told."""
    await reserve(ledger, PAYING, page(0, 3), NOW)
    (told,) = await pending_alerts(ledger)
    assert (told.reference, told.sendable, told.points) == ("m0/short", 0, Decimal(0))
    await tell_of_shortage(ledger, PAYING, "m7", NOW)
    assert len(await pending_alerts(ledger)) == 1
    await fill(ledger, "50")
    await reserve(ledger, PAYING, [Want("dear", Decimal(60))], NOW)
    await tell_of_shortage(ledger, PAYING, "m8", NOW)
    assert len(await pending_alerts(ledger)) == 1, "enough for 50 messages is no shortage"
    await reserve(ledger, PAYING, page(0, 10), NOW)
    assert [alert.reference for alert in await pending_alerts(ledger)] == ["m0/short", "m8"]


@requirement("WACA-29b")
async def test_a_settlement_may_be_what_takes_the_points_low(ledger: AsyncConnection) -> None:
    """The provider counted more segments than were reserved."""
    await fill(ledger, "43.5")
    await reserve(ledger, PAYING, page(0, 1), NOW)
    assert await pending_alerts(ledger) == []
    await settle(ledger, PAYING.id, {"m0": 2 * HOME}, NOW, PAYING.credits)
    assert [alert.sendable for alert in await pending_alerts(ledger)] == [49]


@requirement("WACA-29b")
async def test_one_message_may_cross_twice_when_it_is_reserved_and_when_it_is_settled(
    ledger: AsyncConnection,
) -> None:
    """Its reservation was told, a top-up came between: its settlement is a crossing of its own."""
    await fill(ledger, "43")
    await reserve(ledger, PAYING, page(0, 1), NOW)
    await topup(ledger, PAYING, Pool.SMS, HOME, "between", NOW)
    await settle(ledger, PAYING.id, {"m0": 2 * HOME}, NOW, PAYING.credits)
    assert [alert.sendable for alert in await pending_alerts(ledger)] == [49, 49]


@requirement("WACA-29b")
async def test_an_alert_is_an_email_to_the_merchant_until_it_is_done(ledger: AsyncConnection) -> None:
    """Taken twice it is the same notice, so the message log sends it once."""
    await fill(ledger, "43")
    await reserve(ledger, PAYING, page(0, 2), NOW)
    (alert,) = await pending_alerts(ledger)
    delivery = alert_delivery(alert, PAYING)
    assert delivery == alert_delivery((await pending_alerts(ledger))[0], PAYING)
    notice = delivery.notice
    assert (notice.kind, notice.role, notice.channels) == (Kind.SMS_POINTS_LOW, Role.MERCHANT, ("email",))
    assert notice.recipient.email == "owner@lumi.example"
    assert (notice.due, notice.not_after) == (NOW, NOW + timedelta(days=1))
    assert (delivery.content.points, delivery.content.sendable) == (Decimal("41.3"), 48)
    await alerts_done(ledger, [alert.id], NOW)
    assert await pending_alerts(ledger) == []


async def test_what_the_caller_rolls_back_was_never_booked(engine: AsyncEngine) -> None:
    """The claim and its price are one transaction: neither, or both."""
    async with writing(engine) as connection:
        await fill(connection, "43")
    async with engine.connect() as connection:
        await reserve(connection, PAYING, page(0, 5), NOW)
        await connection.rollback()
    async with reading(engine) as connection:
        assert await balance(connection, "lumi") == Balance(sms=Decimal(43))
        assert await pending_alerts(connection) == []


async def test_a_balance_that_is_not_the_sum_of_its_entries_is_found(engine: AsyncEngine) -> None:
    """Somebody wrote into the tables by hand."""
    async with writing(engine) as connection:
        await fill(connection, "43")
        await reserve(connection, COUNTED, crowd(0, 2), NOW)
        await connection.exec_driver_sql("UPDATE credit_accounts SET balance = 44000 WHERE pool = 'sms'")
        await connection.exec_driver_sql("UPDATE quotas SET used = 1")
        found = await differences(connection)
    assert "the sms points of lumi are 44, their entries make 43" in found
    assert "the quota of counted, branch 'west', for 2026-03 is changed by -1, its entries make -2" in found


SPENDER = """
import asyncio, random, sys
from decimal import Decimal
from activities.database import open_database, writing
from activities.ledger import Granted, Want, refund, reserve
from activities.ledger_accounts import topup
from models.credits import Pool
from tests.shops import CROWDED, NOW

async def main(url, name):
    engine, chance, granted = open_database(url), random.Random(name), []
    for n in range(20):
        wanted = [
            Want(f"{name}/{n}/{i}", Decimal("0.85"), 1, chance.choice(["west", "east", ""])) for i in range(8)
        ]
        wanted += [Want(f"shared/{n}/{i}", Decimal("0.85"), 1, "west") for i in range(2)]
        chance.shuffle(wanted)
        async with writing(engine) as connection:
            answers = await reserve(connection, CROWDED, wanted, NOW)
        mine = [a.reference for a in answers if isinstance(a, Granted) and not a.before]
        back = [reference for reference in mine if chance.random() < 0.2]
        async with writing(engine) as connection:
            given = await refund(connection, CROWDED.id, back + back, "why", NOW)
            assert set(given) == set(back), (given, back)
        granted += [reference for reference in mine if reference not in back]
        if n == 12:
            async with writing(engine) as connection:
                await topup(connection, CROWDED, Pool.SMS, Decimal(100), "the one top-up", NOW)
    await engine.dispose()
    print("\\n".join(granted))

asyncio.run(main(*sys.argv[1:]))
"""


@requirement("WACA-29b", "LS-20")
async def test_many_processes_that_spend_at_once_never_spend_a_point_twice(database_url: str) -> None:
    """Three, against one account and three quotas: each message paid once, told once, nothing below zero."""
    engine = open_database(database_url)
    async with writing(engine) as connection:
        await topup(connection, CROWDED, Pool.SMS, Decimal(300), "first", NOW)
    paid = await _processes(SPENDER, database_url)
    assert len(paid) == len(set(paid)), "who was granted first, and whoever asked after was told so"
    async with reading(engine) as connection:
        left = (await balance(connection, "crowded")).sms
        quotas = [await quota(connection, CROWDED, (branch, MARCH), NOW) for branch in ("west", "east", "")]
        booked = await entries(connection, "crowded", limit=100_000)
        alerts = await pending_alerts(connection)
        assert await differences(connection) == []
    await engine.dispose()
    assert left == 400 - len(paid) * HOME >= 0
    assert all(entry["left"] >= 0 for entry in booked)
    assert sum(one.used for one in quotas) == len(paid)
    assert all(one.used <= 170 for one in quotas)
    assert len([entry for entry in booked if entry["kind"] == "topup"]) == 2
    assert len(alerts) == _crossings(booked)


def _crossings(booked: list[dict[str, object]]) -> int:
    """How often the entries, read one after another, ran low and had not been told since the last top-up."""
    armed, told = True, 0
    for entry in reversed(booked):
        few = Decimal(str(entry["left"])) < 50 * HOME
        if entry["kind"] == "topup":
            armed = armed or not few
        elif entry["kind"] == "reserve" and few and armed:
            armed, told = False, told + 1
    return told


CROSSER = """
import asyncio, sys
from decimal import Decimal
from activities.database import open_database, writing
from activities.ledger import Granted, Want, lock, reserve
from tests.shops import NOW, PAIR

async def main(url, name):
    engine, order = open_database(url), PAIR if name != "1" else PAIR[::-1]
    for n in range(40):
        async with writing(engine) as connection:
            await lock(connection, [merchant.id for merchant in order], NOW)
            for merchant in order:
                await reserve(connection, merchant, [Want(f"{name}/{n}", Decimal("0.85"))], NOW)
    await engine.dispose()

asyncio.run(main(*sys.argv[1:]))
"""


@requirement("WACA-29b")
async def test_a_crossing_is_told_once_however_many_race_over_it(database_url: str) -> None:
    """Three processes take two accounts from 90 messages to none, one of them in the reverse order."""
    engine = open_database(database_url)
    async with writing(engine) as connection:
        for merchant in PAIR:
            await topup(connection, merchant, Pool.SMS, 90 * HOME, "first", NOW)
    await _processes(CROSSER, database_url)
    async with reading(engine) as connection:
        alerts = await pending_alerts(connection)
        points = [(await balance(connection, merchant.id)).sms for merchant in PAIR]
        assert await differences(connection) == []
    await engine.dispose()
    assert points == [0, 0]
    assert sorted((alert.merchant_id, alert.sendable) for alert in alerts) == [("one", 49), ("two", 49)]


async def _processes(code: str, database_url: str) -> list[str]:
    """Three processes at once; the lines that they print."""
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, database_url, str(n), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        for n in range(3)
    ]
    said = await asyncio.gather(*(process.communicate() for process in started))
    assert [process.returncode for process in started] == [0, 0, 0]
    return [line for out, _ in said for line in out.decode().split()]


async def test_locks_may_be_taken_again(ledger: AsyncConnection) -> None:
    """Of merchants with and without a ledger, in any order."""
    await fill(ledger, "5")
    await lock(ledger, ["new", "lumi", "lumi"], NOW)
    await lock(ledger, ["lumi", "new"], NOW)
    assert (await balance(ledger, "lumi")).sms == 5
