"""The fault campaign: workers killed at every point, a provider at its worst, nothing lost and all marked."""

import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.database import reading, writing
from activities.ledger_accounts import balance, topup
from activities.ledger_books import QUOTAS
from activities.message_log import MessageLog
from activities.pipeline import GROUP
from models.credits import Pool
from tests.faults.campaign import Campaign, Nursery, Plan, Provider, Toll
from tests.faults.campaign_items import NOON, SHOP
from tests.faults.campaign_report import Fate, fates, table

SEED = int(os.environ.get("CARILLON_CAMPAIGN_SEED", "20261121"))
POINTS = Decimal(100_000)


@dataclass(frozen=True)
class Result:
    """A campaign that is over."""

    plan: Plan
    provider: Provider
    toll: Toll
    fates: list[Fate]
    rows: list[dict[str, Any]]


@pytest.fixture(scope="module")
async def nursery() -> AsyncIterator[Nursery]:
    async with Nursery.open() as opened:
        yield opened


def plan(engine: AsyncEngine, *, idempotent: bool) -> Plan:
    """The whole of it on SQLite, one with fewer messages on PostgreSQL."""
    if engine.dialect.name == "sqlite":
        return Plan(SEED, idempotent, pages=6, singles=80, kills=60)
    return Plan(SEED, idempotent, pages=2, singles=40, kills=50)


async def campaign(
    engine: AsyncEngine, database_url: str, nursery: Nursery, capsys: pytest.CaptureFixture[str], plan: Plan
) -> Result:
    """Run it, print the table, and check what holds whatever the provider is like."""
    async with writing(engine) as connection:
        await topup(connection, SHOP, Pool.SMS, POINTS, "top-up", NOON)
    chance = random.Random(plan.seed)
    async with Provider(chance, idempotent=plan.idempotent) as provider:
        toll = await Campaign(plan, provider, chance, nursery).run(database_url)
    rows = await MessageLog(engine).messages(limit=10_000)
    came = fates(plan, provider, rows)
    with capsys.disabled():
        print(table(engine.dialect.name, plan, provider, toll, came))
    assert toll.deaths.total() >= plan.kills
    assert len(rows) == plan.messages
    assert {fate.status for fate in came} <= {"sent", "uncertain"}
    assert [fate for fate in came if fate.lost] == []
    await check_the_ledger(engine, rows)
    return Result(plan, provider, toll, came, rows)


async def check_the_ledger(engine: AsyncEngine, rows: list[dict[str, Any]]) -> None:
    """Every message was paid for once, however many attempts it took."""
    price = SHOP.credits.price.domestic
    async with reading(engine) as connection:
        left = (await balance(connection, SHOP.id)).sms
        used = (await connection.execute(select(QUOTAS.c.used))).scalar_one()
    assert POINTS - left == sum(price * row["segments"] for row in rows)
    assert used == len(rows)


@pytest.mark.timeout(180)
async def test_with_idempotency_keys_every_message_arrives_exactly_once(
    engine: AsyncEngine, database_url: str, nursery: Nursery, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lost 0, sent twice 0, nothing in doubt: whatever dies, and wherever."""
    result = await campaign(engine, database_url, nursery, capsys, plan(engine, idempotent=True))
    assert {fate.taken for fate in result.fates} == {1}
    assert {fate.status for fate in result.fates} == {"sent"}


@pytest.mark.timeout(180)
async def test_without_them_what_arrives_twice_was_in_flight_and_is_marked(
    engine: AsyncEngine, database_url: str, nursery: Nursery, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lost 0. A reminder in doubt goes again, marked; a promotion never does, and is uncertain.

    In doubt is no more than what was in flight when a worker died, and what the provider never answered.
    """
    result = await campaign(engine, database_url, nursery, capsys, plan(engine, idempotent=False))
    assert [fate for fate in result.fates if fate.unmarked] == []
    for fate in result.fates:
        if fate.once_at_most:
            assert not fate.twice, fate
        assert (fate.status == "uncertain") == (fate.once_at_most and fate.doubtful), fate
    in_doubt = {fate.key for fate in result.fates if fate.doubtful}
    dark, toll = result.provider.dark, result.toll
    assert in_doubt <= toll.exposed | dark
    assert len(in_doubt - dark) <= toll.deaths.total() * GROUP
    singles = {key for key in in_doubt - dark if result.plan.single(key)}
    assert len(singles) <= toll.of_singles
