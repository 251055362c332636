"""The merchants' own texts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False)


def upgrade() -> None:
    op.create_table(
        "templates",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("merchant_id", 64),
        _text("kind", 64),
        _text("locale", 16),
        _text("channel", 32),
        sa.Column("version", sa.Integer(), nullable=False),
        _text("subject"),
        _text("text"),
        _text("author", 200),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.UniqueConstraint(
            "merchant_id", "kind", "locale", "channel", "version", name="one_template_a_version"
        ),
    )


def downgrade() -> None:
    op.drop_table("templates")
