"""Who is told that bonuses begin or burn: in SQL those whom the rule names, with the same sums."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import cast
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities.audience import Chosen, Marking
from activities.audiences import SELECTIONS
from activities.bonus_books import LOTS
from activities.bonus_spends import spend
from activities.bonuses import Bonuses, lots_of
from activities.database import open_database, reading, writing
from activities.handing_over import HandingOver
from activities.members import Members
from activities.merchants import Merchants
from activities.message_log import Closing, MessageLog
from activities.message_rows import Asked, Claim, Left
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.rendering import Renderer
from activities.standing import Standings
from activities.wave_rows import key_of
from activities.waves import Waves
from channels.base import DeliveryError, Message, Receipt
from channels.registry import Channels
from models import task_waves
from models.agenda import Delivery, Notice
from models.bonus import Accrual, EntryKind, Lot, Spend
from models.bonus_rules import Window, announced, sum_of
from models.bonus_rules import told as told_of
from models.credits import to_units
from models.member import Member
from models.member_content import Balance, BonusView
from models.merchant import Merchant
from models.notices import Kind
from models.people import Person, Role
from models.policy import ClassPolicy, ConsentRule, GatePolicy
from models.regular_task import RegularTask, TaskKind
from models.tables.messages import MessageStatus
from models.task_waves import TaskRun, bonus_wave
from models.wave import Audience, Wave
from models.wave_state import CloseWave, Cut, CutOrder, Page, PageDone, PageOrder, WaveOptions
from tests.requirements import requirement
from tests.shops import PAYING
from tests.tasks import Post

NOW = datetime(2026, 3, 10, 1, tzinfo=UTC)
"""10 March, 09:00 in Taipei."""
DAY = timedelta(days=1)
WHO = ("ada", "bo", "cy")
KINDS = [TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN]
OPEN = replace(PAYING, locale="en", gate=GatePolicy(loyalty=ClassPolicy()))


def wave(
    what: TaskKind, minimum: str = "10", days: int = 3, merchant: str = "lumi", run: str = "mine"
) -> Wave:
    """Of a run of today."""
    parameters = {
        "currency": "gift",
        "minimum": minimum,
        "days": str(days),
    }
    audience = Audience(what.value, parameters)
    return Wave(run, merchant, Kind(what.value), audience, ("email",), NOW, NOW + DAY, "task:lumi:t", run)


async def told(engine: AsyncEngine, asked: Wave, *, mark: bool = False) -> list[Chosen]:
    """The audience: its ids, and then what they are told; the same once it is marked."""
    selection, merchant = SELECTIONS[asked.audience.name], replace(PAYING, id=asked.merchant_id)
    async with reading(engine) as connection:
        ids = [str(one) for (one,) in await connection.execute(selection.who(asked, merchant, NOW))]
        everybody = [one for (one,) in await connection.execute(select(LOTS.c.member_id).distinct())]
        chosen = await selection.read(connection, asked, merchant, sorted(everybody), NOW)
    assert sorted(ids) == [one.content.member_id for one in chosen]
    if mark:
        assert await marked(engine, asked, sorted(everybody)) == chosen
        assert await told(engine, asked) == chosen
    return chosen


async def marked(engine: AsyncEngine, asked: Wave, names: Sequence[str]) -> list[Chosen]:
    """What is told to these, marked as a page does it."""
    selection, merchant = SELECTIONS[asked.audience.name], replace(PAYING, id=asked.merchant_id)
    assert isinstance(selection, Marking)
    async with writing(engine) as connection:
        await selection.mark(connection, asked, merchant, names, NOW)
        return await selection.read(connection, asked, merchant, names, NOW)


def amounts_of(chosen: list[Chosen]) -> dict[str, Decimal]:
    return {one.content.member_id: one.content.bonus.amount for one in chosen if one.content.bonus}


async def join(engine: AsyncEngine, *member_ids: str) -> None:
    members = [Member("lumi", one, one.title(), NOW - 99 * DAY, f"{one}@example.com") for one in member_ids]
    await Members(engine).upsert(members, NOW)


@requirement("LOY-61", "LOY-62", "LOY-64")
async def test_who_gets_enough_bonuses_is_told_their_sum(engine: AsyncEngine) -> None:
    """Of all lots together, each member once, with what can be spent today; not who is no member yet."""
    await join(engine, "ada", "bo")
    await Members(engine).upsert([Member("lumi", "cy", "Cy", NOW)], NOW, granted=False)
    for member_id, amount in ("ada", "6.5"), ("bo", "4"), ("cy", "9"), ("gone", "9"):
        for number in (1, 3):
            begins = NOW + number * DAY
            event = f"{member_id}/{number}"
            accrual = Accrual(member_id, "gift", Decimal(amount), event, NOW - DAY, active_from=begins)
            await Bonuses(engine).accrue("lumi", accrual, NOW - DAY)
    await Bonuses(engine).accrue("lumi", Accrual("ada", "gift", Decimal(2), "today", NOW - DAY), NOW - DAY)
    (ada,) = await told(engine, wave(TaskKind.BONUS_ACTIVATION))
    assert (ada.person.name, ada.person.email) == ("Ada", "ada@example.com")
    assert ada.content.bonus == BonusView("gift", Decimal(13), on=date(2026, 3, 11), days=3)
    assert ada.content.balances == (Balance("gift", Decimal(2)),)
    assert ada.not_after == NOW + 3 * DAY, "until then there is something ahead"
    assert len(await told(engine, wave(TaskKind.BONUS_ACTIVATION, minimum="8"))) == 2


@requirement("LOY-71", "LOY-73")
async def test_who_spends_before_the_page_is_sent_is_told_less_or_nothing(engine: AsyncEngine) -> None:
    """What is left counts at the moment of sending."""
    await join(engine, "ada")
    bonuses, ends = Bonuses(engine), NOW + 2 * DAY
    await bonuses.accrue("lumi", Accrual("ada", "gift", Decimal(30), "a", NOW, expires_at=ends), NOW)
    for event, left in ("s1", 20), ("s2", 10), ("s3", 0):
        await bonuses.spend("lumi", Spend("ada", "gift", Decimal(10), event, NOW), NOW)
        chosen = await told(engine, wave(TaskKind.BONUS_BURN))
        assert amounts_of(chosen) == ({"ada": left} if left else {})


async def earn(engine: AsyncEngine, member_id: str, amount: str, days: int, event: str = "") -> None:
    """Bonuses that begin on the day so many days ahead, and end on it."""
    begins = NOW + days * DAY
    accrual = Accrual(
        member_id, "gift", Decimal(amount), event or uuid4().hex, NOW, begins, begins + DAY / 24
    )
    await Bonuses(engine).accrue("lumi", accrual, NOW)


@requirement("LOY-62", "LOY-71")
@pytest.mark.parametrize("what", KINDS)
async def test_what_is_marked_is_told_by_its_run_alone(engine: AsyncEngine, what: TaskKind) -> None:
    """Too little is left for the next run, and so is what comes later; the other notice has its own mark."""
    await join(engine, *WHO)
    await earn(engine, "ada", "6", 1)
    await earn(engine, "ada", "6", 2)
    await earn(engine, "bo", "6", 3)
    assert amounts_of(await told(engine, wave(what), mark=True)) == {"ada": 12}
    await earn(engine, "bo", "4", 3)
    await earn(engine, "cy", "9.999", 3)
    later = wave(what, run="later")
    assert amounts_of(await told(engine, later, mark=True)) == {"bo": 10}
    assert amounts_of(await told(engine, wave(what), mark=True)) == {"ada": 12}
    (other,) = (one for one in KINDS if one is not what)
    assert amounts_of(await told(engine, wave(other))) == {"ada": 12, "bo": 10}


@requirement("LOY-62", "LOY-71")
async def test_runs_beside_each_other_share_no_bonus_and_lose_none(engine: AsyncEngine) -> None:
    """Nor while tills spend: what one of them marks, it tells; of what is too little nothing is marked."""
    what, names = TaskKind.BONUS_BURN, [f"m{number:02}" for number in range(20)]
    await join(engine, *names)
    for name in names:
        for number in range(3):
            ends = NOW + 2 * DAY + number * DAY / 24
            accrual = Accrual(name, "gift", Decimal(5), f"{name}/{number}", NOW, NOW, ends)
            await Bonuses(engine).accrue("lumi", accrual, NOW)

    async def tell(run: str) -> dict[str, Decimal]:
        return amounts_of(await marked(engine, wave(what, run=run), names))

    async def pay(name: str) -> None:
        await Bonuses(engine).spend("lumi", Spend(name, "gift", Decimal(7), f"spent/{name}", NOW), NOW)

    runs, _ = await asyncio.gather(
        asyncio.gather(*map(tell, ("a", "b", "c"))), asyncio.gather(*map(pay, names[::2]))
    )
    async with reading(engine) as connection:
        lots = {name: await lots_of(connection, "lumi", name) for name in names}
    for name in names:
        tale = [run[name] for run in runs if name in run]
        assert tale == [15] or (tale == [] and name in names[::2]), "after a spend too little is left"
        (mark,) = {lot.burn_told_by for lot in lots[name]}
        assert bool(mark) == bool(tale)


@requirement("LOY-71")
async def test_a_mark_waits_for_the_till_that_is_spending(engine: AsyncEngine) -> None:
    """What is left then is too little to tell, and so it is not marked: it counts again in the next run."""
    await join(engine, "ada")
    for _ in range(3):
        await earn(engine, "ada", "5", 2)
    later, spent = NOW + 2 * DAY, Spend("ada", "gift", Decimal(7), "s", NOW + 2 * DAY)
    async with writing(engine) as connection:
        await spend(connection, "lumi", spent, later)
        telling = asyncio.create_task(marked(engine, wave(TaskKind.BONUS_BURN), ["ada"]))
        await asyncio.wait({telling}, timeout=0.3)
    assert await telling == []
    async with reading(engine) as connection:
        assert {lot.burn_told_by for lot in await lots_of(connection, "lumi", "ada")} == {""}


@requirement("LOY-62", "LOY-71")
async def test_a_page_killed_before_it_is_handed_over_tells_the_same_sum_again(engine: AsyncEngine) -> None:
    """And no run in between tells any of it; what is spent meanwhile is not told."""
    await Merchants(engine).apply(OPEN, NOW)
    await join(engine, "ada", "bo")
    for name in ("ada", "ada", "bo"):
        await earn(engine, name, "6", 2)
    asked, other = wave(TaskKind.BONUS_BURN, minimum="6"), wave(TaskKind.BONUS_BURN, "6", run="other")
    post = Post()
    with pytest.raises(Death):
        await deliver(engine, post, asked, Dying(engine))
    await deliver(engine, post, other)
    assert post.taken == []
    await deliver(engine, post, asked)
    await deliver(engine, post, asked)
    await deliver(engine, post, other)
    assert sorted((name, text.split()[0]) for name, text in post.taken) == [("ada", "12"), ("bo", "6")]


class Death(BaseException):
    """The worker is no more."""


class Dying(MessageLog):
    """The message log of a worker that comes no further than to its door."""

    async def claim(self, asked: Sequence[Asked], left: Sequence[Left] = ()) -> list[Claim]:  # noqa: ARG002
        raise Death


class Down(Post):
    """A provider that takes nothing."""

    async def send(self, message: Message) -> Receipt:  # noqa: ARG002
        raise DeliveryError("HTTP 503")


class LosingAnswers(MessageLog):
    """The message log of a worker that dies when a message has gone, before it is written down."""

    async def leave(self, left: Sequence[Left]) -> None:  # noqa: ARG002
        raise Death


def waves(engine: AsyncEngine, post: Post, log: MessageLog | None = None) -> Waves:
    log = log or MessageLog(engine)
    channels = Channels({}, cast(httpx.AsyncClient, None), extra={"smtp": post})
    pipeline = Pipeline(log, Standings(engine), Renderer(), HandingOver(log, channels, Rates(engine)))
    return Waves(engine, Merchants(engine), pipeline, log)


def clock(at: datetime) -> ActivityEnvironment:
    """An attempt at an activity, at that moment of the wave's clock."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=at)
    return environment


async def deliver(
    engine: AsyncEngine, post: Post, asked: Wave, log: MessageLog | None = None, at: datetime = NOW
) -> PageDone:
    """One go at the page of everybody."""
    page = PageOrder(asked, Page("", "zzz"), WaveOptions())
    return await clock(at).run(waves(engine, post, log).deliver_page, page)


async def cut_first(engine: AsyncEngine, asked: Wave, at: datetime) -> tuple[str, ...]:
    """The ends of the pages that a wave begins with."""
    found: Cut = await clock(at).run(waves(engine, Post()).cut, CutOrder(asked))
    return found.untils


async def close(engine: AsyncEngine, asked: Wave, at: datetime, *, everybody: bool = False) -> None:
    await clock(at).run(waves(engine, Post()).close, CloseWave(asked, everybody=everybody))


def run_of(at: datetime, what: TaskKind = TaskKind.BONUS_BURN) -> Wave:
    """What a run of that moment tells of bonuses that are soon to burn."""
    job = TaskRun(RegularTask("burn", "lumi", what, days=3, minimum=Decimal(10)), PAYING.zone)
    return bonus_wave(job, "gift", at)


async def a_lot(engine: AsyncEngine, *member_ids: str, shop: Merchant = OPEN) -> None:
    """Twelve of each member's, that end in two days."""
    await Merchants(engine).apply(shop, NOW)
    await join(engine, *member_ids)
    for member_id in member_ids:
        await earn(engine, member_id, "12", 2)


@requirement("LOY-71")
async def test_a_run_that_comes_past_its_last_moment_silences_nothing(engine: AsyncEngine) -> None:
    """Thirty hours late its message is missed, and the next run tells of the bonuses while there is time."""
    await a_lot(engine, "ada")
    late, post = run_of(NOW - timedelta(hours=30)), Post()
    assert (await deliver(engine, post, late)).counts.missed == 1
    assert (await deliver(engine, post, run_of(NOW))).counts.sent == 1
    assert [name for name, _ in post.taken] == ["ada"]


@requirement("LOY-71")
@pytest.mark.parametrize("cancelled", [True, False])
async def test_what_a_wave_could_tell_nobody_a_later_run_tells(engine: AsyncEngine, cancelled: bool) -> None:
    """Its provider was down all its time, or somebody cancelled it: it gives back what it has marked."""
    await a_lot(engine, "ada", "bo")
    asked, over = run_of(NOW), NOW + timedelta(hours=23, seconds=1)
    assert (await deliver(engine, Down(), asked)).waiting == 2
    assert (await deliver(engine, Post(), run_of(NOW + DAY), at=NOW + DAY)).selected == 0, "it is marked"
    if not cancelled:
        assert (await deliver(engine, Down(), asked, at=over)).counts.missed == 2
    await close(engine, asked, over, everybody=cancelled)
    post = Post()
    assert (await deliver(engine, post, run_of(NOW + DAY), at=NOW + DAY)).counts.sent == 2
    await close(engine, run_of(NOW + DAY), NOW + DAY)
    assert (await deliver(engine, post, run_of(NOW + DAY * 1.1), at=NOW + DAY * 1.1)).selected == 0
    assert sorted(name for name, _ in post.taken) == ["ada", "bo"]


@requirement("LOY-71")
async def test_a_wave_is_over_before_the_next_days_run(engine: AsyncEngine) -> None:
    """What it gives back, that one finds: also on the day that has one hour less."""
    await a_lot(engine, "ada")
    assert run_of(NOW).not_after < NOW + DAY
    assert task_waves.over(key_of(run_of(NOW), ""), NOW + timedelta(hours=23))


@requirement("LOY-71")
async def test_what_has_gone_or_may_have_stays_marked(engine: AsyncEngine) -> None:
    """Whatever became of the wave: nobody is told twice. Nor is asked again who wants no such messages."""
    await a_lot(engine, "ada")
    asked, post = run_of(NOW), Post()
    with pytest.raises(Death):
        await deliver(engine, post, asked, LosingAnswers(engine))
    await close(engine, asked, NOW + timedelta(minutes=5), everybody=True)
    rows = await MessageLog(engine).messages()
    assert [(row["status"], len(post.taken)) for row in rows] == [("uncertain", 1)]
    assert await cut_first(engine, run_of(NOW + DAY), NOW + DAY) == ()


@requirement("LOY-71")
async def test_what_the_gate_refused_stays_marked(engine: AsyncEngine) -> None:
    """Who wants no such messages is not asked again by the next run."""
    await a_lot(engine, "ada", shop=replace(OPEN, gate=GatePolicy(loyalty=ClassPolicy(ConsentRule.OPT_IN))))
    asked = run_of(NOW)
    assert (await deliver(engine, Post(), asked)).counts.skips == 1
    await close(engine, asked, NOW)
    assert await cut_first(engine, run_of(NOW + DAY), NOW + DAY) == ()


@requirement("LOY-71", "LS-50")
@pytest.mark.parametrize("rule", ["", "address"])
async def test_an_email_that_is_missed_in_the_place_of_an_sms_leaves_its_bonuses_to_the_next_run(
    engine: AsyncEngine, rule: str
) -> None:
    """The SMS failed for good, or was refused; where the email fails too, the next run would fail as well."""
    await a_lot(engine, "ada", "bo")
    asked = replace(run_of(NOW), channels=("sms",))
    await marked(engine, asked, ("ada", "bo"))
    sms = MessageStatus.REFUSED if rule else MessageStatus.FAILED
    closings = [
        closing(asked, name, channel, status, rule)
        for name, email in (("ada", MessageStatus.MISSED), ("bo", MessageStatus.FAILED))
        for channel, status in (("sms", sms), ("email", email))
    ]
    await MessageLog(engine).close(closings)
    await close(engine, asked, NOW + timedelta(hours=23, seconds=1))
    assert await cut_first(engine, run_of(NOW + DAY), NOW + DAY) == ("ada",)


def closing(asked: Wave, name: str, channel: str, status: MessageStatus, rule: str) -> Closing:
    """What became of a member's message of that wave by one channel."""
    person = Person(name.title(), email=f"{name}@example.com", member_id=name, id=name)
    notice = Notice(
        key_of(asked, name), asked.kind, Role.MEMBER, person, ("sms",), asked.due, asked.not_after
    )
    delivery = Delivery(notice, None, "lumi", asked.lifecycle)
    return Closing(delivery, channel, status, "a test", NOW, rule)


@requirement("LOY-71")
async def test_marks_of_a_worker_that_died_do_not_outlive_their_run(engine: AsyncEngine) -> None:
    """It marked, and nothing left; 26 hours later the next day's run begins before it comes to an end."""
    await a_lot(engine, "ada")
    dead, following, back = run_of(NOW), run_of(NOW + DAY), NOW + timedelta(hours=26)
    with pytest.raises(Death):
        await deliver(engine, Post(), dead, Dying(engine))
    assert await cut_first(engine, run_of(NOW + timedelta(hours=1)), NOW + timedelta(hours=1)) == ()
    post = Post()
    assert await cut_first(engine, following, back) == ("ada",)
    assert (await deliver(engine, post, following, at=back)).counts.sent == 1
    assert (await deliver(engine, post, dead, at=back)).selected == 0
    assert [name for name, _ in post.taken] == ["ada"]


@requirement("LOY-62", "LOY-71")
async def test_a_message_that_waits_tells_what_is_still_ahead_when_it_goes(engine: AsyncEngine) -> None:
    """What has burnt meanwhile is left out; what is told today of today says so."""
    await Merchants(engine).apply(OPEN, NOW)
    await join(engine, "ada")
    for amount, hours in ("10", 2), ("20", 12), ("30", 30):
        accrual = Accrual("ada", "gift", Decimal(amount), amount, NOW, NOW, NOW + timedelta(hours=hours))
        await Bonuses(engine).accrue("lumi", accrual, NOW)
    asked, post = run_of(NOW), Post()
    assert (await deliver(engine, Down(), asked)).waiting == 1
    assert (await deliver(engine, post, asked, at=NOW + timedelta(hours=3))).counts.sent == 1
    ((_, text),) = post.taken
    words = " ".join(text.split())
    assert "50 bonus points (gift) will expire within 3 days, starting Tuesday, 10 March 2026." in words


@dataclass(frozen=True)
class Scene:
    """Lots of three members, and a task that looks at them."""

    lots: dict[str, list[Lot]]
    what: TaskKind
    minimum: str
    days: int


quarters = st.integers(-20, 24).map(lambda number: NOW + number * DAY / 4)
midnights = st.integers(-4, 8).map(lambda number: datetime(2026, 3, 10, 16, tzinfo=UTC) + number * DAY)
moments = quarters | midnights | midnights.map(lambda moment: moment - timedelta(microseconds=1))
marks = st.sampled_from(["", "", "mine", "other"])
"""By the name of the run."""
amounts = st.sampled_from(["0", "0.001", "2.5", "5", "10"]).map(Decimal)


@st.composite
def some_lots(draw: st.DrawFn) -> list[Lot]:
    ends = st.none() | moments
    return [
        Lot(
            number,
            draw(st.sampled_from(["gift"] * 4 + ["promo"])),
            Decimal(10),
            *draw(values),
            activation_told_by=draw(marks),
            burn_told_by=draw(marks),
        )
        for number, values in enumerate([st.tuples(amounts, moments, ends)] * draw(st.integers(0, 5)))
    ]


scenes = st.builds(
    Scene,
    st.fixed_dictionaries({who: some_lots() for who in WHO}),
    st.sampled_from(KINDS),
    st.sampled_from(["0", "0.0005", "5", "10", "12.5"]),
    st.integers(1, 4),
)


@requirement("LOY-62", "LOY-71")
@pytest.mark.parametrize("what", KINDS)
async def test_the_audience_is_who_the_rule_names_on_every_edge(engine: AsyncEngine, what: TaskKind) -> None:
    """A microsecond before each edge of its window and on it, untold and told by either run."""
    blink, midnight = timedelta(microseconds=1), datetime(2026, 3, 10, 16, tzinfo=UTC)
    edges = [NOW + blink, midnight + 3 * DAY]
    lots = {
        f"m{number}": [Lot(number, "gift", Decimal(10), Decimal(10), edge, edge, NOW, mark, mark)]
        for number, (edge, mark) in enumerate(
            (edge - early, mark)
            for edge in edges
            for early in (timedelta(), blink)
            for mark in ("", "mine", "other")
        )
    }
    scene = Scene(lots, what, "10", 3)
    await _write(engine, "lumi", scene)
    chosen = await told(engine, wave(what), mark=True)
    assert (
        [one.content.member_id for one in chosen] == sorted(_by_the_rule(scene)) == ["m0", "m1", "m10", "m9"]
    )


@requirement("LOY-62", "LOY-71")
@pytest.mark.timeout(120)
def test_the_audience_is_who_the_rule_names(database_url: str) -> None:
    """Random lots of three members, of any history: the same members, the same sums."""
    with asyncio.Runner() as runner:
        engine, numbers = open_database(database_url), count()

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(scenes)
        def agree(scene: Scene) -> None:
            merchant = f"m{next(numbers)}"
            runner.run(_write(engine, merchant, scene))
            asked = wave(scene.what, scene.minimum, scene.days, merchant)
            chosen = runner.run(told(engine, asked, mark=True))
            assert amounts_of(chosen) == {who: sum_of(lots) for who, lots in _by_the_rule(scene).items()}
            assert runner.run(_marks(engine, merchant)) == _marked_by_the_rule(scene)

        try:
            agree()
        finally:
            runner.run(engine.dispose())


def _by_the_rule(scene: Scene) -> dict[str, tuple[Lot, ...]]:
    window = Window(NOW, scene.days, PAYING.zone)
    gift = {who: [lot for lot in lots if lot.currency == "gift"] for who, lots in scene.lots.items()}
    minimum = Decimal(scene.minimum)
    found = {who: announced(lots, scene.what, window, minimum, "mine") for who, lots in gift.items()}
    return {who: lots for who, lots in found.items() if lots}


def _marked_by_the_rule(scene: Scene) -> list[tuple[str, str, str]]:
    """Each lot with the marks that it has in the end."""
    telling = _by_the_rule(scene)
    return sorted(
        (
            f"{who}/{lot.lot_id}",
            *_keys(told_of(lot, scene.what, "mine") if lot in telling.get(who, ()) else lot),
        )
        for who, lots in scene.lots.items()
        for lot in lots
    )


async def _marks(engine: AsyncEngine, merchant: str) -> list[tuple[str, str, str]]:
    columns = LOTS.c.event_id, LOTS.c.activation_told_by, LOTS.c.burn_told_by
    async with reading(engine) as connection:
        found = await connection.execute(select(*columns).where(LOTS.c.merchant_id == merchant))
        return sorted((str(event), str(activation), str(burn)) for event, activation, burn in found)


def _keys(lot: Lot) -> tuple[str, str]:
    """The marks of a lot as they are kept: how the keys of the notices begin."""
    found = zip(KINDS, (lot.activation_told_by, lot.burn_told_by), strict=True)
    activation, burn = (key_of(wave(what, run=mark), "") if mark else "" for what, mark in found)
    return activation, burn


async def _write(engine: AsyncEngine, merchant: str, scene: Scene) -> None:
    """Straight into the tables: what the ledger would refuse may stand there too."""
    await Members(engine).upsert([Member(merchant, who, who, NOW) for who in scene.lots], NOW)
    rows = [
        {
            "merchant_id": merchant,
            "member_id": who,
            "currency": lot.currency,
            "kind": EntryKind.ACCRUE,
            "event_id": f"{who}/{lot.lot_id}",
            "amount": to_units(lot.amount),
            "remaining": to_units(lot.left),
            "accrued_at": lot.accrued_at,
            "active_from": lot.active_from,
            "expires_at": lot.expires_at,
            "activation_told_by": _keys(lot)[0],
            "burn_told_by": _keys(lot)[1],
            "note": "",
        }
        for who, lots in scene.lots.items()
        for lot in lots
    ]
    if rows:
        async with writing(engine) as connection:
            await connection.execute(insert(LOTS), rows)
