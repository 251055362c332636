"""`carillon member`: import, look up, register, verify."""

import asyncio
import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

import cli
from activities.database import open_database
from activities.merchants import Merchants
from tests.activities.test_members import a_file_of
from tests.databases import migrated_sqlite
from tests.requirements import requirement
from tests.world import MERCHANT, World, now

FILE = "member_id,name,email,phone,customer_id,groups,consent_promotional_sms\n"
ADA = "ada,Ada Lin,ada@example.com,0912345678,A12,vip,yes\n"
BO = "bo,Bo Martin,,,,vip;new,\n"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with one merchant; the commands find it."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    monkeypatch.setenv("CARILLON_DATABASE_URL", url)
    asyncio.run(_filled(url))


async def _filled(url: str) -> None:
    await migrated_sqlite(url)
    engine = open_database(url)
    await Merchants(engine).apply(MERCHANT, now())
    await engine.dispose()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "members.csv"
    path.write_text(FILE + ADA + BO, "utf-8")
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command answers a program."""
    assert cli.run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("database")
@requirement("MAAC-08", "LS-03", "LS-51")
def test_members_are_imported_shown_and_listed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run again nothing changes; there is no error file where nothing is wrong."""
    run = ("member", "import", str(file), "--merchant", "lumi")
    assert told(capsys, *run) == {"good": 2, "refused": 0, "new": 2, "changed": 0, "same": 0}
    assert cli.run(run) == 0
    assert "0 new, 0 changed, 2 as they were" in capsys.readouterr().out
    assert [path.name for path in file.parent.glob("*.csv")] == ["members.csv"]
    shown = told(capsys, "member", "show", "lumi/ada")
    assert (shown["phone"], shown["bound"], shown["granted"]) == ("+886912345678", True, True)
    assert [(said["channel"], said["state"]) for said in shown["consents"]] == [("sms", "opted_in")]
    listed = told(capsys, "member", "list", "--merchant", "lumi", "--without-email")
    assert [one["member_id"] for one in listed["members"]] == ["bo"]
    assert listed["counts"] == {
        "members": 2,
        "bound": 1,
        "without_email": 1,
        "without_phone": 1,
        "not_granted": 0,
    }
    assert cli.run(["member", "list", "--merchant", "lumi", "--group", "vip"]) == 0
    assert "2 members: 1 bound, 1 without email" in capsys.readouterr().out
    assert cli.run(["member", "show", "lumi/bo"]) == 0
    assert "no: it has no customer ID" in capsys.readouterr().out


@pytest.mark.usefixtures("database")
def test_bad_lines_are_told_and_good_ones_taken(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status says that something is left to mend; mended and run again all is in."""
    file.write_text(FILE + ADA + BO.replace("bo,Bo Martin,", "bo,Bo Martin,nowhere"), "utf-8")
    run = ("member", "import", str(file), "--merchant", "lumi")
    assert cli.run(run) == 1
    said = capsys.readouterr()
    errors = Path(f"{file}.errors.csv")
    assert "1 new, 0 changed, 0 as they were" in said.out
    assert f"1 line is refused: {errors} says why" in said.err
    with errors.open(encoding="utf-8-sig", newline="") as text:
        (row,) = csv.DictReader(text)
    assert (row["line"], row["field"], row["value"]) == ("3", "email", "'nowhere'")
    file.write_text(FILE + ADA + BO, "utf-8")
    assert told(capsys, *run)["new"] == 1
    assert len(errors.read_text("utf-8").splitlines()) == 1, "what was mended is told no more"


@pytest.mark.usefixtures("database")
def test_a_hundred_thousand_members_are_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command: every good line is in, every bad one is told with its line, field and value."""
    file = a_file_of(100_000, tmp_path / "members.csv")
    assert cli.run(["member", "import", str(file), "--merchant", "lumi", "--json"]) == 1
    counts = {"good": 99_900, "refused": 100, "new": 99_900, "changed": 0, "same": 0}
    assert json.loads(capsys.readouterr().out) == {**counts, "errors": f"{file}.errors.csv"}
    with Path(f"{file}.errors.csv").open(encoding="utf-8-sig", newline="") as text:
        bad = list(csv.DictReader(text))
    assert [int(row["line"]) for row in bad] == list(range(1_001, 100_002, 1_000))
    assert {(row["field"], row["value"]) for row in bad} == {("phone", "'12'")}
    assert told(capsys, "member", "show", "lumi/m-99998")["name"] == "會員 99998"
    listed = told(capsys, "member", "list", "--merchant", "lumi", "--limit", "1")
    assert listed["counts"]["members"] == 99_900


@pytest.mark.usefixtures("database")
def test_a_dry_run_keeps_nothing(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But tells what is wrong, where it is asked to."""
    file.write_text(FILE + ADA + "???,Bo,,,,,\n", "utf-8")
    errors = tmp_path / "wrong.csv"
    run = ["member", "import", str(file), "--merchant", "lumi", "--dry-run", "--errors", str(errors)]
    assert cli.run(run) == 1
    assert "1 members can be imported; nothing is kept" in capsys.readouterr().out
    assert "member_id" in errors.read_text("utf-8")
    assert told(capsys, "member", "list", "--merchant", "lumi")["counts"]["members"] == 0


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("import", "none.csv", "--merchant", "lumi"), "none.csv cannot be used\n  there is no such file"),
        (("import", "none.csv", "--merchant", "nobody"), "merchant 'nobody' is not known: add it with"),
        (("import", "m.csv", "--merchant", "lumi", "--errors", "m.csv"), "--errors: m.csv is the file of"),
        (("show", "lumi/nobody"), "'nobody' is no member of lumi"),
        (("show", "lumi"), "'lumi' is no member: write it as MERCHANT/ID"),
        (("register", "lumi/ada", "--file", "a.json", "--name", "Ada"), "--file: it tells all of the member"),
        (("register", "lumi/ada", "--data", "7"), "is no JSON object"),
    ],
)
def test_what_cannot_be_is_refused_with_the_mend(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is kept."""
    assert cli.run(["member", *arguments]) == 1
    assert complaint in capsys.readouterr().err


@requirement("WACA-35")
async def test_one_registers_is_sent_a_code_and_gives_it_back(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the command line alone."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", world.client.service_client.config.target_host)
    monkeypatch.setenv("CARILLON_DATABASE_URL", world.settings.database_url)
    monkeypatch.setenv("CARILLON_TASK_QUEUE", world.settings.task_queue)

    async def run(*arguments: str) -> tuple[int, str]:
        status = await asyncio.to_thread(cli.run, ["member", *arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    given = ("--name", "Ada", "--phone", "0912-000-111", "--data", '{"locale": "en"}')
    status, said = await run("register", "lumi/ada", *given)
    assert status == 0
    assert re.search(r"A code went to \+886912000111; it holds until .* \(Asia/Taipei\)", said)
    status, said = await run("list", "--merchant", "lumi")
    assert "1 with a phone still to be verified" in said
    assert "not granted yet" in said
    status, said = await run("resend", "lumi/ada")
    assert status == 1
    assert "too many codes went to this phone: try again at" in said
    status, said = await run("verify", "lumi/ada", "000")
    assert (status, "4 tries are left" in said) == (1, True)
    (code,) = re.findall(r"[0-9]{6}", world.twsms.accepted[0].message)
    status, said = await run("verify", "lumi/ada", code)
    assert (status, "ada is a member of lumi" in said) == (0, True)
    assert code not in said
    status, said = await run("register", "lumi/ada", "--name", "Ada Lin")
    assert (status, "ada is a member of lumi" in said) == (0, True)
