"""What a template may place: the content of a notice as formatted words, by name."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType

from activities.formats import Formats, one_line, shipped_locale
from models.agenda import Notice
from models.booking import Failure
from models.booking_content import BookingContent, SessionView
from models.merchant import Merchant
from models.notices import Kind
from models.people import Role

BRIEF = 60
"""The longest payment information, in characters, that is worth its place in an SMS."""

_EVERY = ("shop", "branch", "shop_phone", "name", "order_number", "services")
_MONEY = ("total", "payment_method")
_DEADLINE = ("pay_by", "payment_brief")

SMS_NAMES: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.ORDER_PLACED: (*_EVERY, *_MONEY, *_DEADLINE),
        Kind.ORDER_FAILED: (*_EVERY, *_MONEY, "declined", "late"),
        Kind.PAYMENT_RECEIVED: (*_EVERY, *_MONEY, "accepted"),
        Kind.PAYMENT_REMINDER: (*_EVERY, *_MONEY, *_DEADLINE),
        Kind.ORDER_CANCELLED: (*_EVERY, *_MONEY, "refunded"),
        Kind.PRE_VISIT: (*_EVERY, "service", "day", "time", "place", "partner"),
    }
)
"""What an SMS text may place, by kind: these, and no others. [WACA-23]"""

EMAIL_NAMES = (
    *("shop", "branch", "shop_phone", "shop_email", "shop_address", "shop_website", "name", "order_number"),
    *("service", "day", "time", "voucher", *_MONEY, "pay_by"),
)
"""What an email of the merchant's own may place, where the catalogue lets it write one."""


Values = dict[str, object]


@dataclass(frozen=True)
class Slot:
    """A session in words. What is empty is not known, or not for this recipient."""

    name: str
    when: str
    day: str
    time: str
    place: str = ""
    partner: str = ""
    who: str = ""
    updated: bool = False


@dataclass(frozen=True)
class Shop:
    """How the outlet that this booking is with can be found."""

    name: str
    branch: str
    phone: str
    address: str
    email: str
    website: str

    @classmethod
    def of(cls, merchant: Merchant, branch_id: str) -> "Shop":
        """The branch where it says so itself, else the merchant."""
        if (branch := merchant.branch(branch_id)) is None:
            place = "", merchant.phone, merchant.address
        else:
            place = branch.name, branch.phone or merchant.phone, branch.address or merchant.address
        return _shop(merchant.name, *place, merchant.email, merchant.website)


@lru_cache(maxsize=1_000)
def _shop(name: str, branch: str, phone: str, address: str, email: str, website: str) -> Shop:
    # A link of another scheme (`javascript:`) has no place in a mail.
    linked = website if website.startswith(("https://", "http://")) else ""
    return Shop(one_line(name), one_line(branch), phone, one_line(address), email, linked)


def email_values(
    notice: Notice, content: BookingContent, merchant: Merchant, formats: Formats
) -> dict[str, object]:
    """Everything that the templates of an email may place."""
    content = for_notice(notice, content)
    shop = Shop.of(merchant, content.branch_id)
    slots = [_slot(notice, session, shop, formats) for session in content.sessions]
    deadline = _deadline(content)
    return {
        "locale": formats.locale,
        "declinable": False,
        "unsubscribe": "",
        "shop": shop.name,
        "branch": shop.branch,
        "shop_phone": shop.phone,
        "shop_email": shop.email,
        "shop_address": shop.address,
        "shop_website": shop.website,
        "name": one_line(notice.recipient.name),
        "booker": one_line(content.booker) if content.booker != notice.recipient.name else "",
        "order_number": content.booking_id,
        "sessions": slots,
        "gone": [_slot(notice, session, shop, formats) for session in content.gone],
        "voucher": content.voucher if slots else "",
        "total": _total(content, merchant, formats),
        "payment_method": formats.method(content.payment_method),
        "payment_info": _payment_info(content),
        "pay_by": formats.day(deadline) if deadline else "",
        "paid": content.paid,
        "refunded": content.refunded,
        "accepted": content.accepted,
        "first": content.first,
        "handed_on": _handed_on(notice, content),
        "declined": content.failure == Failure.CARD,
        "late": content.failure == Failure.DEADLINE,
        "service": slots[0].name if slots else "",
        "day": slots[0].day if slots else "",
        "time": slots[0].time if slots else "",
        "notes": _notes(content, merchant, formats.locale) if notice.kind is Kind.PRE_VISIT else "",
    }


def sms_values(
    notice: Notice, content: BookingContent, merchant: Merchant, formats: Formats
) -> Mapping[str, object]:
    """What the texts of an SMS may place: short forms, and only SMS_NAMES of its kind."""
    content = for_notice(notice, content)
    return _Given(notice, content, merchant, formats, Shop.of(merchant, content.branch_id))


@dataclass(slots=True, eq=False)
class _Given(Mapping[str, object]):
    """The values of an SMS, each worked out when it is placed: most texts place few of them."""

    notice: Notice
    content: BookingContent
    merchant: Merchant
    formats: Formats
    shop: Shop

    def __getitem__(self, name: str) -> object:
        if name not in SMS_NAMES[self.notice.kind]:
            raise KeyError(name)
        return _IN_SMS[name](self)

    def __iter__(self) -> Iterator[str]:
        return iter(SMS_NAMES[self.notice.kind])

    def __len__(self) -> int:
        return len(SMS_NAMES[self.notice.kind])

    def __contains__(self, name: object) -> bool:
        return name in SMS_NAMES[self.notice.kind]

    @property
    def first(self) -> SessionView | None:
        """The session that it speaks of."""
        return self.content.sessions[0] if self.content.sessions else None


_IN_SMS: Mapping[str, Callable[[_Given], object]] = {
    "shop": lambda of: of.shop.name,
    "branch": lambda of: of.shop.branch,
    "shop_phone": lambda of: of.shop.phone,
    "name": lambda of: one_line(of.notice.recipient.name),
    "order_number": lambda of: of.content.booking_id,
    "services": lambda of: of.formats.listed(
        dict.fromkeys(one_line(session.name) for session in of.content.sessions)
    ),
    "total": lambda of: _total(of.content, of.merchant, of.formats),
    "payment_method": lambda of: of.formats.method(of.content.payment_method),
    "pay_by": lambda of: of.formats.short_day(deadline) if (deadline := _deadline(of.content)) else "",
    "payment_brief": lambda of: _brief(_payment_info(of.content)),
    "declined": lambda of: of.content.failure == Failure.CARD,
    "late": lambda of: of.content.failure == Failure.DEADLINE,
    "accepted": lambda of: of.content.accepted,
    "refunded": lambda of: of.content.refunded,
    "service": lambda of: one_line(of.first.name) if of.first else "",
    "day": lambda of: of.formats.short_day(of.first.starts_at) if of.first else "",
    "time": lambda of: of.formats.clock(of.first.starts_at) if of.first else "",
    "place": lambda of: place_of(of.first, of.shop) if of.first else "",
    "partner": lambda of: one_line(of.first.partner) if of.first else "",
}


def for_notice(notice: Notice, content: BookingContent) -> BookingContent:
    """Of the recipient's sessions only the one that a pre-visit notice is about. [WACA-36]"""
    if notice.kind is not Kind.PRE_VISIT or not notice.about:
        return content
    about = tuple(session for session in content.sessions if session.id in notice.about)
    if about == content.sessions and not content.gone:
        return content
    return replace(content, sessions=about, gone=())


def in_locale(texts: Mapping[str, str], tags: Iterable[str]) -> str:
    """The text whose locale serves the first of these tags that has one, or an empty string."""
    for tag in tags:
        wanted = shipped_locale(tag)
        same = (text for key, text in texts.items() if wanted and shipped_locale(key) == wanted)
        text = texts.get(tag) or next(same, "")
        if text:
            return text
    return ""


def paragraphs(text: str) -> list[str]:
    """The parts of a text between its empty lines."""
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _slot(notice: Notice, session: SessionView, shop: Shop, formats: Formats) -> Slot:
    gives = notice.role is Role.SERVICE_PARTNER
    return Slot(
        name=one_line(session.name),
        when=formats.when(session.starts_at, session.ends_at),
        day=formats.day(session.starts_at),
        time=formats.clock(session.starts_at),
        place=place_of(session, shop),
        partner="" if gives else one_line(session.partner),
        who=formats.listed(map(one_line, session.participants)) if gives else "",
        updated=session.id in notice.about,
    )


def place_of(session: SessionView, shop: Shop) -> str:
    """Where a session is: its own place, else that of the outlet."""
    return one_line(session.place) or ", ".join(filter(None, (shop.branch, shop.address)))


def _handed_on(notice: Notice, content: BookingContent) -> bool:
    """Whether others come in the recipient's place, to all that the recipient has lost."""
    others = (
        session.participants and notice.recipient.name not in session.participants for session in content.gone
    )
    return bool(content.gone) and all(others)


def _total(content: BookingContent, merchant: Merchant, formats: Formats) -> str:
    return formats.money(content.total, content.currency or merchant.currency)


def _payment_info(content: BookingContent) -> str:
    """How to pay, while there is something to pay."""
    return "" if content.paid else content.payment_info.strip()


def _deadline(content: BookingContent) -> datetime | None:
    """The last moment to pay, while there is something to pay."""
    return None if content.paid else content.payment_deadline


def _notes(content: BookingContent, merchant: Merchant, locale: str) -> str:
    """The service's own notes, else the merchant's. [WACA-05]"""
    own = next((session.notes for session in content.sessions if session.notes), "")
    return (own or in_locale(merchant.booking.pre_visit_notes, (locale, merchant.locale))).strip()


def _brief(payment_info: str) -> str:
    """Payment information that fits into an SMS: short, on one line, and no link."""
    text = one_line(payment_info)
    return text if len(text) <= BRIEF and "://" not in text and "www." not in text else ""
