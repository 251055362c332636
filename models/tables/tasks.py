"""Regular tasks as they were last applied, and their runs; what makes them run is a Temporal Schedule."""

from datetime import datetime

from sqlmodel import Field, Index, SQLModel


class RegularTaskRow(SQLModel, table=True):
    """One task: `document` is the whole of it as JSON, checked before it was written.

    `paused`: its schedule starts nothing, as far as that was done, or seen, by `carillon task`.
    """

    __tablename__ = "regular_tasks"

    merchant_id: str = Field(primary_key=True, max_length=64)
    task_id: str = Field(primary_key=True, max_length=64)
    document: str
    applied_at: datetime
    paused: bool = False


class TaskRunRow(SQLModel, table=True):
    """One run. It stays when the task is removed: what it has done is not done again.

    `since`: the run before it. `done_at`: None while it is under way. `skipped`: it did nothing.
    """

    __tablename__ = "regular_task_runs"
    __table_args__ = (Index("ix_regular_task_runs_kind", "merchant_id", "kind", "run_at"),)

    merchant_id: str = Field(primary_key=True, max_length=64)
    task_id: str = Field(primary_key=True, max_length=64)
    run_at: datetime = Field(primary_key=True)
    kind: str = Field(max_length=32)
    since: datetime | None = None
    skipped: bool = False
    words: str = ""
    begun_at: datetime
    done_at: datetime | None = None
