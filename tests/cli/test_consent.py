"""`carillon consent`: the word of a member, or of whoever reads an address, noted by hand."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activities.database import open_database
from activities.members import Members
from activities.merchants import Merchants
from cli import run
from models.member import Member
from tests.databases import migrated_sqlite
from tests.proposals import SHOP

NOW = datetime(2026, 3, 3, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with one merchant and one member; the commands find it."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    monkeypatch.setenv("CARILLON_DATABASE_URL", url)
    asyncio.run(_filled(url))


async def _filled(url: str) -> None:
    await migrated_sqlite(url)
    engine = open_database(url)
    await Merchants(engine).apply(SHOP, NOW)
    await Members(engine).upsert([Member("lumi", "ada", "Ada", NOW)], NOW)
    await engine.dispose()


def said(who: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What is kept of somebody."""
    capsys.readouterr()
    assert run(["consent", "show", "lumi", who, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_a_member_says_no_on_every_channel_and_yes_on_one(capsys: pytest.CaptureFixture[str]) -> None:
    """By letter or at the desk; the last word counts."""
    assert run(["consent", "no", "lumi", "ada", "--class", "promotional", "--where", "by letter"]) == 0
    words = capsys.readouterr().out.splitlines()
    assert words == [f"ada wants no more promotional notices by {by}" for by in ("email", "sms", "push")]
    assert run(["consent", "yes", "lumi", "ada", "--class", "promotional", "--by", "sms"]) == 0
    kept = {row["channel"]: (row["state"], row["source"]) for row in said("ada", capsys)}
    assert kept == {
        "email": ("opted_out", "by letter"),
        "push": ("opted_out", "by letter"),
        "sms": ("opted_in", "carillon consent"),
    }


@pytest.mark.parametrize(
    ("who", "by"), [("Bo@Example.com", "email"), ("+886 912 345 678", "sms"), ("+886912345678", "sms")]
)
def test_who_is_no_member_is_known_by_the_address(
    who: str, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """However it is written, it is the one that messages are sent to."""
    assert run(["consent", "no", "lumi", who, "--class", "reminder", "--class", "loyalty"]) == 0
    for written in (who, "bo@example.com" if by == "email" else "+886912345678"):
        kept = said(written, capsys)
        assert [(row["notice_class"], row["channel"]) for row in kept] == [("loyalty", by), ("reminder", by)]


def test_an_older_word_is_not_put_above_a_newer_one_and_that_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A letter that lay for a week."""
    assert run(["consent", "no", "lumi", "ada", "--class", "loyalty", "--by", "email"]) == 0
    capsys.readouterr()
    old = ["--at", "2026-03-01T10:00:00+08:00"]
    assert run(["consent", "yes", "lumi", "ada", "--class", "loyalty", "--by", "email", *old]) == 0
    assert "has said something about loyalty notices by email since" in capsys.readouterr().out
    (row,) = said("ada", capsys)
    assert row["state"] == "opted_out"


def test_who_has_said_nothing_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    """And what was said is a table."""
    assert run(["consent", "show", "lumi", "ada"]) == 0
    assert capsys.readouterr().out == "ada has said nothing yet.\n"
    assert run(["consent", "yes", "lumi", "ada", "--class", "loyalty", "--by", "push"]) == 0
    assert run(["consent", "show", "lumi", "ada"]) == 0
    assert "opted in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no", "lumi", "bo", "--class", "loyalty"], "lumi has no member 'bo'"),
        (["show", "lumi", "bo"], "lumi has no member 'bo'"),
        (["no", "nobody", "ada", "--class", "loyalty"], "merchant 'nobody' is not known"),
        (["no", "lumi", "ada", "--class", "transactional"], "transactional"),
        (["no", "lumi", "ada"], "--class"),
        (["no", "lumi", "bo@", "--class", "loyalty"], "'bo@' is no email address"),
        (["no", "lumi", "+88691", "--class", "loyalty"], "too few or too many digits"),
        (["no", "lumi", "a@b.tw", "--class", "loyalty", "--by", "email", "--by", "sms"], "--by: an address"),
        (["no", "lumi", "ada", "--class", "loyalty", "--at", "yesterday"], "--at: 'yesterday'"),
        (["no", "lumi", "ada", "--class", "loyalty", "--where", "x" * 65], "--where: it has 65 characters"),
        (["no", "lumi", "ada", "--class", "loyalty", "--where", " "], "--where: it is blank"),
        (["yes", "lumi", "", "--class", "loyalty"], "WHO: it is blank: write a member's id"),
        (["show", "lumi", " "], "WHO: it is blank: write a member's id"),
    ],
)
def test_what_cannot_be_meant_is_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the mend; what is owed cannot be declined."""
    assert run(["consent", *arguments]) == 1
    assert words in " ".join(capsys.readouterr().err.split())
