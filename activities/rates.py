"""The pace that a provider allows: turns that all worker processes take from one row, by the real clock.

A turn is for one hand-over, and its moment is its own: turns of one account lie so far apart that no second
holds more of them than the limit, even where one leaves late by LATE and takes as long again to arrive.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.batch import Batch
from channels.base import Channel, Credentials
from models.tables.providers import ProviderRateRow

RATES = ProviderRateRow.__table__  # type: ignore[attr-defined]

LATE = timedelta(milliseconds=50)
"""A turn that is missed by more than this is let go, and another taken."""
NEAR = timedelta(milliseconds=250)
"""Who has a turn is warned so long before it comes."""
FARTHEST = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=10)
SECOND = timedelta(seconds=1) + 2 * LATE
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Limit:
    """So many hand-overs a second, for one account at a provider."""

    name: str
    per_second: float

    @property
    def apart(self) -> int:
        """Microseconds from one turn to the next."""
        return int(SECOND / self.per_second / MICROSECOND) + 1


@dataclass(frozen=True)
class Turn:
    """A moment to hand over; or, where none was soon enough, the moment to come again."""

    at: datetime
    given: bool


@dataclass(frozen=True)
class _Ask:
    limit: Limit
    now: int
    until: int


def limit_of(provider: Channel, credentials: Credentials, merchant_id: str) -> Limit | None:
    """The limit for a merchant's messages, or None. DeliveryError where the setting cannot be used."""
    name = provider.provider.upper()
    stated = provider.abilities.per_second or 0.0
    per_second = credentials.number(f"{name}_PER_SECOND", merchant_id, stated)
    if not per_second:
        return None
    account = "\n".join(credentials.get(setting, merchant_id) for setting in provider.abilities.account)
    # An account is named by a secret here and there: what is kept is its mark.
    mark = hashlib.sha256(account.encode()).hexdigest()[:16]
    return Limit(f"{provider.provider}:{mark}", per_second)


def real_time() -> datetime:
    """The time that all worker processes share."""
    return datetime.now(UTC)


class Rates:
    """Gives turns. What many ask for at one time is one transaction."""

    def __init__(self, engine: AsyncEngine, clock: Callable[[], datetime] = real_time) -> None:
        self._clock = clock
        insert = postgresql_insert if engine.dialect.name == "postgresql" else sqlite_insert
        self._insert = insert(RATES).on_conflict_do_nothing()
        self._asks: Batch[_Ask, Turn] = Batch(engine, self._reserve)

    async def reserve(self, limit: Limit, patience: timedelta) -> Turn:
        """The next free turn, if it comes soon enough; else nothing is taken.

        Those who are sent away are told to come again one after the other, at the pace of the limit: they do
        not all come at once, and what they leave free is there for whoever comes meanwhile.
        """
        now = self._clock()
        return await self._asks.ask(_Ask(limit, _micros(now), _micros(now + patience)))

    async def wait(self, limit: Limit, patience: timedelta, ready: Callable[[], Awaitable[None]]) -> Turn:
        """Take a turn and wait for it; `ready` is called when it is near, once.

        A turn that was slept through is let go and another taken, lest two leave together.
        """
        end, warned = self._clock() + patience, False
        while True:
            turn = await self.reserve(limit, end - self._clock())
            if not turn.given:
                return turn
            await self._sleep_until(turn.at - NEAR)
            if not warned:
                warned = True
                await ready()
            await self._sleep_until(turn.at)
            if self._clock() <= turn.at + LATE:
                return turn

    async def _sleep_until(self, moment: datetime) -> None:
        left = moment - self._clock()
        if left > timedelta(0):
            await asyncio.sleep(left.total_seconds())

    async def _reserve(self, connection: AsyncConnection, asks: Sequence[_Ask]) -> list[Turn]:
        names = sorted({ask.limit.name for ask in asks})
        await connection.execute(
            self._insert, [{"name": name, "next_free": 0, "called_back": 0} for name in names]
        )
        query = select(RATES).where(RATES.c.name.in_(names)).order_by(RATES.c.name).with_for_update()
        paces = {row.name: [row.next_free, row.called_back] for row in await connection.execute(query)}
        turns = [_turn(ask, paces[ask.limit.name]) for ask in asks]
        written = [{"of": n, "next_free": free, "called_back": back} for n, (free, back) in paces.items()]
        await connection.execute(_WRITE, written)
        return turns


def _turn(ask: _Ask, pace: list[int]) -> Turn:
    """The next turn; `pace`, the first that is free and the last call, moves on."""
    # A turn lies never far ahead: one that does was taken by a machine whose clock is wrong.
    free = max(pace[0], ask.now) if pace[0] < ask.now + FARTHEST // MICROSECOND else ask.now
    if free <= ask.until:
        pace[0] = free + ask.limit.apart
        return Turn(_moment(free), given=True)
    again = min(max(pace[1], free), ask.now + LONGEST_WAIT // MICROSECOND)
    pace[1] = again + ask.limit.apart
    return Turn(_moment(again), given=False)


_WRITE = update(RATES).where(RATES.c.name == bindparam("of"))


def _micros(instant: datetime) -> int:
    return (instant - EPOCH) // MICROSECOND


def _moment(micros: int) -> datetime:
    return EPOCH + micros * MICROSECOND
