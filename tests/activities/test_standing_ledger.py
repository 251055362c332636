"""What is left in points and quotas when a message wants to go, on both databases."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.database import writing
from activities.ledger import Want, refund, reserve
from activities.ledger_accounts import topup, topup_quota
from activities.standing import Standings
from models.credits import CreditPolicy, Pool, QuotaPolicy
from models.ids import message_reference
from models.merchant import Branch, Merchant, SmsProvider, SmsSettings
from models.notices import NoticeClass
from models.people import Person
from policies.gate import Passed, Proposal, Refused, gate
from tests.databases import listen
from tests.proposals import NOON, SHOP, proposed
from tests.requirements import requirement

PAYING = replace(SHOP, sms=SmsSettings(SmsProvider.SMARTDOVE), credits=CreditPolicy(enabled=True))
COUNTED = replace(SHOP, id="counted", quota=QuotaPolicy(monthly=2))
PRICE = Decimal("0.85")


@pytest.fixture
def standings(engine: AsyncEngine) -> Standings:
    return Standings(engine)


async def top_up(engine: AsyncEngine, points: Decimal, merchant: Merchant = PAYING) -> None:
    async with writing(engine) as connection:
        await topup(connection, merchant, Pool.SMS, points, "top-up", NOON)


async def pay_for(engine: AsyncEngine, proposal: Proposal, points: Decimal = PRICE) -> None:
    """As the claim of an attempt does."""
    reference, merchant = message_reference(proposal.notice.key, "sms"), proposal.merchant
    zone = merchant.zone_of(proposal.branch_id)
    async with writing(engine) as connection:
        want = Want(reference, points, 1, proposal.branch_id, zone)
        await reserve(connection, merchant, [want], proposal.now)


async def left(standings: Standings, *proposals: Proposal) -> list[tuple[int | None, Decimal | None]]:
    found = await standings.read(proposals)
    return [(one.quota_left, one.credits_left) for one in found]


async def decided(standings: Standings, proposal: Proposal) -> str:
    """The rule that held it, or nothing."""
    (found,) = await standings.read([proposal])
    decision = gate(replace(proposal, standing=found, text="Tomorrow."))
    return decision.rule if isinstance(decision, Refused) else ""


async def test_where_nothing_is_counted_nothing_is_asked(engine: AsyncEngine, standings: Standings) -> None:
    """A merchant with an account of its own, or an email of one that pays."""
    asked: list[str] = []
    listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    email = proposed(channel="email", merchant=PAYING)
    assert await left(standings, proposed(), email) == [(None, None), (None, None)]
    assert not any("credit" in statement or "quota" in statement for statement in asked)


@requirement("WACA-25", "WACA-28")
async def test_a_merchant_without_points_sends_nothing_that_costs_some(
    engine: AsyncEngine, standings: Standings
) -> None:
    """It has none before its first top-up; then what it has."""
    message = proposed(merchant=PAYING)
    assert await left(standings, message) == [(None, Decimal(0))]
    assert await decided(standings, message) == "credits"
    await top_up(engine, Decimal(10))
    assert await left(standings, message) == [(None, Decimal(10))]
    assert await decided(standings, message) == ""


@requirement("LS-20", "LS-21")
async def test_the_quota_of_a_branch_in_its_month_is_what_is_left(
    engine: AsyncEngine, standings: Standings
) -> None:
    """Each branch has its own, on its own clock, and a top-up adds to it."""
    shop = replace(COUNTED, branches=(Branch("far", "Far", zone="Pacific/Auckland"),))
    new_year = datetime(2026, 12, 31, 12, tzinfo=UTC)  # in Auckland it is January
    here = proposed(merchant=shop, now=new_year, key="n1")
    there = replace(here, branch_id="far")
    assert await left(standings, here, there) == [(2, None), (2, None)]
    for number in range(2):
        await pay_for(engine, proposed(merchant=shop, now=new_year, key=f"of another {number}"))
    assert await left(standings, here, there) == [(0, None), (2, None)]
    assert await decided(standings, here) == "quota"
    async with writing(engine) as connection:
        await topup_quota(connection, shop, ("far", "2027-01"), 5, "more", new_year)
        await topup_quota(connection, shop, ("far", "2026-12"), 9, "last month", new_year)
    assert await left(standings, there) == [(7, None)]


async def test_a_message_that_has_paid_is_not_asked_to_pay_again(
    engine: AsyncEngine, standings: Standings
) -> None:
    """The attempt before took the last points: the next one may send it. What was given back counts again."""
    await top_up(engine, PRICE)
    both = replace(PAYING, quota=QuotaPolicy(monthly=1))
    message, other = proposed(merchant=both, key="n1"), proposed(merchant=both, key="n2")
    await pay_for(engine, message)
    assert await left(standings, message, other) == [(None, None), (0, Decimal(0))]
    assert (await decided(standings, message), await decided(standings, other)) == ("", "quota")
    async with writing(engine) as connection:
        await refund(connection, both.id, [message_reference("n1", "sms")], "not sent", NOON)
    assert await left(standings, message, other) == [(1, PRICE), (1, PRICE)]


async def test_a_page_with_its_ledger_is_read_in_a_handful_of_queries(
    engine: AsyncEngine, standings: Standings
) -> None:
    """Five hundred messages of two merchants, with next to nothing left."""
    people = [Person(f"P{n}", phone=f"+8869{n:08}") for n in range(500)]
    shops = (replace(PAYING, quota=QuotaPolicy(monthly=1)), COUNTED)
    page = [proposed(merchant=shops[n % 2], recipient=p, key=f"n{n}") for n, p in enumerate(people)]
    await top_up(engine, PRICE)
    await pay_for(engine, page[0])
    said: list[str] = []
    listen(engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    found = await left(standings, *page)
    assert found == [(None, None), *[(2, None), (0, Decimal(0))] * 249, (2, None)]
    assert sum(statement.startswith("SELECT") for statement in said) <= 10


async def test_those_who_ask_at_one_time_are_answered_together(
    engine: AsyncEngine, standings: Standings
) -> None:
    """Two hundred single messages share a few read transactions; each has its own answer."""
    begun: list[object] = []
    listen(engine, "begin", begun.append)
    wrong = [f"+886{n}" for n in range(100)]
    right = [f"+8869{n:08}" for n in range(100)]
    people = [Person("P", phone=phone) for pair in zip(wrong, right, strict=True) for phone in pair]
    answers = await asyncio.gather(*(standings.read([proposed(recipient=person)]) for person in people))
    assert [bool(one.address_problem) for (one,) in answers] == [True, False] * 100
    assert len(begun) <= 3


@requirement("WACA-28")
async def test_a_text_to_a_number_abroad_must_be_affordable_at_its_own_price(
    engine: AsyncEngine, standings: Standings
) -> None:
    """One point pays for a message at home, and for none abroad."""
    await top_up(engine, Decimal(1))
    abroad = Person("Di", phone="+33612345678")
    assert await decided(standings, proposed(merchant=PAYING)) == ""
    assert await decided(standings, proposed(merchant=PAYING, recipient=abroad)) == "credits"


async def test_the_gate_lets_a_free_message_pass(standings: Standings) -> None:
    """With nothing counted, the whole gate says yes."""
    (found,) = await standings.read([message := proposed(NoticeClass.TRANSACTIONAL)])
    assert isinstance(gate(replace(message, standing=found, text="Tomorrow.")), Passed)
