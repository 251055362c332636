"""The database: its migrations are what the tables say, and several processes may use it at once."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import SQLModel

import models.tables  # noqa: F401
from activities import database
from activities.batch import OUT_OF_REACH
from activities.database import migrate, open_database, reading, revision, transact, writing
from migrations import locks
from tests.databases import empty_postgresql
from tests.requirements import requirement

ROOT = Path(__file__).resolve().parent.parent.parent


async def test_the_migrations_make_exactly_the_tables_of_the_models(engine: AsyncEngine) -> None:
    """Nothing is in the one that is not in the other."""

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), SQLModel.metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    """A worker migrates at every start."""
    assert await migrate(database_url) is False
    current, newest = await revision(database_url)
    assert current == newest


async def test_workers_that_start_together_migrate_one_after_another(tmp_path: Path) -> None:
    """Four processes on one new database: none fails."""
    url = f"sqlite:///{tmp_path / 'new' / 'carillon.db'}"
    code = f"import asyncio; from activities.database import migrate; asyncio.run(migrate({url!r}))"
    started = [await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT) for _ in range(4)]
    assert await asyncio.gather(*(process.wait() for process in started)) == [0, 0, 0, 0]


async def test_writers_in_several_places_lose_no_update(database_url: str) -> None:
    """Eight writers read and write the same row fifty times each: nothing is lost, nobody fails."""
    setup = open_database(database_url)
    async with writing(setup) as connection:
        await connection.execute(text("CREATE TABLE counter (n INTEGER NOT NULL)"))
        await connection.execute(text("INSERT INTO counter VALUES (0)"))
    lock = "" if setup.dialect.name == "sqlite" else " FOR UPDATE"

    async def count() -> None:
        engine = open_database(database_url)
        for _ in range(50):
            async with writing(engine) as connection:
                n = (await connection.execute(text(f"SELECT n FROM counter{lock}"))).scalar_one()
                await connection.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})
        await engine.dispose()

    await asyncio.gather(*(count() for _ in range(8)))
    async with reading(setup) as connection:
        assert (await connection.execute(text("SELECT n FROM counter"))).scalar_one() == 400
    await setup.dispose()


async def test_a_reader_holds_up_no_writer(database_url: str) -> None:
    """A long look at the history does not stop the sending."""
    engine = open_database(database_url)
    async with reading(engine) as reader:
        await reader.execute(text("SELECT count(*) FROM messages"))
        async with asyncio.timeout(5), writing(engine) as writer:
            await writer.execute(text("DELETE FROM messages"))
    await engine.dispose()


@requirement("WACA-35")
async def test_an_error_quotes_nothing_that_was_to_be_written(engine: AsyncEngine) -> None:
    """Temporal keeps the sentence of a failed attempt, and so do logs: no phone, no code's hash, no text."""
    with pytest.raises(DBAPIError) as caught:
        async with writing(engine) as connection:
            await connection.execute(text("INSERT INTO nowhere VALUES (:phone)"), {"phone": "+886912000111"})
    assert "nowhere" in str(caught.value)
    assert "912000111" not in f"{caught.value} {caught.value!r}"


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A SQLite file with one row."""
    opened = open_database(f"sqlite:///{tmp_path / 'counter.db'}")
    async with writing(opened) as connection:
        await connection.execute(text("CREATE TABLE counter (n INTEGER NOT NULL)"))
        await connection.execute(text("INSERT INTO counter VALUES (0)"))
    yield opened
    await opened.dispose()


@contextmanager
def another_writer(file: AsyncEngine) -> Iterator[sqlite3.Connection]:
    """Somebody who has begun to write, as another process would."""
    other = sqlite3.connect(str(file.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


async def _counted(connection: AsyncConnection) -> int:
    await connection.execute(text("UPDATE counter SET n = n + 1"))
    return int((await connection.execute(text("SELECT n FROM counter"))).scalar_one())


async def test_whoever_waits_for_another_writer_has_its_turn_when_that_one_is_done(
    file: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks again and again, and then it sees what the other one wrote."""
    looked, loop = asyncio.Event(), asyncio.get_running_loop()
    monkeypatch.setattr(time, "sleep", lambda _: loop.call_soon_threadsafe(looked.set))
    with another_writer(file) as other:
        waiting = asyncio.create_task(transact(file, _counted))
        await looked.wait()
        other.execute("UPDATE counter SET n = 41")
        assert not waiting.done()
        other.execute("COMMIT")
        assert await waiting == 42


async def test_a_file_that_somebody_keeps_to_himself_is_out_of_reach(
    file: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error that is tried again, and not waited for without end; later all is as before."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with another_writer(file), pytest.raises(OUT_OF_REACH, match="locked"):
        await transact(file, _counted)
    assert await transact(file, _counted) == 1


BEFORE = "0010"
"""The last revision without an index of messages in trouble and a column of what held them."""


async def _upgrade(engine: AsyncEngine, to: str) -> None:
    def upgrade(connection: Connection) -> None:
        config = database._config()
        config.attributes["connection"] = connection
        command.upgrade(config, to)

    async with engine.connect() as connection:
        await connection.run_sync(upgrade)


@pytest.fixture
async def before(postgresql: str) -> AsyncIterator[AsyncEngine]:
    """PostgreSQL at an old revision, with two messages that workers are at work on."""
    made = open_database(await empty_postgresql(postgresql))
    await _upgrade(made, BEFORE)
    async with writing(made) as connection:
        await connection.execute(text(TWO_MESSAGES))
    yield made
    await made.dispose()


TWO_MESSAGES = """
INSERT INTO messages
    (notice_key, channel, merchant_id, lifecycle, kind, role, recipient, address, locale, subject, text,
    segments, status, reason, provider, provider_id, doubtful, attempts, token, due, not_after)
SELECT 'k' || n, 'sms', 'lumi', '', '', '', '', '', '', '', '', 1,
    'waiting', '', '', '', false, 1, '', now(), now()
FROM generate_series(1, 2) AS n
"""


async def _sent(connection: AsyncConnection, key: str) -> None:
    await connection.execute(
        text("UPDATE messages SET status = 'sent' WHERE notice_key = :key"), {"key": key}
    )


async def _waits(engine: AsyncEngine) -> None:
    """Until somebody waits for a lock."""
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    async with asyncio.timeout(30), engine.connect() as connection:
        while not await connection.scalar(query):
            await connection.rollback()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("revision_", [BEFORE, "0011"])
async def test_migrations_and_the_workers_of_the_build_before_do_not_kill_each_other(
    before: AsyncEngine, revision_: str
) -> None:
    """One has read a message for update and writes while a migration waits for the table: both go on."""
    await _upgrade(before, revision_)
    async with writing(before) as worker:
        await worker.execute(text("SELECT id FROM messages WHERE notice_key = 'k1' FOR UPDATE"))
        migrating = asyncio.create_task(migrate(_url(before)))
        await _waits(before)
        async with asyncio.timeout(10):
            await _sent(worker, "k1")
    assert await migrating is True
    current, newest = await revision(_url(before))
    assert current == newest
    async with reading(before) as connection:
        found = await connection.execute(text("SELECT status, held FROM messages ORDER BY notice_key"))
        assert found.all() == [("sent", ""), ("waiting", "")]


async def test_whoever_writes_does_not_wait_behind_a_migration_that_waits(
    before: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transaction keeps the table: the migration stands back, and tries again."""
    await _upgrade(before, "0011")
    monkeypatch.setattr(locks, "PATIENCE", 50)
    monkeypatch.setattr(locks, "PAUSE", 0.05)
    async with writing(before) as long:
        await long.execute(text("SELECT id FROM messages WHERE notice_key = 'k1' FOR UPDATE"))
        migrating = asyncio.create_task(migrate(_url(before)))
        await _waits(before)
        async with asyncio.timeout(10), writing(before) as other:
            await _sent(other, "k2")
        assert not migrating.done()
    assert await migrating is True


async def test_an_index_that_was_broken_off_is_built_anew(before: AsyncEngine) -> None:
    """Two workers start together after one was killed meanwhile: one of them builds it, none fails."""
    async with writing(before) as connection:
        await connection.execute(text("CREATE INDEX ix_messages_troubled ON messages (id)"))
    async with asyncio.timeout(60):
        assert sorted(await asyncio.gather(*(_migrating(before) for _ in range(2)))) == [0, 0]
    query = text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_messages_troubled'")
    async with reading(before) as connection:
        assert "(status, settled_at)" in str(await connection.scalar(query))


async def _migrating(engine: AsyncEngine) -> int:
    code = f"import asyncio; from activities.database import migrate; asyncio.run(migrate({_url(engine)!r}))"
    return await (await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT)).wait()


def _url(engine: AsyncEngine) -> str:
    return engine.url.render_as_string(hide_password=False)


@pytest.mark.parametrize("rest", [0.0, 60.0])
async def test_a_connection_is_asked_whether_it_lives_once_it_has_rested(
    rest: float, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was started anew is noticed before a connection is used; one just used is not asked."""
    monkeypatch.setattr(database, "RESTED", rest)
    engine, other = open_database(postgresql), open_database(postgresql)

    async def whose(connection: AsyncConnection) -> int:
        return int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())

    async def end(connection: AsyncConnection) -> None:
        await connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})

    first = await transact(engine, whose)
    assert await transact(engine, whose) == first
    await transact(other, end)
    if rest:
        with pytest.raises(OUT_OF_REACH):
            await transact(engine, whose)
    assert await transact(engine, whose) != first
    await engine.dispose()
    await other.dispose()
