"""A coupon drop as its lifecycle knows it: its days, who was told of it, and what was asked of it since."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Literal

from models.agenda import Done, NotTaken
from models.coupon import CouponDrop
from models.coupon_agenda import Moved, end_of_use, issued_due
from models.member_policy import CouponPolicy
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.timing import local_day
from models.wave_state import Counts

PAUSE = timedelta(minutes=5)
"""Holders who are added one by one, all day long, are told in waves no closer than this."""
AGAIN = timedelta(seconds=30)
"""So long a wave waits for one of an earlier life of its drop, and looks again."""
REMEMBERED = 100
"""So many event ids."""
NOTED = 10
"""So many facts that could not be read."""
ISSUED = "issued"
"""The subject of all issued notices: nobody hears of a coupon twice."""
LATE = "late-"
"""How the names of waves to later holders begin."""
LATE_SHOWN = 5
"""So many of the waves to later holders stay in the agenda once they are settled."""


class DropStage(StrEnum):
    """Where a drop stands."""

    WAITING = "waiting for the merchant's rules"
    PLANNED = "planned"
    ISSUED = "issued"
    REVOKED = "revoked"
    OVER = "over"


@dataclass(frozen=True)
class DropRules:
    """What a drop knows of its merchant: read once, kept in the state, so that replay agrees."""

    zone: str
    channels: tuple[str, ...]
    policy: CouponPolicy


def drop_rules(merchant: Merchant, branch_id: str = "") -> DropRules:
    """The rules of one branch. Coupons are told of by SMS, by email only in its place. [WACA-39, LS-50]"""
    routes, on = CATALOGUE[Kind.COUPON_ISSUED].routes, merchant.channels
    channels = tuple(route[0] for route in routes if any(link in on for link in route))
    return DropRules(merchant.zone_of(branch_id), channels, merchant.coupons)


@dataclass(frozen=True)
class DropBegun:
    """What a lifecycle begins with: the drop as it is kept, its rules, and how many hold it already."""

    drop: CouponDrop
    rules: DropRules
    holders: int = 0
    revoked: bool = False


@dataclass(frozen=True)
class DropChange:
    """What is written down once a request is granted: the last day of the drop, and whether it is revoked."""

    drop: CouponDrop
    revoked: bool = False


@dataclass(frozen=True, kw_only=True)
class HoldersAdded:
    """A fact: members were given the coupon, the first of them at `since`; `holders` hold it now."""

    event_id: str
    since: datetime
    holders: int = 0
    at: datetime | None = None
    fact: Literal["holders_added"] = "holders_added"


@dataclass(frozen=True, kw_only=True)
class ExtendDrop:
    """A request: let its last day be another. `event_id` makes asking twice the same as asking once."""

    usable_to: date
    event_id: str
    fact: Literal["extend"] = "extend"


@dataclass(frozen=True, kw_only=True)
class RevokeDrop:
    """A request: take all of its coupons back that are not redeemed."""

    event_id: str
    fact: Literal["revoke"] = "revoke"


DropRequest = ExtendDrop | RevokeDrop

DROP_FACTS: dict[str, type] = {"holders_added": HoldersAdded}


@dataclass(frozen=True)
class LateWave:
    """A wave to those added at `since` or later, after the issued notices had gone. It is due at `due`."""

    number: int
    since: datetime
    due: datetime


@dataclass(frozen=True)
class DropState:
    """All of a drop's lifecycle: the workflow's input, its continue-as-new argument, its answers' source.

    `known_at`: since when the drop is known here; `last_day_at`: since when its last day is.
    `late_waves`: how many there have been, the last at `late_due`; `late`: those that are not settled.
    `counts`: what came of the members of all waves. `told_days`: on so many days it could be used by what
    holders had heard when its last day was moved, 0 where that tells nobody anything. `asks`: by which
    channels is asked anew when a wave is due; the rules may have been read before there were any.
    """

    drop: CouponDrop
    rules: DropRules | None = None
    known_at: datetime | None = None
    last_day_at: datetime | None = None
    holders: int = 0
    late_waves: int = 0
    late_due: datetime | None = None
    late: tuple[LateWave, ...] = ()
    revoked: bool = False
    counts: Counts = field(default_factory=Counts)
    done: tuple[Done, ...] = ()
    not_taken: tuple[NotTaken, ...] = ()
    event_ids: tuple[str, ...] = ()
    told_days: int = 0
    asks: bool = False

    @property
    def moved(self) -> Moved | None:
        """Since when holders believe another last day, if they do."""
        return Moved(self.last_day_at, self.told_days) if self.told_days and self.last_day_at else None

    @property
    def ready(self) -> DropRules:
        """The rules. Nothing is decided before they are read."""
        if self.rules is None:
            raise ValueError("the rules are not read yet")
        return self.rules

    @property
    def settled(self) -> frozenset[str]:
        """The keys of the waves that are settled."""
        return frozenset(done.notice.key for done in self.done)

    def ended(self, now: datetime) -> bool:
        """Whether the last day of use is over."""
        return now > end_of_use(self.drop, self.ready.zone)


def begin(begun: DropBegun, now: datetime) -> DropState:
    """The state of a drop that has just become known."""
    return DropState(begun.drop, begun.rules, now, now, holders=begun.holders, revoked=begun.revoked)


def with_holders(state: DropState, added: HoldersAdded, now: datetime) -> DropState:
    """The state with holders added: those who come after the issued notices are owed a wave of their own.

    Before that the issued wave finds them. What is added while a later wave waits for its moment joins it.
    """
    if added.event_id in state.event_ids:
        return state
    state = replace(_noted(state, added.event_id), holders=max(added.holders, state.holders))
    due = issued_due(state.drop, state.ready.policy, state.ready.zone)
    if now < due or state.revoked or state.ended(now) or not (state.ready.channels or state.asks):
        return state
    waiting = [wave for wave in state.late if wave.due > now]
    if waiting:
        joined = replace(waiting[-1], since=min(waiting[-1].since, added.since))
        return replace(state, late=tuple(joined if w is waiting[-1] else w for w in state.late))
    due = max(now, state.late_due + PAUSE) if state.late_due else now
    late = LateWave(state.late_waves + 1, added.since, due)
    return replace(state, late_waves=late.number, late_due=due, late=(*state.late, late))


def note_unreadable(state: DropState, why: str, now: datetime) -> DropState:
    """The state with something told that cannot be read."""
    note = NotTaken("unreadable", "unreadable", why, now)
    return replace(state, not_taken=(*state.not_taken, note)[-NOTED:])


def refusal(state: DropState, request: DropRequest, now: datetime) -> str | None:
    """Why a request cannot be granted, or None."""
    if request.event_id in state.event_ids:
        return None
    if state.ended(now):
        return f"the coupon's last day was {state.drop.usable_to}"
    if isinstance(request, RevokeDrop):
        return None
    if state.revoked:
        return "the coupon is revoked"
    today = local_day(now, state.ready.zone)
    if request.usable_to < today:
        return f"usable_to: {request.usable_to} is past: write {today} or a later day"
    first = max(state.drop.usable_from, state.drop.issue_on)
    if request.usable_to < first:
        return f"usable_to: {request.usable_to} is before the coupon begins: write {first} or a later day"
    return None


def with_channels(state: DropState, channels: tuple[str, ...]) -> DropState:
    """The state of a drop whose merchant tells of it by these channels now."""
    return replace(state, rules=replace(state.ready, channels=channels))


def granted(state: DropState, request: DropRequest, now: datetime, *, tells: bool = True) -> DropState:
    """The state with a request done; one that was granted before changes nothing.

    `tells`: a moved last day is told to whoever has heard another one, though its own moment is past.
    """
    if request.event_id in state.event_ids:
        return state
    state = _noted(state, request.event_id)
    if isinstance(request, RevokeDrop):
        return replace(state, revoked=True, late=())
    if request.usable_to == state.drop.usable_to:
        return state
    heard = tells and now >= issued_due(state.drop, state.ready.policy, state.ready.zone)
    told_days = max(state.told_days, state.drop.usable_days) if heard else state.told_days
    moved = replace(state.drop, usable_to=request.usable_to)
    return replace(state, drop=moved, last_day_at=now, told_days=told_days)


def _noted(state: DropState, event_id: str) -> DropState:
    return replace(state, event_ids=(*state.event_ids, event_id)[-REMEMBERED:])
