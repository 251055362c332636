"""A booking's life played through on paper, by the same pure code as the real one: the preview. No server."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from models.agenda import Agenda, ChannelOutcome, Done, Notice, Status
from models.booking import Booking, BookingState
from models.booking_agenda import booking_agenda
from models.booking_facts import AnyBookingFact
from models.booking_record import advance, begin, record
from models.merchant import BookingRules


def rehearse(booking: Booking, rules: BookingRules, facts: Iterable[AnyBookingFact], now: datetime) -> Agenda:
    """The agenda at `now`, had every fact been told when it happened and every message gone when due.

    Facts without `at` count as told at `now`; those that lie after `now` have not happened yet.
    """
    state = begin(booking, rules)
    clock = booking.ordered_at
    for fact in sorted(facts, key=lambda fact: fact.at or now):
        at = max(fact.at or now, clock)
        if at > now:
            break
        state = _live_until(state, clock, at)
        state, _ = record(state, fact, at)
        clock = at
    state = _live_until(state, clock, now)
    return booking_agenda(state, now)


def _live_until(state: BookingState, clock: datetime, now: datetime) -> BookingState:
    """Let everything that falls due from `clock` until then go out at its moment."""
    coming: datetime | None = clock
    while coming is not None and coming <= now:
        state = advance(state, coming)
        agenda = booking_agenda(state, coming)
        state = settle_due(state, agenda, coming)
        coming = agenda.next_moment
    state = advance(state, now)
    return settle_due(state, booking_agenda(state, now), now)


def settle_due(state: BookingState, agenda: Agenda, now: datetime) -> BookingState:
    """Every notice that is due at `now` as sent, or as missed where its last moment has passed."""
    settled = tuple(_settled(notice, now) for notice in agenda.owed if notice.due <= now)
    return replace(state, done=(*state.done, *settled))


def _settled(notice: Notice, now: datetime) -> Done:
    missed = now > notice.not_after
    status, at = (Status.MISSED, now) if missed else (Status.SENT, max(notice.due, now))
    outcomes = (ChannelOutcome(channel, status, at) for channel in notice.channels)
    return Done(notice, tuple(outcomes))
