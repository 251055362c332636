"""What the message log holds of a wave: what is settled already, and what is still on the way."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.bulk import Lookup
from activities.database import aware
from activities.message_rows import MESSAGES, ON_THE_WAY, Closing
from activities.wave_tally import Settled
from models.agenda import Delivery, Notice, Status
from models.ids import notice_key
from models.notices import CATALOGUE
from models.people import Person, Role
from models.tables.messages import MessageStatus
from models.wave import Wave

MANY = 500
"""So many messages are looked at in one go."""
_STATUSES: Mapping[str, Status] = {
    **{status.value: status for status in Status},
    MessageStatus.DELIVERED: Status.SENT,
    MessageStatus.UNDELIVERED: Status.FAILED,
}
_UNSUCCESSFUL = (Status.REFUSED, Status.FAILED)


@dataclass(frozen=True)
class OnTheWay:
    """A message of a wave that is not settled."""

    id: int
    member_id: str
    channel: str
    notice: Notice


def key_of(wave: Wave, member_id: str) -> str:
    """The notice key of a member: the same for every wave about the same moment."""
    return notice_key(wave.lifecycle, wave.kind, wave.subject, member_id)


async def read_settled(
    connection: AsyncConnection, wave: Wave, members: Collection[str]
) -> dict[str, dict[str, Settled]]:
    """By member and channel what is settled for good.

    A refusal or failure after which the route goes on by another channel is not: that one may be to do yet.
    """
    last = {route[-1] for route in CATALOGUE[wave.kind].routes}
    keys = {key_of(wave, member_id): member_id for member_id in members}
    found = dict[str, dict[str, Settled]]()
    for key, channel, word, at, rule in await _STANDING.rows(connection, {"keys": keys}):
        status = _STATUSES.get(word)
        if status is not None and (status not in _UNSUCCESSFUL or channel in last):
            found.setdefault(keys[key], {})[channel] = Settled(status, aware(at), rule)
    return found


_STANDING = Lookup(
    select(*(MESSAGES.c[name] for name in ("notice_key", "channel", "status", "settled_at", "rule"))),
    keys=MESSAGES.c.notice_key,
)


async def read_on_the_way(connection: AsyncConnection, wave: Wave, after: int) -> list[OnTheWay]:
    """Messages for this wave's moment that are not settled, by their number and after that one.

    Those of another wave of the same subject are not among them: it is due at another moment.
    """
    prefix = key_of(wave, "")
    query = (
        select(MESSAGES)
        .where(
            MESSAGES.c.lifecycle == wave.lifecycle,
            MESSAGES.c.kind == wave.kind,
            MESSAGES.c.status.in_(ON_THE_WAY),
            MESSAGES.c.notice_key.startswith(prefix, autoescape=True),
            MESSAGES.c.due == wave.due,
            MESSAGES.c.id > after,
        )
        .order_by(MESSAGES.c.id)
        .limit(MANY)
    )
    found = []
    for row in await connection.execute(query):
        due, not_after = aware(row.due), aware(row.not_after)
        person = Person(row.recipient)
        notice = Notice(row.notice_key, wave.kind, Role(row.role), person, (row.channel,), due, not_after)
        found.append(OnTheWay(row.id, row.notice_key.removeprefix(prefix), row.channel, notice))
    return found


def closings_of(wave: Wave, messages: Sequence[OnTheWay], why: str, now: datetime) -> list[Closing]:
    """How they are settled: they are not owed any more."""
    return [
        Closing(
            Delivery(one.notice, None, wave.merchant_id, wave.lifecycle),
            one.channel,
            MessageStatus.LAPSED,
            why,
            now,
        )
        for one in messages
    ]
