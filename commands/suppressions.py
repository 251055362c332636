"""`carillon suppressions`: addresses that are not written to any more."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from activities.consents import Consents
from activities.database import aware
from activities.merchants import Merchants
from commands.failures import Mistake
from commands.output import print_json, say, table
from commands.reach import VAR, AsJson, DataDir, Limit, Reach
from commands.recipients import ChannelName, address_of
from models.consent import Suppression, given_reason
from models.showing import utc_text

suppressions_app = typer.Typer(
    no_args_is_help=True, help="Addresses that are not written to any more, and why."
)

MerchantId = Annotated[str, typer.Argument(help="The merchant's id.", metavar="MERCHANT")]
TheAddress = Annotated[str, typer.Argument(help="An email address, or a phone number.", metavar="ADDRESS")]
Channel = Annotated[
    ChannelName | None, typer.Option(help="By which channel.  [default: email or sms, by the address]")
]


@suppressions_app.command("list")
def list_(
    merchant: Annotated[str | None, typer.Option(help="Only of this merchant.", metavar="ID")] = None,
    lifted: Annotated[bool, typer.Option("--lifted", help="Those that were lifted, too.")] = False,
    limit: Limit = 200,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """The suppressed addresses, the newest first."""
    rows = asyncio.run(_list(Reach(data_dir), merchant or "", limit, lifted=lifted))
    if as_json:
        print_json([{name: _plain(value) for name, value in row.items()} for row in rows])
    elif rows:
        table("Suppressed", ("since (UTC)", "merchant", "address", "by", "why", "told by"), map(_row, rows))
    else:
        say("No address is suppressed.")


@suppressions_app.command()
def add(
    merchant: MerchantId,
    address: TheAddress,
    reason: Annotated[str, typer.Option(help="Why, in words.")] = "asked not to be written to",
    channel: Channel = None,
    data_dir: DataDir = VAR,
) -> None:
    """Write to an address no more, in no class of notice."""
    by, kept = asyncio.run(_add(Reach(data_dir), merchant, address, channel, reason))
    say((kept, "bold"), f" gets nothing by {by} any more")


@suppressions_app.command()
def lift(
    merchant: MerchantId,
    address: TheAddress,
    channel: Channel = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Though the reader has answered STOP.")] = False,
    data_dir: DataDir = VAR,
) -> None:
    """Write to an address again."""
    by, kept, lifted = asyncio.run(_lift(Reach(data_dir), merchant, address, channel, anyway=anyway))
    if not lifted:
        raise Mistake(
            f"{kept} is not suppressed for {by} of merchant {merchant!r}: see `carillon suppressions list`"
        )
    say((kept, "bold"), f" is written to by {by} again")


async def _list(reach: Reach, merchant_id: str, limit: int, *, lifted: bool) -> list[dict[str, Any]]:
    async with reach.database() as engine:
        return await Consents(engine).suppressions(merchant_id=merchant_id, lifted=lifted, limit=limit)


async def _add(
    reach: Reach, merchant_id: str, given: str, channel: ChannelName | None, reason: str
) -> tuple[str, str]:
    async with reach.database() as engine:
        by, address = address_of(given, await Merchants(engine).get(merchant_id), channel)
        source = "carillon suppressions"
        suppression = Suppression(merchant_id, by, address, given_reason(reason), source, datetime.now(UTC))
        await Consents(engine).suppress([suppression])
        return by, address


async def _lift(
    reach: Reach, merchant_id: str, given: str, channel: ChannelName | None, *, anyway: bool
) -> tuple[str, str, bool]:
    async with reach.database() as engine:
        by, address = address_of(given, await Merchants(engine).get(merchant_id), channel)
        consents, now = Consents(engine), datetime.now(UTC)
        # A provider may have called dead what is no address at all: it is kept as it was written.
        for written in dict.fromkeys((address, given)):
            if not anyway and await consents.stopped(merchant_id, by, written):
                raise Mistake(
                    f"the reader of {written} has answered STOP, and takes it back with START; if you have"
                    " another word of theirs, use --anyway"
                )
            if await consents.lift(merchant_id, by, written, now):
                return by, written, True
        return by, address, False


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    why = row["reason"] + (f" (lifted {_utc(row['lifted_at'])})" if row["lifted_at"] else "")
    return _utc(row["at"]), row["merchant_id"], row["address"], row["channel"], why, row["source"]


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"


def _plain(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return utc_text(aware(value))
