"""The claim, on both databases: one row per notice and channel, and nobody sends what is not theirs."""

import asyncio
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.attempt import ALIVE
from activities.consents import Consents
from activities.database import open_database, reading, writing
from activities.explain import explained
from activities.ledger import Want
from activities.ledger_accounts import balance, topup
from activities.message_log import MessageLog
from activities.message_rows import Asked, Claim, Closing, Left
from models.agenda import ChannelOutcome, Delivery, Notice, Status
from models.credits import CreditPolicy, Pool
from models.ids import message_reference
from models.merchant import SmsProvider, SmsSettings
from models.notices import Kind
from models.people import Person, Role
from models.tables.messages import MessageStatus
from tests.activities.claim_racer import MESSAGES
from tests.processes import ROOT
from tests.world import MERCHANT

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
LATER = NOW + ALIVE
"""An attempt of NOW is surely over."""
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
PAYING = replace(MERCHANT, sms=SmsSettings(SmsProvider.SMARTDOVE), credits=CreditPolicy(enabled=True))


def asked(token: str, channel: str = "email", **changes: Any) -> Asked:
    return replace(Asked(DELIVERY, channel, MERCHANT, token, NOW, {}), **changes)


def left(claim: Claim, status: MessageStatus = MessageStatus.SENT, **changes: Any) -> Left:
    return replace(Left(claim, "lumi", status, NOW, provider="smtp"), **changes)


def closing(status: MessageStatus = MessageStatus.MISSED, reason: str = "too late") -> Closing:
    return Closing(DELIVERY, "email", status, reason, NOW)


@pytest.fixture
def log(engine: AsyncEngine) -> MessageLog:
    return MessageLog(engine)


async def claimed(log: MessageLog, token: str, channel: str = "email", **changes: Any) -> Claim:
    (claim,) = await log.claim([asked(token, channel, **changes)])
    return claim


async def test_a_message_that_was_sent_is_never_claimed_again(log: MessageLog) -> None:
    """Whoever comes later is told what came of it, and has nothing to send."""
    await log.leave([left(await claimed(log, "first"), provider_id="id-1")])
    again = await claimed(log, "second")
    assert again.outcome == ChannelOutcome("email", Status.SENT, NOW, provider="smtp")
    assert (await claimed(log, "second", "sms")).outcome is None, "another channel is another message"


async def test_what_a_dead_attempt_was_handing_over_is_taken_over_in_doubt(log: MessageLog) -> None:
    """It may have been sent: the next attempt knows, and so does the history."""
    assert not (await claimed(log, "first")).doubtful
    taken_over = await claimed(log, "second", now=LATER)
    assert (taken_over.doubtful, taken_over.outcome) == (True, None)
    (row,) = await log.messages()
    assert (row["doubtful"], row["attempts"], row["token"]) == (True, 2, "second")


@pytest.mark.parametrize("moment", [NOW - timedelta(seconds=3), NOW, LATER - timedelta(seconds=1)])
async def test_what_an_attempt_may_still_be_handing_over_is_left_to_it(
    log: MessageLog, moment: datetime
) -> None:
    """Nobody sends it beside that one, nor calls it uncertain: it is told when to come again."""
    first = await claimed(log, "first")
    again = await claimed(log, "second", now=moment)
    assert (again.holds, again.doubtful, again.outcome) == (False, False, None)
    assert again.hindrance == "another attempt is handing it over"
    assert again.wait == LATER - moment
    await log.leave([left(first)])
    (row,) = await log.messages()
    assert (row["status"], row["attempts"], row["doubtful"]) == ("sent", 1, False)


async def test_a_claim_of_a_clock_that_was_moved_forward_hinders_nobody_for_days(log: MessageLog) -> None:
    """A lifecycle that was moved on by a month has claimed at a moment that is yet to come."""
    await claimed(log, "first", now=NOW + timedelta(days=30))
    assert (await claimed(log, "second")).holds


async def test_what_a_dead_attempt_only_held_is_taken_over_without_doubt(log: MessageLog) -> None:
    """Of a page, only what was marked as leaving is in doubt after a crash."""
    first = asked("first", in_hand=False)
    second = replace(first, delivery=replace(DELIVERY, notice=replace(NOTICE, key="other")))
    claims = await log.claim([first, second])
    await log.hand_over(claims[:1])
    again = await log.claim([replace(one, token="later", now=LATER) for one in (first, second)])
    assert [claim.doubtful for claim in again] == [True, False]


async def test_an_attempt_that_failed_cleanly_leaves_no_doubt(log: MessageLog) -> None:
    """The provider said no: the next attempt starts with a clean claim, and the reason is kept."""
    await log.leave([left(await claimed(log, "first"), MessageStatus.WAITING, reason="451 try again")])
    (row,) = await log.messages()
    assert (row["status"], row["reason"], row["settled_at"]) == ("waiting", "451 try again", None)
    assert not (await claimed(log, "second")).doubtful


async def test_an_attempt_that_lost_its_claim_cannot_settle_it(log: MessageLog) -> None:
    """A late answer of an attempt that was given up does not overwrite the one that took over."""
    first, second = await claimed(log, "first"), await claimed(log, "second", now=LATER)
    await log.leave([left(first, MessageStatus.FAILED)])
    assert (await log.messages())[0]["status"] == "handing_over"
    await log.leave([left(second)])
    assert (await log.messages())[0]["status"] == "sent"


@pytest.mark.parametrize("status", [MessageStatus.MISSED, MessageStatus.LAPSED, MessageStatus.REFUSED])
async def test_what_is_not_sent_any_more_is_on_record(log: MessageLog, status: MessageStatus) -> None:
    """With its reason, even when no attempt was ever made."""
    assert await log.close([closing(status, "why")]) == [ChannelOutcome("email", Status(status), NOW, "why")]
    (row,) = await log.messages()
    assert (row["status"], row["reason"], row["recipient"]) == (status, "why", "Ada")


async def test_what_is_deferred_is_on_record_and_can_be_claimed_later(log: MessageLog) -> None:
    """It waits with its reason; that is no outcome."""
    assert await log.close([closing(MessageStatus.DEFERRED, "quiet hours")]) == [None]
    (row,) = await log.messages()
    assert (row["status"], row["reason"], row["settled_at"]) == ("deferred", "quiet hours", None)
    claim = await claimed(log, "morning")
    assert (claim.outcome, claim.doubtful) == (None, False)


async def test_what_was_held_back_is_explained_by_that_when_it_has_gone(log: MessageLog) -> None:
    """The rule that held it did not decide that it goes; why it went late is told all the same."""
    held = replace(
        closing(MessageStatus.DEFERRED, "quiet hours from 21:00 to 09:00"),
        rule="quiet_hours",
        policy_version="7",
    )
    capped = replace(closing(MessageStatus.DEFERRED, "3 today"), rule="daily_cap", policy_version="7")
    for one in (held, held, capped):
        assert await log.close([one]) == [None]
    await log.leave([left(await claimed(log, "morning"))])
    (row,) = await log.messages()
    assert (row["rule"], row["reason"], row["status"]) == ("", "", "sent")
    assert explained(row).endswith(
        "UTC. It was held back before: quiet hours from 21:00 to 09:00 (rule quiet_hours, policy 7);"
        " 3 today (rule daily_cap, policy 7)."
    )


async def test_a_hold_that_goes_on_is_told_once(log: MessageLog) -> None:
    """The same rule at the next attempt: it is what holds the message now."""
    held = replace(closing(MessageStatus.DEFERRED, "quiet hours"), rule="quiet_hours", policy_version="7")
    for _ in range(2):
        await log.close([held])
    (row,) = await log.messages()
    assert explained(row) == "Not sent yet: quiet hours (rule quiet_hours, policy 7)."


async def test_what_was_held_back_until_it_was_too_late_is_told_with_what_held_it(log: MessageLog) -> None:
    """Missed, and why."""
    held = replace(closing(MessageStatus.DEFERRED, "quiet hours"), rule="quiet_hours", policy_version="7")
    await log.close([held])
    await log.close([closing()])
    (row,) = await log.messages()
    assert explained(row) == (
        "Not sent, it is missed: too late; the last attempt said: quiet hours."
        " It was held back before: quiet hours (rule quiet_hours, policy 7)."
    )


async def test_closing_what_was_sent_answers_that_it_was_sent(log: MessageLog) -> None:
    """The truth is in the log: a time-out of the attempt does not make it missed."""
    await log.leave([left(await claimed(log, "first"))])
    (outcome,) = await log.close([closing()])
    assert outcome is not None
    assert outcome.status is Status.SENT


async def test_closing_what_an_attempt_was_handing_over_says_that_it_may_have_gone(log: MessageLog) -> None:
    """Neither sent nor missed is known, so neither is claimed to be."""
    await claimed(log, "first")
    (outcome,) = await log.close([replace(closing(), now=LATER)])
    assert outcome is not None
    assert (outcome.status, outcome.doubtful) == (Status.UNCERTAIN, True)
    assert outcome.reason == "too late; an attempt may have sent it before"


@pytest.mark.parametrize("status", [MessageStatus.MISSED, MessageStatus.REFUSED, MessageStatus.DEFERRED])
async def test_what_an_attempt_may_still_be_handing_over_is_not_closed_over_its_head(
    log: MessageLog, status: MessageStatus
) -> None:
    """Quiet hours begin, a wave is cancelled: what the attempt tells of it counts, and nothing goes twice."""
    first = await claimed(log, "first")
    assert await log.close([closing(status, "too late")]) == [None]
    await log.leave([left(first)])
    (row,) = await log.messages()
    assert (row["status"], row["doubtful"], row["reason"]) == ("sent", False, "")


async def test_a_message_that_is_marked_is_its_attempts_from_then_on(log: MessageLog) -> None:
    """It may have waited for its turn since it was claimed."""
    first = await claimed(log, "first", in_hand=False)
    first.until = LATER + ALIVE
    assert await log.hand_over([first]) == [True]
    assert (await claimed(log, "second", now=LATER)).wait == ALIVE
    assert (await claimed(log, "third", now=LATER + ALIVE)).doubtful


async def test_closing_after_clean_failures_keeps_the_last_reason(log: MessageLog) -> None:
    """Why it could not be sent is part of why it was missed."""
    await log.leave([left(await claimed(log, "first"), MessageStatus.WAITING, reason="451 try again")])
    (outcome,) = await log.close([closing()])
    assert outcome is not None
    assert outcome.status is Status.MISSED
    assert outcome.reason == "too late; the last attempt said: 451 try again"


async def test_of_many_who_claim_at_once_only_one_has_it(database_url: str) -> None:
    """Ten workers, ten engines, one message: one may send it, nine are told to come again."""
    engines = [open_database(database_url) for _ in range(10)]
    try:
        claims = await asyncio.gather(
            *(claimed(MessageLog(engine), f"t{number}") for number, engine in enumerate(engines))
        )
        assert sorted(claim.holds for claim in claims) == [False] * 9 + [True]
        assert not any(claim.doubtful for claim in claims)
        assert len(await MessageLog(engines[0]).messages()) == 1
    finally:
        await asyncio.gather(*(engine.dispose() for engine in engines))


async def test_of_several_processes_that_live_each_message_leaves_one(database_url: str) -> None:
    """Three send the same page: each message once, none in doubt, and all learn what came of it."""
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.activities.claim_racer", database_url, str(number),
            cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )
        for number in range(3)
    ]  # fmt: skip
    said = [out.decode().splitlines() for out, _ in [await racer.communicate() for racer in racers]]
    assert [lines[-1] for lines in said] == [f"settled {MESSAGES}"] * 3
    given = Counter(line for lines in said for line in lines[:-1])
    assert (len(given), set(given.values())) == (MESSAGES, {1})
    engine = open_database(database_url)
    rows = await MessageLog(engine).messages()
    await engine.dispose()
    assert {(row["status"], row["doubtful"]) for row in rows} == {("sent", False)}


async def test_a_page_and_its_rerun_are_claimed_in_one_go(log: MessageLog) -> None:
    """Five hundred at once; of the same page again, what was sent is settled and the rest is taken over."""
    page = [
        asked("first", delivery=replace(DELIVERY, notice=replace(NOTICE, key=f"n{number}")))
        for number in range(500)
    ]
    claims = await log.claim(page)
    await log.leave([left(claim) for claim in claims[:300]])
    again = await log.claim([replace(one, token="again", now=LATER) for one in page])
    assert [claim.outcome is not None for claim in again] == [True] * 300 + [False] * 200
    assert all(claim.doubtful for claim in again[300:])


async def test_a_claim_is_paid_for_and_what_fails_is_given_back(log: MessageLog, engine: AsyncEngine) -> None:
    """The points leave with the claim, and come back when the provider refuses for good."""
    async with writing(engine) as connection:
        await topup(connection, PAYING, Pool.SMS, Decimal(10), "top-up", NOW)
    want = Want(message_reference(NOTICE.key, "sms"), Decimal("0.85"))
    claim = await claimed(log, "first", "sms", merchant=PAYING, want=want)
    async with reading(engine) as connection:
        assert (await balance(connection, "lumi")).sms == Decimal("9.15")
    await log.leave([left(claim, MessageStatus.FAILED, refund=claim.paid)])
    async with reading(engine) as connection:
        assert (await balance(connection, "lumi")).sms == Decimal(10)


async def test_what_cannot_be_paid_for_is_refused_and_not_claimed(log: MessageLog) -> None:
    """No points, no message: the row says so, and which rule it was."""
    want = Want(message_reference(NOTICE.key, "sms"), Decimal("0.85"))
    claim = await claimed(log, "first", "sms", merchant=PAYING, want=want)
    assert claim.outcome is not None
    assert claim.outcome.status is Status.REFUSED
    (row,) = await log.messages()
    assert (row["status"], row["rule"]) == ("refused", "credits")
    assert "points" in row["reason"]


async def test_a_dead_address_is_suppressed_with_what_came_of_the_message(
    log: MessageLog, engine: AsyncEngine
) -> None:
    """In the same transaction: nothing more goes there until it is lifted."""
    claim = await claimed(log, "first")
    dead = left(claim, MessageStatus.FAILED, dead_address="550 no such user", address="ada@example.com")
    await log.leave([dead])
    (suppressed,) = await Consents(engine).suppressions(merchant_id="lumi")
    assert (suppressed["address"], suppressed["reason"]) == ("ada@example.com", "550 no such user")


async def test_the_history_is_read_by_lifecycle_and_by_merchant_newest_first(log: MessageLog) -> None:
    """What an administrator asks for, and nothing else."""
    other = replace(DELIVERY, lifecycle="booking:lumi:b2", notice=replace(NOTICE, key="other"))
    foreign = replace(DELIVERY, merchant_id="nova", notice=replace(NOTICE, key="foreign"))
    for delivery in (DELIVERY, other, foreign):
        await claimed(log, "t", delivery=delivery)
    assert [row["notice_key"] for row in await log.messages()] == ["foreign", "other", NOTICE.key]
    assert [row["notice_key"] for row in await log.messages(lifecycle="booking:lumi:b2")] == ["other"]
    assert [row["notice_key"] for row in await log.messages(merchant_id="nova")] == ["foreign"]
    (row,) = await log.messages(lifecycle="booking:lumi:b2")
    assert row["due"] == NOW
    assert row["due"].tzinfo is not None
