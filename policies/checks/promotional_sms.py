"""Merchants without promotional SMS. [LS-01]"""

from models.channels import SMS
from models.notices import NoticeClass
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def promotional_sms(proposal: Proposal) -> Answer:
    """Where it is not to be had, promotions go by email."""
    if proposal.channel != SMS or proposal.notice_class is not NoticeClass.PROMOTIONAL:
        return None
    if proposal.merchant.gate.promotional_sms:
        return None
    reason = f"{proposal.merchant.name} has no promotional SMS; promotional email is open to it"
    return Refuse("promotional_sms", Code.NOT_AVAILABLE, reason)
