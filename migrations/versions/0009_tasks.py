"""Regular tasks as they were last applied, and their runs."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _text(name: str, length: int | None = None, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, primary_key=key)


def _moment(name: str, *, nullable: bool = False, key: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, primary_key=key)


def upgrade() -> None:
    op.create_table(
        "regular_tasks",
        _text("merchant_id", 64, key=True),
        _text("task_id", 64, key=True),
        _text("document"),
        _moment("applied_at"),
    )
    op.create_table(
        "regular_task_runs",
        _text("merchant_id", 64, key=True),
        _text("task_id", 64, key=True),
        _moment("run_at", key=True),
        _text("kind", 32),
        _moment("since", nullable=True),
        sa.Column("skipped", sa.Boolean(), nullable=False),
        _text("words"),
        _moment("begun_at"),
        _moment("done_at", nullable=True),
    )
    op.create_index("ix_regular_task_runs_kind", "regular_task_runs", ["merchant_id", "kind", "run_at"])


def downgrade() -> None:
    op.drop_table("regular_task_runs")
    op.drop_table("regular_tasks")
