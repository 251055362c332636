"""Verifying a member's phone: what is asked for, and what came of it. No code is in any of it. [WACA-35]"""

from dataclasses import dataclass
from datetime import datetime

from models.agenda import Status
from models.channels import SMS
from models.member import Member
from models.merchant import Merchant


@dataclass(frozen=True)
class PhoneCheck:
    """A code is to be sent to the phone of this member. `asked_at`, UTC, is filled in by the workflow."""

    merchant_id: str
    member_id: str
    asked_at: datetime | None = None


@dataclass(frozen=True)
class PhoneCheckReport:
    """What came of it. `ends_at`: until when the code is taken, where one was sent; UTC."""

    status: Status
    reason: str = ""
    ends_at: datetime | None = None


def needs_check(merchant: Merchant, member: Member) -> bool:
    """Whether membership waits for a code: a phone is given, and the merchant can write to it. [WACA-35]"""
    return bool(member.phone) and SMS in merchant.channels
