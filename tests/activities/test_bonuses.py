"""Bonuses, on both databases: whatever comes in whatever order, accounts, lots and entries add up."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.bonuses import Bonuses, balances_of, currencies_of, differences, lots_of, statement
from activities.database import open_database, reading, writing
from models.bonus import (
    Accrual,
    Accrued,
    BonusError,
    Entry,
    EntryKind,
    Part,
    Refund,
    Refused,
    Returned,
    Short,
    Spend,
    Spent,
)
from models.member_content import Balance
from tests.requirements import requirement

ROOT = Path(__file__).resolve().parent.parent.parent
NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)
BLINK = timedelta(microseconds=1)


@pytest.fixture
async def bonuses(engine: AsyncEngine) -> AsyncIterator[Bonuses]:
    """At the end everything adds up."""
    yield Bonuses(engine)
    async with reading(engine) as connection:
        assert await differences(connection) == []


def accrual(event_id: str, amount: str = "10", member_id: str = "ada", ends: float | None = None) -> Accrual:
    end = None if ends is None else NOW + ends * DAY
    return Accrual(member_id, "gift", Decimal(amount), event_id, NOW, expires_at=end)


def spend(event_id: str, amount: str, at: datetime = NOW, member_id: str = "ada") -> Spend:
    return Spend(member_id, "gift", Decimal(amount), event_id, at)


def refund(event_id: str, of: str, amount: str | None = None, days: int = 14) -> Refund:
    return Refund("ada", "gift", of, event_id, NOW, None if amount is None else Decimal(amount), days)


async def spendable(engine: AsyncEngine, now: datetime = NOW) -> Decimal:
    """What Ada can spend of her gift account."""
    async with reading(engine) as connection:
        balances = await balances_of(connection, "lumi", ["ada"], now)
    return sum((balance.amount for balance in balances["ada"]), Decimal(0))


async def entries(engine: AsyncEngine) -> list[tuple[str, str, int]]:
    """Ada's, the oldest first."""
    async with reading(engine) as connection:
        found = await statement(connection, "lumi", "ada")
    return [(entry.kind.value, entry.event_id, int(entry.amount)) for entry in reversed(found)]


@requirement("LOY-11", "LOY-12", "LOY-13")
async def test_bonuses_are_given_spent_and_asked_for(bonuses: Bonuses, engine: AsyncEngine) -> None:
    """What ends first is spent first; every change is on the statement."""
    await bonuses.accrue("lumi", accrual("receipt 1", "10"), NOW)
    ending = await bonuses.accrue("lumi", accrual("receipt 2", "5.5", ends=9), NOW)
    came = await bonuses.spend("lumi", spend("receipt 3", "7"), NOW)
    assert isinstance(came, Spent)
    assert came.parts == (Part(ending.lot_id, Decimal("5.5")), Part(came.parts[1].lot_id, Decimal("1.5")))
    assert await spendable(engine) == Decimal("8.5")
    async with reading(engine) as connection:
        (newest, *_) = await statement(connection, "lumi", "ada", limit=1)
        assert await currencies_of(connection, "lumi") == ("gift",)
    assert newest == Entry("gift", EntryKind.SPEND, Decimal("-1.5"), came.parts[1].lot_id, "receipt 3", NOW)


@requirement("LOY-12")
async def test_a_spend_that_is_too_much_takes_nothing_and_says_what_there_is(
    bonuses: Bonuses, engine: AsyncEngine
) -> None:
    """It is not kept: the same event is taken once there is enough."""
    await bonuses.accrue("lumi", accrual("receipt 1", "10"), NOW)
    await bonuses.accrue("lumi", accrual("ended", "90", ends=-0.5), NOW - DAY)
    reason = "11 gift are asked for, and 10 can be spent"
    assert await bonuses.spend("lumi", spend("receipt 2", "11"), NOW) == Short(
        "receipt 2", Decimal(10), reason
    )
    assert await spendable(engine) == 10
    await bonuses.accrue("lumi", accrual("receipt 0", "1"), NOW)
    assert isinstance(await bonuses.spend("lumi", spend("receipt 2", "11"), NOW), Spent)
    nobody = await bonuses.spend("lumi", spend("receipt 3", "1", member_id="nobody"), NOW)
    assert isinstance(nobody, Short)


@requirement("LOY-43")
async def test_every_account_that_a_member_ever_had_has_a_balance(
    bonuses: Bonuses, engine: AsyncEngine
) -> None:
    """Only what can be spent now counts; an account with nothing in it holds 0; who has none has none."""
    await bonuses.accrue("lumi", accrual("a", "300"), NOW)
    promo = Accrual("ada", "promo", Decimal(52), "a", NOW, NOW + DAY, NOW + 2 * DAY)
    await bonuses.accrue("lumi", promo, NOW)
    await bonuses.accrue("other", accrual("a", "7"), NOW)
    for now, amount in (NOW, 0), (NOW + DAY, 52), (NOW + 2 * DAY - BLINK, 52), (NOW + 2 * DAY, 0):
        async with reading(engine) as connection:
            found = await balances_of(connection, "lumi", ["ada", "bo"], now)
        assert found == {"ada": (Balance("gift", Decimal(300)), Balance("promo", Decimal(amount))), "bo": ()}


async def test_an_event_told_twice_counts_once_with_the_same_answer(
    bonuses: Bonuses, engine: AsyncEngine
) -> None:
    """However often, and later; the same id is free for another kind of event and another currency."""
    answers = []
    for late in range(3):
        now = NOW + late * DAY
        answers.append(
            (
                await bonuses.accrue("lumi", accrual("receipt 1", "10", ends=1.5), now),
                await bonuses.spend("lumi", spend("receipt 1", "6"), now),
                await bonuses.refund("lumi", refund("receipt 2", "receipt 1", "4"), now),
            )
        )
    assert answers[0] == answers[1] == answers[2]
    kinds = [("accrue", "receipt 1", 10), ("spend", "receipt 1", -6), ("refund", "receipt 2", 4)]
    assert await entries(engine) == kinds


async def test_an_event_told_otherwise_is_refused(bonuses: Bonuses, engine: AsyncEngine) -> None:
    """Another amount or member under the same id; and nothing is booked."""
    await bonuses.accrue("lumi", accrual("receipt 1", "10"), NOW)
    await bonuses.accrue("lumi", accrual("receipt 9", "10", "bo"), NOW)
    await bonuses.spend("lumi", spend("receipt 1", "6"), NOW)
    await bonuses.refund("lumi", refund("back", "receipt 1", "2"), NOW)
    for told in accrual("receipt 1", "11"), accrual("receipt 1", "10", "bo"):
        with pytest.raises(BonusError, match="event_id: 'receipt 1' names something else that is booked"):
            await bonuses.accrue("lumi", told, NOW)
    other_dates = (
        accrual("receipt 1", "10", ends=3),
        replace(accrual("receipt 1", "10"), active_from=NOW + DAY),
    )
    for told in other_dates:
        with pytest.raises(BonusError, match=r"'receipt 1' is booked already, to be spent .* for ever:"):
            await bonuses.accrue("lumi", told, NOW)
    await bonuses.accrue("lumi", replace(accrual("receipt 1", "10"), at=NOW + DAY), NOW + DAY)
    for paid in spend("receipt 1", "1"), spend("receipt 1", "6", member_id="bo"):
        with pytest.raises(BonusError, match="event_id: 'receipt 1' names something else that is booked"):
            await bonuses.spend("lumi", paid, NOW)
    for back in refund("back", "receipt 1", "3"), refund("back", "another", "2"):
        with pytest.raises(BonusError, match="event_id: 'back' names something else that is booked"):
            await bonuses.refund("lumi", back, NOW)
    assert await spendable(engine) == 6


@pytest.mark.parametrize("amount", ["0", "-1", "0.0001", "NaN", "1E+12"])
async def test_an_amount_that_is_none_is_refused(bonuses: Bonuses, amount: str) -> None:
    """Nothing, less than nothing, finer or greater than can be kept."""
    await bonuses.accrue("lumi", accrual("receipt 1"), NOW)
    await bonuses.spend("lumi", spend("receipt 1", "6"), NOW)
    with pytest.raises(BonusError, match=r"amount: .*: write"):
        await bonuses.accrue("lumi", accrual("bad", amount), NOW)
    with pytest.raises(BonusError, match=r"amount: .*: write"):
        await bonuses.spend("lumi", spend("bad", amount), NOW)
    with pytest.raises(BonusError, match=r"amount: .*: write"):
        await bonuses.refund("lumi", refund("bad", "receipt 1", amount), NOW)


@requirement("LOY-81")
async def test_a_page_is_given_at_once_and_each_has_its_answer(bonuses: Bonuses, engine: AsyncEngine) -> None:
    """One that cannot be does not hold up the others; the same page again gives nothing more."""
    page = [accrual(f"birthday {n}", "5", f"m{n:04}") for n in range(1_200)]
    odd = [
        accrual("birthday 7", "6", "m0007"),
        accrual("never", "5", ends=-1),
        accrual("birthday 3", "5", "m0003"),
    ]
    first = await bonuses.accrue_many("lumi", [*page, *odd], NOW)
    again = await bonuses.accrue_many("lumi", [*page, *odd], NOW + DAY)
    assert first[: len(page)] == again[: len(page)]
    assert all(isinstance(answer, Accrued) for answer in first[: len(page)])
    assert [type(answer) for answer in first[len(page) :]] == [Refused, Refused, Accrued]
    assert isinstance(first[-2], Refused)
    assert first[-2].reason.startswith("expires_at: 2026-02-28T02:00:00+00:00 is not after")
    async with reading(engine) as connection:
        found = await balances_of(connection, "lumi", [f"m{n:04}" for n in range(1_200)], NOW)
    assert set(found.values()) == {(Balance("gift", Decimal(5)),)}


async def test_what_is_told_late_counts_from_when_it_happened(bonuses: Bonuses) -> None:
    """An offline till: what was spendable then pays for it, as far as it is still there."""
    await bonuses.accrue("lumi", accrual("early", "10", ends=2), NOW)
    await bonuses.accrue("lumi", Accrual("ada", "gift", Decimal(9), "late", NOW + DAY), NOW + DAY)
    told = NOW + 3 * DAY
    came = await bonuses.spend("lumi", spend("offline", "6", at=NOW + 2 * DAY - BLINK), told)
    assert isinstance(came, Spent)
    assert len(came.parts) == 1, "of the lot that had not ended then"
    short = await bonuses.spend("lumi", spend("earlier", "5", at=NOW + BLINK), told)
    assert isinstance(short, Short)
    assert short.spendable == 4, "the other lot was not there yet"
    await bonuses.upkeep("lumi", told)
    too_late = await bonuses.spend("lumi", spend("burnt", "4", at=NOW + DAY - BLINK), told)
    assert isinstance(too_late, Short)
    assert too_late.spendable == 0, "what has burnt is gone"


async def test_nothing_happens_in_the_future(bonuses: Bonuses, engine: AsyncEngine) -> None:
    """A till whose clock is fast cannot spend what has not begun."""
    early = Accrual("ada", "gift", Decimal(5), "a", NOW + DAY, active_from=NOW + DAY)
    await bonuses.accrue("lumi", early, NOW)
    assert isinstance(await bonuses.spend("lumi", spend("b", "5", at=NOW + 2 * DAY), NOW), Short)
    async with reading(engine) as connection:
        (lot,) = await lots_of(connection, "lumi", "ada")
    assert (lot.accrued_at, lot.active_from) == (NOW, NOW + DAY)


async def test_a_refund_goes_back_to_where_it_came_from(bonuses: Bonuses, engine: AsyncEngine) -> None:
    """In parts, what holds longest first; never more than was spent."""
    short = await bonuses.accrue("lumi", accrual("a", "5", ends=5), NOW)
    long = await bonuses.accrue("lumi", accrual("b", "5"), NOW)
    await bonuses.spend("lumi", spend("s", "8"), NOW)
    with pytest.raises(BonusError, match=r"amount: 8\.001 is more than the 8 that are left of 's'"):
        await bonuses.refund("lumi", refund("r0", "s", "8.001"), NOW)
    back = await bonuses.refund("lumi", refund("r1", "s", "4"), NOW)
    assert back == Returned("r1", Decimal(4), (Part(long.lot_id, Decimal(3)), Part(short.lot_id, Decimal(1))))
    rest = await bonuses.refund("lumi", refund("r2", "s"), NOW)
    assert rest == Returned("r2", Decimal(4), (Part(short.lot_id, Decimal(4)),))
    with pytest.raises(BonusError, match="of: all of 's' was given back before"):
        await bonuses.refund("lumi", refund("r3", "s"), NOW)
    with pytest.raises(BonusError, match="of: 'x' is no spend of gift by this member: tell it first"):
        await bonuses.refund("lumi", refund("r3", "x"), NOW)
    assert await spendable(engine) == 10


async def test_what_has_ended_meanwhile_comes_back_for_some_days(
    bonuses: Bonuses, engine: AsyncEngine
) -> None:
    """Whether it has burnt yet or not; with 0 days it goes back to where it burns."""
    await bonuses.accrue("lumi", accrual("a", "5", ends=2), NOW)
    await bonuses.accrue("lumi", accrual("b", "5", ends=3), NOW)
    await bonuses.accrue("lumi", accrual("c", "5"), NOW)
    await bonuses.spend("lumi", spend("s", "12"), NOW)
    later = NOW + 3 * DAY
    await bonuses.upkeep("lumi", NOW + 2 * DAY)
    for _ in range(2):
        back = await bonuses.refund("lumi", refund("r", "s", "10", days=7), later)
        assert [part.amount for part in back.parts] == [2, 8], "what ended came back as one"
    assert await spendable(engine, later) == 13
    assert await spendable(engine, later + 7 * DAY) == 5
    await bonuses.refund("lumi", refund("r2", "s", days=0), later)
    assert await spendable(engine, later) == 13
    await bonuses.upkeep("lumi", later)
    assert [units for kind, _, units in await entries(engine) if kind == "burn"] == [-2]


@requirement("LOY-70")
async def test_what_ends_burns_in_pages_and_what_begins_is_reported(
    bonuses: Bonuses, engine: AsyncEngine
) -> None:
    """Once, at its moment and not before; what is spent of it does not burn."""
    page = [accrual(f"a{n}", "5", f"m{n:04}", ends=1) for n in range(1_100)]
    await bonuses.accrue_many("lumi", [*page, accrual("b", "5", ends=1), accrual("c", "5")], NOW)
    await bonuses.accrue("lumi", Accrual("ada", "promo", Decimal(3), "d", NOW, NOW + DAY), NOW)
    await bonuses.accrue("other", accrual("b", "5", ends=1), NOW)
    await bonuses.spend("lumi", spend("s", "3"), NOW)
    early = await bonuses.upkeep("lumi", NOW + DAY - BLINK, since=NOW)
    assert (early.lots, early.burnt, early.activated) == (0, {}, {})
    beats: list[int] = []
    done = await bonuses.upkeep("lumi", NOW + DAY, since=NOW, beat=beats.append)
    assert (done.lots, done.burnt, done.activated) == (1101, {"gift": Decimal(5502)}, {"promo": Decimal(3)})
    assert beats == [500, 1000, 1101]
    assert (await bonuses.upkeep("lumi", NOW + DAY)).lots == 0
    assert await spendable(engine, NOW + DAY) == 8


async def test_an_account_that_does_not_add_up_is_found(engine: AsyncEngine) -> None:
    """Somebody wrote into the tables by hand."""
    bonuses = Bonuses(engine)
    await bonuses.accrue("lumi", accrual("a", "5"), NOW)
    await bonuses.accrue("lumi", accrual("b", "5", "bo"), NOW)
    async with writing(engine) as connection:
        await connection.exec_driver_sql("UPDATE bonus_accounts SET balance = 4000 WHERE member_id = 'ada'")
        await connection.exec_driver_sql("UPDATE bonus_lots SET remaining = 6000 WHERE member_id = 'bo'")
        found = await differences(connection)
    assert len(found) == 3
    assert found[0].endswith("holds 6, its entries make 5")
    assert {"ada of lumi has 4 gift, the lots make 5", "bo of lumi has 5 gift, the lots make 6"} == set(
        found[1:]
    )


TILL = """
import asyncio, random, sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from activities.bonuses import Bonuses
from activities.database import open_database
from models.bonus import Accrual, BonusError, Refund, Spend, Spent

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)

async def main(url, name):
    engine, chance = open_database(url), random.Random(name)
    bonuses, paid = Bonuses(engine), []
    for n in range(25):
        # Time runs; lots of a day's life end while others still spend of them.
        now = NOW + n * DAY / 4
        members = [f"m{chance.randrange(3)}" for _ in range(4)]
        page = [Accrual(m, "gift", Decimal(3), f"{name}/{n}/{i}", now, expires_at=now + DAY)
                for i, m in enumerate(members)]
        page += [Accrual(f"m{n % 3}", "gift", Decimal(2), f"shared/{n}", now, expires_at=now + DAY)]
        chance.shuffle(page)
        await bonuses.accrue_many("lumi", page, now)
        for event in f"{name}/{n}", f"shared/{n}":
            member = f"m{n % 3}"
            spend = Spend(member, "gift", Decimal("5"), event, now - chance.choice([0, 1]) * DAY / 2)
            came = await bonuses.spend("lumi", spend, now)
            if isinstance(came, Spent):
                paid.append(event)
                if chance.random() < 0.4:
                    try:
                        await bonuses.refund("lumi", Refund(member, "gift", event, f"back {event}", now), now)
                    except BonusError as error:
                        assert "given back before" in str(error), error
        if n % 3 == 0:
            await bonuses.upkeep("lumi", now)
    await engine.dispose()
    print(*dict.fromkeys(paid), sep="\\n")

asyncio.run(main(*sys.argv[1:]))
"""


@requirement("LOY-12")
async def test_many_tills_at_once_never_spend_a_bonus_twice(database_url: str) -> None:
    """Three processes give, spend, take back and burn at once: each event once, nothing below 0."""
    said = await _processes(TILL, database_url)
    engine = open_database(database_url)
    members = [f"m{n}" for n in range(3)]
    async with reading(engine) as connection:
        assert await differences(connection) == []
        found = [entry for m in members for entry in await statement(connection, "lumi", m, limit=100_000)]
    await engine.dispose()
    by_kind = {kind: [one for one in found if one.kind is kind] for kind in EntryKind}
    assert sum(one.amount for one in by_kind[EntryKind.ACCRUE]) == 3 * 25 * 4 * 3 + 25 * 2
    assert {one.event_id for one in by_kind[EntryKind.SPEND]} == set(said)
    assert -sum(one.amount for one in by_kind[EntryKind.SPEND]) == 5 * len(set(said))
    assert by_kind[EntryKind.BURN]
    assert sum(one.amount for one in found) >= 0


RACER = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from activities.bonuses import Bonuses
from activities.database import open_database
from models.bonus import Spend, Spent

END = datetime(2026, 3, 2, tzinfo=UTC)

async def main(url, name):
    engine = open_database(url)
    bonuses = Bonuses(engine)
    for n in range(40):
        if name == "0":
            if n % 8 == 0:
                await bonuses.upkeep("lumi", END)
            continue
        spend = Spend(f"m{n}", "gift", Decimal(5), f"s{n}", END - timedelta(microseconds=1))
        if isinstance(await bonuses.spend("lumi", spend, END), Spent):
            print(n)
    await bonuses.upkeep("lumi", END)
    await engine.dispose()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_ends_is_spent_or_burnt_but_never_both(database_url: str) -> None:
    """A till and the upkeep reach for the same lots at the same instant, and the same till tells twice."""
    engine = open_database(database_url)
    lots = [accrual(f"a{n}", "5", f"m{n}", ends=22 / 24) for n in range(40)]
    await Bonuses(engine).accrue_many("lumi", lots, NOW)
    spent = {int(line) for line in await _processes(RACER, database_url)}
    async with reading(engine) as connection:
        assert await differences(connection) == []
        for n in range(40):
            last, *_ = await statement(connection, "lumi", f"m{n}")
            assert last.kind is (EntryKind.SPEND if n in spent else EntryKind.BURN)
            assert last.amount == -5
    await engine.dispose()


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
    return [line for out, _ in said for line in out.decode().splitlines() if line]
