"""The database: its migrations are what the tables say, and several processes may use it at once."""

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
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
