"""Points, quotas and what is to be told of them. Every change is an entry; a balance is their sum."""

from datetime import datetime

from sqlmodel import BigInteger, CheckConstraint, Field, SQLModel, UniqueConstraint


class CreditAccountRow(SQLModel, table=True):
    """One pool of a merchant's points, in thousandths of a point.

    The row is also the lock of the merchant's ledger. `alert_armed`: a shortage has not been told yet.
    """

    __tablename__ = "credit_accounts"
    __table_args__ = (CheckConstraint("balance >= 0", name="points_are_never_negative"),)

    merchant_id: str = Field(primary_key=True, max_length=64)
    pool: str = Field(primary_key=True, max_length=16)
    balance: int = Field(default=0, sa_type=BigInteger)
    alert_armed: bool = True


class CreditEntryRow(SQLModel, table=True):
    """One change of an account: `amount` is what came in, negative for what went out, in thousandths.

    The unique key is what makes a booking idempotent: an event is named by its reference.
    """

    __tablename__ = "credit_entries"
    __table_args__ = (UniqueConstraint("merchant_id", "reference", "kind", name="one_credit_entry_an_event"),)

    id: int | None = Field(default=None, primary_key=True)
    merchant_id: str = Field(max_length=64)
    pool: str = Field(max_length=16)
    kind: str = Field(max_length=16)
    reference: str = Field(max_length=600)
    amount: int = Field(sa_type=BigInteger)
    balance_after: int = Field(sa_type=BigInteger)
    at: datetime
    note: str = ""


class QuotaRow(SQLModel, table=True):
    """One branch in one calendar month (`2026-03`, on the branch's clock). A blank branch is the merchant.

    `allowance` is the policy as it last stood in that month.
    """

    __tablename__ = "quotas"
    __table_args__ = (CheckConstraint("used >= 0", name="used_is_never_negative"),)

    merchant_id: str = Field(primary_key=True, max_length=64)
    branch_id: str = Field(primary_key=True, max_length=64)
    month: str = Field(primary_key=True, max_length=7)
    allowance: int
    topup: int = 0
    used: int = 0


class QuotaEntryRow(SQLModel, table=True):
    """One change of a quota: `amount` is what was added to what is left, negative for what was used."""

    __tablename__ = "quota_entries"
    __table_args__ = (UniqueConstraint("merchant_id", "reference", "kind", name="one_quota_entry_an_event"),)

    id: int | None = Field(default=None, primary_key=True)
    merchant_id: str = Field(max_length=64)
    branch_id: str = Field(max_length=64)
    month: str = Field(max_length=7)
    kind: str = Field(max_length=16)
    reference: str = Field(max_length=600)
    amount: int
    at: datetime
    note: str = ""


class AlertRow(SQLModel, table=True):
    """Something to tell a merchant, written with what caused it. `done_at`: a message log has it.

    `points` are those left at that moment, in thousandths; `sendable` the domestic messages they pay for.
    """

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("merchant_id", "kind", "reference", name="one_alert_an_event"),)

    id: int | None = Field(default=None, primary_key=True)
    merchant_id: str = Field(max_length=64)
    kind: str = Field(max_length=64)
    reference: str = Field(max_length=600)
    points: int = Field(sa_type=BigInteger)
    sendable: int
    at: datetime
    done_at: datetime | None = Field(default=None, index=True)
