"""`explain`, `suppressions`, `merchant suspend`: why nothing left, and who may be written to."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from activities.database import open_database, writing
from activities.members import Members
from activities.merchants import Merchants
from activities.replies import Replies
from cli import run
from models.member import Member
from models.tables.messages import MessageRow
from tests.databases import migrated_sqlite
from tests.proposals import SHOP
from tests.requirements import requirement

NOW = datetime(2026, 3, 3, 4, tzinfo=UTC)
KEY = "booking:lumi:b1/order_placed/ada"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with one merchant and one refused message; the commands find it."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    monkeypatch.setenv("CARILLON_DATABASE_URL", url)
    asyncio.run(_filled(url))
    return url


async def _filled(url: str) -> None:
    await migrated_sqlite(url)
    engine = open_database(url)
    await Merchants(engine).apply(SHOP, NOW)
    message = {
        "notice_key": KEY, "channel": "sms", "merchant_id": "lumi", "lifecycle": "booking:lumi:b1",
        "kind": "order_placed", "role": "booker", "recipient": "Ada", "address": "+886912345678",
        "locale": "", "subject": "", "text": "", "segments": 0, "status": "refused", "provider": "",
        "provider_id": "",
        "reason": "automatic SMS is barred for a business that sells alcohol in Canada", "rule": "trade_ban",
        "policy_version": "2026-11", "doubtful": False, "attempts": 0, "token": "", "due": NOW,
        "not_after": NOW, "settled_at": NOW,
    }  # fmt: skip
    async with writing(engine) as connection:
        await connection.execute(insert(MessageRow).values(**message))
    await engine.dispose()


@requirement("LS-41", "LS-42")
@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("named", ["1", KEY])
def test_a_refused_message_is_explained_in_a_sentence(named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By its number or its key."""
    assert run(["explain", named]) == 0
    assert capsys.readouterr().out == (
        "order placed to Ada, sms: Not sent: "
        "automatic SMS is barred for a business that sells alcohol in Canada "
        "(rule trade_ban, policy 2026-11).\n"
    )
    assert run(["explain", named, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["rule"], found["policy_version"]) == ("trade_ban", "2026-11")


@pytest.mark.usefixtures("database")
def test_the_number_that_explain_wants_is_in_the_history(capsys: pytest.CaptureFixture[str]) -> None:
    """In the table and for programs."""
    assert run(["messages"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "booking:lumi:b1" in line]
    assert run(["messages", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert line.split()[0] == str(row["id"])
    assert run(["explain", str(row["id"])]) == 0


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("named", ["booking:lumi:b1", "lumi/b1"])
def test_all_messages_of_a_lifecycle_are_explained(named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What it left out made no message: who wants that is told where it is."""
    assert run(["explain", named]) == 0
    shown = capsys.readouterr().out
    assert "1  order placed to Ada, sms: Not sent: " in shown
    assert "left out and why, is told by `carillon agenda booking:lumi:b1`" in shown
    assert run(["explain", named, "--json"]) == 0
    assert [one["notice_key"] for one in json.loads(capsys.readouterr().out)] == [KEY]


async def _told(url: str) -> None:
    """A member, what it was told by a wave and in a booking, and what is somebody else's."""
    engine = open_database(url)
    await Members(engine).upsert([Member("lumi", "ada", "Ada", NOW, phone="+886912345678")], NOW)
    async with writing(engine) as connection:
        row = (await connection.execute(select(MessageRow.__table__))).mappings().one()  # type: ignore[attr-defined]
        others = [
            ("coupon:lumi:spring/coupon_issued/issued/ada", "coupon:lumi:spring", "", "address"),
            ("coupon:lumi:spring/coupon_issued/issued/nada", "coupon:lumi:spring", "+886900000000", ""),
            ("booking:lumi:b9/order_placed/ada", "booking:lumi:b9", "+886900000000", ""),
        ]
        for key, lifecycle, address, rule in others:
            told = {"notice_key": key, "lifecycle": lifecycle, "address": address, "rule": rule}
            await connection.execute(insert(MessageRow).values({**row, "id": None, **told}))
    await engine.dispose()


@pytest.mark.parametrize("named", [["messages", "--member", "lumi/ada"], ["explain", "member:lumi:ada"]])
def test_all_that_a_member_was_told_is_found(
    named: list[str], database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By waves and, where its address is known, in bookings; a namesake in a booking is somebody else."""
    asyncio.run(_told(database))
    assert run([*named, "--json"]) == 0
    keys = {one["notice_key"] for one in json.loads(capsys.readouterr().out)}
    assert keys == {KEY, "coupon:lumi:spring/coupon_issued/issued/ada"}


@pytest.mark.usefixtures("database")
def test_the_messages_of_nobody_are_not_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    """It would be taken for a member that was told nothing."""
    assert run(["messages", "--member", "lumi/bo"]) == 1
    assert "lumi has no member 'bo'" in capsys.readouterr().err
    assert run(["messages", "--member", "lumi/bo", "--merchant", "nova"]) == 1
    assert "--merchant: lumi/bo is not of nova" in capsys.readouterr().err


@pytest.mark.usefixtures("database")
def test_a_wave_without_a_message_is_shown_by_its_own_command(capsys: pytest.CaptureFixture[str]) -> None:
    """It has no agenda."""
    assert run(["explain", "wave:lumi:news"]) == 1
    words = " ".join(capsys.readouterr().err.split())
    assert "there is no message of wave:lumi:news yet: see" in words
    assert "`carillon wave show wave:lumi:news`" in words


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("named", ["lumi/a:b", "lu:mi/x", "booking:lumi:a/b", "/", "lumi/", "::", "a:b:"])
@pytest.mark.parametrize("command", [["agenda"], ["messages", "--lifecycle"], ["fast-forward"]])
def test_what_is_no_id_of_a_lifecycle_is_named(
    command: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kind, a merchant and an id, each of which is something."""
    assert run([*command, named, *["1d"] * (command == ["fast-forward"])]) == 1
    assert f"{named!r} is no lifecycle: write it as booking:MERCHANT:ID" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "command",
    [
        ["messages"], ["explain", "lumi/b1"], ["member", "list"], ["bonus", "show", "lumi/ada"],
        ["credits", "show", "lumi"], ["suppressions", "list"], ["wave", "list"],
    ],
)  # fmt: skip
def test_more_than_any_database_counts_cannot_be_asked_for(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A million at the most."""
    assert run([*command, "--limit", "9" * 23]) == 1
    assert "'--limit': Input should be less than or equal to 1000000" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.usefixtures("database")
def test_a_lifecycle_without_a_message_is_on_an_agenda(capsys: pytest.CaptureFixture[str]) -> None:
    """It may have left out all it had."""
    assert run(["explain", "lumi/b2"]) == 1
    words = "there is no message of booking:lumi:b2 yet: what it owes, and what it left out and why, "
    assert words in capsys.readouterr().err


@pytest.mark.usefixtures("database")
def test_a_merchant_that_is_not_there_has_no_history(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty one would be taken for a merchant that has sent nothing."""
    assert run(["messages", "--merchant", "nobody"]) == 1
    assert "merchant 'nobody' is not known" in capsys.readouterr().err


@pytest.mark.usefixtures("database")
def test_a_message_that_is_not_there_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    """With where to look."""
    assert run(["explain", "nothing"]) == 1
    assert "carillon messages" in capsys.readouterr().err


@pytest.mark.usefixtures("database")
def test_an_address_is_suppressed_listed_and_lifted(capsys: pytest.CaptureFixture[str]) -> None:
    """The channel shows in the address, kept as messages are sent to it; what was lifted is kept."""
    assert run(["suppressions", "add", "lumi", "Ada@Example.com", "--reason", "wrote to us"]) == 0
    assert run(["suppressions", "add", "lumi", "0912 345 678"]) == 0
    capsys.readouterr()
    assert run(["suppressions", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["channel"], row["address"]) for row in rows} == {
        ("email", "ada@example.com"),
        ("sms", "+886912345678"),
    }
    assert run(["suppressions", "lift", "lumi", "ada@example.com"]) == 0
    assert run(["suppressions", "lift", "lumi", "ada@example.com"]) == 1
    capsys.readouterr()
    assert run(["suppressions", "list"]) == 0
    assert "ada@example.com" not in capsys.readouterr().out
    assert run(["suppressions", "list", "--lifted", "--merchant", "lumi"]) == 0
    assert "wrote to us (lifted" in capsys.readouterr().out


def test_what_the_reader_has_stopped_is_not_lifted_unawares(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though it was suppressed for another reason first: it is said, and done only when it is meant."""
    assert run(["suppressions", "add", "lumi", "0912345678", "--reason", "no such number"]) == 0
    asyncio.run(_stop(database))
    assert run(["suppressions", "list"]) == 0
    assert "answered STOP" in capsys.readouterr().out
    assert run(["suppressions", "lift", "lumi", "0912345678"]) == 1
    words = "the reader of +886912345678 has answered STOP, and takes it back with START"
    assert words in " ".join(capsys.readouterr().err.split())
    assert run(["suppressions", "lift", "lumi", "0912345678", "--anyway"]) == 0
    assert "is written to by sms again" in capsys.readouterr().out


async def _stop(url: str) -> None:
    engine = open_database(url)
    await Replies(engine).said("lumi", "twilio", "+886912345678", "STOP")
    await engine.dispose()


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["suppressions", "add", "lumi", "nowhere"], "neither an email address nor a number"),
        (["suppressions", "add", "nobody", "ada@example.com"], "'nobody' is not known"),
        (["suppressions", "add", "lumi", "ada@example.com", "--reason", " "], "reason: it is blank"),
        (["suppressions", "add", "lumi", "abc", "--channel", "pigeon"], "'pigeon' is not one of"),
        (["suppressions", "lift", "lumi", "abc", "--channel", "pigeon"], "'pigeon' is not one of"),
        (["suppressions", "add", "lumi", "x" * 321, "--channel", "push"], "the address has 321 characters"),
        (["suppressions", "add", "lumi", " ", "--channel", "push"], "the address has 0 characters"),
        (["merchant", "suspend", "nobody", "--reason", "complaints"], "'nobody' is not known"),
        (["merchant", "suspend", "lumi", "--reason", ""], "reason: it is blank"),
        (["merchant", "resume", "lumi"], "is not suspended there"),
    ],
)
def test_what_cannot_be_meant_is_a_mistake(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No address, no such merchant or channel, no reason, nothing to resume."""
    assert run(arguments) == 1
    assert words in " ".join(capsys.readouterr().err.split())


@requirement("CRES-04")
@pytest.mark.usefixtures("database")
def test_a_merchant_is_suspended_and_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    """By default for SMS and LINE notification messages, as the operator would."""
    assert run(["merchant", "suspend", "lumi", "--reason", "complaints"]) == 0
    assert "SMS and LINE notification messages" in capsys.readouterr().out
    assert run(["merchant", "resume", "lumi", "--channels", "email"]) == 1
    assert run(["merchant", "resume", "lumi"]) == 0
