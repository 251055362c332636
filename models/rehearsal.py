"""A booking's life played through on paper, by the same pure code as the real one: the preview. No server."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from models.agenda import Agenda, ChannelOutcome, Done, Notice, Status
from models.booking import Booking, BookingState
from models.booking_agenda import booking_agenda
from models.booking_facts import AnyBookingFact, advance, begin, record
from models.merchant import BookingRules


def rehearse(booking: Booking, rules: BookingRules, facts: Iterable[AnyBookingFact], now: datetime) -> Agenda:
    """The agenda at `now`, had every fact been told when it happened and every message gone when due.

    Facts without `at` count as told at `now`; those that lie after `now` have not happened yet.
    """
    state = begin(booking, rules)
    for fact in sorted(facts, key=lambda fact: fact.at or now):
        at = max(fact.at or now, booking.ordered_at)
        if at > now:
            break
        state = _live_until(state, at)
        state, _ = record(state, fact, at)
    state = _live_until(state, now)
    return booking_agenda(state, now)


def _live_until(state: BookingState, now: datetime) -> BookingState:
    """Let everything that falls due until then go out at its moment."""
    clock = state.booking.ordered_at
    while True:
        state = advance(state, clock)
        agenda = booking_agenda(state, clock)
        state = settle_due(state, agenda, clock)
        coming = agenda.next_moment
        if agenda.over or coming is None or coming > now:
            break
        clock = max(coming, clock + timedelta(seconds=1)) if coming <= clock else coming
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
