"""What is written past SQLAlchemy is what SQLAlchemy would have written, and a transaction is one."""

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, MetaData, Numeric, String, Table, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.bulk import Lookup, all_rows, among, as_one
from activities.database import reading, transact, writing
from activities.message_log import MessageLog
from activities.message_rows import MESSAGES, NEW_COLUMNS, Asked, Left, claimed_row
from models.agenda import Delivery, Notice
from models.notices import Kind
from models.people import Person, Role
from models.tables.messages import MessageStatus
from tests.world import MERCHANT

NOON = datetime(2026, 3, 10, 12, 0, 0, 123456, UTC)
TAIPEI = timezone(timedelta(hours=8))
AWKWARD = [
    "plain",
    "it's",
    'say "so"',
    "林美惠 ☕",
    "back\\slash",
    "line\nbreak",
    "[1, 2]",
    "",
    " %s :x $1 ?",
]


def asked(number: int, name: str, **changes: Any) -> Asked:
    person = Person(name, phone=f"+8869{number:08}", locale="zh-Hant")
    # The same instant, told in another zone.
    due = NOON.astimezone(TAIPEI) + timedelta(microseconds=number)
    notice = Notice(f"key/{number}/{name}", Kind.PRE_VISIT, Role.PARTICIPANT, person, ("sms",), due, due)
    delivery = Delivery(notice, None, MERCHANT.id, "booking:lumi:b")
    return Asked(delivery, "sms", MERCHANT, "token", NOON, {"text": name, "segments": number}, **changes)


async def rows_of(connection: AsyncConnection) -> list[dict[str, Any]]:
    query = select(*(MESSAGES.c[name] for name in MESSAGES.c.keys() if name != "id"))  # noqa: SIM118
    found = await connection.execute(query.order_by(MESSAGES.c.notice_key))
    return [dict(row) for row in found.mappings()]


async def test_a_claim_is_the_row_that_sqlalchemy_would_write(engine: AsyncEngine) -> None:
    """Every column of it, whatever is in a name: strings, numbers, flags, instants and what is not known."""
    page = [asked(number, name) for number, name in enumerate(AWKWARD)]
    async with writing(engine) as connection:
        rows = [claimed_row(one) for one in page]
        assert {*rows[0]} == {*NEW_COLUMNS}
        await connection.execute(insert(MESSAGES), rows)
        wanted = await rows_of(connection)
        await connection.execute(MESSAGES.delete())
    await MessageLog(engine).claim(page)
    async with reading(engine) as connection:
        assert await rows_of(connection) == wanted


async def test_what_came_of_messages_is_written_to_each_its_own(engine: AsyncEngine) -> None:
    """A page in one statement, and every row has what is its own."""
    log = MessageLog(engine)
    claims = await log.claim([asked(number, name) for number, name in enumerate(AWKWARD)])
    await log.leave(
        [
            Left(
                claim,
                MERCHANT.id,
                MessageStatus.WAITING if number % 3 == 0 else MessageStatus.SENT,
                NOON + timedelta(seconds=number),
                reason=AWKWARD[number],
                provider_id=f"id-{number}",
                doubtful=number % 2 == 0,
                ask_at=NOON if number % 4 == 0 else None,
            )
            for number, claim in enumerate(claims)
        ]
    )
    rows = {row["notice_key"]: row for row in await log.messages()}
    for number, claim in enumerate(claims):
        row = rows[claim.key]
        sent = number % 3 != 0
        assert (row["status"], row["reason"], row["provider_id"], bool(row["doubtful"])) == (
            "sent" if sent else "waiting", AWKWARD[number], f"id-{number}", number % 2 == 0,
        )  # fmt: skip
        assert (row["settled_at"] is not None, row["ask_at"] is not None) == (sent, number % 4 == 0)


_LOOKUP = Lookup(select(MESSAGES.c.recipient), names=MESSAGES.c.recipient)


async def found(engine: AsyncEngine, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """By a query that is kept, and by one that is made for these."""

    async def look(connection: AsyncConnection) -> tuple[list[str], list[str]]:
        kept = await _LOOKUP.rows(connection, {"names": names})
        query = select(MESSAGES.c.recipient).where(among(connection.dialect, MESSAGES.c.recipient, names))
        made = await all_rows(connection, query)
        return sorted(name for (name,) in kept), sorted(name for (name,) in made)

    return await transact(engine, look, writes=False)


async def test_keys_of_any_kind_are_found_and_no_others(engine: AsyncEngine) -> None:
    """A list travels as one value: nothing in a key is read as a part of it."""
    await MessageLog(engine).claim([asked(number, name) for number, name in enumerate(AWKWARD)])
    assert await found(engine, []) == ([], [])
    assert await found(engine, ["nobody"]) == ([], [])
    assert await found(engine, AWKWARD) == (sorted(AWKWARD), sorted(AWKWARD))
    for name in AWKWARD:
        assert await found(engine, [name, "nobody"]) == ([name], [name])


_WHOLE = Lookup(select(MESSAGES), names=MESSAGES.c.recipient)


async def test_whole_rows_are_what_sqlalchemy_reads(engine: AsyncEngine) -> None:
    """Strings, numbers, flags, instants, and what is not known; none where nothing is asked for."""
    log = MessageLog(engine)
    claims = await log.claim([asked(number, name) for number, name in enumerate(AWKWARD)])
    await log.leave(
        [
            Left(claim, MERCHANT.id, MessageStatus.SENT, NOON, reason="\x01\t\u2028", doubtful=True)
            for claim in claims[::2]
        ]
    )

    async def look(connection: AsyncConnection) -> tuple[list[Any], list[Any]]:
        plain = await all_rows(connection, select(MESSAGES).order_by(MESSAGES.c.id))
        return sorted(await _WHOLE.rows(connection, {"names": AWKWARD})), list(plain)

    found, plain = await transact(engine, look, writes=False)
    assert [dict(row._asdict()) for row in found] == [dict(row._mapping) for row in plain]
    assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in plain]
    assert len(found) == len(AWKWARD)


_PRICES = Table("prices", MetaData(), Column("name", String), Column("price", Numeric(30, 10)))
_PRICE = Lookup(select(_PRICES), names=_PRICES.c.name)


async def test_what_json_would_round_is_read_row_by_row(engine: AsyncEngine) -> None:
    """A number of many digits comes as SQLAlchemy reads it."""
    async with writing(engine) as connection:
        await connection.run_sync(_PRICES.create)
        await connection.execute(insert(_PRICES), [{"name": "a", "price": Decimal("12345678.1234567891")}])
        plain = (await connection.execute(select(_PRICES))).all()
        found = await _PRICE.rows(connection, {"names": ["a"]})
        assert list(found) == list(plain)
        assert isinstance(found[0].price, Decimal)
        await connection.run_sync(_PRICES.drop)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), max_size=5))
def test_a_list_of_keys_means_itself(keys: list[str]) -> None:
    """On SQLite it travels as JSON: what comes out is what went in."""
    connection = sqlite3.connect(":memory:")
    told = connection.execute("SELECT value FROM json_each(?)", (as_one("sqlite", keys),)).fetchall()
    connection.close()
    assert [key for (key,) in told] == sorted(keys)


async def test_a_transaction_that_fails_leaves_nothing_behind(engine: AsyncEngine) -> None:
    """All of it or none of it, however it is carried out."""

    async def half(connection: AsyncConnection) -> None:
        await connection.execute(insert(MESSAGES), [claimed_row(asked(1, "half"))])
        raise ValueError("no further")

    with pytest.raises(ValueError, match="no further"):
        await transact(engine, half)
    async with reading(engine) as connection:
        assert await rows_of(connection) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_transaction_waits_for_nothing_else(engine: AsyncEngine) -> None:
    """On SQLite it is done at one go: one that would wait is an error, and not a lock that is held."""

    async def waiting(connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT 1"))
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waited for something else than its connection"):
        await transact(engine, waiting)
    await MessageLog(engine).claim([asked(1, "after")])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_one_who_only_reads_is_not_kept_waiting_by_a_writer(engine: AsyncEngine) -> None:
    """And sees what was there before."""

    async def look(connection: AsyncConnection) -> int:
        return len(await rows_of(connection))

    async with writing(engine) as connection:
        await connection.execute(insert(MESSAGES), [claimed_row(asked(1, "new"))])
        assert await asyncio.wait_for(transact(engine, look, writes=False), 5) == 0
    assert await transact(engine, look, writes=False) == 1


async def test_an_engine_that_was_disposed_of_may_be_used_again(engine: AsyncEngine) -> None:
    """As SQLAlchemy's own pools are made anew."""
    await engine.dispose()
    (claim,) = await MessageLog(engine).claim([asked(1, "again")])
    assert claim.holds
