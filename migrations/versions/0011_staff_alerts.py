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
    _index()  # first: what was done before it stays done when it is broken off
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


def _index() -> None:
    only, columns = sa.text(TROUBLED), ["status", "settled_at"]
    if op.get_bind().dialect.name != "postgresql":
        op.create_index(INDEX, "messages", columns, sqlite_where=only)
        return
    # Workers write meanwhile. One that was broken off leaves an index behind that counts for nothing.
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, "messages", if_exists=True, postgresql_concurrently=True)
        op.create_index(INDEX, "messages", columns, postgresql_where=only, postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index(INDEX, "messages")
    op.drop_table("staff_alerts")
