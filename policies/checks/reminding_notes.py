"""The block that a merchant may write into the pre-visit email reminds, and does not advertise. [WACA-05]"""

from functools import lru_cache

from models.channels import EMAIL
from models.merchant import promotional_word
from models.notices import Editable
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def reminding_notes(proposal: Proposal) -> Answer:
    """Neither the notes in this email nor those that the merchant keeps, in any language."""
    if proposal.channel != EMAIL or proposal.kind_row.editable is not Editable.SMS_AND_NOTES:
        return None
    merchant = proposal.merchant
    for notes in (proposal.notes, *merchant.booking.pre_visit_notes.values()):
        if (word := _word_in(notes, merchant.promotional_words)) is not None:
            reason = f"the pre-visit notes hold the promotional word {word!r}"
            return Refuse("reminding_notes", Code.PROMOTIONAL_WORDS, reason)
    return None


# A page of notices has the same notes five hundred times.
_word_in = lru_cache(maxsize=1000)(promotional_word)
