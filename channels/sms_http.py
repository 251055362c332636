"""What SMS providers that take a form over HTTP have in common: the number, the post, and its failures."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, quote_plus

import httpx

from channels.base import DeliveryError

E164 = re.compile(r"\+[1-9]\d{5,14}")
TAIWAN = "+886"

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

ANSWER_LOST_IN_BETWEEN = frozenset({502, 504})
"""A gateway that passed the request on and got no usable answer: the provider behind it may have acted."""


def taiwanese(number: str) -> bool:
    """Whether an E.164 number is one of Taiwan."""
    return number.startswith(TAIWAN)


def local_number(number: str) -> str:
    """The form that providers in Taiwan take: `0912345678` at home, country code and digits abroad.

    Raises a permanent DeliveryError for what is not E.164; the number itself is not in the error.
    """
    if not E164.fullmatch(number):
        raise DeliveryError("the phone number is not in E.164 form", permanent=True, code="bad_number")
    if taiwanese(number):
        return "0" + number.removeprefix(TAIWAN)
    return number.removeprefix("+")


async def post_form(
    http: httpx.AsyncClient, url: str, form: Mapping[str, str], *, secrets: Iterable[str]
) -> dict[str, Any]:
    """Post a form and answer the JSON object that came back; everything else is a DeliveryError.

    None of them is permanent. `doubtful` where the request was written and no clear answer came: a time-out,
    a lost connection, a gateway that lost its own, or a 2xx that is not JSON. `secrets` are blotted out of
    whatever part of the answer is quoted.
    """
    try:
        response = await http.post(url, data=dict(form))
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
    if not response.is_success:
        raise DeliveryError(
            f"the provider answered HTTP {response.status_code}: {_excerpt(response.text, secrets)}",
            doubtful=response.status_code in ANSWER_LOST_IN_BETWEEN,
            code=f"http_{response.status_code}",
            retry_after=retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC)),
        )
    answer = _json_object(response.text)
    if answer is None:
        raise DeliveryError(
            f"the provider's answer is not JSON: {_excerpt(response.text, secrets)}",
            doubtful=True,
            code="bad_answer",
        )
    return answer


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


def _excerpt(text: str, secrets: Iterable[str]) -> str:
    excerpt = " ".join(blot(text, secrets).split())
    return excerpt[:EXCERPT] + "…" if len(excerpt) > EXCERPT else excerpt


def _json_object(text: str) -> dict[str, Any] | None:
    # PHP puts its notices, and some servers a byte order mark, before the answer.
    try:
        answer = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
