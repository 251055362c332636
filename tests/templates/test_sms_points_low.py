"""The email to a merchant whose SMS points are nearly used up, in three languages."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from activities.credit_values import credit_values
from activities.formats import Formats
from activities.rendering import TEMPLATES
from models.credit_content import Alert, alert_delivery
from models.merchant import PROMOTIONAL_WORDS, promotional_word
from models.notices import Kind
from tests.requirements import requirement
from tests.shops import PAYING

AT = datetime(2026, 3, 10, 6, tzinfo=UTC)
ALERT = Alert(7, "lumi", Kind.SMS_POINTS_LOW, "m1", Decimal("41.65"), 49, AT)


def rendered(locale: str) -> dict[str, str]:
    """The blocks of the email to a merchant of that locale."""
    merchant = replace(PAYING, locale=locale)
    delivery = alert_delivery(ALERT, merchant)
    formats = Formats.of((delivery.notice.recipient.locale, merchant.locale), delivery.content.zone)
    values = credit_values(delivery.notice, delivery.content, formats)
    return {block: _block(block, locale, values) for block in ("subject", "text", "html")}


def _block(block: str, locale: str, values: dict[str, object]) -> str:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=block == "html",
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template(f"{Kind.SMS_POINTS_LOW}/{locale}/email.j2")
    return "".join(template.blocks[block](template.new_context(values)))


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
            ("mardi 10 mars 2026 à 14\u00a0h", "41,65", "49 SMS nationaux", "Bonjour Lumi Studio,"),
        ),
    ],
)
def test_the_merchant_is_told_what_is_left_and_what_to_do(
    locale: str, subject: str, said: tuple[str, ...]
) -> None:
    """When it was, how many points, how many messages; and it sounds like no advertising."""
    message = rendered(locale)
    assert message["subject"] == subject
    for part in (message["text"], message["html"]):
        assert all(words in part for words in said), part
        assert promotional_word(part, PROMOTIONAL_WORDS) is None
        assert "Carillon" in part
        assert "owner@lumi.example" not in part, "the shop's own contacts have no place in it"
