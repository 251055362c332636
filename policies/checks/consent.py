"""Whether the recipient wants this class of notice by this channel."""

from models.channels import in_words
from models.consent import Consent, willing
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def consent(proposal: Proposal) -> Answer:
    """What is owed is not asked about; else a no is kept to, and a promotion wants a yes."""
    rule, given = proposal.class_policy.consent, proposal.standing.consent
    if willing(rule, given):
        return None
    what = f"{proposal.notice_class.word} messages by {in_words(proposal.channel)}"
    if given is Consent.OPTED_OUT:
        return Refuse("consent", Code.OPTED_OUT, f"the recipient has unsubscribed from {what}")
    return Refuse("consent", Code.NO_CONSENT, f"the recipient has not agreed to {what}")
