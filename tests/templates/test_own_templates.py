"""A text of a merchant's own: what may stand in it, what it comes to, and that none does any harm."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.member_values import MEMBER_NAMES
from activities.rendering import SMS_CAP, Renderer
from activities.template_check import Checked, TemplateRefusedError, check_template, named_place, routed
from activities.template_names import names_of
from activities.template_samples import sample
from activities.template_syntax import problems_of
from activities.template_values import SMS_NAMES
from models.merchant import SmsProvider, SmsSettings
from models.notices import CATALOGUE, Kind
from models.own_template import OwnTemplate, Place
from models.policy import GatePolicy
from tests.requirements import requirement
from tests.templates.samples import BARE, LOCALES, STUDIO, accepted, case

RENDERER = Renderer()
PRE_VISIT = Place(Kind.PRE_VISIT, "en", "sms")
ROOMY = replace(STUDIO, sms=SmsSettings(text_limit=8_760))


def checked(text: str, place: Place = PRE_VISIT, subject: str = "") -> Checked:
    return check_template(OwnTemplate(place, text, subject), STUDIO)


@requirement("WACA-23")
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x" * 269, "the text has 269 characters, and 268 are allowed"),
        (" ", "the text is empty"),
        ("Hello\n{% if %}", "line 2: Expected an expression"),
        ("{{ servic }}", "line 1: 'servic' is not known: did you mean 'service'?"),
        ("{{ 'a' * 10**8 }}", "line 1: mul is not allowed here"),
        ("{{ name.__class__.__mro__ }}", "line 1: getattr is not allowed here"),
        ("{{ name['x'] }}", "line 1: getitem is not allowed here"),
        ("{{ name.upper() }}", "line 1: call is not allowed here"),
        (
            "{% for a in range(9) %}{% for b in range(9) %}x{% endfor %}{% endfor %}",
            "for is not allowed here",
        ),
        ("{{ name | attr('x') }}", "the filter 'attr' is not allowed here"),
        ("{{ name | center(100000000) }}", "the filter 'center' is not allowed here"),
        ("{% macro a() %}{% endmacro %}", "macro is not allowed here"),
        ("{% set a = 1 %}", "assign is not allowed here"),
        ("{% include 'a' %}", "include is not allowed here"),
        ("{{ 9 }}", "a number cannot be placed"),
        ("{{ " + "9" * 250 + " }}", "a number cannot be placed"),
        ("{{ name if partner }}", "say with 'else' what stands there otherwise"),
        ("a\x00b", "line 1: the character U+0000 cannot be sent"),
        ("a\ud800b", "line 1: the character U+D800 cannot be sent"),
        ("{# nothing #}", "with typical values: the text comes out empty"),
        ("Our SALE is on", "the promotional word 'sale' has no place in a reminder notice"),
        ("{% if partner %}{% else %}優惠{% endif %}", "the promotional word '優惠'"),
        ("dis{# #}count", "the promotional word 'discount'"),
        ("See https://bit.ly/3x{{ order_number }}", "the public shortener bit.ly"),
    ],
)
def test_what_is_wrong_with_a_text_is_said_in_words(text: str, problem: str) -> None:
    """Each problem names the place in the text, what is wrong, and what would be right."""
    problems = checked(text).problems
    assert any(problem in found for found in problems), problems


@requirement("WACA-23")
@pytest.mark.parametrize(
    ("place", "problem"),
    [
        (("pre_visits", "en", "sms"), "'pre_visits' is no kind of notice: did you mean 'pre_visit'?"),
        (("pre_visit", "de", "sms"), "'de' is no locale that is served; there is zh-Hant, en, fr"),
        (("pre_visit", "en", "smss"), "'smss' is no channel: did you mean 'sms'?; there is email, push, sms"),
        (("voucher", "en", "sms"), "voucher does not go by sms; it goes by email"),
    ],
)
def test_a_place_that_there_is_not_is_named(place: tuple[str, str, str], problem: str) -> None:
    """Kind, locale and channel, with what there is."""
    assert problem in checked("hello", Place(*place)).problems[0]
    with pytest.raises(TemplateRefusedError) as refused:
        named_place(*place)
    assert problem in str(refused.value)


def test_a_region_is_served_in_its_language() -> None:
    """A text for zh-TW is the one for zh-Hant."""
    assert named_place("pre_visit", "zh-TW", "sms") == Place("pre_visit", "zh-Hant", "sms")


@requirement("WACA-04")
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in MEMBER_NAMES])
def test_no_email_of_an_order_may_be_changed(kind: Kind) -> None:
    """Of orders, and of the shop's own points, the email is fixed; SMS may be changed where there is one."""
    (problem,) = checked("hello", Place(kind, "en", "email"), "Hi").problems
    assert problem.startswith(f"the email of {kind} is fixed; a merchant may change")
    assert CATALOGUE[kind].editable.channels == (("sms",) if kind in SMS_NAMES else ())


@requirement("WACA-04")
def test_an_email_that_was_put_in_place_of_a_fixed_one_is_passed_over() -> None:
    """Whatever stands in the database: the shipped email goes, and says why."""
    one = case(accepted(), Kind.VOUCHER).to(locale="en")
    place = Place(Kind.VOUCHER, "en", "email")
    own = {place: OwnTemplate(place, "Buy now", "Offers", 1)}
    message = RENDERER.render(one.notice, one.content, one.merchant, "email", own)
    assert message.text == RENDERER.render(one.notice, one.content, one.merchant, "email").text
    assert message.fallback == "template voucher/en/email version 1: voucher by email is fixed"


LOYAL = Place(Kind.BIRTHDAY, "en", "email")
PUSH = Place(Kind.BIRTHDAY, "en", "push")


def test_an_email_that_may_be_written_stands_in_the_shipped_letter() -> None:
    """Subject and paragraphs are the merchant's, the letter around them ours; names stay names."""
    one = sample(Kind.BIRTHDAY, "en", STUDIO)
    own = OwnTemplate(LOYAL, "Thank you, {{ name }}.\n\nA <b>coupon</b> waits.", "For {{ name }}", 2)
    assert check_template(own, STUDIO).problems == ()
    named = replace(one.notice, recipient=replace(one.notice.recipient, name="Ann & <Bo>"))
    message = RENDERER.render(named, one.content, STUDIO, "email", {LOYAL: own})
    assert (message.subject, message.fallback) == ("For Ann & <Bo>", "")
    assert "Thank you, Ann & <Bo>.\n\nA <b>coupon</b> waits." in message.text
    assert "Thank you, Ann &amp; &lt;Bo&gt;." in message.html
    assert "A &lt;b&gt;coupon&lt;/b&gt; waits." in message.html
    assert "02-2771-0000" in message.html


@pytest.mark.parametrize(
    ("subject", "text", "problem"),
    [
        ("", "Hello", "the subject is empty"),
        ("Hi", " ", "the text is empty"),
        ("Hi", "x" * 5001, "the text has 5001 characters, and 5000 are allowed"),
        ("{{ nam }}", "Hello", "subject: line 1: 'nam' is not known: did you mean 'name'?"),
    ],
)
def test_an_email_has_a_subject_and_a_text(subject: str, text: str, problem: str) -> None:
    """Both are looked at."""
    assert any(problem in found for found in checked(text, LOYAL, subject).problems)


@pytest.mark.parametrize("kind", [kind for kind in Kind if "name" in names_of(kind, "sms", STUDIO)])
def test_a_good_text_is_measured_with_usual_and_with_long_values(kind: Kind) -> None:
    """Characters, segments and alphabet; and which languages keep the shipped text."""
    place = Place(kind, "fr", "sms")
    found = checked("{{ shop }} : bonjour {{ name }}", place)
    assert found.problems == ()
    typical, long = found.measures
    assert (typical.sample, typical.segments, typical.encoding) == ("typical", 1, "GSM-7")
    assert long.characters > typical.characters
    assert found.notes[0] == "no text of your own in zh-Hant, en: the shipped one stands there"


def test_a_locale_that_has_a_text_is_not_missed() -> None:
    """With all three there is nothing to note."""
    others = {Place(Kind.PRE_VISIT, tag, "sms"): OwnTemplate(PRE_VISIT, "a") for tag in LOCALES}
    assert check_template(OwnTemplate(PRE_VISIT, "Hello"), STUDIO, others).notes == ()


def test_a_channel_that_keeps_the_shipped_text_is_noted() -> None:
    """A birthday by email in the merchant's words, and by SMS in ours, reads as from two shops."""
    subject_and_text = OwnTemplate(LOYAL, "A coupon waits.", "For you")
    note = "no text of your own by SMS, push message: the shipped one goes there"
    assert note in check_template(subject_and_text, STUDIO).notes
    saved = {Place(Kind.BIRTHDAY, "fr", "push"): OwnTemplate(PUSH, "a")}
    filed = replace(STUDIO, sms=SmsSettings(texts={"birthday": {"zh-TW": "生日快樂"}}))
    notes = check_template(subject_and_text, filed, saved).notes
    assert notes == ("no text of your own in zh-Hant, fr: the shipped one stands there",)
    by_sms = check_template(OwnTemplate(Place(Kind.BIRTHDAY, "en", "sms"), "Happy birthday"), filed).notes
    assert "no text of your own in fr: the shipped one stands there" in by_sms, "the file has one for zh-Hant"


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("See you soon 😀", "😀"),
        ("Bring a friend ✨", "✨"),
        ("With love ❤\ufe0f", "❤\ufe0f"),
        ("Room 2\ufe0f\u20e3", "2\ufe0f"),
        ("預約：明天 10:00 → 店內 ★", ""),
        ("Room 2, #3 (c) ™", ""),
    ],
)
def test_an_emoji_is_a_problem_where_twsms_sends(text: str, refused: str) -> None:
    """It would refuse every such message for good (00180), also as the second provider."""
    own = OwnTemplate(PRE_VISIT, text)
    for sms in (SmsSettings(SmsProvider.TWSMS), SmsSettings(SmsProvider.SMPP, SmsProvider.TWSMS)):
        problems = check_template(own, replace(STUDIO, sms=sms)).problems
        assert [one for one in problems if f"the emoji {refused} " in one] == list(problems)
        assert bool(problems) is bool(refused)
    assert check_template(own, replace(STUDIO, sms=SmsSettings(SmsProvider.SMPP))).problems == ()
    loyal = OwnTemplate(LOYAL, text, "For you")
    assert check_template(loyal, replace(STUDIO, sms=SmsSettings(SmsProvider.TWSMS))).problems == ()


def test_a_text_of_several_messages_is_noted() -> None:
    """What it is paid for."""
    notes = checked("預約：" + "x" * 70).notes
    assert "with typical values it is paid for as 2 messages (UCS-2)" in notes


@requirement("LS-61")
def test_the_merchants_own_short_domain_is_let_through() -> None:
    """A domain that is on the public list may be the merchant's own."""
    shop = replace(STUDIO, gate=GatePolicy(short_domains=("lumi.bit.ly",)))
    own = OwnTemplate(PRE_VISIT, "See https://lumi.bit.ly/1")
    assert check_template(own, shop).problems == ()
    assert check_template(own, STUDIO).problems


@requirement("WACA-23")
def test_the_version_in_use_comes_before_the_merchants_file_and_that_before_the_shipped_text() -> None:
    """And one that is broken gives way to the next, with the reason."""
    texts = {Kind.PRE_VISIT.value: {"en": "from the file"}}
    one = replace(
        case(accepted(), Kind.PRE_VISIT).to(locale="en"),
        merchant=replace(STUDIO, sms=SmsSettings(texts=texts)),
    )
    good = OwnTemplate(PRE_VISIT, "from the version", version=3)
    broken = replace(good, text="{{ nmae }}")

    def made(own: OwnTemplate | None) -> tuple[str, str]:
        overrides = {} if own is None else {PRE_VISIT: own}
        message = RENDERER.render(one.notice, one.content, one.merchant, "sms", overrides)
        return message.text, message.fallback

    assert made(good) == ("from the version", "")
    assert made(None) == ("from the file", "")
    text, why = made(broken)
    assert text == "from the file"
    assert why.startswith("template pre_visit/en/sms version 3: line 1: 'nmae' is not known")


PIECES = (
    "{{ ", " }}", "{% ", " %}", "{#", "#}", "if ", "elif ", "else", "endif", "for x in ", "endfor", "set ",
    "raw", "endraw", "name", "shop", "place", "__class__", "loop", "self", "range(10**9)", "namespace()",
    "lipsum()", "cycler", ".", "[0]", "()", "(", ")", "|", "upper", "trim", "join", "attr('x')", "'a'", '"',
    "'", "*", "**", "10**8", "9" * 500, "1e999", "0x" + "f" * 400, "~", "+", "not ", "and ", "or ", " if ",
    " else ", "is defined", "in ", "==", "none", "true", "-", "{{ name }}", "{% if name %}", "{% endif %}",
    "{% else %}", "\n", " ", "é", "優惠", "😀", "\x00", "\ud800", "\u202e", "https://bit.ly/a", "%", "{", "}",
    "\\", "super()", "include ", "import ",
)  # fmt: skip
LIKE_TEMPLATES = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)

NAMES = st.sampled_from([*SMS_NAMES[Kind.PRE_VISIT], "'a'", "true"])
VALUES = st.recursive(
    NAMES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} or {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} and not {two[1]})"),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} if {three[1]} else {three[2]})"),
        inner.map(lambda one: f"({one} | upper)"),
    ),
    max_leaves=12,
)
TEMPLATES_OF_ALL_FORMS = st.recursive(
    st.one_of(
        VALUES.map(lambda value: f"{{{{ {value} }}}}"), st.sampled_from(["Hi ", "您好", "\n", "{# #}"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map("".join),
        st.tuples(VALUES, inner, inner).map(
            lambda part: f"{{% if {part[0]} %}}{part[1]}{{% else %}}{part[2]}{{% endif %}}"
        ),
    ),
    max_leaves=30,
)


@requirement("WACA-23")
@settings(max_examples=400, deadline=timedelta(seconds=2))
@given(st.one_of(LIKE_TEMPLATES, TEMPLATES_OF_ALL_FORMS, st.text(max_size=300)))
def test_a_text_is_refused_in_words_or_comes_out_whole_and_short(text: str) -> None:
    """No input makes saving raise, hang or leak; what is not refused becomes a message within the cap."""
    own = OwnTemplate(PRE_VISIT, text, version=1)
    found = check_template(own, ROOMY)
    assert all(problem for problem in found.problems)
    one = sample(Kind.PRE_VISIT, "en", ROOMY)
    message = RENDERER.render(one.notice, one.content, ROOMY, "sms", {PRE_VISIT: own})
    assert 0 < len(message.text) <= SMS_CAP
    assert not any(mark in message.text for mark in ("<class", "<function", "Undefined", "object at 0x"))
    if not found.problems:
        assert message.fallback == ""
        assert message.text == found.measures[0].text


@pytest.mark.parametrize(
    "text",
    [
        "(" * 8_000,
        "{{ " + "(" * 8_000,
        "{{ " + "not " * 2_000 + "name }}",
        "{{ " + "name or " * 1_000 + "name }}",
        "{% if name %}" * 600,
        "{% if name %}a{% endif %}" * 340,
        "{% if name %}a" + "{% elif name %}a" * 500 + "{% endif %}",
        "{{ name }}" * 870,
        "{{ '" + "\\\\" * 4_000,
        "{# " * 2_900,
        "{{ 1" + "_1" * 4_000 + " }}",
        "{{ " + "1" * 8_000 + " }}",
        "{{ 'a' * 10**8 }}",
        "x" * 10_000_000,
        "{{ " * 3_000_000,
    ],
    ids=lambda text: f"{text[:18]}...{len(text)}",
)
def test_no_text_takes_long(text: str) -> None:
    """Not to be checked, not to be rendered; and nothing grows beyond the cap."""
    started = time.monotonic()
    own = OwnTemplate(PRE_VISIT, text, version=1)
    check_template(own, ROOMY)
    problems_of(text, SMS_NAMES[Kind.PRE_VISIT])
    one = sample(Kind.PRE_VISIT, "en", BARE, long=True)
    message = RENDERER.render(one.notice, one.content, BARE, "sms", {PRE_VISIT: own})
    assert len(message.text) <= SMS_CAP
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("long", [False, True])
def test_every_notice_has_a_sample_in_every_language_and_by_every_channel(
    kind: Kind, locale: str, long: bool
) -> None:
    """So that each can be looked at before it is sent."""
    for channel in routed(kind):
        one = sample(kind, locale, long=long)
        message = RENDERER.render(one.notice, one.content, one.merchant, channel)
        assert message.locale == locale
        assert message.text


@settings(max_examples=200, deadline=timedelta(seconds=2))
@given(TEMPLATES_OF_ALL_FORMS)
def test_what_is_made_of_the_allowed_parts_is_never_refused_for_its_parts(text: str) -> None:
    """Placed values, conditions and the three filters, nested as one likes."""
    assert problems_of(text, SMS_NAMES[Kind.PRE_VISIT]) in ([], ["the conditions are nested too deeply"])
