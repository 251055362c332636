"""A notice as a message in the recipient's language: subject, text, HTML and files, or an SMS text."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from activities.calendar_file import calendar_files
from activities.credit_values import credit_values
from activities.formats import Formats, one_line, plain_spaces
from activities.merchant_sms import check_sms_text, own_text
from activities.qr import voucher_code
from activities.template_samples import variables
from activities.template_syntax import problems_of
from activities.template_values import email_values, for_notice, names_of, sms_values
from channels.base import Attachment
from channels.sms_text import plain, segments
from models.agenda import Notice
from models.booking_content import BookingContent, SessionView
from models.channels import SMS
from models.credit_content import LowPointsContent
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.own_template import NONE, Overrides, OwnTemplate, Place

__all__ = ["TEMPLATES", "Content", "RenderError", "Rendered", "Renderer", "check_sms_text", "variables"]

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"

CAP = 200_000
"""The longest part of a message, in characters; more is a template gone wrong."""
SMS_CAP = 1_000
"""The same for an SMS of the merchant's own wording."""

Content = BookingContent | LowPointsContent

_ABOUT_SESSIONS = (Kind.VOUCHER, Kind.PRE_VISIT, Kind.SERVICE_ASSIGNMENT)
_WITH_CODE = (Kind.VOUCHER, Kind.VOUCHER_CHANGED)


class RenderError(Exception):
    """A message cannot be made; the sentence names the template and what is wrong with it."""


@dataclass(frozen=True)
class Rendered:
    """A message in words. `segments` is what an SMS costs, 0 for email.

    `fallback` says why the merchant's own text was passed over, where it was.
    """

    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...]
    locale: str
    segments: int = 0
    fallback: str = ""


@dataclass(frozen=True)
class _Order:
    """What is to be made: `values` may be placed, `own` are the merchant's active texts."""

    notice: Notice
    content: Content
    merchant: Merchant
    locale: str
    values: Mapping[str, object]
    own: OwnTemplate | None


class Renderer:
    """Makes messages from the templates of a folder. Templates are compiled once, and kept."""

    def __init__(self, folder: Path | None = None) -> None:
        loader = FileSystemLoader(folder or TEMPLATES)
        self._words = _environment(loader, escape=False)
        self._pages = _environment(loader, escape=True)
        self._own = lru_cache(maxsize=500)(self._words.from_string)

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
        if channel not in {name for route in CATALOGUE[notice.kind].routes for name in route}:
            raise RenderError(f"{notice.kind} does not go by {channel or 'no channel'}")
        if notice.kind in _ABOUT_SESSIONS and not _sessions(notice, content):
            raise RenderError(f"{_named(notice, content)} has no session to speak of")
        formats = Formats.of((notice.recipient.locale, merchant.locale), content.zone)
        own = overrides.get(Place(notice.kind, formats.locale, channel))
        try:
            values = _values(notice, content, merchant, formats, channel)
            order = _Order(notice, content, merchant, formats.locale, values, own)
            return self._sms(order) if channel == SMS else self._email(order)
        except ValueError as error:  # an unknown zone, a voucher number too long for a QR code
            raise RenderError(f"{_named(notice, content)}: {error}") from error

    def _email(self, order: _Order) -> Rendered:
        (subject, text, html), fallback = self._own_email(order)
        if not text:
            name = f"{order.notice.kind}/{order.locale}/email.j2"
            subject = self._block(self._words, name, "subject", order.values)
            text = self._block(self._words, name, "text", order.values)
            html = self._block(self._pages, name, "html", order.values)
        return Rendered(
            subject=one_line(subject),
            text=_tidy(plain_spaces(text)),
            html=html.strip() + "\n",
            attachments=_files(order),
            locale=order.locale,
            fallback=fallback,
        )

    def _own_email(self, order: _Order) -> tuple[tuple[str, str, str], str]:
        """Subject, text and page of the merchant's own words in the shipped letter, or why not."""
        if (own := order.own) is None:
            return ("", "", ""), ""
        try:
            subject = one_line(self._words_of(own, own.subject, order, CAP))
            body = self._words_of(own, own.text, order, CAP)
        except RenderError as error:
            return ("", "", ""), str(error)
        paragraphs = [part.strip() for part in re.split(r"\n\s*\n", body) if part.strip()]
        values = {**order.values, "title": subject, "body": body, "paragraphs": paragraphs}
        text = self._block(self._words, OWN, "text", values)
        return (subject, text, self._block(self._pages, OWN, "html", values)), ""

    def _sms(self, order: _Order) -> Rendered:
        text, fallback = self._own_sms(order)
        if not text:
            name = f"{order.notice.kind}/{order.locale}/sms.j2"
            text = _sms_text(_whole(name, lambda: self._words.get_template(name).generate(order.values), CAP))
        return Rendered("", text, "", (), order.locale, segments(text).segments, fallback)

    def _own_sms(self, order: _Order) -> tuple[str, str]:
        """The merchant's own text, and why a sooner one cannot be used; or neither. [WACA-23]

        A broken text costs the merchant the wording, never the customer the message.
        """
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
        names = names_of(kind, channel)
        if problems := _problems(source, names):
            raise RenderError(f"{name}: {problems[0]}")
        values = {key: _plain(value) for key, value in order.values.items() if key in names}
        said = _whole(name, lambda: self._own(source).generate(values), cap).strip()
        if not said:
            raise RenderError(f"{name}: the text comes out empty")
        return said

    def _block(
        self, environment: ImmutableSandboxedEnvironment, name: str, block: str, values: Mapping[str, object]
    ) -> str:
        return _whole(name, lambda: _chunks(environment.get_template(name), block, values), CAP)


OWN = "_layout/own.j2"


def _values(
    notice: Notice, content: Content, merchant: Merchant, formats: Formats, channel: str
) -> Mapping[str, object]:
    if isinstance(content, LowPointsContent):
        return credit_values(notice, content, formats)
    return (sms_values if channel == SMS else email_values)(notice, content, merchant, formats)


def _files(order: _Order) -> tuple[Attachment, ...]:
    """The calendar files, and the voucher's code before them."""
    if isinstance(order.content, LowPointsContent):
        return ()
    files = calendar_files(order.notice, order.content, order.merchant)
    if order.notice.kind in _WITH_CODE and order.values["voucher"]:
        return (voucher_code(order.content.voucher), *files)
    return files


def _sessions(notice: Notice, content: Content) -> tuple[SessionView, ...]:
    return for_notice(notice, content).sessions if isinstance(content, BookingContent) else ()


def _named(notice: Notice, content: Content) -> str:
    """The message for an error: `voucher of B1024`."""
    return f"{notice.kind} of {content.booking_id}" if isinstance(content, BookingContent) else notice.kind


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


def _plain(value: object) -> object:
    return plain_spaces(value) if isinstance(value, str) else value


_problems = lru_cache(maxsize=500)(problems_of)


def _environment(loader: FileSystemLoader, *, escape: bool) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=escape,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=-1,
    )


def _chunks(template: Template, block: str, values: Mapping[str, object]) -> Iterable[str]:
    if block not in template.blocks:
        raise RenderError(f"{template.name}: the block {block!r} is missing")
    return template.blocks[block](template.new_context(dict(values)))


def _whole(name: str, chunks: Callable[[], Iterable[str]], cap: int) -> str:
    """All of what a template gives, unless it is more than `cap` characters."""
    taken, size = [], 0
    try:
        for chunk in chunks():
            size += len(chunk)
            if size > cap:
                raise RenderError(f"{name}: the message grows over {cap} characters")
            taken.append(chunk)
    except TemplateError as error:
        line = f", line {lineno}" if (lineno := getattr(error, "lineno", None)) else ""
        raise RenderError(f"{name}{line}: {error.message or type(error).__name__}") from error
    return "".join(taken)


def _tidy(text: str) -> str:
    """Paragraphs one blank line apart, and nothing at the end of a line."""
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines) + "\n"


def _sms_text(text: str) -> str:
    return plain(plain_spaces(text).strip())
