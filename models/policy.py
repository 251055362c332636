"""What a merchant may send, to whom and when: the numbers and lists that the gate goes by."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from functools import lru_cache

from models.notices import NoticeClass


class Trade(StrEnum):
    """What a business sells that bars it from SMS somewhere. [LS-40, LS-41]"""

    TOBACCO = "tobacco"
    VAPING = "vaping"
    CBD = "cbd"
    CANNABIS = "cannabis"
    CANNABIS_PRODUCTS = "cannabis_products"
    FIREARMS = "firearms"
    ADULT = "adult"
    ALCOHOL = "alcohol"

    @property
    def in_words(self) -> str:
        """What the business sells, for a sentence."""
        return _TRADES.get(self, self.value)


_TRADES = {
    Trade.VAPING: "vaping products",
    Trade.CBD: "CBD",
    Trade.CANNABIS_PRODUCTS: "products derived from cannabis",
    Trade.ADULT: "adult articles",
}

_BOTH_SIDES_OF_THE_BORDER = (
    Trade.TOBACCO,
    Trade.VAPING,
    Trade.CBD,
    Trade.CANNABIS,
    Trade.CANNABIS_PRODUCTS,
    Trade.FIREARMS,
    Trade.ADULT,
)


@dataclass(frozen=True)
class TradeBan:
    """A country whose law or operators bar SMS for some trades, be it promotional or automatic. [LS-42]"""

    country: str
    trades: tuple[Trade, ...]


TRADE_BANS: Mapping[str, TradeBan] = {
    "US": TradeBan("the United States", _BOTH_SIDES_OF_THE_BORDER),
    "CA": TradeBan("Canada", (*_BOTH_SIDES_OF_THE_BORDER, Trade.ALCOHOL)),
}
"""By the merchant's country. Not a choice; in force since 22 April 2022. [LS-40 to LS-43]"""

PUBLIC_SHORTENERS = (
    "bit.ly", "tinyurl.com", "goo.gl", "ow.ly", "is.gd", "v.gd", "t.co", "t.ly", "cutt.ly", "buff.ly",
    "adf.ly", "bl.ink", "bit.do", "rb.gy", "rebrand.ly", "shorturl.at", "short.io", "short.gy", "tiny.cc",
    "tiny.one", "s.id", "dub.sh", "clck.ru", "u.to", "urlz.fr", "shorte.st", "soo.gd", "reurl.cc", "ppt.cc",
    "pse.is", "lihi.cc", "lihi1.cc", "lihi2.cc", "lihi3.cc", "0rz.tw", "supr.link", "risu.io", "myppt.cc",
)  # fmt: skip
"""Hosts that shorten links for everybody, with those common in Taiwan. [LS-60]"""


class ConsentRule(StrEnum):
    """What a class of notices asks of its recipient."""

    NONE = "none"
    """It goes whatever was said: it is owed."""
    OPT_OUT = "opt_out"
    """It goes until the recipient says no."""
    OPT_IN = "opt_in"
    """It goes once the recipient has said yes."""


@dataclass(frozen=True)
class ClassPolicy:
    """How one class of notices is treated.

    `verified`: SMS only to a phone that its owner has confirmed with a code. It says nothing of email and
    push: nothing confirms these. [WACA-35]
    `quiet`: whether quiet hours hold it back.
    `daily_cap`: so many to one address in one calendar day of the recipient's, 0 for any number.
    """

    consent: ConsentRule = ConsentRule.NONE
    verified: bool = False
    quiet: bool = False
    daily_cap: int = 0


OWED = ClassPolicy()
"""Security and transactional notices: nobody is asked, nothing holds them, and no merchant changes that."""


@dataclass(frozen=True)
class QuietHours:
    """From `starts` to `ends`, over midnight or not, on the recipient's clock. Both the same: never."""

    starts: time = time(21)
    ends: time = time(9)


@dataclass(frozen=True)
class GatePolicy:
    """What a merchant decides about its messages.

    `promotional_sms`: false where the merchant has none, as some in North America. [LS-01]
    `promotional_sms_limit`: the longest promotional SMS, in characters. [LS-10]
    `short_domains`: the merchant's own short domains, let through whatever is listed. [LS-61]
    `shorteners`: hosts whose links no SMS may carry, besides the public ones, which nobody lets in. [LS-60]
    """

    reminder: ClassPolicy = ClassPolicy(ConsentRule.OPT_OUT)
    loyalty: ClassPolicy = ClassPolicy(ConsentRule.OPT_OUT, quiet=True, daily_cap=3)
    promotional: ClassPolicy = ClassPolicy(ConsentRule.OPT_IN, quiet=True, daily_cap=2)
    quiet_hours: QuietHours = QuietHours()
    promotional_sms: bool = True
    promotional_sms_limit: int = 300
    short_domains: tuple[str, ...] = ()
    shorteners: tuple[str, ...] = ()

    @property
    def barred_hosts(self) -> tuple[str, ...]:
        """The public shorteners and the merchant's list, which older merchants keep with the public ones."""
        return _with_public(self.shorteners)

    def of(self, notice_class: NoticeClass) -> ClassPolicy:
        """How that class is treated."""
        if notice_class <= NoticeClass.TRANSACTIONAL:
            return OWED
        if notice_class is NoticeClass.REMINDER:
            return self.reminder
        return self.loyalty if notice_class is NoticeClass.LOYALTY else self.promotional


@lru_cache(maxsize=200)
def _with_public(hosts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*PUBLIC_SHORTENERS, *hosts)))
