"""Members for tests, and a member's life lived step by step without a server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from models.agenda import Agenda, ChannelOutcome, Done, Status, Verdict
from models.member_agenda import member_agenda
from models.member_facts import MemberFact
from models.member_policy import MemberPolicy
from models.member_record import begin, record, settle
from models.member_state import MemberState, Memory, Profile
from models.notices import Kind
from models.people import Person

TAIPEI = "Asia/Taipei"
ANNA = Person("Anna", "anna@example.com", "+886900000001", member_id="anna", id="anna")


def clock(text: str, zone: str = TAIPEI) -> datetime:
    """The instant at which the clock of that zone shows `text`, by ZoneInfo alone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


REGISTERED = "2026-03-02 18:30"
"""A Monday, by the shop's clock."""


def profile(
    person: Person = ANNA,
    *,
    registered: str = REGISTERED,
    zone: str = TAIPEI,
    channels: tuple[str, ...] = ("email", "sms"),
    policy: MemberPolicy | None = None,
) -> Profile:
    return Profile(person, zone, clock(registered, zone), channels, policy or MemberPolicy())


class MemberLife:
    """A member lived through. Every notice goes the moment it is due, but while `held`."""

    def __init__(self, known: Profile | None = None, *, status: Status = Status.SENT) -> None:
        known = known or profile()
        self.zone = known.zone
        self.now = known.registered_at
        self.status = status
        self.held = False
        self.told = 0
        self.state = begin(MemberState("shop", known.person.id), known, Memory(), self.now)

    @property
    def agenda(self) -> Agenda:
        return member_agenda(self.state, self.now)

    def until(self, moment: str | datetime) -> "MemberLife":
        """Let time pass, stopping at every moment that the agenda names."""
        end = clock(moment, self.zone) if isinstance(moment, str) else moment
        while True:
            self._settle()
            coming = self.agenda.next_moment
            if coming is None or coming > end:
                break
            self.now = coming
        self.now = max(self.now, end)
        self._settle()
        return self

    def days(self, number: float) -> "MemberLife":
        """Let so many days pass."""
        return self.until(self.now + timedelta(days=number))

    def tell(self, fact: MemberFact, when: str | datetime | None = None) -> Verdict:
        """Tell a fact at that moment; without an id it gets a fresh one."""
        if when is not None:
            self.until(when)
        self.told += 1
        fact = replace(fact, event_id=fact.event_id or f"e{self.told}")
        self.state, verdict = record(self.state, fact, self.now)
        self._settle()
        return verdict

    def owed(self) -> dict[Kind, str]:
        """When each notice is owed, by the clock of the member."""
        return {notice.kind: self.shown(notice.due) for notice in self.agenda.owed}

    def sent(self) -> list[tuple[Kind, str]]:
        """What went, and when, in order."""
        return [
            (done.notice.kind, self.shown(done.outcomes[0].at))
            for done in self.state.done
            if done.status is Status.SENT
        ]

    def why_not(self) -> dict[Kind, str]:
        """Why notices are left out, by kind; of several reasons one."""
        return {left.kind: left.reason for left in self.agenda.left_out}

    def shown(self, moment: datetime) -> str:
        return f"{moment.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M}"

    def _settle(self) -> None:
        if self.held:
            return
        for notice in self.agenda.owed:
            if notice.due <= self.now:
                assert notice.key not in self.state.settled, "one key is settled once"
                status = self.status if self.now <= notice.not_after else Status.MISSED
                outcomes = tuple(ChannelOutcome(channel, status, self.now) for channel in notice.channels)
                self.state = settle(self.state, Done(notice, outcomes))
