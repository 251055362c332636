"""What a lifecycle owes, what came of it, and what it leaves out with the reason."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from models.light import light
from models.notices import Kind
from models.people import Person, Role

C = TypeVar("C")
"""The content of a notice: the plain values that its lifecycle puts into it."""


@light
@dataclass(frozen=True)
class Notice:
    """What is owed: one kind, one recipient, one moment.

    `due` and `not_after` are UTC instants; after `not_after` the notice is missed and never sent.
    `about` names the services that it speaks of.
    """

    key: str
    kind: Kind
    role: Role
    recipient: Person
    channels: tuple[str, ...]
    due: datetime
    not_after: datetime
    about: tuple[str, ...] = ()


class Reason(StrEnum):
    """Why a notice, or one channel of it, is left out."""

    ORDER_CANCELLED = "order_cancelled"
    ORDER_FAILED = "order_failed"
    ORDER_RESTORED = "order_restored"
    SESSION_CANCELLED = "session_cancelled"
    REPLACED = "replaced"
    NOT_ACCEPTED_YET = "not_accepted_yet"
    ALREADY_PAID = "already_paid"
    PAID_IN_PERSON = "paid_in_person"
    NO_DEADLINE = "no_deadline"
    ORDERED_TOO_LATE = "ordered_too_late"
    SERVICE_TOO_SOON = "service_too_soon"
    KNOWN_TOO_LATE = "known_too_late"
    NO_ADDRESS = "no_address"
    CHANNEL_OFF = "channel_off"
    BARRED = "barred"
    SHORT_COUPON = "short_coupon"
    COUPON_REVOKED = "coupon_revoked"
    NOT_WANTED = "not_wanted"
    INVITED_ALREADY = "invited_already"
    MEMBER_GONE = "member_gone"
    DECLINED = "declined"
    NOT_AGREED = "not_agreed"
    QUIET_TOO_LONG = "quiet_too_long"

    @property
    def sentence(self) -> str:
        """The reason in words, for an administrator."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.ORDER_CANCELLED: "the order is cancelled",
    Reason.ORDER_FAILED: "the order failed",
    Reason.ORDER_RESTORED: "a payment made in time restored the order",
    Reason.SESSION_CANCELLED: "the session is cancelled",
    Reason.REPLACED: "somebody else has taken the place of the recipient",
    Reason.NOT_ACCEPTED_YET: "waits until the merchant accepts the service",
    Reason.ALREADY_PAID: "the order is paid",
    Reason.PAID_IN_PERSON: "payment in person gets no reminder",
    Reason.NO_DEADLINE: "this payment method has no deadline",
    Reason.ORDERED_TOO_LATE: "the order came after the moment of its reminder",
    Reason.SERVICE_TOO_SOON: "the service is on the day of the order or the day after",
    Reason.KNOWN_TOO_LATE: "it became known when it was too late to tell",
    Reason.NO_ADDRESS: "the recipient has no address for this channel",
    Reason.CHANNEL_OFF: "the merchant has not switched this channel on",
    Reason.BARRED: "the merchant may send no such messages by this channel",
    Reason.SHORT_COUPON: "the coupon can be used for too few days",
    Reason.COUPON_REVOKED: "the coupon is revoked",
    Reason.NOT_WANTED: "the merchant sends none",
    Reason.INVITED_ALREADY: "an invitation has gone already since the last purchase",
    Reason.MEMBER_GONE: "the member is known no longer",
    Reason.DECLINED: "the recipient has said no to such messages",
    Reason.NOT_AGREED: "the recipient has not agreed to such messages",
    Reason.QUIET_TOO_LONG: "quiet hours end after its last moment",
}


@dataclass(frozen=True)
class LeftOut:
    """A notice, or some channels of one, that will not be sent as things stand."""

    key: str
    kind: Kind
    role: Role
    recipient: Person
    channels: tuple[str, ...]
    reason: Reason
    due: datetime | None = None
    about: tuple[str, ...] = ()


class Status(StrEnum):
    """What came of one message."""

    SENT = "sent"
    """The provider has taken it."""
    REFUSED = "refused"
    """A check of ours did not let it go."""
    FAILED = "failed"
    """The provider refused it for good."""
    MISSED = "missed"
    """Its last moment passed before it could go."""
    LAPSED = "lapsed"
    """It was no longer owed before it could go."""
    UNCERTAIN = "uncertain"
    """It may have gone when a worker died, and its class forbids a second one."""


@light
@dataclass(frozen=True)
class ChannelOutcome:
    """What came of a notice on one channel. `doubtful`: it may have arrived twice.

    `rule`: the check that refused it, where one did; `receipt` where it was sent and did not arrive.
    """

    channel: str
    status: Status
    at: datetime
    reason: str = ""
    provider: str = ""
    doubtful: bool = False
    rule: str = ""


@dataclass(frozen=True)
class Done:
    """A notice that is settled, one way or another."""

    notice: Notice
    outcomes: tuple[ChannelOutcome, ...]

    @property
    def status(self) -> Status:
        """The best of its channels: sent if any was."""
        statuses = [outcome.status for outcome in self.outcomes]
        order = [
            Status.SENT,
            Status.UNCERTAIN,
            Status.MISSED,
            Status.FAILED,
            Status.REFUSED,
            Status.LAPSED,
        ]
        return next((status for status in order if status in statuses), Status.LAPSED)


@dataclass(frozen=True)
class NotTaken:
    """A fact that changed nothing, and why."""

    event_id: str
    fact: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Hindered:
    """A channel by which a notice cannot go, as things stand."""

    channel: str
    reason: Reason


@dataclass(frozen=True)
class Foreseen:
    """What will come to a member from elsewhere: from a coupon, a regular task, or the end of a bonus.

    `kind`: that of a notice, or the name of what happens. `source`: the id of what brings it.
    `channels`: by which it goes as things stand; `hindered`: by which it cannot. Of what happens without a
    message both are empty. `goes`: when quiet hours, that hold it at its moment, let it go. `until`: up to
    then it is foreseen, if longer than up to its moment. Instants are UTC.
    """

    kind: str
    due: datetime
    words: str
    source: str
    channels: tuple[str, ...] = ()
    hindered: tuple[Hindered, ...] = ()
    goes: datetime | None = None
    until: datetime | None = None

    def coming(self, now: datetime) -> bool:
        """Whether it is still to come."""
        return now < (self.until or self.due)


@dataclass(frozen=True)
class Agenda:
    """The whole of it: one answer for the query, the command line and the Web UI.

    `owed` is in the order of `due`. `next_moment` is when the lifecycle next acts by itself,
    UTC; None when it waits only for what is under way, or is over.
    `foreseen` is not owed here: others bring it to the same member.
    """

    lifecycle: str
    stage: str
    zone: str
    owed: tuple[Notice, ...] = ()
    done: tuple[Done, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    not_taken: tuple[NotTaken, ...] = ()
    next_moment: datetime | None = None
    over: bool = False
    foreseen: tuple[Foreseen, ...] = ()

    def key(self, key: str) -> Notice | None:
        """The owed notice of that key."""
        return next((notice for notice in self.owed if notice.key == key), None)


@dataclass(frozen=True)
class Verdict:
    """What became of a fact: taken, already known, or refused with the reason."""

    taken: bool
    reason: str = ""
    known: bool = False


@dataclass(frozen=True)
class Report:
    """A lifecycle's last words: how it ended, what was sent, what was not and why."""

    lifecycle: str
    stage: str
    words: str
    sent: int = 0
    missed: int = 0
    failed: int = 0
    left_out: int = 0


@light
@dataclass(frozen=True)
class Delivery(Generic[C]):
    """What an activity needs in order to send one notice."""

    notice: Notice
    content: C
    merchant_id: str
    lifecycle: str


@dataclass(frozen=True)
class CloseOut(Generic[C]):
    """What an activity needs in order to settle what will not be sent any more."""

    delivery: Delivery[C]
    status: Status
    reason: str
