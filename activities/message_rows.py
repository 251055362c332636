"""The rows of the message log: what is written for a claim, for what came of it, and for what is not sent."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Dialect,
    Row,
    and_,
    bindparam,
    func,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.attempt import ALIVE
from activities.bulk import Lookup
from activities.database import aware
from activities.ledger import Want
from models.agenda import ChannelOutcome, Delivery, Status
from models.consent import Suppression, told_reason
from models.merchant import Merchant
from models.tables.messages import MessageRow, MessageStatus
from policies.routes import RECEIPT

MESSAGES = MessageRow.__table__  # type: ignore[attr-defined]
HELD = (MessageStatus.CLAIMED, MessageStatus.HANDING_OVER)
LONGEST = timedelta(minutes=5)
"""No attempt is alive for longer: clocks differ, and that of a lifecycle may have been moved by days."""
NOT_YET = (MessageStatus.WAITING, MessageStatus.DEFERRED)
ON_THE_WAY = (*NOT_YET, *HELD)
PROVIDER_ID: int = MESSAGES.c.provider_id.type.length

Place = tuple[str, str]
"""A notice key and a channel: one message."""
Name = tuple[str, str, str]
"""A message, and the attempt that holds it."""


@dataclass(frozen=True, slots=True)
class Cap:
    """So many of its class, at the most, go to one recipient from that moment on."""

    since: datetime
    most: int


@dataclass(slots=True)
class Asked:
    """A message that is to be claimed by the attempt `token`.

    `said` are the columns that tell what it says. `want` is what it costs, reserved with the claim. With
    `in_hand` it is handed over at once; else it is only held until `hand_over`. `cap` is the recipient's.
    `alive`: for so long the attempt may be about it.
    """

    delivery: Delivery[Any]
    channel: str
    merchant: Merchant
    token: str
    now: datetime
    said: Mapping[str, Any]
    want: Want | None = None
    in_hand: bool = True
    cap: Cap | None = None
    alive: timedelta = ALIVE

    @property
    def place(self) -> Place:
        return self.delivery.notice.key, self.channel


@dataclass(slots=True)
class Claim:
    """The right to send a message once, held by `token`.

    `doubtful`: an earlier attempt may have handed it over. `paid`: something was reserved for it; `unpaid`:
    no points were, so that it can only go by a provider that costs none. `outcome`
    is set when it is settled already, or cannot be paid for: then there is nothing to send. `hindrance`:
    why this attempt may not send it, while another one may, after `wait` where that is known. `overtaken`:
    this attempt is given up, and another one is at work. `until`: so long its attempt may be about it, once
    it is marked.
    """

    key: str
    channel: str
    token: str
    doubtful: bool = False
    paid: bool = False
    unpaid: bool = False
    outcome: ChannelOutcome | None = None
    hindrance: str = ""
    overtaken: bool = False
    wait: timedelta | None = None
    until: datetime | None = None

    @property
    def place(self) -> Place:
        return self.key, self.channel

    @property
    def name(self) -> Name:
        return self.key, self.channel, self.token

    @property
    def holds(self) -> bool:
        """Whether its attempt may send it."""
        return self.outcome is None and not self.hindrance and not self.overtaken


@dataclass(slots=True)
class Left:
    """What becomes of a claimed message: a final status with its moment, or WAITING for another attempt.

    `refund`: what it cost is given back. `free`: it cost no points after all, which are given back, while it
    counts in a quota. `charged`: the merchant whose points it cost after all. `dead_address`: why nothing
    more goes to `address`, if so. `wait`: how long a provider wishes to be left alone; it is not written
    down. `ask_at`: when the provider is first asked what became of it, if it is asked at all.
    """

    claim: Claim
    merchant_id: str
    status: MessageStatus
    now: datetime
    reason: str = ""
    provider: str = ""
    provider_id: str = ""
    doubtful: bool = False
    refund: bool = False
    free: bool = False
    charged: Merchant | None = None
    dead_address: str = ""
    address: str = ""
    wait: timedelta | None = None
    ask_at: datetime | None = None

    @property
    def settled(self) -> bool:
        return self.status is not MessageStatus.WAITING


@dataclass(frozen=True)
class Closing:
    """What becomes of a message that is not claimed: it will not be sent, or not yet.

    Not yet is DEFERRED where a moment is known for it, and WAITING where something must be mended first.
    `rule` and `policy_version` tell which check decided, under which rules. `short`: the merchant whose
    points did not suffice for it, where that is why. [WACA-29b]
    """

    delivery: Delivery[Any]
    channel: str
    status: MessageStatus
    reason: str
    now: datetime
    rule: str = ""
    policy_version: str = ""
    short: Merchant | None = None

    @property
    def place(self) -> Place:
        return self.delivery.notice.key, self.channel

    @property
    def deferred(self) -> bool:
        return self.status in NOT_YET

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "reason": self.reason.replace("\0", ""),
            "rule": self.rule,
            "policy_version": self.policy_version,
            "settled_at": None if self.deferred else self.now,
        }


HOLDER = ("notice_key", "channel", "token")
"""What tells a message, and the attempt that holds it."""

IS_HELD = or_(*(MESSAGES.c.status == status for status in HELD))
"""A list after IN does not allow to carry out a statement for many rows at a time."""

THEIRS = update(MESSAGES).where(*(MESSAGES.c[name] == bindparam(f"held_{name}") for name in HOLDER), IS_HELD)
"""The row that an attempt holds still. Written once: SQLAlchemy then compiles it once."""


def holder(claim: Claim) -> dict[str, Any]:
    """Whose row `THEIRS` means."""
    return {"held_notice_key": claim.key, "held_channel": claim.channel, "held_token": claim.token}


def named(claim: Claim) -> dict[str, Any]:
    """The same by the names of the columns."""
    return dict(zip(HOLDER, claim.name, strict=True))


def holds_still(claim: Claim, rows: Mapping[Place, Row[Any]]) -> bool:
    """Whether a claim is good yet, by the rows as they are now."""
    row = rows.get(claim.place)
    return row is not None and row.token == claim.token and row.status in HELD


def new_row(delivery: Delivery[Any], channel: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The whole row of a message that has none yet."""
    notice = delivery.notice
    return {
        **_BLANK,
        "notice_key": notice.key,
        "channel": channel,
        "merchant_id": delivery.merchant_id,
        "lifecycle": delivery.lifecycle,
        "kind": notice.kind,
        "role": notice.role,
        "recipient": notice.recipient.name,
        "address": notice.recipient.address(channel),
        "due": notice.due,
        "not_after": notice.not_after,
        **columns,
    }


def held_by(asked: Asked) -> dict[str, Any]:
    """What a claim writes into a row."""
    status = MessageStatus.HANDING_OVER if asked.in_hand else MessageStatus.CLAIMED
    until = asked.now + asked.alive
    return {
        **asked.said, "status": status, "token": asked.token, "claimed_at": asked.now, "alive_until": until,
    }  # fmt: skip


def taken_over(asked: Asked, row: Row[Any], claim: Claim) -> dict[str, Any]:
    """What a claim writes into a row that is there: no word of the last decision stays but as past."""
    told = {
        **held_by(asked),
        "due": asked.delivery.notice.due,
        "reason": "",
        "rule": "",
        "held": past_holds(row),
    }
    return {**told, "doubtful": claim.doubtful, "attempts": row.attempts + 1}


def past_holds(row: Row[Any]) -> str:
    """Every rule that has held a message back, the first one first. A rule that holds it on is told once."""
    if row.status != MessageStatus.DEFERRED or not row.rule:
        return str(row.held)
    hold = f"{row.reason} (rule {row.rule}, policy {row.policy_version})"
    holds = [one for one in row.held.split("\n") if one]
    return "\n".join(holds if holds[-1:] == [hold] else [*holds, hold])


def claimed_row(asked: Asked) -> dict[str, Any]:
    """The whole row of a message that has none yet, and is claimed."""
    return new_row(asked.delivery, asked.channel, {**held_by(asked), "attempts": 1})


def under_way(row: Row[Any], now: datetime) -> timedelta | None:
    """For how long yet an attempt may be handing this message over; None where none does.

    Nobody else sends it meanwhile, nor says what became of it.
    """
    if row.status != MessageStatus.HANDING_OVER or row.alive_until is None:
        return None
    left = aware(row.alive_until) - now
    return left if timedelta(0) < left < LONGEST else None


def claim_on(asked: Asked, row: Row[Any] | None) -> Claim:
    """The claim that a row allows; where there was none, the whole of it."""
    claim = Claim(*asked.place, asked.token, paid=asked.want is not None)
    if row is None:
        return claim
    if row.status not in ON_THE_WAY:
        return replace(claim, doubtful=row.doubtful, outcome=outcome_of(row))
    if (wait := under_way(row, asked.now)) is not None:
        return replace(claim, hindrance="another attempt is handing it over", wait=wait)
    # An attempt that only held it has sent nothing; one that was handing it over may have.
    return replace(claim, doubtful=row.doubtful or row.status == MessageStatus.HANDING_OVER)


def left_columns(left: Left) -> dict[str, Any]:
    """What is written of a message that was claimed.

    What a provider says is made to fit: a row that cannot be written would be sent again and again.
    """
    return {
        "status": left.status,
        "reason": left.reason.replace("\0", ""),
        "provider": left.provider,
        "provider_id": left.provider_id[:PROVIDER_ID],
        "settled_at": left.now if left.settled else None,
        "doubtful": left.doubtful,
        "ask_at": left.ask_at,
    }


LEFT_COLUMNS = ("status", "reason", "provider", "provider_id", "settled_at", "doubtful", "ask_at")
"""All that `left_columns` writes."""


def suppression(left: Left) -> Suppression:
    """The address of this message takes nothing any more."""
    return Suppression(
        left.merchant_id,
        left.claim.channel,
        left.address,
        told_reason(left.dead_address),
        left.provider,
        left.now,
    )


def closed_columns(closing: Closing, row: Row[Any]) -> dict[str, Any]:
    """What closing makes of a message that is on its way: what may have gone is not called missed."""
    columns = closing.columns
    doubtful = row.doubtful or row.status == MessageStatus.HANDING_OVER
    goes_on = closing.deferred and (row.rule, row.reason) == (closing.rule, closing.reason)
    columns["held"] = row.held if goes_on else past_holds(row)
    if closing.deferred:
        return {**columns, "doubtful": doubtful}
    if doubtful:
        reason = f"{closing.reason}; an attempt may have sent it before"
        return {**columns, "status": MessageStatus.UNCERTAIN, "reason": reason, "doubtful": True}
    if row.reason and row.status in NOT_YET:
        return {**columns, "reason": f"{closing.reason}; the last attempt said: {row.reason}"}
    return columns


def closed_outcome(channel: str, columns: Mapping[str, Any]) -> ChannelOutcome | None:
    """The outcome in columns just written; None while the message only waits."""
    if columns["status"] in NOT_YET:
        return None
    return ChannelOutcome(
        channel,
        Status(columns["status"]),
        columns["settled_at"],
        columns["reason"],
        doubtful=columns["status"] is MessageStatus.UNCERTAIN,
        rule=columns["rule"],
    )


def outcome_of(row: Row[Any]) -> ChannelOutcome:
    """What came of a settled message."""
    return ChannelOutcome(
        channel=row.channel,
        status=_TO_A_LIFECYCLE.get(row.status) or Status(row.status),
        at=row.settled_at,
        reason=row.reason,
        provider=row.provider,
        doubtful=row.doubtful,
        rule=RECEIPT if row.status == MessageStatus.UNDELIVERED else row.rule,
    )


def to_member(dialect: Dialect, member_id: str) -> ColumnElement[bool]:
    """The messages that are named after a member: those of its lifecycle and of waves.

    The people of a booking have ids of their own. Not LIKE, for which `ada` is `ADA` on SQLite.
    """
    ending = f"/{member_id}"
    postgresql = dialect.name == "postgresql"
    last = (
        func.right(MESSAGES.c.notice_key, len(ending))
        if postgresql
        else func.substr(MESSAGES.c.notice_key, -len(ending))
    )
    others = (MESSAGES.c.lifecycle.startswith(prefix) for prefix in ("booking:", "credits:"))
    return and_(last == ending, *map(not_, others))


def _locking(*columns: Column[Any]) -> Lookup:
    query = select(*columns).order_by(MESSAGES.c.notice_key, MESSAGES.c.channel).with_for_update()
    # Pairs of both would be clearer, but for them SQLite reads the whole log.
    return Lookup(query, keys=MESSAGES.c.notice_key, channels=MESSAGES.c.channel)


WHOLE = _locking(*MESSAGES.c)
HOLDING = _locking(MESSAGES.c.notice_key, MESSAGES.c.channel, MESSAGES.c.token, MESSAGES.c.status)
"""All that `holds_still` looks at."""


async def locked(
    connection: AsyncConnection, places: Collection[Place], what: Lookup = WHOLE
) -> dict[Place, Row[Any]]:
    """The rows of these messages, or a part of them, locked, and it may be more of their notices.

    On SQLite the transaction holds the whole database already.
    """
    whose = {"keys": {key for key, _ in places}, "channels": {channel for _, channel in places}}
    return {(row.notice_key, row.channel): row for row in await what.rows(connection, whose)}


_TO_A_LIFECYCLE = {MessageStatus.DELIVERED: Status.SENT, MessageStatus.UNDELIVERED: Status.FAILED}
"""A receipt came meanwhile: to a lifecycle it went, or it failed."""

_BLANK: dict[str, Any] = {
    "recipient": "", "address": "", "locale": "", "subject": "", "text": "", "segments": 0, "reason": "",
    "rule": "", "policy_version": "", "held": "", "provider": "", "provider_id": "", "doubtful": False,
    "attempts": 0, "token": "", "claimed_at": None, "alive_until": None, "settled_at": None, "asks": 0,
}  # fmt: skip
NEW_COLUMNS = (
    "notice_key", "channel", "merchant_id", "lifecycle", "kind", "role", "due", "not_after", "status", *_BLANK
)  # fmt: skip
"""All that `new_row` writes."""
