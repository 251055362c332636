"""What an SMS costs, which letters it holds, and a merchant's own text in place of the shipped one."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jinja2 import Environment
from jinja2.meta import find_referenced_templates

from activities.merchant_sms import text_problems
from activities.rendering import TEMPLATES, Rendered, Renderer, check_sms_text, variables
from activities.template_values import SMS_NAMES
from channels.sms_text import segments
from models.merchant import Merchant, PaymentMethod, SmsSettings
from models.notices import Kind
from tests.requirements import requirement
from tests.templates.samples import LOCALES, STUDIO, TOM, Case, accepted, case, full, placed, service

RENDERER = Renderer()
BY_SMS = [*SMS_NAMES]
"""The kinds of SMS about an order; those to members are in test_member_notices.py."""


def sms(one: Case, locale: str = "en", **texts: str) -> Rendered:
    """The SMS of a case; `texts` are the merchant's own, all for its kind, by locale."""
    mine = {tag.replace("_", "-"): text for tag, text in texts.items()}
    merchant = replace(one.merchant, sms=SmsSettings(texts={one.notice.kind: mine}))
    one = one.to(locale=locale)
    return RENDERER.render(one.notice, one.content, merchant, "sms")


def of(kind: Kind) -> Case:
    return next(one for one in full() if one.notice.kind is kind)


SEEN = {
    Kind.ORDER_PLACED: (1, 1, 2),
    Kind.ORDER_FAILED: (1, 1, 1),
    Kind.PAYMENT_RECEIVED: (1, 1, 1),
    Kind.PAYMENT_REMINDER: (2, 1, 1),
    Kind.ORDER_CANCELLED: (1, 1, 1),
    Kind.PRE_VISIT: (2, 1, 1),
}


@pytest.mark.parametrize("kind", BY_SMS)
def test_an_sms_costs_one_or_two_segments(kind: Kind) -> None:
    """With the values of a usual shop and order, these many in zh-Hant, en and fr."""
    assert tuple(sms(of(kind), locale).segments for locale in LOCALES) == SEEN[kind]


@pytest.mark.parametrize("locale", ["en", "fr"])
@pytest.mark.parametrize("method", PaymentMethod)
@pytest.mark.parametrize("month", range(1, 13))
def test_no_english_or_french_sms_needs_the_dear_alphabet(
    locale: str, method: PaymentMethod, month: int
) -> None:
    """Whatever the month and the way to pay, the text is GSM-7: `août` or `ê` would more than double it."""
    deadline = datetime(2026, month, 9, 6, tzinfo=UTC)
    for one in full():
        if one.notice.kind in BY_SMS:
            sessions = tuple(replace(s, starts_at=deadline, ends_at=deadline) for s in one.content.sessions)
            one = one.saying(payment_method=method, payment_deadline=deadline, sessions=sessions)
            assert segments(sms(one, locale).text).encoding == "GSM-7"


@pytest.mark.parametrize("kind", BY_SMS)
@pytest.mark.parametrize("locale", LOCALES)
def test_an_sms_is_one_line_without_a_link(kind: Kind, locale: str) -> None:
    """Links in an SMS are what phones warn of."""
    text = sms(of(kind), locale).text
    assert "\n" not in text
    assert "://" not in text
    assert "lumi.example" not in text
    assert "Lumi Studio" in text


@requirement("WACA-23")
def test_the_merchants_own_text_replaces_the_shipped_one() -> None:
    """Its words, our values, its locale only."""
    one = case(accepted(), Kind.PRE_VISIT)
    own = sms(one, en="{{ name }}: {{ day }}, {{ time }}!{% if partner %} With {{ partner }}.{% endif %}")
    assert (own.text, own.fallback) == ("Tom Wu: Fri 20 Mar, 14:00!", "")
    assert sms(one, "fr", en="{{ name }}").text == sms(one, "fr").text


def test_a_text_for_a_region_serves_its_language() -> None:
    """A text under `zh-TW` is the one for zh-Hant."""
    assert sms(of(Kind.PRE_VISIT), "zh-Hant", zh_TW="{{ name }}您好").text == "Tom Wu您好"


def test_a_name_in_a_merchants_text_is_not_escaped() -> None:
    """An SMS is no page."""
    assert sms(of(Kind.PRE_VISIT).to(name="Ann & <Bo>"), en="{{ name }}").text == "Ann & <Bo>"


@requirement("WACA-23")
@pytest.mark.parametrize(
    "broken",
    [
        "{{ nmae }}",
        "{% if %}",
        "{{ name",
        "{{ name.__class__.__mro__ }}",
        "{{ name.join(['a']) }}",
        "{{ (name * 999999999) }}",
        "{% for x in name %}{{ x }}{% endfor %}",
        "{% include 'order_placed/en/email.j2' %}",
        "{% set name = 'a' %}{{ name }}",
        "{{ name | attr('__class__') }}",
        "{% if partner %}With {{ partner }}{% endif %}",
        "{% if shop %}" * 200 + "a" + "{% endif %}" * 200,
        "{{ " + "not " * 5000 + "shop }}",
    ],
)
def test_a_broken_text_of_a_merchant_costs_the_wording_and_not_the_message(broken: str) -> None:
    """The shipped text goes instead, and says why; nothing walks out of the sandbox."""
    one = of(Kind.PRE_VISIT)
    instead = sms(one, en=broken)
    assert instead.text == sms(one).text
    assert instead.fallback.startswith("sms.texts.pre_visit.en: ")


@requirement("WACA-23")
@pytest.mark.parametrize(
    ("kind", "locale", "text", "problem"),
    [
        ("pre_visit", "en", "x" * 269, "the text has 269 characters, and 268 are allowed"),
        ("pre_visit", "en", "  ", "the text is empty"),
        ("pre_visit", "en", "Hello\n{% if %}", "line 2: Expected an expression"),
        (
            "pre_visit",
            "en",
            "{{ servic }}",
            "line 1: 'servic' is not known: did you mean 'service'?; there is",
        ),
        ("order_placed", "en", "{{ partner }}", "'partner' is not known; there is shop, branch"),
        ("pre_visit", "en", "{{ name.x }}", "getattr is not allowed here: write values as {{ name }}"),
        (
            "pre_visit",
            "en",
            "{{ name | replace }}",
            "the filter 'replace' is not allowed here; there is upper",
        ),
        ("pre_visits", "en", "hi", "'pre_visits' is no kind of SMS: did you mean 'pre_visit'?"),
        ("voucher", "en", "hi", "'voucher' is no kind of SMS"),
        ("pre_visit", "de", "hi", "'de' is no locale that is served; there is zh-Hant, en, fr"),
    ],
)
def test_a_text_is_checked_in_words_before_it_is_used(
    kind: str, locale: str, text: str, problem: str
) -> None:
    """Each problem says where it is, what is wrong, and what would be right."""
    (found,) = check_sms_text(kind, locale, text, STUDIO)
    assert found.startswith(f"sms.texts.{kind}.{locale}: ")
    assert problem in found


def test_the_limit_is_the_shops_own() -> None:
    """A shop with another limit is held to that one."""
    short: Merchant = replace(STUDIO, sms=SmsSettings(text_limit=5))
    assert check_sms_text("pre_visit", "en", "12345", short) == []
    assert len(check_sms_text("pre_visit", "en", "123456", short)) == 1


@pytest.mark.parametrize("kind", BY_SMS)
@pytest.mark.parametrize("locale", LOCALES)
def test_every_documented_variable_is_there_and_no_other(kind: Kind, locale: str) -> None:
    """A text that places all the names of its kind is good, and each has a sample."""
    text = "".join(f"{{{{ {name} }}}}" for name in variables(kind, locale))
    assert text_problems(kind, text, STUDIO) == []
    assert sms(of(kind), locale, **{locale.replace("-", "_"): text}).fallback == ""
    assert tuple(sorted(variables(kind))) == tuple(sorted(SMS_NAMES[kind]))


def test_a_kind_without_sms_has_no_variables() -> None:
    """Nothing to place where nothing may be changed."""
    assert variables(Kind.VOUCHER) == {}


@pytest.mark.parametrize("kind", BY_SMS)
def test_every_shipped_text_keeps_to_what_a_merchants_may_do(kind: Kind) -> None:
    """The shipped text is one that a merchant may start from."""
    for locale in LOCALES:
        source = (TEMPLATES / kind / locale / "sms.j2").read_text().strip()
        assert text_problems(kind, source, STUDIO) == []


def test_a_french_sms_has_plain_spaces_and_the_euro() -> None:
    """Babel's narrow spaces are written plainly, and `€` is in the alphabet."""
    text = sms(of(Kind.PAYMENT_RECEIVED).saying(currency="EUR"), "fr").text
    assert "2 800,00 €" in text
    assert segments(text).encoding == "GSM-7"


def test_a_service_names_itself_once() -> None:
    """Two sessions of one service are one name in `services`."""
    days = [service(f"s{n}", service().starts_at.replace(day=20 + n), TOM) for n in (1, 2)]
    assert sms(case(placed(*days), Kind.ORDER_PLACED), en="{{ services }}").text == "Portrait session"


@pytest.mark.parametrize(
    "path", sorted(TEMPLATES.glob("*/*/sms.j2")), ids=lambda path: "/".join(path.parts[-3:])
)
def test_the_text_of_an_sms_is_in_one_file(path: Path) -> None:
    """What it places is looked up there, so that nothing else is worked out: it takes in no other file."""
    parsed = Environment(autoescape=True).parse(path.read_text("utf-8"))
    assert list(find_referenced_templates(parsed)) == []
