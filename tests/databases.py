"""Databases that are migrated already: made once by the real migrations, and copied for each test."""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from uuid import uuid4

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.database import engines, migrate, open_database


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
        _templates[first] = name
    return _named(first, await _create(first, f"TEMPLATE {_templates[first]}"))


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
