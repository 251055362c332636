"""Consents, suppressions, suspensions, and the gate's decision beside each message."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _text(name: str, length: int | None = None, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, primary_key=key)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "consents",
        _text("merchant_id", 64, key=True),
        _text("subject", 320, key=True),
        _text("channel", 32, key=True),
        _text("notice_class", 16, key=True),
        _text("state", 16),
        _text("source", 64),
        _moment("at"),
    )
    op.create_table(
        "verified_addresses",
        _text("merchant_id", 64, key=True),
        _text("address", 320, key=True),
        _text("channel", 32, key=True),
        _text("source", 64),
        _moment("at"),
    )
    op.create_table(
        "suppressions",
        _text("merchant_id", 64, key=True),
        _text("address", 320, key=True),
        _text("channel", 32, key=True),
        _text("reason"),
        _text("source", 64),
        _moment("at"),
        _moment("lifted_at", nullable=True),
    )
    op.create_table(
        "suspensions",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("merchant_id", 64),
        _text("family", 16),
        _text("reason"),
        _moment("since"),
        _moment("until", nullable=True),
    )
    op.create_index("ix_suspensions_merchant_id", "suspensions", ["merchant_id"])
    for name, length in (("rule", 32), ("policy_version", 16)):
        op.add_column("messages", sa.Column(name, sa.String(length), nullable=False, server_default=""))
    # How often somebody was written to today is asked by address; a merchant alone is its first half.
    op.drop_index("ix_messages_merchant_id", "messages")
    op.create_index("ix_messages_merchant_id_address", "messages", ["merchant_id", "address"])


def downgrade() -> None:
    op.drop_index("ix_messages_merchant_id_address", "messages")
    op.create_index("ix_messages_merchant_id", "messages", ["merchant_id"])
    for name in ("policy_version", "rule"):
        op.drop_column("messages", name)
    for table in ("suspensions", "suppressions", "verified_addresses", "consents"):
        op.drop_table(table)
