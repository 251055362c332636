"""The floor: a plain loop over SQLite that claims, sends and settles the same rows, and decides nothing.

`python bench/peer_raw.py COUNT DATABASE`: the members are in the database, and the message log is empty.
"""

import asyncio
import json
import resource
import sqlite3
import sys
import time
from datetime import UTC, datetime, timedelta

PAGE = 500

MEMBERS = """
    SELECT member_id, name, phone FROM members WHERE merchant_id = 'lumi' AND member_id > ?
    ORDER BY member_id LIMIT ?
"""
CLAIM = """
    INSERT INTO messages (notice_key, channel, merchant_id, lifecycle, kind, role, recipient, address, locale,
        subject, text, segments, status, reason, rule, policy_version, provider, provider_id, doubtful,
        attempts, token, due, not_after, claimed_at)
    VALUES (?, 'sms', 'lumi', 'raw', 'coupon_issued', 'member', ?, ?, 'en', '', ?, 1, 'handing_over', '', '',
        '', '', '', 0, 1, 'raw', ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
SETTLE = """
    UPDATE messages SET status = 'sent', provider = 'noop', settled_at = ?
    WHERE notice_key = ? AND channel = 'sms' AND token = 'raw'
"""
TEXT = "Lumi Studio: {name}, your coupon: Spring treat. Code ABCD2345, until Mon 21 Dec."


async def main(count: int, database: str) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    moments: list[float] = []

    async def hand_over() -> None:
        moments.append(time.time())

    due = datetime.now(UTC) + timedelta(seconds=1)
    await asyncio.sleep(1)
    spent, last = _spent(), ""
    while page := connection.execute(MEMBERS, (last, PAGE)).fetchall():
        now, last = datetime.now(UTC).isoformat(), page[-1][0]
        rows = [
            (f"raw/coupon_issued/now/{id_}", name, phone, TEXT.format(name=name), now, now, now)
            for id_, name, phone in page
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(CLAIM, rows)
        connection.execute("COMMIT")
        await asyncio.gather(*(hand_over() for _ in page))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(SETTLE, [(now, row[0]) for row in rows])
        connection.execute("COMMIT")
    if len(moments) != count:
        raise SystemExit(f"{len(moments)} of {count} messages were handed over")
    late = sorted(at - due.timestamp() for at in moments)
    print(json.dumps({"lateness": late, "cpu": _spent() - spent}))


def _spent() -> float:
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
