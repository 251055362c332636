"""Coupon drops and who holds them."""

from datetime import date, datetime

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
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
        "coupon_drops",
        _text("merchant_id", 64, key=True),
        _text("drop_id", 64, key=True),
        _text("name"),
        _day("issue_on"),
        _day("usable_from"),
        _day("usable_to"),
        _text("branch_id", 64),
        _moment("updated_at"),
        _moment("revoked_at", nullable=True),
    )
    op.create_table(
        "coupons",
        _text("merchant_id", 64, key=True),
        _text("drop_id", 64, key=True),
        _text("member_id", 64, key=True),
        _text("code", 64),
        _text("state", 16),
        _moment("added_at"),
        _moment("changed_at"),
        _text("event_id", 200),
    )
    op.create_index("ix_coupons_member", "coupons", ["merchant_id", "member_id"])
    op.create_index("ix_coupons_code", "coupons", ["merchant_id", "code"], unique=True)


def downgrade() -> None:
    for table in ("coupons", "coupon_drops"):
        op.drop_table(table)
