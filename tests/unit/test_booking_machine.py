"""Any life that a booking may lead, lived twice: by the models, and by the book."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models.agenda import Done, Notice
from models.booking_agenda import booking_agenda
from models.booking_facts import (
    Accepted,
    AnyBookingFact,
    Assigned,
    Cancel,
    Cancelled,
    ChangeParticipant,
    PaymentFailed,
    PaymentReceived,
    Refunded,
    Reschedule,
)
from models.merchant import PaymentMethod
from models.notices import Kind
from models.people import Person
from models.rehearsal import rehearse
from tests.bookings import Life, booking, clock, service, shop
from tests.unit.booking_model import LEGAL, Model

REACH = {
    "anna": ("email", "sms"),
    "ben": ("email", "sms"),
    "chloe": ("sms",),
    "dora": ("email", "sms"),
    "emil": ("email",),
    "mute": (),
}
PEOPLE = {
    name: Person(
        name.title(),
        email=f"{name}@example.com" if "email" in by else "",
        phone=f"+8869000000{number:02}" if "sms" in by else "",
        id=name,
    )
    for number, (name, by) in enumerate(REACH.items())
}

names = st.sampled_from(["s1", "s2", "s3"])
names_or_unknown = st.sampled_from(["s1", "s1", "s2", "s2", "s3", "s3", "s9"])
some = st.one_of(st.just(()), st.lists(names_or_unknown, min_size=1, max_size=3).map(tuple))
anyone = st.sampled_from(sorted(PEOPLE)).map(PEOPLE.__getitem__)
late = st.one_of(st.just(0), st.sampled_from([1, 60, 3600, 86_399, 86_400, 86_401]), st.integers(0, 300_000))


class BookingMachine(RuleBasedStateMachine):
    """Facts, requests and time, in any order; late and twice. The clock moves forward."""

    life: Life
    model: Model

    @initialize(
        method=st.sampled_from(list(PaymentMethod)),
        zone=st.sampled_from(["Asia/Taipei", "Europe/Berlin", "America/New_York"]),
        # Around the days on which the clocks change in Berlin, and in New York.
        day=st.sampled_from(["2026-03-02", "2026-03-06", "2026-03-27", "2026-10-23", "2026-10-31"]),
        second=st.integers(0, 86_399),
        starts=st.lists(st.integers(1, 8 * 24 * 4), min_size=3, max_size=3),
        channels=st.sampled_from([("email", "sms"), ("email",)]),
        punctual=st.booleans(),
    )
    def place(
        self,
        method: PaymentMethod,
        zone: str,
        day: str,
        second: int,
        starts: list[int],
        channels: tuple[str, ...],
        punctual: bool,
    ) -> None:
        """`punctual`: every fact is told when it happens and every notice goes when it is due."""
        ordered = clock(f"{day} 00:00", zone) + timedelta(seconds=second)
        first, second_, third = (ordered + timedelta(minutes=15 * quarters) for quarters in starts)
        placed = booking(
            service("s1", first, PEOPLE["ben"]),
            service("s2", second_, PEOPLE["ben"], PEOPLE["chloe"]),
            service("s3", third, PEOPLE["anna"], PEOPLE["mute"]),
            by=method,
            ordered=ordered,
            booker=PEOPLE["anna"],
        )
        self.placed, self.rules_read = placed, shop(zone, channels)
        self.life = Life(placed, self.rules_read)
        self.model = Model(placed, zone, channels, REACH)
        self.model.until(ordered, held=False)
        self.punctual = punctual
        self.facts: list[AnyBookingFact] = []
        self.told = 0
        self.ended = False

    @property
    def open(self) -> bool:
        return not self.ended

    @rule(hours=st.integers(0, 60), seconds=st.sampled_from([0, 1, 1799]))
    def time_passes(self, hours: int, seconds: int) -> None:
        self.go_to(self.life.now + timedelta(hours=hours, seconds=seconds))

    @rule(off=st.sampled_from([-1, 0, 1]))
    def the_next_moment_comes(self, off: int) -> None:
        coming = self.life.agenda.next_moment
        if coming is not None:
            self.go_to(max(self.life.now, coming + timedelta(seconds=off)))

    @precondition(lambda self: not self.punctual)
    @rule()
    def the_providers_go_down_or_come_back(self) -> None:
        self.life.held = not self.life.held
        self.go_to(self.life.now)

    @precondition(lambda self: self.open)
    @rule(late=late)
    def the_money_comes(self, late: int) -> None:
        self.tell(PaymentReceived(event_id=self.fresh()), late)

    @precondition(lambda self: self.open)
    @rule(late=late)
    def the_card_is_declined(self, late: int) -> None:
        self.tell(PaymentFailed(event_id=self.fresh()), late)

    @precondition(lambda self: self.open and self.life.now > self.placed.ordered_at + timedelta(days=1))
    @rule(late=late)
    def the_money_goes_back(self, late: int) -> None:
        self.tell(Refunded(event_id=self.fresh()), late)

    @precondition(lambda self: self.open)
    @rule(services=some, late=late)
    def the_merchant_accepts(self, services: tuple[str, ...], late: int) -> None:
        self.tell(Accepted(event_id=self.fresh(), services=services), late)

    @precondition(lambda self: self.open)
    @rule(
        service=names_or_unknown,
        partner=st.sampled_from(["dora", "emil"]).map(PEOPLE.__getitem__),
        late=late,
    )
    def the_merchant_assigns(self, service: str, partner: Person, late: int) -> None:
        self.tell(Assigned(event_id=self.fresh(), service=service, partner=partner), late)

    @precondition(lambda self: self.open)
    @rule(
        services=st.lists(names_or_unknown, min_size=1, max_size=2).map(tuple), asked=st.booleans(), late=late
    )
    def some_is_cancelled(self, services: tuple[str, ...], asked: bool, late: int) -> None:
        told = Cancel if asked else Cancelled
        self.tell(told(event_id=self.fresh(), services=services), late)

    @precondition(lambda self: self.open and self.told > 5)
    @rule(late=late)
    def all_is_cancelled(self, late: int) -> None:
        self.tell(Cancelled(event_id=self.fresh()), late)

    @precondition(lambda self: self.open)
    @rule(service=names_or_unknown, hours=st.integers(-10, 200), lasts=st.sampled_from([None, None, 0, 1, 3]))
    def a_service_is_moved(self, service: str, hours: int, lasts: int | None) -> None:
        starts = self.life.now + timedelta(hours=hours)
        ends = None if lasts is None else starts + timedelta(hours=lasts)
        self.tell(Reschedule(event_id=self.fresh(), service=service, starts_at=starts, ends_at=ends), 0)

    @precondition(lambda self: self.open)
    @rule(service=names)
    def a_service_is_moved_to_where_it_is(self, service: str) -> None:
        starts = self.model.sessions[service]["start"]
        self.tell(Reschedule(event_id=self.fresh(), service=service, starts_at=starts), 0)

    @precondition(lambda self: self.open)
    @rule(service=names_or_unknown, old=anyone, new=anyone)
    def someone_else_takes_part(self, service: str, old: Person, new: Person) -> None:
        change = ChangeParticipant(event_id=self.fresh(), service=service, participant=old.id, person=new)
        self.tell(change, 0)

    @precondition(lambda self: self.open and self.facts)
    @rule(data=st.data())
    def it_is_told_again(self, data: st.DataObject) -> None:
        self.tell(data.draw(st.sampled_from(self.facts)), None)

    @invariant()
    def the_statuses_are_those_of_the_book_and_legal(self) -> None:
        state = self.life.state
        assert (state.order, state.payment) == self.model.status()
        assert (str(state.order), str(state.payment)) in LEGAL

    @invariant()
    def what_is_owed_is_what_the_book_says(self) -> None:
        ours = Counter(map(seen, self.life.agenda.owed))
        book = Counter((kind, person, *entry_seen(e)) for (kind, person, _), e in self.model.owed().items())
        assert ours == book

    @invariant()
    def what_is_settled_is_what_the_book_says(self) -> None:
        ours = Counter((*seen(done.notice), *came(done)) for done in self.life.state.done)
        book = Counter(
            (kind, person, *entry_seen(e), e["came"], e["at"])
            for (kind, person, _), e in self.model.settled.items()
        )
        assert ours == book

    @invariant()
    def nothing_is_owed_twice_or_after_it_is_settled(self) -> None:
        owed = [notice.key for notice in self.life.agenda.owed]
        settled = [done.notice.key for done in self.life.state.done]
        assert len(set(owed + settled)) == len(owed + settled)

    @invariant()
    def what_is_owed_can_be_sent(self) -> None:
        for notice in self.life.agenda.owed:
            assert notice.channels
            assert all(notice.recipient.address(channel) for channel in notice.channels)
            assert notice.due <= notice.not_after

    @invariant()
    def no_visit_is_announced_that_does_not_take_place(self) -> None:
        state = self.life.state
        visits = [notice for notice in self.life.agenda.owed if notice.kind is Kind.PRE_VISIT]
        assert not visits or str(state.order) in {"accepting", "accepted"}
        for notice in visits:
            (about,) = notice.about
            session = self.model.sessions[about]
            assert session["on"]
            assert session["accepted"]
            assert notice.recipient.id in session["people"]
            assert session["start"] - self.placed.ordered_at > timedelta(days=1)

    @invariant()
    def asked_twice_it_answers_the_same(self) -> None:
        assert booking_agenda(self.life.state, self.life.now) == self.life.agenda

    @invariant()
    def what_is_left_out_says_why(self) -> None:
        owed = {notice.key: notice.channels for notice in self.life.agenda.owed}
        for left in self.life.agenda.left_out:
            assert left.reason.sentence
            assert left.key not in self.life.state.settled
            assert not set(left.channels) & set(owed.get(left.key, ()))

    @invariant()
    def the_next_moment_is_ahead_or_there_is_none(self) -> None:
        agenda = self.life.agenda
        if agenda.next_moment is not None:
            assert agenda.next_moment > self.life.now
            assert not agenda.over
        else:
            assert agenda.over or self.life.held

    @invariant()
    def once_over_it_stays_over(self) -> None:
        assert self.life.agenda.over == self.model.over()
        assert self.life.agenda.over or not self.ended
        self.ended = self.life.agenda.over

    def teardown(self) -> None:
        """The rehearsal of a punctual life comes to the same."""
        if not hasattr(self, "life") or not self.punctual:
            return
        rehearsed = rehearse(self.placed, self.rules_read, self.facts, self.life.now)
        lived = self.life.agenda
        assert {done.notice.key: came(done) for done in rehearsed.done} == {
            done.notice.key: came(done) for done in lived.done
        }
        assert replace(rehearsed, done=()) == replace(lived, done=())

    def fresh(self) -> str:
        self.told += 1
        return f"e{self.told}"

    def go_to(self, moment: datetime) -> None:
        self.life.until(moment)
        self.model.until(moment, held=self.life.held)

    def tell(self, fact: AnyBookingFact, late: int | None) -> None:
        """`late`: so many seconds after it happened; None: exactly as it was told before."""
        if late is not None:
            lag = timedelta(seconds=0 if self.punctual else late)
            fact = replace(fact, at=max(self.placed.ordered_at, self.life.now - lag))
            self.facts.append(fact)
        elif self.punctual and fact.event_id not in self.life.state.seen:
            return  # a refused fact that is told again later is not punctual
        before = self.life.agenda
        verdict = self.life.tell(fact)
        expected = self.model.hear(fact)
        if not self.life.held:
            self.model.settle()
        assert (verdict.taken, verdict.known) == (expected == "taken", expected == "known"), verdict.reason
        if not verdict.taken:
            assert verdict.reason
            assert replace(self.life.agenda, not_taken=before.not_taken) == before


def seen(notice: Notice) -> tuple[Any, ...]:
    return (
        notice.kind,
        notice.recipient.id,
        notice.due,
        notice.not_after,
        notice.channels,
        frozenset(notice.about),
    )


def entry_seen(entry: dict[str, Any]) -> tuple[Any, ...]:
    return (entry["due"], entry["until"], entry["by"], entry["about"])


def came(done: Done) -> tuple[str, datetime]:
    return (str(done.status), done.outcomes[0].at)


TestBookingMachine = BookingMachine.TestCase
TestBookingMachine.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    # A life of thirty steps takes its time on a busy machine; that says nothing about the rules.
    suppress_health_check=[HealthCheck.too_slow],
)
