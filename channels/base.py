"""What every channel takes, answers and raises."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Attachment:
    """A file that travels with an email.

    `content_id` is set for a picture that the HTML shows in place (`cid:`); without it the file is attached.
    """

    filename: str
    media_type: str
    content: bytes
    content_id: str | None = None


@dataclass(slots=True)
class Message:
    """A notice rendered for one channel: all that a provider needs, and nothing it must decide."""

    key: str
    """The notice key. The same key is the same message, however often it is handed over."""
    merchant_id: str
    to: str
    """An email address, a phone number in E.164 form (`+886912345678`), or the push token of an app."""
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
    image_url: str = ""
    """A picture that the provider fetches and shows: push and messengers. An email shows its attachments."""
    button: tuple[str, str] | None = None
    """The label of a button, and the address that it opens."""


@dataclass(slots=True)
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


ANSWERED_STOP = "answered STOP"
"""Why an address is suppressed whose reader has answered STOP. START lifts what has this reason alone."""


@dataclass(frozen=True)
class Word:
    """What a provider says of one message.

    `dead_address`: why no message can ever go to its address, where that is what the provider says; or
    ANSWERED_STOP.
    """

    provider_id: str
    state: DeliveryState
    dead_address: str = ""


OnReceipt = Callable[[str, DeliveryState], Awaitable[None]]
"""Called with a `provider_id` and what became of that message, by providers that tell it on their own.

It may be called twice for one message, and with an older word after a newer one. When it raises, the
provider is told that its word was not taken, and says it again.
"""


@dataclass(frozen=True)
class Reply:
    """An SMS that somebody has written back: the number it came from, `+886912345678`, and what it says.

    `meant`: whether it is for this merchant, who sends by the connection and from the number that it came to.
    """

    provider: str
    address: str
    text: str
    meant: Callable[[str], bool]


OnReply = Callable[[Reply], Awaitable[None]]
"""Called with each SMS that comes in, by providers that tell it on their own; it may come twice.

When it raises, the provider is told that the SMS was not taken, and says it again.
"""


class Content(StrEnum):
    """What a message consists of. The first five exclude each other; the last two come on top of them."""

    TEXT = "text"
    IMAGE = "image"
    TEXT_IMAGE = "text_image"
    TEXT_BUTTON = "text_button"
    TEXT_IMAGE_BUTTON = "text_image_button"
    HTML = "html"
    """Formatted text, with links and pictures in place."""
    ATTACHMENTS = "attachments"


SMS_CONTENT = frozenset({Content.TEXT})
"""[LOY-22]"""
EMAIL_CONTENT = frozenset({Content.TEXT, Content.HTML, Content.ATTACHMENTS})
"""[LOY-23]"""
PUSH_CONTENT = frozenset({Content.TEXT, Content.IMAGE, Content.TEXT_IMAGE})
"""[LOY-24]"""
VIBER_CONTENT = frozenset({Content.TEXT, Content.IMAGE, Content.TEXT_BUTTON, Content.TEXT_IMAGE_BUTTON})
"""[LOY-25]"""
SOCIAL_CONTENT = frozenset({Content.TEXT})
"""[LOY-26]"""


@dataclass(frozen=True)
class Abilities:
    """What a provider can do; the pipeline reads this instead of knowing providers."""

    content: frozenset[Content] = frozenset(Content)
    """What it can carry; one that declares nothing (a fake, the console) carries everything."""
    idempotent: bool = False
    """The provider drops a second message that carries the same key."""
    receipts: bool = False
    """The provider can tell later whether the message arrived."""
    refunds: bool = False
    """What a message cost that did not arrive is given back.

    `CARILLON_<PROVIDER>_REFUNDS` says otherwise.
    """
    per_second: float | None = None
    """The provider's own limit, messages a second, where it states one.

    `CARILLON_<PROVIDER>_PER_SECOND` says otherwise.
    """
    account: tuple[str, ...] = ()
    """The settings that tell one account from another: a limit counts for one account."""
    at_most_once: bool = False
    """A message that may have left is never sent a second time, whatever its class would rather have."""


def can_carry(abilities: Abilities, message: Message) -> str | None:
    """Why a provider cannot carry a message, or None. Pure. [LOY-22 to LOY-26]"""
    body = _body(message)
    if body is None:
        return "the message has neither text nor image" if not message.button else "a button needs a text"
    parts = [body]
    if message.html:
        parts.append(Content.HTML)
    if message.attachments:
        parts.append(Content.ATTACHMENTS)
    beyond = [part for part in parts if part not in abilities.content]
    if not beyond:
        return None
    able = ", ".join(content for content in Content if content in abilities.content)
    return f"the message is {' + '.join(beyond)}, and the provider carries only {able or 'nothing'}"


def _body(message: Message) -> Content | None:
    match bool(message.text), bool(message.image_url), message.button is not None:
        case True, False, False:
            return Content.TEXT
        case False, True, False:
            return Content.IMAGE
        case True, True, False:
            return Content.TEXT_IMAGE
        case True, False, True:
            return Content.TEXT_BUTTON
        case True, True, True:
            return Content.TEXT_IMAGE_BUTTON
        case _:
            return None


class DeliveryError(Exception):
    """The provider did not take the message.

    `permanent`: this message to this address can never go (a rejected number, a refused text), so trying
    again is of no use. Anything else - a provider that is down, a wrong password - is worth another attempt,
    after `retry_after` where the provider asked for it.
    `dead_address`: no message can ever go to this address (an unknown mailbox, a number that does not exist,
    the token of an app that is gone), so that it may be suppressed. It is permanent as well.
    `stopped`: the reader has answered STOP to this sender, so that the address is suppressed until START. It
    is permanent as well.
    `code` is the provider's own, or a word of ours, for the history.
    `doubtful`: the provider may have taken the message before the error (a time-out after the request was
    sent).
    """

    def __init__(
        self,
        reason: str,
        *,
        permanent: bool = False,
        dead_address: bool = False,
        stopped: bool = False,
        doubtful: bool = False,
        code: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent or dead_address or stopped
        self.dead_address = dead_address
        self.stopped = stopped
        self.doubtful = doubtful
        self.code = code
        self.retry_after = retry_after

    @property
    def told(self) -> str:
        """The reason with its code, for the history: `no such number [21211]`; or alone where it names it."""
        if not self.code or self.code.replace("_", " ").lower() in self.reason.lower():
            return self.reason
        return f"{self.reason} [{self.code}]"


class Channel(Protocol):
    """One provider. `send` answers a receipt or raises DeliveryError, and nothing else."""

    @property
    def provider(self) -> str: ...

    @property
    def abilities(self) -> Abilities: ...

    async def send(self, message: Message) -> Receipt: ...

    async def close(self) -> None: ...


@runtime_checkable
class Asking(Channel, Protocol):
    """A provider that can be asked what became of a message, if its abilities speak of receipts."""

    async def ask(self, provider_id: str, merchant_id: str, to: str) -> Word:
        """The provider's word, PENDING where there is none yet. DeliveryError where it cannot be asked."""
        ...


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

    def number(self, name: str, merchant_id: str, default: float, *, whole: bool = False) -> float:
        """A value that is a number above zero, or `default` where none is set."""
        value = self.get(name, merchant_id).strip()
        if not value:
            return default
        try:
            number = int(value) if whole else float(value)
        except ValueError:
            number = 0
        if not number > 0:
            raise misconfigured(name, "a number above zero")
        return number

    def choice(self, name: str, merchant_id: str, words: Collection[str], default: str) -> str:
        """A value that is one of some words, or `default` where none is set."""
        value = self.get(name, merchant_id).strip().lower() or default
        if value not in words:
            raise misconfigured(name, f"one of {', '.join(words)}")
        return value

    def switch(self, name: str, merchant_id: str, *, default: bool = False) -> bool:
        """A value that says yes or no, in any of the usual ways."""
        value = self.get(name, merchant_id).strip().lower()
        if value and value not in YES | NO:
            raise misconfigured(name, "yes or no")
        return value in YES if value else default


YES, NO = frozenset({"yes", "true", "on", "1"}), frozenset({"no", "false", "off", "0"})


def misconfigured(name: str, wanted: str) -> DeliveryError:
    """A setting that cannot be used; it is not permanent: once it is mended, the message goes."""
    return DeliveryError(f"CARILLON_{name} is not {wanted}", code="not_configured")
