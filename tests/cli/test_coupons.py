"""`carillon coupon`: a drop made, given, extended and revoked, and what is said where that cannot be."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

import cli
from activities.coupon_holders import Holder
from activities.members import Members
from intake import InputError
from intake.coupons import read_drop, read_holder
from intake.files import load
from tests.requirements import requirement
from tests.workflows.test_coupon_lives import SHOP, a_member, clock, day, told
from tests.world import World, a_world, now

Run = Callable[..., Awaitable[tuple[int, str, str]]]
NAMES = ("ada", "bo", "cy")
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "spring-coupon.toml"


@pytest.fixture
async def shop(temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A shop with three members and a worker; the commands find the server and the database."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal.service_client.config.target_host)
    async with a_world(temporal, tmp_path, merchant=SHOP) as world:
        monkeypatch.setenv("CARILLON_DATABASE_URL", world.settings.database_url)
        monkeypatch.setenv("CARILLON_TASK_QUEUE", world.settings.task_queue)
        await Members(world.engine).upsert([a_member(name) for name in NAMES], now())
        async with world.worker():
            yield world


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `carillon coupon ...`; answers its status, words and errors."""

    async def call(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(cli.run, ["coupon", *arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return status, said.out, said.err

    return call


def a_file(folder: Path, id: str, issue: date, last: date, first: date | None = None) -> str:
    path = folder / f"{id}.toml"
    path.write_text(
        f'merchant_id = "lumi"\ndrop_id = "{id}"\nname = "Spring"\n'
        f"issue_on = {issue}\nusable_from = {first or issue}\nusable_to = {last}\n"
    )
    return str(path)


@requirement("WACA-37", "WACA-38")
async def test_a_drop_is_made_given_and_told_of_by_hand(shop: World, run: Run, tmp_path: Path) -> None:
    """The whole way: a file of holders, the agenda, a longer life, a coupon used, one taken back."""
    file = a_file(tmp_path, "by-hand", day(1), day(20), day(0))
    status, out, _ = await run("drop", file, "--json")
    owed = [(notice["kind"], notice["due"]) for notice in json.loads(out)["owed"]]
    assert (status, owed) == (0, [("coupon_issued", utc(clock(1))), ("coupon_expiring", utc(clock(13)))])
    holders = tmp_path / "holders.csv"
    holders.write_text("member_id,code\nada,SPRING-1\nbo,\nnobody,\ncy,SPRING 1\n")
    status, out, err = await run("add", "lumi/by-hand", str(holders), "--json")
    assert (status, json.loads(out)["new"], json.loads(out)["refused"]) == (1, 2, 2)
    assert "2 lines are refused" in err
    rows = csv.DictReader((tmp_path / "holders.csv.errors.csv").read_text("utf-8-sig").splitlines())
    assert [(row["line"], row["field"], row["what is wrong"]) for row in rows] == [
        ("5", "code", "is no code"),
        ("4", "member_id", "is no member of lumi"),
    ]
    status, out, _ = await run("add", "lumi/by-hand", "--everybody")
    assert (status, "1 holders more, 2 held it before" in out) == (0, True)
    status, _, err = await run("add", "lumi/by-hand", "--group", "gild")
    assert (status, "Nobody is in the group 'gild': `carillon member list lumi` shows" in err) == (0, True)
    status, out, _ = await run("extend", "lumi/by-hand", str(day(24)), "--json")
    assert json.loads(out)["owed"][-1]["due"] == utc(clock(17))
    lifecycle = "coupon:lumi:by-hand"
    await shop.forward_to(lifecycle, clock(1))
    await shop.until(lifecycle, lambda agenda: len(agenda.done) == 1)
    assert set(await told(shop)) == set(NAMES)

    used = clock(2).isoformat()  # is to come: it was used now
    status, out, _ = await run("redeem", "lumi/spring-1", "--at", used, "--event-id", "till-1", "--json")
    assert (status, json.loads(out)["state"], json.loads(out)["member_id"]) == (0, "redeemed", "ada")
    assert (await run("redeem", "lumi/SPRING-1", "--at", used, "--event-id", "till-1"))[0] == 0
    status, _, err = await run("redeem", "lumi/SPRING-1", "--at", used)
    assert (status, "cannot be used: it was redeemed at" in err) == (1, True)
    assert (await run("revoke", "lumi/by-hand", "--member", "bo"))[0] == 0
    status, out, _ = await run("show", lifecycle, "--json")
    shown = json.loads(out)
    assert shown["holders"] == {"issued": 1, "redeemed": 1, "revoked": 1}
    assert shown["usable_to"] == str(day(24))
    status, out, _ = await run("show", "lumi/by-hand")
    assert "coupon issued" in out
    assert "3 holders" in out
    status, out, _ = await run("revoke", "lumi/by-hand", "--json")
    assert (status, json.loads(out)["stage"], json.loads(out)["owed"]) == (0, "revoked", [])
    for event in ((), ("--event-id", "off")):
        status, out, err = await run("revoke", "lumi/by-hand", *event)
        assert (status, "revoked" in out, err) == (0, True, "")
    status, _, err = await run("extend", "lumi/by-hand", str(day(30)))
    assert (status, "has ended" in err or "is revoked" in err) == (1, True)
    status, _, err = await run("add", "lumi/by-hand", "--everybody")
    assert (status, "is revoked: nobody can be given" in err) == (1, True)


COMPLAINTS = [
    (("drop", "nowhere.toml"), "there is no such file: check its name"),
    (("show", "lumi"), "'lumi' is no drop: write it as MERCHANT/DROP"),
    (("show", "lumi/nothing"), "drop lumi/nothing is not known: make it with `carillon coupon drop"),
    (("add", "lumi/nothing", "--everybody"), "drop lumi/nothing is not known"),
    (("add", "lumi/nothing"), "say who is given the coupon: a FILE, --group GROUP or --everybody"),
    (("add", "lumi/nothing", "--group", "a", "--everybody"), "say who is given the coupon"),
    (("redeem", "SPRING-1"), "'SPRING-1' is no coupon: write it as MERCHANT/CODE"),
    (("redeem", "lumi/X", "--at", "today"), "--at: 'today' is no instant: write it as ISO 8601"),
    (("redeem", "lumi/X", "--event-id", ""), "--event-id: '' cannot be an event id"),
    (("redeem", "nobody/X"), "merchant 'nobody' is not known"),
    (
        ("extend", "lumi/nothing", "2027-02-30"),
        "last_day: '2027-02-30' is no day: write it as 2027-03-01",
    ),
    (("extend", "lumi/nothing", "2027-02-28"), "there is no lifecycle 'coupon:lumi:nothing'"),
    (("revoke", "lumi/nothing"), "there is no lifecycle 'coupon:lumi:nothing'"),
]


@pytest.mark.usefixtures("shop")
async def test_what_cannot_be_is_refused_with_the_field_and_the_mend(run: Run) -> None:
    """As the user's mistake."""
    for arguments, complaint in COMPLAINTS:
        status, _, err = await run(*arguments)
        assert (status, complaint in err) == (1, True), err


@pytest.mark.usefixtures("shop")
async def test_what_is_in_the_database_needs_no_server(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A till redeems, and an administrator looks, while Temporal is away."""
    await run("drop", a_file(tmp_path, "away", day(-3), day(20)))
    (tmp_path / "holders.json").write_text('[{"member_id": "ada", "code": "AWAY-1"}]')
    assert (await run("add", "lumi/away", str(tmp_path / "holders.json")))[0] == 0
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert (await run("redeem", "lumi/AWAY-1"))[0] == 0
    status, out, err = await run("show", "lumi/away")
    assert (status, "Temporal is out of reach" in err, "1" in out) == (0, True, True)


def utc(moment: object) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


DROP = {
    "merchant_id": "lumi",
    "drop_id": "spring",
    "name": "Spring",
    "issue_on": "2027-03-01",
    "usable_from": "2027-03-01",
    "usable_to": "2027-03-31",
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"usable_to": "2027-02-28"}, "usable_to: '2027-02-28' is before the first day: its first day is"),
        ({"issue_on": "2027-04-01"}, "issue_on: '2027-04-01' is after the last day: its last day of use is"),
        ({"issue_on": "soon"}, "issue_on: 'soon' is no day: write it as 2027-03-01"),
        ({"usable_to": None}, "usable_to: is missing: add a day such as 2027-03-01"),
        ({"drop_id": "a b"}, "drop_id: 'a b' cannot be used as an id"),
        ({"name": " "}, "name: ' ' is empty"),
        ({"usable_till": 1}, "usable_till: is not known: did you mean 'usable_to'?"),
        ({"branch_id": "east"}, "branch_id: 'east' is no branch of lumi"),
        ({"merchant_id": "other"}, "merchant_id: 'other' is another merchant"),
    ],
)
def test_a_drop_that_cannot_be_names_the_field_and_the_mend(
    change: dict[str, object], complaint: str
) -> None:
    """Before anything of it is kept."""
    with pytest.raises(InputError) as refused:
        read_drop({**DROP, **change}, SHOP)
    assert complaint in str(refused.value)


def test_the_example_is_a_drop_that_gets_both_notices() -> None:
    """As its comments say."""
    drop = read_drop(EXAMPLE)
    assert drop.usable_days == (drop.usable_to - drop.usable_from + timedelta(days=1)).days == 31
    assert load(EXAMPLE, "")[1]["merchant_id"] == "lumi"


def test_a_holder_is_a_member_and_perhaps_a_code() -> None:
    """Blank is none."""
    assert read_holder({"member_id": " ada ", "code": ""}) == Holder("ada")
    assert read_holder({"member_id": "ada", "code": "X-1"}) == Holder("ada", "X-1")
    for data, what in (
        ({"code": "X"}, "is missing"),
        ({"member_id": 7}, "is no text"),
        ({"member_id": "a b"}, "cannot be used as an id"),
        ({"member_id": "ada", "cod": "X"}, "is not known"),
    ):
        (problem,) = read_holder(data)  # type: ignore[misc]
        assert problem.what == what
