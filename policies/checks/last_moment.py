"""Nothing is sent too late."""

from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def last_moment(proposal: Proposal) -> Answer:
    """A message past its last moment is missed."""
    if proposal.now <= proposal.notice.not_after:
        return None
    late = proposal.now - proposal.notice.not_after
    reason = (
        f"its last moment, {proposal.notice.not_after:%Y-%m-%d %H:%M} UTC, passed {late} before it could go"
    )
    return Refuse("last_moment", Code.MISSED, reason)
