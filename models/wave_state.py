"""What a wave remembers: how far it has come, which pages it takes up again, and what came of its members."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta

from models.wave import Wave

BACKOFF = timedelta(seconds=1)
LONGEST_BACKOFF = timedelta(minutes=10)
AFTER = timedelta(seconds=1)
"""So long past its last moment a message is surely called missed."""
MOST_PAGES = 2_500
"""So many pages are open at one time, each with whoever waits on it: a state must not outgrow its payload."""
SMALL_PAGE = 500
"""Pages are not made smaller than this only to keep all hands busy."""
REASONS, REASON = 2, 120
"""So many reasons of a page are remembered, those of most members, and so many characters of each."""
MOST_REASONS = 20
"""So many of them are told of a wave."""


@dataclass(frozen=True)
class Counts:
    """What came of members; each counts once, by the best of its channels.

    `skipped`: by the rule that held them. `messages`: how many were sent, by whatever channel. `instead`: so
    many of these by a channel that took another's place. `elsewhere`: another wave has told them the same,
    and counts them.
    """

    sent: int = 0
    failed: int = 0
    missed: int = 0
    uncertain: int = 0
    lapsed: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    messages: int = 0
    instead: int = 0
    elsewhere: int = 0

    @property
    def members(self) -> int:
        """All of whom something came."""
        settled = self.sent + self.failed + self.missed + self.uncertain + self.lapsed + self.skips
        return settled + self.elsewhere

    @property
    def skips(self) -> int:
        return sum(self.skipped.values())

    def plus(self, other: "Counts") -> "Counts":
        """The two together."""
        numbers = {name: getattr(self, name) + getattr(other, name) for name in _NUMBERS}
        return Counts(**numbers, skipped=dict(Counter(self.skipped) + Counter(other.skipped)))


_NUMBERS = tuple(one.name for one in fields(Counts) if one.name != "skipped")


@dataclass(frozen=True)
class WaveOptions:
    """How a wave is cut and sent.

    `page_size`: the most members of a page. `in_flight`: pages under way at one time. `cut_ahead`: so many
    pages of that size are cut at one time. `heartbeat_seconds`: a page that gives no sign for so long is
    taken up by another worker.
    """

    page_size: int = 2_000
    in_flight: int = 6
    cut_ahead: int = 10
    heartbeat_seconds: float = 30

    def even_size(self, members: int) -> int:
        """How large the pages of so many members are: each costs the server the same, whatever it holds.

        As large as may be, but so that all hands are busy to the end, unless the pages were then very small.
        """
        rounds = -(-members // (self.page_size * self.in_flight)) or 1
        return min(self.page_size, max(SMALL_PAGE, -(-members // (rounds * self.in_flight))))


@dataclass(frozen=True)
class Page:
    """Those of the audience whose id is after `after` and not after `until`.

    `counts` is what came of members up to `counted_to`; `waiting` of the `selected` are not settled yet. It
    is taken (again) at `at`; None is at once. `tries`: so often in a row something failed for the moment.
    `reasons`: why members wait, by how many.
    """

    after: str
    until: str
    at: datetime | None = None
    tries: int = 0
    selected: int = 0
    waiting: int = 0
    counts: Counts = Counts()
    counted_to: datetime | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PageOrder:
    """A page that is to be delivered."""

    wave: Wave
    page: Page
    options: WaveOptions = WaveOptions()


@dataclass(frozen=True)
class PageDone:
    """What one go at a page brought: `counts` of the members that were settled since `counted_to`.

    `selected`: so many are on the page now. `waiting` of them are not settled: some can go `again` at a
    moment that is known, the soonest of which this is; some are `failing`, and nobody knows when they can.
    `stopped`: it was told to leave off, and goes on when it may.
    """

    at: datetime
    selected: int
    counts: Counts = Counts()
    waiting: int = 0
    again: datetime | None = None
    failing: bool = False
    stopped: bool = False
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class CutOrder:
    """The next pages of an audience are wanted: those after the id `after`."""

    wave: Wave
    after: str = ""
    options: WaveOptions = WaveOptions()


@dataclass(frozen=True)
class Cut:
    """The last id of each page, in order; `last` when nobody comes after them. `zone` is the merchant's."""

    untils: tuple[str, ...]
    last: bool
    zone: str = "UTC"


@dataclass(frozen=True)
class CloseWave:
    """Messages of a wave that are still on the way but will not be sent.

    Of those that have left its audience, or with `everybody` (it was cancelled) of all.
    """

    wave: Wave
    everybody: bool = False


@dataclass(frozen=True)
class WaveState:
    """A wave's whole memory: its input, and what it goes on with in a new run.

    `cursor`: the id up to which pages are cut; `cut_all` when there are no more. `pages`: those that are cut
    and not finished. `counts`: of the finished ones.
    """

    wave: Wave
    options: WaveOptions = WaveOptions()
    cursor: str = ""
    cut_all: bool = False
    zone: str = "UTC"
    pages: tuple[Page, ...] = ()
    finished: int = 0
    counts: Counts = Counts()
    paused: bool = False
    cancelled: bool = False

    def wants_cut(self, under_way: Collection[str]) -> bool:
        """Whether too few new pages are at hand to keep all hands busy; `under_way` by their `until`."""
        fresh = sum(page.at is None and page.until not in under_way for page in self.pages)
        done = self.cut_all or self.held or len(self.pages) >= MOST_PAGES
        return not done and fresh < self.options.in_flight

    @property
    def held(self) -> bool:
        """Whether no page may be begun."""
        return self.paused or self.cancelled

    @property
    def over(self) -> bool:
        """Whether there is no page left to send."""
        return self.cancelled or (self.cut_all and not self.pages)

    @property
    def totals(self) -> Counts:
        """What came of members so far, on whatever page."""
        total = self.counts
        for page in self.pages:
            total = total.plus(page.counts)
        return total

    @property
    def waiting(self) -> int:
        """Members that are known to wait for another go."""
        return sum(page.waiting for page in self.pages)

    @property
    def reasons(self) -> dict[str, int]:
        """Why they wait, by how many."""
        why: Counter[str] = Counter()
        for page in self.pages:
            why.update(page.reasons)
        return dict(why.most_common(MOST_REASONS))

    def ready(self, now: datetime, under_way: Collection[str]) -> list[Page]:
        """The pages whose moment has come and that are not under way, those that were begun before first."""
        if self.held:
            return []
        idle = [page for page in self.pages if page.until not in under_way]
        again = sorted((page.at, page.until) for page in idle if page.at is not None and page.at <= now)
        order = {until: number for number, (_, until) in enumerate(again)}
        due = [page for page in idle if page.at is None or page.until in order]
        return sorted(due, key=lambda page: order.get(page.until, len(order)))

    def next_moment(self, now: datetime) -> datetime | None:
        """The wave's own moment, and after it that of the next page that is taken up again, if one waits."""
        if self.held:
            return None
        if now < self.wave.due:
            return self.wave.due
        return min((page.at for page in self.pages if page.at is not None and page.at > now), default=None)


def with_cut(state: WaveState, cut: Cut) -> WaveState:
    """The state with some pages more."""
    afters = (state.cursor, *cut.untils)
    new = tuple(Page(after, until) for after, until in zip(afters, cut.untils, strict=False))
    return replace(state, pages=(*state.pages, *new), cursor=afters[-1], cut_all=cut.last, zone=cut.zone)


def with_page(state: WaveState, page: Page, done: PageDone) -> WaveState:
    """The state after one go at a page: it is finished, or taken up again at its moment.

    Who was on it once and is neither settled nor there any more has left the audience: that notice lapsed.
    """
    counts = page.counts.plus(done.counts)
    if not (done.waiting or done.stopped):
        gone = max(page.selected - counts.members, 0)
        counts = state.counts.plus(counts).plus(Counts(lapsed=gone))
        return replace(state, pages=_others(state, page), finished=state.finished + 1, counts=counts)
    kept = replace(
        page,
        at=next_go(state.wave, page, done),
        tries=page.tries + 1 if done.failing else 0,
        selected=max(page.selected, done.selected),
        waiting=done.waiting,
        counts=counts,
        counted_to=done.at,
        reasons=_few(done.reasons),
    )
    return replace(state, pages=(*_others(state, page), kept))


def with_failure(state: WaveState, page: Page, now: datetime) -> WaveState:
    """The state after a go at a page of which nothing is known: it was broken off, or its worker died."""
    at = now if state.held else now + _backoff(page)
    return replace(state, pages=(*_others(state, page), replace(page, at=at, tries=page.tries + 1)))


def with_end(state: WaveState) -> WaveState:
    """The state of a wave that takes up no page any more: whoever still waited is not told."""
    lapsed = Counts(lapsed=state.waiting)
    return replace(state, pages=(), counts=state.totals.plus(lapsed))


def next_go(wave: Wave, page: Page, done: PageDone) -> datetime:
    """When a page is taken up again: at once when it was stopped, else when its soonest message can go.

    Not later than the wave's last moment: then what is left on it is called missed.
    """
    if done.stopped:
        return done.at
    moments = [done.again] if done.again is not None else []
    if done.failing or not moments:
        moments.append(done.at + _backoff(page))
    last = wave.not_after + AFTER
    return min(*moments, last) if done.at < last else min(moments)


def _backoff(page: Page) -> timedelta:
    return min(BACKOFF * (1 << min(page.tries, 20)), LONGEST_BACKOFF)


def _others(state: WaveState, page: Page) -> tuple[Page, ...]:
    return tuple(one for one in state.pages if one.until != page.until)


def _few(reasons: Mapping[str, int]) -> dict[str, int]:
    short: Counter[str] = Counter()
    for reason, members in reasons.items():
        short[reason[:REASON]] += members
    return dict(short.most_common(REASONS))


@dataclass(frozen=True)
class Progress:
    """How far a wave has come: the answer to its query.

    `selected` counts the members of the pages taken up so far; with `complete` no more will be selected.
    `waiting` of them are taken up again, the soonest at `next_moment`; `reasons` says why, by how many.
    """

    wave_id: str
    merchant_id: str
    kind: str
    audience: str
    stage: str
    due: datetime
    not_after: datetime
    zone: str
    selected: int
    complete: bool
    counts: Counts
    waiting: int = 0
    in_flight: int = 0
    next_moment: datetime | None = None
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class WaveReport:
    """A wave's last words. `stage`: `sent`, or `cancelled`; then `selected` is who it had come to."""

    wave_id: str
    stage: str
    words: str
    selected: int = 0
    counts: Counts = Counts()

    @property
    def sent(self) -> int:
        """So many members have the message."""
        return self.counts.sent
