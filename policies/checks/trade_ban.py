"""Businesses that may not send SMS where they are. [LS-40 to LS-43]"""

from models.channels import SMS
from models.merchant import Merchant
from models.notices import NoticeClass
from models.policy import TRADE_BANS, Trade
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def barred(merchant: Merchant) -> tuple[Trade, str] | None:
    """What the merchant sells that bars it from SMS, and the country that does so; None: nothing."""
    if not merchant.trade or merchant.country not in TRADE_BANS:
        return None
    ban = TRADE_BANS[merchant.country]
    sold = next((trade for trade in merchant.trade if trade in ban.trades), None)
    return None if sold is None else (sold, ban.country)


def trade_ban(proposal: Proposal) -> Answer:
    """Neither promotional nor automatic SMS; email stays open. [LS-42, LS-50]"""
    found = barred(proposal.merchant) if proposal.channel == SMS else None
    if found is None:
        return None
    sold, country = found
    what = "promotional" if proposal.notice_class is NoticeClass.PROMOTIONAL else "automatic"
    reason = f"{what} SMS is barred for a business that sells {sold.in_words} in {country}"
    return Refuse("trade_ban", Code.TRADE_BARRED, reason)
