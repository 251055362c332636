"""Businesses that may not send SMS where they are. [LS-40 to LS-43]"""

from models.channels import SMS
from models.notices import NoticeClass
from models.policy import TRADE_BANS
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def trade_ban(proposal: Proposal) -> Answer:
    """Neither promotional nor automatic SMS; email stays open. [LS-42, LS-50]"""
    merchant = proposal.merchant
    if proposal.channel != SMS or not merchant.trade or merchant.country not in TRADE_BANS:
        return None
    ban = TRADE_BANS[merchant.country]
    sold = next((trade for trade in merchant.trade if trade in ban.trades), None)
    if sold is None:
        return None
    what = "promotional" if proposal.notice_class is NoticeClass.PROMOTIONAL else "automatic"
    reason = f"{what} SMS is barred for a business that sells {sold.in_words} in {ban.country}"
    return Refuse("trade_ban", Code.TRADE_BARRED, reason)
