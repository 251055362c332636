"""`carillon task`: a file becomes schedules, the difference shown first, and nothing else is touched."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

import cli
from activities.database import open_database, reading
from activities.merchants import FRESH_SECONDS, Merchants
from activities.tasks import Tasks, tasks_of
from commands.task import Seen
from commands.task_differences import differences
from commands.task_schedules import Planned, TaskSchedules, untold
from intake import read_merchant
from models.merchant import Merchant
from models.regular_task import Gift, RegularTask, TaskKind
from models.task_waves import TaskRun
from models.wave import Words
from tests.databases import migrated_sqlite
from tests.requirements import requirement
from tests.world import eventually, now

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NAMES = ["birthday", "bonus-activation", "bonus-burn", "bonus-upkeep", "monday-news"]

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def shop() -> Merchant:
    """Lumi, under a name that no other test uses."""
    return replace(read_merchant(EXAMPLES / "lumi.toml"), id=f"lumi-{uuid4().hex[:8]}")


@pytest.fixture
def file(shop: Merchant, tmp_path: Path) -> Path:
    """The example's tasks, of this shop."""
    text = (EXAMPLES / "lumi-tasks.toml").read_text("utf-8")
    copy = tmp_path / "tasks.toml"
    copy.write_text(text.replace('merchant = "lumi"', f'merchant = "{shop.id}"'), "utf-8")
    return copy


@pytest.fixture
async def run(
    temporal: Client,
    shop: Merchant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:
    """Runs `carillon task ...` where the server and the shop are; answers its status, words and errors."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    monkeypatch.setenv("CARILLON_DATABASE_URL", url)
    monkeypatch.setenv("CARILLON_TASK_QUEUE", "nobody-works-here")
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal.service_client.config.target_host)
    await migrated_sqlite(url)
    engine = open_database(url)
    await Merchants(engine).apply(shop, now())
    capsys.readouterr()

    async def call(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(cli.run, ["task", *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return status, said.out, said.err

    yield call
    schedules = TaskSchedules(temporal, "", shop.id)
    for name in await schedules.found(
        [task.task_id for task in await Tasks(engine, Merchants(engine)).of(shop.id)]
    ):
        await schedules.remove(name)
    for begun in await runs(temporal, shop):
        with suppress(RPCError):  # the list lags behind
            await temporal.get_workflow_handle(begun).terminate()
    await engine.dispose()


async def runs(temporal: Client, shop: Merchant) -> list[str]:
    """The runs of the shop's tasks that are under way, by their ids."""
    query = (
        f"MerchantId = '{shop.id}' AND WorkflowType = 'RegularTaskWorkflow' AND ExecutionStatus = 'Running'"
    )
    return sorted([one.id async for one in temporal.list_workflows(query)])


@requirement("LOY-60", "LOY-70", "LOY-80")
async def test_a_file_is_applied_changed_and_applied_again(
    run: Run, shop: Merchant, file: Path, temporal: Client
) -> None:
    """What is created, changed and removed is shown, and each task with its next five runs in local time."""
    status, said, _ = await run("apply", str(file))
    assert status == 0
    assert said.count("create") == 5
    assert "5 tasks of" in said
    weekly = next(line for line in said.splitlines() if line.startswith("monday-news") and "Mon" in line)
    assert weekly.count("11:30") == 5
    schedules = TaskSchedules(temporal, "", shop.id)
    assert sorted(await schedules.found(NAMES)) == NAMES

    without_the_promotion(file)
    status, said, err = await run("apply", str(file))
    assert (status, "monday-news" in err) == (1, True), "nobody can be asked here"
    assert sorted(await schedules.found(NAMES)) == NAMES, "and so nothing is done"

    status, said, _ = await run("apply", str(file), "--yes")
    assert status == 0
    assert "minimum: 50 -> 80" in said
    assert (words(said, "keep"), words(said, "remove")) == (3, 1)
    assert sorted(await schedules.found(NAMES)) == NAMES[:-1]
    status, said, _ = await run("apply", str(file))
    assert (status, words(said, "keep")) == (0, 4)


async def test_a_dry_run_shows_the_difference_and_changes_nothing(
    run: Run, shop: Merchant, file: Path, temporal: Client
) -> None:
    """Neither in the database nor on the server; what would go is not asked about."""
    status, said, _ = await run("apply", str(file), "--dry-run")
    assert (status, said.count("create"), "Nothing was changed" in said) == (0, 5, True)
    assert await TaskSchedules(temporal, "", shop.id).found(NAMES) == {}
    assert await _awake(shop) == []
    await run("apply", str(file))
    without_the_promotion(file)
    status, said, _ = await run("apply", str(file), "--dry-run")
    assert (status, words(said, "remove"), "minimum: 50 -> 80" in said) == (0, 1, True)
    assert sorted(await TaskSchedules(temporal, "", shop.id).found(NAMES)) == NAMES


def test_what_is_different_is_told_so_that_it_can_be_seen() -> None:
    """Of a text the part that changed, of a gift what it is."""
    text = "Come to our studio on Monday morning, between 8:00 and 9:30, and bring a friend."
    old = RegularTask("a", "lumi", TaskKind.PROMOTION, words={"en": Words(text), "fr": Words("Venez")})
    changed = {"en": Words(text.replace("9:30", "9:15")), "zh-Hant": Words("歡迎")}
    assert differences(old, replace(old, words=changed)) == [
        "words.en.body: '…:00 and 9:30, and bring a friend.' -> '…:00 and 9:15, and bring a friend.'",
        "words.fr.body: 'Venez' -> nothing",
        "words.zh-Hant.body: nothing -> '歡迎'",
    ]
    assert differences(old, replace(old, words={**old.words, "en": Words(text, "More")})) == [
        "words.en.title: nothing -> 'More'"
    ]
    gifts = Gift("points", Decimal("100.0"), 30), Gift("stars", Decimal("12.5")), None
    birthdays = [RegularTask("b", "lumi", TaskKind.BIRTHDAY, gift=gift) for gift in gifts]
    assert [differences(one, other) for one, other in pairwise(birthdays)] == [
        ["gift: 100 points for 30 days -> 12.5 stars that never end"],
        ["gift: 12.5 stars that never end -> nothing"],
    ]


def without_the_promotion(file: Path) -> None:
    """And with another minimum for the first notice."""
    text = file.read_text("utf-8").replace("minimum = 50  ", "minimum = 80  ", 1)
    file.write_text(text.partition("# A promotion")[0], "utf-8")


def words(said: str, word: str) -> int:
    """How many lines of a table have that word for what is done."""
    return sum(line.split()[1:2] == [word] for line in said.splitlines())


async def test_tasks_are_listed_paused_resumed_run_and_removed(
    run: Run, shop: Merchant, file: Path, temporal: Client
) -> None:
    """By MERCHANT/TASK; applying again leaves a paused one paused."""
    await run("apply", str(file))
    burn = f"{shop.id}/bonus-burn"
    assert (await run("pause", burn, "--note", "audit"))[0] == 0
    lines = [line.split() for line in (await run("apply", str(file)))[1].splitlines()]
    assert ["bonus-burn", "paused:", "audit"] in lines
    listed = json.loads((await run("list", shop.id, "--json"))[1])
    assert [task["task"] for task in listed] == NAMES
    held = {task["task"]: task for task in listed}["bonus-burn"]
    assert (held["state"], held["next"]) == ("paused: audit", [])
    _, said, err = await run("next", burn)
    assert (said, "is paused: audit: nothing comes until" in err) == ("", True)
    assert json.loads((await run("next", burn, "--json"))[1]) == []
    assert (await run("resume", burn))[0] == 0
    assert "paused" not in (await run("list", shop.id))[1]
    moments = json.loads((await run("next", burn, "--count", "3", "--json"))[1])
    assert [moment[10:] for moment in moments] == ["T02:00:00Z"] * 3
    status, said, _ = await run("run", burn)
    assert status == 0
    started = temporal.get_workflow_handle(said.split()[0])
    assert (await started.describe()).workflow_type == "RegularTaskWorkflow"
    status, said, err = await run("run", burn)
    if said:  # the next minute had begun
        status, said, err = await run("run", burn)
    assert (status, said) == (1, "")
    under_way = err.split()[-1]
    assert f"this run is under way: task:{shop.id}:bonus-burn-20" in err
    for one in {started.id, under_way}:
        await temporal.get_workflow_handle(one).terminate()
    assert (await run("remove", burn, "--yes"))[0] == 0
    assert "bonus-burn" not in (await run("list", shop.id))[1]


async def test_the_database_knows_which_tasks_are_paused_wherever_that_was_done(
    run: Run, shop: Merchant, file: Path, temporal: Client
) -> None:
    """By the command at once; what was done in the Web UI with the next apply."""
    await run("apply", str(file))
    await run("pause", f"{shop.id}/birthday")
    assert await _awake(shop) == [name for name in NAMES if name != "birthday"]
    schedules = TaskSchedules(temporal, "nobody-works-here", shop.id)
    await schedules.pause("bonus-burn", "in the Web UI")
    await schedules.resume("birthday", "in the Web UI")
    await run("apply", str(file))
    assert await _awake(shop) == [name for name in NAMES if name != "bonus-burn"]
    await run("resume", f"{shop.id}/bonus-burn")
    assert await _awake(shop) == NAMES


@requirement("LOY-80", "LOY-81")
async def test_what_is_applied_or_resumed_begins_the_birthdays_of_that_day(
    run: Run, shop: Merchant, file: Path, temporal: Client
) -> None:
    """Their run was at midnight. No other task begins; and by hand none does while it is paused."""
    birthday = f"{shop.id}/birthday"

    async def begun(number: int) -> list[str] | None:
        found = await runs(temporal, shop)
        return found if len(found) == number else None

    await run("apply", str(file))
    (first,) = await eventually(partial(begun, 1))
    assert first.startswith(f"task:{shop.id}:birthday-")
    await run("pause", birthday)
    status, _, err = await run("run", birthday)
    assert (status, "is paused, and so are its birthdays: resume it" in err) == (1, True)
    await run("pause", f"{shop.id}/bonus-burn")
    await run("resume", f"{shop.id}/bonus-burn")
    await run("resume", birthday)
    assert first in await eventually(partial(begun, 2))
    engine = open_database(os.environ["CARILLON_DATABASE_URL"])
    await Merchants(engine).apply(replace(shop, zone="Europe/Paris"), now())
    await engine.dispose()
    assert "zone: Asia/Taipei -> Europe/Paris" in (await run("apply", str(file)))[1]
    found = await eventually(partial(begun, 4))
    events = [(await temporal.get_workflow_handle(one).fetch_history()).events[0] for one in found]
    waits = [one.workflow_execution_started_event_attributes.first_workflow_task_backoff for one in events]
    assert sum(wait.ToTimedelta() > timedelta(seconds=FRESH_SECONDS) for wait in waits) == 2, (
        "of today and of yesterday, when every worker knows where the shop is"
    )


async def _awake(shop: Merchant) -> list[str]:
    """The tasks that are not paused, as the database has it."""
    engine = open_database(os.environ["CARILLON_DATABASE_URL"])
    async with reading(engine) as connection:
        found = await tasks_of(connection, shop.id, paused=False)
    await engine.dispose()
    return [task.task_id for task in found]


async def test_a_task_that_only_one_side_knows_is_told_and_mended(
    run: Run, shop: Merchant, file: Path, temporal: Client
) -> None:
    """A schedule that was deleted is made again; one that nobody applied is removed."""
    await run("apply", str(file))
    schedules = TaskSchedules(temporal, "nobody-works-here", shop.id)
    await schedules.remove("birthday")
    listed = json.loads((await run("list", shop.id, "--json"))[1])
    assert listed[0]["state"] == "no schedule: apply it again"
    status, said, _ = await run("apply", str(file))
    assert (status, "it has no schedule" in said) == (0, True)
    assert "birthday" in await schedules.found(["birthday"])


async def test_a_schedule_that_knows_its_runs_no_further_is_told(
    run: Run, shop: Merchant, file: Path
) -> None:
    """Ten years after it was applied, a month before clocks change; where they never do, nothing is lost."""
    await run("apply", str(file))
    listed = json.loads((await run("list", shop.id, "--json"))[1])
    assert {task["state"] for task in listed} == {"on"}
    berlin, applied = "Europe/Berlin", datetime(2026, 5, 1, tzinfo=UTC)
    hourly = RegularTask("a", shop.id, TaskKind.BONUS_UPKEEP, cron="0 * * * *")
    change = datetime(2036, 10, 26, 1, tzinfo=UTC)

    def first(job: TaskRun, at: datetime) -> datetime | None:
        return untold(job, applied, at)

    assert first(TaskRun(hourly, berlin), change - timedelta(days=40)) is None
    found = first(TaskRun(hourly, berlin), change - timedelta(days=20))
    assert found is not None
    assert abs(found - change) <= timedelta(hours=4)
    assert first(TaskRun(hourly, "Asia/Taipei"), change - timedelta(days=20)) is None
    often = TaskRun(replace(hourly, cron="* * * * *"), berlin)
    assert first(often, datetime(2028, 3, 10, tzinfo=UTC)) is not None, "600 minutes near changes are told"
    seen = Seen(hourly, berlin, Planned("s", TaskRun(hourly, berlin)), "", [], change)
    assert seen.state.startswith("it was not told of its runs from Sun 26 Oct 2036")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("next", "lumi"), "'lumi' is no task: write it as MERCHANT/TASK"),
        (("list", "nobody"), "merchant 'nobody' is not known"),
        (("apply", "nothing.toml"), "there is no such file"),
    ],
)
async def test_what_cannot_be_is_told(run: Run, arguments: tuple[str, ...], complaint: str) -> None:
    status, _, err = await run(*arguments)
    assert status == 1
    assert complaint in err


async def test_an_unknown_task_is_told_with_those_there_are(run: Run, shop: Merchant, file: Path) -> None:
    await run("apply", str(file))
    for command in ("next", "run", "pause", "resume"):
        status, _, err = await run(command, f"{shop.id}/bonus-burnt")
        assert status == 1
        assert "task 'bonus-burnt' is not known" in err
        assert "bonus-burn, " in err


async def test_without_the_server_nothing_is_half_done(
    run: Run, file: Path, shop: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    status, _, err = await run("apply", str(file))
    assert (status, "there is no Temporal server at 127.0.0.1:1" in err) == (2, True)
    engine = open_database(f"sqlite:///{file.parent / 'carillon.db'}")
    assert await Tasks(engine, Merchants(engine)).of(shop.id) == ()
    await engine.dispose()
