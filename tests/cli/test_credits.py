"""`credits` and `quota`: what a merchant has left, and how it gets more."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activities.database import open_database
from activities.merchants import Merchants
from cli import run
from intake import InputError, read_merchant
from models.credits import CreditPolicy
from models.merchant import Branch
from tests.databases import migrated_sqlite
from tests.requirements import requirement
from tests.shops import COUNTED, NOW, PAYING

SHOP = replace(PAYING, quota=COUNTED.quota, branches=(Branch("west", "West End", zone="Europe/Paris"),))


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with one merchant who pays with points; the commands find it."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    monkeypatch.setenv("CARILLON_DATABASE_URL", url)
    asyncio.run(_filled(url))


async def _filled(url: str) -> None:
    await migrated_sqlite(url)
    engine = open_database(url)
    await Merchants(engine).apply(SHOP, NOW)
    await Merchants(engine).apply(replace(SHOP, id="free", credits=CreditPolicy()), NOW)
    await engine.dispose()


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command answers a program."""
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@requirement("WACA-25", "WACA-27", "WACA-29a")
def test_points_are_bought_converted_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A reference told twice counts once; below 100 messages the banner shows."""
    for _ in range(2):
        told(capsys, "credits", "topup", "lumi", "200", "--reference", "order 7", "--note", "invoice 3")
    assert told(capsys, "credits", "convert", "lumi", "84.9")["sendable_domestic"] == 99
    found = told(capsys, "credits", "show", "lumi")
    assert (found["sms_points"], found["shop_points"]) == ("84.9", "115.1")
    assert "enough for 99 domestic messages" in found["banner"]
    kinds = [(entry["pool"], entry["kind"], entry["points"]) for entry in found["entries"]]
    assert sorted(kinds) == [
        ("shop", "convert_out", "-84.9"),
        ("shop", "topup", "200"),
        ("sms", "convert_in", "84.9"),
    ]
    assert run(["credits", "show", "lumi"]) == 0
    shown = capsys.readouterr()
    assert "84.9 SMS points: 99 domestic messages" in shown.out
    assert "invoice 3" in shown.out
    assert "run low" in shown.err
    assert told(capsys, "credits", "topup", "lumi", "1", "--pool", "sms")["banner"] is None


@requirement("WACA-26")
def test_newsletters_and_abandoned_carts_are_paid_from_the_same_points(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Booked once by its reference, shown with what it was for, and never more than is left."""
    told(capsys, "credits", "topup", "lumi", "10")
    issue = ("credits", "spend", "lumi", "6.5", "--for", "newsletter", "--reference", "issue 7")
    for _ in range(2):
        assert told(capsys, *issue)["shop_points"] == "3.5"
    cart = ("credits", "spend", "lumi", "3.5001", "--for", "abandoned_cart", "--reference", "cart 1")
    assert run(cart) == 1
    assert "finer than a thousandth" in capsys.readouterr().err
    assert run([*cart[:3], "4", *cart[4:]]) == 1
    assert "points: 4 are more than the 3.5 points of the shop" in capsys.readouterr().err
    assert run([*issue[:3], "1", *issue[4:]]) == 1
    assert "'issue 7' names something else that is booked already" in capsys.readouterr().err
    assert told(capsys, *cart[:3], "3.5", *cart[4:])["shop_points"] == "0"
    spent = [
        (entry["kind"], entry["note"], entry["points"])
        for entry in told(capsys, "credits", "show", "lumi")["entries"]
        if entry["kind"] == "other_use"
    ]
    assert spent == [("other_use", "abandoned_cart", "-3.5"), ("other_use", "newsletter", "-6.5")]
    assert run(["credits", "show", "lumi"]) == 0
    assert "other use" in capsys.readouterr().out


@requirement("WACA-29a")
def test_whoever_looks_at_the_messages_is_told_that_points_run_low(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whether there is one yet or not; on standard error, so that programs read on; of who is looked at."""
    cases = [
        ((), True),
        (("--json",), True),
        (("--merchant", "lumi"), True),
        (("--lifecycle", "booking:lumi:b1"), True),
        (("--merchant", "free"), False),
        (("--lifecycle", "booking:free:b1"), False),
    ]
    for arguments, told_so in cases:
        assert run(["messages", *arguments]) == 0
        shown = capsys.readouterr()
        assert ("SMS points of lumi run low: 0 are left" in shown.err) is told_so
        assert "run low" not in shown.out


@requirement("WACA-29a")
def test_the_doctor_tells_of_points_that_run_low(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As something to know, with no cross: nothing is broken."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    run(["doctor"])
    shown = capsys.readouterr().out
    assert "  !   points: SMS points of lumi run low: 0 are left, enough for 0 domestic messages" in shown


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("credits", "topup", "lumi", "ten"), "points: 'ten' is no number: write one such as"),
        (("credits", "topup", "lumi", "0"), "points: 0 is not more than nothing: write a number above 0"),
        (("credits", "topup", "lumi", "0.0001"), "points: 0.0001 is finer than a thousandth: write at most"),
        (("credits", "convert", "lumi", "5"), "points: 5 are more than the 0 points of the shop: top up"),
        (
            ("credits", "topup", "lumi", "5", "--reference", " "),
            "reference: ' ' cannot be one: write 1 to 100",
        ),
        (
            ("credits", "spend", "nobody", "5", "--for", "newsletter", "--reference", "7"),
            "merchant 'nobody' is not known: add it with",
        ),
        (
            ("credits", "spend", "lumi", "0", "--for", "newsletter", "--reference", "7"),
            "points: 0 is not more than nothing: write",
        ),
        (("credits", "show", "nobody"), "merchant 'nobody' is not known: add it with"),
        (("quota", "topup", "lumi", "0"), "messages: 0 adds nothing: write a whole number of 1 or more"),
        (("quota", "topup", "lumi", "99999999999"), "messages: 99999999999 is out of range: write a number"),
        (
            ("credits", "topup", "lumi", "1e999999"),
            "cannot be booked: write a number below 1,000,000,000,000",
        ),
        (("credits", "convert", "lumi", "9999999999999"), "cannot be booked: write a number below"),
        (
            ("quota", "topup", "lumi", "5", "--branch", "east"),
            "branch: 'east' is not known: merchant 'lumi' has",
        ),
        (
            ("quota", "show", "lumi", "--month", "2026-13"),
            "month: '2026-13' is no month: write it as 2026-03",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_field_and_the_mend(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is booked."""
    assert run(arguments) == 1
    assert complaint in capsys.readouterr().err


@requirement("LS-20", "LS-22")
def test_used_and_left_are_shown_with_whether_one_more_group_fits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By branch; more is bought for one of them."""
    bought = ("quota", "topup", "lumi", "500", "--branch", "west", "--month", "2026-03")
    assert told(capsys, *bought)["left"] == 1500
    (west,) = told(capsys, "quota", "show", "lumi", "--month", "2026-03", "--group", "1501")
    assert (west["branch_id"], west["allowance"], west["topup"], west["used"]) == ("west", 1000, 500, 0)
    assert (west["left"], west["fits"]) == (1500, False)
    assert run(["quota", "show", "lumi", "--month", "2026-03", "--group", "1500"]) == 0
    assert "yes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ({"credits": {"price": {"domestic": 0}}}, "credits.price.domestic"),
        ({"credits": {"price": {"foreign": "0.0001"}}}, "credits.price.foreign"),
        ({"credits": {"email_below": -1}}, "credits.email_below"),
        ({"quota": {"monthly": -1}}, "quota.monthly"),
    ],
)
def test_a_merchant_file_with_impossible_numbers_is_refused(policy: dict[str, Any], complaint: str) -> None:
    """Each with the field that it is in."""
    file = {
        "id": "lumi",
        "name": "Lumi",
        "zone": "Asia/Taipei",
        "locale": "en",
        "country": "TW",
        "currency": "TWD",
    }
    with pytest.raises(InputError, match=complaint):
        read_merchant(file | policy)
    read = read_merchant(file | {"credits": {"enabled": True, "price": {"domestic": "0.9"}}})
    assert (read.credits.enabled, str(read.credits.price.domestic)) == (True, "0.9")
