"""Email over SMTP.

Settings: `SMTP_HOST` (127.0.0.1), `SMTP_PORT` (1025), `SMTP_USERNAME` and `SMTP_PASSWORD`, `SMTP_STARTTLS`
(`auto`, `always`, `never`), `SMTP_TLS` (yes: TLS from the first byte), `SMTP_CA_FILE` (trust this authority
instead of the system's), `SMTP_FROM` (no-reply@localhost), `SMTP_TIMEOUT` (20 seconds), `SMTP_CONNECTIONS`
(8 at once).

`smtp_backup` is the same by another server, with settings of its own: `SMTP_BACKUP_HOST` ... A merchant
chooses it as the fallback of its email. Its sender is that of `SMTP_FROM` where it has none of its own.

SMTP drops no duplicates and tells nothing later. The Message-ID of a notice is always the same, so a mailbox
can know a second copy; that it does is not promised.
"""

import asyncio
import re
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

from channels.base import (
    EMAIL_CONTENT,
    Abilities,
    Credentials,
    DeliveryError,
    Message,
    Receipt,
    misconfigured,
)
from channels.mail import Mailbox, compose, mailbox
from channels.mail_headers import POLICY
from channels.smtp_pool import Server, SmtpPool

LOGIN_CODES = frozenset({530, 534, 535, 538})
POLICY_STATUS = "5.7."
"""Refused for who sends or how (a block list, relaying, SPF): the mailbox is well, and we can mend it."""
NO_MAILBOX = frozenset({550, 551, 553})
"""Said to RCPT TO: there is no such mailbox, it is not here, its name is not one."""
STATUS = re.compile(r"5\.\d{1,3}\.\d{1,3}\b")
NO_MAILBOX_STATUS = re.compile(r"5\.1\.[0-69]\b|5\.1\.10\b|5\.2\.1\b")
"""The same by RFC 3463. 5.1.7 and 5.1.8 are about the sender's address, 5.2.2 is a full mailbox."""


class SmtpChannel:
    """One mail server a merchant, or one for all."""

    abilities = Abilities(content=EMAIL_CONTENT)

    def __init__(self, credentials: Credentials, provider: str = "smtp") -> None:
        self.provider = provider
        self._credentials = credentials
        self._settings = provider.upper()
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
        usual = self._credentials.get("SMTP_FROM", merchant_id) or "no-reply@localhost"
        address = self._credentials.get(f"{self._settings}_FROM", merchant_id) or usual
        try:
            sender = mailbox(address)
        except ValueError as error:
            raise misconfigured(f"{self._settings}_FROM", f"an email address ({error})") from error
        if sender.international:
            raise misconfigured(f"{self._settings}_FROM", "an address that is ASCII before the @")
        return sender

    def _server(self, merchant_id: str, hello: str) -> Server:
        settings, name = self._credentials, self._settings
        starttls = settings.choice(f"{name}_STARTTLS", merchant_id, ("auto", "always", "never"), "auto")
        return Server(
            host=self._host(merchant_id),
            port=int(settings.number(f"{name}_PORT", merchant_id, 1025, whole=True)),
            hello=hello,
            username=settings.get(f"{name}_USERNAME", merchant_id).strip(),
            password=settings.get(f"{name}_PASSWORD", merchant_id),
            starttls=starttls,  # type: ignore[arg-type]
            tls=settings.switch(f"{name}_TLS", merchant_id),
            ca_file=settings.get(f"{name}_CA_FILE", merchant_id).strip(),
            timeout=settings.number(f"{name}_TIMEOUT", merchant_id, 20),
            connections=int(settings.number(f"{name}_CONNECTIONS", merchant_id, 8, whole=True)),
            settings=name,
        )

    def _host(self, merchant_id: str) -> str:
        if self._settings == "SMTP":
            return self._credentials.get("SMTP_HOST", merchant_id).strip() or "127.0.0.1"
        return self._credentials.require(f"{self._settings}_HOST", merchant_id).strip()


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
        raise _refused(refusal, of_recipient=True) from refusal
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
            f"the recipient is not an email address: {error}", dead_address=True, code="bad_address"
        ) from error


def _refused(refusal: SMTPResponseException, *, of_recipient: bool = False) -> DeliveryError:
    """5xx for this recipient or this mail is final, unless it is about our login or our standing.

    The mailbox is dead only where the answer to RCPT TO says so; a full one may be emptied.
    """
    reason = " ".join(refusal.message.split())[:200]
    if refusal.code in LOGIN_CODES:
        return DeliveryError(f"the mail server wants another login: {reason}", code="bad_login")
    final = 500 <= refusal.code < 600 and not reason.startswith(POLICY_STATUS)
    return DeliveryError(
        f"the mail server refused: {refusal.code} {reason}",
        permanent=final,
        dead_address=final and of_recipient and _no_mailbox(refusal.code, reason),
        code=str(refusal.code),
    )


def _no_mailbox(code: int, reason: str) -> bool:
    return code in NO_MAILBOX and bool(NO_MAILBOX_STATUS.match(reason) or not STATUS.match(reason))


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
