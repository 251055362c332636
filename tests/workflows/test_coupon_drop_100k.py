"""A drop of a hundred thousand holders, delivered at its 15:00 to a channel that does nothing."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.coupons import Coupons
from activities.database import aware, reading, writing
from activities.members import MEMBERS
from activities.message_rows import MESSAGES
from channels.base import Abilities, Message, Receipt
from models.merchant import SmsProvider, SmsSettings
from tests.databases import migrated_postgresql
from tests.requirements import requirement
from tests.workflows.test_coupon_lives import SHOP, a_drop, begun, clock
from tests.world import a_world, now

HOLDERS = 100_000
ABLE = Abilities()
CROWDED = replace(SHOP, sms=SmsSettings(SmsProvider.CONSOLE))


@dataclass
class Silent:
    """A provider that takes everything and only counts it."""

    provider: str = "console"
    abilities: Abilities = ABLE
    taken: Counter[str] = field(default_factory=Counter)

    async def send(self, message: Message) -> Receipt:
        self.taken[message.key] += 1
        return Receipt(self.provider, message.key)

    async def close(self) -> None:
        """Nothing stays open."""


@requirement("WACA-37")
async def test_a_hundred_thousand_holders_each_hear_of_their_coupon_once(
    temporal: Client, tmp_path: Path
) -> None:
    """At 15:00, by the log and by the provider's own count."""
    await all_hear_once(temporal, tmp_path, HOLDERS)


@requirement("WACA-37")
async def test_ten_thousand_holders_hear_of_it_once_on_postgresql(
    temporal: Client, tmp_path: Path, postgresql: str
) -> None:
    """The same; fewer, for the time that it takes."""
    await all_hear_once(temporal, tmp_path, HOLDERS // 10, await migrated_postgresql(postgresql))


async def all_hear_once(temporal: Client, folder: Path, holders: int, database_url: str = "") -> None:
    silent, drop = Silent(), a_drop(1, 1, 5)
    async with a_world(temporal, folder, merchant=CROWDED, database_url=database_url) as made:
        world = replace(made, extra_channels={"console": silent})
        await members(world.engine, holders)
        await Coupons(world.engine).keep(drop, now())
        added = await Coupons(world.engine).add_members(drop, now())
        assert (added.new, added.refused) == (holders, ())
        async with world.worker():
            lifecycle = await begun(world, drop)
            await world.forward_to(lifecycle, clock(1))
            await world.until(lifecycle, lambda agenda: len(agenda.done) == 1, seconds=120)
        assert len(silent.taken) == holders
        assert set(silent.taken.values()) == {1}
        row = await logged(world.engine)
        assert (row.messages, row.keys) == (holders, holders)
        assert clock(1) <= aware(row.first)
        assert row.last - row.first < timedelta(seconds=120)


async def logged(engine: AsyncEngine) -> Any:
    """How many messages were sent, to how many different notices, the first and the last of them."""
    query = select(
        func.count().label("messages"),
        func.count(MESSAGES.c.notice_key.distinct()).label("keys"),
        func.min(MESSAGES.c.claimed_at).label("first"),
        func.max(MESSAGES.c.claimed_at).label("last"),
    ).where(MESSAGES.c.status == "sent", MESSAGES.c.kind == "coupon_issued")
    async with reading(engine) as connection:
        return (await connection.execute(query)).one()


async def members(engine: AsyncEngine, holders: int) -> None:
    """As many as there are holders, each with a telephone of its own."""
    common = {
        "merchant_id": CROWDED.id, "email": "", "push": "", "locale": "", "zone": "", "birth_date": None,
        "birthday": 0, "branch_id": "", "customer_id": "", "granted": True, "registered_at": now(),
        "updated_at": now(), "revision": 1, "memory": "",
    }  # fmt: skip
    for start in range(0, holders, 10_000):
        rows = [
            {**common, "member_id": f"m{n:06}", "name": f"Member {n}", "phone": f"+8869{n:08}"}
            for n in range(start, min(start + 10_000, holders))
        ]
        async with writing(engine) as connection:
            await connection.execute(insert(MEMBERS), rows)
