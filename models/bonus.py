"""Bonuses: lots of one currency, each spendable from its activation until its end. [LOY-60 to LOY-81]"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class Lot:
    """What was accrued at one time, and what is left of it.

    Spendable from `active_from` until just before `expires_at` (None: it never ends); UTC instants.
    """

    lot_id: int
    currency: str
    amount: Decimal
    left: Decimal
    active_from: datetime
    expires_at: datetime | None = None
