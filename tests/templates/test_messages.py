"""Every message that is shipped: what it says, in which language, and what it must never hold."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from activities.rendering import Rendered, Renderer, RenderError
from models.booking import Failure
from models.booking_facts import Accepted, Cancelled
from models.merchant import PROMOTIONAL_WORDS, BookingPolicy, promotional_word
from models.notices import CATALOGUE, Kind
from models.people import Role
from tests.requirements import requirement
from tests.templates.pages import unclosed, words
from tests.templates.samples import (
    BARE,
    LOCALES,
    MEI,
    STUDIO,
    TOM,
    Case,
    accepted,
    after,
    case,
    channels,
    full,
    handed_on,
    minimal,
    placed,
    service,
)

RENDERER = Renderer()


def rendered(one: Case, channel: str = "email", locale: str = "en") -> Rendered:
    to = one.to(locale=locale)
    return RENDERER.render(to.notice, to.content, to.merchant, channel)


EVERY = [
    pytest.param(one, channel, locale, id=f"{one.notice.kind}-{number}-{channel}-{locale}")
    for number, one in enumerate([*full(), *minimal()])
    for channel in channels(one.notice.kind)
    for locale in LOCALES
]


@pytest.mark.parametrize(("one", "channel", "locale"), EVERY)
def test_every_message_renders_whatever_is_missing(one: Case, channel: str, locale: str) -> None:
    """Each kind, channel and locale, with all there is to say and with the least, comes out whole."""
    message = rendered(one, channel, locale)
    parts = (message.subject, message.text, message.html)
    assert message.locale == locale
    assert not any(mark in part for part in parts for mark in ("{{", "{%", "None", "Undefined", "  ,", "()"))
    assert bool(message.subject) == bool(message.html) == (channel == "email")
    assert "\n" not in message.subject
    assert not re.search(r"[^\S\n]\n|\n{3}|[\u00a0\u202f]", message.text)
    assert not re.search(r"[\u00a0\u202f]", message.subject)
    assert message.fallback == ""
    assert (message.segments > 0) == (channel == "sms")


@pytest.mark.parametrize(("one", "channel", "locale"), EVERY)
def test_no_message_mixes_languages(one: Case, channel: str, locale: str) -> None:
    """Nothing of another locale is left in a message: names aside, which are not ours to translate."""
    neutral = replace(one.merchant, name="L1", branches=(), address="", website="", email="", phone="")
    sessions = tuple(
        replace(s, name="S1", place="", partner="", participants=("T",)) for s in one.content.sessions
    )
    one = replace(one, merchant=replace(neutral, booking=BookingPolicy())).saying(
        sessions=sessions, booker=""
    )
    message = rendered(one.to(name=""), channel, locale)
    text = f"{message.subject} {message.text} {words(message.html)}"
    text = re.sub(r"B1024(-\w+)?|NT\$|QR Code|Portrait session|ATM", "", text)
    strangers = {
        "zh-Hant": r"[A-Za-zÀ-ÿ]{2,}",
        "en": r"[\u3000-\u9fff\uff00-\uffef]|[À-ÿ]|\b(?:le|la|les|vous|votre|avec|pour|est)\b",
        "fr": r"[\u3000-\u9fff\uff00-\uffef]|\b(?:the|you|your|with|when|where|please|we|has|is|order)\b",
    }
    assert not re.search(strangers[locale], text, re.IGNORECASE), text


@requirement("WACA-04")
@pytest.mark.parametrize(("one", "channel", "locale"), EVERY)
def test_no_shipped_text_sounds_like_advertising(one: Case, channel: str, locale: str) -> None:
    """No promotional word stands in any subject, text or page that is shipped."""
    message = rendered(one, channel, locale)
    for part in (message.subject, message.text, words(message.html)):
        assert promotional_word(part, PROMOTIONAL_WORDS) is None


@requirement("WACA-02", "WACA-39")
def test_there_is_a_template_for_what_the_catalogue_sends_and_for_nothing_else() -> None:
    """One file for each kind, locale and channel. By email alone, and by SMS alone, go these.

    Where the SMS of a coupon cannot go an email takes its place: that is no channel of its own. [LS-50]
    """
    folder = Path(__file__).parents[2] / "templates"
    shipped = {str(path.relative_to(folder)) for path in folder.glob("*/*/*.j2")}
    shipped = {name for name in shipped if not name.startswith("_")}
    routes = {(row.kind, channel) for row in CATALOGUE.values() for route in row.routes for channel in route}
    assert shipped == {f"{kind}/{locale}/{channel}.j2" for kind, channel in routes for locale in LOCALES}
    by = {
        channel: {kind for kind in Kind if channel in CATALOGUE[kind].channels}
        for channel in ("email", "sms")
    }
    assert set(Kind) - by["email"] == {Kind.PHONE_CODE, Kind.COUPON_ISSUED, Kind.COUPON_EXPIRING}
    assert set(Kind) - by["sms"] == {
        Kind.VOUCHER,
        Kind.VOUCHER_CHANGED,
        Kind.SERVICE_ASSIGNMENT,
        Kind.SMS_POINTS_LOW,
    }


@pytest.mark.parametrize("locale", LOCALES)
def test_every_page_is_well_formed_and_fetches_nothing(locale: str) -> None:
    """All tags close in order, the language is named, pictures carry words, nothing comes from elsewhere."""
    for one in full():
        page = rendered(one, locale=locale).html
        assert page.startswith("<!DOCTYPE html>")
        assert f'<html lang="{locale}">' in page
        assert unclosed(page) == []
        assert not re.search(r"<(?:script|link|iframe)|url\(|src=\"http", page)
        assert all("alt=" in picture for picture in re.findall(r"<img[^>]*>", page))
        assert page.count("<h1") == 1


@requirement("WACA-10", "WACA-30")
@pytest.mark.parametrize("locale", LOCALES)
def test_an_order_is_answered_with_its_items_and_how_to_pay(locale: str) -> None:
    """Items with their times, the total, the method, the last day and where to pay; the SMS in short."""
    one = case(placed(), Kind.ORDER_PLACED)
    mail, sms = rendered(one, locale=locale), rendered(one, "sms", locale)
    day = {"zh-Hant": "2026年3月4日（星期三）", "en": "Wednesday, 4 March 2026", "fr": "mercredi 4 mars 2026"}
    method = {"zh-Hant": "銀行轉帳", "en": "Bank transfer", "fr": "Virement bancaire"}[locale]
    amount = "2 800 NT$" if locale == "fr" else "NT$2,800"
    for said in (mail.text, words(mail.html)):
        for value in ("Portrait session", "B1024", amount, method, day[locale], "812-0001234567"):
            assert value in said
    assert all(value in sms.text for value in ("B1024", amount, method))


def test_an_order_without_a_last_day_names_none() -> None:
    """A card order has no deadline, so nothing of one is said."""
    message = rendered(next(one for one in full() if one.content.payment_method == "card"))
    assert "Last day" not in message.text
    assert "Payment: Card" in message.text


def test_a_paid_order_is_not_asked_to_pay() -> None:
    """Paid before the message went: it says so, and neither deadline nor account."""
    message = rendered(case(placed(), Kind.ORDER_PLACED).saying(paid=True))
    assert "Status: Paid" in message.text
    assert "Last day" not in message.text
    assert "812-" not in message.text


@requirement("WACA-11", "WACA-31")
@pytest.mark.parametrize(
    ("failure", "locale", "said"),
    [
        (Failure.CARD, "en", "declined"),
        (Failure.CARD, "fr", "refusé"),
        (Failure.CARD, "zh-Hant", "信用卡付款沒有成功"),
        (Failure.DEADLINE, "en", "by the last day, Wednesday, 4 March 2026"),
        (Failure.DEADLINE, "fr", "au dernier jour prévu, le mercredi 4 mars 2026"),
        (Failure.DEADLINE, "zh-Hant", "繳費期限 2026年3月4日（星期三）已過"),
    ],
)
def test_a_failed_order_says_that_it_failed_and_why(failure: Failure, locale: str, said: str) -> None:
    """The card was declined, or the money did not come in time."""
    failed = next(one for one in full() if one.content.failure == failure)
    mail, sms = rendered(failed, locale=locale), rendered(failed, "sms", locale)
    assert said in mail.text
    assert said in words(mail.html)
    reason = {"en": ("declined", "in time"), "fr": ("refusée", "à temps"), "zh-Hant": ("信用卡", "期限")}
    assert reason[locale][failure is Failure.DEADLINE] in sms.text


@requirement("WACA-12", "WACA-32")
def test_a_payment_is_acknowledged_and_the_booking_promised() -> None:
    """Payment received; the booking will now be arranged."""
    one = next(one for one in full() if one.notice.kind is Kind.PAYMENT_RECEIVED)
    for message in (rendered(one), rendered(one, "sms")):
        assert "received NT$2,800" in message.text
        assert "will now arrange your booking" in message.text


@requirement("WACA-13", "WACA-33")
def test_a_payment_reminder_says_until_when_and_how() -> None:
    """The last day to pay is near, and this is how to pay."""
    one = case(placed(), Kind.PAYMENT_REMINDER)
    mail, sms = rendered(one), rendered(one, "sms")
    assert mail.subject == "Please pay for order B1024 by Wednesday, 4 March 2026"
    assert "812-0001234567" in mail.text
    assert "by Wed 4 Mar (Bank transfer: 812-0001234567)" in sms.text


@pytest.mark.parametrize("info", ["https://pay.example/1", "see www.pay.example", "9" * 61])
def test_an_sms_holds_no_link_and_no_long_payment_information(info: str) -> None:
    """What would make an SMS long or suspicious is left to the email."""
    one = case(placed(), Kind.PAYMENT_REMINDER).saying(payment_info=info)
    assert info not in rendered(one, "sms").text
    assert info in rendered(one).text


@requirement("WACA-14", "WACA-34")
def test_a_cancellation_is_confirmed() -> None:
    """The cancellation is done."""
    one = next(one for one in full() if one.notice.kind is Kind.ORDER_CANCELLED)
    assert "cancellation of your order B1024 is complete" in rendered(one).text
    assert "order B1024 is cancelled" in rendered(one, "sms").text


@requirement("WACA-15")
def test_a_voucher_shows_number_code_and_every_session() -> None:
    """Number, QR code in place, and day, time, place and service partner of each session."""
    one = case(accepted(), Kind.VOUCHER)
    (session,) = one.content.sessions
    message = rendered(one.saying(sessions=(replace(session, partner="Hana Chen"),)))
    for said in (message.text, words(message.html)):
        for value in ("B1024-tom", "Friday, 20 March 2026, 14:00–15:00", "Room 2", "Hana Chen", "Mei Lin"):
            assert value in said
    assert 'src="cid:voucher"' in message.html
    assert [file.content_id for file in message.attachments] == ["voucher", None]


@requirement("WACA-16")
def test_a_changed_voucher_tells_what_is_on_and_what_is_off() -> None:
    """Each session stands under its heading: still on, or no longer."""
    days = [service(f"s{n}", service().starts_at.replace(day=20 + n), TOM) for n in (1, 2)]
    one = case(after(accepted(*days), Cancelled(event_id="", services=("s1",))), Kind.VOUCHER_CHANGED)
    for said in (rendered(one).text, words(rendered(one).html)):
        order = ["No longer booked", "21 March", "what is on now", "B1024-tom", "22 March"]
        places = [said.index(value) for value in order]
        assert places == sorted(places)


@requirement("WACA-16")
def test_a_voucher_with_nothing_left_shows_no_code() -> None:
    """All off: there is nothing to show at the door."""
    one = case(after(accepted(), Cancelled(event_id="")), Kind.VOUCHER_CHANGED)
    message = rendered(one)
    assert message.subject == "Your booking at Lumi Studio is cancelled"
    assert "cid:voucher" not in message.html
    assert [file.filename for file in message.attachments] == ["cancelled.ics"]


@requirement("WACA-09", "WACA-16")
def test_who_takes_a_place_over_gets_a_voucher_and_who_gives_it_up_is_told() -> None:
    """Both get the changed voucher: one with the session on, one with it off."""
    state = handed_on(accepted(), "s1", TOM, MEI)
    gained = rendered(case(state, Kind.VOUCHER_CHANGED, "mei"))
    lost = rendered(case(state, Kind.VOUCHER_CHANGED, "tom"))
    assert "B1024-mei" in gained.text
    assert "(updated)" not in gained.text
    assert "given to someone else" in lost.text
    assert "B1024" not in lost.text


@requirement("WACA-17")
def test_a_pre_visit_notice_is_about_its_session_alone() -> None:
    """Of two sessions only the one that comes is shown, by email and SMS."""
    days = [service(f"s{n}", service().starts_at.replace(day=20 + n), TOM) for n in (1, 2)]
    one = case(accepted(*days), Kind.PRE_VISIT)
    message = rendered(one)
    assert message.subject == "Portrait session on Sunday, 22 March 2026 at 14:00"
    assert "21 March" not in message.text
    assert len(message.attachments) == 1
    assert "see you on Sun 22 Mar at 14:00 for Portrait session, Room 2" in rendered(one, "sms").text


@requirement("WACA-05")
def test_pre_visit_notes_keep_their_lines_and_lose_their_power() -> None:
    """The merchant's notes are shown line by line, and no markup in them works."""
    notes = {"en": "Come early & relaxed.\n<b>No</b> make-up."}
    merchant = replace(STUDIO, booking=BookingPolicy(pre_visit_notes=notes))
    message = rendered(replace(case(accepted(), Kind.PRE_VISIT), merchant=merchant))
    assert "Come early & relaxed.\n<b>No</b> make-up." in message.text
    assert re.search(r"Come early &amp; relaxed\.<br>\s*&lt;b&gt;No&lt;/b&gt; make-up\.", message.html)


@requirement("WACA-05")
@pytest.mark.parametrize(
    ("own", "locale", "shown"),
    [("", "en", "Come early."), ("Bring a hat.", "en", "Bring a hat."), ("", "fr", "請提早十分鐘到。")],
)
def test_pre_visit_notes_are_the_services_own_else_the_merchants(own: str, locale: str, shown: str) -> None:
    """The service's notes win; the merchant's come in the reader's locale, else in the merchant's own."""
    one = case(accepted(), Kind.PRE_VISIT)
    (session,) = one.content.sessions
    assert shown in rendered(one.saying(sessions=(replace(session, notes=own),)), locale=locale).text


def test_without_pre_visit_notes_there_is_no_empty_heading() -> None:
    """A merchant who wrote none has no block."""
    message = rendered(replace(case(accepted(), Kind.PRE_VISIT), merchant=BARE))
    assert "Before you come" not in message.text + message.html


@requirement("WACA-18")
def test_a_service_partner_learns_which_session_when_where_and_who_comes() -> None:
    """The session, its time and place, and the participants."""
    one = next(one for one in full() if one.notice.role is Role.SERVICE_PARTNER)
    for said in (rendered(one).text, words(rendered(one).html)):
        assert all(
            value in said for value in ("Portrait session", "20 March 2026, 14:00", "Room 2", "Tom Wu")
        )
    assert rendered(one).attachments == ()


def test_a_branch_answers_for_itself_where_it_has_its_own_words() -> None:
    """Phone and address at the foot are the branch's; a session without a place is there."""
    one = case(accepted(), Kind.VOUCHER).saying(branch_id="west")
    (session,) = one.content.sessions
    message = rendered(one.saying(sessions=(replace(session, place=""),)))
    assert "Where: West End, No. 9, Chengdu Rd., Taipei" in message.text
    assert "Phone: 02-2311-0000" in message.text
    assert "02-2771-0000" not in message.text


@pytest.mark.parametrize(
    "nasty", ["<script>alert(1)</script>", 'Ann "The" O\'Neil', "{{ shop }}", "a\r\nBcc: b"]
)
def test_a_name_is_only_ever_a_name(nasty: str) -> None:
    """Markup is escaped on the page and plain in the text; a template in it stays text; a line stays one."""
    one = case(accepted(), Kind.VOUCHER).to(name=nasty)
    (session,) = one.content.sessions
    message = rendered(one.saying(sessions=(replace(session, name=nasty, place=nasty),)))
    assert "<script>" not in message.html
    plain = " ".join(nasty.split())
    assert f"Hello {plain}," in message.text
    assert plain in words(message.html)
    assert "\nBcc" not in message.text
    subject = rendered(
        case(accepted(), Kind.PRE_VISIT).saying(sessions=(replace(session, name=nasty),))
    ).subject
    assert subject.startswith(plain)


def test_a_website_that_is_no_web_address_is_not_linked() -> None:
    """A `javascript:` address never reaches a mail."""
    one = replace(case(placed(), Kind.ORDER_PLACED), merchant=replace(STUDIO, website="javascript:alert(1)"))
    assert "javascript" not in rendered(one).html


@pytest.mark.parametrize(
    ("tag", "merchant", "locale"),
    [
        ("zh-TW", "en", "zh-Hant"),
        ("zh_HK", "en", "zh-Hant"),
        ("fr-CA", "en", "fr"),
        ("EN-us", "fr", "en"),
        ("de", "fr", "fr"),
        ("", "zh-Hant", "zh-Hant"),
        ("de", "ja", "en"),
        ("not a tag!", "xx", "en"),
    ],
)
def test_the_language_is_the_recipients_else_the_merchants_else_english(
    tag: str, merchant: str, locale: str
) -> None:
    """A region's tag is served in its language."""
    one = replace(case(placed(), Kind.ORDER_PLACED), merchant=replace(STUDIO, locale=merchant))
    assert rendered(one, locale=tag).locale == locale


def test_the_same_notice_is_the_same_message_byte_for_byte() -> None:
    """A resent message is the one that was sent, files included."""
    for one in full():
        assert rendered(one) == rendered(one)


def test_what_a_notice_cannot_be_sent_by_or_about_is_an_error_in_words() -> None:
    """No SMS of a voucher, no pre-visit notice without its session."""
    with pytest.raises(RenderError, match="voucher does not go by sms"):
        rendered(case(accepted(), Kind.VOUCHER), "sms")
    with pytest.raises(RenderError, match="pre_visit of B1024 has no session"):
        rendered(case(accepted(), Kind.PRE_VISIT).saying(sessions=()))


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{% block subject %}{{ nmae }}{% endblock %}", "'nmae' is undefined"),
        ("{% block subject %}{{ range(9) }}{% endblock %}", "'range' is undefined"),
        ("{% block subject %}{{ 'a' * 300000 }}{% endblock %}", "grows over 200000 characters"),
        ("{% block subject %}{% if %}{% endblock %}", "line 1: Expected an expression"),
        ("{% block text %}{% endblock %}", "the block 'subject' is missing"),
    ],
)
def test_a_template_gone_wrong_is_an_error_that_names_it(
    tmp_path: Path, template: str, complaint: str
) -> None:
    """Undefined names, functions, floods and slips of syntax: never a half-made message."""
    folder = tmp_path / "order_placed" / "en"
    folder.mkdir(parents=True)
    (folder / "email.j2").write_text(template)
    one = case(placed(), Kind.ORDER_PLACED).to(locale="en")
    with pytest.raises(RenderError, match=f"order_placed/en/email.j2.*(?:{complaint})"):
        Renderer(tmp_path).render(one.notice, one.content, one.merchant, "email")


def test_a_template_that_is_missing_is_an_error_that_names_it(tmp_path: Path) -> None:
    """The sentence says which file to write."""
    one = case(placed(), Kind.ORDER_PLACED).to(locale="en")
    with pytest.raises(RenderError, match=r"order_placed/en/sms\.j2"):
        Renderer(tmp_path).render(one.notice, one.content, one.merchant, "sms")


def test_instalments_mark_what_is_new() -> None:
    """Of the sessions that are on, those that the notice is about are marked."""
    days = [service(f"s{n}", service().starts_at.replace(day=20 + n), TOM) for n in (1, 2)]
    first = Accepted(event_id="", services=("s1",))
    second = Accepted(event_id="", services=("s2",))
    said = rendered(case(after(placed(*days), first, second), Kind.VOUCHER_CHANGED)).text
    assert said.count("(updated)") == 1
    assert said.index("21 March") < said.index("(updated)") < said.index("22 March")


@pytest.mark.parametrize("changes", [{"zone": "Asia/Taipeh"}, {"voucher": "x" * 5000}])
def test_a_value_that_cannot_be_written_is_an_error_in_words(changes: dict[str, str]) -> None:
    """An unknown zone, a number too long for its code: the sentence names the booking."""
    with pytest.raises(RenderError, match="voucher of B1024: "):
        rendered(case(accepted(), Kind.VOUCHER).saying(**changes))
