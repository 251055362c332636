"""Messages that want to go, for tests of the gate: of any class, by any channel."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from models.agenda import Notice
from models.merchant import Merchant, SmsProvider, SmsSettings
from models.notices import CATALOGUE, Kind, NoticeClass, Row
from models.people import Person, Role
from policies.gate import Proposal, Standing

NOON = datetime(2026, 3, 3, 4, tzinfo=UTC)
"""12:00 on a Tuesday in Taipei."""
SHOP = Merchant(
    id="lumi",
    name="Lumi",
    zone="Asia/Taipei",
    locale="zh-Hant",
    country="TW",
    currency="TWD",
    sms=SmsSettings(SmsProvider.TWSMS),
)
ADA = Person("Ada", "ada@example.com", "+886912345678", member_id="m-1", id="ada")


def row(notice_class: NoticeClass, line_case: int | None = None) -> Row:
    """A row of the catalogue, of any class: that of bookings has no promotions."""
    return replace(CATALOGUE[Kind.ORDER_FAILED], notice_class=notice_class, line_case=line_case)


def proposed(
    notice_class: NoticeClass = NoticeClass.TRANSACTIONAL,
    channel: str = "sms",
    *,
    merchant: Merchant = SHOP,
    now: datetime = NOON,
    lasts: timedelta = timedelta(days=3),
    recipient: Person = ADA,
    key: str = "booking:lumi:b1/n1",
    line_case: int | None = None,
    text: str = "",
    segments: int = 1,
    **standing: Any,
) -> Proposal:
    """A message of that class at that moment; `standing` are the facts about its recipient."""
    notice = Notice(key, Kind.ORDER_FAILED, Role.BOOKER, recipient, (channel,), now, now + lasts)
    return Proposal(
        notice,
        channel,
        merchant,
        now,
        Standing(**standing),
        text,
        segments,
        row=row(notice_class, line_case),
    )
