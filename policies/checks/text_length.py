"""How long a promotional SMS may be. [LS-10]"""

from models.channels import SMS
from models.notices import NoticeClass
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def text_length(proposal: Proposal) -> Answer:
    """So many characters, whatever they cost in segments."""
    if proposal.channel != SMS or proposal.notice_class is not NoticeClass.PROMOTIONAL:
        return None
    length, limit = len(proposal.text), proposal.merchant.gate.promotional_sms_limit
    if length <= limit:
        return None
    reason = f"a promotional SMS has at most {limit} characters, and this one has {length}"
    return Refuse("text_length", Code.TOO_LONG, reason)
