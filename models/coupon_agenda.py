"""When holders of a coupon hear of it, by the shop's local days. [WACA-37, WACA-38]"""

from collections.abc import Mapping
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


@dataclass(frozen=True)
class Moved:
    """The last day is another since `at`, UTC, than what holders had heard until then.

    `told_days`: on so many days, at the most, the coupon could be used by what they had heard.
    """

    at: datetime
    told_days: int

    @property
    def parameters(self) -> dict[str, str]:
        """The same among the parameters of an audience."""
        return {"moved": self.at.isoformat(), "told_days": str(self.told_days)}


def moved_of(parameters: Mapping[str, str]) -> Moved | None:
    """What `parameters` tells, where it is among these."""
    if "moved" not in parameters:
        return None
    return Moved(datetime.fromisoformat(parameters["moved"]), int(parameters["told_days"]))


def issued_due(drop: CouponDrop, policy: CouponPolicy, zone: str) -> datetime:
    """15:00 of the issue day. [WACA-37]"""
    return moment(drop.issue_on, Offset(at=policy.issued), zone)


def expiring_due(
    drop: CouponDrop, policy: CouponPolicy, zone: str, moved: Moved | None = None
) -> datetime | None:
    """15:00 seven days before the last day; None for a coupon usable for fewer days than that. [WACA-38]

    One that was told of as usable for longer, and is `moved` below that, is none of those.
    Nobody hears that a coupon ends before hearing that there is one: it never comes before `issued_due`.
    """
    if max(drop.usable_days, moved.told_days if moved else 0) < policy.least_days:
        return None
    return max(moment(drop.usable_to, policy.expiring, zone), issued_due(drop, policy, zone))


def issued_telling(
    drop: CouponDrop, policy: CouponPolicy, zone: str, added_at: datetime | None = None
) -> Telling | None:
    """For a holder added at that instant: at once, where the moment was past. None after the last day."""
    due = issued_due(drop, policy, zone)
    return _telling(drop, policy, zone, max(due, added_at) if added_at else due)


def expiring_telling(
    drop: CouponDrop,
    policy: CouponPolicy,
    zone: str,
    added_at: datetime | None = None,
    moved: Moved | None = None,
) -> Telling | None:
    """For a holder added at that instant: none past its moment, for the issued one names the last day.

    Who held it when the last day was moved believes another one: where the moment is past by then, that is
    told at once, and for as long as the coupon can be used.
    """
    if moved is not None and added_at is not None and added_at > moved.at:
        moved = None
    due = expiring_due(drop, policy, zone, moved)
    if due is None:
        return None
    if moved is not None and moved.at > due:
        last = end_of_use(drop, zone)
        return Telling(moved.at, last) if moved.at <= last else None
    if added_at is not None and added_at > due:
        return None
    return _telling(drop, policy, zone, due)


def end_of_use(drop: CouponDrop, zone: str) -> datetime:
    """The last second of the last day."""
    return end_of_day(drop.usable_to, zone)


def _telling(drop: CouponDrop, policy: CouponPolicy, zone: str, due: datetime) -> Telling | None:
    """A notice of a coupon that is over means nothing, however long it would be worth sending."""
    not_after = min(due + timedelta(hours=policy.hours), end_of_use(drop, zone))
    return Telling(due, not_after) if due <= not_after else None
