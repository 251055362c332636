"""A merchant that may not send for the time being. [CRES-04]"""

from models.channels import in_words
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def suspension(proposal: Proposal) -> Answer:
    """A suspension is the brand's: it stops every class on the channels of its family."""
    why = proposal.standing.suspended
    if not why:
        return None
    reason = f"{in_words(proposal.channel)} is suspended for {proposal.merchant.name}: {why}"
    return Refuse("suspension", Code.SUSPENDED, reason)
