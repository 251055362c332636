"""A merchant may have switched SMS off since the lifecycle began. [WACA-20]"""

from models.channels import SMS
from models.merchant import SmsProvider
from policies.answers import Answer, Code, Refuse
from policies.proposal import Proposal


def channel_switch(proposal: Proposal) -> Answer:
    """No SMS while the shop setting is off."""
    if proposal.channel == SMS and proposal.merchant.sms.provider is SmsProvider.OFF:
        return Refuse("channel_switch", Code.CHANNEL_OFF, "the merchant has switched SMS off")
    return None
