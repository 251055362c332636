"""`carillon bonus`: what a member has, gets, pays with and gets back."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from activities.database import open_database
from activities.members import Members
from activities.merchants import Merchants
from cli import run
from intake import InputError, read_merchant
from models.member import Member
from models.member_policy import BonusAccount
from tests.databases import migrated_sqlite
from tests.requirements import requirement
from tests.shops import NOW, PAYING

SHOP = replace(PAYING, bonuses={"gift": BonusAccount(), "promo": BonusAccount(refund_days=0)})
FREE = replace(PAYING, id="free")


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with a member of a merchant that names its accounts, and of one that does not."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    monkeypatch.setenv("CARILLON_DATABASE_URL", url)
    asyncio.run(_filled(url))


async def _filled(url: str) -> None:
    await migrated_sqlite(url)
    engine = open_database(url)
    for shop in SHOP, FREE:
        await Merchants(engine).apply(shop, NOW)
        await Members(engine).upsert([Member(shop.id, "ada", "Ada Lin", NOW)], NOW)
    await engine.dispose()


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command answers a program."""
    assert run(["bonus", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


GIFT = ("--currency", "gift")


@requirement("LOY-11", "LOY-12", "LOY-13")
def test_bonuses_are_given_spent_given_back_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """An event told twice counts once; days are those of the merchant, the last one included."""
    days = ("--from", "2021-03-02", "--until", "2199-12-31")
    for _ in range(2):
        given = told(capsys, "accrue", "lumi/ada", "42.5", *GIFT, *days, "--event-id", "receipt 1")
        paid = told(capsys, "spend", "lumi/ada", "40", *GIFT, "--event-id", "receipt 2")
        back = told(capsys, "refund", "lumi/ada", "receipt 2", "--amount", "7", *GIFT, "--event-id", "r 3")
    assert given == {"event_id": "receipt 1", "currency": "gift", "amount": "42.5"}
    assert (paid["amount"], back["amount"]) == ("40", "7")
    told(capsys, "accrue", "lumi/ada", "3", "--currency", "promo", "--from", "2199-12-30T10:00+08:00")
    found = told(capsys, "show", "lumi/ada")
    accounts = [(one["currency"], one["spendable"], one["to_come"]) for one in found["accounts"]]
    assert accounts == [("gift", "9.5", "0"), ("promo", "0", "3")]
    lot = next(one for one in found["lots"] if one["currency"] == "gift")
    assert (lot["active_from"], lot["expires_at"]) == ("2021-03-01T16:00:00Z", "2199-12-31T16:00:00Z")
    entries = [
        (one["kind"], one["amount"], one["of"]) for one in found["entries"] if one["currency"] == "gift"
    ]
    assert entries == [("refund", "7", "receipt 2"), ("spend", "-40", ""), ("accrue", "42.5", "")]
    assert run(["bonus", "show", "member:lumi:ada"]) == 0
    shown = capsys.readouterr().out
    for words in "times of Asia/Taipei", "Tue 2 Mar 2021 00:00", "to come", "of receipt 2", "for ever":
        assert words in shown


def test_a_merchant_that_names_no_accounts_has_any(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has had any before; in words, what was done and under which event."""
    assert run(["bonus", "show", "free/ada"]) == 0
    assert "has no bonuses, and never had any" in capsys.readouterr().out
    assert run(["bonus", "accrue", "free/ada", "5", "--currency", "points", "--event-id", "x"]) == 0
    assert "5 points given  event x" in capsys.readouterr().out


GIVE = ("accrue", "lumi/ada", "5")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("show", "ada"), "'ada' is no member: write it as MERCHANT/ID"),
        (("show", "lumi/bo"), "'bo' is no member of lumi: see `carillon member list`"),
        (("show", "nobody/ada"), "merchant 'nobody' is not known: add it with"),
        (GIVE, "--currency: say which account is meant: there is gift, promo"),
        ((*GIVE, "--currency", "gifts"), "--currency: 'gifts' is no account of lumi: did you mean 'gift'?"),
        (
            ("accrue", "free/ada", "5"),
            "--currency: say which account is meant: write such as --currency points",
        ),
        (
            ("accrue", "free/ada", "5", "--currency", "a b"),
            "--currency: 'a b' cannot be used as an id: use 1 to 64",
        ),
        (("accrue", "lumi/ada", "five", *GIFT), "amount: 'five' is no number: write one such as"),
        (("accrue", "lumi/ada", "0", *GIFT), "amount: 0 is not more than nothing: write a number above 0"),
        ((*GIVE, *GIFT, "--until", "2021-03-01"), "is not after"),
        (
            (*GIVE, *GIFT, "--until", "soon"),
            "--until: 'soon' is no day and no instant: write a day as 2027-03-01, or an",
        ),
        (
            (*GIVE, *GIFT, "--from", "2026-13-01"),
            "--from: '2026-13-01' is no day and no instant: write a day",
        ),
        ((*GIVE, *GIFT, "--at", "2021-03-01T10:00"), "--at: '2021-03-01T10:00' has no zone: add the offset"),
        ((*GIVE, *GIFT, "--event-id", ""), "--event-id: '' cannot be an event id: use 1 to 100 characters"),
        (
            ("spend", "lumi/ada", "5", *GIFT),
            "amount: 5 gift are asked for, and 0 can be spent: nothing was taken",
        ),
        (("refund", "lumi/ada", "x", *GIFT), "of: 'x' is no spend of gift by this member: tell it first"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field_and_the_mend(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is booked."""
    assert run(["bonus", *arguments]) == 1
    assert complaint in capsys.readouterr().err


def test_how_long_a_refund_holds_is_a_matter_of_the_account(capsys: pytest.CaptureFixture[str]) -> None:
    """Of what has ended meanwhile; 0 days, and it is gone."""
    for currency, spendable in ("gift", "5"), ("promo", "0"):
        what = ("lumi/ada", "5", "--currency", currency, "--at", "2021-03-01T10:00+08:00")
        told(capsys, "accrue", *what, "--event-id", "a", "--until", "2021-03-02")
        told(capsys, "spend", *what, "--event-id", "s")
        told(capsys, "refund", "lumi/ada", "s", "--currency", currency)
        found = {one["currency"]: one["spendable"] for one in told(capsys, "show", "lumi/ada")["accounts"]}
        assert found[currency] == spendable
    shop = {"id": "x", "name": "X", "zone": "UTC", "locale": "en", "country": "TW", "currency": "TWD"}
    with pytest.raises(InputError, match=r"bonuses\.gift\.refund_days"):
        read_merchant(shop | {"bonuses": {"gift": {"refund_days": -1}}})
