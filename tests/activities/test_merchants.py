"""Merchants in SQL: kept whole, read back the same, and a lifecycle of an unknown one waits."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.merchants import Merchants, Place, UnknownMerchantError
from models.merchant import Branch, booking_rules
from tests.world import MERCHANT

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SHOP = replace(MERCHANT, branches=(Branch("paris", "Lumi Paris", zone="Europe/Paris"),))


async def test_a_merchant_is_read_back_as_it_was_applied(engine: AsyncEngine) -> None:
    """Every policy number and text survives; applying the same again changes nothing."""
    assert await Merchants(engine).apply(SHOP, NOW) is True
    assert await Merchants(engine).apply(SHOP, NOW) is False
    assert await Merchants(engine).get(SHOP.id) == SHOP


async def test_a_changed_merchant_takes_effect(engine: AsyncEngine) -> None:
    """The one who applied it sees it at once."""
    merchants = Merchants(engine)
    await merchants.apply(SHOP, NOW)
    await merchants.get(SHOP.id)
    assert await merchants.apply(replace(SHOP, name="Lumi & Co"), NOW) is True
    assert (await merchants.get(SHOP.id)).name == "Lumi & Co"


async def test_the_rules_of_a_branch_are_in_its_own_zone(engine: AsyncEngine) -> None:
    """An outlet abroad reminds by its own clock."""
    merchants = Merchants(engine)
    await merchants.apply(SHOP, NOW)
    rules = await ActivityEnvironment().run(merchants.booking_rules, Place(SHOP.id, "paris"))
    assert rules == booking_rules(SHOP, "paris")
    assert rules.zone == "Europe/Paris"


@pytest.mark.parametrize(
    ("place", "words"),
    [(Place("nobody"), "carillon merchant apply"), (Place("lumi", "rome"), "its branches|it has: paris")],
)
async def test_an_unknown_merchant_or_branch_is_worth_another_try(
    engine: AsyncEngine, place: Place, words: str
) -> None:
    """The booking is not lost: the error says what to do, and once that is done it goes on."""
    merchants = Merchants(engine)
    await merchants.apply(SHOP, NOW)
    with pytest.raises(ApplicationError, match=words) as caught:
        await ActivityEnvironment().run(merchants.booking_rules, place)
    assert not caught.value.non_retryable
    with pytest.raises(UnknownMerchantError):
        await merchants.get("nobody")
