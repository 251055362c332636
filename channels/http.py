"""What providers over HTTP have in common: the exchange, its failures, what may be quoted of an answer."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, quote_plus

import httpx

from channels.base import Credentials, DeliveryError

EXCERPT = 120

BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.WriteError,
    httpx.WriteTimeout,
)
"""Nothing, or not the whole of the request, has left: the provider cannot have taken the message."""

NOT_ACTED_ON = frozenset({501, 503, 505})
"""Of the answers 5xx those that say that nothing was done: not implemented, busy, another HTTP."""


async def exchange(http: httpx.AsyncClient, method: str, url: str, **request: Any) -> httpx.Response:
    """One request and its answer, whatever its status. `request` is what `httpx.AsyncClient.request` takes.

    No answer is a DeliveryError, doubtful where the request was written.
    """
    try:
        return await http.request(method, url, **request)
    except BEFORE_SENDING as error:
        raise DeliveryError(
            f"could not reach the provider: {type(error).__name__}", code="unreachable"
        ) from error
    except httpx.RequestError as error:
        raise DeliveryError(
            f"no answer from the provider: {type(error).__name__}",
            doubtful=True,
            code="no_answer",
        ) from error
    except httpx.InvalidURL as error:
        raise DeliveryError("the provider's URL is not a valid one", code="not_configured") from error


def may_have_acted(response: httpx.Response) -> bool:
    """Whether a provider that answered with an error may have taken the message first.

    One that puts it in its queue and fails on the way back answers 500, and a gateway before it 502 or 504.
    Twilio says of its own 500 that a second request may be a second SMS; no other provider says anything.
    """
    return response.is_server_error and response.status_code not in NOT_ACTED_ON


def http_failure(response: httpx.Response, *, secrets: Iterable[str]) -> DeliveryError:
    """An answer that is not 2xx and says nothing else that is known: worth another attempt."""
    return DeliveryError(
        f"the provider answered HTTP {response.status_code}: {excerpt(response.text, secrets)}",
        doubtful=may_have_acted(response),
        code=f"http_{response.status_code}",
        retry_after=asked_to_wait(response),
    )


def object_in(response: httpx.Response, *, secrets: Iterable[str]) -> dict[str, Any]:
    """The JSON object of a 2xx answer; without one it is open what the provider did."""
    answer = json_object(response.text)
    if answer is None:
        raise DeliveryError(
            f"the provider's answer is not JSON: {excerpt(response.text, secrets)}",
            doubtful=True,
            code="bad_answer",
        )
    return answer


def asked_to_wait(response: httpx.Response) -> timedelta | None:
    """The wait that the answer asks for, where it does."""
    return retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))


def retry_after(value: str, now: datetime) -> timedelta | None:
    """The wait that a `Retry-After` header asks for, in seconds or as a date; None where it says nothing."""
    if value.strip().isdecimal():
        return timedelta(seconds=int(value))
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(moment - now, timedelta())


def blot(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it, plain or URL-encoded, replaced."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(form, "***")
    return text


def excerpt(text: str, secrets: Iterable[str]) -> str:
    """The beginning of a text, on one line, without secrets."""
    short = " ".join(blot(text, secrets).split())
    return short[:EXCERPT] + "…" if len(short) > EXCERPT else short


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object in a text; None where there is none."""
    # PHP puts its notices, and some servers a byte order mark, before the answer.
    try:
        answer = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def receipts_address(credentials: Credentials, provider: str, merchant_id: str, key: str = "") -> str:
    """Where a provider may call our gateway (`CARILLON_PUBLIC_URL`); an empty string where there is none."""
    public = credentials.get("PUBLIC_URL", merchant_id).rstrip("/")
    if not public:
        return ""
    return f"{public}/receipts/{provider}/{quote(merchant_id)}" + (
        f"?key={quote(key, safe='')}" if key else ""
    )
