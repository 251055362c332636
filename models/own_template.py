"""A text of a merchant's own in place of a shipped one. Every version is kept; one, or none, is active."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType


@dataclass(frozen=True)
class Place:
    """Which shipped text it stands for."""

    kind: str
    locale: str
    channel: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.locale}/{self.channel}"


@dataclass(frozen=True)
class OwnTemplate:
    """What the merchant wrote; `subject` is for email alone."""

    place: Place
    text: str
    subject: str = ""
    version: int = 0


@dataclass(frozen=True)
class Saved:
    """A version as it is kept: who wrote it and when, UTC, and whether messages are made from it."""

    template: OwnTemplate
    author: str
    at: datetime
    active: bool


Overrides = Mapping[Place, OwnTemplate]
"""The active texts of one merchant."""

NONE: Overrides = MappingProxyType({})
