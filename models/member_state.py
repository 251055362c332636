"""A member as its lifecycle knows it: when it registered and last bought, and what it was told."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from models.agenda import ChannelOutcome, Done, NotTaken, Report, Status
from models.ids import member_workflow_id
from models.member import Member
from models.member_policy import MemberPolicy
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.people import Person

NEVER_KNOWN = timedelta(days=28)
"""So long the facts of one who is no member are kept for it, from the last of them: an id may be mistyped."""


class Stage(StrEnum):
    """Where a member stands."""

    WAITING = "waiting"
    """For the member, or its merchant, to become known."""
    NEW = "new"
    """Registered, and has not bought yet."""
    ACTIVE = "active"
    """Bought, and not long ago."""
    QUIET = "quiet"
    """Has not bought for so long that an invitation fell due."""
    INVITED = "invited"
    """An invitation has gone since."""
    GONE = "gone"
    """Known no longer."""


@dataclass(frozen=True)
class Profile:
    """What the lifecycle needs to know of a member and its merchant, and no more. Read anew at every turn.

    `zone`: the member's own, else that of its branch, else the merchant's.
    `chains`: a channel that is chosen cannot be used, and another is to take its place. A profile that was
    read before there was such a thing says no.
    """

    person: Person
    zone: str
    registered_at: datetime
    channels: tuple[str, ...]
    policy: MemberPolicy
    branch_id: str = ""
    chains: bool = False


def profile_of(member: Member, merchant: Merchant) -> Profile:
    """The profile of a member of that merchant."""
    return Profile(
        person=member.person,
        zone=member.zone or merchant.zone_of(member.branch_id),
        registered_at=member.registered_at,
        channels=merchant.channels,
        policy=merchant.members,
        branch_id=member.branch_id,
        chains=_one_for_another(member.person, merchant),
    )


def _one_for_another(person: Person, merchant: Merchant) -> bool:
    """Whether a chosen channel that cannot be used has another to take its place. [LS-50]"""
    policy = merchant.members
    return any(
        len(CATALOGUE[kind].chain(channel, chosen)) > 1
        and not (channel in merchant.channels and person.address(channel))
        for kind, chosen in ((Kind.MEMBER_WELCOME, policy.welcome), (Kind.INVITATION, policy.invitation))
        for channel in chosen
    )


@dataclass(frozen=True)
class Known:
    """When something happened, and since when it is known here: nothing could be told before. UTC."""

    at: datetime
    since: datetime


@dataclass(frozen=True)
class Gone:
    """An invitation that went, or may have: by `key`, at that instant."""

    key: str
    at: datetime


@dataclass(frozen=True)
class MemberState:
    """All of a member's lifecycle: the workflow's input, its continue-as-new argument, its answers' source.

    Given the two ids alone it is a beginning: what an earlier life remembered is read by the first activity.
    `registered`: the earliest registration told; `purchased`: the latest purchase.
    `member_gone`: it was known, and is known no longer.
    """

    merchant_id: str
    member_id: str
    profile: Profile | None = None
    registered: Known | None = None
    purchased: Known | None = None
    done: tuple[Done, ...] = ()
    not_taken: tuple[NotTaken, ...] = ()
    seen: tuple[str, ...] = ()
    member_gone: bool = False

    @property
    def ready(self) -> Profile:
        """The profile. Nothing is decided before it is read."""
        if self.profile is None:
            raise ValueError("the member is not read yet")
        return self.profile

    @property
    def reference(self) -> Known:
        """What the days without a purchase are counted from: the latest of these. [LOY-50, LOY-53]"""
        began, bought = self.began, self.purchased
        return bought if bought is not None and bought.at >= began.at else began

    @property
    def began(self) -> Known:
        """The registration: as it was told, or as the member was kept; then known since the first fact."""
        at = self.ready.registered_at
        since = at if self.purchased is None else max(at, self.purchased.since)
        return self.registered or Known(at, since)

    @property
    def settled(self) -> frozenset[str]:
        """The keys of the notices that are settled."""
        return frozenset(done.notice.key for done in self.done)

    @property
    def gone(self) -> tuple[Gone, ...]:
        """The invitations that went."""
        return tuple(
            Gone(done.notice.key, min(outcome.at for outcome in went))
            for done in self.done
            if done.notice.kind in INVITATIONS and (went := [o for o in done.outcomes if _went(o)])
        )


INVITATIONS = (Kind.INVITATION, Kind.INVITATION_AGAIN)


def _went(outcome: ChannelOutcome) -> bool:
    return outcome.status in (Status.SENT, Status.UNCERTAIN)


@dataclass(frozen=True)
class Memory:
    """What one life leaves to the next: no address, for that is read anew."""

    registered: Known | None = None
    purchased: Known | None = None
    done: tuple[Done, ...] = ()
    not_taken: tuple[NotTaken, ...] = ()
    seen: tuple[str, ...] = ()


def memory_of(state: MemberState) -> Memory:
    """What is kept of a state when its life ends."""
    done = tuple(replace(one, notice=replace(one.notice, recipient=_bare(one))) for one in state.done)
    return Memory(state.registered, state.purchased, done, state.not_taken, state.seen)


def _bare(done: Done) -> Person:
    person = done.notice.recipient
    return Person(person.name, member_id=person.member_id, id=person.id)


def never_a_member(state: MemberState) -> Report:
    """The last words of a life that waited for its member in vain."""
    why = (
        f"Waited {NEVER_KNOWN.days} days for member {state.member_id} of {state.merchant_id}, which is not"
        " known here, or not verified. What was told of it is forgotten: add it, and tell it again."
    )
    return Report(member_workflow_id(state.merchant_id, state.member_id), Stage.WAITING, why)
