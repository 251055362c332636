"""What a merchant's own text may place, and what it must. [WACA-23, WACA-35, LOY-43]"""

from activities.member_values import MEMBER_NAMES, balance_name
from activities.template_values import EMAIL_NAMES, SMS_NAMES
from models.channels import EMAIL, SMS
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind

_OF_THE_LETTER = ("shop_email", "shop_address", "shop_website")


def names_of(kind: Kind, channel: str, merchant: Merchant) -> tuple[str, ...]:
    """What a text of that kind may place by that channel; nothing where the merchant may write none.

    Each bonus account of the merchant is a name of its own.
    """
    if channel not in CATALOGUE[kind].editable.channels:
        return ()
    if kind not in MEMBER_NAMES:
        return SMS_NAMES.get(kind, ()) if channel == SMS else EMAIL_NAMES
    names = MEMBER_NAMES[kind]
    if kind is Kind.PHONE_CODE:
        return names
    accounts = tuple(map(balance_name, merchant.bonuses))
    return (*names, *accounts, *(_OF_THE_LETTER if channel == EMAIL else ()))


def needed_in(kind: Kind) -> tuple[str, ...]:
    """What a text of that kind cannot do without: a code that is not told verifies nobody."""
    return ("code",) if kind is Kind.PHONE_CODE else ()
