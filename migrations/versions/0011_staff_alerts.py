"""What the staff was told, and an index of the messages that it may have to hear of."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INDEX = "ix_messages_troubled"
TROUBLED = "status = 'waiting' OR status = 'missed' OR status = 'uncertain'"


def _key(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, primary_key=True)


def _moment(name: str, *, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "staff_alerts",
        _key("merchant_id", 64),
        _key("cause", 16),
        _key("about", 32),
        _moment("since", nullable=False),
        _moment("seen", nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("example", sa.Integer(), nullable=True),
        _moment("told_at"),
        _moment("tried_at"),
    )
    only = sa.text(TROUBLED)
    op.create_index(INDEX, "messages", ["status", "settled_at"], sqlite_where=only, postgresql_where=only)


def downgrade() -> None:
    op.drop_index(INDEX, "messages")
    op.drop_table("staff_alerts")
