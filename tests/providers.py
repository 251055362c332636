"""Providers on loopback that speak the real protocols: two SMS gateways and a mail server.

All three run in the test's own event loop and are used as asynchronous context managers:

    async with FakeTwSms() as fake:
        fake.script(http_error(503), lost())     # what happens to the next requests
        ...
        assert [sms.mobile for sms in fake.accepted] == ["0912345678"]
"""

import asyncio
import json
import re
import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

DATA = Path(__file__).parent / "data"

TEST_AUTHORITY = DATA / "test-only-ca.pem"
"""The authority behind `server_tls()`; its key was thrown away."""


@dataclass(frozen=True)
class Accepted:
    """An SMS that a fake took: it would be on the phone now."""

    mobile: str
    message: str
    msgid: str
    form: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """What happens to one request; the fields left alone are as usual."""

    status: int = 200
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    takes: bool = False
    """The message is accepted all the same, whatever the answer says."""
    drops: bool = False
    """The connection ends without an answer."""


def usual() -> Answer:
    """As if nothing had been scripted for this request."""
    return Answer(takes=True)


def http_error(status: int, *, retry_after: str = "", body: str = "<html>sorry</html>") -> Answer:
    """An answer that is not 2xx; nothing is accepted."""
    return Answer(status=status, body=body, headers={"Retry-After": retry_after} if retry_after else {})


def said(body: str) -> Answer:
    """200 with this body; nothing is accepted."""
    return Answer(body=body)


def lost() -> Answer:
    """The message is accepted and the connection ends before the answer."""
    return Answer(takes=True, drops=True)


def slow(seconds: float) -> Answer:
    """The message is accepted at once and the usual answer comes late."""
    return Answer(takes=True, delay=seconds)


class FakeGateway(ABC):
    """HTTP/1.1 with forms in and JSON out, on a port of its own."""

    def __init__(self) -> None:
        self.accepted: list[Accepted] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._script: deque[Answer] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The settings that lead a channel here."""

    def script(self, *answers: Answer) -> None:
        """Settle what happens to the next requests, one each; after them all is as usual again."""
        self._script.extend(answers)

    @abstractmethod
    def respond(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        """The provider's own answer; what it takes is appended to `accepted`."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"(?im)^content-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        path = head.split(" ", 2)[1]
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        self.requests.append((path, form))
        answer = self._script.popleft() if self._script else usual()
        if answer.takes:
            answer = replace(answer, body=answer.body or json.dumps(self.respond(path, form)))
        await asyncio.sleep(answer.delay)
        if answer.drops:
            return False
        content = (answer.body or "").encode()
        headers = {"Content-Type": "text/html", "Content-Length": str(len(content)), **answer.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {answer.status} -\r\n{lines}\r\n".encode() + content)
        await writer.drain()
        return True


class FakeTwSms(FakeGateway):
    """TwSMS API 4.0: `sms_send.php` and `sms_query.php`."""

    username = "carillon"
    password = "let-me-in"

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, str] = {}
        """The `statustext` of a msgid; DELIVRD where none is set."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CARILLON_TWSMS_URL": self.url,
            "CARILLON_TWSMS_USERNAME": self.username,
            "CARILLON_TWSMS_PASSWORD": self.password,
        }

    @staticmethod
    def refusal(code: str, text: str = "") -> Answer:
        """A code other than 00000, as TwSMS words it."""
        return said(json.dumps({"code": code, "text": text}))

    def respond(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        if (form.get("username"), form.get("password")) != (self.username, self.password):
            return {"code": "00010", "text": "帳號或密碼格式錯誤"}
        if not re.fullmatch(r"09\d{8}|[1-9]\d{6,14}", form.get("mobile", "")):
            return {"code": "00100", "text": "手機號碼格式錯誤"}
        if path == "/json/sms_query.php":
            return self._query(form)
        assert path == "/json/sms_send.php", path
        if not form.get("message"):
            return {"code": "00110", "text": "沒有簡訊內容"}
        msgid = 265_078_525 + len(self.accepted)
        self.accepted.append(Accepted(form["mobile"], form["message"], str(msgid), form))
        return {"code": "00000", "text": "Success", "msgid": msgid}

    def _query(self, form: dict[str, str]) -> dict[str, Any]:
        if form.get("msgid") not in {sms.msgid for sms in self.accepted}:
            return {"code": "00300", "text": "找不到 msgid"}
        return {
            "code": "00000",
            "text": "Success",
            "statuscode": "0",
            "statustext": self.states.get(form["msgid"], "DELIVRD"),
            "donetime": "20260301120000",
        }


class FakeSmartdove(FakeGateway):
    """SMARTDOVE's SendOneSms, answering in the shape that public clients read."""

    token = "a-token-of-the-shop"

    @property
    def environment(self) -> dict[str, str]:
        return {"CARILLON_SMARTDOVE_URL": self.url, "CARILLON_SMARTDOVE_TOKEN": self.token}

    def respond(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        assert path == "/index.php?r=smsApi/SendOneSms", path
        if form.get("token") != self.token:
            return {"is_error": True, "error_code": 1, "error_message": "token error"}
        sms_id = str(5 + len(self.accepted))
        self.accepted.append(Accepted(form["phone_number"], form["content"], sms_id, form))
        return {"is_error": False, "error_code": 0, "error_message": "", "sms_id": sms_id, "sms_code": "1"}


class MailSink:
    """A mail server that keeps what it takes, parsed, in `mails`.

    `refuse(recipient)` answers a reply such as `550 5.1.1 no such user`, or None to take the recipient;
    `tls` offers STARTTLS (or is spoken from the first byte with `implicit`); `login` is demanded first.
    `lose` is how many of the next mails are taken without an answer: the connection just ends.
    `reply` is what the server says to the content of a mail instead of `250 OK` (and then does not keep it).
    """

    def __init__(
        self,
        *,
        refuse: Callable[[str], str | None] | None = None,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        login: tuple[str, str] | None = None,
        utf8: bool = True,
    ) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.connections = 0
        self.refuse = refuse
        self.lose = 0
        self.reply = ""
        self.delay = 0.0
        self._tls = tls
        self._implicit = implicit
        self.login = login
        self._utf8 = utf8
        self._sessions: list[Any] = []
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        return cast(int, self._server.sockets[0].getsockname()[1])

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead the smtp channel here."""
        return {"CARILLON_SMTP_HOST": "127.0.0.1", "CARILLON_SMTP_PORT": str(self.port)}

    async def hang_up(self) -> None:
        """End every open connection, as a server does with idle ones."""
        sessions, self._sessions = self._sessions, []
        handlers = [session._handler_coroutine for session in sessions]
        for session in sessions:
            if session.transport is not None:
                session.transport.close()
        await asyncio.gather(*filter(None, handlers), return_exceptions=True)
        await asyncio.sleep(0.01)  # until the other side has seen it too

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._session, "127.0.0.1", 0, ssl=self._tls if self._implicit else None
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self.hang_up()
        await self._server.wait_closed()

    def _session(self) -> Any:
        self.connections += 1
        session = SMTP(
            self,
            hostname="localhost",
            enable_SMTPUTF8=self._utf8,
            tls_context=None if self._implicit else self._tls,
            auth_require_tls=False,
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )
        self._sessions.append(session)
        return session

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: LoginPassword
    ) -> AuthResult:
        pair = (given.login.decode(), given.password.decode())
        return AuthResult(success=pair == self.login, handled=False)

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.refuse and (reply := self.refuse(address)):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        await asyncio.sleep(self.delay)
        if self.reply:
            return self.reply
        content = cast(bytes, envelope.content)
        self.mails.append(message_from_bytes(content, policy=default))
        self.recipients.extend(envelope.rcpt_tos)
        if self.lose:
            self.lose -= 1
            cast(asyncio.Transport, server.transport).abort()
        return "250 OK"


def server_tls() -> ssl.SSLContext:
    """TLS for a server on localhost or 127.0.0.1, vouched for by `TEST_AUTHORITY` alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DATA / "test-only-localhost.pem")
    return context
