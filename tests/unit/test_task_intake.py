"""A file of regular tasks: read as it is meant, and refused with every problem named."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from intake import InputError, read_merchant, read_tasks, tasks_merchant
from intake.files import load
from intake.members import read_member
from intake.schema import schema
from models.regular_task import Gift, RegularTask, TaskKind
from tests.requirements import requirement

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
LUMI = read_merchant(EXAMPLES / "lumi.toml")
FILE = EXAMPLES / "lumi-tasks.toml"
BURN: dict[str, Any] = {"id": "burn", "kind": "bonus_burn", "cron": "0 10 * * *", "days": 3, "minimum": 50}
BIRTHDAY: dict[str, Any] = {"id": "birthday", "kind": "birthday"}
NEWS: dict[str, Any] = {
    "id": "news",
    "kind": "promotion",
    "cron": "0 10 * * 1",
    "groups": ["gold"],
    "words": {"zh-Hant": {"title": "新課程", "body": "本週新課程"}},
}


def problems(*tasks: dict[str, Any], merchant: Any = LUMI) -> list[str]:
    with pytest.raises(InputError) as error:
        read_tasks({"merchant": "lumi", "tasks": list(tasks)}, merchant)
    return [str(problem) for problem in error.value.problems]


@requirement("LOY-61", "LOY-63", "LOY-71", "LOY-72", "LOY-81", "LOY-82")
def test_the_example_has_one_of_each_kind() -> None:
    """With days, minimum and channels of the notices; the hour and the gift of a birthday."""
    tasks = {task.kind: task for task in read_tasks(FILE, LUMI)}
    assert set(tasks) == set(TaskKind)
    assert tasks_merchant(FILE) == "lumi"
    burn, birthday = tasks[TaskKind.BONUS_BURN], tasks[TaskKind.BIRTHDAY]
    assert (burn.days, burn.minimum, burn.currency) == (3, Decimal(50), "points")
    assert burn.channels == ("email", "sms")
    assert (birthday.at, birthday.gift) == (time(10), Gift("points", Decimal(100), 30))
    assert birthday.merchant_id == "lumi"


def test_the_schema_takes_the_example_and_what_the_reader_takes() -> None:
    """The same fields, and no others."""
    validator = Draft202012Validator(schema("tasks"))
    assert list(validator.iter_errors({"merchant": "lumi", "tasks": [BURN, BIRTHDAY, NEWS]})) == []
    assert list(validator.iter_errors({"merchant": "lumi", "tasks": [{**BURN, "hour": 10}]}))
    _, example = load(FILE, "")
    example["tasks"][3] |= {"at": "10:00:00"}
    assert list(validator.iter_errors(_plain(example))) == []


def _plain(data: Any) -> Any:
    """As JSON has it: numbers are floats."""
    match data:
        case dict():
            return {key: _plain(value) for key, value in data.items()}
        case list():
            return [_plain(value) for value in data]
        case Decimal():
            return float(data)
    return data


@pytest.mark.parametrize(
    ("task", "changes", "complaint"),
    [
        (BURN, {"cron": "0 10 * *"}, "cron: '0 10 * *' has not five fields but 4: write five fields"),
        (BURN, {"cron": "0 10 30 2 *"}, "cron: '0 10 30 2 *' never comes: name a day that those months have"),
        (BURN, {"cron": "@daily"}, "cron: '@daily' is a nickname: write '0 0 * * *'"),
        (BURN, {"cron": ...}, "cron: is missing: add five fields"),
        (BURN, {"days": 0}, "days: 0 is out of range: write how many days ahead it looks, from 1 to 365"),
        (BURN, {"minimum": 0}, "minimum: 0 is nothing: write the least sum that it tells of, above 0"),
        (BURN, {"minimum": -5}, "minimum: -5 is out of range: write a number above 0"),
        (BURN, {"channels": ["fax"]}, "channels: [...] names 'fax', which is no channel"),
        (BURN, {"channels": []}, "channels: [] is empty: name at least one channel"),
        (BURN, {"channels": ["push"]}, "channels: [...] names 'push', which is switched off: switch push on"),
        (BURN, {"currency": "pints"}, "currency: 'pints' is no bonus of the merchant's: did you mean"),
        (BURN, {"catch_up_hours": 0}, "catch_up_hours: 0 is out of range: write a number from 1 to 168"),
        (BURN, {"groups": ["gold"]}, "groups: [...] means nothing for bonus_burn: leave it out"),
        (BURN, {"id": "a b"}, "id: 'a b' cannot be used as an id"),
        (BURN, {"kind": "bonus_burnt"}, "kind: 'bonus_burnt' is not known: did you mean 'bonus_burn'?"),
        (BIRTHDAY, {"cron": "0 10 * * *"}, "cron: '0 10 * * *' means nothing for birthday: leave it out"),
        (BIRTHDAY, {"gift": {"currency": "points", "amount": 0}}, "gift.amount: 0 is no amount to give"),
        (BIRTHDAY, {"gift": {"currency": "stars", "amount": 1}}, "gift.currency: 'stars' is no bonus of the"),
        (BIRTHDAY, {"at": "25:00"}, "at: '25:00' is no time of day: write it as 10:00"),
        (NEWS, {"words": {}}, "words: {} has no text in zh-Hant: add [tasks.words.zh-Hant] with a body"),
        (NEWS, {"words": {"zh-Hant": {"body": " "}}}, "words.zh-Hant.body: ' ' is empty"),
        (NEWS, {"words": {"zh-Hant": {"body": "新課程", "image": "http://lumi.example/a.png"}}},
         "words.zh-Hant.image: 'http://lumi.example/a.png' is no address of a picture: write it as https://"),
        (NEWS, {"words": {"zh-Hant": {"body": "新課程", "image": "https://lumi.example/a b.png"}}},
         "words.zh-Hant.image: 'https://lumi.example/a b.png' is no web address"),
        (NEWS, {"groups": ["a;b"]}, "groups: [...] names a group 'a;b': leave out semicolons"),
        (NEWS, {"groups": [" "]}, "groups: [...] names a group ' ': leave out semicolons, and blanks"),
        (NEWS, {"groups": ["x" * 65]}, "groups: [...] names a group 'xxx"),
        (BURN, {"catch_up_hours": 23}, "catch_up_hours: 23 is too late: its messages go on the day of their"),
        (NEWS, {"catch_up_hours": 48}, "catch_up_hours: 48 is too late: its messages go on the day of their"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_task_is_named_with_the_mend(
    task: dict[str, Any], changes: dict[str, Any], complaint: str
) -> None:
    changed = {name: value for name, value in {**deepcopy(task), **changes}.items() if value is not ...}
    (problem,) = problems(changed)
    assert problem.removeprefix("tasks[0].").startswith(complaint)


@requirement("LS-11")
def test_a_promotion_to_everybody_is_said_on_purpose() -> None:
    """An empty list of groups is refused: it would go to all members."""
    everybody = {**NEWS, "groups": []}
    (problem,) = problems(everybody)
    assert problem == (
        "tasks[0].groups: [] is empty: name groups, or write everybody = true to send it to all members"
    )
    (task,) = read_tasks({"merchant": "lumi", "tasks": [{**everybody, "everybody": True}]}, LUMI)
    assert task.everybody
    (both,) = problems({**NEWS, "everybody": True})
    assert both.startswith("tasks[0].everybody: true is said beside groups")


@requirement("LS-12")
@pytest.mark.parametrize("name", ["常客", "early, and often", "VIP #1", "x" * 64])
def test_a_group_is_named_alike_where_it_is_imported_and_written_to(name: str) -> None:
    """What an import takes, a promotion takes; a semicolon parts names there, and so is in none."""
    told = {"member_id": "ada", "name": "Ada", "groups": [name]}
    assert read_member(told, LUMI, datetime(2026, 3, 1, tzinfo=UTC)).member.groups == (name,)
    (news,) = read_tasks({"merchant": "lumi", "tasks": [{**NEWS, "groups": [name]}]}, LUMI)
    assert news.groups == (name,)


@requirement("LOY-60", "LOY-70")
def test_a_notice_is_set_up_only_once() -> None:
    """So is every kind but promotions; no two tasks have one id."""
    (twice,) = problems(BURN, {**BURN, "id": "burn-2"})
    assert twice == "tasks[1].kind: 'bonus_burn' is set up twice: it is set up only once: make them one"
    (named,) = problems(NEWS, {**BURN, "id": "news"})
    assert named == "tasks[1].id: 'news' is given twice: give each task its own id"
    two = read_tasks({"merchant": "lumi", "tasks": [NEWS, {**NEWS, "id": "more"}]}, LUMI)
    assert [task.task_id for task in two] == ["news", "more"]


@requirement("LS-10")
def test_a_promotional_sms_has_300_characters_at_most() -> None:
    long = {**NEWS, "channels": ["sms"], "words": {"zh-Hant": {"body": "好" * 301}}}
    (problem,) = problems(long)
    assert "has 301 characters: a promotional SMS has at most 300" in problem
    long["words"]["zh-Hant"]["body"] = "好" * 300
    assert len(read_tasks({"merchant": "lumi", "tasks": [long]}, LUMI)) == 1


def test_all_problems_of_a_file_are_told_at_once() -> None:
    """Those of a merchant without bonuses too."""
    found = problems({**BURN, "days": -1}, {**NEWS, "cron": "x"}, merchant=replace(LUMI, bonuses={}))
    assert len(found) == 3
    assert "tasks[0].currency: is not known: merchant 'lumi' has no bonuses: add [bonuses.points]" in found[1]


def test_the_file_of_another_merchant_or_of_none_is_refused() -> None:
    with pytest.raises(InputError, match="merchant: is missing: add a text"):
        tasks_merchant({"tasks": []})
    with pytest.raises(InputError, match="merchant: 'lumo' is another merchant: the merchant is 'lumi'"):
        read_tasks({"merchant": "lumo"}, LUMI)


def test_a_file_without_tasks_is_none() -> None:
    """Applied, it removes them all, once that is confirmed."""
    found: tuple[RegularTask, ...] = read_tasks({"merchant": "lumi"}, LUMI)
    assert found == ()
