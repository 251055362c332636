"""Any life that bonuses may lead, booked twice: by the ledger, and in a list of lots."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.bonuses import Bonuses, balances_of, differences, lots_of
from activities.database import migrate, open_database, reading
from models.bonus import Accrual, BonusError, Refund, Short, Spend, Spent
from tests.databases import migrated_postgresql
from tests.requirements import requirement

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAYS = 2
"""So long holds what is given back of a lot that has ended."""
WHO = ("ada", "bo")
CURRENCIES = ("gift", "promo")

members = st.sampled_from([*WHO[:1] * 4, *WHO])
currencies = st.sampled_from([*CURRENCIES[:1] * 4, *CURRENCIES])
amounts = st.sampled_from(["1", "2.5", "4", "0.001"]).map(Decimal)
names = st.sampled_from([f"event {n}" for n in range(30)])
backs = st.sampled_from([f"back {n}" for n in range(9)])
late = st.sampled_from([0, 0, 0, 6, 30])
"""So many hours after it happened we are told."""
SETTINGS = settings(stateful_step_count=22, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass
class BookLot:
    """One lot by the book, in hours."""

    whose: tuple[str, str]
    left: Decimal
    begins: int
    ends: int | None
    at: int

    def open(self, hour: int) -> bool:
        return self.left > 0 and self.begins <= hour and (self.ends is None or hour < self.ends)


@dataclass
class Book:
    """All bonuses by the book: no locks, no rows, no thousandths."""

    now: int = 0
    lots: list[BookLot] = field(default_factory=list)
    events: dict[tuple[str, str, str], tuple[object, ...]] = field(default_factory=dict)
    spends: dict[tuple[str, str], list[tuple[BookLot, Decimal]]] = field(default_factory=dict)

    def new(self, kind: str, name: str, currency: str, *what: object) -> bool:
        """Whether it is told the first time; KeyError where the name is that of another."""
        known = self.events.setdefault((kind, name, currency), what)
        if known != what:
            raise KeyError(name)
        return known is what

    def spend(self, whose: tuple[str, str], amount: Decimal, name: str, hour: int) -> bool:
        """One lot after another, the best one each time; False where there is too little."""
        if sum(lot.left for lot in self.lots if lot.whose == whose and lot.open(hour)) < amount:
            del self.events["spend", name, whose[1]]
            return False
        taken = self.spends.setdefault((name, whose[1]), [])
        while amount:
            first = min(
                (lot for lot in self.lots if lot.whose == whose and lot.open(hour)),
                key=lambda lot: (9999 if lot.ends is None else lot.ends, lot.at),
            )
            some = min(first.left, amount)
            first.left -= some
            amount -= some
            taken.append((first, some))
        return True

    def refund(self, whose: tuple[str, str], of: str, amount: Decimal | None, name: str, hour: int) -> None:
        """Off the end of what was taken; KeyError where so much was not, or it is told otherwise."""
        known = self.events.get(("refund", name, whose[1]))
        if known is not None:
            if known not in ((whose[0], of, amount), (whose[0], of, known[2] if amount is None else None)):
                raise KeyError(name)
            return
        taken = self.spends.get((of, whose[1]), [])
        there = sum((some for _, some in taken), Decimal(0))
        wanted = there if amount is None else amount
        if not taken or taken[0][0].whose != whose or not 0 < wanted <= there:
            raise KeyError(of)
        self.events["refund", name, whose[1]] = (whose[0], of, wanted)
        left, again = wanted, Decimal(0)
        while left:
            lot, had = taken.pop()
            some = min(had, left)
            left -= some
            if some < had:
                taken.append((lot, had - some))
            if lot.ends is not None and lot.ends <= self.now:
                again += some
            else:
                lot.left += some
        if again:
            self.lots.append(BookLot(whose, again, self.now, self.now + 24 * DAYS, hour))


class Accounts(RuleBasedStateMachine):
    """One merchant, told all kinds of things, twice and late, while time passes."""

    runner: asyncio.Runner
    engine: AsyncEngine
    lives = 0

    @initialize()
    def begin(self) -> None:
        Accounts.lives += 1
        self.merchant = f"life{self.lives}"
        self.book = Book()
        self.bonuses = Bonuses(self.engine)
        self.told: list[tuple[Callable[[], Awaitable[object]], object]] = []
        for number, life in enumerate((12, 24, None)):
            self.accrue("ada", "gift", Decimal(5), f"first {number}", late=0, begins=0, life=life)

    @rule(hours=st.sampled_from([6, 24]))
    def pass_time(self, hours: int) -> None:
        self.book.now += hours
        self.agrees()

    @rule(
        member_id=members,
        currency=currencies,
        amount=amounts,
        name=names,
        late=late,
        begins=st.sampled_from([0, 0, 6]),
        life=st.sampled_from([None, 12, 12, 30]),
    )
    def accrue(
        self,
        member_id: str,
        currency: str,
        amount: Decimal,
        name: str,
        late: int,
        begins: int,
        life: int | None,
    ) -> None:
        hour = self.book.now - late
        ends = None if life is None else hour + begins + life
        try:
            if self.book.new("accrue", name, currency, member_id, amount, hour + begins, ends):
                self.book.lots.append(BookLot((member_id, currency), amount, hour + begins, ends, hour))
            refused = False
        except KeyError:
            refused = True
        accrual = Accrual(
            member_id,
            currency,
            amount,
            name,
            _at(hour),
            _at(hour + begins),
            _ends(ends),
        )
        self._tell(lambda now: self.bonuses.accrue(self.merchant, accrual, now), refused=refused)

    @rule(member_id=members, currency=currencies, amount=amounts | st.just(Decimal(7)), name=names, late=late)
    def spend(self, member_id: str, currency: str, amount: Decimal, name: str, late: int) -> None:
        hour, enough = self.book.now - late, True
        try:
            if self.book.new("spend", name, currency, member_id, amount):
                enough = self.book.spend((member_id, currency), amount, name, hour)
            refused = False
        except KeyError:
            refused = True
        spend = Spend(member_id, currency, amount, name, _at(hour))
        came = self._tell(
            lambda now: self.bonuses.spend(self.merchant, spend, now), refused=refused, kept=enough
        )
        assert refused or isinstance(came, Spent if enough else Short)

    @precondition(lambda self: self.book.spends)
    @rule(pick=st.integers(0, 20), name=backs, amount=st.none() | amounts, late=late, other=st.booleans())
    def refund(self, pick: int, name: str, amount: Decimal | None, late: int, other: bool) -> None:
        known = sorted(self.book.spends)
        of, currency = known[pick % len(known)]
        member_id = WHO[pick % 2] if other and pick > 15 else str(self.book.events["spend", of, currency][0])
        hour = self.book.now - late
        try:
            self.book.refund((member_id, currency), of, amount, name, hour)
            refused = False
        except KeyError:
            refused = True
        refund = Refund(member_id, currency, of, name, _at(hour), amount, DAYS)
        self._tell(lambda now: self.bonuses.refund(self.merchant, refund, now), refused=refused)

    @rule()
    def burn(self) -> None:
        ended = [
            lot for lot in self.book.lots if lot.ends is not None and lot.ends <= self.book.now and lot.left
        ]
        burnt: dict[str, Decimal] = {}
        for lot in ended:
            burnt[lot.whose[1]] = burnt.get(lot.whose[1], Decimal(0)) + lot.left
            lot.left = Decimal(0)
        done = self.runner.run(self.bonuses.upkeep(self.merchant, _at(self.book.now)))
        assert (done.lots, done.burnt) == (len(ended), burnt)
        self.agrees()

    @precondition(lambda self: self.told)
    @rule(pick=st.integers(0, 100))
    def tell_again(self, pick: int) -> None:
        """Word for word: nothing changes, and the answer is the same."""
        tell, answer = self.told[pick % len(self.told)]
        assert self.runner.run(_awaited(tell)) == answer
        self.agrees()

    def _tell(
        self, tell: Callable[[datetime], Awaitable[Any]], *, refused: bool, kept: bool = True
    ) -> object:
        """What the book refuses, the ledger refuses; then both say the same."""
        answer = None
        try:
            answer = self.runner.run(_awaited(lambda: tell(_at(self.book.now))))
        except BonusError:
            assert refused
        else:
            assert not refused
            if kept:
                self.told.append((lambda: tell(_at(self.book.now)), answer))
        self.agrees()
        return answer

    def agrees(self) -> None:
        self.runner.run(self._agrees())

    async def _agrees(self) -> None:
        hour = self.book.now
        async with reading(self.engine) as connection:
            found = await balances_of(connection, self.merchant, WHO, _at(hour))
            lots = [(who, lot) for who in WHO for lot in await lots_of(connection, self.merchant, who)]
        spendable = {(who, one.currency): one.amount for who in WHO for one in found[who]}
        for whose in {lot.whose for lot in self.book.lots} | spendable.keys():
            kept = [lot for lot in self.book.lots if lot.whose == whose and lot.left]
            assert spendable[whose] == sum(lot.left for lot in kept if lot.open(hour))
            listed = [
                (lot.left, lot.active_from, lot.expires_at)
                for who, lot in lots
                if (who, lot.currency) == whose
            ]
            by_the_book = [(lot.left, _at(lot.begins), _ends(lot.ends)) for lot in kept]
            assert sorted(listed, key=_order) == sorted(by_the_book, key=_order)


def _at(hour: int) -> datetime:
    return START + hour * HOUR


def _ends(hour: int | None) -> datetime | None:
    return None if hour is None else _at(hour)


def _order(lot: tuple[Decimal, datetime, datetime | None]) -> tuple[Decimal, datetime, datetime]:
    left, begins, ends = lot
    return left, begins, ends or START


async def _awaited(tell: Callable[[], Awaitable[Any]]) -> Any:
    return await tell()


@requirement("LOY-11", "LOY-12", "LOY-13")
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("database", "lives"), [("sqlite", 40), ("postgresql", 10)])
def test_bonuses_are_kept_by_the_book(
    tmp_path: Path, request: pytest.FixtureRequest, database: str, lives: int
) -> None:
    """Given, spent, given back and burnt in any order, told twice and told late."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    with asyncio.Runner() as runner:
        if database == "postgresql":
            url = runner.run(migrated_postgresql(request.getfixturevalue("postgresql")))
        else:
            runner.run(migrate(url))
        engine = open_database(url)
        try:
            lived = type("Lived", (Accounts,), {"runner": runner, "engine": engine})
            run_state_machine_as_test(lived, settings=settings(SETTINGS, max_examples=lives))
            assert runner.run(_audit(engine)) == []
        finally:
            runner.run(engine.dispose())


async def _audit(engine: AsyncEngine) -> list[str]:
    async with reading(engine) as connection:
        return await differences(connection)
