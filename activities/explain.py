"""Why a message went, waits or did not go: one sentence, from what the history keeps."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.database import aware, reading
from models.channels import in_words
from models.tables.messages import MessageRow, MessageStatus

Message = Mapping[str, Any]


async def found_messages(engine: AsyncEngine, named: str) -> list[dict[str, Any]]:
    """The messages of that number in the history, or of that notice key: one for each channel."""
    number = int(named) if named.isascii() and named.isdigit() and len(named) < 10 else None
    which = col(MessageRow.id) == number if number is not None else col(MessageRow.notice_key) == named
    query = select(MessageRow.__table__).where(which).order_by(col(MessageRow.id))  # type: ignore[attr-defined]
    async with reading(engine) as connection:
        return [dict(row) for row in (await connection.execute(query)).mappings()]


def explained(message: Message) -> str:
    """`Not sent: promotional SMS is barred for ... in Canada (rule trade_ban, policy 2026-11).`"""
    status, reason = MessageStatus(message["status"]), message["reason"]
    words = _ENDINGS[status](message)
    if reason:
        words = f"{words}: {reason}"
    if message["rule"]:
        words = f"{words} (rule {message['rule']}, policy {message['policy_version']})"
    words = f"{words}." + (" It may have arrived twice." if _twice(message, status) else "")
    return f"{words} It was held back before: {'; '.join(holds)}." if (holds := _holds(message)) else words


def _holds(message: Message) -> list[str]:
    return [one for one in message["held"].split("\n") if one]


def _twice(message: Message, status: MessageStatus) -> bool:
    return bool(message["doubtful"]) and status in _GONE


def _sent(message: Message) -> str:
    by = f" by {message['provider']}" if message["provider"] else ""
    return f"Sent as {in_words(message['channel'])}{by}{_at(message['settled_at'])}"


def _at(instant: datetime | None) -> str:
    if instant is None:
        return ""
    utc = aware(instant)
    return f" on {utc.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


_GONE = (MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.UNDELIVERED)

_ENDINGS: Mapping[MessageStatus, Callable[[Message], str]] = {
    MessageStatus.WAITING: lambda _: "Not sent yet, another attempt follows",
    MessageStatus.CLAIMED: lambda _: "Not sent yet, an attempt is about to",
    MessageStatus.HANDING_OVER: lambda _: "Being sent now, or its worker died: the next attempt will tell",
    MessageStatus.DEFERRED: lambda _: "Not sent yet",
    MessageStatus.SENT: _sent,
    MessageStatus.DELIVERED: lambda message: f"{_sent(message)}, and it arrived",
    MessageStatus.UNDELIVERED: lambda message: f"{_sent(message)}, and it did not arrive",
    MessageStatus.REFUSED: lambda _: "Not sent",
    MessageStatus.FAILED: lambda _: "Not sent, the provider refused it",
    MessageStatus.MISSED: lambda _: "Not sent, it is missed",
    MessageStatus.LAPSED: lambda _: "Not sent, it was no longer owed",
    MessageStatus.UNCERTAIN: lambda _: "Perhaps sent",
}
