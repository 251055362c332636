"""What an audience is: a selection of members, asked anew whenever a page of a wave is sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

from models.member_content import MemberContent
from models.merchant import Merchant
from models.people import Person
from models.wave import Wave


class Chosen(NamedTuple):
    """One member of an audience, and what it is told. `not_after`, UTC, if sooner than the wave's."""

    person: Person
    content: MemberContent
    not_after: datetime | None = None


class Selection(Protocol):
    """How one kind of audience is found. Everybody in it is a member, and in it once."""

    def who(self, wave: Wave, merchant: Merchant, now: datetime) -> Select[tuple[str]]:
        """The ids of those in it, in no order and without a limit: the wave pages through them by this id."""

    async def read(
        self,
        connection: AsyncConnection,
        wave: Wave,
        merchant: Merchant,
        member_ids: Sequence[str],
        now: datetime,
    ) -> list[Chosen]:
        """What is told to these, in the order of their ids; who is not in it any more is left out."""


@runtime_checkable
class Sharing(Selection, Protocol):
    """A selection of which several waves are due at one moment, under one subject."""

    def others(self, wave: Wave, merchant: Merchant) -> Select[tuple[str]]:
        """The ids of those to whom another one of these waves tells the same."""


@runtime_checkable
class Overlapping(Selection, Protocol):
    """A selection in which waves of one subject, due at different moments, may come to the same members."""

    def overlaps(self, wave: Wave) -> bool:
        """Whether another one may settle what this wave is about to: each member counts for one of them."""


@runtime_checkable
class Marking(Selection, Protocol):
    """A selection that keeps what it has told, so that no other wave tells of the same."""

    async def mark(
        self,
        connection: AsyncConnection,
        wave: Wave,
        merchant: Merchant,
        member_ids: Sequence[str],
        now: datetime,
    ) -> None:
        """Note what this wave tells to these, in the transaction that then reads it; safe to run again."""

    async def take_back(
        self, connection: AsyncConnection, wave: Wave, merchant: Merchant, now: datetime, *, own: bool
    ) -> int:
        """Forget what was noted of some members to whom nothing went; answers how many, 0 when none is left.

        What this wave noted (`own`: it is over), or what others did whose time is over.
        """
