"""What is wrong with a text that a merchant wants to save, and what it comes to. [WACA-04, WACA-23]"""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass

from activities.formats import SHIPPED, shipped_locale
from activities.merchant_sms import length_problems
from activities.rendering import Rendered, Renderer, RenderError
from activities.template_names import names_of, needed_in
from activities.template_samples import sample
from activities.template_syntax import listed, nearest, problems_of, words_of
from channels.sms_text import segments
from channels.twsms import emoji_in
from models.channels import PUSH, SMS, in_words
from models.merchant import Merchant, SmsProvider, promotional_word
from models.notices import CATALOGUE, Kind, NoticeClass
from models.own_template import NONE, Overrides, OwnTemplate, Place
from policies.links import shortened_link

LONGEST = {"email": (200, 5_000), "push": (100, 400)}
"""Characters of what a merchant writes, by channel: the subject, or the title, and the text."""


@dataclass(frozen=True)
class Measure:
    """What a text comes to with sample values: `typical` ones, or `long` ones."""

    sample: str
    text: str
    characters: int
    segments: int
    encoding: str


@dataclass(frozen=True)
class Checked:
    """`problems` keep a text from being saved; `notes` are worth knowing."""

    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()


class TemplateRefusedError(ValueError):
    """A text that cannot be saved; `problems` holds all that is wrong with it."""

    def __init__(self, place: Place, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        lines = (f"\n  {problem}" for problem in self.problems)
        super().__init__(f"the template {place} cannot be used" + "".join(lines))


_renderer = Renderer()


def named_place(kind: str, locale: str, channel: str) -> Place:
    """The place of a text, its locale as it is served; TemplateRefusedError names what there is not."""
    place = Place(kind, shipped_locale(locale) or locale, channel)
    if problems := list(_unknown(place)):
        raise TemplateRefusedError(Place(kind, locale, channel), problems)
    return place


def check_template(template: OwnTemplate, merchant: Merchant, overrides: Overrides = NONE) -> Checked:
    """Everything that is wrong with a text, in whole sentences, and what it comes to.

    `overrides` are the merchant's other texts, so that the missing ones can be named.
    """
    place = template.place
    problems = [*_unknown(place)] or [*_fixed(place)] or [*_unsound(template, merchant)]
    if problems:
        return Checked(tuple(problems))
    problems += _unwelcome(template, merchant, [*words_of(template.subject), *words_of(template.text)])
    made = {}
    for name in ("typical", "long"):
        try:
            made[name] = _sampled(template, merchant, long=name == "long")
        except RenderError as error:
            problems.append(f"with {name} values: {error}")
    for message in made.values():
        problems += _unwelcome(template, merchant, [message.subject, message.text])
    measures = tuple(_measure(name, message) for name, message in made.items())
    notes = _notes(place, measures, _own_places(merchant, overrides))
    return Checked(tuple(dict.fromkeys(problems)), tuple(notes), measures)


def _unknown(place: Place) -> Iterator[str]:
    kinds = [kind.value for kind in Kind]
    if place.kind not in kinds:
        yield f"{place.kind!r} is no kind of notice{nearest(place.kind, kinds)}; there is {listed(kinds)}"
    if place.locale not in SHIPPED:
        yield f"{place.locale!r} is no locale that is served; there is {listed(SHIPPED)}"
    channels = sorted({name for row in CATALOGUE.values() for route in row.routes for name in route})
    if place.channel not in channels:
        near = nearest(place.channel, channels)
        yield f"{place.channel!r} is no channel{near}; there is {listed(channels)}"
    elif place.kind in kinds and place.channel not in routed(Kind(place.kind)):
        yield f"{place.kind} does not go by {place.channel}; it goes by {listed(routed(Kind(place.kind)))}"


def routed(kind: Kind) -> list[str]:
    """The channels that a kind may go by."""
    return list(dict.fromkeys(name for route in CATALOGUE[kind].routes for name in route))


def _fixed(place: Place) -> Iterator[str]:
    editable = CATALOGUE[Kind(place.kind)].editable
    if place.channel not in editable.channels:
        yield f"the {in_words(place.channel)} of {place.kind} is fixed; a merchant may change {editable}"


def _unsound(template: OwnTemplate, merchant: Merchant) -> Iterator[str]:
    """What keeps a text from being rendered at all."""
    kind, channel = Kind(template.place.kind), template.place.channel
    names = names_of(kind, channel, merchant)
    if channel == SMS:
        yield from length_problems(template.text, merchant)
        if template.subject:
            yield "an SMS has no subject: leave it out"
    else:
        subject = "title" if channel == PUSH else "subject"
        lengths = zip((subject, "text"), (template.subject, template.text), LONGEST[channel], strict=True)
        yield from _lengths(lengths)
        yield from (f"{subject}: {problem}" for problem in problems_of(template.subject, names))
    yield from problems_of(template.text, names, needed_in(kind))


def _lengths(parts: Iterable[tuple[str, str, int]]) -> Iterator[str]:
    for name, text, limit in parts:
        if not text.strip():
            yield f"the {name} is empty: write one"
        elif len(text) > limit:
            yield f"the {name} has {len(text)} characters, and {limit} are allowed"


def _unwelcome(template: OwnTemplate, merchant: Merchant, texts: Iterable[str]) -> Iterator[str]:
    """Words that look like advertising, and what no SMS may carry: short links, or emoji. [WACA-05, LS-60]"""
    notice_class = CATALOGUE[Kind(template.place.kind)].notice_class
    gate = merchant.gate
    for text in texts:
        word = promotional_word(text, merchant.promotional_words)
        if word is not None and notice_class <= NoticeClass.REMINDER:
            yield f"the promotional word {word!r} has no place in a {notice_class.word} notice"
        if template.place.channel == SMS and _by_twsms(merchant) and (emoji := emoji_in(text)):
            yield f"the emoji {emoji} has no place in an SMS by TwSMS, which refuses it: leave it out"
        if template.place.channel == SMS and (
            link := shortened_link(text, gate.barred_hosts, gate.short_domains)
        ):
            host = link.partition("/")[0]
            yield f"a link of the public shortener {host} has no place in an SMS: write the long one"


def _by_twsms(merchant: Merchant) -> bool:
    return SmsProvider.TWSMS in (merchant.sms.provider, merchant.sms.fallback)


def _sampled(template: OwnTemplate, merchant: Merchant, *, long: bool) -> Rendered:
    """The message with sample values; RenderError where the text does not become one."""
    place = template.place
    one = sample(Kind(place.kind), place.locale, merchant, long=long)
    message = _renderer.render(one.notice, one.content, merchant, place.channel, {place: template})
    if message.fallback:
        raise RenderError(message.fallback.removeprefix(f"sms.texts.{place.kind}.{place.locale}: "))
    return message


def _measure(name: str, message: Rendered) -> Measure:
    encoding = segments(message.text).encoding if message.segments else ""
    return Measure(name, message.text, len(message.text), message.segments, encoding)


def _own_places(merchant: Merchant, overrides: Overrides) -> set[Place]:
    """Where the merchant has wording of its own: saved texts, and those of its file."""
    filed = {
        Place(kind, shipped_locale(tag) or tag, SMS)
        for kind, texts in merchant.sms.texts.items()
        for tag in texts
    }
    return filed | set(overrides)


def _notes(place: Place, measures: Iterable[Measure], own: Set[Place]) -> Iterator[str]:
    others = [locale for locale in SHIPPED if locale != place.locale]
    missing = [locale for locale in others if Place(place.kind, locale, place.channel) not in own]
    if missing:
        yield f"no text of your own in {listed(missing)}: the shipped one stands there"
    worded = {one.channel for one in own if one.kind == place.kind} | {place.channel}
    silent = [name for name in CATALOGUE[Kind(place.kind)].editable.channels if name not in worded]
    if silent:
        yield f"no text of your own by {listed(map(in_words, silent))}: the shipped one goes there"
    for one in measures:
        if one.segments > 1:
            yield f"with {one.sample} values it is paid for as {one.segments} messages ({one.encoding})"
