"""A message as an email. Pure: the same message, sender and moment are the same mail."""

import hashlib
import re
from datetime import datetime
from email.headerregistry import Address, ContentTypeHeader
from email.message import EmailMessage
from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email

from channels.base import Attachment, DeliveryError, Message
from channels.mail_headers import HEADERS, POLICY, one_line

LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*")

URI = re.compile(r"(?:https?://|mailto:)[!-;=?-~]{1,900}")
"""No space, no control character, no angle bracket: nothing that could end the header, or overfill it."""


class Mailbox(NamedTuple):
    """An address in the form that goes on the wire: the domain in ASCII, the local part as it is."""

    local: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def international(self) -> bool:
        """Whether it needs a server that speaks SMTPUTF8 (the local part is not ASCII)."""
        return not self.local.isascii()


def mailbox(address: str) -> Mailbox:
    """Read an address; ValueError for what is not one (line breaks and a second address included)."""
    local, _, domain = address.rpartition("@")
    try:
        local = validate_email(f"{local}@example.com", check_deliverability=False).local_part
        # The library refuses names like `localhost` or `mail.local`, where a shop's own server may well be.
        if not HOST.fullmatch(domain):
            domain = validate_email(f"postmaster@{domain}", check_deliverability=False).ascii_domain
    except EmailNotValidError as error:
        raise ValueError(str(error)) from error
    return Mailbox(local, domain)


def message_id(key: str, domain: str) -> str:
    """The same for the same notice key, so that a mail sent twice can be known as one."""
    return f"<{hashlib.sha256(key.encode()).hexdigest()[:40]}@{domain}>"


def compose(message: Message, sender: Mailbox, recipient: Mailbox, now: datetime) -> EmailMessage:
    """The mail: text and HTML as alternatives, pictures beside the HTML, files attached.

    Line breaks and control characters in names and subject become spaces. A Reply-To or an unsubscribe
    address that is not one is a DeliveryError (the merchant can mend it, so it is not permanent).
    """
    mail = EmailMessage(policy=POLICY)
    mail["From"] = _address(message.sender_name, sender)
    mail["To"] = _address(message.to_name, recipient)
    mail["Subject"] = one_line(message.subject)
    mail["Date"] = now
    mail["Message-ID"] = message_id(message.key, sender.domain)
    mail["Auto-Submitted"] = "auto-generated"
    if message.reply_to:
        mail["Reply-To"] = _address("", _reply_to(message.reply_to))
    if message.unsubscribe_url:
        mail["List-Unsubscribe"] = f"<{_uri(message.unsubscribe_url)}>"
        if message.unsubscribe_url.startswith("http"):
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(message.text)
    if message.html:
        mail.add_alternative(message.html, subtype="html")
        for picture in message.attachments:
            if picture.content_id is not None:
                _show(picture, mail)
    for file in message.attachments:
        if file.content_id is None or not message.html:
            _attach(file, mail)
    return mail


def _address(name: str, box: Mailbox) -> Address:
    return Address(one_line(name), addr_spec=None, username=box.local, domain=box.domain)


def _reply_to(address: str) -> Mailbox:
    try:
        return mailbox(address)
    except ValueError as error:
        raise DeliveryError(
            f"the reply-to address is not an email address: {error}", code="bad_reply_to"
        ) from error


def _uri(uri: str) -> str:
    if not URI.fullmatch(uri):
        raise DeliveryError("the unsubscribe address is not a web or mailto address", code="bad_unsubscribe")
    return uri


def _show(picture: Attachment, mail: EmailMessage) -> None:
    page = mail.get_body(("html",))
    maintype, subtype, _ = _media_type(picture)
    page.add_related(  # type: ignore[union-attr]
        picture.content,
        maintype=maintype,
        subtype=subtype,
        cid=f"<{one_line(picture.content_id or '').strip('<> ')}>",
        filename=one_line(picture.filename),
        disposition="inline",
    )


def _attach(file: Attachment, mail: EmailMessage) -> None:
    """As bytes, so that a calendar file arrives as it was made, with its `method` and as UTF-8."""
    maintype, subtype, params = _media_type(file)
    if maintype == "text":
        params.setdefault("charset", "utf-8")
    mail.add_attachment(
        file.content,
        maintype=maintype,
        subtype=subtype,
        filename=one_line(file.filename),
        params=params,
    )


def _media_type(file: Attachment) -> tuple[str, str, dict[str, str]]:
    header = HEADERS("Content-Type", one_line(file.media_type))
    if not isinstance(header, ContentTypeHeader) or header.defects:
        return "application", "octet-stream", {}
    return header.maintype, header.subtype, {name: one_line(value) for name, value in header.params.items()}
