"""Why a message went, waits or did not go: one sentence, from what the history keeps."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.database import aware, reading
from models.agenda import Status
from models.channels import in_words
from models.notices import CATALOGUE, Kind
from models.tables.messages import MessageRow, MessageStatus
from policies.routes import goes_on

Message = Mapping[str, Any]


async def found_messages(engine: AsyncEngine, named: str) -> list[dict[str, Any]]:
    """The messages of that number in the history, or of that notice key: one for each channel.

    In the field `instead` of one that could not go: the message that took its place, if one did.
    """
    number = int(named) if named.isascii() and named.isdigit() and len(named) < 10 else None
    messages = MessageRow.__table__  # type: ignore[attr-defined]
    which = col(MessageRow.id) == number if number is not None else col(MessageRow.notice_key) == named
    keys = select(col(MessageRow.notice_key)).where(which)
    query = select(messages).where(messages.c.notice_key.in_(keys)).order_by(messages.c.id)
    async with reading(engine) as connection:
        rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    for row in rows:
        row["instead"] = _instead(row, rows)
    return [row for row in rows if number in (None, row["id"])]


def explained(message: Message) -> str:
    """`Not sent: promotional SMS is barred for ... in Canada (rule trade_ban, policy 2026-11).`"""
    status, reason = MessageStatus(message["status"]), message["reason"]
    words = _ENDINGS[status](message)
    if reason:
        words = f"{words}: {reason}"
    if message["rule"]:
        words = f"{words} (rule {message['rule']}, policy {message['policy_version']})"
    sentence = f"{words}." + (" It may have arrived twice." if _twice(message, status) else "")
    if holds := [one for one in message["held"].split("\n") if one]:
        sentence = f"{sentence} It was held back before: {'; '.join(holds)}."
    if (other := message.get("instead")) is None:
        return sentence
    said = explained(other)
    return f"{sentence} The {in_words(other['channel'])} of the same notice: {said[0].lower()}{said[1:]}"


def _instead(message: Message, messages: Sequence[Message]) -> Message | None:
    """The message of the same notice by the next channel of the route. It may be one that went anyway."""
    word = message["status"]
    known = word in set(Status) and message["kind"] in set(Kind)
    if not known or not goes_on(Status(word), message["rule"]):
        return None
    _, *later = CATALOGUE[Kind(message["kind"])].chain(message["channel"], ())
    return next((one for link in later for one in messages if one["channel"] == link), None)


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
