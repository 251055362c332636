"""What the people who run it are told of: what is wrong, when it is told, and in which words. Pure.

A trouble is told once while it lasts. It has ended when it was not seen for a while (CALM); one that lasts
longer than a day is told again. Nothing of a member's is in the words, and nothing that a provider said.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from models.credits import low, sendable
from models.merchant import Merchant

CALM = timedelta(minutes=15)
"""Not seen for so long it has ended: the next one is told anew. An attempt in between is no end."""
AGAIN = timedelta(days=1)
TRY_AGAIN = timedelta(minutes=5)
"""So long after the staff could not be told it is tried again."""


class Cause(StrEnum):
    """What is wrong."""

    POINTS = "points"
    """SMS points run low: level 1 below the banner's threshold, 2 below the email's. [WACA-29a, WACA-29b]"""
    EMAIL = "email"
    """The merchant could not be told of that by email."""
    PROVIDER = "provider"
    """Messages wait for a provider that is down, refuses the login or is not set up."""
    MISSED = "missed"
    UNCERTAIN = "uncertain"
    TEMPLATE = "template"
    """Messages wait because their template cannot be rendered."""


PATIENCE = {Cause.PROVIDER: timedelta(minutes=4)}
"""So long it must be seen before it is told: a provider that stumbles is no news."""
ONCE = frozenset({Cause.POINTS})
"""Not told again after a day: once a crossing, as the merchant is. [WACA-29b]"""

EVENTS = frozenset({Cause.EMAIL, Cause.MISSED, Cause.UNCERTAIN})
"""What has happened and is not seen any more after a few looks: it is owed until it is told, for a day."""

Key = tuple[str, str, str]
"""A merchant, a cause, and what it is about."""


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong with a merchant's messages now, as the log has it.

    `about`: the provider, where it is one's. `count` messages, or (POINTS) those that can still be sent.
    `example`: the number of one message. `setting`: the variable that is to be set, where that is known.
    """

    merchant_id: str
    cause: Cause
    about: str = ""
    count: int = 0
    example: int | None = None
    level: int = 1
    setting: str = ""

    @property
    def key(self) -> Key:
        return self.merchant_id, self.cause, self.about


@dataclass(frozen=True)
class Remembered:
    """A trouble as it was seen and told before. `level` is the one that was told, 0 for none."""

    key: Key
    since: datetime
    seen: datetime
    level: int = 0
    count: int = 0
    example: int | None = None
    told_at: datetime | None = None
    tried_at: datetime | None = None

    def told(self, trouble: Trouble, now: datetime) -> "Remembered":
        """After the staff was told."""
        return replace(self, level=trouble.level, told_at=now, tried_at=None)

    def owed(self, now: datetime) -> bool:
        """Whether it is to be told though it is not seen any more."""
        return self.level == 0 and self.key[1] in EVENTS and now < self.since + AGAIN

    def tried(self, now: datetime) -> "Remembered":
        """After nobody could be told."""
        return replace(self, tried_at=now)


@dataclass(frozen=True)
class Look:
    """What follows from one look: what to remember, what to tell, what has ended."""

    remember: Mapping[Key, Remembered]
    tell: tuple[Trouble, ...]
    ended: tuple[Key, ...]


def look(found: Iterable[Trouble], remembered: Mapping[Key, Remembered], now: datetime) -> Look:
    """What is to be told now of what was found, by what was told before."""
    kept: dict[Key, Remembered] = {}
    tell = []
    there = list(found)
    seen = {trouble.key for trouble in there}
    for key, one in remembered.items():
        if key not in seen and one.owed(now):
            there.append(Trouble(key[0], Cause(key[1]), key[2], one.count, one.example))
    for trouble in there:
        before = remembered.get(trouble.key) or Remembered(trouble.key, since=now, seen=now)
        # One that became less is told again when it becomes more.
        one = replace(before, seen=now, level=min(before.level, trouble.level))
        kept[trouble.key] = one = replace(one, count=trouble.count, example=trouble.example)
        if _to_tell(trouble, one, now):
            tell.append(trouble)
    ended = tuple(key for key, one in remembered.items() if key not in kept and one.seen + CALM < now)
    return Look(kept, tuple(tell), ended)


def _to_tell(trouble: Trouble, one: Remembered, now: datetime) -> bool:
    if now < one.since + PATIENCE.get(trouble.cause, timedelta(0)):
        return False
    if one.tried_at is not None and now < one.tried_at + TRY_AGAIN:
        return False
    if trouble.level > one.level or one.told_at is None:
        return True
    return trouble.cause not in ONCE and now >= one.told_at + AGAIN


def short_of_points(merchant: Merchant, points: Decimal) -> Trouble | None:
    """The shortage of a merchant that has so many SMS points left, or None. [WACA-29a to WACA-29c]"""
    policy = merchant.credits
    if not merchant.charged() or not low(points, max(policy.banner_below, policy.email_below), policy):
        return None
    level = 2 if low(points, policy.email_below, policy) else 1
    return Trouble(merchant.id, Cause.POINTS, count=sendable(points, policy.price.domestic), level=level)


def words(trouble: Trouble) -> tuple[str, str]:
    """The title of an alert, and what it says: whose, how many, one example, and where to see more."""
    whose, messages = trouble.merchant_id, _messages(trouble)
    match trouble.cause:
        case Cause.POINTS:
            title = "SMS points are nearly used up" if trouble.level > 1 else "SMS points run low"
            what = f"{whose} has SMS points for {trouble.count} domestic messages."
        case Cause.EMAIL:
            title = "a merchant does not know that its SMS points run low"
            what = f"{whose} could not be told by email: {messages}. Has it an address, `email` in its file?"
        case Cause.PROVIDER:
            title = f"messages wait for {trouble.about or 'a provider'}"
            what = f"{messages} of {whose} cannot go: it is down, refuses the login or is not set up."
        case Cause.MISSED:
            title = "messages were missed"
            what = f"{messages} of {whose} did not go in time, and will not be sent late."
        case Cause.UNCERTAIN:
            title = "messages are uncertain"
            what = f"{messages} of {whose} may have gone or not, and will not be sent twice."
        case Cause.TEMPLATE:
            title = "a template cannot be rendered"
            what = f"{messages} of {whose} cannot go before it is mended."
    setting = f" Set {trouble.setting}." if trouble.setting else ""
    return f"Carillon, {whose}: {title}", f"{what}{setting} See `{_command(trouble)}`"


def _messages(trouble: Trouble) -> str:
    number = "1 message" if trouble.count == 1 else f"{trouble.count} messages"
    return f"{number} (such as {trouble.example})" if trouble.example is not None else number


def _command(trouble: Trouble) -> str:
    if trouble.cause is Cause.POINTS:
        return f"carillon credits show {trouble.merchant_id}"
    if trouble.example is not None:
        return f"carillon explain {trouble.example}"
    return f"carillon messages --merchant {trouble.merchant_id}"
