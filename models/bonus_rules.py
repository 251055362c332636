"""Which bonuses can be spent, in which order they go, which are told of before they begin or end. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from models.bonus import LONG_AGO, Lot, Part
from models.regular_task import TaskKind
from models.timing import SECOND, end_of_day, local_day

NOTHING = Decimal(0)


@dataclass(frozen=True)
class Window:
    """What one run of a notice looks at: what is left of its local day, and the `days` that follow it.

    `at`: the moment of the run, UTC. [LOY-61, LOY-71]
    """

    at: datetime
    days: int
    zone: str


def active(lot: Lot, now: datetime) -> bool:
    """Whether it can be spent: it has begun, and not ended; its end itself is too late."""
    return lot.active_from <= now and (lot.expires_at is None or now < lot.expires_at)


def spendable(lots: Iterable[Lot], now: datetime) -> Decimal:
    """What can be spent of these now. [LOY-13, LOY-43]"""
    return sum((lot.left for lot in lots if active(lot, now)), NOTHING)


def allocate(lots: Iterable[Lot], amount: Decimal, now: datetime) -> tuple[Part, ...]:
    """Which lots pay for it: what ends first goes first, then what is oldest. None where it is too much."""
    parts, wanted = [], amount
    for lot in sorted((lot for lot in lots if active(lot, now) and lot.left > 0), key=_order):
        part = Part(lot.lot_id, min(lot.left, wanted))
        parts.append(part)
        wanted -= part.amount
        if not wanted:
            return tuple(parts)
    return ()


def give_back(parts: Sequence[Part], before: Decimal, amount: Decimal) -> tuple[Part, ...]:
    """Which lots a refund goes to, of a spend of which so much was given back `before`.

    What was taken last comes back first: it is what holds longest.
    """
    found, left = [], amount
    for part in reversed(parts):
        skipped = min(before, part.amount)
        before -= skipped
        back = min(part.amount - skipped, left)
        left -= back
        if back:
            found.append(Part(part.lot_id, back))
    return tuple(found)


def bounds(window: Window) -> tuple[datetime, datetime]:
    """After when, and before when it is, by the days of its zone; UTC.

    What begins or ends at the moment of the run itself has done so: there is nothing to tell ahead of it.
    """
    last = local_day(window.at, window.zone) + timedelta(days=window.days)
    return window.at, end_of_day(last, window.zone) + SECOND


def announced(
    lots: Iterable[Lot], what: TaskKind, window: Window, minimum: Decimal, run: str
) -> tuple[Lot, ...]:
    """What a run tells of, of one member's lots of one currency; all or nothing. [LOY-61, LOY-62, LOY-71]

    Lots that become spendable (for BONUS_BURN: of which something is left that ends) within the window, and
    of which no other run has told, if they are something, and together at least the minimum. What is too
    little stays untold, and counts again in the next run.
    """
    after, before = bounds(window)
    found = []
    for lot in lots:
        moment, untold = turning_point(lot, what), told_by(lot, what) in ("", run)
        if lot.left > 0 and moment is not None and after < moment < before and untold:
            found.append(lot)
    return tuple(found) if found and sum_of(found) >= minimum else ()


def sum_of(lots: Iterable[Lot]) -> Decimal:
    """What is left of these together."""
    return sum((lot.left for lot in lots), NOTHING)


def turning_point(lot: Lot, what: TaskKind) -> datetime | None:
    """The moment that such a notice is about."""
    return lot.active_from if what is TaskKind.BONUS_ACTIVATION else lot.expires_at


def told_by(lot: Lot, what: TaskKind) -> str:
    """The run whose notice has told of that moment; blank: none yet."""
    return lot.activation_told_by if what is TaskKind.BONUS_ACTIVATION else lot.burn_told_by


def told(lot: Lot, what: TaskKind, run: str) -> Lot:
    """The lot, of which that run has told."""
    if what is TaskKind.BONUS_ACTIVATION:
        return replace(lot, activation_told_by=run)
    return replace(lot, burn_told_by=run)


def _order(lot: Lot) -> tuple[bool, datetime, datetime, int]:
    return lot.expires_at is None, lot.expires_at or LONG_AGO, lot.accrued_at, lot.lot_id
