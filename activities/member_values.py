"""What a member's notices may place: days, amounts and names as formatted words, by name."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import quote

from activities.declining import declinable
from activities.formats import Formats, one_line
from activities.template_values import Shop, in_locale, paragraphs
from models.agenda import Notice
from models.channels import EMAIL
from models.member_content import MemberContent, PhoneCodeContent
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind

_EVERY = ("shop", "branch", "shop_phone", "name", "balances")
_COUPON = ("coupon", "code", "valid_from", "valid_to")
_BONUS = ("amount", "points", "account", "day")

MEMBER_NAMES: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        Kind.PHONE_CODE: ("shop", "code", "minutes"),
        Kind.MEMBER_WELCOME: _EVERY,
        Kind.INVITATION: _EVERY,
        Kind.INVITATION_AGAIN: _EVERY,
        Kind.COUPON_ISSUED: (*_EVERY, *_COUPON),
        Kind.COUPON_EXPIRING: (*_EVERY, *_COUPON),
        Kind.BONUS_ACTIVATION: (*_EVERY, *_BONUS, "days"),
        Kind.BONUS_BURN: (*_EVERY, *_BONUS, "days"),
        Kind.BIRTHDAY: (*_EVERY, *_BONUS),
        Kind.PROMOTION: (*_EVERY, "title", "body"),
    }
)
"""What a text may place, by kind; besides, every account of the merchant by its name. [LOY-27, LOY-43]"""

_BETWEEN = {"zh-Hant": "、", "en": ", ", "fr": ", "}


@lru_cache(maxsize=1_000)
def balance_name(currency: str) -> str:
    """How a text places what can be spent of an account: `balance_gift`. [LOY-43]"""
    return "balance_" + re.sub(r"\W", "_", currency)


def phone_code_values(content: PhoneCodeContent, merchant: Merchant, formats: Formats) -> dict[str, object]:
    """The code, and how long it holds. [WACA-35]"""
    minutes = formats.minutes(content.minutes)
    return {"shop": one_line(merchant.name), "code": content.code, "minutes": minutes}


def member_values(
    notice: Notice,
    content: MemberContent,
    merchant: Merchant,
    formats: Formats,
    channel: str,
    page: str = "",
) -> dict[str, object]:
    """Everything that a text of that kind may place; its days in full in an email, elsewhere short.

    `page` is where such emails can be declined, if there is one; else it is by a letter.
    ValueError where the content lacks what a notice of that kind is about.
    """
    shop = Shop.of(merchant, content.branch_id)
    values: dict[str, object] = {
        "shop": shop.name,
        "branch": shop.branch,
        "shop_phone": shop.phone,
        "name": one_line(notice.recipient.name),
        **_balances(content, merchant, formats),
    }
    if (about := _ABOUT.get(notice.kind)) is not None:
        day = formats.full_date if channel == EMAIL else formats.short_date
        values |= about(content, merchant, formats, day)
    if channel == EMAIL:
        values |= {
            "locale": formats.locale,
            "shop_email": shop.email,
            "shop_address": shop.address,
            "shop_website": shop.website,
            "declinable": declinable(CATALOGUE[notice.kind].notice_class),
            "unsubscribe": page or _unsubscribe(notice.kind, merchant),
        }
    return values


def _balances(content: MemberContent, merchant: Merchant, formats: Formats) -> dict[str, object]:
    """What each account of the merchant holds, 0 included, and in one line those with something in them."""
    held = {balance.currency: balance.amount for balance in content.balances}
    values: dict[str, object] = {}
    line = []
    for currency in merchant.bonuses:
        amount = held.get(currency, _NOTHING)
        said = values[balance_name(currency)] = formats.number(amount)
        if amount:
            line.append(f"{_account(currency, merchant, formats)} {said}")
    values["balances"] = _BETWEEN[formats.locale].join(line)
    return values


_NOTHING = Decimal(0)

_Day = Callable[[date], str]


def _coupon(content: MemberContent, _: Merchant, __: Formats, day: _Day) -> dict[str, object]:
    if (coupon := content.coupon) is None:
        raise ValueError("there is no coupon to tell of")
    return {
        "coupon": one_line(coupon.name),
        "code": coupon.code,
        "valid_from": day(coupon.usable_from),
        "valid_to": day(coupon.usable_to),
    }


def _bonus(content: MemberContent, merchant: Merchant, formats: Formats, day: _Day) -> dict[str, object]:
    if (bonus := content.bonus) is None:
        raise ValueError("there is no bonus to tell of")
    return {
        "amount": formats.number(bonus.amount),
        "points": formats.points(bonus.amount),
        "account": _account(bonus.currency, merchant, formats),
        "day": day(bonus.on) if bonus.on else "",
        "days": formats.days(bonus.days) if bonus.days else "",
    }


def _gift(content: MemberContent, merchant: Merchant, formats: Formats, day: _Day) -> dict[str, object]:
    if content.bonus is None:
        return dict.fromkeys(_BONUS, "")
    return _bonus(content, merchant, formats, day)


def _own_words(content: MemberContent, _: Merchant, __: Formats, ___: _Day) -> dict[str, object]:
    if not (body := content.body.strip()):
        raise ValueError("there are no words to send")
    return {
        "title": one_line(content.title),
        "body": body,
        "paragraphs": paragraphs(body),
        "image": content.image,
    }


_ABOUT: Mapping[Kind, Callable[[MemberContent, Merchant, Formats, _Day], dict[str, object]]] = {
    Kind.COUPON_ISSUED: _coupon,
    Kind.COUPON_EXPIRING: _coupon,
    Kind.BONUS_ACTIVATION: _bonus,
    Kind.BONUS_BURN: _bonus,
    Kind.BIRTHDAY: _gift,
    Kind.PROMOTION: _own_words,
}


def _account(currency: str, merchant: Merchant, formats: Formats) -> str:
    """An account as its members know it; one that has no name goes by its currency."""
    account = merchant.bonuses.get(currency)
    names = account.names if account else {}
    return one_line(in_locale(names, (formats.locale, merchant.locale)) or currency)


def _unsubscribe(kind: Kind, merchant: Merchant) -> str:
    """Where no more of them can be asked for: in a letter to the merchant, who notes it down."""
    notice_class = CATALOGUE[kind].notice_class
    if not declinable(notice_class) or not merchant.email:
        return ""
    return _letter(merchant.email, notice_class.word)


@lru_cache(maxsize=1_000)
def _letter(address: str, notice_class: str) -> str:
    return f"mailto:{quote(address, safe='@')}?subject=unsubscribe%20{notice_class}"
