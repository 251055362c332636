"""Every provider that this process can send by, built once from the settings."""

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import httpx

from channels.base import Channel, Credentials, DeliveryError, OnReceipt, OnReply
from channels.console import ConsoleChannel
from channels.fcm import FcmChannel
from channels.smartdove import SmartdoveChannel
from channels.smpp import SmppChannel
from channels.smtp import SmtpChannel
from channels.twilio import TwilioChannel
from channels.twsms import TwSmsChannel

HTTP_TIMEOUT = httpx.Timeout(20.0, connect=10.0)
HTTP_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=5.0)


class Channels:
    """Looks a provider up, and owns the connections of all of them."""

    def __init__(
        self,
        providers: Mapping[str, Mapping[str, Channel]],
        http: httpx.AsyncClient,
        *,
        extra: Mapping[str, Channel] | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.credentials = credentials or Credentials({})
        self._providers = providers
        self._http = http
        self._extra = dict(extra or {})

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str],
        *,
        extra: Mapping[str, Channel] | None = None,
        write: Callable[[str], None] = print,
        on_receipt: OnReceipt | None = None,
        on_reply: OnReply | None = None,
    ) -> Self:
        """The providers that ship with Carillon, with the credentials in `environ`. None connects yet.

        `extra` (tests, benchmarks, a company's own) is found under its key for every channel, and wins; who
        gives it closes it. `write` is where the console provider writes. `on_receipt` is told what becomes of
        messages by providers that tell it over their own connection (smpp), and `on_reply` of each SMS that
        comes in there. `CARILLON_HTTP_PROXY` is the
        proxy for providers over HTTP; proxies named elsewhere in the process's environment are not used.
        """
        credentials = Credentials(environ)
        http = httpx.AsyncClient(
            timeout=HTTP_TIMEOUT,
            limits=HTTP_LIMITS,
            trust_env=False,
            proxy=environ.get("CARILLON_HTTP_PROXY") or None,
        )
        console = ConsoleChannel(write)
        providers: dict[str, dict[str, Channel]] = {
            "email": {
                "smtp": SmtpChannel(credentials),
                "smtp_backup": SmtpChannel(credentials, "smtp_backup"),
                "console": console,
            },
            "sms": {
                "twsms": TwSmsChannel(credentials, http),
                "smartdove": SmartdoveChannel(credentials, http),
                "smpp": SmppChannel(credentials, on_receipt, on_reply),
                "twilio": TwilioChannel(credentials, http),
                "console": console,
            },
            "push": {"fcm": FcmChannel(credentials, http), "console": console},
        }
        return cls(providers, http, extra=extra, credentials=credentials)

    def get(self, channel: str, provider: str) -> Channel:
        """The provider for a channel, or a DeliveryError that names the ones there are."""
        own = self._providers.get(channel, {})
        found = self._extra.get(provider) or own.get(provider)
        if found is None:
            allowed = ", ".join(sorted({*own, *self._extra})) or "none"
            raise DeliveryError(
                f"no provider {provider!r} for {channel}; there is: {allowed}", code="unknown_provider"
            )
        return found

    async def close(self) -> None:
        """Close what was built here."""
        own = [channel for providers in self._providers.values() for channel in providers.values()]
        await asyncio.gather(*(channel.close() for channel in dict.fromkeys(own)))
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
