"""Receipts of messages, and the pace of providers."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_messages_provider_id": (["provider", "provider_id"], "provider_id <> ''"),
    "ix_messages_ask_at": (["ask_at"], "ask_at IS NOT NULL"),
}


def _text(name: str, length: int | None = None, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, primary_key=key)


def _moment(name: str, *, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.add_column("messages", _moment("told_at"))
    op.add_column("messages", _moment("ask_at"))
    op.add_column("messages", sa.Column("asks", sa.Integer(), nullable=False, server_default="0"))
    for name, (columns, only) in INDEXES.items():
        op.create_index(name, "messages", columns, sqlite_where=sa.text(only), postgresql_where=sa.text(only))
    op.create_table(
        "early_receipts",
        _text("provider", 32, key=True),
        _text("provider_id", 128, key=True),
        _text("state", 16),
        _text("dead_address"),
        _moment("at", nullable=False),
    )
    op.create_table(
        "provider_rates",
        _text("name", 64, key=True),
        sa.Column("next_free", sa.BigInteger(), nullable=False),
        sa.Column("called_back", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("provider_rates")
    op.drop_table("early_receipts")
    for name in INDEXES:
        op.drop_index(name, "messages")
    with op.batch_alter_table("messages") as messages:
        for name in ("asks", "ask_at", "told_at"):
            messages.drop_column(name)
