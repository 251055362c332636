"""A coupon drop: one coupon with one issue date and one last day, in the hands of one or a million."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class CouponState(StrEnum):
    """Where one holder's coupon stands."""

    ISSUED = "issued"
    REDEEMED = "redeemed"
    REVOKED = "revoked"


@dataclass(frozen=True)
class CouponDrop:
    """`issue_on`, `usable_from` and `usable_to` are days of the shop's calendar; the last one is included."""

    merchant_id: str
    drop_id: str
    name: str
    issue_on: date
    usable_from: date
    usable_to: date
    branch_id: str = ""

    @property
    def usable_days(self) -> int:
        """On how many days it can be used."""
        return (self.usable_to - self.usable_from).days + 1


@dataclass(frozen=True)
class HeldCoupon:
    """One member's coupon of a drop. With its drop revoked it is revoked too, unless it was redeemed.

    `changed_at`: since when the drop is as it is, UTC.
    """

    drop: CouponDrop
    code: str
    state: CouponState = CouponState.ISSUED
    added_at: datetime | None = None
    member_id: str = ""
    changed_at: datetime | None = None
