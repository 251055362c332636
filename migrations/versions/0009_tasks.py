"""Regular tasks as they were last applied."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _text(name: str, length: int | None = None, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, primary_key=key)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "regular_tasks",
        _text("merchant_id", 64, key=True),
        _text("task_id", 64, key=True),
        _text("document"),
        _moment("applied_at"),
    )


def downgrade() -> None:
    op.drop_table("regular_tasks")
