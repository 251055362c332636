"""The messages that a branch may send in a month. [LS-20, LS-21]"""

from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def quota(proposal: Proposal) -> Answer:
    """One recipient is one message. What is left is looked at again when the message is claimed."""
    left = proposal.standing.quota_left
    if left is None or left > 0:
        return None
    return Refuse("quota", Code.QUOTA_USED_UP, "this month's messages of the branch are used up")
