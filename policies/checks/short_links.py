"""No SMS carries a link of a public shortener. [LS-60, LS-61]"""

from models.channels import SMS
from policies.answers import Answer, Code, Refuse
from policies.links import shortened_link
from policies.proposal import Proposal


def short_links(proposal: Proposal) -> Answer:
    """Operators drop such messages, promotional or not; the merchant's own short domain is well."""
    if proposal.channel != SMS:
        return None
    policy = proposal.merchant.gate
    link = shortened_link(proposal.text, policy.barred_hosts, policy.short_domains)
    if link is None:
        return None
    reason = f"the link {link} is shortened by a public service, which SMS may not carry"
    return Refuse("short_links", Code.SHORT_LINK, reason)
