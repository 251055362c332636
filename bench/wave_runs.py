"""Waves of many members on the embedded server, and the same number by others: how late, at what cost."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import quantiles
from uuid import uuid4

from sqlalchemy import insert
from temporalio.client import Client

from activities.coupons import Coupons
from activities.database import migrate, open_database, writing
from activities.members import MEMBERS
from activities.merchants import Merchants
from activities.rendering import Renderer
from bench.bookings import LOCALES, MERCHANT, whole_second
from bench.processes import Cost, Server, Side, worker_process
from channels.sms_text import segments
from models.agenda import Notice
from models.channels import SMS
from models.coupon import CouponDrop
from models.ids import coupon_workflow_id
from models.member_content import CouponView, MemberContent
from models.merchant import SmsProvider, SmsSettings
from models.notices import Kind
from models.people import Person, Role
from models.policy import ClassPolicy, ConsentRule, GatePolicy
from models.timing import local_day
from models.wave import Audience, Wave
from models.wave_state import WaveOptions, WaveReport, WaveState
from policies.answers import POLICY_VERSION
from settings import Settings
from workflows.wave import WaveWorkflow, labels_of

SHOP = replace(
    MERCHANT,
    sms=SmsSettings(SmsProvider.CONSOLE),
    gate=GatePolicy(loyalty=ClassPolicy(ConsentRule.OPT_OUT, daily_cap=3)),
)
"""It writes at any hour, to whoever has not said no, three times a day at the most."""
DROP, COUPON, DAYS = "spring", "Spring treat", 30
WARM = replace(SHOP, id="warm")
WARMING = 600
"""So many go before, unmeasured: a worker that has worked has its templates and statements at hand."""
LEAD = 3.0
"""Seconds from the start of a wave to its moment."""
LIMIT = 900.0


@dataclass(frozen=True)
class Run:
    """`lateness`: seconds from due to each hand-over, in order; `settled`: until all was written down.

    `cpu`: seconds of every process that had a part. `memory`: by how many bytes the worker grew at the most.
    """

    lateness: list[float]
    cpu: float
    settled: float = 0
    memory: int = 0
    events: int = 0

    @property
    def per_second(self) -> float:
        return len(self.lateness) / self.lateness[-1]

    @property
    def cpu_each(self) -> float:
        return self.cpu / len(self.lateness)

    def percentile(self, percent: int) -> float:
        return quantiles(self.lateness, n=100, method="inclusive")[percent - 1]


async def prepared(database: Path, count: int) -> Settings:
    """A database with so many holders of a coupon, and some more of another merchant to warm up with."""
    settings = Settings(database_url=f"sqlite:///{database}", task_queue=f"waves-{uuid4().hex}", upkeep=False)
    await migrate(settings.database_url)
    engine = open_database(settings.database_url)
    now = datetime.now(UTC)
    for merchant, members in ((SHOP, count), (WARM, WARMING)):
        await Merchants(engine).apply(merchant, now)
        today = local_day(now, merchant.zone)
        drop = CouponDrop(merchant.id, DROP, COUPON, today, today, today + timedelta(days=DAYS))
        await Coupons(engine).keep(drop, now)
        rows = (_member(merchant.id, number, now) for number in range(members))
        async with writing(engine) as connection:
            for page in _pages(rows, 5000):
                await connection.execute(insert(MEMBERS), page)
        await Coupons(engine).add_members(drop, now)
    await engine.dispose()
    return settings


async def wave_run(
    client: Client, server: Server, settings: Settings, options: WaveOptions, provider_seconds: float = 0
) -> Run:
    """One wave to all members, by one worker process."""
    async with worker_process(Side.CARILLON, server.address, settings, provider_seconds) as worker:
        await _wave(client, settings, _made(WARM.id, datetime.now(UTC)), options)
        due = whole_second(LEAD)
        before, spent = worker.cost.memory, worker.cost.seconds + server.cost.seconds
        made = _made(SHOP.id, due)
        async with _watched(worker.cost) as peak:
            report = await _wave(client, settings, made, options)
        settled = time.time() - due.timestamp()
        spent = worker.cost.seconds + server.cost.seconds - spent
        events = await _events(client, labels_of(made)["id"])
        moments = [moment for moment in await worker.stop() if moment >= due.timestamp()]
    if len(moments) != report.sent:
        raise RuntimeError(f"{report.words} The provider was handed {len(moments)}.")
    late = sorted(at - due.timestamp() for at in moments)
    return Run(late, spent, settled, max(peak.bytes - before, 0), events)


def loop_rows(group: int) -> str:
    """What the plain loop needs to know in order to write the rows that a wave writes, so many at a time."""
    made, today = _made(SHOP.id, datetime.now(UTC)), local_day(datetime.now(UTC), SHOP.zone)
    coupon = CouponView(COUPON, "{code}", today, today + timedelta(days=DAYS))
    content, texts = MemberContent("", SHOP.zone, coupon=coupon), {}
    for locale in LOCALES:
        person = Person("{name}", phone="+886900000000", locale=locale)
        notice = Notice("", made.kind, Role.MEMBER, person, made.channels, made.due, made.not_after)
        rendered = Renderer().render(notice, content, SHOP, SMS)
        said = rendered.text.format(name="Ada 10000", code="ABCDEFGHJK")
        texts[rendered.locale] = rendered.text, segments(said).segments
    told = {"lifecycle": made.lifecycle, "policy": POLICY_VERSION, "texts": texts, "group": group}
    return json.dumps(told)


def unlike(database: Path, other: Path) -> int:
    """How many messages in one database have no like in the other; moments, tokens and codes aside."""
    query = f"""
        SELECT {ALIKE}, length(text), substr(notice_key, length(lifecycle) + 1) FROM {{}}.messages
        WHERE merchant_id = '{SHOP.id}'
    """
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ATTACH ? AS other", (str(other),))
        each = query.format("main"), query.format("other")
        counted = f"SELECT count(*) FROM ({each[0]} EXCEPT {each[1]})"
        return int(connection.execute(counted).fetchone()[0])


ALIKE = (
    "channel, merchant_id, kind, role, recipient, address, locale, subject, status, reason, rule,"
    " policy_version, provider, provider_id, doubtful, segments, attempts"
)


async def peer(python: str, script: str, count: int, *more: str) -> Run | str:
    """The same number by others, in a process of its own; or why not."""
    there = Path(__file__).with_name(script)
    child = await asyncio.create_subprocess_exec(
        python, str(there), str(count), *more,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT):
            said, errors = await child.communicate()
    except TimeoutError:
        child.kill()
        return f"not done within {LIMIT:.0f} s"
    if child.returncode:
        return errors.decode(errors="replace").strip().splitlines()[-1]
    told = json.loads(said)
    return Run(told["lateness"], told["cpu"])


@dataclass
class _Peak:
    bytes: int = 0


@asynccontextmanager
async def _watched(cost: Cost) -> AsyncIterator[_Peak]:
    """The most memory that a process holds, looked at ten times a second."""
    peak = _Peak()

    async def watch() -> None:
        while True:
            peak.bytes = max(peak.bytes, cost.memory)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(watch())
    try:
        yield peak
    finally:
        task.cancel()


def _member(merchant_id: str, number: int, now: datetime) -> dict[str, object]:
    return {
        "merchant_id": merchant_id,
        "member_id": f"m{number:07}",
        "name": f"Ada {number}",
        "phone": f"+8869{number:08}",
        "locale": LOCALES[number % len(LOCALES)],
        "registered_at": now,
        "updated_at": now,
    }


def _pages(rows: Iterable[dict[str, object]], size: int) -> Iterator[list[dict[str, object]]]:
    left = iter(rows)
    while page := list(islice(left, size)):
        yield page


def _made(merchant_id: str, due: datetime) -> Wave:
    name = f"bench-{uuid4().hex[:8]}"
    return Wave(
        wave_id=name,
        merchant_id=merchant_id,
        kind=Kind.COUPON_ISSUED,
        audience=Audience("coupon_issued", {"drop": DROP}),
        channels=("sms",),
        due=due,
        not_after=due + timedelta(hours=2),
        lifecycle=coupon_workflow_id(merchant_id, name),
        subject="now",
    )


async def _wave(client: Client, settings: Settings, made: Wave, options: WaveOptions) -> WaveReport:
    handle = await client.start_workflow(
        WaveWorkflow.run, WaveState(made, options), task_queue=settings.task_queue, **labels_of(made)
    )
    return await asyncio.wait_for(handle.result(), LIMIT)


async def _events(client: Client, wave: str) -> int:
    """Of all its runs."""
    runs = 0
    async for one in client.list_workflows(f"WorkflowId = '{wave}'"):
        described = await client.get_workflow_handle(wave, run_id=one.run_id).describe()
        runs += described.history_length
    return runs
