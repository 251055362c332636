"""What recipients have said about being written to, which addresses are dead, and who may not send."""

from datetime import datetime

from sqlmodel import Field, SQLModel


class ConsentRow(SQLModel, table=True):
    """The last word on one class of notice by one channel. `subject` is an address, or `member:ID`."""

    __tablename__ = "consents"

    merchant_id: str = Field(primary_key=True, max_length=64)
    subject: str = Field(primary_key=True, max_length=320)
    channel: str = Field(primary_key=True, max_length=32)
    notice_class: str = Field(primary_key=True, max_length=16)
    state: str = Field(max_length=16)
    source: str = Field(max_length=64)
    at: datetime


class VerifiedAddressRow(SQLModel, table=True):
    """An address whose owner has confirmed it."""

    __tablename__ = "verified_addresses"

    merchant_id: str = Field(primary_key=True, max_length=64)
    address: str = Field(primary_key=True, max_length=320)
    channel: str = Field(primary_key=True, max_length=32)
    source: str = Field(max_length=64)
    at: datetime


class SuppressionRow(SQLModel, table=True):
    """An address that is not written to, with the reason; once lifted, it is again."""

    __tablename__ = "suppressions"

    merchant_id: str = Field(primary_key=True, max_length=64)
    address: str = Field(primary_key=True, max_length=320)
    channel: str = Field(primary_key=True, max_length=32)
    reason: str
    source: str = Field(max_length=64)
    at: datetime
    lifted_at: datetime | None = None


class SuspensionRow(SQLModel, table=True):
    """A merchant that may not send on a family of channels, from `since` until `until`, if that is known."""

    __tablename__ = "suspensions"

    id: int | None = Field(default=None, primary_key=True)
    merchant_id: str = Field(max_length=64, index=True)
    family: str = Field(max_length=16)
    reason: str
    since: datetime
    until: datetime | None = None
