"""Which bonuses can be spent, in which order they go, which are told of before they begin or end. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from models.bonus import LONG_AGO, Lot, Part
from models.regular_task import TaskKind
from models.timing import SECOND, end_of_day, local_day

NOTHING = Decimal(0)


@dataclass(frozen=True)
class Window:
    """What one run of a notice looks at. [LOY-61, LOY-71]

    The `days` that follow `today`, the local day of the run. `since`: the last run that was done, None for
    the first. `until`: this run; what was told after it is left to the next. Both are UTC instants.
    """

    today: date
    days: int
    zone: str
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Bounds:
    """A window in instants: from `start` to before `end`, and told up to `until`.

    Before `fresh` the last run has told of it, unless it was told to us after `since`.
    """

    start: datetime
    end: datetime
    fresh: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None


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


def bounds(window: Window) -> Bounds:
    """The window as instants, by the days of its zone."""
    start, end = _after(window, window.today), _after(window, window.today + timedelta(days=window.days))
    if window.since is None:
        return Bounds(start, end, until=window.until)
    last = local_day(window.since, window.zone)
    fresh = _after(window, last + timedelta(days=window.days))
    return Bounds(start, end, fresh, window.since, window.until)


def announced(lots: Iterable[Lot], what: TaskKind, window: Window) -> Decimal:
    """The sum that this run tells of, of one member's lots of one currency. [LOY-62, LOY-71]

    Lots that become spendable (for BONUS_BURN: of which something is left that ends) within the window, and
    of which no earlier run told: their day was not in its window, or they were told to us after it.
    """
    return sum((lot.left for lot in announced_lots(lots, what, window)), NOTHING)


def announced_lots(lots: Iterable[Lot], what: TaskKind, window: Window) -> tuple[Lot, ...]:
    """The lots of that sum."""
    within = bounds(window)
    return tuple(lot for lot in lots if lot.left > 0 and _is_news(lot, turning_point(lot, what), within))


def turning_point(lot: Lot, what: TaskKind) -> datetime | None:
    """The moment that such a notice is about."""
    return lot.active_from if what is TaskKind.BONUS_ACTIVATION else lot.expires_at


def worth_telling(total: Decimal, minimum: Decimal) -> bool:
    """Whether a sum is told: it reaches the minimum, and is something at all. [LOY-61, LOY-71]"""
    return total > 0 and total >= minimum


def _is_news(lot: Lot, moment: datetime | None, within: Bounds) -> bool:
    if moment is None or not within.start <= moment < within.end:
        return False
    if within.until is not None and lot.told_at > within.until:
        return False
    if within.fresh is None or within.since is None:
        return True
    return moment >= within.fresh or lot.told_at > within.since


def _order(lot: Lot) -> tuple[bool, datetime, datetime, int]:
    return lot.expires_at is None, lot.expires_at or LONG_AGO, lot.accrued_at, lot.lot_id


def _after(window: Window, day: date) -> datetime:
    return end_of_day(day, window.zone) + SECOND
