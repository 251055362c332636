"""Paying for messages with points and quota: reserve before they leave, settle or give back after.

Everything here works in a transaction of the caller's, and a page at a time. It begins by locking the ledger
of the merchant, so that whoever spends next sees what this one spent: nothing is spent twice, and nothing is
ever negative. One transaction that spends for several merchants locks them first, all at once, with `lock`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.ledger_books import Books, Held, LedgerError, QuotaKey, open_books
from models.credits import CreditPolicy, EntryKind, Pool, quota_month, to_points, to_units
from models.merchant import Merchant

__all__ = [
    "Granted",
    "LedgerError",
    "Scarce",
    "Short",
    "Want",
    "lock",
    "refund",
    "reserve",
    "settle",
    "tell_of_shortage",
]

NOTHING = Decimal(0)


class Scarce(StrEnum):
    """What keeps a message from being paid for."""

    QUOTA = "quota"
    CREDITS = "credits"
    GIVEN_BACK = "given_back"
    """It was refunded: whoever sends it after all does so under another reference."""


@dataclass(frozen=True)
class Want:
    """What one message asks for, under a reference that is its own.

    `points`: what it costs by `Merchant.sms_points`. `messages`: how many it counts in the quota of its
    branch (a blank one is the merchant itself), in the month on the clock of `zone`. [LS-20, LS-21]
    `in_part`: it may go without points too, by a provider that costs none.
    """

    reference: str
    points: Decimal = NOTHING
    messages: int = 0
    branch_id: str = ""
    zone: str = "UTC"
    in_part: bool = False

    def __post_init__(self) -> None:
        if self.points < 0 or self.messages < 0:
            raise LedgerError(f"{self.reference}: a message cannot ask for less than nothing")


@dataclass(frozen=True)
class Granted:
    """The message is paid for. `before`: it was already, and nothing more was taken."""

    reference: str
    points: Decimal = NOTHING
    messages: int = 0
    before: bool = False


@dataclass(frozen=True)
class Short:
    """The message is not paid for; nothing was taken. `reason` is a sentence for the history."""

    reference: str
    which: Scarce
    reason: str


async def lock(connection: AsyncConnection, merchant_ids: Iterable[str], now: datetime) -> None:
    """Lock several ledgers in the one order in which everybody takes them, so that nobody waits in a ring."""
    for merchant_id in sorted(set(merchant_ids)):
        await open_books(connection, merchant_id, now)


async def reserve(
    connection: AsyncConnection, merchant: Merchant, wanted: Sequence[Want], now: datetime
) -> list[Granted | Short]:
    """Pay for each message that can be paid for, in the order given; the answers are in that order.

    A message that was paid for before is granted at no further cost, so the same page may come again. The
    alert of a shortage is written with it. [WACA-28, WACA-29b, LS-20, LS-21]
    """
    wanted = [_counted(merchant, want) for want in wanted]
    if not any(want.points or want.messages for want in wanted):
        return [Granted(want.reference) for want in wanted]
    books = await open_books(connection, merchant.id, now)
    held = await books.held(want.reference for want in wanted)
    months = {zone: quota_month(now, zone) for zone in sorted({want.zone for want in wanted})}
    keys = [(want.branch_id, months[want.zone]) for want in wanted]
    fresh = (k for k, want in zip(keys, wanted, strict=True) if want.messages and want.reference not in held)
    await books.open_quotas(fresh, merchant.quota.monthly)
    answers = [_answer(books, merchant, want, key, held) for want, key in zip(wanted, keys, strict=True)]
    await books.write()
    return answers


async def tell_of_shortage(
    connection: AsyncConnection, merchant: Merchant, reference: str, now: datetime
) -> None:
    """Write the alert of a shortage that no reservation tells, once. [WACA-29b]

    Of a message that was refused for want of points before any was asked for: a merchant that has converted
    nothing yet spends nothing either. And of one whose points only count once it is known who has sent it.
    """
    books = await open_books(connection, merchant.id, now)
    books.warn(merchant.credits, _of_a_refusal(reference))
    await books.write()


async def settle(
    connection: AsyncConnection,
    merchant_id: str,
    actual: Mapping[str, Decimal],
    now: datetime,
    policy: CreditPolicy | None = None,
) -> dict[str, Decimal]:
    """Book what messages did cost, by reference, where it is not what was reserved; answers what was charged.

    With a `policy` a shortage that this makes is told. A message is settled once, and not after it was
    refunded. What it cost more than is left is not charged: an account is never negative.
    """
    if not actual:
        return {}
    books = await open_books(connection, merchant_id, now)
    held = await books.held(actual)
    charged = {}
    for reference, points in actual.items():
        standing = held.get(reference)
        if standing is None or standing.settled or standing.given_back:
            continue
        more = min(to_units(points) - standing.points, books.points[Pool.SMS])
        if more:
            books.book(Pool.SMS, EntryKind.SETTLE, -more, reference)
        if more > 0 and policy is not None:
            # Not under the name of the message alone: it may have told of a shortage when it was reserved.
            books.warn(policy, f"{reference}/{EntryKind.SETTLE}")
        charged[reference] = to_points(standing.points + more)
    await books.write()
    return charged


async def refund(
    connection: AsyncConnection, merchant_id: str, references: Sequence[str], why: str, now: datetime
) -> dict[str, Decimal]:
    """Give back what messages cost; answers how much, by reference. What was given back before is left alone.

    Room in a quota comes back in the month that it was taken from. Only a top-up arms the alert, no refund.
    """
    if not references:
        return {}
    books = await open_books(connection, merchant_id, now)
    held = await books.held(references)
    # What was given back before adds up to nothing.
    standing = {reference: one for reference, one in held.items() if one.points or one.messages}
    await books.open_quotas((one.quota for one in standing.values() if one.messages), None)
    for reference, one in standing.items():
        if one.points:
            books.book(Pool.SMS, EntryKind.REFUND, one.points, reference, why)
        if one.messages:
            books.use(one.quota, EntryKind.REFUND, one.messages, reference, why)
    await books.write()
    return {reference: to_points(one.points) for reference, one in standing.items()}


def _counted(merchant: Merchant, want: Want) -> Want:
    """Without the policy there is no end to points, or to a quota."""
    return replace(
        want,
        points=want.points if merchant.credits.enabled else NOTHING,
        messages=want.messages if merchant.quota.monthly is not None else 0,
    )


def _answer(
    books: Books, merchant: Merchant, want: Want, key: QuotaKey, held: dict[str, Held]
) -> Granted | Short:
    before = held.get(want.reference)
    if before is not None and before.given_back:
        return Short(want.reference, Scarce.GIVEN_BACK, "what it cost was given back before")
    units = to_units(want.points)
    if want.in_part and units > books.points[Pool.SMS]:
        books.warn(merchant.credits, _of_a_refusal(want.reference))
        units = 0
    if before is not None:
        if want.in_part and units and not before.points and not before.settled:
            books.book(Pool.SMS, EntryKind.RESERVE, -units, want.reference)
            before.points = units
        return Granted(want.reference, to_points(before.points), before.messages, before=True)
    if want.messages and want.messages > books.rooms[key].left:
        return Short(want.reference, Scarce.QUOTA, _used_up(books, key))
    if units > books.points[Pool.SMS]:
        books.warn(merchant.credits, _of_a_refusal(want.reference))
        return Short(want.reference, Scarce.CREDITS, _too_few(want.points, books))
    if units:
        books.book(Pool.SMS, EntryKind.RESERVE, -units, want.reference)
        if not want.in_part:  # it may cost nothing after all
            books.warn(merchant.credits, want.reference)
    if want.messages:
        books.use(key, EntryKind.RESERVE, -want.messages, want.reference)
    held[want.reference] = Held(units, want.messages, key)
    return Granted(want.reference, to_points(units), want.messages)


def _of_a_refusal(reference: str) -> str:
    """Not under the name of the message alone: asked for again it may be granted, and tell of a shortage."""
    return f"{reference}/short"


def _used_up(books: Books, key: QuotaKey) -> str:
    room, (branch_id, month) = books.rooms[key], key
    whose = f"branch {branch_id}" if branch_id else "the merchant"
    return f"the SMS quota of {whose} for {month} is used up: {room.used} of {room.allowance + room.topup}"


def _too_few(points: Decimal, books: Books) -> str:
    return f"not enough SMS points: it costs {points} and {to_points(books.points[Pool.SMS])} are left"
