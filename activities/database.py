"""One way to open the database, so that every process treats it alike."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

BUSY_SECONDS = 30
PLANNING = {"plan_cache_mode": "force_custom_plan"}
"""A plan that is made once knows no values: a list of 500 ids is then compared one by one with every row of a
table that was just filled (half a second a query instead of two milliseconds)."""
DISCREET = True
"""An error does not quote what was to be written: it ends in logs and in Temporal's histories. [WACA-35]"""
CACHE_KB = 4_000
"""What a connection to a SQLite file keeps of it in memory: with more, a worker grows with the log."""
CHECKPOINT_PAGES = 4_000
"""So many pages (of 4 KB) gather before they are moved into the file itself, which is waited for."""
RESTED = 5.0
"""Seconds after which a connection to PostgreSQL is asked whether it lives, before it is used again."""
READERS = 3
"""So many transactions read a SQLite file at one time, besides the one that writes."""

FIRST_LOOK, LONGEST_LOOK = 0.000_25, 0.001
"""Seconds until the next look whether another process has done writing: at first, and at the most."""

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


def open_database(url: str) -> AsyncEngine:
    """An engine for SQLite or PostgreSQL: `sqlite:///var/carillon.db` or `postgresql://user@host/name`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(str(parsed.set(drivername="sqlite+aiosqlite")))
    parsed = parsed.set(drivername="postgresql+asyncpg")
    return _asked_after_a_rest(
        create_async_engine(
            parsed,
            pool_size=10,
            max_overflow=20,
            hide_parameters=DISCREET,
            connect_args={"server_settings": PLANNING},
        )
    )


def _asked_after_a_rest(engine: AsyncEngine) -> AsyncEngine:
    """Connections that nobody has used for a while are asked whether they live: a server may have gone.

    SQLAlchemy asks before every use, which takes as long as a small transaction.
    """
    dialect = engine.dialect

    @event.listens_for(engine.sync_engine, "checkin")
    def note(_: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def ask(connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", time.monotonic()) < RESTED:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # the pool then opens new ones

    return engine


@asynccontextmanager
async def writing(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that writes: committed at its end, rolled back on an error."""
    async with engine.begin() as connection:
        yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that only reads, and holds up no writer."""
    async with engine.connect() as connection:
        await connection.execution_options(reads_only=True)
        yield connection


async def transact(engine: AsyncEngine, work: Work[T], *, writes: bool = True) -> T:
    """Do `work` in one transaction and answer what it answers; it awaits nothing but its connection.

    On SQLite all of it is done by another thread at one go: to wait for that thread at every statement costs
    more than most statements do. Whoever writes waits for its turn here, and not asleep at the file.
    """
    if (file := _FILES.get(engine)) is not None:
        return await file.transact(work, writes=writes)
    async with (writing if writes else reading)(engine) as connection:
        return await work(connection)


class _File:
    """A SQLite file, opened once more for transactions that are done at one go."""

    def __init__(self, url: str) -> None:
        arguments = _sqlite_arguments(check_same_thread=False)
        self.engine = _prepared(create_engine(url, **arguments), _begin_promptly)
        self._threads: dict[bool, ThreadPoolExecutor] = {}
        self._idle: tuple[list[Connection], list[Connection]] = ([], [])
        """Connections that nobody uses: those that only read, and the one that writes."""

    async def transact(self, work: Work[T], *, writes: bool) -> T:
        if writes not in self._threads:
            self._threads[writes] = ThreadPoolExecutor(1 if writes else READERS, "sqlite")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads[writes], self._at_one_go, work, writes)

    def close(self) -> None:
        """Like an engine's pool, it is made anew when it is used again."""
        threads, self._threads = self._threads, {}
        for pool in threads.values():
            pool.shutdown(wait=False)
        idle, self._idle = self._idle, ([], [])
        for connection in chain(*idle):
            connection.close()
        self.engine.dispose()

    def _at_one_go(self, work: Work[T], writes: bool) -> T:
        # To fetch a connection from the pool and to bring it back costs as much as a statement.
        idle = self._idle[writes]
        try:
            connection = idle.pop()
        except IndexError:
            connection = self._connection(writes)
        try:
            answer = _finished(work(cast(AsyncConnection, _AtOnce(connection))))
            # It began with the first statement: what is worked out before that keeps nobody waiting.
            connection.commit()
        except BaseException:
            connection.close()
            raise
        if idle is self._idle[writes]:
            idle.append(connection)
        else:
            connection.close()
        return answer

    def _connection(self, writes: bool) -> Connection:
        connection = self.engine.connect()
        return connection if writes else connection.execution_options(reads_only=True)


_FILES: WeakKeyDictionary[AsyncEngine, _File] = WeakKeyDictionary()


def aware(instant: datetime) -> datetime:
    """An instant from a row: SQLite keeps no zone, and what is kept is UTC."""
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def engines(engine: AsyncEngine) -> list[Engine]:
    """All that works on the same database: who listens to what is done there listens to each of them."""
    file = _FILES.get(engine)
    return [engine.sync_engine] if file is None else [engine.sync_engine, file.engine]


class _AtOnce:
    """What `work` does with an AsyncConnection, done before it is awaited."""

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect
        self._connection = connection

    async def execute(self, *arguments: Any) -> Any:
        return self._connection.execute(*arguments)

    async def exec_driver_sql(self, *arguments: Any) -> Any:
        return self._connection.exec_driver_sql(*arguments)

    async def scalar(self, *arguments: Any) -> Any:
        return self._connection.scalar(*arguments)

    async def scalars(self, *arguments: Any) -> Any:
        return self._connection.scalars(*arguments)


def _finished(work: Awaitable[T]) -> T:
    """What a coroutine answers that never has to wait."""
    try:
        cast(Coroutine[Any, Any, T], work).send(None)
    except StopIteration as answer:
        return cast(T, answer.value)
    raise RuntimeError("a transaction waited for something else than its connection")


def _sqlite(url: str) -> AsyncEngine:
    engine = create_async_engine(url, **_sqlite_arguments())
    _prepared(engine.sync_engine, _begin)
    file = _FILES[engine] = _File(url.replace("+aiosqlite", ""))

    @event.listens_for(engine.sync_engine, "engine_disposed")
    def close(_: Engine) -> None:
        file.close()

    return engine


def _sqlite_arguments(**connecting: Any) -> dict[str, Any]:
    return {
        "hide_parameters": DISCREET,
        "connect_args": {"timeout": BUSY_SECONDS, **connecting},
        "pool_size": 5,
        "max_overflow": 10,
    }


def _prepared(engine: Engine, begin: Callable[[Connection], None]) -> Engine:
    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        cursor.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        cursor.close()

    event.listen(engine, "begin", begin)
    return engine


def _begin(connection: Connection) -> None:
    # Several processes write: a writer takes its place at once, for one that turns from reader into
    # writer halfway fails at once instead of waiting for its turn.
    reads_only = connection.get_execution_options().get("reads_only")
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _begin_promptly(connection: Connection) -> None:
    """The same, but whoever waits for the writer of another process looks again soon.

    SQLite itself sleeps longer and longer, up to a tenth of a second; most writers take a few milliseconds.
    """
    if connection.get_execution_options().get("reads_only"):
        return _begin(connection)
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    until, pause = time.monotonic() + BUSY_SECONDS, FIRST_LOOK
    try:
        driver.execute("PRAGMA busy_timeout=0")
        while not _begun(connection, driver):
            if time.monotonic() > until:
                return _begin(connection)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK)
    finally:
        driver.execute(f"PRAGMA busy_timeout={1000 * BUSY_SECONDS}")


def _begun(connection: Connection, driver: sqlite3.Connection) -> bool:
    """Whether this is the writer now; not while another one is."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        _begin(connection)  # raises it as every other error is raised, or begins after all
    return True


MIGRATION_LOCK = 0x0CA7_1110
"""Workers that start together migrate one after another; a writer on SQLite is alone anyway."""
MIGRATION_LOOK = 0.2
"""Seconds until the next look whether another process has done migrating PostgreSQL."""
_one_at_a_time = asyncio.Lock()  # alembic's context belongs to the process
MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


async def migrate(url: str) -> bool:
    """Bring the database to the newest revision; answers whether there was anything to do."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = open_database(url)
    try:
        opened = writing if engine.dialect.name == "sqlite" else _alone
        async with _one_at_a_time, opened(engine) as connection:
            return await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _alone(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection to PostgreSQL without a transaction, while nobody else migrates.

    Each migration has a transaction of its own, or none. Whoever waits asks again and again: a statement that
    waits is one that an index waits for which is built while others write.
    """
    key = {"key": MIGRATION_LOCK}
    async with engine.connect() as turn, engine.connect() as connection:
        await turn.execution_options(isolation_level="AUTOCOMMIT")
        while not await turn.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):  # noqa: ASYNC110
            await asyncio.sleep(MIGRATION_LOOK)
        try:
            yield connection
        finally:
            await turn.execute(text("SELECT pg_advisory_unlock(:key)"), key)


async def revision(url: str) -> tuple[str | None, str | None]:
    """The database's revision and the newest one."""
    engine = open_database(url)
    try:
        async with reading(engine) as connection:
            return await connection.run_sync(_revisions)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> bool:
    current, newest = _revisions(connection)
    if current == newest:
        return False
    if connection.dialect.name != "sqlite":
        connection.rollback()  # alembic leaves a transaction alone that it did not begin
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return True


def _revisions(connection: Connection) -> tuple[str | None, str | None]:
    current = MigrationContext.configure(connection).get_current_revision()
    return current, ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
