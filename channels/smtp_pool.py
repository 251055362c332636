"""Open connections to one mail server, kept for the next message."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from channels.base import DeliveryError

IDLE = 30.0
"""Seconds after which a kept connection is not trusted any more; servers close theirs after minutes."""

CLOSING = 421
GOODBYE = 2.0


@dataclass(frozen=True)
class Server:
    """Where and how to hand mail over. Merchants with equal settings share one pool."""

    host: str
    port: int
    hello: str
    """The name that we give ourselves: the sender's domain, so that no connection waits for a DNS look-up."""
    username: str = ""
    password: str = field(default="", repr=False)
    starttls: Literal["auto", "always", "never"] = "auto"
    tls: bool = False
    ca_file: str = ""
    timeout: float = 20.0
    connections: int = 8
    settings: str = "SMTP"
    """How the names of its settings begin."""

    @property
    def local(self) -> bool:
        """Whether it runs on this machine, so that what is said in clear stays here."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class SmtpPool:
    """At most `server.connections` at once; a message waits for its turn."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._room = asyncio.Semaphore(server.connections)
        self._idle: list[tuple[SMTP, float]] = []
        self._tls = _tls_context(server)

    @asynccontextmanager
    async def envelope(self, begin: Callable[[SMTP], Awaitable[object]]) -> AsyncIterator[SMTP]:
        """A connection on which `begin` (MAIL FROM) has been answered.

        Where a kept connection turns out to be closed, `begin` is tried again on a new one: up to there
        nothing of the message has been sent. From there on no step is repeated. The connection is kept
        after success and after a DeliveryError, and closed after anything else.
        """
        async with self._room:
            client = await self._begun(begin)
            try:
                yield client
            except DeliveryError:
                await self._reset(client)
                self._keep(client)
                raise
            except BaseException:
                client.close()
                raise
            self._keep(client)

    async def close(self) -> None:
        """Take leave of the server on every idle connection."""
        idle, self._idle = self._idle, []
        for client, _ in idle:
            with suppress(SMTPException, OSError):
                await client.quit(timeout=GOODBYE)
            client.close()

    async def _begun(self, begin: Callable[[SMTP], Awaitable[object]]) -> SMTP:
        kept = self._kept()
        while True:
            client = kept or await self._connected()
            try:
                await begin(client)
            except BaseException as error:
                client.close()
                if kept is None or not _hung_up(error):
                    raise
                kept = None
            else:
                return client

    def _kept(self) -> SMTP | None:
        while self._idle:
            client, since = self._idle.pop()
            if client.is_connected and time.monotonic() - since < IDLE:
                return client
            client.close()
        return None

    def _keep(self, client: SMTP) -> None:
        if client.is_connected:
            self._idle.append((client, time.monotonic()))

    async def _reset(self, client: SMTP) -> None:
        """Leave the refused message behind; a connection that cannot is closed."""
        try:
            await client.rset()
        except (SMTPException, OSError):
            client.close()

    async def _connected(self) -> SMTP:
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=server.hello,
            timeout=server.timeout,
            use_tls=server.tls,
            start_tls={"auto": None, "always": True, "never": False}[server.starttls]
            if not server.tls
            else False,
            tls_context=self._tls,
        )
        await client.connect()
        try:
            await self._log_in(client)
        except BaseException:
            client.close()
            raise
        return client

    async def _log_in(self, client: SMTP) -> None:
        server = self._server
        if not server.username:
            return
        encrypted = client.get_transport_info("sslcontext") is not None
        # A middleman can strip the offer of STARTTLS; the password must not follow in clear.
        if not encrypted and server.starttls != "never" and not server.local:
            raise DeliveryError(
                f"{server.host} offers no STARTTLS, so the password is not sent; "
                f"set CARILLON_{server.settings}_STARTTLS=never to send it in clear",
                code="no_starttls",
            )
        await client.login(server.username, server.password)


def _hung_up(error: BaseException) -> bool:
    return isinstance(error, SMTPServerDisconnected | SMTPTimeoutError) or (
        isinstance(error, SMTPResponseException) and error.code == CLOSING
    )


def _tls_context(server: Server) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.ca_file or None)
    except OSError as error:
        raise DeliveryError(
            f"CARILLON_{server.settings}_CA_FILE cannot be read: {error.strerror or error}",
            code="not_configured",
        ) from error
