"""Any life that an account may lead, booked twice: by the ledger, and in a dictionary."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.database import open_database, reading
from activities.ledger import Granted, LedgerError, Want, refund, reserve, settle
from activities.ledger_accounts import balance, convert, differences, entries, spend_other, topup
from activities.ledger_books import ALERTS, QUOTAS
from models.credits import OtherUse, Pool, QuotaPolicy
from tests.requirements import requirement
from tests.shops import ABROAD, HOME, NOW, PAYING

MONTHLY = 2
BRANCHES = ("west", "east")

amounts = st.sampled_from(["0.85", "3", "10", "42.5", "43", "0.001", "100"]).map(Decimal)
names = st.sampled_from([f"event {n}" for n in range(6)])
messages = st.sampled_from([f"m{n}" for n in range(6)])
picks = st.integers(0, 6)
costs = st.sampled_from([Decimal(0), HOME, 2 * HOME, 40 * ABROAD])
wants = st.builds(
    Want, messages, st.sampled_from([HOME, ABROAD, 5 * ABROAD]), st.just(1), st.sampled_from(BRANCHES)
)
SETTINGS = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
kept = st.sampled_from([True, True, True, False])
moments = st.sampled_from([NOW, NOW, NOW, NOW + timedelta(days=31)])


@dataclass
class Paid:
    """One message by the book."""

    points: Decimal
    place: tuple[str, str]
    settled: bool = False
    given_back: bool = False


@dataclass
class Book:
    """The whole ledger by the book: no locks, no rows, no thousandths."""

    shop: Decimal = Decimal(0)
    sms: Decimal = Decimal(0)
    used: dict[tuple[str, str], int] = field(default_factory=dict)
    paid: dict[str, Paid] = field(default_factory=dict)
    events: dict[tuple[str, str], Any] = field(default_factory=dict)
    armed: bool = True
    alerts: int = 0

    def event(self, kind: str, name: str, what: object) -> bool:
        """Whether it is new; KeyError where the name is that of another."""
        known = self.events.setdefault((kind, name), what)
        if known is what:
            return True
        if known != what:
            raise KeyError(name)
        return False

    def low(self) -> bool:
        return self.sms // HOME < 50

    def spent(self) -> None:
        if self.armed and self.low():
            self.armed = False
            self.alerts += 1

    def reserve(self, want: Want, month: str) -> bool:
        if (paid := self.paid.get(want.reference)) is not None:
            return not paid.given_back
        place = (want.branch_id, month)
        if self.used.get(place, 0) >= MONTHLY:
            return False
        if want.points > self.sms:
            self.spent()
            return False
        self.sms -= want.points
        self.used[place] = self.used.get(place, 0) + 1
        self.paid[want.reference] = Paid(want.points, place)
        self.spent()
        return True

    def settle(self, reference: str, points: Decimal) -> None:
        paid = self.paid.get(reference)
        if paid is None or paid.settled or paid.given_back:
            return
        more = min(points - paid.points, self.sms)
        paid.settled = more != 0
        paid.points += more
        self.sms -= more
        if more > 0:
            self.spent()

    def refund(self, reference: str) -> None:
        paid = self.paid.get(reference)
        if paid is not None and not paid.given_back:
            paid.given_back = True
            self.sms += paid.points
            self.used[paid.place] -= 1


class Ledgers(RuleBasedStateMachine):
    """One merchant, told all kinds of things; some transactions are rolled back."""

    runner: asyncio.Runner
    engine: AsyncEngine
    lives = 0

    @initialize(points=st.sampled_from(["0.5", "43", "45", "60"]).map(Decimal))
    def begin(self, points: Decimal) -> None:
        Ledgers.lives += 1
        self.merchant = replace(PAYING, id=f"life{self.lives}", quota=QuotaPolicy(monthly=MONTHLY))
        self.book = Book()
        self.topup(Pool.SMS, points, "the first", keep=True)

    @rule(pool=st.sampled_from(Pool), points=amounts, name=names, keep=kept)
    def topup(self, pool: Pool, points: Decimal, name: str, keep: bool) -> None:
        def by_the_book(book: Book) -> None:
            if book.event("topup", name, (pool, points)):
                setattr(book, pool, getattr(book, pool) + points)
                book.armed = book.armed or (pool is Pool.SMS and not book.low())

        self._same(lambda c: topup(c, self.merchant, pool, points, name, NOW), by_the_book, keep)

    @rule(points=amounts, name=names, keep=kept)
    def convert(self, points: Decimal, name: str, keep: bool) -> None:
        def by_the_book(book: Book) -> None:
            if book.event("convert", name, (points,)):
                self._from_shop(book, points)
                book.sms += points
                book.armed = book.armed or not book.low()

        self._same(lambda c: convert(c, self.merchant, points, name, NOW), by_the_book, keep)

    @rule(use=st.sampled_from(OtherUse), points=amounts, name=names, keep=kept)
    def spend_other(self, use: OtherUse, points: Decimal, name: str, keep: bool) -> None:
        def by_the_book(book: Book) -> None:
            if book.event("other", name, (use, points)):
                self._from_shop(book, points)

        self._same(lambda c: spend_other(c, self.merchant.id, use, points, name, NOW), by_the_book, keep)

    @rule(page=st.lists(wants, min_size=1, max_size=6), now=moments, keep=kept)
    def reserve(self, page: list[Want], now: datetime, keep: bool) -> None:
        granted: list[bool] = []

        def by_the_book(book: Book) -> None:
            granted.extend(book.reserve(want, now.strftime("%Y-%m")) for want in page)

        async def told(connection: AsyncConnection) -> None:
            answers = await reserve(connection, self.merchant, page, now)
            assert [isinstance(answer, Granted) for answer in answers] == granted

        self._same(told, by_the_book, keep)

    @rule(costs=st.dictionaries(picks, costs, min_size=1, max_size=3), keep=kept)
    def settle(self, costs: dict[int, Decimal], keep: bool) -> None:
        actual = {self._message(pick): points for pick, points in costs.items()}

        def by_the_book(book: Book) -> None:
            for reference, points in actual.items():
                book.settle(reference, points)

        self._same(
            lambda c: settle(c, self.merchant.id, actual, NOW, self.merchant.credits), by_the_book, keep
        )

    @rule(some=st.lists(picks, min_size=1, max_size=3), keep=kept)
    def refund(self, some: list[int], keep: bool) -> None:
        references = [self._message(pick) for pick in some]

        def by_the_book(book: Book) -> None:
            for reference in references:
                book.refund(reference)

        self._same(lambda c: refund(c, self.merchant.id, references, "why", NOW), by_the_book, keep)

    def _message(self, pick: int) -> str:
        """One that was paid for; now and then one that never was."""
        known = [*sorted(self.book.paid), "never"]
        return known[pick % len(known)]

    @staticmethod
    def _from_shop(book: Book, points: Decimal) -> None:
        if points > book.shop:
            raise KeyError(points)
        book.shop -= points

    def _same(
        self,
        told: Callable[[AsyncConnection], Awaitable[object]],
        by_the_book: Callable[[Book], None],
        keep: bool,
    ) -> None:
        """Do it in both; what one refuses, the other refuses; then both say the same, kept or not."""
        book = _copy(self.book)
        try:
            by_the_book(book)
        except KeyError:
            book, refused = self.book, True
        else:
            refused = False
        self.book = book if keep else self.book
        self.runner.run(self._told(told, book, refused, keep and not refused))

    async def _told(
        self, told: Callable[[AsyncConnection], Awaitable[object]], book: Book, refused: bool, keep: bool
    ) -> None:
        async with self.engine.connect() as connection:
            try:
                await told(connection)
            except LedgerError:
                assert refused
            else:
                assert not refused
                await self._agrees(connection, book)
            await (connection.commit() if keep else connection.rollback())

    async def _agrees(self, connection: AsyncConnection, book: Book) -> None:
        found = await balance(connection, self.merchant.id)
        assert (found.shop, found.sms, found.armed) == (book.shop, book.sms, book.armed)
        assert min(found.shop, found.sms) >= 0
        booked = await entries(connection, self.merchant.id, limit=1000)
        for pool in Pool:
            assert sum(e["points"] for e in booked if e["pool"] == pool) == getattr(book, pool)
        assert len({(e["reference"], e["kind"]) for e in booked}) == len(booked)
        rows = (
            await connection.execute(select(QUOTAS).where(QUOTAS.c.merchant_id == self.merchant.id))
        ).all()
        used = {(row.branch_id, row.month): row.used for row in rows}
        assert used == dict.fromkeys(used, 0) | book.used
        told = await connection.execute(select(ALERTS).where(ALERTS.c.merchant_id == self.merchant.id))
        assert len(told.all()) == book.alerts


def _copy(book: Book) -> Book:
    return replace(
        book,
        used=dict(book.used),
        paid={reference: replace(paid) for reference, paid in book.paid.items()},
        events=dict(book.events),
    )


@requirement("WACA-25", "WACA-26", "WACA-27", "WACA-29b", "LS-20")
@pytest.mark.timeout(120)
def test_the_ledger_is_kept_by_the_book(database_url: str) -> None:
    """Top-ups, conversions, other uses, reservations, settlements and refunds, in any order, some undone."""
    with asyncio.Runner() as runner:
        engine = open_database(database_url)
        try:
            lived = type("Lived", (Ledgers,), {"runner": runner, "engine": engine})
            run_state_machine_as_test(lived, settings=SETTINGS)
            assert runner.run(_audit(engine)) == []
        finally:
            runner.run(engine.dispose())


async def _audit(engine: AsyncEngine) -> list[str]:
    async with reading(engine) as connection:
        return await differences(connection)
