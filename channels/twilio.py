"""SMS through Twilio, REST API 2010-04-01.

Settings: `TWILIO_ACCOUNT_SID`, `TWILIO_AUTH_TOKEN`, and `TWILIO_FROM` (a number or a name) or
`TWILIO_MESSAGING_SERVICE_SID`; `TWILIO_STATUS_CALLBACK`, an address that Twilio calls with each new state of
a message, which left out is that of our gateway, where `PUBLIC_URL` is set; `TWILIO_URL`.

Twilio drops no duplicates, and charges for what did not arrive as well. It takes nearly every number, and
says of most dead ones only later that they are.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx

from channels.base import (
    ANSWERED_STOP,
    SMS_CONTENT,
    Abilities,
    Credentials,
    DeliveryError,
    DeliveryState,
    Message,
    Receipt,
    Word,
)
from channels.http import (
    asked_to_wait,
    blot,
    exchange,
    http_failure,
    json_object,
    may_have_acted,
    object_in,
    receipts_address,
)
from channels.sms_http import e164

URL = "https://api.twilio.com"

SHORTEST, LONGEST = timedelta(seconds=10), timedelta(seconds=36_000)
"""The validity periods that make sense to Twilio: it takes 1 to 36,000 seconds, and advises more than 5."""

PATIENCE = timedelta(seconds=1)
"""The wait after Twilio asks for one and does not say how long."""


class Refusal(NamedTuple):
    """What a code means. Permanent is what lies in this message or this number, never in the account."""

    meaning: str
    permanent: bool = False
    dead_address: bool = False
    stopped: bool = False
    busy: bool = False


REFUSALS = {
    20003: Refusal("account SID or token is wrong"),
    20404: Refusal("no such account"),
    20429: Refusal("too many requests", busy=True),
    21211: Refusal("the number is no phone number", permanent=True, dead_address=True),
    21212: Refusal("the sender is no phone number"),
    21265: Refusal("the number is a short code", permanent=True, dead_address=True),
    21408: Refusal("the account may not send to this country"),
    21602: Refusal("the text is empty", permanent=True),
    21603: Refusal("no sender is set"),
    21606: Refusal("the sender is not one of the account's that can send SMS"),
    21608: Refusal("a trial account sends to verified numbers only"),
    21610: Refusal("the recipient has answered STOP to this sender", stopped=True),
    21611: Refusal("the sender's queue is full", busy=True),
    21612: Refusal("no way leads from this sender to this number"),
    21614: Refusal("the number is no mobile number", permanent=True, dead_address=True),
    21617: Refusal("the text is too long", permanent=True),
    21635: Refusal("the number is a landline", permanent=True, dead_address=True),
}
"""What Twilio says at the hand-over."""

DEAD_LATER = frozenset({"21211", "21614", "21635", "30005"})
"""Error codes of a failed message that mean: there is no such number. 30005 is *unknown destination handset*.

30003 (switched off, out of reach) and 30006 (a landline, or a carrier out of reach) may be another thing.
"""

STOPPED_LATER = "21610"
"""The error code of a failed message to somebody who has answered STOP, where Twilio tells it later."""

STATES = {
    "accepted": DeliveryState.PENDING,
    "scheduled": DeliveryState.PENDING,
    "queued": DeliveryState.PENDING,
    "sending": DeliveryState.PENDING,
    "sent": DeliveryState.PENDING,  # the carrier has it; some never say more
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.DELIVERED,
    "undelivered": DeliveryState.UNDELIVERED,
    "failed": DeliveryState.UNDELIVERED,
    "canceled": DeliveryState.UNDELIVERED,
}


class TwilioChannel:
    """SMS through the merchant's account at Twilio, or the house's."""

    provider = "twilio"
    abilities = Abilities(content=SMS_CONTENT, receipts=True, account=("TWILIO_ACCOUNT_SID",))

    def __init__(self, credentials: Credentials, http: httpx.AsyncClient) -> None:
        self._credentials = credentials
        self._http = http

    async def send(self, message: Message) -> Receipt:
        merchant = message.merchant_id
        form = {"To": e164(message.to), "Body": message.text, **self._sender(merchant)}
        own = self._credentials.get("TWILIO_STATUS_CALLBACK", merchant)
        if callback := own or receipts_address(self._credentials, self.provider, merchant):
            form["StatusCallback"] = callback
        if message.valid_for is not None:
            period = min(max(message.valid_for, SHORTEST), LONGEST)
            form["ValidityPeriod"] = str(int(period.total_seconds()))
        secrets = (*self._login(merchant), message.to, message.text)
        response = await self._ask("POST", "Messages.json", merchant, data=form)
        if not response.is_success:
            raise _refused(response, secrets)
        answer = object_in(response, secrets=secrets)
        return Receipt(self.provider, str(answer.get("sid", "")), detail=str(answer.get("status", "")))

    async def state(self, sid: str, merchant_id: str) -> DeliveryState:
        """What became of a message that Twilio took. DeliveryError where Twilio cannot be asked."""
        return (await self.ask(sid, merchant_id, "")).state

    async def ask(self, sid: str, merchant_id: str, to: str) -> Word:  # noqa: ARG002  (others want the number)
        """Twilio knows a message by its SID alone."""
        response = await self._ask("GET", f"Messages/{sid}.json", merchant_id)
        if response.status_code == httpx.codes.NOT_FOUND:
            return Word(sid, DeliveryState.UNKNOWN)
        if not response.is_success:
            raise _refused(response, self._login(merchant_id))
        answer = object_in(response, secrets=self._login(merchant_id))
        return _word(sid, str(answer.get("status", "")), str(answer.get("error_code") or ""))

    async def close(self) -> None:
        """Nothing to close: the HTTP client belongs to the registry."""

    async def _ask(self, method: str, resource: str, merchant: str, **request: Any) -> httpx.Response:
        url = (self._credentials.get("TWILIO_URL", merchant) or URL).rstrip("/")
        sid, token = self._login(merchant)
        return await exchange(
            self._http, method, f"{url}/2010-04-01/Accounts/{sid}/{resource}", auth=(sid, token), **request
        )

    def _login(self, merchant: str) -> tuple[str, str]:
        return (
            self._credentials.require("TWILIO_ACCOUNT_SID", merchant),
            self._credentials.require("TWILIO_AUTH_TOKEN", merchant),
        )

    def _sender(self, merchant: str) -> dict[str, str]:
        if service := self._credentials.get("TWILIO_MESSAGING_SERVICE_SID", merchant):
            return {"MessagingServiceSid": service}
        return {"From": self._credentials.require("TWILIO_FROM", merchant)}


def told(form: Mapping[str, str]) -> tuple[str, DeliveryState]:
    """The message and its state in a status callback; the id is empty where the form holds none."""
    return form.get("MessageSid", ""), _state(form.get("MessageStatus", ""))


def told_dead(form: Mapping[str, str]) -> bool:
    """Whether a status callback says that there is no such number."""
    return told(form)[1] is DeliveryState.UNDELIVERED and form.get("ErrorCode", "") in DEAD_LATER


def word(form: Mapping[str, str]) -> Word:
    """All that a status callback says."""
    sid, _ = told(form)
    return _word(sid, form.get("MessageStatus", ""), form.get("ErrorCode", ""))


def replied(form: Mapping[str, str]) -> tuple[str, str]:
    """The number that an SMS came from, and what it says; where an account reads STOP itself, its reading."""
    return form.get("From", ""), form.get("OptOutType", "") or form.get("Body", "")


def same_sender(credentials: Credentials, one: str, other: str) -> bool:
    """Whether two merchants send from the same account and number: what is answered goes to both of them."""
    first, second = _sender_of(credentials, one), _sender_of(credentials, other)
    return all(first) and first == second


def _sender_of(credentials: Credentials, merchant: str) -> tuple[str, str]:
    service = credentials.get("TWILIO_MESSAGING_SERVICE_SID", merchant)
    sender = service or credentials.get("TWILIO_FROM", merchant)
    return credentials.get("TWILIO_ACCOUNT_SID", merchant), sender


def valid_signature(token: str, url: str, form: Mapping[str, str | Iterable[str]], signature: str) -> bool:
    """Whether a callback was signed (`X-Twilio-Signature`) with the account's token. Pure.

    `url` is the address that Twilio called, with its query; behind a proxy that is the outer one. Twilio
    signs it sometimes with a port and sometimes without, so both are taken, as its own libraries do. Without
    a token nothing is valid.
    """
    if not token:
        return False
    said = "".join(name + value for name in sorted(form) for value in _values(form[name]))
    return any(
        hmac.compare_digest(_signed(token, address + said).encode(), signature.encode())
        for address in _addresses(url)
    )


def _values(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else sorted(set(value))


def _addresses(url: str) -> tuple[str, str]:
    """The address without a port of its own, and with one."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    port = parts.port or (443 if parts.scheme == "https" else 80)
    bare, full = parts._replace(netloc=host), parts._replace(netloc=f"{host}:{port}")
    return urlunsplit(bare), urlunsplit(full)


def _signed(token: str, text: str) -> str:
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def _word(sid: str, status: str, error: str) -> Word:
    state = _state(status)
    if state is not DeliveryState.UNDELIVERED:
        return Word(sid, state)
    if error == STOPPED_LATER:
        return Word(sid, state, ANSWERED_STOP)
    return Word(sid, state, f"Twilio {error}: there is no such number" if error in DEAD_LATER else "")


def _state(status: str) -> DeliveryState:
    return STATES.get(status.lower(), DeliveryState.UNKNOWN)


def _refused(response: httpx.Response, secrets: Iterable[str]) -> DeliveryError:
    """By Twilio's own code where it gives one; an unknown one is worth another attempt."""
    answer = json_object(response.text) or {}
    code = answer.get("code")
    if not isinstance(code, int):
        return http_failure(response, secrets=secrets)
    said = blot(str(answer.get("message", "")), secrets)[:80]
    refusal = REFUSALS.get(code, Refusal(f"unknown code, {said!r}"))
    busy = refusal.busy or response.status_code == httpx.codes.TOO_MANY_REQUESTS
    return DeliveryError(
        f"Twilio {code}: {refusal.meaning}",
        permanent=refusal.permanent,
        dead_address=refusal.dead_address,
        stopped=refusal.stopped,
        doubtful=may_have_acted(response),
        code=str(code),
        retry_after=asked_to_wait(response) or (PATIENCE if busy else None),
    )
