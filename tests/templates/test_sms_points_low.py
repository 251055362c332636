"""The email to a merchant whose SMS points are nearly used up, in three languages."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from activities.formats import plain_spaces
from activities.rendering import Rendered, Renderer, RenderError
from models.credit_content import Alert, alert_delivery
from models.merchant import PROMOTIONAL_WORDS, promotional_word
from models.notices import Kind
from tests.requirements import requirement
from tests.shops import PAYING

AT = datetime(2026, 3, 10, 6, tzinfo=UTC)
ALERT = Alert(7, "lumi", Kind.SMS_POINTS_LOW, "m1", Decimal("41.65"), 49, AT)


def rendered(locale: str) -> Rendered:
    """The email to a merchant of that locale."""
    merchant = replace(PAYING, locale=locale)
    delivery = alert_delivery(ALERT, merchant)
    return Renderer().render(delivery.notice, delivery.content, merchant, "email")


@requirement("WACA-29b")
@pytest.mark.parametrize(
    ("locale", "subject", "said"),
    [
        (
            "zh-Hant",
            "簡訊點數即將使用完畢",
            ("2026年3月10日（星期二）14:00", "41.65 點", "49 則", "Lumi Studio 您好"),
        ),
        (
            "en",
            "SMS points nearly used up",
            ("Tuesday, 10 March 2026 at 14:00", "41.65 points", "49 domestic", "Hello Lumi Studio,"),
        ),
        (
            "fr",
            "Vos points SMS sont presque épuisés",
            ("mardi 10 mars 2026 à 14 h", "41,65", "49 SMS nationaux", "Bonjour Lumi Studio,"),
        ),
    ],
)
def test_the_merchant_is_told_what_is_left_and_what_to_do(
    locale: str, subject: str, said: tuple[str, ...]
) -> None:
    """When it was, how many points, how many messages; and it sounds like no advertising."""
    message = rendered(locale)
    assert message.subject == subject
    assert message.attachments == ()
    for part in (plain_spaces(message.text), plain_spaces(message.html)):
        assert all(words in part for words in said), part
        assert promotional_word(part, PROMOTIONAL_WORDS) is None
        assert "Carillon" in part
        assert "owner@lumi.example" not in part, "the shop's own contacts have no place in it"


@requirement("WACA-29b")
def test_it_goes_by_email_alone() -> None:
    """To warn of the last points by SMS would spend them."""
    delivery = alert_delivery(ALERT, PAYING)
    with pytest.raises(RenderError, match="sms_points_low does not go by sms"):
        Renderer().render(delivery.notice, delivery.content, PAYING, "sms")
