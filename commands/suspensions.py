"""`carillon merchant suspend`, `resume` and `suspensions`: the brand-level switch. [CRES-04]"""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from activities.consents import Consents, Suspended
from activities.merchants import Merchants
from commands.failures import Mistake
from commands.output import print_json, say, table
from commands.reach import VAR, AsJson, DataDir, Reach
from models.channels import Family, in_words
from models.showing import utc_text

MerchantId = Annotated[str, typer.Argument(help="The merchant's id.", metavar="ID")]
Channels = Annotated[Family, typer.Option(help="Which channels.")]


def suspend(
    id_: MerchantId,
    reason: Annotated[str, typer.Option(help="Why, in words: it is told with every message refused.")],
    channels: Channels = Family.SMS_PLUS,
    data_dir: DataDir = VAR,
) -> None:
    """Let a merchant send nothing by these channels, until it is resumed."""
    asyncio.run(_suspend(Reach(data_dir), id_, channels, reason))
    say((id_, "bold"), f" is suspended: {in_words(channels)}")


def resume(id_: MerchantId, channels: Channels = Family.SMS_PLUS, data_dir: DataDir = VAR) -> None:
    """Let a merchant send by these channels again."""
    if not asyncio.run(_resume(Reach(data_dir), id_, channels)):
        raise Mistake(f"merchant {id_!r} is not suspended there: name what is with --channels")
    say((id_, "bold"), f" may send again: {in_words(channels)}")


def suspensions(
    merchant: Annotated[str | None, typer.Option(help="Only of this merchant.", metavar="ID")] = None,
    ended: Annotated[bool, typer.Option("--ended", help="Those that are over, too.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """The merchants that may not send, by which channels and why, the newest first."""
    found = asyncio.run(_suspensions(Reach(data_dir), merchant or "", ended=ended))
    if as_json:
        print_json([_document(one) for one in found])
    elif found:
        heads = ("merchant", "channels", "since (UTC)", "until (UTC)", "why")
        table("Suspended", heads, map(_row, found))
    else:
        say("No merchant is suspended." if merchant is None else f"{merchant} is not suspended.")


def sentence(one: Suspended) -> str:
    """`SMS and LINE notification messages: suspended since 2026-03-01 04:00 UTC: complaints`."""
    begins = "to be suspended from" if one.coming else "suspended since"
    ends = f" until {_utc(one.until)}" if one.until is not None else ""
    return f"{in_words(one.family)}: {begins} {_utc(one.since)}{ends} UTC: {one.reason}"


async def _suspensions(reach: Reach, merchant_id: str, *, ended: bool) -> list[Suspended]:
    async with reach.database() as engine:
        if merchant_id:
            await Merchants(engine).get(merchant_id)
        return await Consents(engine).suspensions(datetime.now(UTC), merchant_id=merchant_id, ended=ended)


def _row(one: Suspended) -> tuple[str, ...]:
    until = _utc(one.until) if one.until is not None else "it is resumed"
    return one.merchant_id, in_words(one.family), _utc(one.since), until, one.reason


def _document(one: Suspended) -> dict[str, str | None]:
    return {
        "merchant_id": one.merchant_id,
        "channels": one.family,
        "reason": one.reason,
        "since": utc_text(one.since),
        "until": utc_text(one.until),
    }


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"


async def _suspend(reach: Reach, merchant_id: str, family: Family, reason: str) -> None:
    async with reach.database() as engine:
        await Merchants(engine).get(merchant_id)
        await Consents(engine).suspend(merchant_id, family, reason, datetime.now(UTC))


async def _resume(reach: Reach, merchant_id: str, family: Family) -> bool:
    async with reach.database() as engine:
        await Merchants(engine).get(merchant_id)
        return await Consents(engine).resume(merchant_id, family, datetime.now(UTC))
