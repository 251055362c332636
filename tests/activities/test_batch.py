"""What many ask at one time, on both databases: in few transactions, and each as if it were alone."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.batch import Batch
from activities.database import open_database, reading
from activities.message_log import MessageLog
from tests.activities.test_message_log import DELIVERY, NOTICE, asked
from tests.databases import listen

MANY = 50


def notice_number(number: int) -> str:
    return f"notice-{number}"


async def test_many_claims_at_one_time_share_a_few_transactions(engine: AsyncEngine) -> None:
    """The first goes alone, the others gather meanwhile and go together; each has its own answer."""
    commits: list[object] = []
    listen(engine, "commit", commits.append)
    log = MessageLog(engine)
    wanted = [
        asked("t", delivery=replace(DELIVERY, notice=replace(NOTICE, key=notice_number(number))))
        for number in range(MANY)
    ]
    answers = await asyncio.gather(*(log.claim([one]) for one in wanted))
    assert [claim.key for (claim,) in answers] == [one.delivery.notice.key for one in wanted]
    assert not any(claim.doubtful or claim.outcome for (claim,) in answers)
    assert len(commits) < MANY / 10


async def test_whoever_is_answered_is_committed(engine: AsyncEngine, database_url: str) -> None:
    """A claim counts before anything leaves: another process sees it the moment its owner may send."""
    other = open_database(database_url)
    log, seen = MessageLog(engine), MessageLog(other)

    async def claim(number: int) -> bool:
        key = notice_number(number)
        await log.claim(
            [asked("t", delivery=replace(DELIVERY, notice=replace(NOTICE, key=key), lifecycle=key))]
        )
        (row,) = await seen.messages(lifecycle=key)
        return bool(row["status"] == "handing_over")

    assert all(await asyncio.gather(*map(claim, range(MANY))))
    await other.dispose()


async def write_merchants(connection: AsyncConnection, ids: Sequence[str | None]) -> list[str]:
    for merchant_id in ids:
        await connection.execute(
            text(
                "INSERT INTO merchants (id, name, document, revision, updated_at)"
                " VALUES (:id, 'x', '{}', 1, CURRENT_TIMESTAMP)"
            ),
            {"id": merchant_id},
        )
    return [str(merchant_id) for merchant_id in ids]


async def test_one_that_cannot_be_written_does_not_take_the_others_with_it(engine: AsyncEngine) -> None:
    """Its error is its own; what went along with it is written, once."""
    batch: Batch[str | None, str] = Batch(engine, write_merchants)
    ids = [None if number == MANY // 2 else f"m{number:02}" for number in range(MANY)]
    answers = await asyncio.gather(*map(batch.ask, ids), return_exceptions=True)
    (failed,) = [answer for answer in answers if isinstance(answer, BaseException)]
    assert isinstance(failed, DBAPIError)
    async with reading(engine) as connection:
        written = (await connection.execute(text("SELECT id FROM merchants ORDER BY id"))).scalars().all()
    assert written == [merchant_id for merchant_id in ids if merchant_id]


async def test_a_database_that_is_out_of_reach_is_an_error_to_everyone(engine: AsyncEngine) -> None:
    """And whoever comes later finds it at work again."""
    down = True

    async def answer(_: AsyncConnection, numbers: Sequence[int]) -> Sequence[int]:
        if down:
            raise ConnectionRefusedError
        return numbers

    batch: Batch[int, int] = Batch(engine, answer)
    answers = await asyncio.gather(*map(batch.ask, range(MANY)), return_exceptions=True)
    assert all(isinstance(one, ConnectionRefusedError) for one in answers)
    down = False
    assert await batch.ask_all([1, 2, 3]) == [1, 2, 3]


async def test_who_gives_up_waiting_leaves_the_others_alone(engine: AsyncEngine) -> None:
    """A cancelled attempt's request is written or not; nobody else's answer is lost."""
    batch: Batch[str | None, str] = Batch(engine, write_merchants)
    tasks = [asyncio.create_task(batch.ask(f"m{number}")) for number in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [answer for number, answer in enumerate(answers) if number != 3] == [
        f"m{number}" for number in range(10) if number != 3
    ]
    with pytest.raises(asyncio.CancelledError):
        tasks[3].result()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_transaction_that_postgresql_ended_for_anothers_sake_is_carried_out_again(
    engine: AsyncEngine,
) -> None:
    """Two lock the same two things in opposite order: one is ended, and both are answered."""
    both_hold, begun = asyncio.Barrier(2), list[int]()

    async def answer(connection: AsyncConnection, requests: Sequence[int]) -> Sequence[int]:
        (first,) = requests
        begun.append(first)
        await connection.execute(select(func.pg_advisory_xact_lock(first)))
        if len(begun) <= 2:
            await both_hold.wait()
        await connection.execute(select(func.pg_advisory_xact_lock(3 - first)))
        return requests

    batches = [Batch[int, int](engine, answer) for _ in range(2)]
    answers = await asyncio.gather(*(batch.ask(number) for number, batch in enumerate(batches, 1)))
    assert answers == [1, 2]
    assert len(begun) == 3
