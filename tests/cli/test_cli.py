"""The `carillon` command without a server: what it answers, how it ends, what it never shows."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

import cli
from client import Carillon
from commands.clock import moved
from commands.failures import Mistake
from intake import read_merchant
from intake.files import load
from intake.schema import schema
from models.agenda import Agenda, ChannelOutcome, Done, LeftOut, Notice, NotTaken, Reason, Status
from models.merchant import SmsProvider
from models.notices import Kind
from models.people import Person, Role
from models.showing import agenda_document
from temporal_server import server_program
from tests.requirements import requirement
from tests.world import now

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
LUMI = str(EXAMPLES / "lumi.toml")
ATM = str(EXAMPLES / "lumi-atm.json")
CARD = str(EXAMPLES / "lumi-card.json")
NOWHERE = "127.0.0.1:1"
SECRETS = {
    "CARILLON_TWSMS_USERNAME": "user-s3cret",
    "CARILLON_TWSMS_PASSWORD": "pass-s3cret",
    "CARILLON_SMTP_PASSWORD": "mail-s3cret",
    "CARILLON_DATABASE_URL": "postgresql://carillon:db-s3cret@127.0.0.1:1/carillon",
}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in an empty folder of its own; answers its exit status, what it says, its errors."""
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "CARILLON_DATABASE_URL", "CARILLON_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CARILLON_DATA_DIR", str(tmp_path / "var"))

    def call(*arguments: str) -> tuple[int, str, str]:
        status = cli.run(arguments)
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return status, said.out, said.err

    return call


def bookings() -> list[Path]:
    return [file for file in sorted(EXAMPLES.glob("*.json")) if not file.name.endswith(".facts.json")]


@pytest.mark.parametrize("file", bookings(), ids=lambda file: file.stem)
def test_a_preview_tells_what_every_example_owes(run: Run, file: Path) -> None:
    merchant = EXAMPLES / f"{file.stem.partition('-')[0]}.toml"
    when = json.loads(file.read_text("utf-8"))["ordered_at"]
    status, out, err = run(
        "preview", "booking", str(file), "--merchant", str(merchant), "--now", when, "--json"
    )
    assert (status, err) == (0, "")
    agenda = json.loads(out)
    assert [done["kind"] for done in agenda["done"]] == ["order_placed"]
    assert {left["reason"] for left in agenda["left_out"]} >= {"not_accepted_yet"}


@requirement("WACA-33", "WACA-36")
def test_a_preview_plays_the_facts(run: Run) -> None:
    """Three people, two services: accepted in instalments, one of them moved."""
    facts = str(EXAMPLES / "lumi-atm.facts.json")
    as_of = ("--now", "2027-03-05T09:00:00+08:00")
    status, out, _ = run("preview", "booking", ATM, "--merchant", LUMI, "--facts", facts, *as_of, "--json")
    assert status == 0
    agenda = json.loads(out)
    assert [(owed["recipient"], owed["due"]) for owed in agenda["owed"]] == [
        ("林美惠", "2027-03-06T02:00:00Z"),
        ("Camille Durand", "2027-03-06T02:00:00Z"),
        ("Camille Durand", "2027-03-09T02:00:00Z"),
        ("Oliver Grant", "2027-03-09T02:00:00Z"),
    ]
    reminder = next(done for done in agenda["done"] if done["kind"] == "payment_reminder")
    assert (reminder["due"], reminder["not_after"]) == ("2027-03-02T02:00:00Z", "2027-03-03T15:59:59Z")
    status, out, _ = run("preview", "booking", ATM, "--merchant", LUMI, "--facts", facts, *as_of)
    assert status == 0
    assert "Sat 6 Mar 2027 10:00" in out
    assert "payment reminder" in out


def test_a_preview_and_an_agenda_have_one_shape(run: Run) -> None:
    """Every field that the real agenda can have is there, and no address of anybody."""
    person = Person("Ada", "ada@example.com", "+886912345678", id="ada")
    moment = now()
    notice = Notice("k", Kind.PRE_VISIT, Role.PARTICIPANT, person, ("email",), moment, moment, ("s1",))
    left = LeftOut("l", Kind.PAYMENT_REMINDER, Role.BOOKER, person, ("sms",), Reason.ALREADY_PAID)
    done = Done(replace(notice, key="d"), (ChannelOutcome("email", Status.SENT, moment, "", "smtp"),))
    told = NotTaken("e", "accepted", "the order is cancelled", moment)
    full = agenda_document(Agenda("booking:a:b", "paid", "UTC", (notice,), (done,), (left,), (told,), moment))
    assert "ada@example.com" not in json.dumps(full)
    assert "912345678" not in json.dumps(full)
    _, out, _ = run(
        "preview", "booking", ATM, "--merchant", LUMI, "--now", "2027-03-01T10:00+08:00", "--json"
    )
    preview = json.loads(out)
    assert preview.keys() == full.keys()
    for part in ("owed", "done", "left_out"):
        for entry in preview[part]:
            assert entry.keys() == full[part][0].keys()
    assert preview["done"][0]["outcomes"][0].keys() == full["done"][0]["outcomes"][0].keys()


@pytest.mark.parametrize("name", ["booking", "facts", "merchant", "tasks"])
def test_the_schema_takes_every_example_and_refuses_a_slip(run: Run, name: str) -> None:
    status, out, _ = run("schema", name)
    assert status == 0
    made = json.loads(out)
    Draft202012Validator.check_schema(made)
    validator = Draft202012Validator(made)
    files = {
        "booking": bookings(),
        "facts": EXAMPLES.glob("*.facts.json"),
        "merchant": [file for file in EXAMPLES.glob("*.toml") if "-" not in file.stem],
        "tasks": EXAMPLES.glob("*-tasks.toml"),
    }
    for file in files[name]:
        data = json.loads(json.dumps(load(file, "")[1], default=_plain))
        assert not list(validator.iter_errors(data)), file
        slipped = [*data, {"fact": "acepted"}] if isinstance(data, list) else {**data, "nmae": 1}
        assert list(validator.iter_errors(slipped)), file


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else float(value)


def test_the_schema_explains_itself() -> None:
    """Descriptions come from the docstrings of the domain."""
    policy = schema("merchant")["$defs"]["BookingPolicy"]["properties"]
    assert policy["payment_days"]["description"].startswith("days from the order's day")
    assert schema("booking")["properties"]["services"]["minItems"] == 1
    assert schema("facts")["$defs"]["Accepted"]["required"] == ["fact", "event_id"]


def test_a_merchant_is_applied_and_shown(run: Run) -> None:
    assert run("merchant", "apply", LUMI)[:2] == (0, "lumi (Lumi 露米工作室) applied\n")
    assert run("merchant", "apply", LUMI)[:2] == (0, "lumi (Lumi 露米工作室) is like this already\n")
    status, out, _ = run("merchant", "show", "lumi", "--json")
    assert (status, json.loads(out)["name"]) == (0, "Lumi 露米工作室")
    status, out, _ = run("merchant", "show", "lumi")
    assert "booking.payment_days.barcode" in out
    status, out, _ = run("preview", "booking", ATM, "--json")
    assert (status, json.loads(out)["lifecycle"]) == (0, "booking:lumi:b-1001")


def _named(part: str | tuple[str, ...]) -> str:
    return part[:30] if isinstance(part, str) else "_".join(part[:2])


MISTAKES: list[tuple[tuple[str, ...], str]] = [
    (("nonsense",), "No such command 'nonsense'"),
    (("agenda",), "Missing argument 'ID'"),
    (("agenda", "b-1"), "'b-1' is no lifecycle: write it as booking:MERCHANT:ID"),
    (("merchant", "apply", "nowhere.toml"), "nowhere.toml cannot be used"),
    (("booking", "start", CARD, "--today"), "--today needs the zone of merchant 'lumi'"),
    (("booking", "tell", "lumi/b-1", "acepted"), "did you mean 'accepted'?"),
    (("booking", "tell", "lumi/b-1", "accepted", "--data", "{"), "--data: '{' is not JSON"),
    (("booking", "tell", "lumi/b-1", "accepted", "--data", "[]"), "--data: '[]' is no JSON object"),
    (("booking", "tell", "lumi/b-1", "assigned"), "service: is missing"),
    (("preview", "booking", ATM), "merchant_id: 'lumi' is not known here: apply it with"),
    (("preview", "booking", ATM, "--merchant", LUMI, "--now", "noon"), "--now: 'noon' is no instant"),
    (("fast-forward", "lumi/b-1", "soon"), "'soon' is not a duration"),
    (("fast-forward", "lumi/b-1", "0d"), "'0d' is no way to go"),
    (
        ("up", "--port", "7000", "--ui-port", "7000"),
        "port 7000 is given twice: --port and --ui-port must differ",
    ),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=_named)
def test_a_mistake_of_the_user_ends_with_1(run: Run, arguments: tuple[str, ...], words: str) -> None:
    """What is wrong stands on standard error, with the mend; nothing on standard output."""
    status, out, err = run(*arguments)
    assert (status, out) == (1, "")
    assert words in err


def test_an_order_of_the_future_is_a_mistake(run: Run, tmp_path: Path) -> None:
    """The clock of the booking system may be a little ahead, but not by years."""
    file = tmp_path / "b.json"
    booking = json.loads(Path(CARD).read_text("utf-8"))
    booking["ordered_at"] = "2150-01-01T00:00:00Z"
    booking["services"][0] |= {"starts_at": "2150-01-02T00:00:00Z", "ends_at": "2150-01-02T01:00:00Z"}
    file.write_text(json.dumps(booking))
    status, out, err = run("booking", "start", str(file))
    assert (status, out) == (1, "")
    assert f"{file}: ordered_at: Thu 1 Jan 2150 00:00 UTC is still to come: correct it, or add --today" in err


OUT_OF_REACH: list[tuple[tuple[str, ...], str]] = [
    (
        ("agenda", "lumi/b-1", "--address", NOWHERE),
        f"there is no Temporal server at {NOWHERE}: start `carillon up`",
    ),
    (("fast-forward", "lumi/b-1", "1d", "--address", NOWHERE), f"no Temporal server at {NOWHERE}"),
    (("booking", "tell", "lumi/b-1", "accepted", "--address", NOWHERE), f"no Temporal server at {NOWHERE}"),
    (("messages",), "there is no database"),
    (("merchant", "show", "lumi"), "there is no database"),
]


@pytest.mark.parametrize(("arguments", "words"), OUT_OF_REACH, ids=_named)
def test_a_service_out_of_reach_ends_with_2(run: Run, arguments: tuple[str, ...], words: str) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err


def test_a_fault_of_ours_ends_with_3_and_without_a_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.schema.json_schema", lambda _: 1 / 0)
    status, out, err = run("schema", "booking")
    assert (status, out) == (3, "")
    assert "unexpected ZeroDivisionError" in err


def test_the_doctor_tells_what_is_missing_and_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs yet; then a merchant is known whose provider has no credentials."""
    status, out, _ = run("doctor", "--address", NOWHERE)
    assert status == 2
    assert f"Temporal at {NOWHERE}: there is no Temporal server" in out
    assert "-> start `carillon up`" in out
    monkeypatch.setattr("commands.merchant.read_merchant", _with_twsms)
    run("merchant", "apply", LUMI)
    _, out, _ = run("doctor", "--address", NOWHERE)
    assert "CARILLON_TWSMS_USERNAME, CARILLON_TWSMS_PASSWORD not set here" in out


def _with_twsms(_: Path) -> Any:
    merchant = read_merchant(LUMI)
    return replace(merchant, sms=replace(merchant.sms, provider=SmsProvider.TWSMS))


@pytest.mark.parametrize(
    "arguments", [("doctor", "--address", NOWHERE), ("messages",), ("merchant", "show", "lumi")]
)
def test_secrets_are_never_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    status, out, err = run(*arguments)
    assert status == 2
    assert "s3cret" not in out + err
    assert "postgresql://carillon:***@127.0.0.1:1/carillon" in out + err


async def test_a_server_without_the_time_machine_says_so() -> None:
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=server_program(),
        data_converter=pydantic_data_converter,
        dev_server_log_level="never",
    )
    async with environment:
        client = environment.client
        handle = await client.start_workflow("Anything", id="booking:a:b", task_queue="nobody")
        with pytest.raises(Mistake, match="does not let clocks be moved"):
            await moved(
                Carillon(client), handle, timedelta(days=1), print, Agenda("booking:a:b", "paid", "UTC")
            )
