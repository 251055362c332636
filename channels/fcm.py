"""Push to apps through Firebase Cloud Messaging, HTTP v1.

Settings: `FCM_CREDENTIALS` (the path of the service account's JSON file), `FCM_PROJECT` (else the file's
own), `FCM_URL`. The address of a message is the registration token of one app on one device.

FCM drops no duplicates and tells nothing later. A notice always carries the same tag, so that a second copy
takes the place of the first on the screen; that it does is not promised.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from channels.base import (
    PUSH_CONTENT,
    Abilities,
    Credentials,
    DeliveryError,
    Message,
    Receipt,
)
from channels.fcm_login import FcmLogin
from channels.http import asked_to_wait, blot, exchange, http_failure, json_object, may_have_acted, object_in

URL = "https://fcm.googleapis.com"

LONGEST = timedelta(days=28)
"""The longest life that FCM takes."""

QUOTA_WAIT = timedelta(minutes=1)
"""The least that Google asks for after QUOTA_EXCEEDED without a Retry-After."""


class FcmChannel:
    """One Firebase project a merchant, or one for all."""

    provider = "fcm"
    abilities = Abilities(content=PUSH_CONTENT)

    def __init__(self, credentials: Credentials, http: httpx.AsyncClient) -> None:
        self._credentials = credentials
        self._http = http
        self._logins: dict[str, FcmLogin] = {}

    async def send(self, message: Message) -> Receipt:
        merchant = message.merchant_id
        login = self._login(merchant)
        token = await login.token()
        project = self._credentials.get("FCM_PROJECT", merchant) or login.project
        url = (self._credentials.get("FCM_URL", merchant) or URL).rstrip("/")
        response = await exchange(
            self._http,
            "POST",
            f"{url}/v1/projects/{project}/messages:send",
            headers={"Authorization": f"Bearer {token}"},
            json={"message": payload(message, datetime.now(UTC))},
        )
        secrets = (token, message.to, message.subject, message.text)
        if response.is_success:
            return Receipt(self.provider, str(object_in(response, secrets=secrets).get("name", "")))
        if response.status_code == httpx.codes.UNAUTHORIZED:
            login.forget(token)
        raise _refused(response, secrets)

    async def close(self) -> None:
        """Nothing to close: the HTTP client belongs to the registry."""

    def _login(self, merchant: str) -> FcmLogin:
        path = self._credentials.require("FCM_CREDENTIALS", merchant)
        if path not in self._logins:
            self._logins[path] = FcmLogin(path, self._http)
        return self._logins[path]


def payload(message: Message, now: datetime) -> dict[str, Any]:
    """The `message` of FCM: text, an image, or both, for Android, iOS and the web. Pure. [LOY-24]"""
    tag = hashlib.sha256(message.key.encode()).hexdigest()[:32]
    shown = {"title": message.subject, "body": message.text, "image": message.image_url}
    android: dict[str, Any] = {"notification": {"tag": tag}}
    apns: dict[str, Any] = {"headers": {"apns-collapse-id": tag}}
    webpush: dict[str, Any] = {"notification": {"tag": tag}}
    if message.image_url:
        # An app on iOS fetches the picture itself, in an extension that only such a notice wakes.
        apns["payload"] = {"aps": {"mutable-content": 1}}
        apns["fcm_options"] = {"image": message.image_url}
    if message.valid_for is not None:
        life = min(max(message.valid_for, timedelta()), LONGEST)
        seconds = int(life.total_seconds())
        android["ttl"] = f"{seconds}s"
        apns["headers"]["apns-expiration"] = str(int((now + life).timestamp()))
        webpush["headers"] = {"TTL": str(seconds)}
    return {
        "token": message.to,
        "notification": {name: value for name, value in shown.items() if value},
        "android": android,
        "apns": apns,
        "webpush": webpush,
    }


def _refused(response: httpx.Response, secrets: tuple[str, ...]) -> DeliveryError:
    """By FCM's own code where it gives one. Final is only what lies in the token or the message."""
    error = (json_object(response.text) or {}).get("error")
    if not isinstance(error, dict):
        return http_failure(response, secrets=secrets)
    code = next(_codes(error), str(error.get("status", ""))) or f"http_{response.status_code}"
    said = blot(str(error.get("message", "")), secrets)[:120]
    wait = asked_to_wait(response)
    match code:
        case "UNREGISTERED":
            return DeliveryError("the app is gone from the device", dead_address=True, code=code)
        case "INVALID_ARGUMENT" if _of_token(error):
            return DeliveryError("the push token is none", dead_address=True, code=code)
        case "INVALID_ARGUMENT":
            return DeliveryError(f"FCM refused the message: {said}", permanent=True, code=code)
        case "QUOTA_EXCEEDED":
            return DeliveryError("FCM's quota is used up", code=code, retry_after=wait or QUOTA_WAIT)
        case _:
            doubtful = may_have_acted(response)
            return DeliveryError(f"FCM {code}: {said}", code=code, doubtful=doubtful, retry_after=wait)


def _details(error: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(kind):
            yield detail


def _codes(error: dict[str, Any]) -> Iterator[str]:
    for detail in _details(error, "google.firebase.fcm.v1.FcmError"):
        yield str(detail.get("errorCode", ""))


def _of_token(error: dict[str, Any]) -> bool:
    """INVALID_ARGUMENT says in one of two ways that it is the token that is wrong, or means anything else."""
    if "registration token" in str(error.get("message", "")):
        return True
    return any(
        violation.get("field") == "message.token"
        for detail in _details(error, "google.rpc.BadRequest")
        for violation in detail.get("fieldViolations", [])
    )
