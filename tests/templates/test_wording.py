"""What a message says when the money has gone back, the booking is arranged already, or the place is new."""

import pytest

from activities.rendering import Rendered, Renderer
from models.booking_facts import Cancelled
from models.notices import Kind
from tests.requirements import requirement
from tests.templates.samples import (
    LOCALES,
    MEI,
    TOM,
    Case,
    accepted,
    after,
    case,
    full,
    handed_on,
    service,
)

RENDERER = Renderer()


def rendered(one: Case, locale: str, channel: str = "email") -> Rendered:
    to = one.to(locale=locale)
    return RENDERER.render(to.notice, to.content, to.merchant, channel)


def of(kind: Kind) -> Case:
    return next(one for one in full() if one.notice.kind is kind)


REFUNDED = {"en": "has been refunded", "fr": "remboursé", "zh-Hant": "款項已退還"}
ARRANGED = {"en": "now arrange", "fr": "organisons maintenant", "zh-Hant": "接著將為您安排"}
VOUCHER_FOLLOWS = {"en": "voucher follows", "fr": "Le bon suivra", "zh-Hant": "憑證會另行寄出"}
NOW = {"en": "what is on now", "fr": "désormais", "zh-Hant": "目前的預約"}
FIRST = {
    "en": "This is booked for you",
    "fr": "Voici ce qui est réservé",
    "zh-Hant": "為您預訂的場次",
}
GIVEN = {"en": "someone else", "fr": "une autre personne", "zh-Hant": "轉給他人"}
CALLED_OFF = {"en": "called off", "fr": "a été annulée", "zh-Hant": "名額已取消"}


@requirement("WACA-14", "WACA-34")
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("channel", ["email", "sms"])
def test_a_cancellation_tells_of_the_money_only_when_it_has_gone_back(locale: str, channel: str) -> None:
    """Refunded: it says so. Not refunded, or never paid: nothing of it."""
    one = of(Kind.ORDER_CANCELLED)
    assert REFUNDED[locale] in rendered(one.saying(refunded=True), locale, channel).text
    assert REFUNDED[locale] not in rendered(one.saying(refunded=False), locale, channel).text


@requirement("WACA-12", "WACA-32")
@pytest.mark.parametrize("locale", LOCALES)
def test_a_payment_for_what_is_accepted_promises_nothing_more(locale: str) -> None:
    """The booking is arranged and its voucher sent: neither is promised again."""
    one = of(Kind.PAYMENT_RECEIVED)
    for channel in ("email", "sms"):
        assert ARRANGED[locale] in rendered(one.saying(accepted=False), locale, channel).text
        assert ARRANGED[locale] not in rendered(one.saying(accepted=True), locale, channel).text
    assert VOUCHER_FOLLOWS[locale] in rendered(one.saying(accepted=False), locale).html
    assert VOUCHER_FOLLOWS[locale] not in rendered(one.saying(accepted=True), locale).html


@requirement("WACA-09", "WACA-16")
@pytest.mark.parametrize("locale", LOCALES)
def test_a_newcomer_reads_a_first_message(locale: str) -> None:
    """What is booked, voucher and code: no word of a change, for nothing has changed for them."""
    message = rendered(case(handed_on(accepted(), "s1", TOM, MEI), Kind.VOUCHER_CHANGED, "mei"), locale)
    for part in (message.text, message.html):
        assert FIRST[locale] in part
        assert NOW[locale] not in part
    assert "B1024-mei" in message.subject
    assert 'src="cid:voucher"' in message.html


@requirement("WACA-09", "WACA-16")
@pytest.mark.parametrize("locale", LOCALES)
def test_who_gave_the_place_up_reads_that_someone_else_has_it(locale: str) -> None:
    """And nothing of a voucher to show."""
    message = rendered(case(handed_on(accepted(), "s1", TOM, MEI), Kind.VOUCHER_CHANGED, "tom"), locale)
    for part in (message.subject, message.text, message.html):
        assert GIVEN[locale] in part
    assert CALLED_OFF[locale] not in message.text
    assert "cid:voucher" not in message.html


@requirement("WACA-16")
@pytest.mark.parametrize("locale", LOCALES)
def test_whose_place_is_called_off_reads_that(locale: str) -> None:
    """Nobody has taken it."""
    message = rendered(case(after(accepted(), Cancelled(event_id="")), Kind.VOUCHER_CHANGED), locale)
    assert CALLED_OFF[locale] in message.text
    assert GIVEN[locale] not in message.subject + message.text + message.html


@requirement("WACA-16")
@pytest.mark.parametrize("locale", LOCALES)
def test_who_holds_a_voucher_reads_what_has_changed(locale: str) -> None:
    """One of two sessions is off: what is on now, on a line of its own."""
    days = [service(f"s{n}", service().starts_at.replace(day=20 + n), TOM) for n in (1, 2)]
    one = case(after(accepted(*days), Cancelled(event_id="", services=("s1",))), Kind.VOUCHER_CHANGED)
    text = rendered(one, locale).text
    assert NOW[locale] in text
    assert FIRST[locale] not in text
    line = next(line for line in text.splitlines() if NOW[locale] in line)
    assert f"\n\n{line}\n\n" in text
