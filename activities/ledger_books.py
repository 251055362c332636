"""One merchant's ledger, locked for a transaction: changes are gathered, and written in bulk."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.credits import CreditPolicy, EntryKind, Pool, crossed, sendable, to_points
from models.notices import Kind
from models.tables.ledger import AlertRow, CreditAccountRow, CreditEntryRow, QuotaEntryRow, QuotaRow

ACCOUNTS = CreditAccountRow.__table__  # type: ignore[attr-defined]
ENTRIES = CreditEntryRow.__table__  # type: ignore[attr-defined]
QUOTAS = QuotaRow.__table__  # type: ignore[attr-defined]
QUOTA_ENTRIES = QuotaEntryRow.__table__  # type: ignore[attr-defined]
ALERTS = AlertRow.__table__  # type: ignore[attr-defined]

OF_A_MESSAGE = (EntryKind.RESERVE, EntryKind.SETTLE, EntryKind.REFUND)
MANY = 5_000
"""So many references are asked for at once: databases limit the parameters of a statement."""

QuotaKey = tuple[str, str]
"""A branch and a month."""


class LedgerError(ValueError):
    """Something that cannot be booked; the message says how to mend it."""


@dataclass
class Held:
    """What stands booked for one message: thousandths of a point, and its place in a quota."""

    points: int = 0
    messages: int = 0
    quota: QuotaKey = ("", "")
    settled: bool = False
    given_back: bool = False


@dataclass
class Room:
    """A quota as it will be written, and as it was read; None for a row that is not there yet."""

    allowance: int
    topup: int = 0
    used: int = 0
    read: tuple[int, int, int] | None = None

    @property
    def left(self) -> int:
        return self.allowance + self.topup - self.used


class Books:
    """The ledger of one merchant. Whoever has it open is alone with it until the transaction ends."""

    def __init__(
        self, connection: AsyncConnection, merchant_id: str, accounts: Sequence[Any], now: datetime
    ) -> None:
        self.merchant_id = merchant_id
        self.now = now
        self.points = {Pool(row.pool): int(row.balance) for row in accounts}
        self.armed = next(bool(row.alert_armed) for row in accounts if row.pool == Pool.SMS)
        self.rooms: dict[QuotaKey, Room] = {}
        self._connection = connection
        self._read = (dict(self.points), self.armed)
        self._entries: list[dict[str, Any]] = []
        self._quota_entries: list[dict[str, Any]] = []
        self._alert: tuple[str, CreditPolicy] | None = None

    def book(self, pool: Pool, kind: EntryKind, units: int, reference: str, note: str = "") -> None:
        """Move points: in, or out where negative."""
        self.points[pool] += units
        self._entries.append(
            self._entry(kind, reference, note)
            | {"pool": pool, "amount": units, "balance_after": self.points[pool]}
        )

    def use(self, key: QuotaKey, kind: EntryKind, messages: int, reference: str, note: str = "") -> None:
        """Change what is left of a quota: a top-up adds to it, all else to what is used."""
        room, (branch_id, month) = self.rooms[key], key
        if kind is EntryKind.TOPUP:
            room.topup += messages
        else:
            room.used -= messages
        self._quota_entries.append(
            self._entry(kind, reference, note) | {"branch_id": branch_id, "month": month, "amount": messages}
        )

    def warn(self, policy: CreditPolicy, reference: str) -> None:
        """After SMS points were spent, or did not suffice: write the alert, where they are low and untold."""
        if crossed(to_points(self.points[Pool.SMS]), policy, armed=self.armed):
            self.armed = False
            self._alert = (reference, policy)

    async def held(self, references: Iterable[str]) -> dict[str, Held]:
        """What was booked before for these messages."""
        found: dict[str, Held] = {}
        wanted = list(dict.fromkeys(references))
        for start in range(0, len(wanted), MANY):
            some = wanted[start : start + MANY]
            for row in await self._of_messages(ENTRIES, some):
                held = found.setdefault(row.reference, Held())
                held.points -= row.amount
                _mark(held, row.kind)
            for row in await self._of_messages(QUOTA_ENTRIES, some):
                held = found.setdefault(row.reference, Held())
                held.messages -= row.amount
                held.quota = (row.branch_id, row.month)
                _mark(held, row.kind)
        return found

    async def open_quotas(self, keys: Iterable[QuotaKey], allowance: int | None) -> None:
        """Read these quotas. An allowance becomes that of each; without one, only those that there are."""
        wanted = sorted(set(keys) - self.rooms.keys())
        if not wanted:
            return
        query = select(QUOTAS).where(
            QUOTAS.c.merchant_id == self.merchant_id,
            tuple_(QUOTAS.c.branch_id, QUOTAS.c.month).in_(wanted),
        )
        for row in await self._connection.execute(query):
            read = (row.allowance, row.topup, row.used)
            given = row.allowance if allowance is None else allowance
            self.rooms[row.branch_id, row.month] = Room(given, row.topup, row.used, read)
        for key in wanted if allowance is not None else ():
            self.rooms.setdefault(key, Room(allowance or 0))

    async def booked(self, table: Any, reference: str, kind: EntryKind) -> Any:
        """The entry of that event, or None."""
        query = select(table).where(
            table.c.merchant_id == self.merchant_id, table.c.reference == reference, table.c.kind == kind
        )
        return (await self._connection.execute(query)).one_or_none()

    async def write(self) -> None:
        """Write everything that was gathered; once, at the end."""
        for pool in Pool:
            await self._write_account(pool)
        for key, room in sorted(self.rooms.items()):
            await self._write_room(key, room)
        gathered = ((ENTRIES, self._entries), (QUOTA_ENTRIES, self._quota_entries), (ALERTS, self._told()))
        for table, rows in gathered:
            if rows:
                await self._connection.execute(insert(table), rows)

    async def _write_account(self, pool: Pool) -> None:
        points, armed = self._read
        changed = {"balance": self.points[pool]} if self.points[pool] != points[pool] else {}
        if pool is Pool.SMS and self.armed != armed:
            changed["alert_armed"] = self.armed
        if not changed:
            return
        account = (ACCOUNTS.c.merchant_id == self.merchant_id) & (ACCOUNTS.c.pool == pool)
        await self._guarded(
            update(ACCOUNTS).where(account, ACCOUNTS.c.balance == points[pool]).values(**changed)
        )

    async def _write_room(self, key: QuotaKey, room: Room) -> None:
        values = {"allowance": room.allowance, "topup": room.topup, "used": room.used}
        if room.read == tuple(values.values()):
            return
        identity = {"merchant_id": self.merchant_id, "branch_id": key[0], "month": key[1]}
        if room.read is None:
            await self._connection.execute(insert(QUOTAS), [{**identity, **values}])
            return
        _, topup, used = room.read
        same = [QUOTAS.c[name] == value for name, value in identity.items()]
        await self._guarded(
            update(QUOTAS).where(*same, QUOTAS.c.topup == topup, QUOTAS.c.used == used).values(**values)
        )

    async def _guarded(self, statement: Any) -> None:
        # The lock sees to it that what was read is still so; if it ever fails, nothing is written over.
        if (await self._connection.execute(statement)).rowcount != 1:
            raise RuntimeError(f"the ledger of {self.merchant_id!r} was changed by somebody without its lock")

    def _told(self) -> list[dict[str, Any]]:
        """The alert, with what is left when everything is booked."""
        if self._alert is None:
            return []
        reference, policy = self._alert
        left = self.points[Pool.SMS]
        row = {"merchant_id": self.merchant_id, "kind": Kind.SMS_POINTS_LOW, "reference": reference}
        numbers = {"points": left, "sendable": sendable(to_points(left), policy.price.domestic)}
        return [{**row, **numbers, "at": self.now}]

    def _entry(self, kind: EntryKind, reference: str, note: str) -> dict[str, Any]:
        about = {"kind": kind, "reference": reference, "at": self.now, "note": note}
        return {"merchant_id": self.merchant_id, **about}

    async def _of_messages(self, table: Any, references: Sequence[str]) -> Sequence[Any]:
        query = select(table).where(
            table.c.merchant_id == self.merchant_id,
            table.c.reference.in_(references),
            table.c.kind.in_(OF_A_MESSAGE),
        )
        return (await self._connection.execute(query)).all()


async def open_books(connection: AsyncConnection, merchant_id: str, now: datetime) -> Books:
    """The merchant's ledger, locked until the transaction ends; its accounts are made where missing."""
    # On SQLite the transaction holds the whole database already; FOR UPDATE is left out there.
    query = (
        select(ACCOUNTS)
        .where(ACCOUNTS.c.merchant_id == merchant_id)
        .order_by(ACCOUNTS.c.pool)
        .with_for_update()
    )
    accounts = (await connection.execute(query)).all()
    if len(accounts) < len(Pool):
        made = postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert
        rows = [
            {"merchant_id": merchant_id, "pool": pool, "balance": 0, "alert_armed": True} for pool in Pool
        ]
        await connection.execute(made(ACCOUNTS).on_conflict_do_nothing(), rows)
        accounts = (await connection.execute(query)).all()
    return Books(connection, merchant_id, accounts, now)


def _mark(held: Held, kind: str) -> None:
    held.settled |= kind == EntryKind.SETTLE
    held.given_back |= kind == EntryKind.REFUND
