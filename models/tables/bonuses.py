"""Bonus accounts, their lots and every change of them. Amounts are thousandths."""

from datetime import datetime

from sqlmodel import BigInteger, CheckConstraint, Field, Index, SQLModel, UniqueConstraint, text

LEFT = text("remaining > 0")
"""Most lots are used up in time: what looks for the others passes these by."""


class BonusAccountRow(SQLModel, table=True):
    """One member's bonuses of one currency. The row is also the lock of the account.

    `balance`: all that is left of its lots, spendable or not.
    """

    __tablename__ = "bonus_accounts"
    __table_args__ = (CheckConstraint("balance >= 0", name="bonuses_are_never_negative"),)

    merchant_id: str = Field(primary_key=True, max_length=64)
    member_id: str = Field(primary_key=True, max_length=64)
    currency: str = Field(primary_key=True, max_length=64)
    balance: int = Field(default=0, sa_type=BigInteger)


class BonusLotRow(SQLModel, table=True):
    """What was accrued, or given back, by one event. `remaining`: nobody has spent it, nothing has burnt it.

    `kind` is that of the entry that began it. `accrued_at`: when it happened. `activation_told_by` and
    `burn_told_by`: how the keys of the notices begin that tell of it, one for each; blank: none has told.
    """

    __tablename__ = "bonus_lots"
    __table_args__ = (
        CheckConstraint("remaining >= 0", name="a_lot_is_never_negative"),
        UniqueConstraint("merchant_id", "event_id", "kind", "currency", name="one_lot_an_event"),
        Index("ix_bonus_lots_account", "merchant_id", "member_id", "currency"),
        Index(
            "ix_bonus_lots_active_from",
            "merchant_id",
            "active_from",
            sqlite_where=LEFT,
            postgresql_where=LEFT,
        ),
        Index(
            "ix_bonus_lots_expires_at", "merchant_id", "expires_at", sqlite_where=LEFT, postgresql_where=LEFT
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    merchant_id: str = Field(max_length=64)
    member_id: str = Field(max_length=64)
    currency: str = Field(max_length=64)
    kind: str = Field(max_length=16)
    event_id: str = Field(max_length=200)
    amount: int = Field(sa_type=BigInteger)
    remaining: int = Field(sa_type=BigInteger)
    accrued_at: datetime
    active_from: datetime
    expires_at: datetime | None = None
    activation_told_by: str = Field(default="", max_length=500)
    burn_told_by: str = Field(default="", max_length=500)
    note: str = ""


class BonusEntryRow(SQLModel, table=True):
    """One change of one lot: `amount` is what came in, negative for what went out.

    `of_event`: the spend that a refund gives back. The unique key makes an event count once, however often
    it is told.
    """

    __tablename__ = "bonus_entries"
    __table_args__ = (
        UniqueConstraint("merchant_id", "event_id", "kind", "lot_id", name="one_bonus_entry_an_event"),
        Index("ix_bonus_entries_account", "merchant_id", "member_id", "currency"),
    )

    id: int | None = Field(default=None, primary_key=True)
    merchant_id: str = Field(max_length=64)
    member_id: str = Field(max_length=64)
    currency: str = Field(max_length=64)
    lot_id: int
    kind: str = Field(max_length=16)
    event_id: str = Field(max_length=200)
    of_event: str = Field(default="", max_length=200)
    amount: int = Field(sa_type=BigInteger)
    at: datetime
    note: str = ""
