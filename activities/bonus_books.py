"""The bonus accounts of one merchant, locked for a transaction: changes are gathered, and written in bulk."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Insert,
    Row,
    bindparam,
    insert,
    literal_column,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.bonus import BonusError, EntryKind, Lot
from models.credits import PointsError, to_points, to_units
from models.tables.bonuses import BonusAccountRow, BonusEntryRow, BonusLotRow

ACCOUNTS = BonusAccountRow.__table__  # type: ignore[attr-defined]
LOTS = BonusLotRow.__table__  # type: ignore[attr-defined]
ENTRIES = BonusEntryRow.__table__  # type: ignore[attr-defined]

CHUNK = 500
"""So many values in one list of a query."""

Account = tuple[str, str]
"""A member and a currency."""
T = TypeVar("T")


class BonusBooks:
    """Gathers the changes of one transaction that holds the accounts' locks, and writes them at its end.

    A lot and an account are changed by as much as the entries say, never set: whatever else happens, they
    add up. What would go below nothing fails as a whole, by the constraints of the tables.
    """

    def __init__(self, connection: AsyncConnection, merchant_id: str) -> None:
        self._connection = connection
        self._merchant_id = merchant_id
        self._entries: list[dict[str, Any]] = []
        self._lots: Counter[int] = Counter()
        self._accounts: Counter[Account] = Counter()

    def begun(self, account: Account, lot_id: int, units: int, about: Mapping[str, Any]) -> None:
        """A lot was written with so much in it."""
        member_id, currency = account
        who = {"merchant_id": self._merchant_id, "member_id": member_id, "currency": currency}
        self._entries.append({**who, **about, "lot_id": lot_id, "amount": units})
        self._accounts[account] += units

    def change(self, account: Account, lot_id: int, units: int, about: Mapping[str, Any]) -> None:
        """Put so much into a lot that is there; out of it, if negative."""
        self.begun(account, lot_id, units, about)
        self._lots[lot_id] += units

    async def write(self) -> None:
        """Write everything that was gathered; once, at the end."""
        if not self._entries:
            return
        lots = [{"lot": lot_id, "units": units} for lot_id, units in sorted(self._lots.items())]
        if lots:
            await self._connection.execute(_CHANGE_LOT, lots)
        accounts = [
            {"merchant": self._merchant_id, "member": member_id, "account": currency, "units": units}
            for (member_id, currency), units in sorted(self._accounts.items())
        ]
        await self._connection.execute(_CHANGE_ACCOUNT, accounts)
        await self._connection.execute(insert(ENTRIES), self._entries)


_CHANGE_LOT = (
    update(LOTS)
    .where(LOTS.c.id == bindparam("lot"))
    .values(remaining=LOTS.c.remaining + bindparam("units", type_=LOTS.c.remaining.type))
)
_CHANGE_ACCOUNT = (
    update(ACCOUNTS)
    .where(
        ACCOUNTS.c.merchant_id == bindparam("merchant"),
        ACCOUNTS.c.member_id == bindparam("member"),
        ACCOUNTS.c.currency == bindparam("account"),
    )
    .values(balance=ACCOUNTS.c.balance + bindparam("units", type_=ACCOUNTS.c.balance.type))
)


async def lock(
    connection: AsyncConnection, merchant_id: str, accounts: Iterable[Account], *, make: bool = False
) -> None:
    """Be alone with these accounts until the transaction ends; `make` those that are not there.

    Everybody takes them in one order, that of their bytes, so that nobody waits in a ring.
    """
    wanted = sorted(set(accounts))
    if make:
        rows = [
            {"merchant_id": merchant_id, "member_id": member_id, "currency": currency, "balance": 0}
            for member_id, currency in wanted
        ]
        await connection.execute(insert_new(connection, ACCOUNTS), rows)
    if connection.dialect.name == "sqlite":
        return  # a transaction that writes holds the whole database already
    columns = ACCOUNTS.c.member_id, ACCOUNTS.c.currency
    query = (
        select(*columns)
        .where(ACCOUNTS.c.merchant_id == merchant_id)
        .order_by(*(column.collate("C") for column in columns))
        .with_for_update()
    )
    for some in chunks(wanted):
        await connection.execute(query.where(tuple_(*columns).in_(some)))


def insert_new(connection: AsyncConnection, table: Any) -> Insert:
    """An insert that leaves alone what is there already."""
    made = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
    return made(table).on_conflict_do_nothing()


def about(kind: EntryKind, event_id: str, at: datetime, *, of: str = "", note: str = "") -> dict[str, Any]:
    """What an entry says besides which lot it changed, and by how much."""
    return {"kind": kind, "event_id": event_id, "at": at, "of_event": of, "note": note}


def units_of(amount: Decimal) -> int:
    """An amount as whole thousandths; BonusError where it is nothing, or cannot be booked."""
    try:
        units = to_units(amount, "amount")
    except PointsError as error:
        raise BonusError(str(error)) from None
    if units <= 0:
        raise BonusError(f"amount: {amount} is not more than nothing: write a number above 0")
    return units


def another_event(event_id: str) -> str:
    """What is said when an event is told a second time, and otherwise."""
    return f"event_id: {event_id!r} names something else that is booked already: give each event its own"


def something_left() -> ColumnElement[bool]:
    """Lots that are not used up: in the words of their indexes, else these are of no use."""
    some: ColumnElement[bool] = LOTS.c.remaining > literal_column("0")
    return some


def lot(row: Row[Any]) -> Lot:
    """A lot as the rules know it."""
    return Lot(
        lot_id=row.id,
        currency=row.currency,
        amount=to_points(row.amount),
        left=to_points(row.remaining),
        active_from=row.active_from,
        expires_at=row.expires_at,
        accrued_at=row.accrued_at,
        activation_told_by=row.activation_told_by,
        burn_told_by=row.burn_told_by,
    )


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """These, so many at a time."""
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
