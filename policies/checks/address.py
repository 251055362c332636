"""Somewhere to go to."""

from models.channels import in_words
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def address(proposal: Proposal) -> Answer:
    """There is an address, it can be one, and a phone is confirmed where the class asks for that."""
    if not proposal.notice.recipient.address(proposal.channel):
        return Refuse(
            "address", Code.NO_ADDRESS, f"the recipient has no address for {in_words(proposal.channel)}"
        )
    if proposal.standing.address_problem:
        return Refuse("address", Code.BAD_ADDRESS, proposal.standing.address_problem)
    if proposal.confirmed_only and not proposal.standing.verified:
        what = f"{proposal.notice_class.word} SMS go to confirmed phones only, and this one is not"
        return Refuse("address", Code.NOT_VERIFIED, what)
    return None
