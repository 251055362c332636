"""What will come to one member from elsewhere: coupons, regular tasks, bonuses that begin and end.

Worked out by the same pure rules that these go by, so that a member's whole future is seen in one place. It
is what comes as things stand: a spend, a redemption or another task makes another one.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice, takewhile

from models.agenda import Foreseen, Hindered, Reason
from models.birthday import next_birthday
from models.bonus import Lot
from models.bonus_rules import Window, announced, sum_of, told, told_by, turning_point
from models.coupon import CouponDrop, CouponState, HeldCoupon
from models.coupon_agenda import Moved, Telling, expiring_telling, issued_telling
from models.foreseen_ways import Recipient, Words
from models.ids import coupon_workflow_id, notice_key, task_schedule_id
from models.member import Member
from models.member_policy import CouponPolicy
from models.merchant import Merchant
from models.notices import Kind
from models.regular_task import RegularTask, TaskKind
from models.task_runs import DAY, task_runs
from models.task_waves import TaskRun, bonus_wave, promotion_wave
from models.timing import end_of_day, local_day
from models.wave import Wave

HORIZON = timedelta(days=60)
"""So far ahead the runs of a regular task are tried."""
RUNS = 70
"""So many runs of it at most, and as many of those that were: daily ones up to the horizon, hourly ones."""
SHOWN = 50
"""So much is foreseen at most: what comes first."""

BONUSES_BEGIN, BONUSES_END = "bonuses_begin", "bonuses_end"
"""What happens to bonuses without anybody being told of it."""
LEDGER = "bonuses"


@dataclass(frozen=True)
class Holdings:
    """What one member holds, and what its merchant sends to whom.

    `words`: what it has said. `clock`: where its quiet hours are; blank is where the merchant is, and of a
    birthday where it is celebrated. `sms_barred`: the law keeps the merchant from sending SMS.
    `under_way`: of notices whose moment is past, whether they are still to go, by the key; what no attempt
    has been made at is not in it.
    """

    merchant: Merchant
    member: Member
    coupons: tuple[HeldCoupon, ...] = ()
    lots: tuple[Lot, ...] = ()
    tasks: tuple[RegularTask, ...] = ()
    words: Words = field(default_factory=dict)
    clock: str = ""
    sms_barred: bool = False
    under_way: Mapping[str, bool] = field(default_factory=dict)

    @property
    def zone(self) -> str:
        """Where the member's birthday is."""
        return self.member.zone or self.merchant.zone_of(self.member.branch_id)

    @property
    def accounts(self) -> dict[str, tuple[Lot, ...]]:
        """The lots by currency."""
        named = dict.fromkeys(sorted(lot.currency for lot in self.lots))
        return {name: tuple(lot for lot in self.lots if lot.currency == name) for name in named}

    @property
    def recipient(self) -> Recipient:
        """Whom its notices go to."""
        clock = self.clock or self.merchant.zone
        return Recipient(self.merchant, self.member.person, clock, self.words, sms_barred=self.sms_barred)


@dataclass(frozen=True)
class _Coming:
    """Something on its way to be foreseen. `key`: of the notice, blank where there is none.

    `begun`: past its moment it is only foreseen where an attempt has been made at it.
    """

    one: Foreseen
    key: str = ""
    not_after: datetime | None = None
    begun: bool = True

    def overdue(self, now: datetime) -> bool:
        """Whether its moment is past, and its time is not."""
        return self.one.due <= now and self.not_after is not None and now <= self.not_after


def foreseen(holdings: Holdings, now: datetime) -> tuple[Foreseen, ...]:
    """What is still to come, by its moment: after `now`, or held up and within its time still."""
    coming = [one for found in _all(holdings, now) if (one := _still_to_come(holdings, found, now))]
    return tuple(sorted(coming, key=lambda one: (one.due, one.kind, one.source, one.words))[:SHOWN])


def overdue_keys(holdings: Holdings, now: datetime) -> tuple[str, ...]:
    """The keys of those notices whose moment is past: the message log knows which of them have gone."""
    return tuple(dict.fromkeys(found.key for found in _all(holdings, now) if found.overdue(now)))


def _all(holdings: Holdings, now: datetime) -> Iterator[_Coming]:
    yield from _coupons(holdings)
    yield from _tasks(holdings, now)
    yield from (_Coming(one) for one in _bonuses(holdings))


def _still_to_come(holdings: Holdings, found: _Coming, now: datetime) -> Foreseen | None:
    one = found.one
    if one.due > now:
        return replace(one, until=one.goes)
    going = found.overdue(now) and bool(one.channels)
    if not (going and holdings.under_way.get(found.key, not found.begun)):
        return None
    held = one.goes is not None and one.goes > now
    return replace(one, goes=one.goes if held else None, until=one.goes if held else found.not_after)


def _notice(
    holdings: Holdings, found: _Coming, kind: Kind, chosen: Iterable[str] | None = None, clock: str = ""
) -> _Coming:
    """With its channels, and when quiet hours let it go: by `clock`, where that is another."""
    recipient, one = holdings.recipient, found.one
    if clock:
        recipient = replace(recipient, zone=clock)
    ways = recipient.ways(kind, None if chosen is None else tuple(chosen))
    channels, hindered, goes = ways.channels, ways.hindered, None
    if channels:
        goes = recipient.quiet_until(kind, one.due)
    if goes is not None and found.not_after is not None and goes > found.not_after:
        hindered += tuple(Hindered(channel, Reason.QUIET_TOO_LONG) for channel in channels)
        channels, goes = (), None
    return replace(found, one=replace(one, channels=channels, hindered=hindered, goes=goes))


def _coupons(holdings: Holdings) -> Iterator[_Coming]:
    """Not of one that is redeemed or revoked. [WACA-37, WACA-38]"""
    merchant = holdings.merchant
    for held in holdings.coupons:
        if held.state is not CouponState.ISSUED:
            continue
        drop, zone = held.drop, merchant.zone_of(held.drop.branch_id)
        name, known = f"{drop.name} ({held.code})", (drop, merchant.coupons, zone, held.added_at)
        issued, ends = issued_telling(*known), expiring_telling(*known)
        if issued is not None:
            yield _of_coupon(holdings, drop, Kind.COUPON_ISSUED, "issued", issued, name)
        moved = _moved(held, merchant.coupons, zone)
        if (telling := moved or ends) is not None:
            until, words = str(drop.usable_to), f"{name} can be used until {drop.usable_to}"
            found = _of_coupon(holdings, drop, Kind.COUPON_EXPIRING, until, telling, words)
            yield replace(found, begun=moved is not None)


def _moved(held: HeldCoupon, policy: CouponPolicy, zone: str) -> Telling | None:
    """What tells at once of a last day that was moved, if its own moment was past by then.

    Whether there is such a notice, its drop knows: here it is only foreseen once an attempt has been made.
    """
    if held.changed_at is None:
        return None
    moved = Moved(held.changed_at, policy.least_days)
    telling = expiring_telling(held.drop, policy, zone, held.added_at, moved)
    return telling if telling is not None and telling.due == moved.at else None


def _of_coupon(
    holdings: Holdings, drop: CouponDrop, kind: Kind, subject: str, telling: Telling, words: str
) -> _Coming:
    source = coupon_workflow_id(drop.merchant_id, drop.drop_id)
    key = notice_key(source, kind, subject, holdings.member.member_id)
    found = _Coming(Foreseen(kind, telling.due, words, source), key, telling.not_after, begun=False)
    return _notice(holdings, found, kind)


def _tasks(holdings: Holdings, now: datetime) -> Iterator[_Coming]:
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


def _announcements(holdings: Holdings, task: RegularTask, now: datetime) -> Iterator[_Coming]:
    """The runs that tell of an account, one after another: each leaves to the next what it does not tell.

    Of runs that were before it is what they have marked. [LOY-61, LOY-71]
    """
    accounts = {name: lots for name, lots in holdings.accounts.items() if task.currency in ("", name)}
    zone = holdings.merchant.zone
    before = any(told_by(lot, task.kind) for lots in accounts.values() for lot in lots)
    for run in _runs(task, zone, now - DAY if before else now, now) if accounts else ():
        window = Window(run, task.days, zone)
        for name, lots in accounts.items():
            wave = bonus_wave(TaskRun(task, zone), name, run)
            mark = _key(wave, "")
            left = lots if run > now else tuple(lot for lot in lots if told_by(lot, task.kind) == mark)
            telling = announced(left, task.kind, window, task.minimum, mark)
            if telling:
                last = max(moment for lot in telling if (moment := turning_point(lot, task.kind)))
                wave = replace(wave, not_after=min(wave.not_after, last))
                yield _from_wave(holdings, task, wave, _amount(sum_of(telling), name))
                accounts[name] = tuple(told(one, task.kind, mark) if one in telling else one for one in lots)


def _birthday(holdings: Holdings, task: RegularTask, now: datetime) -> Iterator[_Coming]:
    """The next one, and today's if it is held up still, and what it brings. [LOY-80, LOY-81]"""
    born, zone, merchant_id = holdings.member.birth_date, holdings.zone, holdings.merchant.id
    if born is None:
        return
    gift = "" if task.gift is None else f"with {_amount(task.gift.amount, task.gift.currency)}"
    last, coming = (next_birthday(born, task.at, zone, moment) for moment in (now - DAY, now))
    for due in dict.fromkeys((last, coming)):
        day = local_day(due, zone)
        key = notice_key(
            task_schedule_id(merchant_id, TaskKind.BIRTHDAY),
            Kind.BIRTHDAY,
            str(day.year),
            holdings.member.member_id,
        )
        one = Foreseen(task.kind.value, due, gift, task_schedule_id(merchant_id, task.task_id))
        found = _Coming(one, key, end_of_day(day, zone))
        yield _notice(holdings, found, Kind.BIRTHDAY, task.channels, holdings.clock or zone)


def _promotion(holdings: Holdings, task: RegularTask, now: datetime) -> Iterator[_Coming]:
    """The next run, and others held up, if it goes to a group of the member's, or to all. [LS-12]"""
    if task.groups and not any(group in holdings.member.groups for group in task.groups):
        return
    zone = holdings.merchant.zone
    for run in _runs(task, zone, now - DAY, now):
        yield _from_wave(holdings, task, promotion_wave(TaskRun(task, zone), run), "")
        if run > now:
            return


def _runs(task: RegularTask, zone: str, after: datetime, now: datetime) -> Iterator[datetime]:
    """The runs since `after`, in order: of those that were the last ones, of those to come the next."""
    yield from deque(takewhile(lambda run: run <= now, task_runs(task, zone, after)), maxlen=RUNS)
    coming = islice(task_runs(task, zone, now), RUNS)
    yield from takewhile(lambda run: run <= now + HORIZON, coming)


def _from_wave(holdings: Holdings, task: RegularTask, wave: Wave, words: str) -> _Coming:
    one = Foreseen(task.kind.value, wave.due, words, task_schedule_id(holdings.merchant.id, task.task_id))
    found = _Coming(one, _key(wave, holdings.member.member_id), wave.not_after)
    return _notice(holdings, found, wave.kind, task.channels)


def _key(wave: Wave, member_id: str) -> str:
    return notice_key(wave.lifecycle, wave.kind, wave.subject, member_id)


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
