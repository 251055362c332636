"""What each happening does to a member. Any order, any number of times: only the moments count. [LOY-53]"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from models.agenda import Done, NotTaken, Verdict
from models.member_facts import MemberFact, Registered
from models.member_state import Known, MemberState, Memory, Profile
from models.notices import Kind

REMEMBERED = 500
"""How many event ids a member remembers. Told again later, a purchase is still at its moment."""
SHOWN = 20
"""How many invitations, and facts that were not taken, are kept to be shown."""


def begin(state: MemberState, profile: Profile, memory: Memory, now: datetime) -> MemberState:
    """A life that begins, or goes on where an earlier one ended.

    What is remembered from after `now` is forgotten: it comes from a clock that was moved in a rehearsal.
    """
    return replace(
        state,
        profile=profile,
        registered=_until(memory.registered, now),
        purchased=_until(memory.purchased, now),
        done=tuple(done for done in memory.done if all(outcome.at <= now for outcome in done.outcomes)),
        not_taken=tuple(note for note in memory.not_taken if note.at <= now),
        seen=memory.seen,
    )


def record(state: MemberState, fact: MemberFact, now: datetime) -> tuple[MemberState, Verdict]:
    """Take a fact in. It counts from when it happened, however late it is told, and never from the future.

    Idempotent by event id, and by the moment too: of purchases the latest counts, of registrations the first.
    """
    if fact.event_id in state.seen:
        return state, Verdict(taken=False, known=True, reason="told before")
    if fact.at is not None and fact.at.utcoffset() is None:
        unclear = f"at: {fact.at.isoformat()} has no zone; add its offset, or Z for UTC"
        return _noted(state, NotTaken(fact.event_id, fact.fact, unclear, now)), Verdict(False, unclear)
    state = replace(state, seen=(*state.seen, fact.event_id)[-REMEMBERED:])
    told = Known(min(fact.at or now, now), now)
    if isinstance(fact, Registered):
        first = state.registered is None or told.at < state.registered.at
        return (replace(state, registered=told) if first else state), Verdict(taken=True)
    last = state.purchased is None or told.at > state.purchased.at
    return (replace(state, purchased=told) if last else state), Verdict(taken=True)


def settle(state: MemberState, done: Done) -> MemberState:
    """The state with a notice settled."""
    return replace(state, done=tuple(_kept((*state.done, done))))


def note_unreadable(state: MemberState, reason: str, now: datetime) -> MemberState:
    """Remember that something was told which could not be read: it is shown, not dropped."""
    number = sum(note.event_id.startswith("unreadable-") for note in state.not_taken) + 1
    return _noted(state, NotTaken(f"unreadable-{number}", "unreadable", reason, now))


def _until(known: Known | None, now: datetime) -> Known | None:
    return known if known is not None and known.at <= now else None


def _kept(done: tuple[Done, ...]) -> Iterable[Done]:
    """The welcome, which goes once in a lifetime, and the last invitations."""
    welcomes = [one for one in done if one.notice.kind is Kind.MEMBER_WELCOME]
    others = [one for one in done if one.notice.kind is not Kind.MEMBER_WELCOME]
    return (*welcomes, *others[-SHOWN:])


def _noted(state: MemberState, note: NotTaken) -> MemberState:
    others = (other for other in state.not_taken if other.event_id != note.event_id)
    return replace(state, not_taken=(*others, note)[-SHOWN:])
