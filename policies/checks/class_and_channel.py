"""What LINE notification messages may be used for. [CRES-02, CRES-03, CRES-22]"""

from models.channels import LINE_NOTIFICATION
from models.notices import NoticeClass
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def class_and_channel(proposal: Proposal) -> Answer:
    """No promotion, and no notice that fits none of the scenarios: coupons, birthdays, invitations back."""
    if proposal.channel != LINE_NOTIFICATION:
        return None
    if proposal.notice_class is NoticeClass.PROMOTIONAL:
        reason = "a promotion may not go by LINE notification message"
        return Refuse("class_and_channel", Code.CLASS_BARRED, reason)
    if proposal.kind_row.line_case is None:
        kind = proposal.notice.kind.replace("_", " ")
        reason = f"{kind} fits no scenario of LINE notification messages"
        return Refuse("class_and_channel", Code.CLASS_BARRED, reason)
    return None
