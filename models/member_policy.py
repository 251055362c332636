"""What a merchant decides about its members: when they hear from it, by which channels, what they collect."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time

from models.timing import Offset


@dataclass(frozen=True)
class PhoneCheckPolicy:
    """How a member's phone is verified. [WACA-35]

    `minutes`: how long a code holds. `attempts`: so many wrong answers end it.
    `sends`: so many codes to one phone within `hours`; `pause_seconds`: the least time between two of them.
    """

    digits: int = 6
    minutes: int = 10
    attempts: int = 5
    sends: int = 4
    hours: int = 24
    pause_seconds: int = 60


@dataclass(frozen=True)
class MemberPolicy:
    """The numbers of the member lifecycle. [LOY-31, LOY-50 to LOY-53]

    `welcome`, `invitation`: the channels of these notices, those that the merchant has switched on.
    `quiet_days`: so many days without a purchase, counted from the registration or the last purchase, bring
    an invitation; `again_days` after it comes the second and last one. 0 for `quiet_days` is none at all, 0
    for `again_days` no second one.
    `prompt_hours`: how long a welcome is worth sending; `invitation_hours`: the same for an invitation.
    """

    welcome: tuple[str, ...] = ("email", "sms")
    invitation: tuple[str, ...] = ("email", "sms", "push")
    quiet_days: int = 14
    again_days: int = 14
    prompt_hours: int = 24
    invitation_hours: int = 72


COUPON_EXPIRING = Offset(days=-7, at=time(15))


@dataclass(frozen=True)
class CouponPolicy:
    """When holders of a coupon hear of it, shop time. [WACA-37, WACA-38]

    `issued`: the hour on the issue day. `expiring`: counted from the last day of use.
    `least_days`: a coupon usable for fewer days gets no notice that it expires.
    `hours`: how long after its moment a notice is still worth sending.
    """

    issued: time = time(15)
    expiring: Offset = COUPON_EXPIRING
    least_days: int = 7
    hours: int = 24


@dataclass(frozen=True)
class BonusAccount:
    """One kind of bonus: its `names` by locale, as they are placed into a message. [LOY-43]

    `refund_days`: how long bonuses hold that were spent, ended meanwhile and are given back; 0: not at all.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    refund_days: int = 14
