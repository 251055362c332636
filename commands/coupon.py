"""`carillon coupon`: drops, who holds them, and what becomes of each coupon."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import uuid4

import typer

from activities.coupon_rows import KeptDrop
from activities.coupons import Coupons
from activities.merchants import UnknownMerchantError
from client import UnknownLifecycleError
from commands.booking import settled_agenda
from commands.coupon_add import Drop, add, named
from commands.failures import Mistake, OutOfReach
from commands.looking import let_holders_look
from commands.output import err, print_json, say, show_agenda, table, warn
from commands.reach import VAR, Address, AsJson, DataDir, Namespace, Reach, of_merchant
from intake import merchant_named
from intake.coupons import read_drop
from intake.problems import Wrong
from intake.values import day, event_id, instant
from models.agenda import Agenda
from models.coupon import CouponState, HeldCoupon
from models.drop_state import DropRequest, DropStage, ExtendDrop, RevokeDrop
from models.ids import coupon_workflow_id
from models.showing import agenda_document, utc_text

coupon_app = typer.Typer(
    no_args_is_help=True, help="Coupons: make a drop, give it to members, redeem, revoke."
)
coupon_app.command()(add)

Event = Annotated[
    str | None, typer.Option("--event-id", help="Names the happening: told twice, it counts once.")
]
T = TypeVar("T")


@coupon_app.command()
def drop(
    file: Annotated[Path, typer.Argument(help="The drop, as TOML or JSON.")],
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Make a drop and begin its life. The same one again changes nothing but its name."""
    with err().status("Making the drop"):
        found = asyncio.run(_drop(Reach(data_dir, address, namespace), file))
    if found.stage == DropStage.WAITING:
        warn("The drop is kept, and begins as soon as a worker is at work: see `carillon doctor`.")
    _print(found, as_json=as_json)


@coupon_app.command()
def redeem(
    coupon: Annotated[str, typer.Argument(help="MERCHANT/CODE", metavar="COUPON")],
    event: Event = None,
    at: Annotated[
        str | None, typer.Option(help="When it was used; a later moment counts as now.  [default: now]")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Use a coupon, once, on one of its days."""
    moment = _instant(at) if at is not None else None
    reach = Reach(data_dir, address, namespace)
    held = asyncio.run(_redeem(reach, *of_merchant(coupon, "coupon", "MERCHANT/CODE"), _event(event), moment))
    _say_coupon(held, as_json=as_json)


@coupon_app.command()
def revoke(
    drop: Drop,
    member: Annotated[str, typer.Option(help="Only this member's.  [default: all of the drop]")] = "",
    event: Event = None,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Take back what is not redeemed: one member's coupon, or the whole drop for good."""
    reach, name = Reach(data_dir, address, namespace), _event(event)
    if member:
        held = asyncio.run(_revoke_one(reach, *named(drop), member, name))
        _say_coupon(held, as_json=as_json)
    else:
        _print(asyncio.run(_ask(reach, drop, RevokeDrop(event_id=name))), as_json=as_json)


@coupon_app.command()
def extend(
    drop: Drop,
    last_day: Annotated[str, typer.Argument(help="Such as 2027-03-31.", metavar="DATE")],
    event: Event = None,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Let the last day of use be another; the notice that it ends moves with it."""
    request = ExtendDrop(event_id=_event(event), usable_to=_day(last_day))
    _print(asyncio.run(_ask(Reach(data_dir, address, namespace), drop, request)), as_json=as_json)


@coupon_app.command()
def show(
    drop: Drop,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """A drop's days, how many of its coupons are used, and what its holders hear next."""
    kept, tally, found = asyncio.run(_show(Reach(data_dir, address, namespace), *named(drop)))
    if as_json:
        agenda = agenda_document(found) if found is not None else None
        print_json(
            {**_document(kept), "holders": {str(s): many for s, many in tally.items()}, "agenda": agenda}
        )
        return
    of = kept.drop
    revoked = ("  revoked", "red") if kept.revoked_at else ""
    days = f"issued {of.issue_on}, usable {of.usable_from} to {of.usable_to}"
    say((f"{of.merchant_id}/{of.drop_id}", "bold"), f"  {of.name}  ", (days, "dim"), revoked)
    table("Coupons", [str(state) for state in tally], [[f"{many:,}" for many in tally.values()]])
    if found is None:
        warn("Temporal is out of reach: what its holders hear next is not known here.")
    else:
        show_agenda(found)


async def _drop(reach: Reach, file: Path) -> Agenda:
    named_merchant = merchant_named(file)
    merchant = await reach.merchant(named_merchant)
    made = read_drop(file, merchant)
    if merchant is None:
        raise UnknownMerchantError(named_merchant)
    async with reach.database() as engine:
        await Coupons(engine).keep(made, datetime.now(UTC))
    async with reach.carillon() as carillon:
        started = await carillon.start_coupon(made)
        return await settled_agenda(carillon, started.lifecycle)


async def _ask(reach: Reach, drop: str, request: DropRequest) -> Agenda:
    async with reach.carillon() as carillon:
        agenda = await carillon.ask(coupon_workflow_id(*named(drop)), request)
    await let_holders_look(reach, *named(drop))
    return agenda


async def _redeem(reach: Reach, merchant_id: str, code: str, event: str, at: datetime | None) -> HeldCoupon:
    now = datetime.now(UTC)
    async with reach.database() as engine:
        held = await Coupons(engine).redeem(merchant_id, code, event, at or now, now)
    await reach.look_at_member(merchant_id, held.member_id)
    return held


async def _revoke_one(reach: Reach, merchant_id: str, drop_id: str, member_id: str, event: str) -> HeldCoupon:
    async with reach.database() as engine:
        coupons = Coupons(engine)
        drop = (await coupons.drop(merchant_id, drop_id)).drop
        held = await coupons.revoke(drop, member_id, event, datetime.now(UTC))
    await reach.look_at_member(merchant_id, member_id)
    return held


async def _show(
    reach: Reach, merchant_id: str, drop_id: str
) -> tuple[KeptDrop, dict[CouponState, int], Agenda | None]:
    async with reach.database() as engine:
        coupons = Coupons(engine)
        kept, tally = await coupons.drop(merchant_id, drop_id), await coupons.tally(merchant_id, drop_id)
    try:
        async with reach.carillon() as carillon:
            return kept, tally, await carillon.agenda(coupon_workflow_id(merchant_id, drop_id))
    except (OutOfReach, UnknownLifecycleError):
        return kept, tally, None


def _document(kept: KeptDrop) -> dict[str, Any]:
    days = {name: str(getattr(kept.drop, name)) for name in ("issue_on", "usable_from", "usable_to")}
    return {**vars(kept.drop), **days, "revoked_at": utc_text(kept.revoked_at)}


def _say_coupon(held: HeldCoupon, *, as_json: bool) -> None:
    if as_json:
        drop_id = held.drop.drop_id
        print_json({"code": held.code, "state": held.state, "drop_id": drop_id, "member_id": held.member_id})
    else:
        say((held.code, "bold"), f"  {held.drop.name} of {held.member_id}: ", (str(held.state), "cyan"))


def _print(found: Agenda, *, as_json: bool) -> None:
    if as_json:
        print_json(agenda_document(found))
    else:
        show_agenda(found)


def _event(given: str | None) -> str:
    return f"cli-{uuid4().hex[:12]}" if given is None else _read("--event-id", given, event_id)


def _day(given: str) -> date:
    return _read("last_day", given, day)


def _instant(given: str) -> datetime:
    return _read("--at", given, instant)


def _read(name: str, given: str, reader: Callable[[str], T]) -> T:
    try:
        return reader(given)
    except Wrong as wrong:
        raise Mistake(f"{name}: {given!r} {wrong.what}: {wrong.mend}") from None
