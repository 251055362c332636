"""A sample of every notice and of every value, for the preview, the check and the documentation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from activities.formats import Formats
from activities.member_values import MEMBER_NAMES, member_values, phone_code_values
from activities.template_names import names_of
from activities.template_values import email_values, sms_values
from models.agenda import Notice
from models.booking_content import BookingContent, SessionView
from models.channels import SMS
from models.credit_content import LowPointsContent
from models.member_content import Balance, BonusView, CouponView, MemberContent, PhoneCodeContent
from models.member_policy import BonusAccount
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.people import Person, Role


@dataclass(frozen=True)
class Sample:
    """A notice that could be, what it says, and who sends it."""

    notice: Notice
    content: BookingContent | LowPointsContent | MemberContent | PhoneCodeContent
    merchant: Merchant


def sample(kind: Kind, locale: str = "en", merchant: Merchant | None = None, *, long: bool = False) -> Sample:
    """A notice of that kind to a reader of that locale; with `long`, as wordy as one may well be."""
    shop = merchant or _MERCHANT
    row = CATALOGUE[kind]
    notice = replace(
        _NOTICE,
        kind=kind,
        role=row.role,
        channels=row.channels,
        recipient=replace(_LONG_READER if long else _READER, locale=locale),
    )
    if kind is Kind.SMS_POINTS_LOW:
        notice = replace(notice, recipient=Person(shop.name, email=shop.email, locale=locale, id=row.role))
        return Sample(notice, replace(_LOW_POINTS, zone=shop.zone), shop)
    if kind is Kind.PHONE_CODE:
        return Sample(notice, PhoneCodeContent("482913", shop.phone_check.minutes, shop.zone), shop)
    if kind in MEMBER_NAMES:
        return Sample(notice, _of_member(kind, shop, long=long), shop)
    content = replace(_LONG_CONTENT if long else _CONTENT, zone=shop.zone, currency=shop.currency)
    return Sample(replace(notice, about=("s1",)), replace(content, **_CHANGES.get(kind, {})), shop)


def variables(
    kind: Kind, locale: str = "en", channel: str = SMS, merchant: Merchant | None = None
) -> Mapping[str, object]:
    """The names that a merchant's own text of this kind may place, each with a sample of what it becomes."""
    made = sample(kind, locale, merchant)
    names = names_of(kind, channel, made.merchant)
    formats = Formats.of((locale,), made.content.zone)
    values: Mapping[str, object] = {}
    match made.content:
        case MemberContent() as content:
            values = member_values(made.notice, content, made.merchant, formats, channel)
        case PhoneCodeContent() as content:
            values = phone_code_values(content, made.merchant, formats)
        case BookingContent() as content:
            of_channel = sms_values if channel == SMS and names else email_values
            values = of_channel(made.notice, content, made.merchant, formats)
    return MappingProxyType({name: value for name, value in values.items() if name in names})


def _of_member(kind: Kind, shop: Merchant, *, long: bool) -> MemberContent:
    """What a member of that shop could be told, in the accounts that the shop has."""
    accounts = tuple(shop.bonuses) or ("bonus",)
    amounts = (Decimal("1234567.5"), Decimal(9999)) if long else (Decimal(300), Decimal(52))
    content = MemberContent("m1", shop.zone, balances=tuple(map(Balance, accounts, amounts)))
    match kind:
        case Kind.COUPON_ISSUED | Kind.COUPON_EXPIRING:
            return replace(content, coupon=_LONG_COUPON if long else _COUPON)
        case Kind.BONUS_ACTIVATION | Kind.BONUS_BURN | Kind.BIRTHDAY:
            return replace(content, bonus=BonusView(accounts[0], amounts[0], date(2026, 3, 10), days=3))
        case Kind.PROMOTION:
            return replace(content, title=_TITLE, body=_LONG_BODY if long else _BODY)
    return content


_MERCHANT = Merchant(
    id="lumi",
    name="Lumi Studio",
    zone="Asia/Taipei",
    locale="zh-Hant",
    country="TW",
    currency="TWD",
    email="hello@lumi.example",
    phone="02-2771-0000",
    address="No. 1, Yongkang Street, Taipei",
    bonuses={
        "gift": BonusAccount({"en": "gift account", "fr": "compte cadeau", "zh-Hant": "禮物帳戶"}),
        "promo": BonusAccount({"en": "promo account", "fr": "compte promo", "zh-Hant": "活動帳戶"}),
    },
)
_SESSION = SessionView(
    id="s1",
    name="Portrait session",
    starts_at=datetime(2026, 3, 10, 6, tzinfo=UTC),
    ends_at=datetime(2026, 3, 10, 7, tzinfo=UTC),
    place="Room 2",
    participants=("Mei Lin",),
    partner="Hana Chen",
)
_LONG_SESSION = replace(
    _SESSION,
    name="Family portrait session with retouching and prints",
    place="Building C, third floor, the room at the end of the corridor",
    participants=("Alexandrina Montgomery-Featherstonehaugh",),
    partner="Maximiliana Wolfeschlegelstein",
)
_READER = Person("Mei Lin", "mei@example.com", "+886900000001", id="p1")
_LONG_READER = replace(_READER, name="Alexandrina Montgomery-Featherstonehaugh")
_CONTENT = BookingContent(
    booking_id="B1024",
    branch_id="",
    zone="Asia/Taipei",
    booker="Mei Lin",
    sessions=(_SESSION,),
    total=Decimal(2800),
    payment_method="bank_transfer",
    payment_info="812-0001234567",
    payment_deadline=datetime(2026, 3, 3, 15, 59, 59, tzinfo=UTC),
)
_LONG_CONTENT = replace(
    _CONTENT,
    booking_id="2026-03-ONLINE-0001024",
    booker=_LONG_READER.name,
    sessions=(
        _LONG_SESSION,
        replace(_LONG_SESSION, id="s2", name="Hair, make-up and styling by appointment only"),
    ),
    total=Decimal(1234567),
    payment_info="Bank 812, branch 0001, account 0001234567890123",
)
_CHANGES: Mapping[Kind, Mapping[str, Any]] = {
    Kind.ORDER_FAILED: {"failure": "card"},
    Kind.PAYMENT_RECEIVED: {"paid": True},
    Kind.ORDER_CANCELLED: {"refunded": True},
    Kind.VOUCHER: {"voucher": "B1024-p1", "first": True},
    Kind.VOUCHER_CHANGED: {
        "voucher": "B1024-p1",
        "gone": (replace(_SESSION, id="s0", starts_at=datetime(2026, 3, 9, 6, tzinfo=UTC)),),
    },
    Kind.PRE_VISIT: {"voucher": "B1024-p1"},
}
"""What only notices of that kind have to say."""
_COUPON = CouponView("-10% on portraits", "SPRING10", date(2026, 3, 2), date(2026, 4, 30))
_LONG_COUPON = replace(
    _COUPON, name="One family portrait with retouching and two prints for half", code="SPRING-2026-0001024"
)
_TITLE = "Evening sessions at the studio"
_BODY = "From March on we take portraits until nine in the evening, Tuesday to Friday. See you soon!"
_LONG_BODY = f"{_BODY}\n\nBring the family: there is room for eight, and a corner for the little ones."
_LOW_POINTS = LowPointsContent(Decimal("41.65"), 49, datetime(2026, 3, 10, 6, tzinfo=UTC), "Asia/Taipei")
_NOTICE = Notice(
    key="sample",
    kind=Kind.ORDER_PLACED,
    role=Role.BOOKER,
    recipient=_READER,
    channels=(SMS,),
    due=datetime(2026, 3, 1, tzinfo=UTC),
    not_after=datetime(2026, 3, 2, tzinfo=UTC),
)
