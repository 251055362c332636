"""`template preview --lifecycle` of members: with what stands in the database, and no server."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.bonuses import Bonuses
from activities.coupon_holders import Holder
from activities.coupons import Coupons
from activities.database import open_database
from activities.member_samples import real_sample
from activities.members import Members
from activities.merchants import Merchants
from activities.tasks import Tasks
from cli import run
from models.bonus import Accrual
from models.coupon import CouponDrop
from models.member import Member
from models.member_content import MemberContent
from models.member_policy import BonusAccount
from models.notices import CATALOGUE, Kind
from models.regular_task import Gift, RegularTask, TaskKind
from models.wave import Words
from tests.databases import migrated_sqlite
from tests.requirements import requirement
from tests.shops import PAYING

NOW = datetime.now(UTC)
TODAY = NOW.date()
SHOP = replace(
    PAYING, locale="en", bonuses={"gift": BonusAccount({"en": "gift account", "fr": "compte cadeau"})}
)
ADA = Member("lumi", "ada", "Ada Lin", NOW, "ada@example.com", birth_date=date(1990, 3, 8), groups=("vip",))
BO = Member("lumi", "bo", "Bo", NOW, "bo@example.com")
TASKS = (
    RegularTask("greet", "lumi", TaskKind.BIRTHDAY, gift=Gift("gift", Decimal(88), days=30)),
    RegularTask("ends", "lumi", TaskKind.BONUS_BURN, cron="0 15 * * *", days=3),
    RegularTask(
        "vips",
        "lumi",
        TaskKind.PROMOTION,
        cron="0 15 * * 1",
        groups=("vip",),
        words={"en": Words("Open until nine.", "Evenings"), "fr": Words("Jusqu'à neuf heures.", "Le soir")},
    ),
)


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merchant with regular tasks; Ada, who holds what there is to hold, and Bo, who holds nothing."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    monkeypatch.setenv("CARILLON_DATABASE_URL", url)
    asyncio.run(_filled(url))


async def _filled(url: str) -> None:
    await migrated_sqlite(url)
    engine = open_database(url)
    merchants = Merchants(engine)
    await merchants.apply(SHOP, NOW)
    await merchants.apply(replace(SHOP, id="bare"), NOW)
    await Members(engine).upsert([ADA, BO, replace(ADA, merchant_id="bare")], NOW)
    await Tasks(engine, merchants).keep(TASKS, NOW)
    drop = CouponDrop("lumi", "spring", "Spring tea", TODAY, TODAY, TODAY + timedelta(days=40))
    await Coupons(engine).keep(drop, NOW)
    await Coupons(engine).add(drop, [Holder("ada", "T-1")], NOW)
    ends = NOW + timedelta(days=20)
    await Bonuses(engine).accrue(
        "lumi", Accrual("ada", "gift", Decimal("42.5"), "receipt 1", NOW, expires_at=ends), NOW
    )
    await engine.dispose()


def shown(capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, *more: str) -> dict[str, Any]:
    """The message of that kind to Ada."""
    where = ("--channel", CATALOGUE[Kind(kind)].channels[0], "--data-dir", str(tmp_path), *more)
    assert run(["template", "preview", kind, "--lifecycle", "member:lumi:ada", "--json", *where]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("member_welcome", ["Ada Lin"]),
        ("invitation", ["Ada Lin"]),
        ("invitation_again", ["Ada Lin"]),
        ("coupon_issued", ["Spring tea", "T-1"]),
        ("coupon_expiring", ["Spring tea", "T-1"]),
        ("bonus_burn", ["42.5", "gift account"]),
        ("birthday", ["88", "gift account"]),
        ("promotion", ["Open until nine."]),
    ],
)
@requirement("LOY-27", "WACA-37", "LOY-71", "LOY-81")
def test_a_member_is_shown_what_it_would_read(
    kind: str, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own coupon, bonuses, gift and groups; from the database alone."""
    found = shown(capsys, tmp_path, kind)
    for words in said:
        assert words in found["text"] + found["subject"]


async def test_a_preview_of_a_promotion_has_its_picture(tmp_path: Path) -> None:
    """In the language that is asked for."""
    url = f"sqlite:///{tmp_path / 'carillon.db'}"
    picture = "https://lumi.example/soir.png"
    shown_words = {**TASKS[-1].words, "fr": Words("Jusqu'à neuf heures.", "Le soir", picture)}
    engine = open_database(url)
    await Tasks(engine, Merchants(engine)).keep([replace(TASKS[-1], words=shown_words)], NOW)
    made = await real_sample(engine, SHOP, "ada", Kind.PROMOTION, "fr", NOW)
    await engine.dispose()
    assert isinstance(made.content, MemberContent)
    assert made.content.image == picture


def test_a_preview_speaks_the_language_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A promotion's own words too."""
    assert "Jusqu'à neuf heures." in shown(capsys, tmp_path, "promotion", "--locale", "fr")["text"]


@pytest.mark.parametrize("named", ["member:lumi:ada", "member:lumi/ada", "lumi/ada"])
def test_a_member_is_named_as_everywhere(named: str, tmp_path: Path) -> None:
    """A notice to a member needs no `member:` before its id."""
    preview = ["template", "preview", "member_welcome", "--data-dir", str(tmp_path)]
    assert run([*preview, "--lifecycle", named]) == 0


@pytest.mark.parametrize(
    ("kind", "named", "complaint"),
    [
        ("coupon_issued", "lumi/bo", "lumi/bo: it holds no coupon that can be used still"),
        ("bonus_burn", "lumi/bo", "lumi/bo: it has no bonuses of which the task ends will still tell"),
        ("bonus_activation", "lumi/ada", "lumi has no regular task 'bonus_activation'"),
        ("birthday", "lumi/bo", "lumi/bo: its birth date is not known"),
        ("birthday", "bare/ada", "bare has no regular task 'birthday'"),
        ("promotion", "lumi/bo", "lumi/bo: it is in no group to which the task vips goes"),
        ("member_welcome", "lumi/cy", "member 'cy' of merchant 'lumi' is not known"),
        ("member_welcome", "nobody/ada", "merchant 'nobody' is not known"),
        ("member_welcome", "ada", "'ada' is no member: write it as member:MERCHANT:ID or MERCHANT/ID"),
        ("coupon_issued", "coupon:lumi:spring", "goes to a member: name one, as member:MERCHANT:ID"),
        ("pre_visit", "member:lumi:ada", "has no pre visit notice: name a booking"),
        ("pre_visit", "coupon:lumi:spring", "has no pre visit notice: name a booking"),
        ("phone_code", "lumi/ada", "leave --lifecycle out"),
    ],
)
def test_what_is_missing_is_named(
    kind: str, named: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A member that would get no such notice is shown none; a fault of ours it is not."""
    channel = CATALOGUE[Kind(kind)].channels[0]
    assert run(["template", "preview", kind, "--channel", channel, "--lifecycle", named]) == 1
    assert complaint in " ".join(capsys.readouterr().err.split())


def test_a_page_that_cannot_be_written_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file stands where its folder would be; or it is a folder itself."""
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "page.html", tmp_path):
        assert run(["template", "preview", "pre_visit", "--out", str(out)]) == 1
        assert f"--out: {out} cannot be written" in " ".join(capsys.readouterr().err.split())
