"""The page where emails can be declined: from the link in a mail to the gate that keeps to it."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.declining import DecliningLinks
from activities.merchants import Merchants
from activities.rates import real_time
from activities.rendering import Rendered, Renderer
from activities.standing import Standings
from activities.template_samples import sample
from channels.base import Credentials
from channels.registry import Channels
from gateway.app import application
from models.agenda import Notice
from models.consent import Consent
from models.merchant import Merchant
from models.notices import Kind
from policies.proposal import Proposal
from tests.templates.pages import unclosed, words

SETTINGS = {
    "CARILLON_PUBLIC_URL": "https://notices.example/",
    "CARILLON_UNSUBSCRIBE_KEY": "a key, the one before",
    "CARILLON_UNSUBSCRIBE_KEY__ATELIER": "another",
}
ASKED = {"en": "Do you want no more", "fr": "Ne plus recevoir", "zh-Hant": "不再接收"}


@pytest.fixture
async def calls(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the gateway as mail programs and browsers do."""
    await Merchants(engine).apply(shop(), real_time())
    async with Channels.from_environment(SETTINGS) as channels:
        transport = httpx.ASGITransport(application(engine, channels))
        async with httpx.AsyncClient(transport=transport, base_url="https://notices.example") as client:
            yield client


def shop() -> Merchant:
    return sample(Kind.PROMOTION).merchant


def mailed(kind: Kind = Kind.PROMOTION, locale: str = "en", **recipient: str) -> tuple[Notice, Rendered]:
    """A notice, and the email that it becomes."""
    one = sample(kind, locale)
    notice = replace(one.notice, recipient=replace(one.notice.recipient, **recipient))
    renderer = Renderer(links=DecliningLinks(Credentials(SETTINGS)))
    return notice, renderer.render(notice, one.content, one.merchant, "email")


async def consent_of(engine: AsyncEngine, notice: Notice) -> Consent:
    """What the gate is told of the recipient by email."""
    (standing,) = await Standings(engine).read([Proposal(notice, "email", shop(), real_time())])
    return standing.consent


@pytest.mark.parametrize("locale", ASKED)
async def test_the_link_of_a_mail_shows_a_question_and_changes_nothing(
    locale: str, calls: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """In the language of the mail. Mail scanners follow every link: nobody is unsubscribed by them."""
    notice, message = mailed(locale=locale)
    answer = await calls.get(message.unsubscribe)
    assert answer.status_code == 200
    assert ASKED[locale] in words(answer.text)
    assert 'method="post"' in answer.text
    assert unclosed(answer.text) == []
    assert await consent_of(engine, notice) is Consent.NOT_ASKED


@pytest.mark.parametrize("body", [{}, {"List-Unsubscribe": "One-Click"}])
async def test_the_button_of_the_page_and_that_of_the_mail_program_decline(
    body: dict[str, str], calls: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """RFC 8058 asks for one POST, no cookies, no redirect. Twice is once; other classes go on."""
    notice, message = mailed()
    for _ in range(2):
        answer = await calls.post(message.unsubscribe, data=body)
        assert answer.status_code == 200
        assert "You will receive no more promotional emails from Lumi Studio." in words(answer.text)
    assert await consent_of(engine, notice) is Consent.OPTED_OUT
    assert await consent_of(engine, mailed(Kind.BIRTHDAY)[0]) is Consent.NOT_ASKED


async def test_who_pressed_it_by_mistake_takes_it_back(calls: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """With the button of the next page."""
    notice, message = mailed()
    done = await calls.post(message.unsubscribe)
    assert 'name="again" value="yes"' in done.text
    answer = await calls.post(message.unsubscribe, data={"again": "yes"})
    assert "You will receive promotional emails from Lumi Studio again." in words(answer.text)
    assert await consent_of(engine, notice) is Consent.OPTED_IN


async def test_the_word_is_a_members_for_every_address_and_anyone_elses_for_that_one(
    calls: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """A member who changes the address stays unsubscribed."""
    notice, message = mailed(member_id="m1", email="ada@example.com")
    await calls.post(message.unsubscribe)
    moved = replace(notice, recipient=replace(notice.recipient, email="new@example.com"))
    assert await consent_of(engine, moved) is Consent.OPTED_OUT

    notice, message = mailed(member_id="", email="Bo@example.com")
    await calls.post(message.unsubscribe)
    same = replace(notice, recipient=replace(notice.recipient, email="bo@example.com"))
    other = replace(notice, recipient=replace(notice.recipient, email="new@example.com"))
    assert await consent_of(engine, same) is Consent.OPTED_OUT
    assert await consent_of(engine, other) is Consent.NOT_ASKED


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_link_that_is_not_ours_changes_nothing_and_tells_what_to_do(
    method: str, calls: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """A page in the shop's language, with its address."""
    notice, message = mailed()
    answer = await calls.request(method, message.unsubscribe[:-4] + "AAAA")
    assert answer.status_code == 404
    assert "hello@lumi.example" in words(answer.text)
    assert "<form" not in answer.text
    assert await consent_of(engine, notice) is Consent.NOT_ASKED


@pytest.mark.parametrize("merchant", ["nobody", "lumi%2Fx"])
async def test_a_link_of_a_shop_that_is_not_known_is_told_so(merchant: str, calls: httpx.AsyncClient) -> None:
    """No page, no traceback."""
    token = urlsplit(mailed()[1].unsubscribe).path.rsplit("/", 1)[-1]
    answer = await calls.get(f"/unsubscribe/{merchant}/{token}")
    assert answer.status_code == 404
    assert "error" in answer.json()


async def test_the_page_lets_nothing_else_in_or_out(calls: httpx.AsyncClient) -> None:
    """Its address is a key: no referrer, no cache, no script, nothing fetched; and a name is text."""
    answer = await calls.get(mailed()[1].unsubscribe)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert not re.search(r"<script|src=|https?://", answer.text)


async def test_a_name_with_markup_in_it_is_shown_as_it_is(engine: AsyncEngine) -> None:
    """Whatever a shop is called."""
    await Merchants(engine).apply(replace(shop(), name="<b>Lumi</b> & Co"), real_time())
    async with Channels.from_environment(SETTINGS) as channels:
        transport = httpx.ASGITransport(application(engine, channels))
        async with httpx.AsyncClient(transport=transport, base_url="https://notices.example") as client:
            answer = await client.get(mailed()[1].unsubscribe)
    assert "&lt;b&gt;Lumi&lt;/b&gt; &amp; Co" in answer.text


@pytest.mark.parametrize(
    "settings", [{"CARILLON_PUBLIC_URL": "https://notices.example"}, {"CARILLON_UNSUBSCRIBE_KEY": "k"}, {}]
)
def test_without_a_public_gateway_and_a_key_it_is_by_letter(settings: dict[str, str]) -> None:
    """No link that leads nowhere, or that nobody would believe."""
    one = sample(Kind.PROMOTION)
    renderer = Renderer(links=DecliningLinks(Credentials(settings)))
    message = renderer.render(one.notice, one.content, one.merchant, "email")
    assert message.unsubscribe == "mailto:hello@lumi.example?subject=unsubscribe%20promotional"


def test_the_link_stands_in_the_page_in_the_text_and_in_the_header() -> None:
    """What may not be declined has none."""
    _, message = mailed()
    assert f'href="{message.unsubscribe}"' in message.html
    assert f"Unsubscribe: {message.unsubscribe}" in message.text
    assert "write to" not in message.text
    assert mailed(Kind.MEMBER_WELCOME)[1].unsubscribe == ""
