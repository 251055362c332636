"""Bonus accounts, their lots and every change of them."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _text(name: str, length: int | None = None, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, primary_key=key)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "bonus_accounts",
        _text("merchant_id", 64, key=True),
        _text("member_id", 64, key=True),
        _text("currency", 64, key=True),
        _number("balance"),
        sa.CheckConstraint("balance >= 0", name="bonuses_are_never_negative"),
    )
    _lots()
    op.create_table(
        "bonus_entries",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("merchant_id", 64),
        _text("member_id", 64),
        _text("currency", 64),
        sa.Column("lot_id", sa.Integer(), nullable=False),
        _text("kind", 16),
        _text("event_id", 200),
        _text("of_event", 200),
        _number("amount"),
        _moment("at"),
        _text("note"),
        sa.UniqueConstraint("merchant_id", "event_id", "kind", "lot_id", name="one_bonus_entry_an_event"),
    )
    op.create_index("ix_bonus_entries_account", "bonus_entries", ["merchant_id", "member_id", "currency"])


def _lots() -> None:
    op.create_table(
        "bonus_lots",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("merchant_id", 64),
        _text("member_id", 64),
        _text("currency", 64),
        _text("kind", 16),
        _text("event_id", 200),
        _number("amount"),
        _number("remaining"),
        _moment("accrued_at"),
        _moment("active_from"),
        _moment("expires_at", nullable=True),
        _text("activation_told_by", 500),
        _text("burn_told_by", 500),
        _text("note"),
        sa.CheckConstraint("remaining >= 0", name="a_lot_is_never_negative"),
        sa.UniqueConstraint("merchant_id", "event_id", "kind", "currency", name="one_lot_an_event"),
    )
    op.create_index("ix_bonus_lots_account", "bonus_lots", ["merchant_id", "member_id", "currency"])
    left = sa.text("remaining > 0")
    for column in ("active_from", "expires_at"):
        op.create_index(
            f"ix_bonus_lots_{column}",
            "bonus_lots",
            ["merchant_id", column],
            sqlite_where=left,
            postgresql_where=left,
        )


def downgrade() -> None:
    for table in ("bonus_entries", "bonus_lots", "bonus_accounts"):
        op.drop_table(table)
