"""Whole lives of members on the real server, with time skipped and every message read back."""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import CancelledError

from activities.consents import Consents
from activities.database import writing
from activities.member_life import Keeping, Look, MemberLife
from activities.members import MEMBERS, Members
from activities.merchants import Merchants
from activities.message_log import MessageLog
from client import Carillon
from intake import InputError
from models import member_state
from models.agenda import Reason, Report, Status
from models.consent import Consent, ConsentGiven
from models.ids import member_workflow_id
from models.member import Member
from models.member_facts import MemberFact, Purchased, Registered
from models.member_policy import MemberPolicy
from models.member_state import Stage
from models.notices import Kind, NoticeClass
from models.policy import ClassPolicy, GatePolicy
from models.timing import add_local_days
from tests.requirements import requirement
from tests.world import MERCHANT, World, a_world, eventually, now

FREE = GatePolicy(promotional=ClassPolicy())
"""Nobody is asked and no hour is quiet: these tests are about the calendar."""
SHOP = replace(MERCHANT, gate=FREE)
TWO_WEEKS = timedelta(days=14)
WELCOME, FIRST, SECOND = "member_welcome", "invitation", "invitation_again"


@pytest.fixture
async def world(temporal: Client, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(temporal, tmp_path, merchant=SHOP) as made, made.worker():
        yield made


def a_member(**changes: object) -> Member:
    """Registered just now. Each has an id of its own: the server is the same for all tests."""
    id = f"ada-{uuid4().hex[:8]}"
    made = Member(SHOP.id, id, "Ada Lin", now(), "ada@example.com", "+886912345678", locale="en")
    return replace(made, **changes)  # type: ignore[arg-type]


async def told(world: World, member: Member, fact: MemberFact) -> str:
    return await world.carillon.tell_member(SHOP.id, member.member_id, fact)


async def joined(world: World, member: Member) -> str:
    """A member that has just registered, and was welcomed."""
    await Members(world.engine).upsert([member], now())
    fact = Registered(event_id="r", at=member.registered_at)
    id = await told(world, member, fact)
    await world.until(id, lambda agenda: len(agenda.done) == 1)
    return id


async def kinds(world: World, member: Member, channel: str = "email") -> list[str]:
    return await world.kinds_to(member.person, channel)


async def ended(world: World, id: str) -> None:
    await asyncio.wait_for(world.handle(id).result(), 20)


@requirement("LOY-31", "LOY-50", "LOY-51", "LOY-52")
async def test_who_never_buys_is_welcomed_and_invited_twice_and_never_again(world: World) -> None:
    """At once, after two weeks, and two weeks later; then it is over."""
    ada = a_member()
    id = await joined(world, ada)
    assert [sms.mobile for sms in world.twsms.accepted] == ["0912345678"]
    due = add_local_days(ada.registered_at, 14, SHOP.zone)
    agenda = await world.carillon.agenda(id)
    assert [(n.kind, n.due) for n in agenda.owed] == [(FIRST, due), (SECOND, due + TWO_WEEKS)]
    assert agenda.stage == Stage.NEW
    await world.forward_to(id, due - timedelta(seconds=2))
    assert await kinds(world, ada) == [WELCOME], "not a second too early"
    await world.forward_to(id, due)
    agenda = await world.until(id, lambda agenda: len(agenda.done) == 2)
    assert agenda.stage == Stage.INVITED
    assert due <= agenda.done[-1].outcomes[0].at < due + timedelta(seconds=5)
    await world.forward_to(id, due + TWO_WEEKS)
    await ended(world, id)
    assert await kinds(world, ada) == [WELCOME, FIRST, SECOND]
    assert await kinds(world, ada, "sms") == [WELCOME, FIRST, SECOND]


@requirement("LOY-53")
async def test_a_purchase_on_day_5_moves_the_invitation_to_day_19(world: World) -> None:
    """And one after the first message begins the two weeks anew; each cycle has its two messages at most."""
    ada = a_member()
    id = await joined(world, ada)
    day = partial(add_local_days, ada.registered_at, zone_name=SHOP.zone)
    await world.forward_to(id, day(5))
    await told(world, ada, Purchased(event_id="p1", at=day(5)))
    agenda = await world.until(id, lambda agenda: agenda.stage == Stage.ACTIVE)
    assert [notice.due for notice in agenda.owed] == [day(19), day(33)]
    await world.forward_to(id, day(19) - timedelta(seconds=2))
    assert await kinds(world, ada) == [WELCOME]
    await world.forward_to(id, day(20))
    assert await kinds(world, ada) == [WELCOME, FIRST]
    await told(world, ada, Purchased(event_id="p2", at=day(20)))
    agenda = await world.until(id, lambda agenda: agenda.stage == Stage.ACTIVE)
    assert [notice.due for notice in agenda.owed] == [day(34), day(48)]
    await world.forward_to(id, day(48))
    await ended(world, id)
    assert await kinds(world, ada) == [WELCOME, FIRST, FIRST, SECOND]


@requirement("LOY-53")
async def test_a_purchase_that_an_offline_till_tells_late_counts_at_its_own_time(world: World) -> None:
    """Told on day 15, of day 5: what went on day 14 has been the first of two; the second is day 33's."""
    ada = a_member()
    id = await joined(world, ada)
    day = partial(add_local_days, ada.registered_at, zone_name=SHOP.zone)
    await world.forward_to(id, day(15))
    await told(world, ada, Purchased(event_id="late", at=day(5)))
    agenda = await world.until(id, lambda agenda: len(agenda.owed) == 1 and agenda.owed[0].due == day(33))
    assert [left.reason for left in agenda.left_out if left.kind == FIRST] == [Reason.INVITED_ALREADY]
    await world.forward_to(id, day(33))
    await ended(world, id)
    assert await kinds(world, ada) == [WELCOME, FIRST, SECOND]


@requirement("LOY-53")
async def test_a_storm_of_purchases_is_one_invitation(world: World) -> None:
    """Two hundred, told in any order and twice, some of them at one time: the last one counts."""
    ada = a_member(registered_at=now() - timedelta(days=20))
    await Members(world.engine).upsert([ada], now())
    moments = [now() - timedelta(hours=number) for number in range(1, 201)]
    storm = [Purchased(event_id=f"p{number}", at=at) for number, at in enumerate(moments)] * 2
    random.Random(7).shuffle(storm)
    ids = await asyncio.gather(*(told(world, ada, fact) for fact in storm))
    id, due = ids[0], add_local_days(moments[0], 14, SHOP.zone)
    agenda = await world.until(id, lambda agenda: bool(agenda.owed) and agenda.owed[0].due == due)
    assert [notice.kind for notice in agenda.owed] == [FIRST, SECOND]
    await world.forward_to(id, due)
    agenda = await world.until(id, lambda agenda: len(agenda.done) == 1)
    assert await kinds(world, ada) == [FIRST]


@requirement("LOY-53")
async def test_a_life_that_ended_begins_again_with_its_memory(world: World) -> None:
    """No second welcome, whoever tells it; what was sent is still shown."""
    merchant = replace(SHOP, members=MemberPolicy(quiet_days=0))
    await Merchants(world.engine).apply(merchant, now())
    ada = a_member()
    await Members(world.engine).upsert([ada], now())
    for event in ("r", "p", "r again"):
        fact = Purchased(event_id=event) if event == "p" else Registered(event_id=event)
        id = await told(world, ada, fact)
        await ended(world, id)
    agenda = await world.carillon.agenda(id)
    assert [done.notice.kind for done in agenda.done] == [WELCOME]
    assert agenda.stage == Stage.ACTIVE
    assert len(world.mails) == 1


@requirement("LOY-52", "LOY-53")
async def test_after_both_invitations_only_a_purchase_begins_anew(world: World) -> None:
    """In a life that begins again, with other invitations than those that went."""
    ada = a_member(registered_at=now() - timedelta(days=40))
    await Members(world.engine).upsert([ada], now())
    first = now() - timedelta(days=14, minutes=1)
    id = await told(world, ada, Purchased(event_id="p1", at=first))
    await world.until(id, lambda agenda: len(agenda.done) == 1)
    await told(world, ada, Purchased(event_id="p1", at=first))
    await world.forward_to(id, add_local_days(first, 28, SHOP.zone))
    await ended(world, id)
    await told(world, ada, Purchased(event_id="p1", at=first))
    await told(world, ada, Purchased(event_id="p2"))
    agenda = await world.until(id, lambda agenda: agenda.stage == Stage.ACTIVE)
    assert now() + timedelta(days=13) < agenda.owed[0].due
    assert [notice.kind for notice in agenda.owed] == [FIRST, SECOND]
    assert await kinds(world, ada) == [FIRST, SECOND]


async def test_a_fact_that_comes_while_a_life_ends_is_not_lost(
    temporal: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory is being written when a purchase is told: the life goes on."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(MemberLife):
        @activity.defn(name="keep_member")
        async def keep(self, keeping: Keeping) -> None:
            begun.set()
            await go_on.wait()
            await super().keep(keeping)

    monkeypatch.setattr("worker.MemberLife", Slow)
    async with a_world(temporal, tmp_path, merchant=SHOP) as world, world.worker():
        ada = a_member(registered_at=now() - timedelta(days=90))
        await Members(world.engine).upsert([ada], now())
        id = await told(world, ada, Registered(event_id="r", at=ada.registered_at))
        await asyncio.wait_for(begun.wait(), 20)
        await told(world, ada, Purchased(event_id="p"))
        go_on.set()
        agenda = await world.until(id, lambda agenda: agenda.stage == Stage.ACTIVE)
        assert [notice.kind for notice in agenda.owed] == [FIRST, SECOND]
        assert agenda.left_out[0].reason is Reason.KNOWN_TOO_LATE, "no welcome after so long"
        assert await world.carillon.runs(id)


async def test_no_fact_is_lost_between_two_lives(world: World) -> None:
    """Each life ends as soon as it has begun, while others are told: all are remembered, none begins two."""
    await Merchants(world.engine).apply(replace(SHOP, members=MemberPolicy(quiet_days=0)), now())
    ada = a_member()
    await Members(world.engine).upsert([ada], now())
    for number in range(0, 40, 4):
        facts = [Purchased(event_id=f"p{n}") for n in range(number, number + 4)]
        await asyncio.gather(*(told(world, ada, fact) for fact in facts))
    id = member_workflow_id(SHOP.id, ada.member_id)
    await ended(world, id)
    life = MemberLife(world.engine, Merchants(world.engine))
    recalled = await life.remembered(Look(SHOP.id, ada.member_id, datetime.now(UTC)))
    assert sorted(recalled.memory.seen) == sorted(f"p{n}" for n in range(40))


@requirement("MAAC-12")
async def test_a_notice_goes_to_the_member_as_it_is_when_it_goes(world: World) -> None:
    """To the new address, in the new language; a member who has none yet may have one by then."""
    ada = a_member(email="")
    await Members(world.engine).upsert([ada], now())
    id = await told(world, ada, Registered(event_id="r", at=ada.registered_at))
    agenda = await world.until(id, lambda agenda: len(agenda.done) == 1)
    missing = {(left.kind, left.channels, left.reason) for left in agenda.left_out}
    assert (Kind.INVITATION, ("email",), Reason.NO_ADDRESS) in missing
    await Members(world.engine).upsert([replace(ada, email="new@example.com", locale="fr")], now())
    await world.forward_to(id, agenda.owed[0].due)
    await world.until(id, lambda agenda: len(agenda.done) == 2)
    (mail,) = world.mails
    assert mail["To"] == "Ada Lin <new@example.com>"
    assert "vous" in mail["Subject"]


async def test_who_is_a_member_no_longer_is_owed_nothing(world: World) -> None:
    """The row is gone: the lifecycle finds that when the invitation falls due, and ends."""
    ada = a_member()
    id = await joined(world, ada)
    async with writing(world.engine) as connection:
        await connection.execute(delete(MEMBERS))
    await world.forward_to(id, add_local_days(ada.registered_at, 14, SHOP.zone))
    await ended(world, id)
    agenda = await world.carillon.agenda(id)
    assert agenda.stage == Stage.GONE
    assert {left.reason for left in agenda.left_out} == {Reason.MEMBER_GONE}
    assert len(world.mails) == 1


@requirement("MAAC-12")
async def test_who_is_removed_between_two_attempts_gets_nothing(world: World) -> None:
    """The provider was down when the member was there, and is up when it is not."""
    ada = a_member(phone="")
    await Members(world.engine).upsert([ada], now())
    world.mail_sink.refuse = lambda _: "451 try again"
    id = await told(world, ada, Registered(event_id="r", at=ada.registered_at))
    await world.until(id, lambda agenda: bool(agenda.owed))
    await eventually(partial(tried, world))
    async with writing(world.engine) as connection:
        await connection.execute(delete(MEMBERS))
    world.mail_sink.refuse = None
    agenda = await world.until(id, lambda agenda: len(agenda.done) == 1)
    assert agenda.done[0].status is Status.REFUSED
    assert agenda.done[0].outcomes[0].reason.startswith(Reason.MEMBER_GONE.sentence)
    assert world.mails == []


async def tried(world: World) -> bool | None:
    rows = await MessageLog(world.engine).messages(limit=10)
    return True if rows else None


async def test_facts_of_one_who_is_no_member_yet_wait(world: World) -> None:
    """A registration that is told before the member is: the welcome goes as soon as it is known."""
    ada = a_member()
    id = await told(world, ada, Registered(event_id="r"))
    assert (await world.carillon.agenda(id)).stage == Stage.WAITING
    await Members(world.engine).upsert([ada], now())
    await world.until(id, lambda agenda: len(agenda.done) == 1)
    assert len(world.mails) == 1


async def test_who_never_becomes_a_member_is_not_waited_for_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends some weeks after the last fact, and says why; the next one begins anew."""
    monkeypatch.setattr(member_state, "NEVER_KNOWN", timedelta(seconds=4))
    ada = a_member()
    id = await told(world, ada, Registered(event_id="r"))
    await world.until(id, lambda agenda: agenda.stage == Stage.WAITING)
    await told(world, ada, Purchased(event_id="p"))
    handle = world.client.get_workflow_handle(id, result_type=Report)
    report = await asyncio.wait_for(handle.result(), 20)
    assert report.stage == Stage.WAITING
    assert f"member {ada.member_id} of lumi, which is not known here, or not verified" in report.words
    history = await handle.fetch_history()
    waits = [one for one in history.events if one.HasField("activity_task_scheduled_event_attributes")]
    assert len(waits) == 2, "once more, for what was told meanwhile"
    monkeypatch.undo()
    await Members(world.engine).upsert([ada], now())
    await told(world, ada, Registered(event_id="r"))
    await world.until(id, lambda agenda: len(agenda.done) == 1)


async def test_a_look_is_no_fact_about_somebody_who_is_no_member(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every import and every change of a task sends one: it makes no life wait any longer."""
    monkeypatch.setattr(member_state, "NEVER_KNOWN", timedelta(seconds=4))
    ada = a_member()
    id = await told(world, ada, Registered(event_id="r"))
    await world.until(id, lambda agenda: agenda.stage == Stage.WAITING)
    await world.carillon.look_at_member(SHOP.id, ada.member_id)
    handle = world.client.get_workflow_handle(id, result_type=Report)
    report = await asyncio.wait_for(handle.result(), 20)
    assert report.stage == Stage.WAITING
    history = await handle.fetch_history()
    assert any(one.HasField("workflow_execution_signaled_event_attributes") for one in history.events)
    waits = [one for one in history.events if one.HasField("activity_task_scheduled_event_attributes")]
    assert len(waits) == 1


async def test_a_life_that_waits_for_its_member_can_be_cancelled(world: World) -> None:
    """In the Web UI: it is told apart from one that has waited in vain."""
    id = await told(world, a_member(), Registered(event_id="r"))
    await world.until(id, lambda agenda: agenda.stage == Stage.WAITING)
    await world.handle(id).cancel()
    with pytest.raises(WorkflowFailureError) as caught:
        await asyncio.wait_for(world.handle(id).result(), 20)
    assert isinstance(caught.value.cause, CancelledError)


@requirement("LOY-51")
async def test_two_weeks_are_days_of_the_members_own_clock(temporal: Client, tmp_path: Path) -> None:
    """The clocks change in between: the hour stays."""
    policy = MemberPolicy(quiet_days=120, again_days=120)
    async with a_world(temporal, tmp_path, merchant=replace(SHOP, members=policy)) as world, world.worker():
        ada = a_member(zone="Europe/Berlin")
        id = await joined(world, ada)
        agenda = await world.carillon.agenda(id)
        walls = [when.astimezone(ZoneInfo("Europe/Berlin")) for when in (n.due for n in agenda.owed)]
        joined_at = ada.registered_at.astimezone(ZoneInfo("Europe/Berlin"))
        assert [wall.time() for wall in walls] == [joined_at.time()] * 2
        assert {wall.utcoffset() for wall in walls} != {joined_at.utcoffset()}, "the clocks did change"
        await world.forward_to(id, agenda.owed[-1].due)
        await ended(world, id)
        assert await kinds(world, ada) == [WELCOME, FIRST, SECOND]


@requirement("LOY-52")
async def test_who_gave_no_consent_is_not_invited_and_each_refusal_is_a_turn(
    temporal: Client, tmp_path: Path
) -> None:
    """An invitation is promotional. Who says yes in between gets the second."""
    async with a_world(temporal, tmp_path, merchant=MERCHANT) as world, world.worker():
        ada = a_member(phone="")
        id = await joined(world, ada)
        due = add_local_days(ada.registered_at, 14, SHOP.zone)
        await world.forward_to(id, due)
        agenda = await world.until(id, lambda agenda: len(agenda.done) == 2)
        assert agenda.done[-1].status is Status.REFUSED
        yes = ConsentGiven(
            SHOP.id, "email", NoticeClass.PROMOTIONAL, Consent.OPTED_IN, "app", now(), ada.member_id
        )
        await Consents(world.engine).record_consent([yes])
        await world.forward_to(id, due + TWO_WEEKS + timedelta(days=1))  # past the quiet hours
        await ended(world, id)
        assert await kinds(world, ada) == [WELCOME, SECOND]


async def test_what_cannot_be_read_is_shown(world: World) -> None:
    """Nothing that is told is dropped in silence."""
    id = await joined(world, a_member())
    await world.handle(id).signal("tell", {"fact": "purchassed", "event_id": "x"})
    agenda = await world.until(id, lambda agenda: bool(agenda.not_taken))
    assert agenda.not_taken[0].reason == "fact: 'purchassed' is none of registered, purchased"


@pytest.mark.parametrize(
    ("merchant_id", "member_id", "fact", "complaint"),
    [
        ("lumi", "a:b", Purchased(event_id="p"), "member_id: 'a:b' cannot be used as an id"),
        ("", "ada", Purchased(event_id="p"), "merchant_id: '' cannot be used as an id"),
        ("lumi", "ada", Purchased(event_id=""), "event_id: '' cannot be an event id"),
        ("lumi", "ada", Purchased(event_id="p", at=datetime(2026, 3, 2)), "at: 2026-03-02T00:00:00"),  # noqa: DTZ001
    ],
)
async def test_what_cannot_be_told_is_refused(
    temporal: Client, merchant_id: str, member_id: str, fact: Purchased, complaint: str
) -> None:
    """With the field and the mend, before anything starts."""
    with pytest.raises(InputError, match=re.escape(complaint)):
        await Carillon(temporal).tell_member(merchant_id, member_id, fact)
