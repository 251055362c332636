"""What the email about a merchant's points may place, as formatted words by name. [WACA-29b]"""

from babel.numbers import format_decimal

from activities.formats import Formats, one_line
from models.agenda import Notice
from models.credit_content import LowPointsContent

SENDER = "Carillon"
"""This letter is from us to the shop: the shop's own contacts have no place in it."""


def credit_values(notice: Notice, content: LowPointsContent, formats: Formats) -> dict[str, object]:
    """Everything that the template may place, with what the letter around it asks for."""
    of_the_letter = dict.fromkeys(("branch", "shop_phone", "shop_email", "shop_address", "shop_website"), "")
    return {
        **of_the_letter,
        "locale": formats.locale,
        "declinable": False,
        "unsubscribe": "",
        "shop": SENDER,
        "name": one_line(notice.recipient.name),
        "points": format_decimal(content.points, locale=formats.home),
        "sendable": format_decimal(content.sendable, locale=formats.home),
        "day": formats.day(content.at),
        "time": formats.clock(content.at),
    }
