"""A notice as a message in the recipient's language: an email with its files, an SMS, or a push message."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from activities.calendar_file import calendar_files
from activities.credit_values import credit_values
from activities.declining import DecliningLinks
from activities.formats import Formats, one_line, plain_spaces
from activities.member_values import member_values, phone_code_values
from activities.merchant_sms import check_sms_text, own_text
from activities.qr import voucher_code
from activities.template_engine import CAP, OwnTexts, RenderError, ShippedTemplates
from activities.template_names import names_of, needed_in
from activities.template_samples import variables
from activities.template_syntax import problems_of
from activities.template_values import email_values, for_notice, paragraphs, sms_values
from channels.base import Attachment
from channels.sms_text import plain, segments
from models.agenda import Notice
from models.booking_content import BookingContent, SessionView
from models.channels import EMAIL, PUSH, SMS
from models.credit_content import LowPointsContent
from models.member_content import MemberContent, PhoneCodeContent
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.own_template import NONE, Overrides, OwnTemplate, Place

__all__ = ["TEMPLATES", "Content", "RenderError", "Rendered", "Renderer", "check_sms_text", "variables"]

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"

SMS_CAP = 1_000
"""The longest SMS or push message of a merchant's own wording, in characters."""

Content = BookingContent | LowPointsContent | MemberContent | PhoneCodeContent

_ABOUT_SESSIONS = (Kind.VOUCHER, Kind.PRE_VISIT, Kind.SERVICE_ASSIGNMENT)
_WITH_CODE = (Kind.VOUCHER, Kind.VOUCHER_CHANGED)


@dataclass(slots=True)
class Rendered:
    """A message in words; of a push message `subject` is the title. `segments` is what an SMS costs, else 0.

    `fallback` says why the merchant's own text was passed over, where it was.
    `unsubscribe` is where an email of a class that may be refused can be refused.
    `image_url` is a picture that a push message shows; an email has it in its page.
    """

    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...]
    locale: str
    segments: int = 0
    fallback: str = ""
    unsubscribe: str = ""
    image_url: str = ""


@dataclass(slots=True)
class _Order:
    """What is to be made: `values` may be placed, `own` are the merchant's active texts."""

    notice: Notice
    content: Content
    merchant: Merchant
    locale: str
    values: Mapping[str, object]
    own: OwnTemplate | None


class Renderer:
    """Makes messages from the templates of a folder. Templates are compiled once, and kept.

    `links` are to the page where emails can be declined; without them it is by a letter to the merchant.
    """

    def __init__(self, folder: Path | None = None, links: DecliningLinks | None = None) -> None:
        self._links = links
        self._shipped = ShippedTemplates(folder or TEMPLATES)
        self._own = OwnTexts()
        self._alike = lru_cache(maxsize=100)(self._shared)

    def render(
        self,
        notice: Notice,
        content: Content,
        merchant: Merchant,
        channel: str,
        overrides: Overrides = NONE,
    ) -> Rendered:
        """The message for one channel, in the language of the recipient or else of the merchant.

        `overrides` are the merchant's active texts; after them come those in its file, then the shipped ones.
        The same notice, content and texts are the same message, byte for byte. RenderError where there is no
        such template, it asks for what is not there, or a value cannot be written.
        """
        if channel not in _channels(notice.kind):
            raise RenderError(f"{notice.kind} does not go by {channel or 'no channel'}")
        if notice.kind in _ABOUT_SESSIONS and not _sessions(notice, content):
            raise RenderError(f"{_named(notice, content)} has no session to speak of")
        formats = Formats.of((notice.recipient.locale, merchant.locale), content.zone)
        own = overrides.get(Place(notice.kind, formats.locale, channel)) if overrides else None
        try:
            values = self._values(notice, content, merchant, formats, channel)
            order = _Order(notice, content, merchant, formats.locale, values, own)
            if channel == SMS:
                return self._sms(order)
            return self._push(order) if channel == PUSH else self._email(order)
        except ValueError as error:  # an unknown zone, a voucher number too long for a QR code
            raise RenderError(f"{_named(notice, content)}: {error}") from error

    def _values(
        self, notice: Notice, content: Content, merchant: Merchant, formats: Formats, channel: str
    ) -> Mapping[str, object]:
        match content:
            case MemberContent():
                page = ""
                if channel == EMAIL and self._links is not None:
                    page = self._links.link(notice, merchant, formats.locale)
                return member_values(notice, content, merchant, formats, channel, page)
            case PhoneCodeContent():
                return phone_code_values(content, merchant, formats)
            case LowPointsContent():
                return credit_values(notice, content, formats)
        return (sms_values if channel == SMS else email_values)(notice, content, merchant, formats)

    def _email(self, order: _Order) -> Rendered:
        own, fallback = self._own_words(order, CAP)
        if own is not None:
            subject, text, html = self._own_letter(order, *own)
        else:
            name = f"{order.notice.kind}/{order.locale}/email.j2"
            subject = self._shipped.block(name, "subject", order.values)
            text = self._shipped.block(name, "text", order.values)
            html = self._shipped.block(name, "html", order.values, page=True)
        return Rendered(
            subject=one_line(subject),
            text=_tidy(plain_spaces(text)),
            html=html.strip() + "\n",
            attachments=_files(order),
            locale=order.locale,
            fallback=fallback,
            unsubscribe=str(order.values["unsubscribe"]),
        )

    def _own_letter(self, order: _Order, subject: str, body: str) -> tuple[str, str, str]:
        """Subject, text and page of the merchant's own words in the shipped letter."""
        own = {"title": subject, "body": body, "paragraphs": paragraphs(body)}
        values = {"image": "", **order.values, **own}
        text = self._shipped.block(OWN, "text", values)
        return subject, text, self._shipped.block(OWN, "html", values, page=True)

    def _push(self, order: _Order) -> Rendered:
        own, fallback = self._own_words(order, SMS_CAP)
        if own is not None:
            title, text = own
        else:
            name = f"{order.notice.kind}/{order.locale}/push.j2"
            title = self._shipped.block(name, "title", order.values)
            text = self._shipped.block(name, "text", order.values)
        text = plain_spaces(text).strip()
        image = str(order.values.get("image", ""))
        return Rendered(one_line(title), text, "", (), order.locale, fallback=fallback, image_url=image)

    def _own_words(self, order: _Order, cap: int) -> tuple[tuple[str, str] | None, str]:
        """Subject and text in the merchant's own words where it has some, or why they cannot be used."""
        if (own := order.own) is None:
            return None, ""
        try:
            subject = one_line(self._words_of(own, own.subject, order, cap))
            return (subject, self._words_of(own, own.text, order, cap)), ""
        except RenderError as error:
            return None, str(error)

    def _sms(self, order: _Order) -> Rendered:
        text, fallback = self._own_sms(order)
        if text:
            return Rendered("", text, "", (), order.locale, segments(text).segments, fallback)
        text, count = self._shipped_sms(order)
        return Rendered("", text, "", (), order.locale, count, fallback)

    def _shipped_sms(self, order: _Order) -> tuple[str, int]:
        """What the shipped text says, and its segments: those who come to one session are told the same."""
        name, values = _shipped_name(order.notice.kind, order.locale, SMS), order.values
        places = self._shipped.places(name)
        placed = {one: values[one] for one in places if one in values}
        if _PERSONAL.isdisjoint(places):
            return self._alike(name, tuple(placed.items()))
        return self._of_their_own(name, placed)

    def _shared(self, name: str, placed: tuple[tuple[str, object], ...]) -> tuple[str, int]:
        return self._of_their_own(name, dict(placed))

    def _of_their_own(self, name: str, values: Mapping[str, object]) -> tuple[str, int]:
        text = _sms_text(self._shipped.text(name, values))
        return text, segments(text).segments

    def _own_sms(self, order: _Order) -> tuple[str, str]:
        """The merchant's own text, and why a sooner one cannot be used; or neither. [WACA-23]

        A broken text costs the merchant the wording, never the customer the message.
        """
        if order.own is None and not order.merchant.sms.texts:
            return "", ""
        reasons: list[str] = []
        for own in _own_texts(order):
            try:
                return _sms_text(self._words_of(own, own.text, order, SMS_CAP)), "; ".join(reasons)
            except RenderError as error:
                reasons.append(str(error))
        return "", "; ".join(reasons)

    def _words_of(self, own: OwnTemplate, source: str, order: _Order, cap: int) -> str:
        """What a text of the merchant's says; RenderError where it may not, or says nothing."""
        kind, channel = order.notice.kind, own.place.channel
        name = _own_name(own)
        if channel not in CATALOGUE[kind].editable.channels:
            raise RenderError(f"{name}: {kind} by {channel} is fixed")
        names = names_of(kind, channel, order.merchant)
        if problems := _problems(source, names, needed_in(kind)):
            raise RenderError(f"{name}: {problems[0]}")
        values = {key: value for key, value in order.values.items() if key in names}
        said = self._own.text(name, source, values, cap).strip()
        if not said:
            raise RenderError(f"{name}: the text comes out empty")
        return said


OWN = "_layout/own.j2"
_PERSONAL = frozenset({"name", "code"})
"""What every recipient has for himself: a text with it is kept for nobody else. A code is kept nowhere."""


@cache
def _channels(kind: Kind) -> frozenset[str]:
    return frozenset(channel for route in CATALOGUE[kind].routes for channel in route)


@cache
def _shipped_name(kind: Kind, locale: str, channel: str) -> str:
    return f"{kind}/{locale}/{channel}.j2"


def _files(order: _Order) -> tuple[Attachment, ...]:
    """The calendar files, and the voucher's code before them."""
    if not isinstance(order.content, BookingContent):
        return ()
    files = calendar_files(order.notice, order.content, order.merchant)
    if order.notice.kind in _WITH_CODE and order.values["voucher"]:
        return (voucher_code(order.content.voucher), *files)
    return files


def _sessions(notice: Notice, content: Content) -> tuple[SessionView, ...]:
    return for_notice(notice, content).sessions if isinstance(content, BookingContent) else ()


def _named(notice: Notice, content: Content) -> str:
    """The message for an error: `voucher of B1024`."""
    match content:
        case BookingContent():
            return f"{notice.kind} of {content.booking_id}"
        case MemberContent():
            return f"{notice.kind} of {content.member_id}"
    return notice.kind


def _own_texts(order: _Order) -> Iterator[OwnTemplate]:
    """The merchant's own SMS texts, the one that counts first."""
    kind, locale = order.notice.kind, order.locale
    if order.own is not None:
        yield order.own
    if (text := own_text(order.merchant.sms.texts, kind, locale)).strip():
        yield OwnTemplate(Place(kind, locale, SMS), text)


def _own_name(own: OwnTemplate) -> str:
    """How an error names a merchant's text: by its version, or by its place in the merchant's file."""
    if own.version:
        return f"template {own.place} version {own.version}"
    return f"sms.texts.{own.place.kind}.{own.place.locale}"


_problems = lru_cache(maxsize=500)(problems_of)


def _tidy(text: str) -> str:
    """Paragraphs one blank line apart, and nothing at the end of a line."""
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines) + "\n"


def _sms_text(text: str) -> str:
    return plain(plain_spaces(text).strip())
