"""Nobody is woken for a promotion."""

from models.quiet import quiet_until
from policies.answers import Answer, Defer
from policies.proposal import Proposal


def quiet_hours(proposal: Proposal) -> Answer:
    """Within the quiet hours of the recipient's clock, wait for their end."""
    if not proposal.class_policy.quiet:
        return None
    quiet = proposal.merchant.gate.quiet_hours
    until = quiet_until(proposal.now, quiet, proposal.zone)
    if until is None:
        return None
    reason = f"quiet hours from {quiet.starts:%H:%M} to {quiet.ends:%H:%M} {proposal.zone}"
    return Defer("quiet_hours", until, reason)
