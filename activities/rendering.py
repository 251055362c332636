"""A notice as a message in the recipient's language: subject, text, HTML and files, or an SMS text."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from activities.calendar_file import calendar_files
from activities.formats import Formats, one_line, plain_spaces
from activities.merchant_sms import check_sms_text, own_text, text_problems
from activities.qr import voucher_code
from activities.template_samples import variables
from activities.template_values import email_values, for_notice, sms_values
from channels.base import Attachment
from channels.sms_text import plain, segments
from models.agenda import Notice
from models.booking_content import BookingContent
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind

__all__ = ["TEMPLATES", "RenderError", "Rendered", "Renderer", "check_sms_text", "variables"]

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"

CAP = 200_000
"""The longest part of a message, in characters; more is a template gone wrong."""

_ABOUT_SESSIONS = (Kind.VOUCHER, Kind.PRE_VISIT, Kind.SERVICE_ASSIGNMENT)
_WITH_CODE = (Kind.VOUCHER, Kind.VOUCHER_CHANGED)


class RenderError(Exception):
    """A message cannot be made; the sentence names the template and what is wrong with it."""


@dataclass(frozen=True)
class Rendered:
    """A message in words. `segments` is what an SMS costs, 0 for email.

    `fallback` says why the shipped text stands in place of the merchant's own, where it does.
    """

    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...]
    locale: str
    segments: int = 0
    fallback: str = ""


class Renderer:
    """Makes messages from the templates of a folder. Templates are compiled once, and kept."""

    def __init__(self, folder: Path | None = None) -> None:
        loader = FileSystemLoader(folder or TEMPLATES)
        self._words = _environment(loader, escape=False)
        self._pages = _environment(loader, escape=True)
        self._own = lru_cache(maxsize=500)(self._words.from_string)

    def render(self, notice: Notice, content: BookingContent, merchant: Merchant, channel: str) -> Rendered:
        """The message for one channel, in the language of the recipient or else of the merchant.

        The same notice and content are the same message, byte for byte. RenderError where there is no such
        template, it asks for what is not there, or a value cannot be written.
        """
        if channel not in {name for route in CATALOGUE[notice.kind].routes for name in route}:
            raise RenderError(f"{notice.kind} does not go by {channel or 'no channel'}")
        if notice.kind in _ABOUT_SESSIONS and not for_notice(notice, content).sessions:
            raise RenderError(f"{notice.kind} of {content.booking_id} has no session to speak of")
        formats = Formats.of((notice.recipient.locale, merchant.locale), content.zone)
        make = self._sms if channel == "sms" else self._email
        try:
            return make(notice, content, merchant, formats)
        except ValueError as error:  # an unknown zone, a voucher number too long for a QR code
            raise RenderError(f"{notice.kind} of {content.booking_id}: {error}") from error

    def _email(
        self, notice: Notice, content: BookingContent, merchant: Merchant, formats: Formats
    ) -> Rendered:
        name = f"{notice.kind}/{formats.locale}/email.j2"
        values = email_values(notice, content, merchant, formats)
        files = calendar_files(notice, content, merchant)
        if notice.kind in _WITH_CODE and values["voucher"]:
            files = (voucher_code(content.voucher), *files)
        return Rendered(
            subject=one_line(self._block(self._words, name, "subject", values)),
            text=_tidy(plain_spaces(self._block(self._words, name, "text", values))),
            html=self._block(self._pages, name, "html", values).strip() + "\n",
            attachments=files,
            locale=formats.locale,
        )

    def _sms(self, notice: Notice, content: BookingContent, merchant: Merchant, formats: Formats) -> Rendered:
        values = sms_values(notice, content, merchant, formats)
        text, fallback = self._own_sms(notice.kind, merchant, formats.locale, values)
        if not text:
            name = f"{notice.kind}/{formats.locale}/sms.j2"
            text = _sms_text(_whole(name, lambda: self._words.get_template(name).generate(values)))
        return Rendered("", text, "", (), formats.locale, segments(text).segments, fallback)

    def _own_sms(
        self, kind: Kind, merchant: Merchant, locale: str, values: Mapping[str, object]
    ) -> tuple[str, str]:
        """The merchant's own text, or why it cannot be used; neither, where there is none. [WACA-23]

        A broken text costs the merchant the wording, never the customer the message.
        """
        own = own_text(merchant.sms.texts, kind, locale)
        if not own.strip():
            return "", ""
        name = f"sms.texts.{kind}.{locale}"
        if problems := _problems(kind, own):
            return "", f"{name}: {problems[0]}"
        try:
            text = _sms_text(_whole(name, lambda: self._own(own).generate(values)))
        except RenderError as error:
            return "", str(error)
        return (text, "") if text else ("", f"{name}: the text comes out empty")

    def _block(
        self, environment: ImmutableSandboxedEnvironment, name: str, block: str, values: Mapping[str, object]
    ) -> str:
        return _whole(name, lambda: _chunks(environment.get_template(name), block, values))


_problems = lru_cache(maxsize=500)(text_problems)


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


def _whole(name: str, chunks: Callable[[], Iterable[str]]) -> str:
    """All of what a template gives, unless it is more than CAP."""
    taken, size = [], 0
    try:
        for chunk in chunks():
            size += len(chunk)
            if size > CAP:
                raise RenderError(f"{name}: the message grows over {CAP} characters")
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
