"""The messages of the fault campaign: of every class, to one telephone each, the same in every process."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from activities.attempt import Item
from models.agenda import Delivery, Notice
from models.booking_content import BookingContent, SessionView
from models.channels import SMS
from models.credits import CreditPolicy, QuotaPolicy
from models.merchant import Merchant, SmsProvider, SmsSettings
from models.notices import CATALOGUE, Kind, NoticeClass
from models.people import Person
from models.policy import ClassPolicy, GatePolicy

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
"""When every attempt begins, by the shop's clock: nothing is quiet then."""
PROVIDER = SmsProvider.SMARTDOVE
"""Who is played by the loopback provider; its messages cost points."""
QUOTA = 100_000

SHOP = Merchant(
    id="lumi",
    name="Lumi Studio",
    zone="Asia/Taipei",
    locale="en",
    country="TW",
    currency="TWD",
    sms=SmsSettings(PROVIDER),
    credits=CreditPolicy(enabled=True),
    quota=QuotaPolicy(monthly=QUOTA),
    gate=GatePolicy(promotional=ClassPolicy(), loyalty=ClassPolicy()),
)

KINDS = (Kind.ORDER_PLACED, Kind.PRE_VISIT, Kind.PAYMENT_RECEIVED, Kind.ORDER_CANCELLED)
DECLARED = {Kind.PAYMENT_RECEIVED: NoticeClass.LOYALTY, Kind.ORDER_CANCELLED: NoticeClass.PROMOTIONAL}
"""The campaign has these kinds belong to the classes that forbid a second message."""


def declare() -> None:
    """Let the catalogue say so; only in a process that does nothing else."""
    for kind, notice_class in DECLARED.items():
        CATALOGUE[kind] = replace(CATALOGUE[kind], notice_class=notice_class)


def class_of(number: int) -> NoticeClass:
    """The class that the message of that number has in the campaign."""
    kind = _kind(number)
    return DECLARED.get(kind) or CATALOGUE[kind].notice_class


def key_of(number: int) -> str:
    """The notice key of that number."""
    return f"booking:lumi:b{number}/{_kind(number)}/s1/ada"


def item(number: int) -> Item:
    """The message of that number."""
    kind = _kind(number)
    phone = f"+8869{10_000_000 + number}"
    starts = NOON + timedelta(days=3)
    notice = Notice(
        key=key_of(number),
        kind=kind,
        role=CATALOGUE[kind].role,
        recipient=Person("Ada Lin", "", phone, "en", id="ada"),
        channels=(SMS,),
        due=NOON - timedelta(minutes=1),
        not_after=NOON + timedelta(days=1),
        about=("s1",),
    )
    session = SessionView("s1", "Pilates", starts, starts + timedelta(hours=1), place="Studio A")
    content = BookingContent(
        booking_id=f"b{number}",
        branch_id="",
        zone=SHOP.zone,
        booker="Ada Lin",
        sessions=(session,),
        total=Decimal(1800),
        currency="TWD",
        payment_method="bank_transfer",
        payment_info="812-0001234567",
        accepted=True,
    )
    return Item(Delivery(notice, content, SHOP.id, f"booking:lumi:b{number}"), SMS, SHOP)


def _kind(number: int) -> Kind:
    return KINDS[number % len(KINDS)]
