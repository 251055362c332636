"""The claim, on both databases: one row per notice and channel, and nobody sends what is not theirs."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.database import open_database
from activities.message_log import MessageLog
from models.agenda import ChannelOutcome, Delivery, Notice, Status
from models.notices import Kind
from models.people import Person, Role

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
NOTICE = Notice(
    key="booking:lumi:b1/pre_visit/s1/ada",
    kind=Kind.PRE_VISIT,
    role=Role.PARTICIPANT,
    recipient=Person("Ada", "ada@example.com", "+886912345678", id="ada"),
    channels=("email", "sms"),
    due=NOW,
    not_after=NOW + timedelta(days=1),
)
DELIVERY: Delivery[Any] = Delivery(NOTICE, None, "lumi", "booking:lumi:b1")
SENT = ChannelOutcome("email", Status.SENT, NOW, provider="smtp")


@pytest.fixture
def log(engine: AsyncEngine) -> MessageLog:
    return MessageLog(engine)


async def test_a_message_that_was_sent_is_never_claimed_again(log: MessageLog) -> None:
    """Whoever comes later is told what came of it, and has nothing to send."""
    claim = await log.claim(DELIVERY, "email", "first", NOW, {})
    await log.settle(claim, SENT, provider_id="id-1")
    again = await log.claim(DELIVERY, "email", "second", NOW, {})
    assert again.outcome == SENT
    assert (await log.claim(DELIVERY, "sms", "second", NOW, {})).outcome is None, "another channel is another"


async def test_a_claim_of_an_attempt_that_died_is_taken_over_and_doubtful(log: MessageLog) -> None:
    """It may have been sent: the next attempt knows, and so does the history."""
    assert not (await log.claim(DELIVERY, "email", "first", NOW, {})).doubtful
    taken_over = await log.claim(DELIVERY, "email", "second", NOW, {})
    assert (taken_over.doubtful, taken_over.outcome) == (True, None)
    (row,) = await log.messages()
    assert (row["doubtful"], row["attempts"], row["token"]) == (True, 2, "second")


async def test_an_attempt_that_failed_cleanly_leaves_no_doubt(log: MessageLog) -> None:
    """The provider said no: the next attempt starts with a clean claim, and the reason is kept."""
    claim = await log.claim(DELIVERY, "email", "first", NOW, {})
    await log.release(claim, "451 try again", doubtful=False)
    (row,) = await log.messages()
    assert (row["status"], row["reason"]) == ("waiting", "451 try again")
    assert not (await log.claim(DELIVERY, "email", "second", NOW, {})).doubtful


async def test_an_attempt_that_lost_its_claim_cannot_settle_it(log: MessageLog) -> None:
    """A late answer of an attempt that was given up does not overwrite the one that took over."""
    first = await log.claim(DELIVERY, "email", "first", NOW, {})
    second = await log.claim(DELIVERY, "email", "second", NOW, {})
    await log.settle(first, replace(SENT, status=Status.FAILED))
    assert (await log.messages())[0]["status"] == "claimed"
    await log.settle(second, SENT)
    assert (await log.messages())[0]["status"] == "sent"


@pytest.mark.parametrize("status", [Status.MISSED, Status.LAPSED, Status.REFUSED])
async def test_what_is_not_sent_any_more_is_on_record_with_its_reason(
    log: MessageLog, status: Status
) -> None:
    """Even when no attempt was ever made."""
    outcome = await log.close(DELIVERY, "email", status, "why", NOW)
    assert outcome == ChannelOutcome("email", status, NOW, "why")
    (row,) = await log.messages()
    assert (row["status"], row["reason"], row["recipient"]) == (status, "why", "Ada")


async def test_closing_what_was_sent_answers_that_it_was_sent(log: MessageLog) -> None:
    """The truth is in the log: a time-out of the attempt does not make it missed."""
    await log.settle(await log.claim(DELIVERY, "email", "first", NOW, {}), SENT)
    assert await log.close(DELIVERY, "email", Status.MISSED, "too late", NOW) == SENT


async def test_closing_what_an_attempt_still_holds_says_that_it_may_have_gone(log: MessageLog) -> None:
    """Neither sent nor missed is known, so neither is claimed to be."""
    await log.claim(DELIVERY, "email", "first", NOW, {})
    outcome = await log.close(DELIVERY, "email", Status.MISSED, "too late", NOW)
    assert (outcome.status, outcome.doubtful) == (Status.UNCERTAIN, True)
    assert outcome.reason == "too late; an attempt may have sent it before"


async def test_closing_after_clean_failures_keeps_the_last_reason(log: MessageLog) -> None:
    """Why it could not be sent is part of why it was missed."""
    claim = await log.claim(DELIVERY, "email", "first", NOW, {})
    await log.release(claim, "451 try again", doubtful=False)
    outcome = await log.close(DELIVERY, "email", Status.MISSED, "too late", NOW)
    assert outcome.status is Status.MISSED
    assert outcome.reason == "too late; the last attempt said: 451 try again"


async def test_of_many_who_claim_at_once_only_one_has_it_without_doubt(database_url: str) -> None:
    """Ten workers, ten engines, one message: one clean claim, nine that know they came later."""
    engines = [open_database(database_url) for _ in range(10)]
    try:
        claims = await asyncio.gather(
            *(MessageLog(e).claim(DELIVERY, "email", f"t{n}", NOW, {}) for n, e in enumerate(engines))
        )
        assert sorted(claim.doubtful for claim in claims) == [False] + [True] * 9
        assert len(await MessageLog(engines[0]).messages()) == 1
    finally:
        await asyncio.gather(*(engine.dispose() for engine in engines))


async def test_the_history_is_read_by_lifecycle_and_by_merchant_newest_first(log: MessageLog) -> None:
    """What an administrator asks for, and nothing else."""
    other = replace(DELIVERY, lifecycle="booking:lumi:b2", notice=replace(NOTICE, key="other"))
    foreign = replace(DELIVERY, merchant_id="nova", notice=replace(NOTICE, key="foreign"))
    for delivery in (DELIVERY, other, foreign):
        await log.claim(delivery, "email", "t", NOW, {})
    assert [row["notice_key"] for row in await log.messages()] == ["foreign", "other", NOTICE.key]
    assert [row["notice_key"] for row in await log.messages(lifecycle="booking:lumi:b2")] == ["other"]
    assert [row["notice_key"] for row in await log.messages(merchant_id="nova")] == ["foreign"]
    (row,) = await log.messages(lifecycle="booking:lumi:b2")
    assert row["due"] == NOW
    assert row["due"].tzinfo is not None
