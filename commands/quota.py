"""`carillon quota`: how many SMS each branch may send in a month."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from activities.database import reading, writing
from activities.ledger import LedgerError
from activities.ledger_accounts import quota, topup_quota
from activities.merchants import Merchants
from commands.credits import MerchantId, Reference, reference_of
from commands.failures import Mistake
from commands.output import print_json, say, table
from commands.reach import VAR, AsJson, DataDir, Reach
from models.credits import Group, Quota, estimates, quota_month
from models.merchant import Merchant

quota_app = typer.Typer(no_args_is_help=True, help="How many SMS each branch may send in a month.")

Month = Annotated[str | None, typer.Option(help="Such as 2026-03.  [default: the branch's own now]")]
MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@quota_app.command()
def show(
    merchant: MerchantId,
    month: Month = None,
    group: Annotated[
        int | None, typer.Option(min=1, help="Would one more group of so many recipients fit?")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """Used and left of every branch, and whether one more group fits."""
    shop, found = asyncio.run(_show(Reach(data_dir), merchant, month))
    if as_json:
        print_json([_document(one, group) for one in found])
    elif all(one.allowance is None for one in found):
        say(f"{shop.id} has no quota: set quota.monthly in the merchant file to have one")
    else:
        fits = (f"a group of {group} fits",) if group else ()
        heads = ("branch", "month", "allowance", "bought", "used", "left", *fits)
        table(f"SMS of {shop.id}", heads, (_row(one, group) for one in found))


@quota_app.command("topup")
def top_up(
    merchant: MerchantId,
    messages: Annotated[int, typer.Argument(help="How many more.", metavar="MESSAGES")],
    branch: Annotated[str, typer.Option(help="Of which branch.  [default: the merchant itself]")] = "",
    month: Month = None,
    reference: Reference = None,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """More SMS for one branch in one month."""
    name = reference_of(reference)
    try:
        found = asyncio.run(_top_up(Reach(data_dir), merchant, messages, (branch, month), name))
    except LedgerError as error:
        raise Mistake(str(error)) from None
    if as_json:
        print_json(_document(found, None))
    else:
        whose = f"{merchant}, branch {branch}" if branch else merchant
        say((whose, "bold"), f"  {found.month}: {found.used} used, {found.left} left")


async def _show(reach: Reach, merchant_id: str, month: str | None) -> tuple[Merchant, list[Quota]]:
    async with reach.database() as engine:
        shop = await Merchants(engine).get(merchant_id)
        keys = [(branch, _month(shop, branch, month)) for branch in ("", *(b.id for b in shop.branches))]
        async with reading(engine) as connection:
            found = [await quota(connection, shop, key, datetime.now(UTC)) for key in keys]
    # A merchant with branches sends by itself only what belongs to none.
    return shop, [one for one in found if one.branch_id or one.used or one.topup or len(found) == 1]


async def _top_up(
    reach: Reach, merchant_id: str, messages: int, place: tuple[str, str | None], reference: str
) -> Quota:
    branch, month = place
    async with reach.database() as engine:
        shop = await Merchants(engine).get(merchant_id)
        if branch and shop.branch(branch) is None:
            known = ", ".join(b.id for b in shop.branches) or "none"
            raise Mistake(f"branch: {branch!r} is not known: merchant {merchant_id!r} has {known}")
        key = (branch, _month(shop, branch, month))
        async with writing(engine) as connection:
            return await topup_quota(connection, shop, key, messages, reference, datetime.now(UTC))


def _month(shop: Merchant, branch_id: str, given: str | None) -> str:
    if given is None:
        return quota_month(datetime.now(UTC), shop.zone_of(branch_id))
    if not MONTH.fullmatch(given):
        raise Mistake(f"month: {given!r} is no month: write it as 2026-03")
    return given


def _document(found: Quota, group: int | None) -> dict[str, Any]:
    document = {
        "branch_id": found.branch_id,
        "month": found.month,
        "allowance": found.allowance,
        "topup": found.topup,
        "used": found.used,
        "left": found.left,
    }
    return document if group is None else {**document, "group": group, "fits": _fits(found, group)}


def _fits(found: Quota, group: int) -> bool:
    return estimates([Group("", group)], found.left, None)[0].fits


def _row(found: Quota, group: int | None) -> tuple[str, ...]:
    numbers = (found.allowance, found.topup, found.used, found.left)
    shown = ("" if number is None else str(number) for number in numbers)
    fits = () if group is None else ("yes" if _fits(found, group) else "no",)
    return (found.branch_id or "(the merchant)", found.month, *shown, *fits)
