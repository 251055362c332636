"""What readers of SMS write back: STOP, and START. Anything else is not ours to read."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.consents import Consents
from activities.database import reading, writing
from activities.merchants import Merchants
from activities.message_rows import MESSAGES
from activities.rates import real_time
from channels.base import ANSWERED_STOP, Reply
from models.channels import SMS
from models.consent import Suppression
from models.merchant import Merchant
from models.reply import Answer, answer_in


class Replies:
    """Keeps to what is written back. Told twice, it is kept once."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._consents = Consents(engine)
        self._merchants = Merchants(engine)

    async def told(self, reply: Reply) -> None:
        """Take an SMS that came to a number, whichever merchants send from it.

        Of several, those are meant that have written to the phone; where none has, all of them.
        """
        answer = answer_in(reply.text)
        if answer is None:
            return
        ids = [id_ for id_ in await self._merchants.ids() if reply.meant(id_)]
        merchants = await self._wrote(ids, reply)
        if not merchants:
            known = [await self._merchants.get(id_) for id_ in ids]
            merchants = [one.id for one in known if _sends_by(one, reply.provider)]
        await self._take(answer, merchants, reply.address, reply.provider, real_time())

    async def said(
        self,
        merchant_id: str,
        provider: str,
        address: str,
        text: str,
        shares: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Take an SMS that came to this merchant, and to all others who send by the provider as it does.

        `shares`: whether another merchant has the same account and sender. The provider holds what goes to
        the phone from there, whoever sends it.
        """
        answer = answer_in(text)
        if answer is None:
            return
        ids = [id_ for id_ in await self._merchants.ids() if id_ != merchant_id and shares(id_)]
        others = [await self._merchants.get(id_) for id_ in ids]
        merchants = [merchant_id, *(one.id for one in others if _sends_by(one, provider))]
        await self._take(answer, merchants, address, provider, real_time())

    async def _wrote(self, ids: Sequence[str], reply: Reply) -> list[str]:
        query = (
            select(MESSAGES.c.merchant_id)
            .where(
                MESSAGES.c.merchant_id.in_(ids),
                MESSAGES.c.address == reply.address,
                MESSAGES.c.channel == SMS,
                MESSAGES.c.provider == reply.provider,
            )
            .distinct()
        )
        async with reading(self._engine) as connection:
            return sorted((await connection.execute(query)).scalars())

    async def _take(
        self, answer: Answer, merchants: Sequence[str], address: str, provider: str, now: datetime
    ) -> None:
        """STOP suppresses, in every class; START lifts what STOP has suppressed, and nothing else."""
        async with writing(self._engine) as connection:
            if answer is Answer.STOP:
                stopped = [Suppression(id_, SMS, address, ANSWERED_STOP, provider, now) for id_ in merchants]
                await self._consents.suppress(stopped, connection)
                return
            for id_ in merchants:
                await self._consents.take_back_stop(id_, SMS, address, now, connection)


def _sends_by(merchant: Merchant, provider: str) -> bool:
    return provider in (merchant.sms.provider, merchant.sms.fallback)
