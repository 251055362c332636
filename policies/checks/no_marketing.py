"""LINE notification messages carry no marketing. [CRES-02]"""

from models.channels import LINE_NOTIFICATION
from models.merchant import promotional_word
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def no_marketing(proposal: Proposal) -> Answer:
    """Whatever the class says, the words of the message are looked at too."""
    if proposal.channel != LINE_NOTIFICATION:
        return None
    word = promotional_word(proposal.text, proposal.merchant.promotional_words)
    if word is None:
        return None
    reason = f"a LINE notification message may not hold the promotional word {word!r}"
    return Refuse("no_marketing", Code.PROMOTIONAL_WORDS, reason)
