"""Points, quotas and alerts."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _text(name: str, length: int | None = None, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, primary_key=key)


def _number(name: str, kind: type[sa.Integer] = sa.Integer) -> sa.Column[int]:
    return sa.Column(name, kind(), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "credit_accounts",
        _text("merchant_id", 64, key=True),
        _text("pool", 16, key=True),
        _number("balance", sa.BigInteger),
        sa.Column("alert_armed", sa.Boolean(), nullable=False),
        sa.CheckConstraint("balance >= 0", name="points_are_never_negative"),
    )
    op.create_table(
        "credit_entries",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("merchant_id", 64),
        _text("pool", 16),
        _text("kind", 16),
        _text("reference", 600),
        _number("amount", sa.BigInteger),
        _number("balance_after", sa.BigInteger),
        _moment("at"),
        _text("note"),
        sa.UniqueConstraint("merchant_id", "reference", "kind", name="one_credit_entry_an_event"),
    )
    _quotas()
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("merchant_id", 64),
        _text("kind", 64),
        _text("reference", 600),
        _number("points", sa.BigInteger),
        _number("sendable"),
        _moment("at"),
        _moment("done_at", nullable=True),
        sa.UniqueConstraint("merchant_id", "kind", "reference", name="one_alert_an_event"),
    )
    op.create_index("ix_alerts_done_at", "alerts", ["done_at"])


def _quotas() -> None:
    op.create_table(
        "quotas",
        _text("merchant_id", 64, key=True),
        _text("branch_id", 64, key=True),
        _text("month", 7, key=True),
        _number("allowance"),
        _number("topup"),
        _number("used"),
        sa.CheckConstraint("used >= 0", name="used_is_never_negative"),
    )
    op.create_table(
        "quota_entries",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("merchant_id", 64),
        _text("branch_id", 64),
        _text("month", 7),
        _text("kind", 16),
        _text("reference", 600),
        _number("amount"),
        _moment("at"),
        _text("note"),
        sa.UniqueConstraint("merchant_id", "reference", "kind", name="one_quota_entry_an_event"),
    )


def downgrade() -> None:
    for name in ("alerts", "quota_entries", "quotas", "credit_entries", "credit_accounts"):
        op.drop_table(name)
