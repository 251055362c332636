"""`carillon agenda member:...` and `carillon member tell`: the whole future of one member in one place."""

import asyncio
import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

import cli
from activities.coupon_holders import Holder
from activities.coupons import Coupons
from activities.members import Members
from activities.merchants import Merchants
from activities.tasks import Tasks
from commands.output import show_agenda
from models.agenda import Agenda, Foreseen
from models.coupon import CouponDrop
from models.member import Member
from models.member_facts import Registered
from models.member_state import Stage
from models.regular_task import RegularTask, TaskKind
from models.timing import local_day
from tests.requirements import requirement
from tests.world import MERCHANT, World, now

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


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
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
