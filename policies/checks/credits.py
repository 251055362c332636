"""The points that pay for SMS. [WACA-25, WACA-28]"""

from models.channels import SMS
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def credits(proposal: Proposal) -> Answer:
    """What is left is looked at again when the message is claimed."""
    left = proposal.standing.credits_left
    if left is None or proposal.channel != SMS or proposal.merchant.charged_in_part:
        return None  # in part: without points it still goes by the provider that costs none
    points = proposal.merchant.sms_points(proposal.segments, domestic=proposal.standing.domestic)
    if points <= left:
        return None
    reason = f"it costs {points} points, and the merchant has {left} left"
    return Refuse("credits", Code.NO_CREDITS, reason)
