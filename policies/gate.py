"""The gate: the ordered checks that a message passes before it may go.

Adding one is a file in `policies/checks` and a line below. A check answers None, Refuse or Defer. A refusal
outweighs every deferral, so the order decides which reason is told, and never whether a message goes.
"""

from collections.abc import Callable, Iterable

from models.agenda import Status
from models.timing import local
from policies.answers import (
    POLICY_VERSION,
    Answer,
    Code,
    Decision,
    Defer,
    Deferred,
    Passed,
    Refuse,
    Refused,
)
from policies.checks.address import address
from policies.checks.channel_switch import channel_switch
from policies.checks.class_and_channel import class_and_channel
from policies.checks.consent import consent
from policies.checks.credits import credits
from policies.checks.frequency_cap import frequency_cap
from policies.checks.last_moment import last_moment
from policies.checks.no_marketing import no_marketing
from policies.checks.promotional_sms import promotional_sms
from policies.checks.quiet_hours import quiet_hours
from policies.checks.quota import quota
from policies.checks.reminding_notes import reminding_notes
from policies.checks.short_links import short_links
from policies.checks.suppression import suppression
from policies.checks.suspension import suspension
from policies.checks.text_length import text_length
from policies.checks.trade_ban import trade_ban
from policies.proposal import Proposal, Standing

__all__ = [
    "AFTER_RENDERING",
    "BEFORE_RENDERING",
    "CHECKS",
    "POLICY_VERSION",
    "Decision",
    "Deferred",
    "Passed",
    "Proposal",
    "Refused",
    "Standing",
    "after_rendering",
    "before_rendering",
    "gate",
]

Check = Callable[[Proposal], Answer]

BEFORE_RENDERING: tuple[Check, ...] = (
    suspension,
    last_moment,
    # What cannot go by this channel at all is told before what the recipient wants: another may replace it.
    channel_switch,
    class_and_channel,
    # The windows and recipients of each LINE case (CRES-11 to CRES-21) come here.
    trade_ban,
    promotional_sms,
    address,
    consent,
    suppression,
    quiet_hours,
    frequency_cap,
    quota,
)
AFTER_RENDERING: tuple[Check, ...] = (
    reminding_notes,
    no_marketing,
    short_links,
    text_length,
    credits,
)
"""Those that look at the text."""
CHECKS = BEFORE_RENDERING + AFTER_RENDERING

_PASSED = Passed()


def before_rendering(proposal: Proposal) -> Decision:
    """What can be decided without the text: nothing is rendered that would not go."""
    return decide(proposal, BEFORE_RENDERING)


def after_rendering(proposal: Proposal) -> Decision:
    """What the text decides."""
    return decide(proposal, AFTER_RENDERING)


def gate(proposal: Proposal) -> Decision:
    """The whole gate, for a proposal with its text."""
    return decide(proposal, CHECKS)


def decide(proposal: Proposal, checks: Iterable[Check]) -> Decision:
    """The first refusal; else the latest deferral, within the message's time; else it may go."""
    latest: Defer | None = None
    for check in checks:
        answer = check(proposal)
        if answer is None:
            continue
        if isinstance(answer, Refuse):
            status = Status.MISSED if answer.code is Code.MISSED else Status.REFUSED
            return Refused(status, answer.rule, answer.code, answer.reason)
        if latest is None or answer.until > latest.until:
            latest = answer
    return _PASSED if latest is None else _deferred(proposal, latest)


def _deferred(proposal: Proposal, defer: Defer) -> Decision:
    there = local(defer.until, proposal.zone)
    waits = f"{defer.reason}: it waits until {there:%Y-%m-%d %H:%M}"
    if defer.until <= proposal.notice.not_after:
        return Deferred(defer.until, defer.rule, waits)
    last = local(proposal.notice.not_after, proposal.zone)
    reason = f"{waits}, which is after its last moment, {last:%Y-%m-%d %H:%M}"
    return Refused(Status.MISSED, defer.rule, Code.MISSED, reason)
