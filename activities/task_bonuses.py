"""What regular tasks do to bonuses: a birthday brings some, once a year; others end. [LOY-81]"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio import activity

from activities.audience_birthdays import celebrating
from activities.bonus_books import LOTS, chunks
from activities.bonuses import Bonuses
from activities.database import reading
from activities.merchants import Merchants
from models.birthday import Occasion, gift_ends
from models.bonus import Accrual
from models.regular_task import Gift
from models.task_waves import birthday_event


@dataclass(frozen=True)
class Giving:
    """A gift for all who celebrate on one occasion, given at `now`."""

    merchant_id: str
    gift: Gift
    occasion: Occasion
    now: datetime


@dataclass(frozen=True)
class Burning:
    """What has ended by `now` is to burn. `since`: the upkeep before."""

    merchant_id: str
    now: datetime
    since: datetime | None = None


class TaskBonuses:
    """The activities of regular tasks that change bonuses."""

    def __init__(self, engine: AsyncEngine, merchants: Merchants, bonuses: Bonuses) -> None:
        self._engine = engine
        self._merchants = merchants
        self._bonuses = bonuses

    @activity.defn(name="give_birthday_gifts")
    async def give(self, giving: Giving) -> int:
        """Accrue the gift to each; answers how many have one now. Safe to run again.

        The year's event names the member alone: another day, task or gift of that year gives nothing more.
        """
        merchant = await self._merchants.get(giving.merchant_id)
        day = giving.occasion.day
        async with reading(self._engine) as connection:
            who = celebrating(merchant, day, giving.occasion.zone)
            members = sorted(map(str, (await connection.execute(who)).scalars()))
            events = {birthday_event(day.year, member_id): member_id for member_id in members}
            given = await _given(connection, merchant.id, list(events))
        accruals = [
            Accrual(
                member_id,
                giving.gift.currency,
                giving.gift.amount,
                event,
                at=giving.occasion.due,
                expires_at=gift_ends(giving.gift.days, giving.occasion, giving.now),
                note="birthday",
            )
            for event, member_id in events.items()
            if given.get(event, giving.gift.currency) == giving.gift.currency
        ]
        for page in chunks(accruals):
            await self._bonuses.accrue_many(merchant.id, page, giving.now)
            activity.heartbeat()
        return len(accruals)

    @activity.defn(name="burn_bonuses")
    async def burn(self, burning: Burning) -> str:
        """Burn what has ended; answers what burned and what began, in words. Safe to run again."""
        done = await self._bonuses.upkeep(
            burning.merchant_id, burning.now, burning.since, beat=lambda lots: activity.heartbeat(lots)
        )
        return ", ".join((*_sums("burned", done.burnt), *_sums("began", done.activated)))


async def _given(connection: AsyncConnection, merchant_id: str, events: Sequence[str]) -> Mapping[str, str]:
    """The currency of each event that has given something already."""
    found: dict[str, str] = {}
    query = select(LOTS.c.event_id, LOTS.c.currency).where(LOTS.c.merchant_id == merchant_id)
    for some in chunks(events):
        rows = await connection.execute(query.where(LOTS.c.event_id.in_(some)))
        found |= {row.event_id: row.currency for row in rows}
    return found


def _sums(word: str, sums: Mapping[str, Decimal]) -> list[str]:
    """`burned 120 points`, for each account."""
    return [f"{word} {amount} {currency}" for currency, amount in sums.items()]
