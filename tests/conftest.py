"""Shared by the tests: one Temporal server for all of them, and a world for each that wants one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from temporal_server import SEARCH_ATTRIBUTES, dynamic_config_arguments, server_program
from tests.world import World, a_world


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
