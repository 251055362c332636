"""A sample of every value that a merchant's SMS text may place, for the documentation and the preview."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType

from activities.formats import Formats
from activities.template_values import SMS_NAMES, sms_values
from models.agenda import Notice
from models.booking_content import BookingContent, SessionView
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.people import Person, Role


def variables(kind: Kind, locale: str = "en") -> Mapping[str, object]:
    """The names that an SMS text of this kind may place, each with a sample of what it becomes."""
    if kind not in SMS_NAMES:
        return {}
    notice = replace(_NOTICE, kind=kind, role=CATALOGUE[kind].role)
    formats = Formats.of((locale,), _CONTENT.zone)
    return MappingProxyType(sms_values(notice, _CONTENT, _MERCHANT, formats))


_MERCHANT = Merchant(
    id="lumi",
    name="Lumi Studio",
    zone="Asia/Taipei",
    locale="zh-Hant",
    country="TW",
    currency="TWD",
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
    failure="card",
)
_NOTICE = Notice(
    key="sample",
    kind=Kind.ORDER_PLACED,
    role=Role.BOOKER,
    recipient=Person("Mei Lin", id="p1"),
    channels=("sms",),
    due=datetime(2026, 3, 1, tzinfo=UTC),
    not_after=datetime(2026, 3, 2, tzinfo=UTC),
)
