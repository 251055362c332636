"""A bind to one SMSC, kept and made anew.

Ours, because a hand-over must know whether a message may have left: no message waits in a queue behind a
broken connection, and each answer belongs to the call that asked. See docs/decisions/0017-smpp.md.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Self

from channels.base import DeliveryError
from channels.smpp_pdu import (
    HEADER,
    LONGEST_PDU,
    RESPONSE,
    Command,
    Delivery,
    Pdu,
    Status,
    bind,
    delivery,
)

log = logging.getLogger("carillon.smpp")

LAST_SEQUENCE = 0x7FFFFFFF
GOODBYE = 2.0
AGAIN = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds until a lost bind is tried again, and again; the last of them for good."""
BREATH = 1.0
"""Seconds after a refused bind in which nobody else tries: a thousand messages are not a thousand binds."""

Told = Callable[[Delivery], Awaitable[None]]

LOGIN = frozenset({Status.BIND_FAILED, Status.INVALID_PASSWORD, Status.INVALID_SYSTEM_ID})


@dataclass(frozen=True)
class Smsc:
    """Where and how to bind. Merchants with equal settings share one bind."""

    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    tls: bool = False
    ca_file: str = ""
    timeout: float = 20.0
    enquire: float = 30.0
    """Seconds between two enquiries whether the other side is still there."""
    window: int = 10
    """Messages that may wait for their answers at once."""


class SmppSession:
    """One connection, from the bind to its end; it is not used again after that."""

    def __init__(
        self,
        smsc: Smsc,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        told: Told | None,
        lost: Callable[[], None],
    ) -> None:
        self._smsc = smsc
        self._reader = reader
        self._writer = writer
        self._told = told
        self._lost = lost
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Pdu]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed = False

    @classmethod
    async def bound(cls, smsc: Smsc, told: Told | None, lost: Callable[[], None]) -> Self:
        """Connect and bind. A DeliveryError, never doubtful, where that fails."""
        try:
            async with asyncio.timeout(smsc.timeout):
                reader, writer = await asyncio.open_connection(
                    smsc.host, smsc.port, ssl=_tls_context(smsc) if smsc.tls else None
                )
        except (OSError, TimeoutError) as error:
            raise DeliveryError(f"could not reach the SMSC: {_why(error)}", code="unreachable") from error
        session = cls(smsc, reader, writer, told, lost)
        session._run(session._listen())
        try:
            answer = await session.ask(
                Command.BIND_TRANSCEIVER, bind(smsc.system_id, smsc.password, smsc.system_type)
            )
        except (OSError, TimeoutError) as error:
            session.end()
            raise DeliveryError(f"the SMSC did not bind: {_why(error)}", code="unreachable") from error
        except BaseException:
            session.end()
            raise
        if answer.status != Status.OK:
            session.end()
            code = "bad_login" if answer.status in LOGIN else f"bind_{answer.status:#x}"
            raise DeliveryError(f"the SMSC refused the bind: status {answer.status:#x}", code=code)
        session._run(session._enquire())
        return session

    async def ask(self, command: int, body: bytes = b"") -> Pdu:
        """Say it and answer what came back. ConnectionError or TimeoutError where nothing did."""
        if self.closed:
            raise ConnectionResetError("the connection has ended")
        sequence = next(self._numbers) % LAST_SEQUENCE + 1
        answer: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = answer
        try:
            async with asyncio.timeout(self._smsc.timeout):
                self._say(Pdu(command, sequence, body=body))
                await self._writer.drain()
                return await answer
        finally:
            del self._waiting[sequence]
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # seen, also where the caller went away first

    async def close(self) -> None:
        """Take leave."""
        if not self.closed:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(GOODBYE):
                    await self.ask(Command.UNBIND)
        self.end()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(OSError):
            await self._writer.wait_closed()

    def end(self) -> None:
        """Let go of the connection: whoever waits for an answer is told that none comes."""
        if self.closed:
            return
        self.closed = True
        self._writer.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionResetError("the connection ended"))
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        self._lost()

    def _say(self, pdu: Pdu) -> None:
        self._writer.write(pdu.encode())

    def _run(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self) -> None:
        try:
            while self._take(await self._next()):
                pass
        except (OSError, EOFError, ValueError) as error:
            log.debug("the connection to %s ended: %s", self._smsc.host, _why(error))
        finally:
            self.end()

    async def _next(self) -> Pdu:
        head = await self._reader.readexactly(HEADER.size)
        length, command, status, sequence = HEADER.unpack(head)
        if not HEADER.size <= length <= LONGEST_PDU:
            raise ValueError("a PDU of an impossible length")
        return Pdu(command, sequence, status, await self._reader.readexactly(length - HEADER.size))

    def _take(self, pdu: Pdu) -> bool:
        """Whether to go on listening."""
        if pdu.command & RESPONSE:
            answer = self._waiting.get(pdu.sequence)
            if answer is not None and not answer.done():
                answer.set_result(pdu)
        elif pdu.command == Command.DELIVER_SM:
            self._run(self._deliver(pdu))
        elif pdu.command in (Command.ENQUIRE_LINK, Command.UNBIND):
            self._say(pdu.answer())
        else:
            self._say(Pdu(Command.GENERIC_NACK, pdu.sequence, Status.INVALID_COMMAND))
        return pdu.command != Command.UNBIND

    async def _deliver(self, pdu: Pdu) -> None:
        """Answered only after it was taken, so that the SMSC keeps what we lose."""
        status = Status.OK
        try:
            if self._told is not None:
                await self._told(delivery(pdu.body))
        except ValueError as error:
            log.warning("%s from %s cannot be read", error, self._smsc.host)
        except Exception:
            log.exception("a receipt from %s was not taken", self._smsc.host)
            status = Status.TEMPORARY_APP_ERROR
        if not self.closed:
            self._say(pdu.answer(status, b"\0"))

    async def _enquire(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._smsc.enquire)
                await self.ask(Command.ENQUIRE_LINK)
        except (OSError, TimeoutError):
            self.end()


class SmppLink:
    """The bind to one SMSC: made at the first message, and made again after it was lost.

    With `told` it is made again at once, for receipts come whether or not anything is sent.
    """

    def __init__(self, smsc: Smsc, told: Told | None = None) -> None:
        self._smsc = smsc
        self._told = told
        self._room = asyncio.Semaphore(smsc.window)
        self._binding = asyncio.Lock()
        self._session: SmppSession | None = None
        self._refusal: tuple[DeliveryError, float] | None = None
        self._again: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, body: bytes) -> Pdu:
        """The answer to a `submit_sm`, whatever it is.

        A DeliveryError where there is none; doubtful once the message was written.
        """
        async with self._room:
            session = await self._bound()
            try:
                return await session.ask(Command.SUBMIT_SM, body)
            except (OSError, TimeoutError) as error:
                raise DeliveryError(
                    f"no answer after the SMS was handed over: {_why(error)}", doubtful=True, code="no_answer"
                ) from error

    async def listen(self) -> None:
        """Bind, if there is no bind."""
        await self._bound()

    async def close(self) -> None:
        self._closed = True
        if self._again is not None:
            self._again.cancel()
            await asyncio.gather(self._again, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _bound(self) -> SmppSession:
        async with self._binding:
            if self._session is not None and not self._session.closed:
                return self._session
            if self._refusal is not None and time.monotonic() - self._refusal[1] < BREATH:
                raise DeliveryError(self._refusal[0].reason, code=self._refusal[0].code)
            try:
                self._session = await SmppSession.bound(self._smsc, self._told, self._lost)
            except DeliveryError as error:
                self._refusal = error, time.monotonic()
                raise
            return self._session

    def _lost(self) -> None:
        if self._told is not None and not self._closed and (self._again is None or self._again.done()):
            self._again = asyncio.ensure_future(self._bind_again())

    async def _bind_again(self) -> None:
        for attempt in count():
            await asyncio.sleep(AGAIN[min(attempt, len(AGAIN) - 1)])
            try:
                await self._bound()
            except DeliveryError as error:
                log.warning("no bind to %s: %s", self._smsc.host, error.reason)
            else:
                return


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _tls_context(smsc: Smsc) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=smsc.ca_file or None)
    except OSError as error:
        raise DeliveryError(
            f"CARILLON_SMPP_CA_FILE cannot be read: {error.strerror or error}", code="not_configured"
        ) from error
