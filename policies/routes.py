"""Which channel takes the place of one that a message could not go by. [LS-50]"""

from models.agenda import ChannelOutcome, Notice, Status
from models.notices import CATALOGUE

LAST_WORD = frozenset({"consent", "frequency_cap"})
"""Checks whose no is the recipient's: who does not want the SMS, or has had enough, gets no email instead."""

RECEIPT = "receipt"
"""Stands for the rule where a receipt told, after it was handed over, that a message did not arrive."""


def goes_on(status: Status, rule: str) -> bool:
    """Whether the next channel of a route is tried: this one failed for good, or a check refused it.

    What may have gone, what is too late and what is owed no more goes by no other channel; nor what was
    handed over and counted as sent, though it did not arrive.
    """
    if status is Status.REFUSED:  # without a rule it was no check: the notice was taken back
        return bool(rule) and rule not in LAST_WORD
    return status is Status.FAILED and rule != RECEIPT


def next_channel(notice: Notice, came: ChannelOutcome) -> str | None:
    """By what a notice goes after that; None where it ends there."""
    if not goes_on(came.status, came.rule):
        return None
    chain = CATALOGUE[notice.kind].chain(came.channel, notice.channels)
    return chain[1] if len(chain) > 1 else None
