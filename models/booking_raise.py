"""The notices that something that happened gives rise to: to whom, and until when they mean something."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from models.agenda import Notice
from models.booking import BookingState, Session
from models.ids import booking_workflow_id, notice_key
from models.notices import CATALOGUE, Kind, Window
from models.people import Person


@dataclass(frozen=True)
class Cause:
    """What a notice comes from: its id, which the notice key carries, and when it happened (UTC)."""

    id: str
    at: datetime


def make_notice(
    state: BookingState, kind: Kind, person: Person, due: datetime, not_after: datetime, subject: str,
    about: Iterable[str],
) -> Notice:  # fmt: skip
    """A notice of this booking, by the catalogue's row."""
    row = CATALOGUE[kind]
    lifecycle = booking_workflow_id(state.booking.merchant_id, state.booking.booking_id)
    return Notice(
        key=notice_key(lifecycle, kind, subject, person.id),
        kind=kind,
        role=row.role,
        recipient=person,
        channels=row.channels,
        due=due,
        not_after=not_after,
        about=tuple(about),
    )


def raise_for_booker(state: BookingState, kind: Kind, cause: Cause) -> BookingState:
    """A stage of the order, told to who placed it. [WACA-10, WACA-11, WACA-12, WACA-14]"""
    return _raise(state, kind, state.booking.booker, state.sessions, cause)


def raise_vouchers(state: BookingState, sessions: Sequence[Session], cause: Cause) -> BookingState:
    """A voucher for each participant of newly accepted sessions, or a changed one. [WACA-15, WACA-16]"""
    for person in participants(sessions):
        kind = Kind.VOUCHER_CHANGED if holds_voucher(state, person) else Kind.VOUCHER
        about = [session for session in sessions if takes_part(session, person)]
        state = _raise(state, kind, person, about, cause)
    return state


def tell_holders(
    state: BookingState, sessions: Sequence[Session], cause: Cause, people: Sequence[Person] = ()
) -> BookingState:
    """The voucher-changed notice for those who hold a voucher and take part in these sessions. [WACA-16]

    `people` are told whether they hold one or not: who gives a place up, and who takes it. [WACA-09]
    """
    holders = [person for person in participants(sessions) if holds_voucher(state, person)]
    for person in _each_once((*holders, *people)):
        about = [s for s in sessions if takes_part(s, person) or person in people]
        state = _raise(state, Kind.VOUCHER_CHANGED, person, about, cause)
    return state


def raise_assignment(state: BookingState, service_id: str, cause: Cause) -> BookingState:
    """The service assignment, told to the service partner. [WACA-18]"""
    session = state.session(service_id)
    if session is None or session.partner is None:
        return state
    named = replace(cause, id=f"{cause.id}.{service_id}")
    return _raise(state, Kind.SERVICE_ASSIGNMENT, session.partner, [session], named)


def holds_voucher(state: BookingState, person: Person) -> bool:
    """Whether the person was ever owed a voucher of this booking."""
    kinds = (Kind.VOUCHER, Kind.VOUCHER_CHANGED)
    return any(notice.kind in kinds and notice.recipient.id == person.id for notice in state.raised)


def participants(sessions: Iterable[Session]) -> list[Person]:
    """Each person who takes part in one of the sessions, once."""
    return _each_once(person for session in sessions for person in session.service.participants)


def takes_part(session: Session, person: Person) -> bool:
    return any(participant.id == person.id for participant in session.service.participants)


def _each_once(people: Iterable[Person]) -> list[Person]:
    """By id, as first met: a person whose address was corrected is still one person, told once."""
    once: dict[str, Person] = {}
    for person in people:
        once.setdefault(person.id, person)
    return list(once.values())


def _raise(
    state: BookingState, kind: Kind, person: Person, about: Sequence[Session], cause: Cause
) -> BookingState:
    not_after = _not_after(state, CATALOGUE[kind].window, about, cause.at)
    notice = make_notice(state, kind, person, cause.at, not_after, cause.id, (s.id for s in about))
    return replace(state, raised=(*state.raised, notice))


def _not_after(state: BookingState, window: Window, about: Sequence[Session], at: datetime) -> datetime:
    prompt = at + timedelta(hours=state.ready.policy.prompt_hours)
    starts = [session.service.starts_at for session in about]
    match window:
        case Window.VOUCHER:
            return max(starts, default=prompt)
        case Window.SESSION_START:
            return max([*starts, prompt])
        case _:
            return prompt
