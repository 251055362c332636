"""`carillon credits`: the points that SMS are paid with."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import uuid4

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.database import aware, reading, writing
from activities.ledger import LedgerError
from activities.ledger_accounts import Balance, balance, convert, entries, spend_other, topup
from activities.merchants import Merchants
from commands.failures import Mistake
from commands.output import plain, print_json, say, table, warn
from commands.reach import VAR, AsJson, DataDir, Limit, Reach
from intake.problems import Wrong
from intake.values import number
from models.credit_content import banner
from models.credits import OtherUse, PointsError, Pool, sendable
from models.merchant import Merchant
from models.showing import utc_text

credits_app = typer.Typer(no_args_is_help=True, help="The points that SMS are paid with.")

MerchantId = Annotated[str, typer.Argument(help="The merchant's id.", metavar="MERCHANT")]
Points = Annotated[str, typer.Argument(help="How many, such as 100 or 42.5.", metavar="POINTS")]
Reference = Annotated[
    str | None,
    typer.Option(help="Names this event, such as an order number: told twice it counts once."),
]
Change = Callable[[AsyncConnection, Merchant], Awaitable[Balance]]


@credits_app.command()
def show(
    merchant: MerchantId,
    limit: Limit = 20,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """What is left, how many messages that is, and what moved it, the newest first."""
    shop, left, moved = asyncio.run(_show(Reach(data_dir), merchant, limit))
    if as_json:
        listed = [{name: _plain(value) for name, value in entry.items()} for entry in moved]
        print_json(_document(shop, left) | {"entries": listed})
        return
    _say(shop, left)
    heads = ("when (UTC)", "points", "what", "amount", "left", "reference", "note")
    table("Entries", heads, map(_row, moved))


@credits_app.command("topup")
def top_up(
    merchant: MerchantId,
    points: Points,
    pool: Annotated[Pool, typer.Option(help="Of the shop, or SMS points at once.")] = Pool.SHOP,
    reference: Reference = None,
    note: Annotated[str, typer.Option(help="Anything worth keeping with it.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """Points that the merchant has bought."""
    amount, name, now = decimal(points), reference_of(reference), datetime.now(UTC)
    _change(
        Reach(data_dir),
        merchant,
        lambda connection, shop: topup(connection, shop, pool, amount, name, now, note),
        as_json=as_json,
    )


@credits_app.command("convert")
def convert_points(
    merchant: MerchantId,
    points: Points,
    reference: Reference = None,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """Turn points of the shop into SMS points, which can be sent with."""
    amount, name, now = decimal(points), reference_of(reference), datetime.now(UTC)
    _change(
        Reach(data_dir),
        merchant,
        lambda connection, shop: convert(connection, shop, amount, name, now),
        as_json=as_json,
    )


@credits_app.command("spend")
def spend_points(
    merchant: MerchantId,
    points: Points,
    use: Annotated[OtherUse, typer.Option("--for", help="What they pay for.")],
    reference: Annotated[
        str, typer.Option(help="Names this event, such as an issue's number: told twice it counts once.")
    ],
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """Book points of the shop that a newsletter or emails about abandoned carts cost. [WACA-26]"""
    amount, name, now = decimal(points), reference_of(reference), datetime.now(UTC)
    _change(
        Reach(data_dir),
        merchant,
        lambda connection, shop: spend_other(connection, shop.id, use, amount, name, now),
        as_json=as_json,
    )


def decimal(text: str) -> Decimal:
    """An amount that was typed, exact."""
    try:
        return number(text)
    except Wrong as wrong:
        raise Mistake(f"points: {text!r} {wrong.what}: {wrong.mend}") from None


def reference_of(given: str | None) -> str:
    """The name of the event that is told."""
    if given is None:
        return f"cli-{uuid4().hex[:12]}"
    if not given.strip() or len(given) > 100 or not given.isprintable():
        raise Mistake(f"reference: {given!r} cannot be one: write 1 to 100 characters, on one line")
    return given


def _change(reach: Reach, merchant_id: str, change: Change, *, as_json: bool) -> None:
    try:
        shop, left = asyncio.run(_changed(reach, merchant_id, change))
    except (LedgerError, PointsError) as error:
        raise Mistake(str(error)) from None
    if as_json:
        print_json(_document(shop, left))
    else:
        _say(shop, left)


async def _changed(reach: Reach, merchant_id: str, change: Change) -> tuple[Merchant, Balance]:
    async with reach.database() as engine:
        shop = await Merchants(engine).get(merchant_id)
        async with writing(engine) as connection:
            return shop, await change(connection, shop)


async def _show(reach: Reach, merchant_id: str, limit: int) -> tuple[Merchant, Balance, list[dict[str, Any]]]:
    async with reach.database() as engine:
        shop = await Merchants(engine).get(merchant_id)
        async with reading(engine) as connection:
            return shop, await balance(connection, merchant_id), await entries(connection, merchant_id, limit)


def _say(shop: Merchant, left: Balance) -> None:
    say((shop.id, "bold"), f"  {left.sms} SMS points: {_count(shop, left)} domestic messages")
    say(f"  {left.shop} points of the shop, to convert or for other uses")
    if not shop.credits.enabled:
        say(
            (
                "  Nothing is charged: set credits.enabled = true in the merchant file to send with points",
                "dim",
            )
        )
    elif not shop.charged():
        say(("  Nothing is charged: its SMS provider has an account of the merchant's own", "dim"))
    if (words := banner(shop, left.sms)) is not None:
        warn(words)


def _document(shop: Merchant, left: Balance) -> dict[str, Any]:
    return {
        "merchant_id": shop.id,
        "charged": shop.charged(),
        "sms_points": str(left.sms),
        "shop_points": str(left.shop),
        "sendable_domestic": _count(shop, left),
        "banner": banner(shop, left.sms),
    }


def _count(shop: Merchant, left: Balance) -> int:
    return sendable(left.sms, shop.credits.price.domestic)


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{entry['at']:%Y-%m-%d %H:%M:%S}",
        entry["pool"],
        plain(entry["kind"]),
        f"{entry['points']:+}",
        str(entry["left"]),
        entry["reference"],
        entry["note"],
    )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return utc_text(aware(value))
    return str(value)
