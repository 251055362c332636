"""SMARTDOVE, one SMS a request.

Settings: `SMARTDOVE_TOKEN`, and optionally `SMARTDOVE_URL`, `SMARTDOVE_CAMPAIGN_ID` and
`SMARTDOVE_RESPONSE_URL` (an address that SMARTDOVE calls with `sms_id`, `sms_code` and `update_time`).

The request is the one that public clients make. THE ANSWER IS AN ASSUMPTION: no public specification was
found, only a client that reads

    {"is_error": false, "error_code": 0, "error_message": "", "sms_id": "5", "sms_code": "1"}

So it is read tolerantly: `is_error` may be a boolean, a number or a word; without it an `error_code` other
than zero is an error and an `sms_id` a success; the same keys may stand inside `data` or be the only item of
a list. What the error codes mean is not known, so none is taken as permanent, and none
as the death of a number.
"""

from typing import Any

import httpx

from channels.base import SMS_CONTENT, Abilities, Credentials, DeliveryError, Message, Receipt
from channels.http import blot
from channels.sms_http import local_number, post_form

URL = "https://api.smartdove.net"
PATH = "index.php?r=smsApi/SendOneSms"

NO = frozenset({"", "0", "false", "no", "n", "none", "null"})


class SmartdoveChannel:
    """SMS through SMARTDOVE."""

    provider = "smartdove"
    abilities = Abilities(content=SMS_CONTENT, account=("SMARTDOVE_TOKEN",))

    def __init__(self, credentials: Credentials, http: httpx.AsyncClient) -> None:
        self._credentials = credentials
        self._http = http

    async def send(self, message: Message) -> Receipt:
        merchant = message.merchant_id
        number = local_number(message.to)
        token = self._credentials.require("SMARTDOVE_TOKEN", merchant)
        url = (self._credentials.get("SMARTDOVE_URL", merchant) or URL).rstrip("/")
        form = {"token": token, "phone_number": number, "content": message.text}
        for key in ("campaign_id", "response_url"):
            if value := self._credentials.get(f"SMARTDOVE_{key.upper()}", merchant):
                form[key] = value
        secrets = (token, number, message.text)
        answer = await post_form(self._http, f"{url}/{PATH}", form, secrets=secrets)
        return self._receipt(answer, secrets)

    async def close(self) -> None:
        """Nothing to close: the HTTP client belongs to the registry."""

    def _receipt(self, answer: dict[str, Any], secrets: tuple[str, ...]) -> Receipt:
        inner = answer.get("data")
        fields = {**answer, **inner} if isinstance(inner, dict) else answer
        sms_id, code = _word(fields, "sms_id"), _word(fields, "error_code")
        if "is_error" in fields:
            failed = _word(fields, "is_error").lower() not in NO
        elif code or sms_id:
            failed = code.lower() not in NO
        else:
            raise DeliveryError(
                "SMARTDOVE's answer says neither success nor error", doubtful=True, code="bad_answer"
            )
        if failed:
            said = blot(_word(fields, "error_message"), secrets)[:80]
            raise DeliveryError(f"SMARTDOVE refused it ({code or 'no code'}): {said}", code=code or "refused")
        return Receipt(self.provider, provider_id=sms_id, detail=_word(fields, "sms_code"))


def _word(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    return "" if value is None else str(value).strip()
