"""Merchants and the message log."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "merchants",
        sa.Column("id", sa.String(64), primary_key=True),
        _text("name"),
        _text("document"),
        sa.Column("revision", sa.Integer(), nullable=False),
        _moment("updated_at"),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("notice_key", 500),
        _text("channel", 32),
        _text("merchant_id", 64),
        _text("lifecycle", 200),
        _text("kind", 64),
        _text("role", 32),
        _text("recipient"),
        _text("address"),
        _text("locale"),
        _text("subject"),
        _text("text"),
        sa.Column("segments", sa.Integer(), nullable=False),
        _text("status", 16),
        _text("reason"),
        _text("provider", 32),
        _text("provider_id", 128),
        sa.Column("doubtful", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _text("token", 200),
        _moment("due"),
        _moment("not_after"),
        _moment("claimed_at", nullable=True),
        _moment("settled_at", nullable=True),
        sa.UniqueConstraint("notice_key", "channel", name="one_message_per_notice_and_channel"),
    )
    op.create_index("ix_messages_merchant_id", "messages", ["merchant_id"])
    op.create_index("ix_messages_lifecycle", "messages", ["lifecycle"])


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_table("merchants")
