"""What SMS providers that take a form over HTTP have in common: the number, and the post."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from channels.base import DeliveryError
from channels.http import exchange, http_failure, object_in

E164 = re.compile(r"\+[1-9]\d{5,14}")
TAIWAN = "+886"


def taiwanese(number: str) -> bool:
    """Whether an E.164 number is one of Taiwan."""
    return number.startswith(TAIWAN)


def e164(number: str) -> str:
    """The number, in the form that it must have.

    Raises a DeliveryError for what is not E.164; the number itself is not in the error.
    """
    if not E164.fullmatch(number):
        raise DeliveryError("the phone number is not in E.164 form", dead_address=True, code="bad_number")
    return number


def local_number(number: str) -> str:
    """The form that providers in Taiwan take: `0912345678` at home, country code and digits abroad.

    Raises as `e164` does.
    """
    if taiwanese(e164(number)):
        return "0" + number.removeprefix(TAIWAN)
    return number.removeprefix("+")


async def post_form(
    http: httpx.AsyncClient, url: str, form: Mapping[str, str], *, secrets: Iterable[str]
) -> dict[str, Any]:
    """Post a form and answer the JSON object that came back; everything else is a DeliveryError.

    None of them is permanent. `doubtful` where the request was written and no clear answer came: a time-out,
    a lost connection, a fault of the provider's (5xx), or a 2xx that is not JSON. `secrets` are blotted out
    of whatever part of the answer is quoted.
    """
    response = await exchange(http, "POST", url, data=dict(form))
    if not response.is_success:
        raise http_failure(response, secrets=secrets)
    return object_in(response, secrets=secrets)
