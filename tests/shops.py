"""Shops that pay with points, and shops that are counted by the month."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from models.credits import CreditPolicy, QuotaPolicy
from models.merchant import Merchant, SmsProvider, SmsSettings

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
MARCH, APRIL = "2026-03", "2026-04"
HOME, ABROAD = Decimal("0.85"), Decimal(3)

PAYING = Merchant(
    "lumi",
    "Lumi Studio",
    "Asia/Taipei",
    "zh-Hant",
    "TW",
    "TWD",
    email="owner@lumi.example",
    sms=SmsSettings(SmsProvider.SMARTDOVE),
    credits=CreditPolicy(enabled=True),
)
COUNTED = replace(PAYING, id="counted", credits=CreditPolicy(), quota=QuotaPolicy(monthly=1000))
CROWDED = replace(PAYING, id="crowded", quota=QuotaPolicy(monthly=170))
PAIR = (replace(PAYING, id="one"), replace(PAYING, id="two"))
