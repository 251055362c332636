"""Members, their groups, and the codes that verify their phones."""

from datetime import date, datetime

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _text(name: str, length: int | None = None, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, primary_key=key)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _day(name: str, *, nullable: bool = False) -> sa.Column[date]:
    return sa.Column(name, sa.Date(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "members",
        _text("merchant_id", 64, key=True),
        _text("member_id", 64, key=True),
        _text("name"),
        _text("email", 320),
        _text("phone", 32),
        _text("push", 512),
        _text("locale", 16),
        _text("zone", 64),
        _day("birth_date", nullable=True),
        sa.Column("birthday", sa.Integer(), nullable=False),
        _text("branch_id", 64),
        _text("customer_id", 200),
        sa.Column("granted", sa.Boolean(), nullable=False),
        _moment("registered_at"),
        _moment("updated_at"),
        sa.Column("revision", sa.Integer(), nullable=False),
        _text("memory"),
    )
    for column in ("birthday", "phone", "customer_id"):
        op.create_index(f"ix_members_{column}", "members", ["merchant_id", column])
    op.create_table(
        "member_groups",
        _text("merchant_id", 64, key=True),
        _text("group_id", 64, key=True),
        _text("member_id", 64, key=True),
    )
    op.create_index("ix_member_groups_member", "member_groups", ["merchant_id", "member_id"])
    op.create_table(
        "phone_codes",
        sa.Column("id", sa.Integer(), primary_key=True),
        _text("merchant_id", 64),
        _text("member_id", 64),
        _text("phone", 32),
        _text("reference", 64),
        _text("salt", 64),
        _text("hash", 128),
        _text("state", 16),
        sa.Column("wrong", sa.Integer(), nullable=False),
        _moment("at"),
        _moment("expires_at"),
    )
    op.create_index("ix_phone_codes_phone", "phone_codes", ["merchant_id", "phone", "at"])


def downgrade() -> None:
    for table in ("phone_codes", "member_groups", "members"):
        op.drop_table(table)
