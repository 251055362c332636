"""What a merchant file may say of points and quotas."""

from collections.abc import Mapping
from decimal import Decimal

from intake.problems import Wrong
from intake.reader import Check, Context
from models.credits import MOST_MESSAGES, CreditPolicy, PointsError, QuotaPolicy, SmsPrice, to_units

DEAREST = Decimal(1000)


def _price(value: Decimal, _: Context) -> Decimal:
    if not 0 < value <= DEAREST:
        raise Wrong("is no price of an SMS", f"write points above 0, at most {DEAREST}")
    try:
        to_units(value)
    except PointsError as error:
        raise Wrong("is too fine", str(error).rpartition(": ")[2]) from None
    return value


def _messages(value: int | None, _: Context) -> int | None:
    if value is not None and not 0 <= value <= MOST_MESSAGES:
        raise Wrong("is out of range", f"write a number from 0 to {MOST_MESSAGES}")
    return value


CREDIT_CHECKS: Mapping[tuple[type, str], Check] = {
    (SmsPrice, "domestic"): _price,
    (SmsPrice, "foreign"): _price,
    (CreditPolicy, "banner_below"): _messages,
    (CreditPolicy, "email_below"): _messages,
    (QuotaPolicy, "monthly"): _messages,
}
