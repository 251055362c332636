"""What every channel takes, answers and raises."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True)
class Attachment:
    """A file that travels with an email.

    `content_id` is set for a picture that the HTML shows in place (`cid:`); without it the file is attached.
    """

    filename: str
    media_type: str
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True)
class Message:
    """A notice rendered for one channel: all that a provider needs, and nothing it must decide."""

    key: str
    """The notice key. The same key is the same message, however often it is handed over."""
    merchant_id: str
    to: str
    """An email address, or a phone number in E.164 form (`+886912345678`)."""
    text: str
    to_name: str = ""
    subject: str = ""
    html: str = ""
    sender_name: str = ""
    reply_to: str = ""
    unsubscribe_url: str = ""
    """Set only where the class of the notice may be declined (loyalty, promotional)."""
    attachments: tuple[Attachment, ...] = ()
    valid_for: timedelta | None = None
    """How long the message still means something, for providers that take a validity period."""


@dataclass(frozen=True)
class Receipt:
    """The provider's word that it has taken the message."""

    provider: str
    provider_id: str = ""
    detail: str = ""


class DeliveryState(StrEnum):
    """What a provider says later about a message that it took."""

    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    """It did not arrive and will not: expired, rejected, unreachable."""
    PENDING = "pending"
    UNKNOWN = "unknown"
    """The provider has no word on it, or one that it does not explain."""


@dataclass(frozen=True)
class Abilities:
    """What a provider can do; the pipeline reads this instead of knowing providers."""

    idempotent: bool = False
    """The provider drops a second message that carries the same key."""
    receipts: bool = False
    """The provider can tell later whether the message arrived."""
    per_second: float | None = None
    """The provider's own limit, messages a second, where it states one."""


class DeliveryError(Exception):
    """The provider did not take the message.

    `permanent`: this message to this address can never go (a rejected number, an unknown mailbox), so trying
    again is of no use. Anything else - a provider that is down, a wrong password - is worth another attempt,
    after `retry_after` where the provider asked for it.
    `code` is the provider's own, for the history.
    `doubtful`: the provider may have taken the message before the error (a time-out after the request was
    sent).
    """

    def __init__(
        self,
        reason: str,
        *,
        permanent: bool = False,
        doubtful: bool = False,
        code: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.doubtful = doubtful
        self.code = code
        self.retry_after = retry_after


class Channel(Protocol):
    """One provider. `send` answers a receipt or raises DeliveryError, and nothing else."""

    @property
    def provider(self) -> str: ...

    @property
    def abilities(self) -> Abilities: ...

    async def send(self, message: Message) -> Receipt: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Credentials:
    """The secrets and addresses of one provider for one merchant, read from the environment.

    `CARILLON_TWSMS_USERNAME` serves every merchant; `CARILLON_TWSMS_USERNAME__LUMI` only the merchant `lumi`
    (its id in capitals, other characters than letters and digits as `_`), and wins.
    """

    environment: Mapping[str, str] = field(repr=False)

    def get(self, name: str, merchant_id: str, default: str = "") -> str:
        """The value of `CARILLON_<NAME>` for this merchant, or `default`."""
        suffix = "".join(c if c.isalnum() else "_" for c in merchant_id.upper())
        own = self.environment.get(f"CARILLON_{name}__{suffix}")
        return own if own is not None else self.environment.get(f"CARILLON_{name}", default)

    def require(self, name: str, merchant_id: str) -> str:
        """The same, but a missing value is a DeliveryError that names the variable to set.

        It is not permanent: once the variable is set, the message goes.
        """
        value = self.get(name, merchant_id)
        if not value:
            raise DeliveryError(
                f"CARILLON_{name} is not set for merchant {merchant_id}", code="not_configured"
            )
        return value
