"""Regular tasks in the database, and whom their waves go to; on both databases."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities.audience_birthdays import BirthdaysAudience
from activities.audience_members import MembersAudience
from activities.audiences import SELECTIONS
from activities.bonuses import Bonuses
from activities.database import reading
from activities.members import Members
from activities.merchants import Merchants
from activities.task_bonuses import Giving, TaskBonuses
from activities.tasks import Asked, Beginning, Begun, Celebrating, Ending, Standing, Tasks, tasks_of
from models.birthday import Occasion
from models.member import Member
from models.merchant import Branch
from models.regular_task import Gift, RegularTask, TaskKind
from models.task_waves import TaskRun, birthday_wave, promotion_wave
from models.wave import Audience, Wave, Words
from tests.requirements import requirement
from tests.tasks import LONG_AGO, SHOP, member, task

PARIS, TAIPEI = "Europe/Paris", "Asia/Taipei"
WITH_BRANCHES = replace(SHOP, branches=(Branch("north", "North"), Branch("paris", "Paris", zone=PARIS)))
TEN = datetime(2027, 3, 1, 2, tzinfo=UTC)
BURN, UPKEEP = task(TaskKind.BONUS_BURN), task(TaskKind.BONUS_UPKEEP)
DAY = timedelta(days=1)


@pytest.fixture
async def tasks(engine: AsyncEngine) -> Tasks:
    merchants = Merchants(engine)
    await merchants.apply(WITH_BRANCHES, LONG_AGO)
    return Tasks(engine, merchants)


async def begin(tasks: Tasks, task: RegularTask, at: datetime, *, too_late: bool = False) -> Begun:
    return await tasks.begin(Beginning(task, at, at, too_late))


async def test_tasks_are_kept_changed_and_removed(tasks: Tasks) -> None:
    """As they were given, by their ids."""
    upkeep = task(TaskKind.BONUS_UPKEEP, words={"en": Words("x")}, gift=Gift("stars", Decimal("0.5")))
    await tasks.keep([upkeep, BURN], TEN)
    changed = replace(BURN, minimum=Decimal("80.50"))
    await tasks.keep([changed], TEN)
    assert await tasks.of(SHOP.id) == (changed, upkeep)
    await tasks.remove(SHOP.id, [BURN.task_id, "unknown"])
    assert await tasks.of(SHOP.id) == (upkeep,)


async def test_a_paused_task_stays_paused_when_it_is_changed(engine: AsyncEngine, tasks: Tasks) -> None:
    """Until it is resumed; of another merchant's with the same name nothing is known."""

    async def awake() -> tuple[RegularTask, ...]:
        async with reading(engine) as connection:
            return await tasks_of(connection, SHOP.id, paused=False)

    await tasks.keep([BURN, UPKEEP], TEN)
    await tasks.hold("another", [UPKEEP.task_id], paused=True)
    await tasks.hold(SHOP.id, [BURN.task_id], paused=True)
    changed = replace(BURN, minimum=Decimal("80.50"))
    await tasks.keep([changed, UPKEEP], TEN)
    assert await awake() == (UPKEEP,)
    assert await tasks.of(SHOP.id) == (changed, UPKEEP)
    await tasks.hold(SHOP.id, [BURN.task_id], paused=False)
    assert await awake() == (changed, UPKEEP)


async def test_a_task_is_read_as_it_stands(tasks: Tasks) -> None:
    """Changed, paused or removed since; another merchant's of that name is another one."""
    asked = Asked(SHOP.id, UPKEEP.task_id)
    assert await tasks.standing(asked) == Standing()
    await tasks.keep([UPKEEP, BURN], TEN)
    changed = replace(UPKEEP, cron="5 * * * *")
    await tasks.keep([changed], TEN)
    assert await tasks.standing(asked) == Standing(changed)
    await tasks.hold(SHOP.id, [UPKEEP.task_id], paused=True)
    assert await tasks.standing(asked) == Standing(changed, paused=True)
    assert await tasks.standing(Asked("another", UPKEEP.task_id)) == Standing()
    await tasks.remove(SHOP.id, [UPKEEP.task_id])
    assert await tasks.standing(asked) == Standing()


async def test_a_run_knows_the_one_before_it_however_often_it_begins(tasks: Tasks) -> None:
    """Under whatever name the task ran then; skipped ones do not count, and what is over stays over."""
    assert (await begin(tasks, UPKEEP, TEN)).since is None
    renamed = replace(UPKEEP, task_id="upkeep-2")
    assert (await begin(tasks, renamed, TEN + DAY)).since == TEN
    late = await begin(tasks, renamed, TEN + 2 * DAY, too_late=True)
    assert late.skip == "missed by more than 6 hours"
    for _ in range(2):
        assert await begin(tasks, renamed, TEN + 3 * DAY) == Begun(TEN + DAY)
    await tasks.end(Ending(renamed, TEN + 3 * DAY, TEN + 3 * DAY, "burned 5 points"))
    assert (await begin(tasks, renamed, TEN + 3 * DAY)).skip == "it has run already"
    assert (await begin(tasks, renamed, TEN + 2 * DAY)).skip == late.skip
    assert (await begin(tasks, BURN, TEN + 4 * DAY)).since is None
    last = (await tasks.runs(SHOP.id))["upkeep-2"]
    assert (last.run_at, last.words) == (TEN + 3 * DAY, "burned 5 points")


async def test_of_runs_that_begin_at_one_time_each_has_its_own_before_it(tasks: Tasks) -> None:
    """In whatever order they come: an earlier one than has begun does nothing."""
    moments = [TEN + number * timedelta(minutes=1) for number in range(6)]
    begun = await asyncio.gather(*(begin(tasks, UPKEEP, at) for at in reversed(moments)))
    before = [one.since for one in begun if not one.skip]
    assert len(set(before)) == len(before) >= 1
    assert {one.skip for one in begun} <= {"", "a later run has done its work"}
    assert (await begin(tasks, UPKEEP, TEN + DAY)).since == moments[-1]


async def test_promotions_birthdays_and_bonus_notices_wait_for_no_other(tasks: Tasks) -> None:
    """Two promotions are two tasks; birthdays have their days and bonuses their marks."""
    news = task(TaskKind.PROMOTION)
    await begin(tasks, replace(news, task_id="other"), TEN + DAY)
    assert (await begin(tasks, news, TEN)).skip == ""
    for one in (task(TaskKind.BIRTHDAY), task(TaskKind.BONUS_ACTIVATION), BURN):
        await begin(tasks, one, TEN + DAY)
        assert (await begin(tasks, one, TEN)).skip == ""
    late = await begin(tasks, task(TaskKind.BIRTHDAY), TEN - DAY, too_late=True)
    assert late.skip == "missed by more than 7 days: no greeting, no gift"


async def test_of_runs_of_a_promotion_made_up_for_only_the_newest_does_its_work(
    tasks: Tasks,
) -> None:
    """Unless the task was changed, paused or removed since: then no newer run is sure to come."""
    news = task(TaskKind.PROMOTION, cron="0 * * * *", words={"en": Words("News")})
    words = "a newer run had come due when it could begin: that one does the work"

    async def skipped(number: int) -> str:
        at = TEN + number * timedelta(hours=1)
        return (await tasks.begin(Beginning(news, at, TEN + DAY, overtaken=True))).skip

    assert await skipped(0) == "", "it is not known"
    await tasks.keep([news], TEN)
    assert await skipped(1) == words
    assert (await tasks.runs(SHOP.id))[news.task_id].words == words
    await tasks.hold(SHOP.id, [news.task_id], paused=True)
    assert await skipped(2) == ""
    await tasks.hold(SHOP.id, [news.task_id], paused=False)
    await tasks.keep([replace(news, cron="0 10 * * 1")], TEN)
    assert await skipped(3) == ""


def people() -> list[Member]:
    born = date(1990, 2, 28)
    return [
        member("ada", birth_date=born),
        member("bo", birth_date=born, branch_id="paris"),
        member("cy", birth_date=date(1996, 2, 29), branch_id="north"),
        member("di", birth_date=born, zone=PARIS, branch_id="north"),
        member("ed", birth_date=born, zone=TAIPEI, branch_id="paris", groups=("gold",)),
        member("fay", birth_date=date(1990, 3, 1), groups=("gold", "yoga")),
        member("gil", groups=("yoga",)),
    ]


def occasion(day: date, zone: str = TAIPEI) -> Occasion:
    return Occasion(zone, day, TEN, TEN + DAY)


def greetings(day: date, zone: str = TAIPEI) -> Wave:
    return birthday_wave(TaskRun(task(TaskKind.BIRTHDAY), TAIPEI), occasion(day, zone), TEN)


async def who(engine: AsyncEngine, wave: Wave) -> list[str]:
    query = SELECTIONS[wave.audience.name].who(wave, WITH_BRANCHES, TEN)
    async with reading(engine) as connection:
        return sorted(map(str, (await connection.execute(query)).scalars()))


@requirement("LOY-82")
async def test_who_celebrates_is_found_by_day_and_zone(tasks: Tasks, engine: AsyncEngine) -> None:
    """A member without a zone lives where its branch is; those of 29 February come on the 28th, or on it."""
    await Members(engine).upsert(people(), LONG_AGO)
    await Members(engine).upsert([member("hal", birth_date=date(1990, 2, 28))], LONG_AGO, granted=False)
    assert await who(engine, greetings(date(2027, 2, 28))) == ["ada", "cy", "ed"]
    assert await who(engine, greetings(date(2027, 2, 28), PARIS)) == ["bo", "di"]
    assert await who(engine, greetings(date(2028, 2, 28))) == ["ada", "ed"]
    assert await who(engine, greetings(date(2028, 2, 29))) == ["cy"]
    tokyo = "Asia/Tokyo"
    await Members(engine).upsert([member("ida", birth_date=date(1990, 3, 5), zone=tokyo)], LONG_AGO)
    assert await tasks.zones(Celebrating(SHOP.id, (305,))) == [TAIPEI, tokyo, PARIS]
    assert await tasks.zones(Celebrating(SHOP.id, (229, 301))) == [TAIPEI, PARIS], "who may still come"


@requirement("LS-11", "LS-12")
@pytest.mark.usefixtures("tasks")
async def test_who_is_in_a_promotion_is_in_it_once(engine: AsyncEngine) -> None:
    """In any of the groups, as it is when a page is sent; without groups everybody."""
    await Members(engine).upsert(people(), LONG_AGO)
    news = TaskRun(task(TaskKind.PROMOTION, groups=("gold", "yoga"), words={"en": Words("News")}), TAIPEI)
    wave = promotion_wave(news, TEN)
    assert await who(engine, wave) == ["ed", "fay", "gil"]
    everybody = promotion_wave(replace(news, task=replace(news.task, groups=())), TEN)
    assert len(await who(engine, everybody)) == len(people())
    await Members(engine).upsert([member("gil", groups=("silver",))], LONG_AGO)
    assert await _read(engine, wave, ["ed", "fay", "gil", "nobody"]) == ["ed", "fay"]
    moved = [replace(person, zone=PARIS) for person in people() if person.member_id == "ada"]
    await Members(engine).upsert(moved, LONG_AGO)
    assert await _read(engine, greetings(date(2027, 2, 28)), ["ada", "ed", "fay"]) == ["ed"]


@requirement("LS-12")
@pytest.mark.usefixtures("tasks")
async def test_groups_of_any_name_are_found_by_it(engine: AsyncEngine) -> None:
    """And by waves that began when their names were joined by commas."""
    them = [member("ada", groups=("常客",)), member("bo", groups=("a, b",)), member("cy", groups=("b",))]
    await Members(engine).upsert(them, LONG_AGO)
    for groups, found in (("常客", "a, b"), ["ada", "bo"]), (("b",), ["cy"]), (("a",), []):
        news = TaskRun(task(TaskKind.PROMOTION, groups=groups, words={"en": Words("News")}), TAIPEI)
        assert await who(engine, promotion_wave(news, TEN)) == found
    before = replace(promotion_wave(news, TEN), audience=Audience("members", {"groups": "a,b"}))
    assert await who(engine, before) == ["cy"]


@requirement("LS-12")
@pytest.mark.usefixtures("tasks")
async def test_who_reads_no_language_of_a_promotion_is_told_in_one_there_is(engine: AsyncEngine) -> None:
    """The merchant went over to French, and its task speaks English: everybody is told in that."""
    them = [member("ada"), member("bo", locale="en-GB"), member("cy", locale="fr")]
    await Members(engine).upsert(them, LONG_AGO)
    words = {"en": Words("News"), "en-GB": Words("Novelties")}
    wave = promotion_wave(TaskRun(task(TaskKind.PROMOTION, words=words), TAIPEI), TEN)
    french = replace(WITH_BRANCHES, locale="fr")
    async with reading(engine) as connection:
        chosen = await MembersAudience().read(connection, wave, french, ["ada", "bo", "cy"], TEN)
    said = [(one.content.member_id, one.person.locale, one.content.body) for one in chosen]
    assert said == [("ada", "en", "News"), ("bo", "en-GB", "Novelties"), ("cy", "en", "News")]


async def _read(engine: AsyncEngine, wave: Wave, ids: Sequence[str]) -> list[str]:
    selection = MembersAudience() if wave.audience.name == "members" else BirthdaysAudience()
    async with reading(engine) as connection:
        chosen = await selection.read(connection, wave, WITH_BRANCHES, ids, TEN)
    return [one.content.member_id for one in chosen]


@requirement("LOY-24")
@pytest.mark.usefixtures("tasks")
async def test_the_words_of_a_promotion_come_with_their_picture(engine: AsyncEngine) -> None:
    """From the task to what each member is told."""
    await Members(engine).upsert(people(), LONG_AGO)
    words = {"en": Words("Come by", "News", "https://lumi.example/a.png")}
    wave = promotion_wave(TaskRun(task(TaskKind.PROMOTION, everybody=True, words=words), TAIPEI), TEN)
    async with reading(engine) as connection:
        (chosen,) = await MembersAudience().read(connection, wave, WITH_BRANCHES, ["ed"], TEN)
    told = chosen.content
    assert (told.title, told.body, told.image) == ("News", "Come by", "https://lumi.example/a.png")


@requirement("LOY-82")
@pytest.mark.usefixtures("tasks")
async def test_the_phone_of_who_celebrates_tells_where_it_is_night(engine: AsyncEngine) -> None:
    """Who has no zone is greeted by the clock of the shop, and its telephone may be asleep elsewhere."""
    born = date(1990, 2, 28)
    await Members(engine).upsert(
        [
            member("ada", birth_date=born, phone="+33612345678"),
            member("bo", birth_date=born),
            member("cy", birth_date=born, phone="+33612345678", zone=TAIPEI),
            member("di", birth_date=born, branch_id="north"),
        ],
        LONG_AGO,
    )
    async with reading(engine) as connection:
        chosen = await BirthdaysAudience().read(
            connection, greetings(date(2027, 2, 28)), WITH_BRANCHES, ["ada", "bo", "cy", "di"], TEN
        )
    assert [one.person.zone for one in chosen] == ["", TAIPEI, TAIPEI, TAIPEI]
    assert {one.content.zone for one in chosen} == {TAIPEI}


@requirement("LOY-81")
@pytest.mark.usefixtures("tasks")
async def test_a_birthdays_gift_is_in_the_greeting_with_its_last_day(engine: AsyncEngine) -> None:
    """Given once, however often it is given; who got none this year is greeted without."""
    await Members(engine).upsert(people(), LONG_AGO)
    gifts = TaskBonuses(engine, Merchants(engine), Bonuses(engine))
    day = date(2027, 2, 28)
    giving = Giving(SHOP.id, Gift("stars", Decimal("12.5"), 30), occasion(day), TEN - DAY)
    for _ in range(2):
        assert await ActivityEnvironment().run(gifts.give, giving) == 3
    other = replace(giving, gift=Gift("points", Decimal(5)))
    assert await ActivityEnvironment().run(gifts.give, other) == 0
    await Members(engine).upsert([member("ida", birth_date=date(1990, 2, 28))], LONG_AGO)
    async with reading(engine) as connection:
        chosen = await BirthdaysAudience().read(
            connection, greetings(day), WITH_BRANCHES, ["ada", "ida"], TEN
        )
    ada, ida = (one.content for one in chosen)
    assert ida.bonus is None
    assert ada.bonus is not None
    assert (ada.bonus.currency, ada.bonus.amount, ada.bonus.on) == (
        "stars",
        Decimal("12.5"),
        date(2027, 3, 30),
    )
