"""What a process is told by its environment. Read once, at the entry points."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

TASK_QUEUE = "carillon"
PART = "CARILLON_PART"
"""Which part of a worker's work a process does; set by the worker itself for the processes that it starts."""


class Part(StrEnum):
    """What a worker process does."""

    EVERYTHING = "everything"
    DECIDING = "deciding"
    """The workflows."""
    SENDING = "sending"
    """The activities: all that touches the world."""


@dataclass(frozen=True)
class Settings:
    """`environment` also holds the credentials of the channels, so it is never shown.

    `senders`: 0 where one process does everything, else so many that send, beside one that decides.
    `upkeep`: whether the worker sees to it that there is a schedule for what is done every minute.

    The connection to Temporal is read by `temporalio.envconfig` (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, ...).
    """

    database_url: str
    task_queue: str = TASK_QUEUE
    build_id: str = ""
    concurrent_activities: int = 100
    concurrent_workflow_tasks: int = 100
    cached_workflows: int = 10_000
    log_level: str = "INFO"
    upkeep: bool = True
    senders: int = 0
    part: Part = Part.EVERYTHING
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and the mend."""


def settings_from(environment: Mapping[str, str], data_dir: Path = Path("var")) -> Settings:
    """The settings in an environment; SettingsError names the variable that cannot be used."""
    return Settings(
        database_url=environment.get("CARILLON_DATABASE_URL", f"sqlite:///{data_dir / 'carillon.db'}"),
        task_queue=environment.get("CARILLON_TASK_QUEUE", TASK_QUEUE),
        build_id=environment.get("CARILLON_BUILD_ID", ""),
        concurrent_activities=_number(environment, "CARILLON_CONCURRENT_ACTIVITIES", 100),
        concurrent_workflow_tasks=_number(environment, "CARILLON_CONCURRENT_WORKFLOW_TASKS", 100),
        cached_workflows=_number(environment, "CARILLON_CACHED_WORKFLOWS", 10_000),
        log_level=environment.get("CARILLON_LOG_LEVEL", "INFO").upper(),
        upkeep=_switch(environment, "CARILLON_UPKEEP", default=True),
        senders=_number(environment, "CARILLON_SENDERS", 0, least=0),
        part=Part(environment.get(PART) or Part.EVERYTHING),
        environment=environment,
    )


def _number(environment: Mapping[str, str], name: str, default: int, *, least: int = 1) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        such = f"a whole number of {least} or more, such as {max(default, 1)}"
        raise SettingsError(f"{name}={text!r} cannot be used: give {such}")
    return int(text)


def _switch(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name, "").strip().lower()
    if text not in ("", "yes", "no"):
        raise SettingsError(f"{name}={text!r} is neither: use yes or no")
    return text == "yes" if text else default
