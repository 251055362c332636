"""What the message log holds of a wave: what is settled already, and what is still on the way."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, select
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
from policies.routes import RECEIPT, goes_on

MANY = 500
"""So many messages are looked at in one go."""
_STATUSES: Mapping[str, Status] = {
    **{status.value: status for status in Status},
    MessageStatus.DELIVERED: Status.SENT,
    MessageStatus.UNDELIVERED: Status.FAILED,
}


@dataclass(frozen=True)
class OnTheWay:
    """A message of a wave that is not settled."""

    id: int
    member_id: str
    channel: str
    notice: Notice


class Standing(NamedTuple):
    """Where a wave stands with some members.

    `settled`: by member and channel what is settled for good. `under_way`: the channels by which a message
    of the wave's own moment is written down and not settled.
    """

    settled: dict[str, dict[str, Settled]]
    under_way: Mapping[str, Set[str]]


def key_of(wave: Wave, member_id: str) -> str:
    """The notice key of a member: the same for every wave about the same moment."""
    return notice_key(wave.lifecycle, wave.kind, wave.subject, member_id)


async def read_settled(
    connection: AsyncConnection, wave: Wave, members: Collection[str]
) -> dict[str, dict[str, Settled]]:
    """By member and channel what is settled for good.

    Of a channel whose place another takes that is all of the two or nothing: the other may be to do yet.
    """
    return (await read_standing(connection, wave, members)).settled


async def read_elsewhere(
    connection: AsyncConnection, wave: Wave, members: Collection[str]
) -> dict[str, dict[str, Settled]]:
    """As `read_settled`, but only of those for whom a wave of another moment has a message in the log."""
    keys = {key_of(wave, member_id): member_id for member_id in members}
    others = await _ELSEWHERE.rows(connection, {"keys": keys}, due=wave.due)
    return await read_settled(connection, wave, {keys[key] for (key,) in others})


async def read_standing(connection: AsyncConnection, wave: Wave, members: Collection[str]) -> Standing:
    """What is settled for good, as `read_settled` tells it, and what is on the way."""
    keys = {key_of(wave, member_id): member_id for member_id in members}
    found = dict[str, dict[str, Settled]]()
    ended = set[tuple[str, str]]()
    under_way = dict[str, set[str]]()
    for key, channel, word, at, rule, due in await _STANDING.rows(connection, {"keys": keys}):
        status = _STATUSES.get(word)
        if status is None:
            if aware(due) == wave.due:
                under_way.setdefault(keys[key], set()).add(channel)
            continue
        found.setdefault(keys[key], {})[channel] = Settled(status, aware(at), rule, aware(due))
        if not goes_on(status, RECEIPT if word == MessageStatus.UNDELIVERED else rule):
            ended.add((keys[key], channel))
    row = CATALOGUE[wave.kind]
    chains = [row.chain(channel, wave.channels) for channel in wave.channels]
    if any(len(chain) > 1 for chain in chains):
        found = {member_id: _whole(by, chains, member_id, ended) for member_id, by in found.items()}
    return Standing(found, under_way)


def _whole(
    by: Mapping[str, Settled],
    chains: Sequence[Sequence[str]],
    member_id: str,
    ended: Collection[tuple[str, str]],
) -> dict[str, Settled]:
    """What is settled of one member, without the chains that are under way."""
    links = {link for chain in chains for link in chain}
    whole = {channel: one for channel, one in by.items() if channel not in links}
    for chain in chains:
        last = next((link for link in chain if (member_id, link) in ended or link not in by), chain[-1])
        if last in by:
            whole |= {link: by[link] for link in chain[: chain.index(last) + 1]}
    return whole


_STANDING = Lookup(
    select(*(MESSAGES.c[name] for name in ("notice_key", "channel", "status", "settled_at", "rule", "due"))),
    keys=MESSAGES.c.notice_key,
)


_ELSEWHERE = Lookup(
    select(MESSAGES.c.notice_key).where(MESSAGES.c.due != bindparam("due", type_=MESSAGES.c.due.type)),
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


def missed_closing(wave: Wave, member_id: str, channel: str, why: str, now: datetime) -> Closing:
    """How a message is settled of which only its member is known."""
    person = Person("", member_id=member_id)
    role = CATALOGUE[wave.kind].role
    key = key_of(wave, member_id)
    notice = Notice(key, wave.kind, role, person, wave.channels, wave.due, wave.not_after)
    delivery = Delivery(notice, None, wave.merchant_id, wave.lifecycle)
    return Closing(delivery, channel, MessageStatus.MISSED, why, now)
