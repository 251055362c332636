"""Bookings for tests: a shop in Taipei, its people, and a booking's life lived step by step."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from models.agenda import Agenda, ChannelOutcome, Done, Notice, Reason, Status, Verdict
from models.booking import Booking, BookingState, Service
from models.booking_agenda import booking_agenda
from models.booking_facts import AnyBookingFact
from models.booking_record import advance, begin, record
from models.merchant import BookingPolicy, BookingRules, PaymentMethod
from models.notices import Kind
from models.people import Person

TAIPEI = "Asia/Taipei"

ANNA = Person("Anna", "anna@example.com", "+886900000001", id="anna")
BEN = Person("Ben", "ben@example.com", "+886900000002", id="ben")
CHLOE = Person("Chloe", "chloe@example.com", "+886900000003", id="chloe")
DORA = Person("Dora", "dora@studio.example", "+886900000004", id="dora")
EMIL = Person("Emil", "emil@studio.example", "+886900000005", id="emil")


def clock(text: str, zone: str = TAIPEI) -> datetime:
    """The instant at which the clock of that zone shows `text`, by ZoneInfo alone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def shop(
    zone: str = TAIPEI, channels: tuple[str, ...] = ("email", "sms"), policy: BookingPolicy | None = None
) -> BookingRules:
    return BookingRules(zone, "zh-Hant", channels, policy or BookingPolicy())


def service(id_: str, starts: str | datetime, *people: Person, zone: str = TAIPEI) -> Service:
    """A service of one hour."""
    at = clock(starts, zone) if isinstance(starts, str) else starts
    return Service(id_, f"Service {id_}", at, at + timedelta(hours=1), people)


def booking(
    *services: Service,
    ordered: str | datetime = "2026-03-02 09:30",
    by: PaymentMethod = PaymentMethod.BANK_TRANSFER,
    booker: Person = ANNA,
    zone: str = TAIPEI,
) -> Booking:
    """An order of Monday 2 March 2026, 09:30 at the shop, unless told otherwise."""
    return Booking(
        merchant_id="shop",
        booking_id="b1",
        ordered_at=clock(ordered, zone) if isinstance(ordered, str) else ordered,
        booker=booker,
        services=services or (service("s1", "2026-03-20 14:00", BEN, zone=zone),),
        payment_method=by,
        total=Decimal(1200),
    )


class Life:
    """A booking lived through. Every notice goes the moment it is due, but while `held`."""

    def __init__(
        self, placed: Booking, rules: BookingRules | None = None, zone: str = TAIPEI, *, held: bool = False
    ) -> None:
        self.zone = zone
        self.now = placed.ordered_at
        self.held = held
        self.told = 0
        self.state: BookingState = begin(placed, rules or shop(zone))
        self.until(self.now)

    @property
    def agenda(self) -> Agenda:
        return booking_agenda(self.state, self.now)

    def until(self, moment: str | datetime) -> "Life":
        """Let time pass, stopping at every moment that the agenda names."""
        end = clock(moment, self.zone) if isinstance(moment, str) else moment
        while True:
            self.state = advance(self.state, self.now)
            self._settle()
            coming = self.agenda.next_moment
            if coming is None or coming > end:
                break
            self.now = coming
        self.now = max(self.now, end)
        self.state = advance(self.state, self.now)
        self._settle()
        return self

    def tell(self, fact: AnyBookingFact, when: str | datetime | None = None) -> Verdict:
        """Tell a fact at that moment; without an id it gets a fresh one."""
        if when is not None:
            self.until(when)
        self.told += 1
        fact = replace(fact, event_id=fact.event_id or f"e{self.told}")
        self.state, verdict = record(self.state, fact, self.now)
        self.state = advance(self.state, self.now)
        self._settle()
        return verdict

    def take(self, fact: AnyBookingFact, when: str | datetime | None = None) -> "Life":
        """Tell a fact that is sure to be taken."""
        verdict = self.tell(fact, when)
        assert verdict.taken, verdict.reason
        return self

    def release(self) -> "Life":
        """What was held goes now."""
        self.held = False
        self._settle()
        return self

    def owed(self, kind: Kind) -> list[Notice]:
        return [notice for notice in self.agenda.owed if notice.kind is kind]

    def settled(self, kind: Kind) -> list[Done]:
        return [done for done in self.state.done if done.notice.kind is kind]

    def sent(self, kind: Kind) -> list[str]:
        """Who got a notice of that kind, in the order of sending."""
        return people(done.notice for done in self.settled(kind) if done.status is Status.SENT)

    def why_not(self, kind: Kind) -> list[Reason]:
        """The reasons for which notices of that kind are left out."""
        return [left.reason for left in self.agenda.left_out if left.kind is kind]

    def _settle(self) -> None:
        if self.held:
            return
        for notice in self.agenda.owed:
            if notice.due <= self.now:
                assert notice.key not in self.state.settled, "one key is settled once"
                status = Status.SENT if self.now <= notice.not_after else Status.MISSED
                outcomes = tuple(ChannelOutcome(channel, status, self.now) for channel in notice.channels)
                self.state = replace(self.state, done=(*self.state.done, Done(notice, outcomes)))


def people(notices: Iterable[Notice]) -> list[str]:
    return [notice.recipient.id for notice in notices]
