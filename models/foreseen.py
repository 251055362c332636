"""What will come to one member from elsewhere: coupons, regular tasks, bonuses that begin and end.

Worked out by the same pure rules that these go by, so that a member's whole future is seen in one place. It
is what comes as things stand: a spend, a redemption or another task makes another one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice, takewhile

from models.agenda import Foreseen
from models.birthday import next_birthday
from models.bonus import Lot
from models.bonus_rules import Window, announced, sum_of, told
from models.coupon import CouponState, HeldCoupon
from models.coupon_agenda import expiring_telling, issued_telling
from models.ids import coupon_workflow_id, task_schedule_id
from models.member import Member
from models.merchant import Merchant
from models.notices import Kind
from models.regular_task import RegularTask, TaskKind
from models.task_runs import task_runs

HORIZON = timedelta(days=60)
"""So far ahead the runs of a regular task are tried."""
RUNS = 70
"""So many runs of it at most: daily ones up to the horizon."""
SHOWN = 50
"""So much is foreseen at most: what comes first."""

BONUSES_BEGIN, BONUSES_END = "bonuses_begin", "bonuses_end"
"""What happens to bonuses without anybody being told of it."""
LEDGER = "bonuses"


@dataclass(frozen=True)
class Holdings:
    """What one member holds, and what its merchant sends to whom."""

    merchant: Merchant
    member: Member
    coupons: tuple[HeldCoupon, ...] = ()
    lots: tuple[Lot, ...] = ()
    tasks: tuple[RegularTask, ...] = ()

    @property
    def zone(self) -> str:
        """Where the member's birthday is."""
        return self.member.zone or self.merchant.zone_of(self.member.branch_id)

    @property
    def accounts(self) -> dict[str, tuple[Lot, ...]]:
        """The lots by currency."""
        named = dict.fromkeys(sorted(lot.currency for lot in self.lots))
        return {name: tuple(lot for lot in self.lots if lot.currency == name) for name in named}


def foreseen(holdings: Holdings, now: datetime) -> tuple[Foreseen, ...]:
    """What comes after `now`, by its moment."""
    found = [*_coupons(holdings), *_tasks(holdings, now), *_bonuses(holdings)]
    coming = (one for one in found if one.due > now)
    return tuple(sorted(coming, key=lambda one: (one.due, one.kind, one.source, one.words))[:SHOWN])


def _coupons(holdings: Holdings) -> Iterator[Foreseen]:
    """Not of one that is redeemed or revoked. [WACA-37, WACA-38]"""
    merchant = holdings.merchant
    for held in holdings.coupons:
        if held.state is not CouponState.ISSUED:
            continue
        drop, zone = held.drop, merchant.zone_of(held.drop.branch_id)
        source = coupon_workflow_id(merchant.id, drop.drop_id)
        issued = issued_telling(drop, merchant.coupons, zone, held.added_at)
        if issued is not None:
            yield Foreseen(Kind.COUPON_ISSUED, issued.due, f"{drop.name} ({held.code})", source)
        ends = expiring_telling(drop, merchant.coupons, zone, held.added_at)
        if ends is not None:
            words = f"{drop.name} ({held.code}) can be used until {drop.usable_to}"
            yield Foreseen(Kind.COUPON_EXPIRING, ends.due, words, source)


def _tasks(holdings: Holdings, now: datetime) -> Iterator[Foreseen]:
    for task in holdings.tasks:
        match task.kind:
            case TaskKind.BONUS_ACTIVATION | TaskKind.BONUS_BURN:
                yield from _announcements(holdings, task, now)
            case TaskKind.BIRTHDAY:
                yield from _birthday(holdings, task, now)
            case TaskKind.PROMOTION:
                yield from _promotion(holdings, task, now)
            case TaskKind.BONUS_UPKEEP:
                pass


def _announcements(holdings: Holdings, task: RegularTask, now: datetime) -> Iterator[Foreseen]:
    """The runs that tell of an account, one after another: each leaves to the next what it does not tell.

    [LOY-61, LOY-71]
    """
    accounts = {name: lots for name, lots in holdings.accounts.items() if task.currency in ("", name)}
    zone = holdings.merchant.zone
    for run in _runs(task, zone, now) if accounts else ():
        window, mark = Window(run, task.days, zone), run.isoformat()
        for name, lots in accounts.items():
            telling = announced(lots, task.kind, window, task.minimum, mark)
            if telling:
                yield _from_task(holdings, task, run, _amount(sum_of(telling), name))
                accounts[name] = tuple(told(one, task.kind, mark) if one in telling else one for one in lots)


def _birthday(holdings: Holdings, task: RegularTask, now: datetime) -> Iterator[Foreseen]:
    """The next one, and what it brings. [LOY-80, LOY-81]"""
    if holdings.member.birth_date is None:
        return
    due = next_birthday(holdings.member.birth_date, task.at, holdings.zone, now)
    gift = "" if task.gift is None else f"with {_amount(task.gift.amount, task.gift.currency)}"
    yield _from_task(holdings, task, due, gift)


def _promotion(holdings: Holdings, task: RegularTask, now: datetime) -> Iterator[Foreseen]:
    """The next run, if it goes to a group of the member's, or to everybody. [LS-11, LS-12]"""
    if task.groups and not any(group in holdings.member.groups for group in task.groups):
        return
    for run in islice(_runs(task, holdings.merchant.zone, now), 1):
        yield _from_task(holdings, task, run, "")


def _runs(task: RegularTask, zone: str, now: datetime) -> Iterator[datetime]:
    runs = islice(task_runs(task, zone, now), RUNS)
    return takewhile(lambda run: run <= now + HORIZON, runs)


def _from_task(holdings: Holdings, task: RegularTask, due: datetime, words: str) -> Foreseen:
    return Foreseen(task.kind.value, due, words, task_schedule_id(holdings.merchant.id, task.task_id))


def _bonuses(holdings: Holdings) -> Iterator[Foreseen]:
    """When bonuses become spendable, and when what is left of them ends."""
    for name, lots in holdings.accounts.items():
        begin = _sums((lot.active_from, lot.left) for lot in lots)
        for moment, amount in begin.items():
            yield Foreseen(BONUSES_BEGIN, moment, _amount(amount, name), LEDGER)
        end = _sums((lot.expires_at, lot.left) for lot in lots if lot.expires_at is not None)
        for moment, amount in end.items():
            yield Foreseen(BONUSES_END, moment, _amount(amount, name), LEDGER)


def _sums(parts: Iterable[tuple[datetime, Decimal]]) -> dict[datetime, Decimal]:
    """What falls on one moment together, where it is anything."""
    sums: dict[datetime, Decimal] = {}
    for moment, amount in parts:
        sums[moment] = sums.get(moment, Decimal(0)) + amount
    return {moment: amount for moment, amount in sums.items() if amount > 0}


def _amount(amount: Decimal, currency: str) -> str:
    return f"{amount.normalize():f} {currency}"
