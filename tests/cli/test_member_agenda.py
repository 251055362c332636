"""`carillon agenda member:...` and `carillon member tell`: the whole future of one member in one place."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import cli
from activities.bonuses import Bonuses
from activities.coupon_holders import Holder
from activities.coupons import Coupons
from activities.members import Members
from activities.merchants import Merchants
from activities.tasks import Tasks
from client import UnknownLifecycleError
from commands.output import show_agenda
from models.agenda import Agenda, Foreseen, Reason
from models.bonus import Accrual
from models.coupon import CouponDrop
from models.member import Member
from models.member_facts import Registered
from models.member_state import Stage
from models.regular_task import RegularTask, TaskKind
from models.timing import local_day
from tests.requirements import requirement
from tests.world import MERCHANT, World, eventually, now

WHO = "lumi/vera"


@pytest.fixture
async def known(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world with a member who holds a coupon; the commands find both servers."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", world.client.service_client.config.target_host)
    monkeypatch.setenv("CARILLON_DATABASE_URL", world.settings.database_url)
    monkeypatch.setenv("CARILLON_TASK_QUEUE", world.settings.task_queue)
    today = local_day(now(), MERCHANT.zone)
    vera = Member(
        MERCHANT.id, "vera", "Vera", now(), "vera@example.com", locale="en", birth_date=date(1990, 3, 8)
    )
    await Members(world.engine).upsert([vera, replace(vera, member_id="rosa")], now())
    end = today + timedelta(days=40)
    drop = CouponDrop(MERCHANT.id, "spring", "Spring tea", today + timedelta(days=2), today, end)
    await Coupons(world.engine).keep(drop, now())
    await Coupons(world.engine).add(drop, [Holder("vera", "T-1"), Holder("rosa", "T-2")], now())
    greets = RegularTask("birthday", MERCHANT.id, TaskKind.BIRTHDAY)
    await Tasks(world.engine, Merchants(world.engine)).keep([greets], now())
    return world


async def command(*arguments: str) -> int:
    """A command in a thread of its own, as it would run in a process of its own."""
    return await asyncio.to_thread(cli.run, arguments)


@requirement("LOY-50", "LOY-53", "WACA-37", "LOY-80")
async def test_a_members_whole_future_is_shown_in_one_place(
    known: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """What its own lifecycle owes, and what comes from a coupon and from a regular task."""
    assert await command("agenda", "member:lumi:vera") == 0
    at_rest = capsys.readouterr().out
    assert "Spring tea (T-1)" in at_rest
    assert "Nothing is owed as things stand." in at_rest
    bought = (now() - timedelta(days=1)).isoformat()
    assert await command("member", "tell", WHO, "registered") == 0
    assert await command("member", "tell", WHO, "purchased", "--at", bought) == 0
    capsys.readouterr()
    assert await command("agenda", "member:lumi:vera", "--json") == 0
    agenda = json.loads(capsys.readouterr().out)
    assert [notice["kind"] for notice in agenda["owed"]] == ["invitation", "invitation_again"]
    assert [done["kind"] for done in agenda["done"]] == ["member_welcome"]
    kinds = {(one["kind"], one["source"]) for one in agenda["foreseen"]}
    assert kinds == {
        ("coupon_issued", "coupon:lumi:spring"),
        ("coupon_expiring", "coupon:lumi:spring"),
        ("birthday", "task:lumi:birthday"),
    }
    metadata = await known.handle("member:lumi:vera").query("__temporal_workflow_metadata")
    assert "From coupons, bonuses and regular tasks" in str(metadata)


async def test_what_has_changed_is_looked_at_anew(known: World) -> None:
    """A redemption is nobody's fact: the lifecycle is asked to look, and one that does not run is let be."""
    await known.carillon.look_at_member(MERCHANT.id, "nobody")
    rosa = await known.carillon.tell_member(MERCHANT.id, "rosa", Registered(event_id="r"))
    await known.until(
        rosa,
        lambda agenda: (
            [one.kind for one in agenda.foreseen] == ["coupon_issued", "coupon_expiring", "birthday"]
        ),
    )
    await Coupons(known.engine).redeem(MERCHANT.id, "T-2", "till-7", now(), now())
    await known.carillon.look_at_member(MERCHANT.id, "rosa")
    await known.until(rosa, lambda agenda: [one.kind for one in agenda.foreseen] == ["birthday"])


async def test_bonuses_that_are_given_and_spent_are_seen_at_once(known: World) -> None:
    """The command tells the member's lifecycle, so that its agenda needs no other fact to know."""
    await Members(known.engine).upsert([Member(MERCHANT.id, "iris", "Iris", now())], now())
    iris = await known.carillon.tell_member(MERCHANT.id, "iris", Registered(event_id="r"))
    last_day = str(local_day(now(), MERCHANT.zone) + timedelta(days=9))
    account = ("--currency", "points")
    assert await command("bonus", "accrue", "lumi/iris", "80", *account, "--until", last_day) == 0
    await known.until(iris, lambda agenda: [one.words for one in agenda.foreseen] == ["80 points"])
    assert await command("bonus", "spend", "lumi/iris", "80", *account) == 0
    await known.until(iris, lambda agenda: agenda.foreseen == ())


async def living(known: World) -> tuple[str, Callable[[Callable[[set[str]], bool]], Any]]:
    """A new member whose lifecycle runs, with what waits until that has seen such kinds, by its own word."""
    member_id = f"m-{uuid4().hex[:8]}"
    member = Member(MERCHANT.id, member_id, "Iris", now(), birth_date=date(1990, 3, 8))
    await Members(known.engine).upsert([member], now())
    lifecycle = await known.carillon.tell_member(MERCHANT.id, member_id, Registered(event_id="r"))
    await known.until(lifecycle, lambda agenda: agenda.stage != Stage.WAITING)

    async def sees(wanted: Callable[[set[str]], bool]) -> None:
        await known.until(lifecycle, lambda agenda: wanted({str(one.kind) for one in agenda.foreseen}))

    return member_id, sees


@requirement("WACA-38")
async def test_what_becomes_of_a_drop_is_seen_at_once_by_its_holders(known: World, tmp_path: Path) -> None:
    """Given, moved, taken back: the lifecycles of the few who hold it are told to look."""
    await Tasks(known.engine, Merchants(known.engine)).remove(MERCHANT.id, ["birthday"])
    spring = (await Coupons(known.engine).drop(MERCHANT.id, "spring")).drop
    drop = replace(spring, drop_id=f"d-{uuid4().hex[:8]}")
    await Coupons(known.engine).keep(drop, now())
    started = await known.carillon.start_coupon(drop)
    await known.until(started.lifecycle, lambda agenda: bool(agenda.owed))
    member_id, sees = await living(known)
    holders, name = tmp_path / "holders.csv", f"lumi/{drop.drop_id}"
    holders.write_text(f"member_id\n{member_id}\n")
    assert await command("coupon", "add", name, str(holders)) == 0
    await sees(lambda kinds: "coupon_expiring" in kinds)
    last_day = str(spring.issue_on + timedelta(days=3))
    assert await command("coupon", "extend", name, last_day) == 0
    await sees(lambda kinds: kinds == {"coupon_issued"})
    assert await command("coupon", "revoke", name) == 0
    await sees(lambda kinds: not kinds)


@requirement("LOY-80")
async def test_what_becomes_of_a_task_is_seen_at_once(known: World, tmp_path: Path) -> None:
    """Applied, paused, resumed, removed: the lifecycles that run are told to look."""
    await Tasks(known.engine, Merchants(known.engine)).remove(MERCHANT.id, ["birthday"])
    member_id, sees = await living(known)
    await sees(lambda kinds: "birthday" not in kinds)
    await eventually(partial(_listed, known, f"member:lumi:{member_id}"))
    file = tmp_path / "tasks.toml"
    file.write_text('merchant = "lumi"\n[[tasks]]\nid = "greets"\nkind = "birthday"\n')
    assert await command("task", "apply", str(file), "--yes") == 0
    await sees(lambda kinds: "birthday" in kinds)
    assert await command("task", "pause", "lumi/greets") == 0
    await sees(lambda kinds: "birthday" not in kinds)
    assert await command("task", "resume", "lumi/greets") == 0
    await sees(lambda kinds: "birthday" in kinds)
    assert await command("task", "remove", "lumi/greets", "--yes") == 0
    await sees(lambda kinds: "birthday" not in kinds)


async def _listed(known: World, lifecycle: str) -> bool | None:
    """The server's list lags behind what was started just now."""
    query = f"WorkflowType = 'MemberWorkflow' AND ExecutionStatus = 'Running' AND WorkflowId = '{lifecycle}'"
    return True if [one async for one in known.client.list_workflows(query)] else None


@requirement("MAAC-12")
async def test_what_an_import_changes_is_seen_at_once(known: World, tmp_path: Path) -> None:
    """A birth date that is blanked."""
    member_id, sees = await living(known)
    await sees(lambda kinds: "birthday" in kinds)
    file = tmp_path / "members.csv"
    file.write_text(f"member_id,name,birth_date\n{member_id},Iris,\n")
    assert await command("member", "import", str(file), "--merchant", "lumi") == 0
    await sees(lambda kinds: "birthday" not in kinds)


async def test_of_more_than_so_many_nobody_is_told_to_look(
    known: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change for a hundred thousand is no hundred thousand signals."""
    member_id, _ = await living(known)
    await eventually(partial(_listed, known, f"member:lumi:{member_id}"))
    file = tmp_path / "members.csv"
    for most, (name, looks) in zip((0, 1_000), (("Iris Lin", 0), ("Iris Ho", 1)), strict=True):
        monkeypatch.setattr("commands.looking.LOOKS", most)
        file.write_text(f"member_id,name\n{member_id},{name}\n")
        assert await command("member", "import", str(file), "--merchant", "lumi") == 0
        history = await known.handle(f"member:lumi:{member_id}").fetch_history()
        told = [one.workflow_execution_signaled_event_attributes.signal_name for one in history.events]
        assert told.count("look") == looks


async def test_an_agenda_is_read_fresh_and_the_web_ui_follows(
    known: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody told the lifecycle of the gift of a task: the command sees it, and lets it look."""
    member_id, sees = await living(known)
    await sees(lambda kinds: "bonuses_begin" not in kinds)
    gift = Accrual(member_id, "points", Decimal(5), "gift", now(), active_from=now() + timedelta(days=9))
    await Bonuses(known.engine).accrue(MERCHANT.id, gift, now())
    capsys.readouterr()
    assert await command("agenda", f"member:lumi:{member_id}", "--json") == 0
    assert "bonuses_begin" in {one["kind"] for one in json.loads(capsys.readouterr().out)["foreseen"]}
    await sees(lambda kinds: "bonuses_begin" in kinds)


async def test_who_waits_for_its_merchant_has_an_agenda(
    known: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says that it waits, and not that the merchant is a mistake."""
    merchant_id = f"soon-{uuid4().hex[:8]}"
    lifecycle = await known.carillon.tell_member(merchant_id, "ada", Registered(event_id="r"))
    assert await command("agenda", lifecycle) == 0
    assert "It waits until the member is one, and its merchant is known." in capsys.readouterr().out


@requirement("LOY-50", "LOY-51")
async def test_an_import_begins_the_lives_of_those_who_registered_not_long_ago(
    known: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As often as it is run: one welcome, and none to whom it comes too late; of years ago nothing begins."""
    today = local_day(now(), MERCHANT.zone)
    file = tmp_path / "members.csv"
    week, years = today - timedelta(days=6), today - timedelta(days=900)
    fresh = now().isoformat()
    ann, ben, old = (f"{name}-{uuid4().hex[:8]}" for name in ("ann", "ben", "old"))
    rows = f"{ann},Ann,ann@example.com,{fresh}\n{ben},Ben,,{week} 10:00\n{old},Old,,{years} 10:00\n"
    file.write_text("member_id,name,email,registered_at\n" + rows)
    run = ("member", "import", str(file), "--merchant", "lumi", "--begin-since", str(week))
    for _ in range(2):
        capsys.readouterr()
        assert await command(*run, "--json") == 0
        assert json.loads(capsys.readouterr().out)["begun"] == 2
        agenda = await known.until(f"member:lumi:{ann}", lambda agenda: len(agenda.done) == 1)
        assert [done.notice.kind for done in agenda.done] == ["member_welcome"]
    agenda = await known.until(f"member:lumi:{ben}", lambda agenda: agenda.stage != Stage.WAITING)
    late = {(left.kind, left.reason) for left in agenda.left_out}
    assert ("member_welcome", Reason.KNOWN_TOO_LATE) in late
    assert await known.carillon.runs(f"member:lumi:{ann}")
    with pytest.raises(UnknownLifecycleError):
        await known.carillon.agenda(f"member:lumi:{old}")
    assert len(known.mails) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ("member", "import", "m.csv", "--merchant", "lumi", "--begin-since", "monday"),
            "--begin-since: 'monday' is no day: write it as 2027-03-01",
        ),
        (("member", "tell", "vera", "purchased"), "'vera' is no member: write it as MERCHANT/MEMBER"),
        (("member", "tell", WHO, "purchassed"), "fact: 'purchassed' is no fact: did you mean 'purchased'?"),
        (("member", "tell", WHO, "purchased", "--at", "noon"), "at: 'noon' is no"),
        (("member", "tell", WHO, "purchased", "--data", "[]"), "--data: '[]' is no JSON object"),
        (("member", "tell", "lumi/a b", "purchased"), "member_id: 'a b' cannot be used as an id"),
        (("agenda", "member:lumi:nobody"), "member 'nobody' of merchant 'lumi' is not known"),
    ],
)
@pytest.mark.usefixtures("known")
async def test_what_cannot_be_is_refused_with_the_mend(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing starts."""
    assert await command(*arguments) == 1
    assert complaint in capsys.readouterr().err


@pytest.mark.usefixtures("known")
async def test_who_tells_of_an_unknown_member_hears_that_it_waits(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fact is not lost."""
    monkeypatch.setattr("commands.booking.SETTLING_SECONDS", 0)
    assert await command("member", "tell", "lumi/zoe", "registered") == 0
    said = capsys.readouterr()
    assert "It waits until member 'zoe' of merchant 'lumi' is known and verified" in said.err
    assert "It waits until the member is one" in said.out, "and not that nothing is owed"


def test_whose_lifecycle_is_over_still_hears_from_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """That nothing more comes is not said above a coupon that does."""
    coming = Foreseen("coupon_issued", now(), "Spring tea (T-1)", "coupon:lumi:spring")
    show_agenda(Agenda("member:lumi:vera", Stage.QUIET, "Asia/Taipei", over=True, foreseen=(coming,)))
    said = capsys.readouterr().out
    assert "only what comes from elsewhere is still to come" in said
    assert "nothing more will come" not in said
