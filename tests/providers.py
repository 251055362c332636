"""Providers on loopback that speak the real protocols: SMS gateways, Google's push, a mail server.

All of them run in the test's own event loop and are used as asynchronous context managers:

    async with FakeTwSms() as fake:
        fake.script(http_error(503), lost())     # what happens to the next requests
        ...
        assert [sms.mobile for sms in fake.accepted] == ["0912345678"]
"""

import asyncio
import base64
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
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import parse_qsl

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from google.auth import jwt

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
class Request:
    """What an HTTP gateway was asked; header names in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


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


def ok(answer: Mapping[str, Any], status: int = 200) -> Answer:
    """A JSON object."""
    return Answer(status, json.dumps(answer))


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
    """HTTP/1.1, on a port of its own."""

    def __init__(self) -> None:
        self.accepted: list[Accepted] = []
        self.requests: list[Request] = []
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
    def respond(self, request: Request) -> Answer:
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
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, path, headers, body)
        self.requests.append(request)
        answer = self._script.popleft() if self._script else usual()
        if answer.takes:
            own = self.respond(request)
            answer = replace(answer, status=own.status, body=answer.body or own.body)
        await asyncio.sleep(answer.delay)
        if answer.drops:
            return False
        content = (answer.body or "").encode()
        said = {"Content-Type": "text/html", "Content-Length": str(len(content)), **answer.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        writer.write(f"HTTP/1.1 {answer.status} -\r\n{head}\r\n".encode() + content)
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

    def respond(self, request: Request) -> Answer:
        return ok(self._answer(request.path, request.form))

    def _answer(self, path: str, form: dict[str, str]) -> dict[str, Any]:
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

    def respond(self, request: Request) -> Answer:
        assert request.path == "/index.php?r=smsApi/SendOneSms", request.path
        form = request.form
        if form.get("token") != self.token:
            return ok({"is_error": True, "error_code": 1, "error_message": "token error"})
        sms_id = str(5 + len(self.accepted))
        self.accepted.append(Accepted(form["phone_number"], form["content"], sms_id, form))
        return ok(
            {"is_error": False, "error_code": 0, "error_message": "", "sms_id": sms_id, "sms_code": "1"}
        )


class FakeTwilio(FakeGateway):
    """Twilio's Messages resource: create, and fetch by SID."""

    sid = "AC" + "0" * 32
    token = "an-auth-token"

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, str] = {}
        """The `status` of a SID; delivered where none is set."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CARILLON_TWILIO_URL": self.url,
            "CARILLON_TWILIO_ACCOUNT_SID": self.sid,
            "CARILLON_TWILIO_AUTH_TOKEN": self.token,
            "CARILLON_TWILIO_FROM": "+15005550006",
        }

    @staticmethod
    def refusal(code: int, message: str = "", *, status: int = 400, retry_after: str = "") -> Answer:
        """An error as Twilio words it."""
        body = {"code": code, "message": message, "more_info": f"https://x/{code}", "status": status}
        return http_error(status, retry_after=retry_after, body=json.dumps(body))

    def respond(self, request: Request) -> Answer:
        login = base64.b64encode(f"{self.sid}:{self.token}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {login}":
            return self.refusal(20003, "Authenticate", status=401)
        base = f"/2010-04-01/Accounts/{self.sid}/Messages"
        if request.method == "GET":
            return self._fetch(request.path.removeprefix(f"{base}/").removesuffix(".json"))
        assert (request.method, request.path) == ("POST", f"{base}.json")
        form = request.form
        if not re.fullmatch(r"\+[1-9]\d{6,14}", form.get("To", "")):
            return self.refusal(21211, f"Invalid 'To' Phone Number: {form.get('To')}")
        if "From" not in form and "MessagingServiceSid" not in form:
            return self.refusal(21603, "A 'From' phone number is required.")
        if not form.get("Body"):
            return self.refusal(21602, "Message body is required.")
        sid = f"SM{len(self.accepted):032}"
        self.accepted.append(Accepted(form["To"], form["Body"], sid, form))
        return ok({"sid": sid, "status": "queued", "error_code": None, "error_message": None}, 201)

    def _fetch(self, sid: str) -> Answer:
        if sid not in {sms.msgid for sms in self.accepted}:
            return self.refusal(20404, "The requested resource was not found", status=404)
        return ok({"sid": sid, "status": self.states.get(sid, "delivered"), "error_code": None})


@cache
def _service_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


class FakeFcm(FakeGateway):
    """FCM's `messages:send`, and Google's token endpoint, which checks what the service account signed."""

    project = "carillon-test"
    account = "push@carillon-test.iam.gserviceaccount.com"
    audience = "https://oauth2.googleapis.com/token"
    """Wherever the token endpoint is."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.revoked: set[str] = set()
        self._file = folder / "service-account.json"
        self._key = _service_key()

    @property
    def environment(self) -> dict[str, str]:
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        account = {"type": "service_account", "project_id": self.project, "private_key_id": "1"}
        address = {"client_email": self.account, "token_uri": f"{self.url}/token"}
        self._file.write_text(json.dumps({**account, **address, "private_key": key}))
        return {"CARILLON_FCM_URL": self.url, "CARILLON_FCM_CREDENTIALS": str(self._file)}

    @staticmethod
    def refusal(status: int, word: str, code: str = "", message: str = "", field: str = "") -> Answer:
        """An error as Google words it: with FCM's own code, with the field that is wrong, or with neither."""
        kind = "type.googleapis.com/google."
        details: list[dict[str, Any]] = []
        if code:
            details.append({"@type": f"{kind}firebase.fcm.v1.FcmError", "errorCode": code})
        if field:
            details.append({"@type": f"{kind}rpc.BadRequest", "fieldViolations": [{"field": field}]})
        error = {"code": status, "message": message, "status": word, "details": details}
        return http_error(status, body=json.dumps({"error": error}))

    def respond(self, request: Request) -> Answer:
        if request.path == "/token":
            return self._login(request.form)
        assert request.path == f"/v1/projects/{self.project}/messages:send", request.path
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.tokens or token in self.revoked:
            return self.refusal(401, "UNAUTHENTICATED", message="Request had invalid credentials.")
        self.messages.append(request.json["message"])
        return ok({"name": f"projects/{self.project}/messages/{len(self.messages)}"})

    def _login(self, form: dict[str, str]) -> Answer:
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        claims = jwt.decode(  # type: ignore[no-untyped-call]
            form["assertion"], certs=public, audience=self.audience
        )
        assert claims["iss"] == self.account
        assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
        self.tokens.append(f"ya29.{len(self.tokens)}")
        return ok({"access_token": self.tokens[-1], "expires_in": 3599, "token_type": "Bearer"})


class FakeStaff(FakeGateway):
    """A chat of the staff, as the `json://` service of Apprise knows one."""

    @property
    def environment(self) -> dict[str, str]:
        return {"CARILLON_STAFF_URLS": self.url.replace("http", "json") + "/alerts"}

    def respond(self, request: Request) -> Answer:
        word = request.json
        self.accepted.append(Accepted("staff", f"{word['title']}: {word['message']}", "", word))
        return ok({})


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
