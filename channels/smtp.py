"""Email over SMTP.

Settings: `SMTP_HOST` (127.0.0.1), `SMTP_PORT` (1025), `SMTP_USERNAME` and `SMTP_PASSWORD`, `SMTP_STARTTLS`
(`auto`, `always`, `never`), `SMTP_TLS` (yes: TLS from the first byte), `SMTP_CA_FILE` (trust this authority
instead of the system's), `SMTP_FROM` (no-reply@localhost), `SMTP_TIMEOUT` (20 seconds), `SMTP_CONNECTIONS`
(8 at once).

SMTP drops no duplicates and tells nothing later. The Message-ID of a notice is always the same, so a mailbox
can know a second copy; that it does is not promised.
"""

import asyncio
from datetime import UTC, datetime
from email.message import EmailMessage

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from channels.base import Abilities, Credentials, DeliveryError, Message, Receipt
from channels.mail import Mailbox, compose, mailbox
from channels.mail_headers import POLICY
from channels.smtp_pool import Server, SmtpPool

LOGIN_CODES = frozenset({530, 534, 535, 538})
POLICY_STATUS = "5.7."
"""Refused for who sends or how (a block list, relaying, SPF): the mailbox is well, and we can mend it."""

YES, NO = frozenset({"yes", "true", "on", "1"}), frozenset({"no", "false", "off", "0"})


class SmtpChannel:
    """One mail server a merchant, or one for all."""

    provider = "smtp"
    abilities = Abilities()

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._pools: dict[Server, SmtpPool] = {}

    async def send(self, message: Message) -> Receipt:
        sender = self._sender(message.merchant_id)
        recipient = _recipient(message.to)
        mail = compose(message, sender, recipient, datetime.now(UTC))
        pool = self._pool(self._server(message.merchant_id, hello=sender.domain))
        begin = _Begin(sender, recipient)
        try:
            async with pool.envelope(begin) as client:
                answer = await _hand_over(client, recipient, _wire(mail, begin.utf8), begin.encoding)
        except (SMTPException, OSError, ValueError) as error:
            raise _failure(error) from error
        return Receipt(self.provider, provider_id=str(mail["Message-ID"]), detail=answer[:200])

    async def close(self) -> None:
        pools, self._pools = self._pools, {}
        await asyncio.gather(*(pool.close() for pool in pools.values()))

    def _pool(self, server: Server) -> SmtpPool:
        if server not in self._pools:
            self._pools[server] = SmtpPool(server)
        return self._pools[server]

    def _sender(self, merchant_id: str) -> Mailbox:
        address = self._credentials.get("SMTP_FROM", merchant_id) or "no-reply@localhost"
        try:
            sender = mailbox(address)
        except ValueError as error:
            raise _wrong("SMTP_FROM", f"an email address ({error})") from error
        if sender.international:
            raise _wrong("SMTP_FROM", "an address that is ASCII before the @")
        return sender

    def _server(self, merchant_id: str, hello: str) -> Server:
        def setting(name: str, default: str = "") -> str:
            return self._credentials.get(name, merchant_id).strip() or default

        starttls = setting("SMTP_STARTTLS", "auto").lower()
        if starttls not in ("auto", "always", "never"):
            raise _wrong("SMTP_STARTTLS", "auto, always or never")
        tls = setting("SMTP_TLS", "no").lower()
        if tls not in YES | NO:
            raise _wrong("SMTP_TLS", "yes or no")
        return Server(
            host=setting("SMTP_HOST", "127.0.0.1"),
            port=int(_number("SMTP_PORT", setting("SMTP_PORT", "1025"), whole=True)),
            hello=hello,
            username=setting("SMTP_USERNAME"),
            password=self._credentials.get("SMTP_PASSWORD", merchant_id),
            starttls=starttls,  # type: ignore[arg-type]
            tls=tls in YES,
            ca_file=setting("SMTP_CA_FILE"),
            timeout=_number("SMTP_TIMEOUT", setting("SMTP_TIMEOUT", "20")),
            connections=int(_number("SMTP_CONNECTIONS", setting("SMTP_CONNECTIONS", "8"), whole=True)),
        )


class _Begin:
    """MAIL FROM, on whichever connection; an address beyond ASCII asks for SMTPUTF8."""

    def __init__(self, sender: Mailbox, recipient: Mailbox) -> None:
        self._sender = sender.address
        self.utf8 = recipient.international
        self.encoding = "utf-8" if self.utf8 else "ascii"

    async def __call__(self, client: SMTP) -> object:
        if not self.utf8:
            return await client.mail(self._sender)
        if not client.supports_extension("smtputf8"):
            raise SMTPNotSupported("the mail server does not take addresses beyond ASCII")
        return await client.mail(self._sender, options=["SMTPUTF8", "BODY=8BITMIME"], encoding="utf-8")


async def _hand_over(client: SMTP, recipient: Mailbox, content: bytes, encoding: str) -> str:
    """RCPT TO and DATA; the server's answer. Refusals and lost answers come out as DeliveryError."""
    try:
        await client.rcpt(recipient.address, encoding=encoding)
    except SMTPResponseException as refusal:
        raise _refused(refusal) from refusal
    try:
        return (await client.data(content)).message
    except SMTPResponseException as refusal:
        raise _refused(refusal) from refusal
    except (SMTPServerDisconnected, SMTPTimeoutError, OSError) as error:
        raise DeliveryError(
            f"no answer after the mail was handed over: {error}", doubtful=True, code="no_answer"
        ) from error


def _wire(mail: EmailMessage, utf8: bool) -> bytes:
    return mail.as_bytes(policy=POLICY.clone(utf8=utf8))


def _recipient(address: str) -> Mailbox:
    try:
        return mailbox(address)
    except ValueError as error:
        raise DeliveryError(
            f"the recipient is not an email address: {error}", permanent=True, code="bad_address"
        ) from error


def _refused(refusal: SMTPResponseException) -> DeliveryError:
    """5xx for this recipient or this mail is final, unless it is about our login or our standing."""
    reason = " ".join(refusal.message.split())[:200]
    if refusal.code in LOGIN_CODES:
        return DeliveryError(f"the mail server wants another login: {reason}", code="bad_login")
    return DeliveryError(
        f"the mail server refused: {refusal.code} {reason}",
        permanent=500 <= refusal.code < 600 and not reason.startswith(POLICY_STATUS),
        code=str(refusal.code),
    )


def _failure(error: SMTPException | OSError | ValueError) -> DeliveryError:
    """What went wrong before the recipient was named: never final, never doubtful."""
    match error:
        case SMTPNotSupported():
            return DeliveryError(error.message, permanent=True, code="no_smtputf8")
        case SMTPAuthenticationError() if error.code >= 500:
            return DeliveryError(f"the mail server refused the login: {error.code}", code="bad_login")
        case SMTPSenderRefused() if error.code in LOGIN_CODES:
            return _refused(error)
        case SMTPResponseException():
            reason = " ".join(error.message.split())[:200]
            return DeliveryError(f"the mail server refused: {error.code} {reason}", code=str(error.code))
        case SMTPTimeoutError():
            return DeliveryError(f"the mail server did not answer in time: {error}", code="timeout")
        case _:
            return DeliveryError(f"could not talk to the mail server: {error}", code="unreachable")


def _number(name: str, value: str, *, whole: bool = False) -> float:
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        number = 0
    if not number > 0:
        raise _wrong(name, "a number above zero")
    return number


def _wrong(name: str, wanted: str) -> DeliveryError:
    return DeliveryError(f"CARILLON_{name} is not {wanted}", code="not_configured")
