"""The floor: a plain loop over SQLite that claims, sends and settles the same rows, and decides nothing.

`python bench/peer_raw.py COUNT DATABASE WHAT`: the members and their coupons are in the database, and the
message log is empty. WHAT is JSON: `lifecycle` and `policy` of the rows; `texts`: by locale a text, with
places for name and code, and its segments; `group`: so many are claimed at a time, which a crash leaves in
doubt.
"""

import asyncio
import json
import resource
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

PAGE = 500

MEMBERS = """
    SELECT member_id, name, phone, locale, code FROM members JOIN coupons USING (merchant_id, member_id)
    WHERE merchant_id = 'lumi' AND drop_id = 'spring' AND member_id > ? ORDER BY member_id LIMIT ?
"""
CLAIM = """
    INSERT INTO messages (notice_key, channel, merchant_id, lifecycle, kind, role, recipient, address, locale,
        subject, text, segments, status, reason, rule, policy_version, provider, provider_id, doubtful,
        attempts, token, due, not_after, claimed_at, alive_until)
    VALUES (?, 'sms', 'lumi', ?, 'coupon_issued', 'member', ?, ?, ?, '', ?, ?, 'handing_over', '', '',
        ?, '', '', 0, 1, 'raw', ?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
SETTLE = """
    UPDATE messages SET status = 'sent', provider = 'noop', settled_at = ?
    WHERE notice_key = ? AND channel = 'sms' AND token = 'raw'
"""


async def main(count: int, database: str, what: str) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    told, moments = json.loads(what), list[float]()
    lifecycle, policy, texts = told["lifecycle"], told["policy"], told["texts"]

    async def hand_over() -> None:
        moments.append(time.time())

    due = datetime.now(UTC) + timedelta(seconds=1)
    last_moment = _written(due + timedelta(hours=2))
    await asyncio.sleep(1)
    spent, last, settled_at = _spent(), "", ""
    gone: Sequence[tuple[object, ...]] = ()
    while page := connection.execute(MEMBERS, (last, PAGE)).fetchall():
        now, alive = _written(datetime.now(UTC)), _written(datetime.now(UTC) + timedelta(seconds=90))
        last, rows = page[-1][0], []
        for id_, name, phone, locale, code in page:
            text, segments = texts[locale]
            key, said = f"{lifecycle}/coupon_issued/now/{id_}", text.format(name=name, code=code)
            rows.append(
                (key, lifecycle, name, phone, locale, said, segments, policy, now, last_moment, now, alive)
            )
        for start in range(0, len(rows), told["group"]):
            group = rows[start : start + told["group"]]
            settle = [(settled_at, row[0]) for row in gone]
            with _transaction(connection):
                connection.executemany(SETTLE, settle)
                connection.executemany(CLAIM, group)
            await asyncio.gather(*(hand_over() for _ in group))
            gone, settled_at = group, _written(datetime.now(UTC))
    with _transaction(connection):
        connection.executemany(SETTLE, [(settled_at, row[0]) for row in gone])
    if len(moments) != count:
        raise SystemExit(f"{len(moments)} of {count} messages were handed over")
    late = sorted(at - due.timestamp() for at in moments)
    print(json.dumps({"lateness": late, "cpu": _spent() - spent}))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _written(instant: datetime) -> str:
    """As the wave writes it."""
    return instant.replace(tzinfo=None).isoformat(" ", "microseconds")


def _spent() -> float:
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
