"""Who a notice can be for."""

from dataclasses import dataclass
from enum import StrEnum

from models.light import light


class Role(StrEnum):
    """The part that a recipient plays in a lifecycle. [WACA-06]"""

    BOOKER = "booker"
    PARTICIPANT = "participant"
    SERVICE_PARTNER = "service_partner"
    MEMBER = "member"
    MERCHANT = "merchant"


@light
@dataclass(frozen=True)
class Person:
    """Someone who can be written to.

    `phone` is in E.164 form, `locale` a tag such as `zh-Hant`; empty means the merchant's own.
    `id` tells people of one booking apart; left empty, it is given when the booking is taken in.
    `push` is the token of the merchant's app on the person's device. [LOY-24]
    `zone` is where the person lives, if that is known better than by the phone number.
    """

    name: str
    email: str = ""
    phone: str = ""
    locale: str = ""
    member_id: str = ""
    id: str = ""
    push: str = ""
    zone: str = ""

    def address(self, channel: str) -> str:
        """Where this channel reaches the person, or an empty string."""
        match channel:
            case "sms":
                return self.phone
            case "email":
                return self.email
            case "push":
                return self.push
            case _:
                return ""
