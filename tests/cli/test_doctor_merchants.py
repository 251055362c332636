"""`doctor`, `merchant show` and `merchant suspensions`: which merchants cannot send, and what nobody gets."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.consents import Consents, Suspended
from activities.database import open_database
from activities.merchants import Merchants
from activities.tasks import Tasks
from cli import run
from commands.doctor_merchants import Sender, findings
from commands.finding import Finding
from models.channels import Family
from models.credits import CreditPolicy
from models.member_policy import MemberPolicy
from models.merchant import EmailProvider, Merchant, PushProvider, SmsProvider, SmsSettings
from models.policy import GatePolicy, Trade
from models.regular_task import RegularTask, TaskKind
from tests.databases import migrated_sqlite
from tests.proposals import SHOP
from tests.requirements import requirement

NOW = datetime.now(UTC)
BARRED = replace(SHOP, country="CA", trade=(Trade.ALCOHOL,))
VIPS = RegularTask("vips", "lumi", TaskKind.PROMOTION, cron="0 9 * * *", channels=("sms",), everybody=True)
TOLD = {"CARILLON_SMTP_HOST": "mail.example", "CARILLON_SMTP_FROM": "a@lumi.example"}
TWSMS = {"CARILLON_TWSMS_USERNAME": "u", "CARILLON_TWSMS_PASSWORD": "p"}


def found(merchant: Merchant, told: dict[str, str] | None = None, **more: object) -> list[Finding]:
    """What is wrong with a merchant in that environment."""
    environment = {**TOLD, **TWSMS} if told is None else told
    sender = Sender(merchant, **more)  # type: ignore[arg-type]
    return [one for one in findings(sender, environment, development=False) if one.wrong]


@pytest.mark.parametrize(
    ("changes", "told", "missing"),
    [
        ({}, TOLD, "CARILLON_TWSMS_USERNAME, CARILLON_TWSMS_PASSWORD"),
        ({}, TWSMS, "CARILLON_SMTP_HOST, CARILLON_SMTP_FROM"),
        ({"sms": SmsSettings(SmsProvider.SMARTDOVE)}, TOLD, "CARILLON_SMARTDOVE_TOKEN"),
        ({"sms": SmsSettings(SmsProvider.SMPP)}, TOLD, "CARILLON_SMPP_HOST, CARILLON_SMPP_SYSTEM_ID"),
        (
            {"sms": SmsSettings(SmsProvider.TWILIO)},
            {**TOLD, "CARILLON_TWILIO_ACCOUNT_SID__LUMI": "AC1"},
            "CARILLON_TWILIO_AUTH_TOKEN, CARILLON_TWILIO_FROM or CARILLON_TWILIO_MESSAGING_SERVICE_SID",
        ),
        ({"sms": SmsSettings(SmsProvider.CONSOLE, SmsProvider.SMARTDOVE)}, TOLD, "CARILLON_SMARTDOVE_TOKEN"),
        ({"email_fallback": EmailProvider.SMTP_BACKUP}, TOLD | TWSMS, "CARILLON_SMTP_BACKUP_HOST"),
        ({"push_provider": PushProvider.FCM}, TOLD | TWSMS, "CARILLON_FCM_CREDENTIALS"),
        (
            {"push_provider": PushProvider.FCM},
            {**TOLD, **TWSMS, "CARILLON_FCM_CREDENTIALS": "/no/such/file"},
            "CARILLON_FCM_CREDENTIALS (a file that is there)",
        ),
    ],
)
def test_every_provider_that_a_merchant_uses_is_looked_at(
    changes: dict[str, object], told: dict[str, str], missing: str
) -> None:
    """Those that take over while another is down, too; never what a variable holds."""
    (one,) = found(replace(SHOP, **changes), told)  # type: ignore[arg-type]
    assert one.wrong == f"{missing} not set here"
    assert one.status == 1


def test_who_has_all_it_needs_is_well(tmp_path: Path) -> None:
    """With two providers for SMS, two for email and push."""
    file = tmp_path / "account.json"
    file.write_text("{}")
    told = {
        **TOLD, **TWSMS, "CARILLON_SMTP_BACKUP_HOST": "b.example", "CARILLON_SMPP_HOST": "h",
        "CARILLON_SMPP_SYSTEM_ID": "s", "CARILLON_FCM_CREDENTIALS": str(file),
    }  # fmt: skip
    shop = replace(
        SHOP,
        sms=SmsSettings(SmsProvider.TWSMS, SmsProvider.SMPP),
        email_fallback=EmailProvider.SMTP_BACKUP,
        push_provider=PushProvider.FCM,
    )
    (line,) = findings(Sender(shop), told, development=False)
    assert line == Finding(
        "merchant lumi: email by smtp, else by smtp_backup, SMS by twsms, else by smpp, push by fcm"
    )


@requirement("LS-41", "LS-42", "LS-43")
def test_a_barred_merchant_is_named_with_what_nobody_gets() -> None:
    """What goes by SMS alone, and no email takes its place."""
    bar, nobody = found(BARRED, tasks=[VIPS])
    assert bar.wrong == "all are barred for a business that sells alcohol in Canada"
    assert nobody.what == "merchant lumi: phone code"
    assert found(replace(BARRED, country="TW")) == []
    assert found(replace(BARRED, sms=SmsSettings()), tasks=[VIPS]) == [], "it has no SMS to bar"


@requirement("LS-01")
def test_a_merchant_without_promotional_sms_is_named() -> None:
    """Only promotions are barred there, and go by email instead."""
    (bar,) = found(replace(SHOP, gate=GatePolicy(promotional_sms=False)), tasks=[VIPS])
    assert bar.wrong == "promotional ones are switched off"


@requirement("LS-50", "LOY-02")
def test_a_welcome_that_a_merchant_sends_by_sms_alone_has_its_email_where_it_is_barred() -> None:
    """And so has an invitation; where email is suspended too, nobody gets them."""
    by_sms = replace(BARRED, members=MemberPolicy(welcome=("sms",), invitation=("sms",)))
    _, nobody = found(by_sms)
    assert nobody.what == "merchant lumi: phone code"
    no_email = Suspended("lumi", Family.EMAIL, "a bounce", NOW, None, coming=False, ended=False)
    nobody = found(by_sms, suspended=[no_email])[-1]
    assert {"member welcome", "invitation", "invitation again"} <= set(nobody.what[15:].split(", "))


@requirement("WACA-29b")
def test_a_merchant_that_cannot_be_told_of_low_points_is_named() -> None:
    """It pays with points, and has no email."""
    paying = replace(SHOP, credits=CreditPolicy(enabled=True), sms=SmsSettings(SmsProvider.CONSOLE))
    (one,) = found(paying)
    assert (one.what, one.mend) == ("merchant lumi: points", "set email in its file")
    assert found(replace(paying, email="owner@lumi.example")) == []
    assert found(replace(paying, sms=SmsSettings(SmsProvider.TWSMS))) == [], "its own account is not charged"


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two merchants, one of them suspended; and one suspension that is over, one still to come."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    monkeypatch.setenv("CARILLON_DATABASE_URL", url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    asyncio.run(_filled(url))


async def _filled(url: str) -> None:
    await migrated_sqlite(url)
    engine = open_database(url)
    merchants, consents, day = Merchants(engine), Consents(engine), timedelta(days=1)
    for shop in SHOP, replace(SHOP, id="free"):
        await merchants.apply(shop, NOW)
    await Tasks(engine, merchants).keep([VIPS], NOW)
    await consents.suspend("lumi", Family.SMS_PLUS, "complaints", NOW - day)
    await consents.suspend("lumi", Family.EMAIL, "a bounce", NOW - 3 * day, NOW - 2 * day)
    await consents.suspend("free", Family.EMAIL, "to be moved", NOW + day, NOW + 2 * day)
    await engine.dispose()


@requirement("CRES-04")
@pytest.mark.usefixtures("database")
def test_the_doctor_tells_who_is_suspended(capsys: pytest.CaptureFixture[str]) -> None:
    """How to resume it, and what nobody gets meanwhile."""
    run(["doctor"])
    said = capsys.readouterr().out
    assert "merchant lumi: SMS and LINE notification messages: suspended since" in said
    assert "UTC: complaints" in said
    assert "`carillon merchant resume lumi --channels sms_plus`" in said
    assert "merchant lumi: phone code: nobody gets these" in said
    assert "merchant free: email: to be suspended from" in said
    assert "a bounce" not in said


@requirement("CRES-04")
@pytest.mark.usefixtures("database")
def test_suspensions_are_listed_and_shown_with_their_merchant(capsys: pytest.CaptureFixture[str]) -> None:
    """Of all merchants or of one; those that are over only where they are asked for."""

    def listed(*arguments: str) -> list[str]:
        assert run(["merchant", "suspensions", "--json", *arguments]) == 0
        return [one["reason"] for one in json.loads(capsys.readouterr().out)]

    assert listed() == ["to be moved", "complaints"]
    assert listed("--merchant", "lumi") == ["complaints"]
    assert listed("--merchant", "lumi", "--ended") == ["complaints", "a bounce"]
    assert run(["merchant", "suspensions"]) == 0
    assert "it is resumed" in capsys.readouterr().out
    assert run(["merchant", "suspensions", "--merchant", "nobody"]) == 1
    assert run(["merchant", "show", "lumi"]) == 0
    assert "suspended since" in capsys.readouterr().out
    assert run(["merchant", "resume", "lumi"]) == 0
    capsys.readouterr()
    assert run(["merchant", "suspensions", "--merchant", "lumi"]) == 0
    assert capsys.readouterr().out == "lumi is not suspended.\n"
