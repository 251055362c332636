"""Not too many of one class to one address in one day."""

from models.notices import NoticeClass
from models.quiet import quiet_until
from models.timing import Offset, local_day, moment
from policies.answers import Answer, Code, Defer, Refuse
from policies.proposal import Proposal


def frequency_cap(proposal: Proposal) -> Answer:
    """By the recipient's calendar day. Over the cap a promotion is dropped; anything else waits a day.

    A promotion that waited would push the next day's over the cap; a coupon about to lapse is worth telling
    tomorrow too. It waits until quiet hours end there, for nobody is written to at midnight.
    """
    policy, sent, zone = proposal.class_policy, proposal.standing.sent_today, proposal.zone
    if not policy.daily_cap or sent < policy.daily_cap:
        return None
    quiet, today = proposal.merchant.gate.quiet_hours, local_day(proposal.now, zone)
    goes = quiet_until(proposal.now, quiet, zone) if policy.quiet else None
    if goes is not None and local_day(goes, zone) != today:
        return None  # quiet hours hold it over midnight: the cap that counts is tomorrow's
    word = proposal.notice_class.word
    reason = f"the recipient has had {sent} {word} messages today, and {policy.daily_cap} a day is the most"
    if proposal.notice_class is NoticeClass.PROMOTIONAL:
        return Refuse("frequency_cap", Code.CAPPED, reason)
    return Defer("frequency_cap", moment(today, Offset(1, quiet.ends), zone), reason)
