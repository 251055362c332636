"""Waves for tests: members in bulk, an audience of all of them, and a provider that counts."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Select, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import WorkflowHandle

from activities.audience import Chosen
from activities.database import writing
from activities.members import MEMBERS, read_members
from activities.pipeline import GROUP
from channels.base import Abilities, Message, Receipt
from models.ids import task_schedule_id
from models.member import Member
from models.member_content import MemberContent
from models.merchant import Merchant
from models.notices import Kind
from models.policy import GatePolicy, QuietHours
from models.wave import Audience, Wave
from models.wave_state import Progress, WaveOptions, WaveReport, WaveState
from tests.world import MERCHANT, World, eventually
from workflows.wave import WaveWorkflow, labels_of

EVERYBODY = "everybody"
AWAKE = replace(MERCHANT, gate=GatePolicy(quiet_hours=QuietHours(time(0), time(0))))
"""Its members may be written to at any hour."""
HAND = GROUP
"""So many messages of a page are in hand at one time."""
NOON_IN_TAIPEI = datetime(2026, 3, 10, 4, tzinfo=UTC)


class Everybody:
    """All members of the merchant."""

    def who(self, wave: Wave, merchant: Merchant, now: datetime) -> Select[tuple[str]]:  # noqa: ARG002
        return select(MEMBERS.c.member_id).where(MEMBERS.c.merchant_id == merchant.id)

    async def read(
        self,
        connection: AsyncConnection,
        wave: Wave,  # noqa: ARG002
        merchant: Merchant,
        member_ids: Sequence[str],
        now: datetime,  # noqa: ARG002
    ) -> list[Chosen]:
        members = await read_members(connection, merchant.id, member_ids)
        return [
            Chosen(member.person, MemberContent(member_id, merchant.zone))
            for member_id, member in sorted(members.items())
        ]


@dataclass
class Counting:
    """A provider that counts what it takes, by address. `answer` may raise, or wait, before it does.

    `asked`: how often somebody began to hand it a message. `order`: to whom, in order.
    """

    provider: str = "smtp"
    abilities: Abilities = field(default_factory=Abilities)
    taken: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)
    asked: int = 0
    answer: Callable[[Message], Awaitable[None]] | None = None

    async def send(self, message: Message) -> Receipt:
        self.asked += 1
        if self.answer is not None:
            await self.answer(message)
        self.taken[message.to] += 1
        self.order.append(message.to)
        return Receipt(self.provider)

    async def close(self) -> None:
        """Nothing is open."""

    async def busy(self, messages: int = 1) -> None:
        """Wait until so many were begun to be handed over."""

        async def ask() -> bool | None:
            return self.asked >= messages or None

        await eventually(ask)


def address(number: int) -> str:
    return f"m{number:05}@example.com"


def members(count: int, merchant_id: str = MERCHANT.id, **changes: Any) -> list[Member]:
    """So many members, each with an email address; `changes` are functions of the number, or values."""
    return [
        replace(
            Member(merchant_id, f"m{number:05}", f"Ada {number}", NOON_IN_TAIPEI, email=address(number)),
            **{name: value(number) if callable(value) else value for name, value in changes.items()},
        )
        for number in range(count)
    ]


async def enrol(engine: AsyncEngine, them: Iterable[Member]) -> None:
    """Keep members, by the thousand."""
    rows = [
        {
            "merchant_id": one.merchant_id,
            "member_id": one.member_id,
            "name": one.name,
            "email": one.email,
            "phone": one.phone,
            "push": one.push,
            "locale": one.locale,
            "zone": one.zone,
            "registered_at": one.registered_at,
            "updated_at": one.registered_at,
        }
        for one in them
    ]
    async with writing(engine) as connection:
        await connection.execute(insert(MEMBERS), rows)


def wave(**changes: Any) -> Wave:
    """A wave to everybody, by email, that is due now and means something for a day."""
    now = datetime.now(UTC).replace(microsecond=0)
    merchant_id = changes.get("merchant_id", MERCHANT.id)
    settings: dict[str, Any] = {
        "wave_id": f"w-{uuid4().hex[:8]}",
        "merchant_id": merchant_id,
        "kind": Kind.BIRTHDAY,
        "audience": Audience(EVERYBODY),
        "channels": ("email",),
        "due": now,
        "not_after": now + timedelta(days=1),
        "lifecycle": task_schedule_id(merchant_id, "greetings"),
        "subject": "today",
    }
    return Wave(**{**settings, **changes})


@dataclass
class Running:
    """A wave that was started."""

    world: World
    handle: WorkflowHandle[Any, WaveReport]

    async def progress(self) -> Progress:
        found: Progress = await self.handle.query(WaveWorkflow.progress)
        return found

    async def until(self, wanted: Callable[[Progress], bool], seconds: float = 20) -> Progress:
        async def ask() -> Progress | None:
            found = await self.progress()
            return found if wanted(found) else None

        return await eventually(ask, seconds)

    async def report(self) -> WaveReport:
        return await self.handle.result()


async def begin(world: World, wave: Wave, **options: Any) -> Running:
    """Start a wave on this world's task queue."""
    state = WaveState(wave, WaveOptions(**options))
    handle = await world.client.start_workflow(
        WaveWorkflow.run, state, task_queue=world.settings.task_queue, **labels_of(wave)
    )
    return Running(world, handle)
