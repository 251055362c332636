"""What travels through the pipeline: one attempt, what it sends, and what is not settled yet."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity

from models.agenda import ChannelOutcome, Delivery
from models.merchant import Merchant

LATEST = timedelta(seconds=8)
"""An attempt that took longer than this to get so far gives up, lest it overlap with the next one."""
LAST_WORD = timedelta(seconds=27)
"""Until then an attempt tries to write down what came of it."""
ALIVE = timedelta(seconds=30)
"""So long after a claim such an attempt may be about it: nobody else takes the message up."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at sending: its name, unlike any other's, and its clock.

    The clock is the lifecycle's: real time, but for a lifecycle that was moved forward. Nothing leaves after
    `latest`, nor once it is `stopped`; what came of it is written down until `last_word`. `alive`: so long
    after its claim of a message, or its mark, it may be about it.
    """

    token: str
    started: datetime
    elapsed: Callable[[], timedelta]
    latest: timedelta = LATEST
    last_word: timedelta = LAST_WORD
    alive: timedelta = ALIVE
    stopped: Callable[[], bool] = lambda: False

    @property
    def now(self) -> datetime:
        return self.started + self.elapsed()


def this_attempt() -> Attempt:
    """The attempt of the activity that runs now."""
    info, loop = activity.info(), asyncio.get_running_loop()
    origin = loop.time()
    return Attempt(
        token=f"{info.workflow_run_id}/{info.activity_id}/{info.attempt}",
        started=info.started_time,
        elapsed=lambda: timedelta(seconds=loop.time() - origin),
    )


@dataclass(slots=True)
class Item:
    """One notice that is to go by one channel."""

    delivery: Delivery[Any]
    channel: str
    merchant: Merchant


@dataclass(frozen=True)
class Later:
    """Nothing is settled: another attempt may succeed, after `wait` where that is known."""

    channel: str
    reason: str
    wait: timedelta | None = None


Answer = ChannelOutcome | Later
