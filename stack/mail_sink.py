"""A mail server that delivers nothing: every mail becomes a file."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

Namer = Callable[[str], Awaitable[str]]
"""Tells by its Message-ID what a mail is about."""

_HEADERS = BytesHeaderParser(policy=default)
_UNSAFE = re.compile(r"[^\w.@+-]+")


class MailSink:
    """Keeps mails as .eml files, named by time, notice and recipient."""

    def __init__(self, folder: Path, name: Namer) -> None:
        self._folder = folder
        self._name = name

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802  (aiosmtpd's name)
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        about = await self._name(str(_HEADERS.parsebytes(raw).get("Message-ID", "")))
        moment = datetime.now(UTC)
        for recipient in envelope.rcpt_tos:
            name = _UNSAFE.sub("_", f"{moment:%Y%m%dT%H%M%S}.{moment:%f}Z-{about}-{recipient}.eml")
            # Whole or not at all: whoever watches the folder reads no half mail.
            part = self._folder / f".{name}"
            part.write_bytes(raw)
            part.rename(self._folder / name)
        return "250 kept"


@asynccontextmanager
async def running_sink(folder: Path, host: str, port: int, name: Namer) -> AsyncIterator[None]:
    """The mail server for as long as the block runs."""
    loop = asyncio.get_running_loop()
    sink = MailSink(folder, name)
    server = await loop.create_server(
        lambda: SMTP(sink, loop=loop, enable_SMTPUTF8=True, ident="Carillon sink"), host, port
    )
    try:
        yield
    finally:
        server.close()
