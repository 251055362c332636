"""`carillon bonus`: what members have, get, pay with and get back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar
from uuid import uuid4

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.bonuses import Bonuses, balances_of, lots_of, statement
from activities.database import reading
from activities.members import Members
from activities.merchants import Merchants
from commands.bonus_showing import Held, held_document, say_held
from commands.failures import Mistake
from commands.output import print_json, say
from commands.reach import VAR, Address, AsJson, DataDir, Limit, Namespace, Reach, of_merchant
from intake import values
from intake.problems import Wrong, nearest
from models.bonus import Accrual, BonusError, Refund, Returned, Short, Spend, Spent
from models.member_policy import BonusAccount
from models.merchant import Merchant
from models.timing import SECOND, Offset, end_of_day, moment

bonus_app = typer.Typer(no_args_is_help=True, help="Bonuses: what members have, get and pay with.")

TheMember = Annotated[str, typer.Argument(help="MERCHANT/ID", metavar="MEMBER")]
Amount = Annotated[str, typer.Argument(help="How many, such as 100 or 42.5.", metavar="AMOUNT")]
Currency = Annotated[str, typer.Option(help="Which account.  [default: the merchant's, if it has but one]")]
EventId = Annotated[
    str | None, typer.Option(help="Names this event, such as a receipt: told twice, it counts once.")
]
At = Annotated[str | None, typer.Option(help="When it was: 2027-03-01T10:00+08:00.  [default: now]")]
Note = Annotated[str, typer.Option(help="Anything worth keeping with it.")]
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """The member whose bonuses a command is about."""

    engine: AsyncEngine
    merchant: Merchant
    member_id: str

    def currency(self, given: str) -> str:
        """The account that is meant. Where the merchant names its accounts, there is no other."""
        known = self.merchant.bonuses
        if not given and len(known) == 1:
            return next(iter(known))
        if not given:
            there = nearest("", known) if known else "write such as --currency points"
            raise Mistake(f"--currency: say which account is meant: {there}")
        if known and given not in known:
            raise Mistake(
                f"--currency: {given!r} is no account of {self.merchant.id}: {nearest(given, known)}"
            )
        return _read("--currency", given, values.identifier)


@bonus_app.command()
def show(
    member: TheMember,
    limit: Limit = 20,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """What can be spent, what it is made of, and what changed it, the newest first."""
    held = _run(Reach(data_dir), member, lambda place: _held(place, limit))
    if as_json:
        print_json(held_document(held))
    else:
        say_held(held)


@bonus_app.command()
def accrue(
    member: TheMember,
    amount: Amount,
    currency: Currency = "",
    begins: Annotated[
        str | None, typer.Option("--from", help="From when, or from which day, to spend.  [default: at once]")
    ] = None,
    ends: Annotated[
        str | None, typer.Option("--until", help="Until when, or the last day.  [default: for ever]")
    ] = None,
    event_id: EventId = None,
    at: At = None,
    note: Note = "",
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Give bonuses."""
    now, event, units = datetime.now(UTC), _event(event_id), _amount(amount)

    async def tell(place: Place) -> tuple[str, Decimal]:
        accrual = Accrual(
            place.member_id,
            place.currency(currency),
            units,
            event,
            _at(at, now),
            active_from=_begin(begins, place.merchant.zone),
            expires_at=_end(ends, place.merchant.zone),
            note=note,
        )
        done = await Bonuses(place.engine).accrue(place.merchant.id, accrual, now)
        return accrual.currency, done.amount

    account, given = _tell(Reach(data_dir, address, namespace), member, tell)
    _say_done("given", event, account, given, as_json=as_json)


@bonus_app.command()
def spend(
    member: TheMember,
    amount: Amount,
    currency: Currency = "",
    event_id: EventId = None,
    at: At = None,
    note: Note = "",
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Pay with bonuses, all that is asked for or nothing; what ends first goes first."""
    now, event, units = datetime.now(UTC), _event(event_id), _amount(amount)

    async def tell(place: Place) -> tuple[str, Spent | Short]:
        wanted = Spend(place.member_id, place.currency(currency), units, event, _at(at, now), note)
        return wanted.currency, await Bonuses(place.engine).spend(place.merchant.id, wanted, now)

    account, done = _tell(Reach(data_dir, address, namespace), member, tell)
    if isinstance(done, Short):
        raise Mistake(f"amount: {done.reason}: nothing was taken")
    _say_done("spent", event, account, done.amount, as_json=as_json)


@bonus_app.command()
def refund(
    member: TheMember,
    of: Annotated[str, typer.Argument(help="The event id of the spend.", metavar="SPEND")],
    amount: Annotated[str | None, typer.Option(help="How much of it.  [default: all that is left]")] = None,
    currency: Currency = "",
    event_id: EventId = None,
    at: At = None,
    note: Note = "",
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Give back what a spend took."""
    now, event = datetime.now(UTC), _event(event_id)
    units = _amount(amount) if amount is not None else None

    async def tell(place: Place) -> tuple[str, Returned]:
        account = place.currency(currency)
        days = place.merchant.bonuses.get(account, BonusAccount()).refund_days
        wanted = Refund(place.member_id, account, of, event, _at(at, now), units, days, note)
        return account, await Bonuses(place.engine).refund(place.merchant.id, wanted, now)

    account, done = _tell(Reach(data_dir, address, namespace), member, tell)
    _say_done("given back", event, account, done.amount, as_json=as_json)


def _tell(reach: Reach, member: str, tell: Callable[[Place], Awaitable[T]]) -> T:
    """Book something; the member's agenda shows what comes of it."""

    async def told(place: Place) -> T:
        done = await tell(place)
        await reach.look_at_member(place.merchant.id, place.member_id)
        return done

    return _run(reach, member, told)


def _run(reach: Reach, member: str, work: Callable[[Place], Awaitable[T]]) -> T:
    async def run() -> T:
        async with _place(reach, member) as place:
            return await work(place)

    try:
        return asyncio.run(run())
    except BonusError as error:
        raise Mistake(str(error)) from None


@asynccontextmanager
async def _place(reach: Reach, member: str) -> AsyncIterator[Place]:
    merchant_id, member_id = of_merchant(member, "member", "MERCHANT/ID", "member")
    async with reach.database() as engine:
        merchant = await Merchants(engine).get(merchant_id)
        if await Members(engine).get(merchant_id, member_id) is None:
            raise Mistake(f"{member_id!r} is no member of {merchant_id}: see `carillon member list`")
        yield Place(engine, merchant, member_id)


async def _held(place: Place, limit: int) -> Held:
    now, merchant_id = datetime.now(UTC), place.merchant.id
    async with reading(place.engine) as connection:
        balances = await balances_of(connection, merchant_id, [place.member_id], now)
        lots = await lots_of(connection, merchant_id, place.member_id)
        entries = await statement(connection, merchant_id, place.member_id, limit)
    return Held(place.merchant, place.member_id, now, balances[place.member_id], lots, entries)


def _say_done(what: str, event: str, currency: str, amount: Decimal, *, as_json: bool) -> None:
    if as_json:
        print_json({"event_id": event, "currency": currency, "amount": str(amount)})
    else:
        say((f"{amount} {currency} {what}", "bold"), f"  event {event}")


def _amount(given: str) -> Decimal:
    return _read("amount", given, values.number)


def _at(given: str | None, now: datetime) -> datetime:
    return now if given is None else _read("--at", given, values.instant)


def _event(given: str | None) -> str:
    return f"cli-{uuid4().hex[:12]}" if given is None else _read("--event-id", given, values.event_id)


def _begin(given: str | None, zone: str) -> datetime | None:
    """An instant, or the beginning of a local day."""
    day = _day(given)
    if day is not None:
        return moment(day, Offset(), zone)
    return _moment("--from", given)


def _end(given: str | None, zone: str) -> datetime | None:
    """An instant, or the end of a local day."""
    day = _day(given)
    if day is not None:
        return end_of_day(day, zone) + SECOND
    return _moment("--until", given)


def _moment(name: str, given: str | None) -> datetime | None:
    """An instant, where it is no day: what is neither may have been meant as either."""
    try:
        return None if given is None else values.instant(given)
    except Wrong as wrong:
        what, mend = wrong.what, wrong.mend
    if what == "is no instant":
        what, mend = "is no day and no instant", f"write a day as 2027-03-01, or an instant: {mend}"
    raise Mistake(f"{name}: {given!r} {what}: {mend}")


def _day(given: str | None) -> date | None:
    try:
        return None if given is None else values.day(given)
    except Wrong:
        return None


def _read(name: str, given: str, read: Callable[[Any], T]) -> T:
    try:
        return read(given)
    except Wrong as wrong:
        raise Mistake(f"{name}: {given!r} {wrong.what}: {wrong.mend}") from None
