"""A sample of every notice and of every value, for the preview, the check and the documentation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from activities.formats import Formats
from activities.template_values import email_values, names_of, sms_values
from models.agenda import Notice
from models.booking_content import BookingContent, SessionView
from models.channels import SMS
from models.credit_content import LowPointsContent
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.people import Person, Role


@dataclass(frozen=True)
class Sample:
    """A notice that could be, what it says, and who sends it."""

    notice: Notice
    content: BookingContent | LowPointsContent
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
    content = replace(_LONG_CONTENT if long else _CONTENT, zone=shop.zone, currency=shop.currency)
    return Sample(replace(notice, about=("s1",)), replace(content, **_CHANGES.get(kind, {})), shop)


def variables(kind: Kind, locale: str = "en", channel: str = SMS) -> Mapping[str, object]:
    """The names that a merchant's own text of this kind may place, each with a sample of what it becomes."""
    names = names_of(kind, channel)
    made = sample(kind, locale)
    if not names or not isinstance(made.content, BookingContent):
        return {}
    formats = Formats.of((locale,), made.content.zone)
    values = (sms_values if channel == SMS else email_values)(
        made.notice, made.content, made.merchant, formats
    )
    return MappingProxyType({name: value for name, value in values.items() if name in names})


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
