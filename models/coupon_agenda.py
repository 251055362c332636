"""When holders of a coupon hear of it, by the shop's local days. [WACA-37, WACA-38]"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from models.coupon import CouponDrop
from models.member_policy import CouponPolicy
from models.timing import Offset, end_of_day, moment


@dataclass(frozen=True)
class Telling:
    """One notice: the instant at which it is due, and its last one, both UTC."""

    due: datetime
    not_after: datetime


def issued_due(drop: CouponDrop, policy: CouponPolicy, zone: str) -> datetime:
    """15:00 of the issue day. [WACA-37]"""
    return moment(drop.issue_on, Offset(at=policy.issued), zone)


def expiring_due(drop: CouponDrop, policy: CouponPolicy, zone: str) -> datetime | None:
    """15:00 seven days before the last day; None for a coupon usable for fewer days than that. [WACA-38]

    Nobody hears that a coupon ends before hearing that there is one: it never comes before `issued_due`.
    """
    if drop.usable_days < policy.least_days:
        return None
    return max(moment(drop.usable_to, policy.expiring, zone), issued_due(drop, policy, zone))


def issued_telling(
    drop: CouponDrop, policy: CouponPolicy, zone: str, added_at: datetime | None = None
) -> Telling | None:
    """For a holder added at that instant: at once, where the moment was past. None after the last day."""
    due = issued_due(drop, policy, zone)
    return _telling(drop, policy, zone, max(due, added_at) if added_at else due)


def expiring_telling(
    drop: CouponDrop, policy: CouponPolicy, zone: str, added_at: datetime | None = None
) -> Telling | None:
    """For a holder added at that instant: none past its moment, for the issued one names the last day."""
    due = expiring_due(drop, policy, zone)
    if due is None or (added_at is not None and added_at > due):
        return None
    return _telling(drop, policy, zone, due)


def end_of_use(drop: CouponDrop, zone: str) -> datetime:
    """The last second of the last day."""
    return end_of_day(drop.usable_to, zone)


def _telling(drop: CouponDrop, policy: CouponPolicy, zone: str, due: datetime) -> Telling | None:
    """A notice of a coupon that is over means nothing, however long it would be worth sending."""
    not_after = min(due + timedelta(hours=policy.hours), end_of_use(drop, zone))
    return Telling(due, not_after) if due <= not_after else None
