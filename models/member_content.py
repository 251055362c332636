"""What a member's notices say, as plain values: days, amounts and names, not yet in any language."""

from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Literal

from models.light import light


@dataclass(frozen=True)
class Balance:
    """One bonus account: what can be spent from it now. [LOY-43]"""

    currency: str
    amount: Decimal


@light
@dataclass(frozen=True)
class CouponView:
    """A coupon as its holder needs it; both days are included, by the shop's calendar."""

    name: str
    code: str
    usable_from: date
    usable_to: date


@dataclass(frozen=True)
class BonusView:
    """Bonuses of one account that become spendable, end, or are given: the sum, the day it begins and ends.

    `days`: the parameter of the regular task that tells of it. [LOY-61, LOY-71]
    """

    currency: str
    amount: Decimal
    on: date | None = None
    days: int = 0


@light
@dataclass(frozen=True)
class MemberContent:
    """Which parts are there is a matter of the kind of notice.

    `zone`: where the days are reckoned. `title`, `body` and `image` (an address) are a promotion's own, in
    the reader's language. `balances` are there for every kind: a text may place any account's. [LOY-43]
    """

    member_id: str
    zone: str
    branch_id: str = ""
    coupon: CouponView | None = None
    bonus: BonusView | None = None
    balances: tuple[Balance, ...] = ()
    title: str = ""
    body: str = ""
    image: str = ""
    about: Literal["member"] = "member"


@dataclass(frozen=True)
class PhoneCodeContent:
    """A code, made where it is sent: it never passes through Temporal, a log or the message log. [WACA-35]"""

    code: str = field(repr=False)
    minutes: int
    zone: str
    about: Literal["phone_code"] = "phone_code"

    @property
    def masked(self) -> "PhoneCodeContent":
        """The same without its code: what the message log keeps."""
        return replace(self, code="*" * len(self.code))
