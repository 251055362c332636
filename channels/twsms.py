"""TwSMS (台灣簡訊), JSON API 4.0.

Settings: `TWSMS_USERNAME`, `TWSMS_PASSWORD` (the merchant's own account), `TWSMS_URL`, and `TWSMS_DRURL`, an
address that TwSMS calls with the later state; left out, it is that of our gateway, where `PUBLIC_URL` and
`TWSMS_DRURL_KEY` are set.

TwSMS charges for the hand-over; nothing says that it gives points back for what did not arrive.

TwSMS knows no key of ours and finds a message only by the `msgid` that it answered with, so a hand-over whose
answer was lost cannot be asked about.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import httpx

from channels.base import (
    SMS_CONTENT,
    Abilities,
    Credentials,
    DeliveryError,
    DeliveryState,
    Message,
    Receipt,
    Word,
)
from channels.http import blot, receipts_address
from channels.sms_http import local_number, post_form, taiwanese
from channels.sms_text import segments

URL = "https://api.twsms.com"
SUCCESS = "00000"

SHORTEST, LONGEST = timedelta(seconds=300), timedelta(seconds=86_400)
"""The validity periods that TwSMS takes; without one it keeps trying for 28,800 seconds."""


class Refusal(NamedTuple):
    """What a code means. Permanent is what lies in this message or this number, never in the account."""

    meaning: str
    permanent: bool = False
    dead_address: bool = False


REFUSALS = {
    "00010": Refusal("user name or password is wrong"),
    "00011": Refusal("user name is wrong"),
    "00012": Refusal("password is wrong"),
    "00020": Refusal("no points left"),
    "00030": Refusal("this IP address may not use the API"),
    "00031": Refusal("the account may not send abroad"),
    "00040": Refusal("the account is suspended"),
    "00041": Refusal("the API is not switched on in the account"),
    "00050": Refusal("bad sendtime"),
    "00060": Refusal("bad expirytime"),
    "00070": Refusal("bad popup"),
    "00080": Refusal("bad mo"),
    "00090": Refusal("bad longsms"),
    "00100": Refusal("the mobile number is wrong", permanent=True, dead_address=True),
    "00110": Refusal("the text is empty", permanent=True),
    "00120": Refusal("no long SMS to numbers abroad", permanent=True),
    "00130": Refusal("the text is too long", permanent=True),
    "00140": Refusal("bad drurl"),
    "00150": Refusal("sendtime is past"),
    "00160": Refusal("drurl cannot be reached"),
    "00170": Refusal("drurl cannot be reached"),
    "00180": Refusal("the text holds an emoji", permanent=True),
    "99998": Refusal("TwSMS could not process it and asks to send again"),
    "99999": Refusal("TwSMS has a fault"),
}

STATES = {
    "DELIVRD": DeliveryState.DELIVERED,
    "ACCEPTD": DeliveryState.PENDING,
    "UNKNOWN": DeliveryState.UNKNOWN,
    "EXPIRED": DeliveryState.UNDELIVERED,
    "DELETED": DeliveryState.UNDELIVERED,
    "UNDELIV": DeliveryState.UNDELIVERED,
    "REJECTD": DeliveryState.UNDELIVERED,
    "SYNTAXE": DeliveryState.UNDELIVERED,
    "MOBERROR": DeliveryState.UNDELIVERED,
    "MSGERROR": DeliveryState.UNDELIVERED,
    "OTHERROR": DeliveryState.UNDELIVERED,
    "REJERROR": DeliveryState.UNDELIVERED,  # a keyword filter
    "REJMOBIL": DeliveryState.UNDELIVERED,  # the number is closed to advertising
}

DEAD_LATER = frozenset({"MOBERROR"})
"""The mobile number is wrong. UNDELIV and EXPIRED may be a phone that was off for long."""

NOT_YET = frozenset({"00001", "00310"})
NO_SUCH_MESSAGE = "00300"


EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u231a\u231b\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f"
    "\u2693\u26a1\u26aa\u26ab\u26bd\u26be\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a"
    "\u270b\u2728\u274c\u274e\u2753-\u2755\u2757\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55]|.[\ufe0f\u20e3]"
)
"""What Unicode shows as a picture by itself, or where it is followed by the mark that asks for one.

TwSMS says that it refuses emoji (00180), and not which characters it takes for one.
"""


class TwSmsChannel:
    """SMS through the merchant's own account at TwSMS."""

    provider = "twsms"
    abilities = Abilities(content=SMS_CONTENT, receipts=True, account=("TWSMS_USERNAME",))

    def __init__(self, credentials: Credentials, http: httpx.AsyncClient) -> None:
        self._credentials = credentials
        self._http = http

    async def send(self, message: Message) -> Receipt:
        mobile = local_number(message.to)
        form = {"mobile": mobile, "message": message.text}
        if taiwanese(message.to) and segments(message.text).segments > 1:
            form["longsms"] = "Y"
        if message.valid_for is not None:
            period = min(max(message.valid_for, SHORTEST), LONGEST)
            form["expirytime"] = str(int(period.total_seconds()))
        if drurl := self._drurl(message.merchant_id):
            form["drurl"] = drurl
        answer = await self._post("sms_send.php", form, message.merchant_id)
        code = str(answer.get("code", ""))
        if code != SUCCESS:
            raise self._refused(code, answer, form, message.merchant_id)
        return Receipt(self.provider, provider_id=str(answer.get("msgid", "")))

    async def state(self, msgid: str, merchant_id: str, to: str) -> DeliveryState:
        """What became of a message that TwSMS took. DeliveryError where TwSMS cannot be asked."""
        return (await self.ask(msgid, merchant_id, to)).state

    async def ask(self, msgid: str, merchant_id: str, to: str) -> Word:
        """TwSMS wants the number as well as the id."""
        form = {"mobile": local_number(to), "msgid": msgid}
        answer = await self._post("sms_query.php", form, merchant_id)
        code = str(answer.get("code", ""))
        if code in NOT_YET:
            return Word(msgid, DeliveryState.PENDING)
        if code == NO_SUCH_MESSAGE:
            return Word(msgid, DeliveryState.UNKNOWN)
        if code != SUCCESS:
            raise self._refused(code, answer, form, merchant_id)
        return _word(msgid, str(answer.get("statustext", "")))

    async def close(self) -> None:
        """Nothing to close: the HTTP client belongs to the registry."""

    async def _post(self, script: str, form: dict[str, str], merchant_id: str) -> dict[str, Any]:
        login = self._login(merchant_id)
        url = (self._credentials.get("TWSMS_URL", merchant_id) or URL).rstrip("/")
        return await post_form(
            self._http,
            f"{url}/json/{script}",
            {**login, **form},
            secrets=(*login.values(), *form.values()),
        )

    def _drurl(self, merchant_id: str) -> str:
        if own := self._credentials.get("TWSMS_DRURL", merchant_id):
            return own
        # Without a key nobody could tell a call of TwSMS from anyone's.
        key = self._credentials.get("TWSMS_DRURL_KEY", merchant_id)
        return receipts_address(self._credentials, self.provider, merchant_id, key) if key else ""

    def _login(self, merchant_id: str) -> dict[str, str]:
        return {
            "username": self._credentials.require("TWSMS_USERNAME", merchant_id),
            "password": self._credentials.require("TWSMS_PASSWORD", merchant_id),
        }

    def _refused(
        self, code: str, answer: dict[str, Any], form: dict[str, str], merchant_id: str
    ) -> DeliveryError:
        """An unknown code is worth another attempt; a missing or a pending one leaves open what happened."""
        said = blot(str(answer.get("text", "")), (*self._login(merchant_id).values(), *form.values()))
        refusal = REFUSALS.get(code, Refusal(f"unknown code, {said[:80]!r}"))
        return DeliveryError(
            f"TwSMS {code or 'without a code'}: {refusal.meaning}",
            permanent=refusal.permanent,
            dead_address=refusal.dead_address,
            doubtful=not code or code in NOT_YET,
            code=code or "bad_answer",
        )


def emoji_in(text: str) -> str:
    """The first character of a text for which TwSMS may refuse it; empty where there is none. Pure."""
    found = EMOJI.search(text)
    return found[0] if found else ""


def told(form: Mapping[str, str]) -> Word:
    """What a call of `drurl` says; the id is empty where the form holds none. Pure.

    Nothing public says how TwSMS words it: it is taken to name things as its answer to a query does.
    """
    return _word(form.get("msgid", ""), form.get("statustext", ""))


def _word(msgid: str, statustext: str) -> Word:
    status = statustext.upper()
    dead = f"TwSMS {status}: the mobile number is wrong" if status in DEAD_LATER else ""
    return Word(msgid, STATES.get(status, DeliveryState.UNKNOWN), dead)
