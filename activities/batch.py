"""Many small requests to the database, answered by one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.database import transact

Q = TypeVar("Q")
A = TypeVar("A")
Answer = Callable[[AsyncConnection, Sequence[Q]], Awaitable[Sequence[A]]]

OUT_OF_REACH = (OperationalError, InterfaceError, OSError)
"""The database itself is at fault, not what was asked."""
CONFLICTS = {"40001", "40P01"}
"""PostgreSQL's codes for transactions that were in each other's way: the same again goes through."""
TRIES = 3


@dataclass(frozen=True)
class _Asking(Generic[Q, A]):
    requests: Sequence[Q]
    answers: asyncio.Future[list[A | Exception]]


class Batch(Generic[Q, A]):
    """What many ask at one time is answered in one transaction; each has its answer once it is committed.

    While one batch is under way the next one gathers, so nobody waits for others to come. Alone, every
    writer would wait for its turn at the file: under load that is seconds on SQLite.
    """

    def __init__(self, engine: AsyncEngine, answer: Answer[Q, A], *, writes: bool = True) -> None:
        self._engine = engine
        self._writes = writes
        self._answer = answer
        self._gathered: list[_Asking[Q, A]] = []
        self._at_work: asyncio.Task[None] | None = None

    async def ask(self, request: Q) -> A:
        """One request, answered together with those that others make meanwhile."""
        (answer,) = await self.ask_all([request])
        return answer

    async def ask_all(self, requests: Sequence[Q]) -> list[A]:
        """A page of requests; the answers are in their order. The first error is raised, once all are."""
        answers = []
        for answer in await self.ask_each(requests):
            if isinstance(answer, Exception):
                raise answer
            answers.append(answer)
        return answers

    async def ask_each(self, requests: Sequence[Q]) -> list[A | Exception]:
        """A page of requests, each with its answer or its own error."""
        if not requests:
            return []
        answers: asyncio.Future[list[A | Exception]] = asyncio.get_running_loop().create_future()
        self._gathered.append(_Asking(requests, answers))
        if self._at_work is None:
            self._at_work = asyncio.create_task(self._work())
        return await answers

    async def _work(self) -> None:
        try:
            while self._gathered:
                batch, self._gathered = self._gathered, []
                await self._settle(batch)
        finally:
            self._at_work = None

    async def _settle(self, batch: Sequence[_Asking[Q, A]]) -> None:
        answers = iter(await self._answers([request for asking in batch for request in asking.requests]))
        for asking in batch:
            theirs = list(islice(answers, len(asking.requests)))
            if not asking.answers.done():
                asking.answers.set_result(theirs)

    async def _answers(self, requests: Sequence[Q]) -> list[A | Exception]:
        try:
            return list(await self._once(requests))
        except Exception as error:
            if len(requests) == 1 or isinstance(error, OUT_OF_REACH):
                return [error] * len(requests)
        # One of them cannot be answered: it must not take the others with it.
        return [answer for one in requests for answer in await self._answers([one])]

    async def _once(self, requests: Sequence[Q]) -> Sequence[A]:
        """In one transaction; anew where PostgreSQL has ended it for another's sake."""
        for tries in range(1, TRIES + 1):
            try:
                return await transact(
                    self._engine, lambda connection: self._answer(connection, requests), writes=self._writes
                )
            except DBAPIError as error:
                if tries == TRIES or getattr(error.orig, "sqlstate", None) not in CONFLICTS:
                    raise
        raise AssertionError("the last try answers or raises")
