"""One way to open the database, so that every process treats it alike."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

BUSY_SECONDS = 30
PLANNING = {"plan_cache_mode": "force_custom_plan"}
"""A plan that is made once knows no values: a list of 500 ids is then compared one by one with every row of a
table that was just filled (half a second a query instead of two milliseconds)."""
DISCREET = True
"""An error does not quote what was to be written: it ends in logs and in Temporal's histories. [WACA-35]"""


def open_database(url: str) -> AsyncEngine:
    """An engine for SQLite or PostgreSQL: `sqlite:///var/carillon.db` or `postgresql://user@host/name`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(str(parsed.set(drivername="sqlite+aiosqlite")))
    parsed = parsed.set(drivername="postgresql+asyncpg")
    return create_async_engine(
        parsed,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=20,
        hide_parameters=DISCREET,
        connect_args={"server_settings": PLANNING},
    )


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


def _sqlite(url: str) -> AsyncEngine:
    # Several processes write: a writer takes its place at once, for one that turns from reader into
    # writer halfway fails at once instead of waiting for its turn.
    engine = create_async_engine(
        url,
        hide_parameters=DISCREET,
        connect_args={"timeout": BUSY_SECONDS},
        pool_size=5,
        max_overflow=10,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        reads_only = connection.get_execution_options().get("reads_only")
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


MIGRATION_LOCK = 0x0CA7_1110
"""Workers that start together migrate one after another; a writer on SQLite is alone anyway."""
_one_at_a_time = asyncio.Lock()  # alembic's context belongs to the process
MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


async def migrate(url: str) -> bool:
    """Bring the database to the newest revision; answers whether there was anything to do."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = open_database(url)
    try:
        async with _one_at_a_time, writing(engine) as connection:
            if engine.dialect.name == "postgresql":
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            return await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


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
