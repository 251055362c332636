"""The day's cap, looked at again when a message is claimed: of two that go at once both saw room before."""

from collections.abc import Sequence

from sqlalchemy import Row, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.bulk import Lookup
from activities.database import aware
from activities.message_rows import MESSAGES, Asked, Place
from models.notices import CATALOGUE, Kind, NoticeClass
from models.tables.messages import MessageStatus

COUNTED = (
    MessageStatus.CLAIMED,
    MessageStatus.HANDING_OVER,
    MessageStatus.SENT,
    MessageStatus.DELIVERED,
    MessageStatus.UNDELIVERED,
    MessageStatus.UNCERTAIN,
)
"""What counts towards the day's cap: it has gone, or may have."""

_gone_at = func.coalesce(MESSAGES.c.settled_at, MESSAGES.c.claimed_at).label("at")
SENT_SINCE = Lookup(
    select(
        *(MESSAGES.c[name] for name in ("merchant_id", "address", "channel", "kind", "notice_key")), _gone_at
    ).where(_gone_at >= bindparam("since"), MESSAGES.c.status.in_(COUNTED)),
    merchants=MESSAGES.c.merchant_id,
    addresses=MESSAGES.c.address,
)
"""What has gone to some addresses since a moment."""

Recipient = tuple[str, str, str]
"""A merchant, an address, a channel."""

_ALONE = text(
    "SELECT pg_advisory_xact_lock(one) FROM (SELECT DISTINCT hashtextextended(name, 0) AS one"
    " FROM unnest(CAST(:names AS text[])) AS name ORDER BY 1) AS ordered"
)
_TOGETHER = text(str(_ALONE).replace("pg_advisory_xact_lock", "pg_advisory_xact_lock_shared"))
MANY = 500
"""For more recipients than this at a time whole merchants are held: the room for locks has an end."""


def classes_of() -> dict[Kind, NoticeClass]:
    """The class of every kind."""
    return {kind: row.notice_class for kind, row in CATALOGUE.items()}


async def take_turns(connection: AsyncConnection, asked: Sequence[Asked]) -> None:
    """Let nobody else claim for the same recipients until this transaction has ended.

    Before any row is locked, merchants before recipients, and each in one order, so that nobody waits in a
    ring. SQLite has one writer anyway.
    """
    capped = [one for one in asked if one.cap is not None]
    if not capped or connection.dialect.name != "postgresql":
        return
    names = sorted({"\n".join(_recipient(one)) for one in capped})
    merchants = {"names": sorted({one.merchant.id for one in capped})}
    if len(names) > MANY:
        await connection.execute(_ALONE, merchants)
        return
    await connection.execute(_TOGETHER, merchants)
    await connection.execute(_ALONE, {"names": names})


async def over_the_cap(connection: AsyncConnection, asked: Sequence[Asked]) -> set[Place]:
    """Those for which there is no room: others have gone to their recipients since the gate looked."""
    capped = [(one, one.cap) for one in asked if one.cap is not None]
    if not capped:
        return set()
    whose = {
        "merchants": {one.merchant.id for one, _ in capped},
        "addresses": {_recipient(one)[1] for one, _ in capped},
    }
    sent: dict[Recipient, list[Row[tuple[object, ...]]]] = {}
    for row in await SENT_SINCE.rows(connection, whose, since=min(cap.since for _, cap in capped)):
        sent.setdefault((row.merchant_id, row.address, row.channel), []).append(row)
    classes, going, over = classes_of(), dict[tuple[Recipient, NoticeClass], int](), set[Place]()
    for one, cap in capped:
        key, whom = one.delivery.notice.key, _recipient(one)
        place = whom, classes[one.delivery.notice.kind]
        counted = [
            row.notice_key
            for row in sent.get(whom, ())
            if classes.get(row.kind) is place[1] and aware(row.at) >= cap.since
        ]
        if key in counted:
            continue  # it has gone, or may have: it takes up no more room
        if len(counted) + going.get(place, 0) < cap.most:
            going[place] = going.get(place, 0) + 1
        else:
            over.add(one.place)
    return over


def _recipient(one: Asked) -> Recipient:
    return one.merchant.id, one.delivery.notice.recipient.address(one.channel), one.channel
