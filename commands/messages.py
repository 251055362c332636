"""`carillon messages`: what was sent, to whom, by whom, and what came of it."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.alerts import banners
from activities.database import aware, reading
from activities.members import Members
from activities.merchants import Merchants
from activities.message_log import MessageLog
from commands.failures import Mistake
from commands.output import STYLES, plain, print_json, say, table, warn
from commands.reach import VAR, AsJson, DataDir, Limit, Reach, lifecycle_id, of_merchant
from models.member import Member
from models.showing import utc_text

_STYLES: Mapping[str, str] = {
    **{status.value: style for status, style in STYLES.items()},
    "delivered": "bold green",
    "undelivered": "red",
}
LEFT_TO_PROGRAMS = ("token", "ask_at", "asks")
"""Columns that mean nothing outside."""


def messages(
    lifecycle: Annotated[str | None, typer.Option(help="Only of this lifecycle.", metavar="ID")] = None,
    merchant: Annotated[str | None, typer.Option(help="Only of this merchant.", metavar="ID")] = None,
    member: Annotated[
        str | None,
        typer.Option(help="Only to this member, by whatever lifecycle or wave.", metavar="MERCHANT/ID"),
    ] = None,
    limit: Limit = 200,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """The message history, the newest first; and above it, whose points for SMS run low. [WACA-29a]"""
    merchant_id, member_id = of_merchant(member, "member", "MERCHANT/ID", "member") if member else ("", "")
    if merchant and member and merchant != merchant_id:
        raise Mistake(f"--merchant: {member} is not of {merchant}: leave it out")
    only = {
        "lifecycle": lifecycle_id(lifecycle) if lifecycle else "",
        "merchant_id": merchant or merchant_id,
        "member_id": member_id,
    }
    rows, low = asyncio.run(_messages(Reach(data_dir), only, limit))
    for words in low:
        warn(words)
    if as_json:
        print_json([_document(row) for row in rows])
    elif rows:
        heads = ("number", "settled (UTC)", "notice", "to", "by", "what came of it", "lifecycle")
        table("Messages", heads, map(_row, rows))
    else:
        say("No message yet.")


async def _messages(
    reach: Reach, only: Mapping[str, str], limit: int
) -> tuple[list[dict[str, Any]], list[str]]:
    async with reach.database() as engine:
        known = Merchants(engine)
        if merchant_id := only["merchant_id"]:
            await known.get(merchant_id)
        member = await _member(engine, merchant_id, only["member_id"])
        addresses = (member.email, member.phone, member.push) if member else ()
        rows = await MessageLog(engine).messages(**only, addresses=addresses, limit=limit)
        # Whose points run low is told whether or not there is a message yet.
        whose = [merchant_id] if merchant_id else only["lifecycle"].split(":")[1:2]
        merchants = [await known.get(id_) for id_ in await known.ids() if not whose or id_ in whose]
        async with reading(engine) as connection:
            return rows, list((await banners(connection, merchants)).values())


async def _member(engine: AsyncEngine, merchant_id: str, member_id: str) -> Member | None:
    found = await Members(engine).get(merchant_id, member_id) if member_id else None
    if member_id and found is None:
        raise Mistake(f"{merchant_id} has no member {member_id!r}: see `carillon member list`")
    return found


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items() if name not in LEFT_TO_PROGRAMS}


def _plain(value: Any) -> Any:
    return utc_text(aware(value)) if isinstance(value, datetime) else value


def _row(row: Mapping[str, Any]) -> tuple[str | Text, ...]:
    settled = row["settled_at"]
    status = row["status"]
    came = Text(status, style=_STYLES.get(status, "dim"))
    came.append(f": {row['reason']}" if row["reason"] else "")
    came.append(" (may have arrived twice)" if row["doubtful"] else "")
    return (
        str(row["id"]),
        f"{aware(settled):%Y-%m-%d %H:%M:%S}" if settled else "",
        plain(row["kind"]),
        f"{row['recipient']} <{row['address']}>" if row["address"] else row["recipient"],
        " / ".join(filter(None, (row["channel"], row["provider"]))),
        came,
        row["lifecycle"],
    )
