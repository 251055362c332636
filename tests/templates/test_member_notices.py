"""What members are told: every text that is shipped, what a merchant's own may place, and how to stop it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from activities.member_values import MEMBER_NAMES
from activities.rendering import TEMPLATES, Rendered, Renderer, RenderError, check_sms_text, variables
from activities.template_check import Checked, check_template, routed
from activities.template_names import names_of
from activities.template_samples import Sample, sample
from channels.base import PUSH_CONTENT, SMS_CONTENT, Abilities, Message, can_carry
from channels.sms_text import segments
from intake.merchants import check_merchant
from intake.problems import InputError
from models.member_content import Balance, BonusView, CouponView
from models.member_policy import BonusAccount
from models.merchant import PROMOTIONAL_WORDS, Merchant, SmsSettings, promotional_word
from models.notices import CATALOGUE, Kind, NoticeClass
from models.own_template import OwnTemplate, Place
from tests.requirements import requirement
from tests.templates.pages import unclosed, words
from tests.templates.samples import LOCALES

RENDERER = Renderer()
OF_ORDERS = [kind for kind in Kind if kind not in MEMBER_NAMES]
DECLINABLE = [kind for kind in MEMBER_NAMES if CATALOGUE[kind].notice_class > NoticeClass.REMINDER]
BY_EVERY_CHANNEL = [kind for kind in MEMBER_NAMES if "push" in CATALOGUE[kind].channels]

SHOP = replace(
    sample(Kind.BIRTHDAY).merchant,
    bonuses={
        "gift": BonusAccount({"en": "gift account", "fr": "compte cadeau", "zh-Hant": "禮物帳戶"}),
        "promo": BonusAccount({"en": "promo account", "zh-Hant": "活動帳戶"}),
        "stamps": BonusAccount(),
    },
)
BARE = Merchant("bare", "Lumi", "Asia/Taipei", "zh-Hant", "TW", "TWD")


def told(
    kind: Kind, channel: str = "sms", locale: str = "en", shop: Merchant = SHOP, **changes: Any
) -> Rendered:
    """The message that a sample of that kind becomes, its content changed in this."""
    return rendered(sample(kind, locale, shop), channel, **changes)


def rendered(one: Sample, channel: str, **changes: Any) -> Rendered:
    content: Any = replace(one.content, **changes)
    return RENDERER.render(one.notice, content, one.merchant, channel)


def own(kind: Kind, text: str, subject: str = "", channel: str = "sms", shop: Merchant = SHOP) -> Checked:
    """What is found of a text of the shop's own."""
    return check_template(OwnTemplate(Place(kind, "en", channel), text, subject), shop)


def said(text: str, kind: Kind = Kind.BIRTHDAY, shop: Merchant = SHOP, **changes: Any) -> str:
    """What an SMS text of the shop's own comes to in English."""
    shop = replace(shop, sms=SmsSettings(texts={kind: {"en": text}}))
    message = told(kind, shop=shop, **changes)
    assert message.fallback == ""
    return message.text


def cases() -> Iterator[Any]:
    for kind in MEMBER_NAMES:
        for channel in routed(kind):
            for locale in LOCALES:
                for shop in (SHOP, BARE):
                    for long in (False, True):
                        one = sample(kind, locale, shop, long=long)
                        name = f"{kind}-{channel}-{locale}-{shop.id}-{'long' if long else 'typical'}"
                        yield pytest.param(one, channel, locale, id=name)


EVERY = list(cases())


@requirement("LOY-27")
@pytest.mark.parametrize(("one", "channel", "locale"), EVERY)
def test_every_notice_to_a_member_comes_out_whole(one: Sample, channel: str, locale: str) -> None:
    """Each kind, channel and locale, of a shop that tells all and of one that tells nothing."""
    message = rendered(one, channel)
    parts = (message.subject, message.text, message.html)
    assert message.locale == locale
    assert message.fallback == ""
    assert not any(mark in part for part in parts for mark in ("{{", "{%", "None", "Undefined", "  ,", "()"))
    assert bool(message.html) == (channel == "email")
    assert bool(message.subject) == (channel != "sms")
    assert (message.segments > 0) == (channel == "sms")
    assert not re.search(r"[\u00a0\u202f]|\n{3}", message.subject + message.text)
    assert message.attachments == ()
    if channel == "email":
        assert unclosed(message.html) == []


@pytest.mark.parametrize(("one", "channel", "locale"), EVERY)
def test_no_notice_to_a_member_mixes_languages(one: Sample, channel: str, locale: str) -> None:
    """Nothing of another locale is left: names aside, and the merchant's own words."""
    if one.notice.kind is Kind.PROMOTION:
        return
    shop = replace(
        one.merchant, name="L1", address="", email="", phone="", bonuses={"b": BonusAccount({"en": "B1"})}
    )
    content: Any = one.content
    if hasattr(content, "balances"):
        named = content.coupon and replace(content.coupon, name="C1", code="X1")
        bonus = content.bonus and replace(content.bonus, currency="b")
        content = replace(content, coupon=named, bonus=bonus, balances=(Balance("b", Decimal(9)),))
    notice = replace(one.notice, recipient=replace(one.notice.recipient, name=""))
    message = RENDERER.render(notice, content, shop, channel)
    strangers = {
        "zh-Hant": r"[A-Za-zÀ-ÿ]{2,}",
        "en": r"[\u3000-\u9fff\uff00-\uffef]|[À-ÿ]|\b(?:le|la|les|vous|votre|avec|pour|est)\b",
        "fr": r"[\u3000-\u9fff\uff00-\uffef]|\b(?:the|you|your|with|when|where|please|we|has|is)\b",
    }
    text = f"{message.subject} {message.text} {words(message.html)}"
    assert not re.search(strangers[locale], text, re.IGNORECASE), text


@requirement("WACA-35", "WACA-37", "WACA-38")
@pytest.mark.parametrize("kind", [kind for kind in MEMBER_NAMES if kind is not Kind.PROMOTION])
def test_an_sms_to_a_member_is_one_segment_or_two_in_chinese(kind: Kind) -> None:
    """One of GSM-7 in French and English, at most two in Chinese; two at the most with long values."""
    for locale in LOCALES:
        text = told(kind, locale=locale, **_in_its_language(kind, locale)).text
        assert segments(text).segments <= (2 if locale == "zh-Hant" else 1), text
        assert (segments(text).encoding == "UCS-2") == (locale == "zh-Hant"), text
        assert "\n" not in text
        assert "Lumi Studio" in text
        assert rendered(sample(kind, locale, SHOP, long=True), "sms").segments <= 2


def _in_its_language(kind: Kind, locale: str) -> dict[str, Any]:
    if kind not in (Kind.COUPON_ISSUED, Kind.COUPON_EXPIRING):
        return {}
    name = {"en": "-10% on portraits", "fr": "-10% sur les portraits", "zh-Hant": "人像攝影九折"}[locale]
    return {"coupon": CouponView(name, "SPRING10", date(2026, 3, 2), date(2026, 4, 30))}


@pytest.mark.parametrize("kind", [Kind.PHONE_CODE, Kind.MEMBER_WELCOME])
def test_what_a_member_is_owed_sounds_like_no_advertising(kind: Kind) -> None:
    """A code and a welcome pass where promotional words do not."""
    for locale in LOCALES:
        for channel in routed(kind):
            message = told(kind, channel, locale)
            for part in (message.subject, message.text, words(message.html)):
                assert promotional_word(part, PROMOTIONAL_WORDS) is None


@requirement("WACA-35")
@pytest.mark.parametrize("locale", LOCALES)
def test_a_code_is_told_with_how_long_it_holds(locale: str) -> None:
    """The code, the minutes, the shop."""
    text = told(Kind.PHONE_CODE, locale=locale, code="073519", minutes=10).text
    minutes = {"en": "10 minutes", "fr": "10 minutes", "zh-Hant": "10 分鐘"}
    assert all(value in text for value in ("073519", minutes[locale], "Lumi Studio"))


@requirement("WACA-35")
@pytest.mark.parametrize(
    "text",
    ["Welcome to {{ shop }}!", "{% if shop %}{{ code }}{% endif %}", "{{ code if shop else minutes }}"],
)
def test_a_text_that_may_leave_the_code_out_is_refused(text: str) -> None:
    """When it is saved, in the merchant's file, and where it stands in the database all the same."""
    problem = "{{ code }} is missing: place it"
    assert own(Kind.PHONE_CODE, text).problems == (problem,)
    assert check_sms_text("phone_code", "en", text, SHOP) == [f"sms.texts.phone_code.en: {problem}"]
    place = Place(Kind.PHONE_CODE, "en", "sms")
    one = sample(Kind.PHONE_CODE, "en", SHOP)
    message = RENDERER.render(
        one.notice, one.content, SHOP, "sms", {place: OwnTemplate(place, text, version=2)}
    )
    assert "482913" in message.text
    assert problem in message.fallback


@requirement("WACA-35")
def test_a_text_of_the_shops_own_with_the_code_goes() -> None:
    """Its words, our code; a filter on it does no harm."""
    assert own(Kind.PHONE_CODE, "{{ code | trim }} ({{ shop }})").problems == ()
    assert said("{{ code | trim }} ({{ shop }})", Kind.PHONE_CODE) == "482913 (Lumi Studio)"


@requirement("WACA-37")
@pytest.mark.parametrize(
    ("locale", "days"),
    [
        ("en", ("2 Mar 2026", "30 Apr 2026")),
        ("fr", ("02/03/2026", "30/04/2026")),
        ("zh-Hant", ("2026/3/2", "2026/4/30")),
    ],
)
def test_a_coupon_is_named_with_its_code_and_its_days(locale: str, days: tuple[str, str]) -> None:
    """From when and until when, with the year: a coupon may last into the next one."""
    text = told(Kind.COUPON_ISSUED, locale=locale).text
    assert all(value in text for value in ("-10% on portraits", "SPRING10", *days))
    bare = CouponView("Tea", "", date(2026, 3, 2), date(2026, 4, 30))
    assert "SPRING10" not in told(Kind.COUPON_ISSUED, locale=locale, coupon=bare).text


@requirement("WACA-37", "WACA-38", "LS-50")
@pytest.mark.parametrize("kind", [Kind.COUPON_ISSUED, Kind.COUPON_EXPIRING])
@pytest.mark.parametrize(
    ("locale", "first", "last", "word"),
    [
        ("en", "2 March 2026", "30 April 2026", "Your code"),
        ("fr", "2 mars 2026", "30 avril 2026", "Votre code"),
        ("zh-Hant", "2026年3月2日", "2026年4月30日", "序號"),
    ],
)
def test_the_email_in_place_of_a_coupons_sms_says_no_less(
    kind: Kind, locale: str, first: str, last: str, word: str
) -> None:
    """The coupon, its code if it has one, and its days in full; text and page say the same."""
    message = told(kind, "email", locale)
    bare = told(kind, "email", locale, coupon=CouponView("Tea", "", date(2026, 3, 2), date(2026, 4, 30)))
    days = (first, last) if kind is Kind.COUPON_ISSUED else (last,)
    assert "-10% on portraits" in message.subject
    for part in (message.text, words(message.html)):
        assert all(value in part for value in ("-10% on portraits", "SPRING10", *days))
    assert all(word not in part for part in (bare.text, words(bare.html)))


@requirement("WACA-38")
@pytest.mark.parametrize(
    ("locale", "day"), [("en", "30 Apr 2026"), ("fr", "30/04/2026"), ("zh-Hant", "2026/4/30")]
)
def test_a_coupon_that_ends_is_named_with_its_last_day(locale: str, day: str) -> None:
    """Which coupon, and until when."""
    text = told(Kind.COUPON_EXPIRING, locale=locale).text
    assert all(value in text for value in ("-10% on portraits", "SPRING10", day))


@requirement("LOY-62", "LOY-64", "LOY-71", "LOY-73")
@pytest.mark.parametrize("kind", [Kind.BONUS_ACTIVATION, Kind.BONUS_BURN])
@pytest.mark.parametrize("channel", ["email", "sms", "push"])
@pytest.mark.parametrize(
    ("locale", "amount", "account", "days"),
    [
        ("en", "1,250.5", "gift account", "3 days"),
        ("fr", "1 250,5", "compte cadeau", "3 jours"),
        ("zh-Hant", "1,250.5", "禮物帳戶", "3 天"),
    ],
)
def test_bonuses_that_begin_or_end_are_told_with_amount_account_and_days(
    kind: Kind, channel: str, locale: str, amount: str, account: str, days: str
) -> None:
    """How many, in which account, within how many days."""
    bonus = BonusView("gift", Decimal("1250.50"), date(2026, 3, 10), 3)
    message = told(kind, channel, locale, bonus=bonus)
    text = message.text if channel == "email" else f"{message.subject} {message.text}"
    assert all(value in text for value in (amount, account, days))


@requirement("LOY-64", "LOY-73")
@pytest.mark.parametrize(
    ("kind", "text", "becomes"),
    [
        (
            Kind.BONUS_ACTIVATION,
            "Your bonuses are activated at {{ amount }} after {{ days }}.",
            "Your bonuses are activated at 300 after 1 day.",
        ),
        (
            Kind.BONUS_BURN,
            "Your {{ amount }} bonuses will be burned after {{ days }}.",
            "Your 300 bonuses will be burned after 3 days.",
        ),
    ],
)
def test_the_examples_of_the_bonus_notices_can_be_written(kind: Kind, text: str, becomes: str) -> None:
    """As they stand in the description of the regular tasks."""
    days = 1 if kind is Kind.BONUS_ACTIVATION else 3
    assert said(text, kind, bonus=BonusView("gift", Decimal(300), days=days)) == becomes


@requirement("LOY-43")
def test_a_text_places_the_balance_of_each_account() -> None:
    """The example of the description; an account that the member does not have holds 0."""
    text = (
        "Dear Member {{ name }}, the balance of your bonus accounts is: "
        "gift accounts - {{ balance_gift }}, promo accounts - {{ balance_promo }}."
    )
    both = (Balance("gift", Decimal(300)), Balance("promo", Decimal("52.00")))
    greeting = "Dear Member Mei Lin, the balance of your bonus accounts is: gift accounts - "
    assert said(text, balances=both) == f"{greeting}300, promo accounts - 52."
    assert said(text, balances=both[1:]) == f"{greeting}0, promo accounts - 52."
    assert said("{{ balances }}", balances=both) == "gift account 300, promo account 52"
    assert said("{{ balances }}", balances=both[1:]) == "promo account 52"
    assert said("{{ balances or 'nothing' }}", balances=()) == "nothing"


@requirement("LOY-43")
@pytest.mark.parametrize("channel", ["email", "sms", "push"])
@pytest.mark.parametrize("kind", BY_EVERY_CHANNEL)
def test_an_account_that_the_shop_does_not_have_is_no_name(kind: Kind, channel: str) -> None:
    """It is refused when it is saved; every account of the shop is a name in every notice."""
    subject = "" if channel == "sms" else "Hello"
    (problem,) = own(kind, "{{ balance_gifts }}", subject, channel).problems
    assert "'balance_gifts' is not known: did you mean 'balance_gift'?" in problem
    assert own(kind, "{{ balance_gift }} {{ balance_stamps }}", subject, channel).problems == ()
    assert own(kind, "{{ balance_gift }}", subject, channel, BARE).problems


def test_an_account_goes_by_its_name_in_the_readers_language_or_the_shops_or_by_its_currency() -> None:
    """A message names no account that its reader cannot tell from another."""
    held = tuple(Balance(currency, Decimal(1)) for currency in SHOP.bonuses)
    shop = replace(SHOP, sms=SmsSettings(texts={"birthday": {"fr": "{{ balances }}"}}))
    assert told(Kind.BIRTHDAY, locale="fr", shop=shop, balances=held).text == (
        "compte cadeau 1, 活動帳戶 1, stamps 1"
    )


def test_two_accounts_that_a_text_cannot_tell_apart_are_refused() -> None:
    """`gift-a` and `gift.a` would both be `balance_gift_a`."""
    alike = {"gift-a": BonusAccount(), "gift.a": BonusAccount(), "promo": BonusAccount()}
    shop = replace(SHOP, bonuses=alike)
    with pytest.raises(InputError) as refused:
        check_merchant(shop)
    assert "texts would call both balance_gift_a: rename one" in str(refused.value)
    assert check_merchant(SHOP).bonuses == SHOP.bonuses


@requirement("LOY-80", "LOY-81")
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("channel", ["email", "sms", "push"])
def test_a_birthday_is_greeted_with_a_gift_or_without(locale: str, channel: str) -> None:
    """The wish always; the gift with its amount and account where there is one."""
    wish = {"en": "appy birthday", "fr": "oyeux anniversaire", "zh-Hant": "生日快樂"}[locale]
    account = {"en": "gift account", "fr": "compte cadeau", "zh-Hant": "禮物帳戶"}[locale]
    given = told(Kind.BIRTHDAY, channel, locale, bonus=BonusView("gift", Decimal(77)), balances=())
    nothing = told(Kind.BIRTHDAY, channel, locale, bonus=None, balances=())
    assert all(wish in message.subject + message.text for message in (given, nothing))
    assert "77" in given.text
    assert account in given.text
    assert account not in nothing.text
    assert "Mei Lin" in given.subject + given.text


@requirement("LOY-31", "LOY-51", "LOY-52")
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("channel", ["email", "sms", "push"])
def test_a_welcome_and_both_invitations_say_different_things(locale: str, channel: str) -> None:
    """Who is invited a second time reads other words than the first time."""
    kinds = (Kind.MEMBER_WELCOME, Kind.INVITATION, Kind.INVITATION_AGAIN)
    assert len({told(kind, channel, locale).text for kind in kinds}) == len(kinds)


@requirement("LOY-24", "LOY-63", "LOY-72", "LOY-82")
@pytest.mark.parametrize("kind", BY_EVERY_CHANNEL)
@pytest.mark.parametrize("locale", LOCALES)
def test_a_push_message_is_a_title_and_a_text_that_a_phone_shows_whole(kind: Kind, locale: str) -> None:
    """Text alone, which every provider of push can carry; short enough for a lock screen."""
    message = told(kind, "push", locale)
    assert 0 < len(message.subject) <= 50
    assert 0 < len(message.text) <= 110
    sent = Message("k", "lumi", "token", message.text, subject=message.subject, html=message.html)
    assert can_carry(Abilities(content=PUSH_CONTENT), sent) is None


OF_AN_END = {"en": ("expire", "burn", "lapse"), "fr": ("expir", "perd"), "zh-Hant": ("到期", "失效")}
"""How each language says that something ends."""


@requirement("LOY-64", "LOY-65", "LOY-73")
@pytest.mark.parametrize("channel", ["email", "sms", "push"])
@pytest.mark.parametrize("locale", LOCALES)
def test_what_begins_is_not_said_to_end(locale: str, channel: str) -> None:
    """The notice of activation speaks of nothing that burns, and that of burning does."""
    begins, ends = told(Kind.BONUS_ACTIVATION, channel, locale), told(Kind.BONUS_BURN, channel, locale)
    assert not any(word in begins.subject + begins.text for word in OF_AN_END[locale])
    assert any(word in ends.subject + ends.text for word in OF_AN_END[locale])


@requirement("LOY-22")
@pytest.mark.parametrize("kind", MEMBER_NAMES)
def test_an_sms_to_a_member_is_text_only(kind: Kind) -> None:
    """Nothing that SMS cannot carry."""
    message = told(kind)
    sent = Message("k", "lumi", "+886900000001", message.text, subject=message.subject, html=message.html)
    assert can_carry(Abilities(content=SMS_CONTENT), sent) is None


@pytest.mark.parametrize("kind", [kind for kind in MEMBER_NAMES if "email" in routed(kind)])
@pytest.mark.parametrize("locale", LOCALES)
def test_an_email_that_may_be_declined_says_why_it_came_and_how_to_stop_it(kind: Kind, locale: str) -> None:
    """Loyalty and promotional emails alone; a welcome is owed."""
    message = told(kind, "email", locale)
    why = {"en": "because you are a member of Lumi Studio", "fr": "parce que vous êtes membre de Lumi Studio"}
    reason = why.get(locale, "是因為您是 Lumi Studio 的會員")
    link = f"mailto:hello@lumi.example?subject=unsubscribe%20{CATALOGUE[kind].notice_class.word}"
    declinable = kind in DECLINABLE
    assert message.unsubscribe == (link if declinable else "")
    assert (reason in message.text) == (reason in words(message.html)) == declinable
    assert (f'href="{link}"' in message.html) == declinable
    assert ("hello@lumi.example" in message.text.split(reason)[-1]) or not declinable


@pytest.mark.parametrize("kind", OF_ORDERS)
def test_what_is_owed_can_not_be_unsubscribed_from(kind: Kind) -> None:
    """Emails about orders and points have no such link and no such footer."""
    for channel in routed(kind):
        one = sample(kind)
        message = RENDERER.render(one.notice, one.content, one.merchant, channel)
        assert message.unsubscribe == ""
        assert "because you are a member" not in message.text


def test_a_shop_without_an_address_is_told_in_person() -> None:
    """No link that leads nowhere."""
    message = told(Kind.BIRTHDAY, "email", shop=BARE)
    assert message.unsubscribe == ""
    assert "mailto" not in message.html
    assert "please tell us and we will stop" in message.text


@requirement("LS-02")
@pytest.mark.parametrize("locale", LOCALES)
def test_the_words_of_a_promotion_are_plain_words(locale: str) -> None:
    """Its title and its paragraphs stand in the shipped letter; no markup and no template in them works."""
    body = "Save {{ name }}.\n\n<b>All</b> week.\nReally."
    message = told(Kind.PROMOTION, "email", locale, title="Ann & <Bo>", body=body)
    assert message.subject == "Ann & <Bo>"
    assert body in message.text
    assert ">Save {{ name }}.</p>" in message.html.replace("\n", "")
    assert re.search(r"&lt;b&gt;All&lt;/b&gt; week\.<br>\s*Really\.", message.html)
    assert told(Kind.PROMOTION, "sms", locale, body="Come by!").text == "Come by!"
    push = told(Kind.PROMOTION, "push", locale, title="", body="Come by!")
    assert (push.subject, push.text) == ("Lumi Studio", "Come by!")


PICTURE = "https://lumi.example/a.png?w=1&h=2"


@requirement("LOY-23", "LOY-24")
@pytest.mark.parametrize("locale", LOCALES)
def test_a_promotion_may_have_a_picture(locale: str) -> None:
    """In place in an email, also in the shop's own letter; beside the text of a push; an SMS is text only."""
    email = told(Kind.PROMOTION, "email", locale, title='"New"', image=PICTURE)
    assert '<img src="https://lumi.example/a.png?w=1&amp;h=2" alt="&#34;New&#34;"' in email.html
    assert unclosed(email.html) == []
    place = Place(Kind.PROMOTION, locale, "email")
    one = sample(Kind.PROMOTION, locale, SHOP)
    letter = {place: OwnTemplate(place, "{{ body }}", "{{ title }}", 1)}
    content: Any = one.content
    content = replace(content, image=PICTURE)
    own_words = RENDERER.render(one.notice, content, SHOP, "email", letter)
    assert ("<img " in own_words.html, own_words.fallback) == (True, "")
    assert told(Kind.PROMOTION, "push", locale, image=PICTURE).image_url == PICTURE
    sms = told(Kind.PROMOTION, "sms", locale, image=PICTURE)
    assert (sms.image_url, "http" in sms.text) == ("", False)
    plain = told(Kind.PROMOTION, "email", locale)
    assert ("<img" in plain.html, told(Kind.PROMOTION, "push", locale).image_url) == (False, "")


@pytest.mark.parametrize("kind", BY_EVERY_CHANNEL)
@pytest.mark.parametrize("channel", ["email", "sms", "push"])
def test_every_text_of_a_loyalty_or_promotional_notice_may_be_the_shops_own(kind: Kind, channel: str) -> None:
    """All the names that are documented stand in it, each with a value."""
    shop = replace(SHOP, bonuses={"gift": BonusAccount()}, sms=SmsSettings(text_limit=999))
    names = variables(kind, "en", channel, shop)
    assert tuple(sorted(names)) == tuple(sorted(names_of(kind, channel, shop)))
    text = "Hi! " + " ".join(f"{{{{ {name} }}}}" for name in names)
    subject = "" if channel == "sms" else "For {{ name }}"
    assert own(kind, text, subject, channel, shop).problems == ()
    place = Place(kind, "en", channel)
    one = sample(kind, "en", shop)
    overrides = {place: OwnTemplate(place, text, subject, 4)}
    message = RENDERER.render(one.notice, one.content, shop, channel, overrides)
    assert message.fallback == ""
    assert message.subject == subject.replace("{{ name }}", "Mei Lin")
    values = [" ".join(str(value).split()) for value in names.values()]
    assert all(value in " ".join(message.text.split()) for value in values)


@pytest.mark.parametrize(
    ("title", "text", "problem"),
    [
        ("", "Hello", "the title is empty: write one"),
        ("Hi", " ", "the text is empty: write one"),
        ("x" * 101, "Hello", "the title has 101 characters, and 100 are allowed"),
        ("Hi", "x" * 401, "the text has 401 characters, and 400 are allowed"),
        ("{{ nam }}", "Hello", "title: line 1: 'nam' is not known: did you mean 'name'?"),
    ],
)
def test_a_push_text_of_the_shops_own_has_a_title_and_is_short(title: str, text: str, problem: str) -> None:
    """Both are looked at."""
    assert any(problem in found for found in own(Kind.BIRTHDAY, text, title, "push").problems)


def test_a_broken_push_text_costs_the_wording_and_not_the_message() -> None:
    """The shipped one goes, and says why."""
    place = Place(Kind.BIRTHDAY, "en", "push")
    one = sample(Kind.BIRTHDAY, "en", SHOP)
    overrides = {place: OwnTemplate(place, "{{ nmae }}", "Hi", 3)}
    message = RENDERER.render(one.notice, one.content, SHOP, "push", overrides)
    assert message.text == told(Kind.BIRTHDAY, "push").text
    assert message.fallback.startswith("template birthday/en/push version 3: line 1: 'nmae' is not known")


@pytest.mark.parametrize("kind", MEMBER_NAMES)
def test_every_shipped_sms_to_a_member_is_one_that_a_shop_may_start_from(kind: Kind) -> None:
    """It keeps to the syntax, the names and the length that a merchant is held to."""
    for locale in LOCALES:
        source = (TEMPLATES / kind / locale / "sms.j2").read_text("utf-8").strip()
        assert check_sms_text(kind, locale, source, SHOP) == []


@pytest.mark.parametrize(
    ("kind", "changes", "problem"),
    [
        (Kind.COUPON_ISSUED, {"coupon": None}, "coupon_issued of m1: there is no coupon to tell of"),
        (Kind.BONUS_BURN, {"bonus": None}, "bonus_burn of m1: there is no bonus to tell of"),
        (Kind.PROMOTION, {"body": " "}, "promotion of m1: there are no words to send"),
    ],
)
def test_a_notice_without_what_it_is_about_is_an_error_in_words(
    kind: Kind, changes: dict[str, Any], problem: str
) -> None:
    """Nothing half made goes out."""
    with pytest.raises(RenderError, match=problem):
        told(kind, **changes)
