"""What came of the members of a page, counted: each once, by the best of its channels."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from activities.attempt import Later
from models.agenda import Status
from models.wave_state import Counts, PageDone

BEST_FIRST = (
    Status.SENT, Status.UNCERTAIN, Status.MISSED, Status.FAILED, Status.REFUSED, Status.LAPSED,
)  # fmt: skip
NOT_REACHED = "there was no time left for it in this go"


class Settled(NamedTuple):
    """What came of one message; `rule` is the check that held it, where one did.

    `due`: the moment of the wave that settled it, None where that is the one that counts.
    """

    status: Status
    at: datetime
    rule: str = ""
    due: datetime | None = None


@dataclass
class Tally:
    """Counts the members of one go at a page; those settled up to `since` were counted before.

    `channels`: those of the wave. What went by another one took the place of one of these. Those settled by
    a wave of another moment than `due` count there.
    """

    since: datetime | None
    channels: Collection[str]
    due: datetime | None = None
    selected: int = 0
    waiting: int = 0
    again: datetime | None = None
    failing: bool = False
    statuses: Counter[Status] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    elsewhere: int = 0
    messages: int = 0
    instead: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def wait(self, later: Sequence[Later], now: datetime) -> None:
        """A member by whose channels something is still to come."""
        self.selected += 1
        self.waiting += 1
        self.reasons[later[0].reason] += 1
        for one in later:
            if one.wait is None:
                self.failing = True
            elif self.again is None or now + one.wait < self.again:
                self.again = now + one.wait

    def leave(self, members: int) -> None:
        """Members that this go does not come to."""
        self.selected += members
        self.waiting += members
        self.failing = True
        self.reasons[NOT_REACHED] += members

    @property
    def moves(self) -> bool:
        """Whether this go settles members, and leaves nobody to wait for a moment of his own."""
        return not self.waiting and bool(self.statuses or self.skipped or self.elsewhere)

    def go_on(self, members: int, now: datetime) -> None:
        """Members to whom the next go comes at once."""
        self.selected += members
        self.waiting += members
        self.again = now
        self.reasons[NOT_REACHED] += members

    def settle(self, outcomes: Mapping[str, Settled]) -> None:
        """A member of whom everything is settled, by channel."""
        self.selected += 1
        if not outcomes or (self.since and max(one.at for one in outcomes.values()) <= self.since):
            return
        ours = [one for one in outcomes.values() if one.due is None or one.due == self.due]
        if not ours:
            self.elsewhere += 1
            return
        best = min([one.status for one in ours], key=BEST_FIRST.index)
        if best is Status.REFUSED:
            rule = next(one.rule for one in ours if one.status is best)
            self.skipped[rule or "refused"] += 1
        else:
            self.statuses[best] += 1
        sent = [channel for channel, one in outcomes.items() if one.status is Status.SENT]
        self.messages += len(sent)
        self.instead += sum(channel not in self.channels for channel in sent)

    def done(self, now: datetime, *, stopped: bool) -> PageDone:
        """What this go brought. `stopped`: it was told to leave off."""
        counts = Counts(
            sent=self.statuses[Status.SENT],
            failed=self.statuses[Status.FAILED],
            missed=self.statuses[Status.MISSED],
            uncertain=self.statuses[Status.UNCERTAIN],
            lapsed=self.statuses[Status.LAPSED],
            elsewhere=self.elsewhere,
            skipped=dict(self.skipped),
            messages=self.messages,
            instead=self.instead,
        )
        stopped = stopped and self.failing
        return PageDone(
            at=now,
            selected=self.selected,
            counts=counts,
            waiting=self.waiting,
            again=self.again,
            failing=self.failing and not stopped,
            stopped=stopped,
            reasons=dict(self.reasons),
        )
