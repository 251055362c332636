"""What the people who run it were told."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class StaffAlertRow(SQLModel, table=True):
    """One trouble that lasts: `since` when, when it was last `seen`, and what was told of it.

    `number` counts messages, and `example` is one of them. `level` is the one that was told, 0 for none.
    `tried_at`: when nobody could be told. The row of no merchant and the cause `look` says when it was last
    looked.
    """

    __tablename__ = "staff_alerts"

    merchant_id: str = Field(primary_key=True, max_length=64)
    cause: str = Field(primary_key=True, max_length=16)
    about: str = Field(primary_key=True, max_length=32)
    since: datetime
    seen: datetime
    level: int = 0
    number: int = 0
    example: int | None = None
    told_at: datetime | None = None
    tried_at: datetime | None = None
