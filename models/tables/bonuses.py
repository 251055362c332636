"""Bonus accounts, their lots and every change of them. Amounts are thousandths."""

from datetime import datetime

from sqlmodel import BigInteger, CheckConstraint, Field, Index, SQLModel, UniqueConstraint


class BonusAccountRow(SQLModel, table=True):
    """One member's bonuses of one currency. The row is also the lock of the account.

    `balance`: all that is left of its lots, spendable or not yet.
    """

    __tablename__ = "bonus_accounts"
    __table_args__ = (CheckConstraint("balance >= 0", name="bonuses_are_never_negative"),)

    merchant_id: str = Field(primary_key=True, max_length=64)
    member_id: str = Field(primary_key=True, max_length=64)
    currency: str = Field(primary_key=True, max_length=32)
    balance: int = Field(default=0, sa_type=BigInteger)


class BonusLotRow(SQLModel, table=True):
    """What was accrued by one event. `remaining` is what nobody has spent and nothing has burnt."""

    __tablename__ = "bonus_lots"
    __table_args__ = (
        CheckConstraint("remaining >= 0", name="a_lot_is_never_negative"),
        UniqueConstraint("merchant_id", "event_id", "currency", name="one_lot_an_event"),
        Index("ix_bonus_lots_account", "merchant_id", "member_id", "currency"),
        Index("ix_bonus_lots_active_from", "merchant_id", "active_from"),
        Index("ix_bonus_lots_expires_at", "merchant_id", "expires_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    merchant_id: str = Field(max_length=64)
    member_id: str = Field(max_length=64)
    currency: str = Field(max_length=32)
    event_id: str = Field(max_length=200)
    amount: int = Field(sa_type=BigInteger)
    remaining: int = Field(sa_type=BigInteger)
    accrued_at: datetime
    active_from: datetime
    expires_at: datetime | None = None
    note: str = ""


class BonusEntryRow(SQLModel, table=True):
    """One change of one lot: `amount` is what came in, negative for what went out.

    The unique key makes an event count once, however often it is told.
    """

    __tablename__ = "bonus_entries"
    __table_args__ = (
        UniqueConstraint("merchant_id", "event_id", "kind", "lot_id", name="one_bonus_entry_an_event"),
        Index("ix_bonus_entries_account", "merchant_id", "member_id", "currency"),
    )

    id: int | None = Field(default=None, primary_key=True)
    merchant_id: str = Field(max_length=64)
    member_id: str = Field(max_length=64)
    currency: str = Field(max_length=32)
    lot_id: int
    kind: str = Field(max_length=16)
    event_id: str = Field(max_length=200)
    amount: int = Field(sa_type=BigInteger)
    at: datetime
    note: str = ""
