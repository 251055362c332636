"""One limit of time for many that begin together."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

T = TypeVar("T")


class Together:
    """Some tasks that wait for others, and may do so until one moment.

    A timer for each of them, as `asyncio.timeout` has it, costs as much as all else that they do. All of them
    begin to wait at once: whoever came later would have less time.
    """

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[object]] = set()
        self._over = False

    async def wait_for(self, work: Awaitable[T]) -> T:
        """What `work` answers; TimeoutError when the time is over before it does."""
        task = asyncio.current_task()
        if task is None or self._over:
            raise TimeoutError
        before = task.cancelling()
        self._waiting.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            # Whoever is cancelled by others as well is cancelled.
            if self._over and task.cancelling() == before + 1:
                raise TimeoutError from None
            raise
        finally:
            self._waiting.discard(task)
            if self._over:
                task.uncancel()  # also where it answered all the same, or said something else

    def end(self) -> None:
        """Their time is over."""
        self._over = True
        for task in self._waiting:
            task.cancel()


@contextmanager
def one_limit(limit: timedelta) -> Iterator[Together]:
    """Those who wait together within the block have so much time, from now on."""
    together = Together()
    timer = asyncio.get_running_loop().call_later(limit.total_seconds(), together.end)
    try:
        yield together
    finally:
        timer.cancel()
