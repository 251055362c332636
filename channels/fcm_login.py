"""The access token of a Google service account, fetched when one is needed and kept while it lasts."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport import Request, Response
from google.oauth2.service_account import Credentials as ServiceAccount

from channels.base import DeliveryError, misconfigured

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


class FcmLogin:
    """One service account, by the path of its file. google-auth waits where it works, so it has a thread."""

    def __init__(self, path: str, http: httpx.AsyncClient) -> None:
        self._path = path
        self._http = http
        self._turn = asyncio.Lock()
        self._account: ServiceAccount | None = None

    @property
    def project(self) -> str:
        """The project that the file names. Known after the first token."""
        return str(self._account.project_id) if self._account is not None else ""

    async def token(self) -> str:
        """A token that lasts for some minutes yet; DeliveryError, never doubtful, where none is to be had."""
        async with self._turn:
            if self._account is None:
                self._account = await asyncio.to_thread(_account, self._path)
            if not self._account.valid:
                bridge = _Bridge(self._http, asyncio.get_running_loop())
                try:
                    await asyncio.to_thread(self._account.refresh, bridge)
                except TransportError as error:
                    raise DeliveryError(
                        "could not reach Google for an access token", code="unreachable"
                    ) from error
                except GoogleAuthError as error:
                    raise DeliveryError("Google refused the service account", code="bad_login") from error
            return str(self._account.token)

    def forget(self, token: str) -> None:
        """Google takes this token no longer: the next message asks for another."""
        if self._account is not None and self._account.token == token:
            self._account.token = None


class _Answer(Response):
    def __init__(self, response: httpx.Response) -> None:
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def data(self) -> bytes:
        return self._response.content


class _Bridge(Request):
    """google-auth's requests made by the registry's HTTP client, whose proxy and time-outs hold here too."""

    def __init__(self, http: httpx.AsyncClient, loop: asyncio.AbstractEventLoop) -> None:
        self._http = http
        self._loop = loop

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002
        **_: Any,
    ) -> _Answer:
        asked = self._http.request(method, url, content=body, headers=headers)
        try:
            return _Answer(asyncio.run_coroutine_threadsafe(asked, self._loop).result())
        except httpx.HTTPError as error:
            raise TransportError(type(error).__name__) from error  # type: ignore[no-untyped-call]


def _account(path: str) -> ServiceAccount:
    try:
        account: ServiceAccount = ServiceAccount.from_service_account_file(  # type: ignore[no-untyped-call]
            path, scopes=[SCOPE]
        )
    except (OSError, ValueError) as error:
        raise misconfigured(
            "FCM_CREDENTIALS", "the path of a service account's JSON file that can be read"
        ) from error
    return account
