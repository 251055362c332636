"""Nobody is woken for a promotion."""

from datetime import datetime, timedelta

from models.policy import QuietHours
from models.timing import Offset, local, moment
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


def quiet_until(now: datetime, quiet: QuietHours, zone: str) -> datetime | None:
    """When the quiet hours that hold at this moment end; None when none do.

    They end once a day: an hour that the clock repeats after their end is not quiet again.
    """
    there = local(now, zone)
    clock = there.time()
    over_midnight = quiet.ends <= quiet.starts
    evening = clock >= quiet.starts
    if quiet.starts == quiet.ends or not (
        (evening or clock < quiet.ends) if over_midnight else (evening and clock < quiet.ends)
    ):
        return None
    ends_tomorrow = over_midnight and evening
    day = there.date() + timedelta(days=1) if ends_tomorrow else there.date()
    until = moment(day, Offset(0, quiet.ends), zone)
    return until if until > now else None
