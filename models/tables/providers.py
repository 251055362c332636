"""What is kept about providers: words that came too early, and whose turn it is to be sent."""

from datetime import datetime

from sqlmodel import BigInteger, Field, SQLModel


class EarlyReceiptRow(SQLModel, table=True):
    """A last word on a message that is not in the log as sent yet. It is kept for a day."""

    __tablename__ = "early_receipts"

    provider: str = Field(primary_key=True, max_length=32)
    provider_id: str = Field(primary_key=True, max_length=128)
    state: str = Field(max_length=16)
    dead_address: str = ""
    at: datetime


class ProviderRateRow(SQLModel, table=True):
    """The pace of one account at a provider, in microseconds since 1970.

    `next_free`: the first turn that nobody has. `called_back`: until when those are called back for whom
    there was no turn soon enough.
    """

    __tablename__ = "provider_rates"

    name: str = Field(primary_key=True, max_length=64)
    next_free: int = Field(sa_type=BigInteger)
    called_back: int = Field(sa_type=BigInteger)
