"""What providers have told since of what a lifecycle calls sent. See docs/decisions/0007-receipts.md."""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.database import reading
from activities.message_rows import MESSAGES, Place
from models.agenda import Agenda, ChannelOutcome, Done, Status
from models.tables.messages import MessageStatus


def anything_sent(agenda: Agenda) -> bool:
    """Whether there is anything that a provider may have told more of."""
    return any(outcome.status is Status.SENT for done in agenda.done for outcome in done.outcomes)


async def with_later_words(engine: AsyncEngine, agenda: Agenda) -> Agenda:
    """The agenda, with *not delivered* and the reason in the outcome of what was sent and did not arrive."""
    query = select(MESSAGES.c.notice_key, MESSAGES.c.channel, MESSAGES.c.reason).where(
        MESSAGES.c.lifecycle == agenda.lifecycle, MESSAGES.c.status == MessageStatus.UNDELIVERED
    )
    async with reading(engine) as connection:
        rows = (await connection.execute(query)).all()
    lost = {(row.notice_key, row.channel): row.reason for row in rows}
    return replace(agenda, done=tuple(_told(done, lost) for done in agenda.done)) if lost else agenda


def _told(done: Done, lost: Mapping[Place, str]) -> Done:
    outcomes = (
        _lost(outcome, lost[done.notice.key, outcome.channel])
        if outcome.status is Status.SENT and (done.notice.key, outcome.channel) in lost
        else outcome
        for outcome in done.outcomes
    )
    return replace(done, outcomes=tuple(outcomes))


def _lost(outcome: ChannelOutcome, why: str) -> ChannelOutcome:
    since = "not delivered" + (f", {why}" if why and why != outcome.reason else "")
    return replace(outcome, reason=f"{outcome.reason}; {since}" if outcome.reason else since)
