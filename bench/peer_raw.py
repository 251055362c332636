"""The floor: a plain loop over SQLite that claims, sends and settles the same rows, and decides nothing.

`python bench/peer_raw.py COUNT DATABASE WHAT`: the members and their coupons are in the database, and the
message log is empty. WHAT is JSON: `lifecycle` and `policy` of the rows, and `texts`: by locale a text, with
places for name and code, and its segments.
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
    spent, last = _spent(), ""
    while page := connection.execute(MEMBERS, (last, PAGE)).fetchall():
        now, alive = _written(datetime.now(UTC)), _written(datetime.now(UTC) + timedelta(seconds=90))
        last, rows = page[-1][0], []
        for id_, name, phone, locale, code in page:
            text, segments = texts[locale]
            key, said = f"{lifecycle}/coupon_issued/now/{id_}", text.format(name=name, code=code)
            rows.append(
                (key, lifecycle, name, phone, locale, said, segments, policy, now, last_moment, now, alive)
            )
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


def _written(instant: datetime) -> str:
    """As the wave writes it."""
    return instant.replace(tzinfo=None).isoformat(" ", "microseconds")


def _spent() -> float:
    return sum(resource.getrusage(resource.RUSAGE_SELF)[:2])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
