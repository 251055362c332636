"""Addresses that are not written to any more."""

from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def suppression(proposal: Proposal) -> Answer:
    """A dead address, or one whose owner said stop, gets nothing of any class until that is lifted."""
    if not proposal.standing.suppressed:
        return None
    reason = f"the address is on the suppression list: {proposal.standing.suppressed}"
    return Refuse("suppression", Code.SUPPRESSED, reason)
