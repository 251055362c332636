"""A regular task: what a merchant sets up once, and a schedule does again and again. [LOY-60 to LOY-82]"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from enum import StrEnum

from models.wave import Words


class TaskKind(StrEnum):
    """What a task does."""

    BONUS_ACTIVATION = "bonus_activation"
    BONUS_BURN = "bonus_burn"
    BIRTHDAY = "birthday"
    BONUS_UPKEEP = "bonus_upkeep"
    PROMOTION = "promotion"


@dataclass(frozen=True)
class Gift:
    """What a birthday brings: any currency, any amount, any lifetime in days (0: it never ends). [LOY-81]"""

    currency: str
    amount: Decimal
    days: int = 0


@dataclass(frozen=True)
class RegularTask:
    """One task, as it stands in its file.

    `cron`: five fields, on the clock of the merchant; a birthday needs none, it has `at`.
    `days`, `minimum`, `channels`: the three parameters of LOY-61. `currency`: one account, or all if blank.
    `at`: the hour of a birthday, on the member's own clock. `gift`: what it accrues besides.
    `groups`: a promotion goes to members of at least one of them [LS-12]; `everybody` says that none means
    all of them, which is refused otherwise. [LS-11]
    `catch_up_hours`: a run missed by more than this is not made up for. A birthday's greeting is not, either;
    its gift is.
    """

    task_id: str
    merchant_id: str
    kind: TaskKind
    cron: str = ""
    days: int = 0
    minimum: Decimal = Decimal(0)
    channels: tuple[str, ...] = ("email",)
    currency: str = ""
    at: time = time(10)
    gift: Gift | None = None
    groups: tuple[str, ...] = ()
    everybody: bool = False
    words: Mapping[str, Words] = field(default_factory=dict)
    catch_up_hours: int = 6
