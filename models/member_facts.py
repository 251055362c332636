"""What can happen to a member, as its lifecycle is told. Facts can only be recorded."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class MemberEvent:
    """`event_id` makes telling it twice the same as telling it once; `at` is when it happened, UTC.

    A till that was offline tells late: what it tells counts at its own time. [LOY-02, LOY-53]
    """

    event_id: str
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Registered(MemberEvent):
    """The registration is complete. [LOY-31, LOY-50]"""

    fact: Literal["registered"] = "registered"


@dataclass(frozen=True, kw_only=True)
class Purchased(MemberEvent):
    """The member bought something: the receipt was closed. [LOY-15, LOY-53]"""

    fact: Literal["purchased"] = "purchased"


MemberFact = Registered | Purchased

MEMBER_FACTS: dict[str, type[MemberFact]] = {"registered": Registered, "purchased": Purchased}
