"""A wave: one kind of notice to many members who share a moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from models.notices import Kind


@dataclass(frozen=True)
class Audience:
    """A named selection of members in SQL, with its parameters. Who is in it is asked when a page is sent."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Words:
    """A text of a wave's own, in one language. `image`: the https address of a picture; an SMS has none."""

    body: str
    title: str = ""
    image: str = ""


@dataclass(frozen=True)
class Wave:
    """What one wave sends.

    `subject` is the part of each notice key that tells this moment from others of its kind: two waves with
    the same lifecycle, kind and subject send each member one message between them.
    `lifecycle` is the id of what owes it: a drop, a task's run, a campaign. `due` and `not_after` are UTC.
    `words`: a promotion's own text by locale.
    """

    wave_id: str
    merchant_id: str
    kind: Kind
    audience: Audience
    channels: tuple[str, ...]
    due: datetime
    not_after: datetime
    lifecycle: str
    subject: str
    words: Mapping[str, Words] = field(default_factory=dict)
