"""Regular tasks as they were last applied; what makes them run is a Temporal Schedule."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class RegularTaskRow(SQLModel, table=True):
    """One task: `document` is the whole of it as JSON, checked before it was written."""

    __tablename__ = "regular_tasks"

    merchant_id: str = Field(primary_key=True, max_length=64)
    task_id: str = Field(primary_key=True, max_length=64)
    document: str
    applied_at: datetime
