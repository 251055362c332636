"""`template`: the texts looked at, checked, saved and shown as their reader would get them."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest

from activities.database import open_database
from activities.merchants import Merchants
from activities.template_check import routed
from cli import run
from models.notices import Kind
from tests.databases import migrated_sqlite
from tests.requirements import requirement
from tests.shops import NOW, PAYING

GOOD = "{{ shop }}: {{ name }}, {{ day }} {{ time }}"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with one merchant; the commands find it."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    monkeypatch.setenv("CARILLON_DATABASE_URL", url)
    asyncio.run(_filled(url))


async def _filled(url: str) -> None:
    await migrated_sqlite(url)
    engine = open_database(url)
    await Merchants(engine).apply(PAYING, NOW)
    await engine.dispose()


def told(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Any:
    """What a command answers a program."""
    assert run(["template", *arguments, "--json"]) == status
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def good(tmp_path: Path) -> str:
    file = tmp_path / "good.txt"
    file.write_text(GOOD + "\n")
    return str(file)


@requirement("WACA-02", "WACA-39")
@pytest.mark.parametrize("locale", ["zh-Hant", "en", "fr"])
@pytest.mark.parametrize("kind", Kind)
def test_every_notice_previews_in_every_language_by_every_channel(
    kind: Kind, locale: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page that fetches nothing, in a file whose path is told; no database is needed."""
    for channel in routed(kind):
        where = ("--locale", locale, "--channel", channel, "--data-dir", str(tmp_path))
        found = told(capsys, "preview", kind, *where)
        page = Path(found["page"]).read_text("utf-8")
        assert f'lang="{locale}"' in page
        assert "cid:" not in page
        assert found["locale"] == locale
        assert run(["template", "preview", kind, *where]) == 0
        assert "The page is in" in capsys.readouterr().out


@requirement("WACA-04", "WACA-23")
@pytest.mark.usefixtures("database")
def test_a_text_is_checked_saved_used_and_taken_back(
    good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way of a text: check, set, list, show, preview, history, activate."""
    where = ("--merchant", "lumi", "--locale", "en")
    assert told(capsys, "check", good, "--kind", "pre_visit", *where)["problems"] == []
    assert told(capsys, "history", "pre_visit", *where) == []
    assert told(capsys, "set", "pre_visit", good, *where, "--author", "ann")["version"] == 1
    rows = told(capsys, "list", "--merchant", "lumi")
    (row,) = [row for row in rows if (row["kind"], row["channel"]) == ("pre_visit", "sms")]
    assert row["texts"] == {"zh-Hant": "shipped", "en": "version 1", "fr": "shipped"}
    shown = told(capsys, "show", "pre_visit", *where)
    assert (shown["text"], shown["source"], shown["variables"]["time"]) == (GOOD, "version 1", "14:00")
    preview = told(capsys, "preview", "pre_visit", *where, "--channel", "sms", "--data-dir", str(tmp_path))
    assert preview["text"] == "Lumi Studio: Mei Lin, Tue 10 Mar 14:00"
    (version,) = told(capsys, "history", "pre_visit", *where)
    assert (version["author"], version["active"]) == ("ann", True)
    assert run(["template", "activate", "pre_visit", "0", *where]) == 0
    assert run(["template", "activate", "pre_visit", "5", *where]) == 1
    capsys.readouterr()
    assert told(capsys, "show", "pre_visit", *where)["source"] == "shipped"


@pytest.mark.usefixtures("database")
def test_people_read_the_same_in_words(good: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json, what was done and what is worth knowing."""
    where = ["--merchant", "lumi", "--locale", "en"]
    assert run(["template", "check", good, "--kind", "pre_visit", *where]) == 0
    said = capsys.readouterr()
    assert "With long values" in said.out
    assert "no text of your own in zh-Hant, fr" in said.err
    assert run(["template", "set", "pre_visit", good, *where]) == 0
    assert "pre_visit/en/sms of lumi is version 1 from now on" in capsys.readouterr().out
    for command in (["history", "pre_visit"], ["show", "pre_visit"]):
        assert run(["template", *command, *where]) == 0
        assert GOOD in capsys.readouterr().out
    assert run(["template", "list", "--merchant", "lumi"]) == 0
    assert "version 1" in capsys.readouterr().out


@pytest.mark.usefixtures("database")
def test_a_wrong_text_is_not_saved_and_all_that_is_wrong_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typed, too."""
    where = ["--merchant", "lumi", "--locale", "en"]
    monkeypatch.setattr("sys.stdin", io.StringIO("A sale!\n{{ nmae }}"))
    assert run(["template", "check", "-", "--kind", "pre_visit", *where]) == 1
    assert "line 2: 'nmae' is not known: did you mean 'name'?" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("A sale!"))
    assert run(["template", "set", "pre_visit", "-", *where]) == 1
    assert "the promotional word 'sale'" in capsys.readouterr().err
    assert told(capsys, "history", "pre_visit", *where) == []


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "pre_visits"], "did you mean 'pre_visit'?"),
        (["show", "pre_visit", "--locale", "de"], "'de' is no locale that is served"),
        (["preview", "voucher", "--channel", "sms"], "voucher does not go by sms"),
        (["show", "pre_visit", "--merchant", "nobody"], "merchant 'nobody' is not known"),
        (["set", "pre_visit", "/no/such/file", "--merchant", "lumi"], "cannot be read as text"),
        (["preview", "voucher", "--lifecycle", "nothing"], "'nothing' is no lifecycle"),
    ],
)
def test_what_cannot_be_meant_is_a_mistake(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named, with what there is."""
    assert run(["template", *arguments]) == 1
    assert complaint in capsys.readouterr().err


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(("channel", "head"), [("email", "Subject"), ("push", "Title")])
def test_a_text_with_a_heading_is_saved_and_shown_with_it(
    channel: str, head: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first line of its file; a file without one is a mistake that says what to write."""
    file = tmp_path / "greeting.txt"
    where = ("--channel", channel, "--merchant", PAYING.id)
    file.write_text("Many happy returns!\n")
    assert run(["template", "set", "birthday", str(file), *where]) == 1
    assert f"begin it with a line `{head}: ...`" in " ".join(capsys.readouterr().err.split())
    file.write_text(f"{head}: For {{{{ name }}}}\n\nMany happy returns!\n")
    assert told(capsys, "set", "birthday", str(file), *where)["version"] == 1
    shown = told(capsys, "show", "birthday", *where)
    assert (shown["subject"], shown["text"]) == ("For {{ name }}", "Many happy returns!")
    previewed = told(capsys, "preview", "birthday", *where, "--data-dir", str(tmp_path))
    assert previewed["subject"] == "For Mei Lin"
    assert "Many happy returns!" in previewed["text"]
    assert run(["template", "preview", "birthday", *where, "--data-dir", str(tmp_path)]) == 0
    assert f"{head}: For Mei Lin" in capsys.readouterr().out
