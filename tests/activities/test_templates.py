"""The merchants' own texts in SQL: every version kept, one of them in use."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.merchants import Merchants, UnknownMerchantError
from activities.rendering import Renderer
from activities.template_check import TemplateRefusedError
from activities.template_samples import sample
from activities.templates import Templates, UnknownVersionError
from models.notices import Kind
from models.own_template import NONE, OwnTemplate, Place
from tests.requirements import requirement
from tests.shops import NOW, PAYING

PLACE = Place(Kind.PRE_VISIT, "en", "sms")
LATER = NOW + timedelta(hours=1)


def saying(text: str) -> OwnTemplate:
    return OwnTemplate(PLACE, text)


@pytest.fixture
async def templates(engine: AsyncEngine) -> Templates:
    await Merchants(engine).apply(PAYING, NOW)
    return Templates(engine)


@requirement("WACA-23")
async def test_a_new_version_overwrites_no_earlier_one(templates: Templates) -> None:
    """Each is kept with its author and moment; the newest is in use."""
    await templates.set(PAYING, saying("one {{ name }}"), "ann", NOW)
    second = await templates.set(PAYING, saying("two {{ name }}"), "bo", LATER)
    newest, first = await templates.history(PAYING.id, PLACE)
    assert newest == second
    assert (newest.template.text, newest.author, newest.active) == ("two {{ name }}", "bo", True)
    assert (first.template.text, first.author, first.active) == ("one {{ name }}", "ann", False)
    assert [newest.at, first.at] == [LATER, NOW]
    assert newest.at.tzinfo is UTC


async def test_the_same_text_again_is_no_new_version(templates: Templates) -> None:
    """Saved twice by a nervous hand, it is one."""
    first = await templates.set(PAYING, saying("hello"), "ann", NOW)
    assert await templates.set(PAYING, saying("hello"), "ann", LATER) == first
    assert len(await templates.history(PAYING.id, PLACE)) == 1


async def test_an_older_version_or_the_shipped_text_is_used_again(templates: Templates) -> None:
    """Version 0 is what is shipped; whatever is used, all versions stay."""
    await templates.set(PAYING, saying("one"), "ann", NOW)
    await templates.set(PAYING, saying("two"), "ann", NOW)
    await templates.activate(PAYING.id, PLACE, 1)
    shown = await templates.show(PAYING.id, PLACE)
    assert shown is not None
    assert shown.template.text == "one"
    await templates.activate(PAYING.id, PLACE, 0)
    assert await templates.show(PAYING.id, PLACE) is None
    assert await templates.listed(PAYING.id) == []
    assert [saved.template.version for saved in await templates.history(PAYING.id, PLACE)] == [2, 1]


async def test_a_version_that_there_is_not_is_named(templates: Templates) -> None:
    """With those that there are; and what was in use stays."""
    await templates.set(PAYING, saying("one"), "ann", NOW)
    with pytest.raises(UnknownVersionError, match="has no version 7: there is 1 to 1, and 0 as shipped"):
        await templates.activate(PAYING.id, PLACE, 7)
    assert len(await templates.listed(PAYING.id)) == 1


@requirement("WACA-04", "WACA-23")
async def test_what_is_wrong_is_not_saved(templates: Templates) -> None:
    """Neither a broken text nor a fixed email."""
    for wrong in (saying("{{ nmae }}"), OwnTemplate(replace(PLACE, channel="email"), "a", "b")):
        with pytest.raises(TemplateRefusedError):
            await templates.set(PAYING, wrong, "ann", NOW)
        assert await templates.history(PAYING.id, wrong.place) == []


async def test_a_merchant_that_is_not_known_saves_nothing(templates: Templates) -> None:
    """Nor does it choose a version."""
    nobody = replace(PAYING, id="nobody")
    with pytest.raises(UnknownMerchantError):
        await templates.set(nobody, saying("hello"), "ann", NOW)
    with pytest.raises(UnknownMerchantError):
        await templates.activate("nobody", PLACE, 0)


async def test_messages_are_made_from_the_text_in_use(templates: Templates) -> None:
    """Of this merchant, in this language and by this channel only; a change counts at once here."""
    assert await templates.of(PAYING.id) == NONE
    await templates.set(PAYING, saying("Hi {{ name }}"), "ann", NOW)
    own = await templates.of(PAYING.id)
    assert list(own) == [PLACE]
    for locale, ours in (("en", True), ("fr", False)):
        one = sample(Kind.PRE_VISIT, locale, PAYING)
        message = Renderer().render(one.notice, one.content, PAYING, "sms", own)
        assert (message.text == "Hi Mei Lin") is ours
    assert await templates.of("other") == NONE


async def test_the_texts_of_a_page_are_read_once(templates: Templates, engine: AsyncEngine) -> None:
    """Another process's change is seen within seconds, not at once: nothing is read while they are fresh."""
    before = await templates.of(PAYING.id)
    await Templates(engine).set(PAYING, saying("Hi"), "ann", NOW)
    assert await templates.of(PAYING.id) is before


async def test_two_who_save_at_one_time_get_two_versions(templates: Templates, engine: AsyncEngine) -> None:
    """None is lost, and one is in use."""
    writers = [Templates(engine) for _ in range(8)]
    await asyncio.gather(
        *(one.set(PAYING, saying(f"text {number}"), "ann", NOW) for number, one in enumerate(writers))
    )
    versions = await templates.history(PAYING.id, PLACE)
    assert [saved.template.version for saved in versions] == list(range(8, 0, -1))
    assert [saved.active for saved in versions] == [True, *[False] * 7]
    assert isinstance(versions[0].at, datetime)
