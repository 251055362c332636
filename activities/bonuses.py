"""Bonuses: what members get, pay with, get back and lose. Whatever comes in whatever order, it adds up.

Each transaction begins by locking the accounts that it changes: nobody spends what another has just spent,
and nothing that ends is both spent and burnt. An event, known by its id, kind and currency, counts once: told
again it is the same answer, told otherwise (another member or amount) it is refused.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.bonus_accounts import balances_of, currencies_of, differences, lots_of, statement
from activities.bonus_accruals import accrue_all
from activities.bonus_spends import refund, spend
from activities.bonus_upkeep import activated, burn_page
from activities.database import reading, writing
from models.bonus import (
    Accrual,
    Accrued,
    BonusError,
    Refund,
    Refused,
    Returned,
    Short,
    Spend,
    Spent,
    Upkeep,
)
from models.credits import to_points

__all__ = ["Bonuses", "balances_of", "currencies_of", "differences", "lots_of", "statement"]


class Bonuses:
    """The bonuses of all merchants. `now` is when we are told; what we are told of did not happen later."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def accrue(self, merchant_id: str, accrual: Accrual, now: datetime) -> Accrued:
        """Give bonuses; BonusError where that cannot be. [LOY-11]"""
        (answer,) = await self.accrue_many(merchant_id, [accrual], now)
        if isinstance(answer, Refused):
            raise BonusError(answer.reason)
        return answer

    async def accrue_many(
        self, merchant_id: str, accruals: Sequence[Accrual], now: datetime
    ) -> list[Accrued | Refused]:
        """Give bonuses to many, in one transaction; the answers are in the same order. [LOY-81]"""
        async with writing(self._engine) as connection:
            return await accrue_all(connection, merchant_id, accruals, now)

    async def spend(self, merchant_id: str, wanted: Spend, now: datetime) -> Spent | Short:
        """Pay with bonuses, all that is asked for or nothing; BonusError where that cannot be. [LOY-12]"""
        async with writing(self._engine) as connection:
            return await spend(connection, merchant_id, wanted, now)

    async def refund(self, merchant_id: str, wanted: Refund, now: datetime) -> Returned:
        """Give back what a spend took; BonusError where that cannot be."""
        async with writing(self._engine) as connection:
            return await refund(connection, merchant_id, wanted, now)

    async def upkeep(
        self,
        merchant_id: str,
        now: datetime,
        since: datetime | None = None,
        beat: Callable[[int], None] | None = None,
    ) -> Upkeep:
        """Burn what has ended, page after page, and report what became spendable since that moment.

        `beat` is told after each page how many lots have burnt so far. Safe to break off and to run again.
        """
        lots, burnt, begun, more = 0, Counter[str](), Counter[str](), True
        while more:
            async with writing(self._engine) as connection:
                page = await burn_page(connection, merchant_id, now)
            lots, burnt, more = lots + page.lots, burnt + page.units, page.more
            if beat is not None:
                beat(lots)
        if since is not None:
            async with reading(self._engine) as connection:
                begun = await activated(connection, merchant_id, since, now)
        return Upkeep(lots, _points(burnt), _points(begun))


def _points(units: Counter[str]) -> dict[str, Decimal]:
    return {currency: to_points(amount) for currency, amount in sorted(units.items())}
