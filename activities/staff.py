"""The staff is told what is wrong: once, by chat, pager or mail, whoever can mend it."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.database import reading, writing
from activities.merchants import Merchants, UnknownMerchantError
from activities.rates import real_time
from activities.troubles import LOOK, remember, remembered, sms_points, troubles
from channels.base import DeliveryError
from channels.staff import StaffAlerts
from models.credits import to_points
from models.trouble import Key, Remembered, Trouble, look, short_of_points, words

OVERLAP = timedelta(minutes=5)
"""So far each look reaches back over the one before: what was settled is written a little later."""
FARTHEST = timedelta(days=1)
MANY = 50
"""So many are told in one look; the others in the next."""
AT_ONCE = 8
PATIENCE = timedelta(seconds=10)
"""One service at the most."""
TOGETHER = timedelta(seconds=25)
"""All of them: the next run of upkeep is not kept waiting."""

_log = logging.getLogger(__name__)


class StaffWatch:
    """Looks at the log for what is wrong, and tells the staff. One at a time: the schedule starts no two."""

    def __init__(
        self,
        engine: AsyncEngine,
        merchants: Merchants,
        staff: StaffAlerts,
        clock: Callable[[], datetime] = real_time,
    ) -> None:
        self._engine = engine
        self._merchants = merchants
        self._staff = staff
        self._clock = clock

    @activity.defn
    async def tell_staff(self) -> int:
        """Tell the staff what is wrong and was not told yet; answers how many alerts went. Safe to run again.

        What is told stands in the process's log as well, for where nobody is named. A service that fails is
        tried again some minutes later, and holds up no other.
        """
        now = self._clock()
        before, found = await self._look(now)
        seen = look(found, {key: one for key, one in before.items() if key != LOOK}, now)
        telling = seen.tell[:MANY]
        kept = dict(seen.remember)
        came = await self._tell_all(telling)
        for trouble, told in zip(telling, came, strict=True):
            one = kept[trouble.key]
            kept[trouble.key] = one.tried(now) if told is None else one.told(trouble, now)
        kept[LOOK] = Remembered(LOOK, since=now, seen=now)
        async with writing(self._engine) as connection:
            await remember(connection, kept.values(), seen.ended)
        return sum(told or 0 for told in came)

    async def _look(self, now: datetime) -> tuple[Mapping[Key, Remembered], list[Trouble]]:
        async with reading(self._engine) as connection:
            before = await remembered(connection)
            last = before[LOOK].seen if LOOK in before else now
            found = await troubles(connection, max(min(last, now) - OVERLAP, now - FARTHEST), now)
            points = await sms_points(connection)
        return before, found + await self._shortages(points)

    async def _shortages(self, points: Mapping[str, int]) -> list[Trouble]:
        found = []
        for merchant_id, units in points.items():
            try:
                merchant = await self._merchants.get(merchant_id)
            except UnknownMerchantError:
                continue  # it is gone, and its account was left
            found += [one for one in [short_of_points(merchant, to_points(units))] if one is not None]
        return found

    async def _tell_all(self, telling: Sequence[Trouble]) -> list[int | None]:
        room = asyncio.Semaphore(AT_ONCE)
        end = asyncio.get_running_loop().time() + TOGETHER.total_seconds()
        return await asyncio.gather(*(self._tell(trouble, room, end) for trouble in telling))

    async def _tell(self, trouble: Trouble, room: asyncio.Semaphore, end: float) -> int | None:
        """1 where the staff was told, 0 where nobody is named; None where it could not be told."""
        title, body = words(trouble)
        _log.warning("%s: %s", title, body)
        async with room:
            try:
                patience = asyncio.get_running_loop().time() + PATIENCE.total_seconds()
                async with asyncio.timeout_at(min(patience, end)):
                    told = await self._staff.alert(trouble.merchant_id, title, body)
            except (DeliveryError, TimeoutError) as error:
                _log.warning("the staff of %s: %s", trouble.merchant_id, error or "no answer in time")
                # Of several some were told: to tell all of them every few minutes would be worse.
                return 1 if isinstance(error, DeliveryError) and error.doubtful else None
            except Exception:
                _log.exception("the staff of %s cannot be told", trouble.merchant_id)
                return None
        return min(told, 1)
