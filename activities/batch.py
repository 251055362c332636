"""Many small requests to the database, answered by one transaction."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar, cast

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

Q = TypeVar("Q")
A = TypeVar("A")
Answer = Callable[[AsyncConnection, Sequence[Q]], Awaitable[Sequence[A]]]
Transaction = Callable[[AsyncEngine], AbstractAsyncContextManager[AsyncConnection]]

OUT_OF_REACH = (OperationalError, InterfaceError, OSError)
"""The database itself is at fault, not what was asked."""


class Batch(Generic[Q, A]):
    """What many ask at one time is answered in one transaction; each has its answer once it is committed.

    While one batch is under way the next one gathers, so nobody waits for others to come. Alone, every
    writer would wait for its turn at the file: under load that is seconds on SQLite.
    """

    def __init__(self, engine: AsyncEngine, transaction: Transaction, answer: Answer[Q, A]) -> None:
        self._engine = engine
        self._transaction = transaction
        self._answer = answer
        self._gathered: list[tuple[Q, asyncio.Future[A]]] = []
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
        loop = asyncio.get_running_loop()
        asked: list[tuple[Q, asyncio.Future[A]]] = [(request, loop.create_future()) for request in requests]
        self._gathered += asked
        if self._at_work is None:
            self._at_work = asyncio.create_task(self._work())
        answers = await asyncio.gather(*(answer for _, answer in asked), return_exceptions=True)
        # Nobody cancels a single answer, and `_settle` hands on nothing but an Exception.
        return cast("list[A | Exception]", answers)

    async def _work(self) -> None:
        try:
            while self._gathered:
                batch, self._gathered = self._gathered, []
                await self._settle(batch)
        finally:
            self._at_work = None

    async def _settle(self, batch: list[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            async with self._transaction(self._engine) as connection:
                answers = await self._answer(connection, [request for request, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, OUT_OF_REACH):
                # One of them cannot be answered: it must not take the others with it.
                for one in batch:
                    await self._settle([one])
                return
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
