"""Reading and keeping merchants."""

import time
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.database import reading, writing
from models.merchant import BookingRules, Merchant, booking_rules
from models.tables.merchants import MerchantRow

FRESH_SECONDS = 5.0
"""How old a merchant may be that a message is made from: a change takes effect within this."""

_merchant = TypeAdapter(Merchant)


class UnknownMerchantError(LookupError):
    """No such merchant; the message says how to add it."""

    def __init__(self, merchant_id: str) -> None:
        super().__init__(f"merchant {merchant_id!r} is not known: add it with `carillon merchant apply FILE`")


@dataclass(frozen=True)
class Place:
    """One branch of a merchant."""

    merchant_id: str
    branch_id: str = ""


class Merchants:
    """The merchants in SQL, kept in memory for some seconds."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept: dict[str, tuple[float, Merchant]] = {}

    async def get(self, merchant_id: str) -> Merchant:
        """The merchant; UnknownMerchantError when there is none of that id."""
        kept = self._kept.get(merchant_id)
        if kept is not None and time.monotonic() - kept[0] < FRESH_SECONDS:
            return kept[1]
        query = select(col(MerchantRow.document)).where(col(MerchantRow.id) == merchant_id)
        async with reading(self._engine) as connection:
            document = (await connection.execute(query)).scalar_one_or_none()
        if document is None:
            raise UnknownMerchantError(merchant_id)
        merchant = _merchant.validate_json(document)
        self._kept[merchant_id] = (time.monotonic(), merchant)
        return merchant

    async def ids(self) -> list[str]:
        """The ids of all merchants."""
        async with reading(self._engine) as connection:
            return list(
                (
                    await connection.execute(select(col(MerchantRow.id)).order_by(col(MerchantRow.id)))
                ).scalars()
            )

    async def apply(self, merchant: Merchant, now: datetime) -> bool:
        """Keep a merchant as it is given; answers whether that changed anything."""
        document = _merchant.dump_json(merchant).decode()
        async with writing(self._engine) as connection:
            query = select(MerchantRow.__table__).where(col(MerchantRow.id) == merchant.id)  # type: ignore[attr-defined]
            old = (await connection.execute(query.with_for_update())).one_or_none()
            if old is not None and old.document == document:
                return False
            values = {"name": merchant.name, "document": document, "updated_at": now}
            if old is None:
                await connection.execute(insert(MerchantRow).values(id=merchant.id, revision=1, **values))
            else:
                await connection.execute(
                    update(MerchantRow)
                    .where(col(MerchantRow.id) == merchant.id)
                    .values(revision=old.revision + 1, **values)
                )
        self._kept.pop(merchant.id, None)
        return True

    @activity.defn
    async def booking_rules(self, place: Place) -> BookingRules:
        """The rules of one branch, for a lifecycle that begins.

        An unknown merchant is no reason to lose a booking: it waits until the merchant is applied.
        """
        try:
            merchant = await self.get(place.merchant_id)
        except UnknownMerchantError as error:
            raise ApplicationError(str(error), type="UnknownMerchant") from None
        if place.branch_id and merchant.branch(place.branch_id) is None:
            known = ", ".join(branch.id for branch in merchant.branches) or "none"
            raise ApplicationError(
                f"branch {place.branch_id!r} of merchant {merchant.id!r} is not known (it has: {known}):"
                " add it with `carillon merchant apply FILE`",
                type="UnknownBranch",
            )
        return booking_rules(merchant, place.branch_id)
