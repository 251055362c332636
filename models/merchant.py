"""A merchant: its place in the world, and its policy in numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from enum import StrEnum
from functools import cache

from models.channels import EMAIL, PUSH, SMS
from models.credits import CreditPolicy, QuotaPolicy, cost
from models.member_policy import BonusAccount, CouponPolicy, MemberPolicy, PhoneCheckPolicy
from models.policy import GatePolicy, Trade
from models.timing import Offset


class PaymentMethod(StrEnum):
    """How an order is paid. [WACA-33]"""

    CARD = "card"
    BANK_TRANSFER = "bank_transfer"
    ATM = "atm"
    BARCODE = "barcode"
    IBON = "ibon"
    FAMIPORT = "famiport"
    IN_PERSON = "in_person"


class SmsProvider(StrEnum):
    """Who sends the merchant's SMS; OFF is the shop setting switched off. [WACA-20, WACA-21]"""

    OFF = "off"
    TWSMS = "twsms"
    SMARTDOVE = "smartdove"
    SMPP = "smpp"
    TWILIO = "twilio"
    CONSOLE = "console"


OWN_ACCOUNT = frozenset({SmsProvider.OFF, SmsProvider.TWSMS})
"""With these there is nothing for us to charge: the merchant has an account of its own. [WACA-24]"""


class EmailProvider(StrEnum):
    """How the merchant's email leaves."""

    SMTP = "smtp"
    SMTP_BACKUP = "smtp_backup"
    """A second mail server, with settings of its own."""
    CONSOLE = "console"


class PushProvider(StrEnum):
    """How the merchant's push messages leave. [LOY-24]"""

    OFF = "off"
    FCM = "fcm"
    CONSOLE = "console"


PAYMENT_DAYS: Mapping[PaymentMethod, int] = {
    PaymentMethod.BANK_TRANSFER: 2,
    PaymentMethod.ATM: 2,
    PaymentMethod.BARCODE: 3,
    PaymentMethod.IBON: 2,
    PaymentMethod.FAMIPORT: 2,
}
"""Days from the order's day to the last day for payment, N+2 and N+3. [WACA-33]

A card is charged at once and payment in person has no deadline: neither is listed.
"""

THIRD_PARTY = tuple(
    method for method in PaymentMethod if method not in (PaymentMethod.BANK_TRANSFER, PaymentMethod.IN_PERSON)
)
"""With these a payment company takes the money. [WACA-31]"""

PAYMENT_REMINDER = Offset(days=-1, at=time(10))
PRE_VISIT = Offset(days=-2, at=time(10))

PROMOTIONAL_WORDS = (
    "優惠", "折扣", "特價", "促銷", "限時", "買一送一", "免費贈", "加碼", "紅利", "搶購", "下殺",
    "discount", "sale", "% off", "special offer", "limited offer", "promo", "coupon", "buy one", "free gift",
    "promotion", "solde", "soldes", "remise", "réduction", "rabais", "offre spéciale", "bon plan",
)  # fmt: skip
"""Words that make a reminder look like advertising, by default. [WACA-05]"""


@dataclass(frozen=True)
class BookingPolicy:
    """The numbers of the booking lifecycle, each with the default that the design decides.

    `payment_days`: days from the order's day to the last day for payment; a method not listed has none.
    `fails_unpaid`: an order by one of these methods fails at its deadline; others wait for the merchant.
    `payment_reminder`: days counted from the last day for payment, at that hour, shop time.
    `pre_visit`: days counted from the day of the session, at that hour, shop time.
    `pre_visit_least_days`: a service fewer calendar days after the order gets no pre-visit notice. [WACA-36]
    `pre_visit_margin_hours`: that long before the session the pre-visit notice is too late.
    `prompt_hours`: how long after it happened a stage of the order is still worth telling.
    `late_payment_hours`: how long a failed order stays open for a payment made in time but told late.
    """

    payment_days: Mapping[PaymentMethod, int] = field(default_factory=lambda: dict(PAYMENT_DAYS))
    fails_unpaid: tuple[PaymentMethod, ...] = THIRD_PARTY
    payment_reminder: Offset = PAYMENT_REMINDER
    pre_visit: Offset = PRE_VISIT
    pre_visit_least_days: int = 2
    pre_visit_margin_hours: int = 24
    prompt_hours: int = 24
    late_payment_hours: int = 72
    pre_visit_notes: Mapping[str, str] = field(default_factory=dict)
    """The editable block of the pre-visit email, by locale. [WACA-05]"""


@dataclass(frozen=True)
class Branch:
    """One outlet of a merchant. What is empty is the merchant's."""

    id: str
    name: str
    zone: str = ""
    phone: str = ""
    address: str = ""


@dataclass(frozen=True)
class SmsSettings:
    """The shop's SMS reminder settings. [WACA-20 to WACA-23]

    `fallback`: who takes over while the provider is down.
    `texts`: the merchant's own SMS templates, by kind of notice and then locale.
    `text_limit`: the longest template that is taken, in characters.
    """

    provider: SmsProvider = SmsProvider.OFF
    fallback: SmsProvider = SmsProvider.OFF
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    text_limit: int = 268

    @property
    def providers(self) -> tuple[SmsProvider, ...]:
        """Who sends, the first choice first; none where SMS is off."""
        if self.provider is SmsProvider.OFF:
            return ()
        chosen = (self.provider, self.fallback)
        return tuple(dict.fromkeys(one for one in chosen if one is not SmsProvider.OFF))


@dataclass(frozen=True)
class Merchant:
    """A tenant: a brand or a shop.

    `trade`: what it sells that bars it from SMS in some countries. [LS-40, LS-41]
    `gate`: what its messages must pass before they go.
    `credits`: how its SMS are paid; left out, nothing is counted. [WACA-25]
    `quota`: how many SMS each branch may send in a month; left out, there is no end. [LS-20]
    `email_fallback`: who takes over while `email_provider` is down; left out, nobody does.
    `bonuses`: the kinds of bonus that its members collect, by currency. [LOY-43]
    """

    id: str
    name: str
    zone: str
    locale: str
    country: str
    currency: str
    email: str = ""
    phone: str = ""
    website: str = ""
    address: str = ""
    branches: tuple[Branch, ...] = ()
    email_provider: EmailProvider = EmailProvider.SMTP
    email_fallback: EmailProvider | None = None
    sms: SmsSettings = SmsSettings()
    booking: BookingPolicy = BookingPolicy()
    promotional_words: tuple[str, ...] = PROMOTIONAL_WORDS
    credits: CreditPolicy = field(default_factory=CreditPolicy)
    quota: QuotaPolicy = field(default_factory=QuotaPolicy)
    trade: tuple[Trade, ...] = ()
    gate: GatePolicy = field(default_factory=GatePolicy)
    push_provider: PushProvider = PushProvider.OFF
    members: MemberPolicy = field(default_factory=MemberPolicy)
    phone_check: PhoneCheckPolicy = field(default_factory=PhoneCheckPolicy)
    coupons: CouponPolicy = field(default_factory=CouponPolicy)
    bonuses: Mapping[str, BonusAccount] = field(default_factory=dict)

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that are switched on."""
        on = {EMAIL: True, SMS: self.sms.provider is not SmsProvider.OFF}
        on[PUSH] = self.push_provider is not PushProvider.OFF
        return tuple(channel for channel, switched in on.items() if switched)

    def branch(self, branch_id: str) -> Branch | None:
        """The outlet of that id, where there is one."""
        return next((branch for branch in self.branches if branch.id == branch_id), None)

    def zone_of(self, branch_id: str) -> str:
        """The zone of an outlet; it may stand in another than its merchant."""
        branch = self.branch(branch_id)
        return (branch.zone if branch else "") or self.zone

    def charged(self, provider: SmsProvider | None = None) -> bool:
        """Whether SMS by that provider, or else by any of its own, cost points of ours. [WACA-24, WACA-25]"""
        if not self.credits.enabled:
            return False
        return not OWN_ACCOUNT.issuperset((provider,) if provider is not None else self.sms.providers)

    @property
    def charged_in_part(self) -> bool:
        """Whether SMS cost points by one of its providers, and nothing by the other."""
        return self.charged() and not OWN_ACCOUNT.isdisjoint(self.sms.providers)

    def sms_points(self, segments: int, *, domestic: bool, provider: SmsProvider | None = None) -> Decimal:
        """What an SMS of so many segments costs in points of ours, by its dearest provider. [WACA-28]"""
        if not self.charged(provider):
            return Decimal(0)
        return cost(segments, self.credits.price, domestic=domestic)


@dataclass(frozen=True)
class BookingRules:
    """What a booking lifecycle knows of its merchant: read once, kept in the state, so that replay agrees."""

    zone: str
    locale: str
    channels: tuple[str, ...]
    policy: BookingPolicy


def booking_rules(merchant: Merchant, branch_id: str = "") -> BookingRules:
    """The rules of one branch."""
    channels = ("email",) if merchant.sms.provider is SmsProvider.OFF else ("email", "sms")
    return BookingRules(
        zone=merchant.zone_of(branch_id),
        locale=merchant.locale,
        channels=channels,
        policy=merchant.booking,
    )


def promotional_word(text: str, words: tuple[str, ...]) -> str | None:
    """The first promotional word in a text, or None. Case does not matter. [WACA-05]

    A word of letters counts only as a whole word: "sale" is not in "wholesale". Chinese has no such bounds,
    and bounds no word of letters.
    """
    return next((word for word in words if _pattern(word).search(text)), None)


_LETTERS = "0-9A-Za-zÀ-ɏ"


@cache
def _pattern(word: str) -> re.Pattern[str]:
    before = rf"(?<![{_LETTERS}])" if word[:1].isalnum() and word.isascii() else ""
    after = rf"(?![{_LETTERS}])" if word[-1:].isalnum() and word.isascii() else ""
    return re.compile(before + re.escape(word) + after, re.IGNORECASE)
