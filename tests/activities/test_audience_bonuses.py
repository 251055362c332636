"""Who is told that bonuses begin or burn: in SQL those whom the rule names, with the same sums."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.audience import Chosen
from activities.audiences import SELECTIONS
from activities.bonus_books import LOTS
from activities.bonuses import Bonuses
from activities.database import open_database, reading, writing
from activities.members import Members
from models.bonus import Accrual, EntryKind, Lot, Spend
from models.bonus_rules import Window, announced, worth_telling
from models.credits import to_units
from models.member import Member
from models.member_content import Balance, BonusView
from models.notices import Kind
from models.regular_task import TaskKind
from models.timing import local_day
from models.wave import Audience, Wave
from tests.requirements import requirement
from tests.shops import PAYING

NOW = datetime(2026, 3, 10, 1, tzinfo=UTC)
"""10 March, 09:00 in Taipei."""
DAY = timedelta(days=1)
WHO = ("ada", "bo", "cy")


def wave(
    what: TaskKind, minimum: str = "10", days: int = 3, since: datetime | None = None, merchant: str = "lumi"
) -> Wave:
    """Of a run of now."""
    parameters = {
        "currency": "gift",
        "minimum": minimum,
        "today": local_day(NOW, PAYING.zone).isoformat(),
        "days": str(days),
        "since": since.isoformat() if since else "",
    }
    audience = Audience(what.value, parameters)
    return Wave(
        "w", merchant, Kind(what.value), audience, ("email",), NOW, NOW + DAY, "task:lumi:t", "gift@now"
    )


async def told(engine: AsyncEngine, asked: Wave) -> list[Chosen]:
    """The audience: its ids, and then what they are told."""
    selection, merchant = SELECTIONS[asked.audience.name], replace(PAYING, id=asked.merchant_id)
    async with reading(engine) as connection:
        ids = [str(one) for (one,) in await connection.execute(selection.who(asked, merchant, NOW))]
        everybody = [one for (one,) in await connection.execute(select(LOTS.c.member_id).distinct())]
        chosen = await selection.read(connection, asked, merchant, sorted(everybody), NOW)
    assert sorted(ids) == [one.content.member_id for one in chosen]
    return chosen


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
    assert ada.not_after == NOW + DAY, "from then on it would not be true"
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
        assert [one.content.bonus.amount for one in chosen if one.content.bonus] == ([left] if left else [])


@dataclass(frozen=True)
class Scene:
    """Lots of three members, and a task that looks at them."""

    lots: dict[str, list[Lot]]
    what: TaskKind
    minimum: str
    days: int
    since: datetime | None


quarters = st.integers(-20, 24).map(lambda number: NOW + number * DAY / 4)
midnights = st.integers(-4, 8).map(lambda number: datetime(2026, 3, 10, 16, tzinfo=UTC) + number * DAY)
moments = quarters | midnights | midnights.map(lambda moment: moment - timedelta(microseconds=1))
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
            told_at=draw(moments),
        )
        for number, values in enumerate([st.tuples(amounts, moments, ends)] * draw(st.integers(0, 5)))
    ]


scenes = st.builds(
    Scene,
    st.fixed_dictionaries({who: some_lots() for who in WHO}),
    st.sampled_from([TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN]),
    st.sampled_from(["0", "0.0005", "5", "10", "12.5"]),
    st.integers(1, 4),
    st.none() | st.integers(1, 6).map(lambda number: NOW - number * DAY / 2),
)


@requirement("LOY-62", "LOY-71")
@pytest.mark.parametrize("what", [TaskKind.BONUS_ACTIVATION, TaskKind.BONUS_BURN])
async def test_the_audience_is_who_the_rule_names_on_every_edge(engine: AsyncEngine, what: TaskKind) -> None:
    """The window of a run after one two days before, a microsecond before each of its edges and on it."""
    blink, midnight, since = timedelta(microseconds=1), datetime(2026, 3, 10, 16, tzinfo=UTC), NOW - 2 * DAY
    edges = [midnight + number * DAY for number in (0, 1, 3)]
    lots = {
        f"m{number}": [Lot(number, "gift", Decimal(10), Decimal(10), edge, edge, told_at=told_at)]
        for number, (edge, told_at) in enumerate(
            (edge - early, told_at - sooner)
            for edge in edges
            for early in (timedelta(), blink)
            for told_at in (since, NOW + blink)
            for sooner in (timedelta(), blink)
        )
    }
    scene = Scene(lots, what, "10", 3, since)
    await _write(engine, "lumi", scene)
    chosen = await told(engine, wave(what, since=since))
    expected = _by_the_rule(scene)
    assert [one.content.member_id for one in chosen] == sorted(expected)
    assert 0 < len(expected) < len(lots)


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
            asked = wave(scene.what, scene.minimum, scene.days, scene.since, merchant)
            chosen = runner.run(told(engine, asked))
            sums = {one.content.member_id: one.content.bonus.amount for one in chosen if one.content.bonus}
            assert sums == _by_the_rule(scene)

        try:
            agree()
        finally:
            runner.run(engine.dispose())


def _by_the_rule(scene: Scene) -> dict[str, Decimal]:
    window = Window(local_day(NOW, PAYING.zone), scene.days, PAYING.zone, since=scene.since, until=NOW)
    gift = {who: [lot for lot in lots if lot.currency == "gift"] for who, lots in scene.lots.items()}
    sums = {who: announced(lots, scene.what, window) for who, lots in gift.items()}
    return {who: total for who, total in sums.items() if worth_telling(total, Decimal(scene.minimum))}


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
            "told_at": lot.told_at,
            "active_from": lot.active_from,
            "expires_at": lot.expires_at,
            "note": "",
        }
        for who, lots in scene.lots.items()
        for lot in lots
    ]
    if rows:
        async with writing(engine) as connection:
            await connection.execute(insert(LOTS), rows)
