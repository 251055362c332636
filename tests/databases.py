"""Databases that are migrated already: made once by the real migrations, and copied for each test."""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import SQLModel

import models.tables  # noqa: F401
from activities.database import engines, migrate, open_database, transact


def listen(engine: AsyncEngine, name: str, heard: Callable[..., object]) -> None:
    """Hear of an event of SQLAlchemy's, by whatever connection to the database it happens."""
    for one in engines(engine):
        event.listen(one, name, heard)


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="carillon-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


async def migrated_sqlite(url: str) -> None:
    """Put a migrated database where this URL of SQLite's leads; one that is there stays."""
    made = _folder() / "migrated.db"
    if not made.exists():
        half_made = made.with_suffix(".new")
        await migrate(f"sqlite:///{half_made}")
        half_made.rename(made)
    await asyncio.to_thread(_put, made, Path(str(make_url(url).database)))


def _put(made: Path, file: Path) -> None:
    if not file.exists():
        shutil.copyfile(made, file)


_templates: dict[str, str] = {}


async def migrated_postgresql(first: str) -> str:
    """The URL of a migrated database of its own, on the server whose first database that is."""
    if first not in _templates:
        name = await _create(first, "")
        await migrate(_named(first, name))
        engine = open_database(_named(first, name))
        async with engine.connect() as connection:
            _schemas.add(await connection.scalar(_SCHEMA) or "")
        await engine.dispose()  # nobody may be in what is copied
        _templates[first] = name
    return _named(first, await _create(first, f"TEMPLATE {_templates[first]}"))


@asynccontextmanager
async def a_postgresql(first: str) -> AsyncIterator[str]:
    """The URL of a migrated, empty database: emptied afterwards, for to copy one takes longer."""
    free = _free.setdefault(first, [])
    url = free.pop() if free else await migrated_postgresql(first)
    yield url
    engine = open_database(url)
    try:
        if await transact(engine, _emptied):
            free.append(url)
    finally:
        await engine.dispose()


_free: dict[str, list[str]] = {}
_SCHEMA = text(
    "SELECT md5(string_agg(relname || attname, ' ' ORDER BY relname, attname)) FROM pg_class"
    " JOIN pg_attribute ON attrelid = pg_class.oid"
    " WHERE relnamespace = 'public'::regnamespace AND attnum > 0"
)
_schemas: set[str] = set()
"""Of a migrated database there is one; what a test has changed is left alone."""
_LARGE = 12_000_000
"""Bytes: what has been filled is not quick any more, emptied or not."""


async def _emptied(connection: AsyncConnection) -> bool:
    """Whether it is as it was made, but for what it has counted."""
    await connection.execute(
        text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    )
    size = await connection.scalar(text("SELECT pg_database_size(current_database())"))
    if size > _LARGE or await connection.scalar(_SCHEMA) not in _schemas:
        return False
    tables = SQLModel.metadata.sorted_tables
    deletions = " ".join(f"DELETE FROM {table.name};" for table in reversed(tables))
    await connection.exec_driver_sql(f"DO $$ BEGIN {deletions} END $$")
    await connection.execute(text("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'"))
    return True


async def empty_postgresql(first: str) -> str:
    """The URL of a database of its own with nothing in it, on that server."""
    return _named(first, await _create(first, ""))


async def _create(first: str, how: str) -> str:
    name, engine = f"test_{uuid4().hex}", open_database(first)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text(f"CREATE DATABASE {name} {how}"))
    await engine.dispose()
    return name


def _named(first: str, name: str) -> str:
    return first.replace("/postgres?", f"/{name}?")
