"""Members whose lifecycles run are told to look when a drop, a task or an import changes what comes to them.

So the Web UI shows it at once, where they are few; else at their next fact or moment. `carillon agenda` reads
SQL, and needs none of this.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from typing import TypeVar

from activities.coupons import holders_of
from client import Carillon
from commands.failures import Mistake, OutOfReach
from commands.reach import Reach

LOOKS = 1_000
"""So many are told to look at the most: a drop for a hundred thousand is no hundred thousand signals."""
AT_ONCE = 50
"""So many requests under way at one time."""
T = TypeVar("T")


async def let_look(reach: Reach, merchant_id: str, member_ids: Collection[str] | None = None) -> None:
    """Let these look, or all of a merchant's; nobody where more than LOOKS run, or no server is there."""
    with suppress(OutOfReach, Mistake):
        async with reach.carillon() as carillon:
            if member_ids is None or len(member_ids) > LOOKS:
                member_ids = await _running(carillon, merchant_id)
            if len(member_ids) <= LOOKS:
                await each(member_ids, lambda member_id: carillon.look_at_member(merchant_id, member_id))


async def let_holders_look(reach: Reach, merchant_id: str, drop_id: str) -> None:
    """Let those look who hold a coupon of the drop."""
    with suppress(OutOfReach):
        async with reach.database() as engine:
            holders = await holders_of(engine, merchant_id, drop_id, LOOKS + 1)
        await let_look(reach, merchant_id, holders)


async def each(found: Iterable[T], do: Callable[[T], Awaitable[object]]) -> None:
    """Do it to every one of them, some at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> None:
        async with places:
            await do(item)

    await asyncio.gather(*(one(item) for item in found))


async def _running(carillon: Carillon, merchant_id: str) -> list[str]:
    """Of a merchant's members those whose lifecycles run; one more than LOOKS where there are more."""
    running = "WorkflowType = 'MemberWorkflow' AND ExecutionStatus = 'Running'"
    found = carillon.client.list_workflows(f"{running} AND MerchantId = '{merchant_id}'", limit=LOOKS + 1)
    return [one.id.split(":")[2] async for one in found]
