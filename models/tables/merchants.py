"""Merchants as they were last applied."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class MerchantRow(SQLModel, table=True):
    """One merchant: `document` is the whole of it as JSON, checked before it was written."""

    __tablename__ = "merchants"

    id: str = Field(primary_key=True, max_length=64)
    name: str
    document: str
    revision: int
    updated_at: datetime
