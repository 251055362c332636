"""Coupon drops and who holds them."""

from datetime import date, datetime

from sqlmodel import Field, Index, SQLModel


class CouponDropRow(SQLModel, table=True):
    """One drop, as it stands now: its last day may be moved. Revoked, it takes all that is not redeemed."""

    __tablename__ = "coupon_drops"

    merchant_id: str = Field(primary_key=True, max_length=64)
    drop_id: str = Field(primary_key=True, max_length=64)
    name: str
    issue_on: date
    usable_from: date
    usable_to: date
    branch_id: str = Field(default="", max_length=64)
    updated_at: datetime
    revoked_at: datetime | None = None


class CouponRow(SQLModel, table=True):
    """One member's coupon. `state` is a CouponState; `event_id` is the one that changed it last.

    `added_at`: since when a member holds it. Given to somebody whose phone is still to be verified, it is
    held from the moment at which the membership is granted.
    """

    __tablename__ = "coupons"
    __table_args__ = (
        Index("ix_coupons_member", "merchant_id", "member_id"),
        Index("ix_coupons_code", "merchant_id", "code", unique=True),
    )

    merchant_id: str = Field(primary_key=True, max_length=64)
    drop_id: str = Field(primary_key=True, max_length=64)
    member_id: str = Field(primary_key=True, max_length=64)
    code: str = Field(max_length=64)
    state: str = Field(default="issued", max_length=16)
    added_at: datetime
    changed_at: datetime
    event_id: str = Field(default="", max_length=200)
