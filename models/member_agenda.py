"""What a member is owed: a welcome, and invitations while it does not buy. [LOY-31, LOY-50 to LOY-53]

A pure function of the state, asked again after every happening: a purchase just makes another agenda.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from models.addressing import Entry, addressed, without
from models.agenda import Agenda, LeftOut, Notice, Reason
from models.ids import member_workflow_id, notice_key
from models.member_content import MemberContent
from models.member_state import MemberState, Stage
from models.notices import CATALOGUE, Kind
from models.timing import add_local_days

MENDABLE = (Reason.NO_ADDRESS, Reason.CHANNEL_OFF)
"""What may have changed by the moment that counts, which is when the notice falls due. [MAAC-12]"""


def member_agenda(state: MemberState, now: datetime) -> Agenda:
    """All that the member is owed, what became of the rest, and when its lifecycle next acts by itself."""
    profile, settled = state.ready, state.settled
    entries = [*_welcome(state), *_invitations(state)]
    if state.member_gone:
        entries = [without(entry, Reason.MEMBER_GONE) for entry in entries if isinstance(entry, Notice)]
    entries = [part for entry in entries if entry.key not in settled for part in _addressed(state, entry)]
    owed = sorted((e for e in entries if isinstance(e, Notice)), key=lambda notice: (notice.due, notice.key))
    moments = [entry.due for entry in entries if _may_come(entry) and entry.due and entry.due > now]
    over = not owed and not moments
    return Agenda(
        lifecycle=member_workflow_id(state.merchant_id, state.member_id),
        stage=stage(state, now),
        zone=profile.zone,
        owed=tuple(owed),
        done=state.done,
        left_out=tuple(entry for entry in entries if isinstance(entry, LeftOut)),
        not_taken=state.not_taken,
        next_moment=min(moments, default=None),
        over=over,
    )


def stage(state: MemberState, now: datetime) -> Stage:
    """Where the member stands."""
    if state.member_gone:
        return Stage.GONE
    if state.profile is None:
        return Stage.WAITING
    reference, days = state.reference, state.ready.policy.quiet_days
    if any(gone.at >= reference.at for gone in state.gone):
        return Stage.INVITED
    if days and now >= add_local_days(reference.at, days, state.ready.zone):
        return Stage.QUIET
    return Stage.NEW if state.purchased is None else Stage.ACTIVE


def member_content(state: MemberState) -> MemberContent:
    """What a notice of this lifecycle says. Balances are read when it is sent. [LOY-43]"""
    profile = state.ready
    return MemberContent(state.member_id, profile.zone, profile.branch_id)


def _welcome(state: MemberState) -> list[Entry]:
    """At once when the registration is told, unless it is told when a welcome means nothing any more."""
    registered, policy = state.registered, state.ready.policy
    if registered is None:
        return []
    last = registered.at + timedelta(hours=policy.prompt_hours)
    draft = _notice(state, Kind.MEMBER_WELCOME, "registration", registered.at, last)
    if not policy.welcome:
        return [without(draft, Reason.NOT_WANTED)]
    return [draft if registered.since <= last else without(draft, Reason.KNOWN_TOO_LATE)]


def _invitations(state: MemberState) -> list[Entry]:
    """So many days after the last purchase, and once more so many days later; both by the calendar.

    An invitation that went after the last purchase, because that was told late, has been the first of its
    two. One that did not go has had its turn.
    """
    policy, zone, since = state.ready.policy, state.ready.zone, state.reference
    subject = f"{since.at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    wait = timedelta(hours=policy.invitation_hours)
    due = add_local_days(since.at, policy.quiet_days, zone)
    again = add_local_days(since.at, policy.quiet_days + policy.again_days, zone)
    # Two within a day of each other would be one too many: the first one's time ends with the second's.
    last = min(due + wait, again) if policy.again_days else due + wait
    first = _notice(state, Kind.INVITATION, subject, due, last)
    second = _notice(state, Kind.INVITATION_AGAIN, subject, again, again + wait)
    own = (first.key, second.key)
    early = sum(gone.at >= since.at and gone.key not in own for gone in state.gone)
    if not policy.quiet_days or not policy.invitation:
        return [without(first, Reason.NOT_WANTED, undated=True)]
    entries = [_in_time(state, first) if not early else without(first, Reason.INVITED_ALREADY)]
    if policy.again_days:
        entries.append(_in_time(state, second) if early < 2 else without(second, Reason.INVITED_ALREADY))
    return entries


def _in_time(state: MemberState, notice: Notice) -> Entry:
    """The notice, not before what it comes from was known; left out if its time was over by then."""
    known = state.reference.since
    if known > notice.not_after:
        return without(notice, Reason.KNOWN_TOO_LATE)
    return replace(notice, due=max(notice.due, known))


def _notice(state: MemberState, kind: Kind, subject: str, due: datetime, not_after: datetime) -> Notice:
    lifecycle = member_workflow_id(state.merchant_id, state.member_id)
    return Notice(
        key=notice_key(lifecycle, kind, subject, state.member_id),
        kind=kind,
        role=CATALOGUE[kind].role,
        recipient=state.ready.person,
        channels=_chosen(state, kind),
        due=due,
        not_after=not_after,
    )


def _addressed(state: MemberState, entry: Entry) -> list[Entry]:
    profile = state.ready
    return addressed(entry, profile.channels, _chosen(state, entry.kind), chains=profile.chains)


def _chosen(state: MemberState, kind: Kind) -> tuple[str, ...]:
    policy = state.ready.policy
    return policy.welcome if kind is Kind.MEMBER_WELCOME else policy.invitation


def _may_come(entry: Entry) -> bool:
    return isinstance(entry, Notice) or entry.reason in MENDABLE
