"""Record the histories that `test_replay.py` replays: `python -m tests.replay.record NAME KIND`.

A KIND is a folder of `tests/histories`: booking, member, coupon, wave, task or upkeep.

Histories are only ever added: before a change to a workflow, record what runs today under a name that says so
(`before-line-first`), commit it, then make the change. An existing file is never written over.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.coupon_holders import Holder
from activities.coupons import Coupons
from activities.members import Members
from activities.merchants import FRESH_SECONDS, Merchants
from activities.tasks import Tasks
from models import booking_record, member_state
from models.agenda import Agenda
from models.booking import OrderStatus
from models.booking_facts import (
    Accepted,
    Assigned,
    Cancelled,
    ChangeParticipant,
    PaymentReceived,
    Refunded,
    Reschedule,
)
from models.coupon import CouponDrop
from models.drop_state import DropStage, ExtendDrop, HoldersAdded, RevokeDrop
from models.ids import booking_workflow_id, member_workflow_id, task_run_id, upkeep_id
from models.member import Member
from models.member_facts import Purchased, Registered
from models.member_policy import MemberPolicy
from models.merchant import Merchant, PaymentMethod, SmsSettings, booking_rules
from models.notices import Kind
from models.people import Person
from models.regular_task import Gift, RegularTask, TaskKind
from models.task_waves import TaskRun, run_stamp
from models.timing import local_day
from models.wave import Audience, Wave, Words
from temporal_server import dynamic_config_arguments, server_program
from tests.tasks import LONG_AGO, SHOP, TAIPEI, accrue, at_ten, enrol, lot, member, task
from tests.waves import Running, begin, wave
from tests.world import ADA, BO, CY, MERCHANT, World, a_world, booking, eventually, now, service
from workflows.booking import BookingWorkflow
from workflows.lifecycle import SEARCH_ATTRIBUTES
from workflows.regular_task import RegularTaskWorkflow
from workflows.upkeep import UpkeepWorkflow
from workflows.wave import WaveWorkflow

HISTORIES = Path(__file__).resolve().parent.parent / "histories"
PARTNER = Person("Dee", "dee@example.com", "", "en", id="dee")


async def whole_life(world: World) -> str:
    id = await world.start(booking(service("s1", 10, ADA), service("s2", 12, BO)))
    await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="a1", services=("s1",)))
    await world.tell(id, Assigned(event_id="as", service="s1", partner=PARTNER), Accepted(event_id="a2"))
    await world.to_the_end(id)
    return id


async def changes_of_mind(world: World) -> str:
    made = booking(service("s1", 10, ADA), service("s2", 12, BO))
    id = await world.start(made)
    await world.tell(id, PaymentReceived(event_id="pay"), Accepted(event_id="ok"))
    later = made.services[0].starts_at + timedelta(days=20)
    await world.carillon.ask(
        id, Reschedule(event_id="mv", service="s1", starts_at=later, ends_at=later + timedelta(hours=1))
    )
    await world.carillon.ask(id, ChangeParticipant(event_id="p", service="s2", participant="bo", person=CY))
    await world.tell(id, Cancelled(event_id="c", services=("s2",)))
    await world.carillon.tell(id, Refunded(event_id="back"))
    await world.to_the_end(id)
    return id


async def unpaid(world: World) -> str:
    id = await world.start(booking())
    await world.to_the_end(id)
    return id


async def still_waiting(world: World) -> str:
    id = await world.start(booking(service("s1", 10, ADA), method=PaymentMethod.IN_PERSON))
    await world.tell(id, Accepted(event_id="ok"))
    return id


async def trouble_with_the_provider(world: World) -> str:
    answers = iter(["451 try again"])
    world.mail_sink.refuse = lambda _: next(answers, None)
    id = await world.start(booking(method=PaymentMethod.CARD))
    await world.handle(id).signal("tell", "nonsense")
    await world.carillon.tell(id, Cancelled(event_id="c"))
    await world.to_the_end(id)
    return id


async def withdrawn(world: World) -> str:
    """What is tried still when the order is cancelled is closed out as lapsed."""
    world.mail_sink.refuse = lambda _: "451 try again"
    id = (await world.carillon.start_booking(booking(method=PaymentMethod.IN_PERSON))).lifecycle
    await world.until(id, lambda agenda: agenda.stage == OrderStatus.PROCESSING)
    await world.carillon.tell(id, Cancelled(event_id="c"))
    await world.until(id, lambda agenda: any(d.notice.kind is Kind.ORDER_PLACED for d in agenda.done))
    world.mail_sink.refuse = None
    await world.to_the_end(id)
    return id


async def carried_on(world: World) -> str:
    """A life that goes on from the state of another: its run ended, and a new one took over."""
    made = booking(service("s1", 10, ADA))
    state = booking_record.begin(made, booking_rules(MERCHANT))
    for fact in (PaymentReceived(event_id="pay"), Accepted(event_id="ok")):
        state, _ = booking_record.record(state, fact, now())
    id = booking_workflow_id(made.merchant_id, made.booking_id)
    await world.client.start_workflow(BookingWorkflow.run, state, id=id, task_queue=world.settings.task_queue)
    await world.to_the_end(id)
    return id


def _without_paths(history: str) -> str:
    """The same history without the stack traces of failed attempts: they name the folders of one machine."""
    return re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history)


async def a_member(world: World) -> Member:
    """Ada, who has just registered, and was welcomed."""
    ada = Member(MERCHANT.id, f"ada-{uuid4().hex[:8]}", ADA.name, now(), ADA.email, locale="en")
    await Members(world.engine).upsert([ada], now())
    id = await world.carillon.tell_member(MERCHANT.id, ada.member_id, Registered(event_id="r"))
    await world.until(id, lambda agenda: len(agenda.done) == 1)
    return ada


async def never_buys(world: World) -> str:
    ada = await a_member(world)
    id = member_workflow_id(MERCHANT.id, ada.member_id)
    await world.forward_to(id, ada.registered_at + timedelta(days=14))
    await world.handle(id).signal("tell", "nonsense")
    await world.until(id, lambda agenda: len(agenda.done) == 2)
    await world.to_the_end(id)
    return id


async def buys_again(world: World) -> str:
    ada = await a_member(world)
    id = member_workflow_id(MERCHANT.id, ada.member_id)
    for day in (5, 12):
        await world.forward_to(id, ada.registered_at + timedelta(days=day))
        await world.carillon.tell_member(MERCHANT.id, ada.member_id, Purchased(event_id=f"p{day}"))
    await world.carillon.look_at_member(MERCHANT.id, ada.member_id)
    await world.until(id, lambda agenda: agenda.stage == "active")
    return id


async def waited_for(world: World) -> str:
    """One who becomes a member some time after the first fact, and only then."""
    ada = Member(MERCHANT.id, f"ada-{uuid4().hex[:8]}", ADA.name, now(), ADA.email, locale="en")
    id = await world.carillon.tell_member(MERCHANT.id, ada.member_id, Registered(event_id="r"))
    await world.until(id, lambda agenda: agenda.stage == "waiting")
    await Members(world.engine).upsert([ada], now())
    await world.until(id, lambda agenda: len(agenda.done) == 1)
    return id


async def never_a_member(world: World) -> str:
    """Nobody of that id becomes one. Activities wait in real time: some seconds have to do here."""
    patience, member_state.NEVER_KNOWN = member_state.NEVER_KNOWN, timedelta(seconds=4)
    try:
        id = await world.carillon.tell_member(MERCHANT.id, "nobody", Registered(event_id="r"))
        await world.until(id, lambda agenda: agenda.stage == "waiting")
        await world.carillon.tell_member(MERCHANT.id, "nobody", Purchased(event_id="p"))
        await world.handle(id).result()
    finally:
        member_state.NEVER_KNOWN = patience
    return id


async def a_second_life(world: World) -> str:
    ada = await a_member(world)
    id = member_workflow_id(MERCHANT.id, ada.member_id)
    await world.to_the_end(id)
    await world.carillon.tell_member(MERCHANT.id, ada.member_id, Registered(event_id="again"))
    await world.carillon.tell_member(MERCHANT.id, ada.member_id, Purchased(event_id="p"))
    await world.until(id, lambda agenda: agenda.stage == "active")
    await world.to_the_end(id)
    return id


async def without_a_phone(world: World) -> str:
    """The shop invites by SMS alone, and this member has no phone."""
    policy = MemberPolicy(welcome=("email",), invitation=("sms",))
    shop = replace(MERCHANT, id="by-sms", members=policy)
    await Merchants(world.engine).apply(shop, now())
    ada = Member(shop.id, f"ada-{uuid4().hex[:8]}", ADA.name, now(), ADA.email, locale="en")
    await Members(world.engine).upsert([ada], now())
    id = await world.carillon.tell_member(shop.id, ada.member_id, Registered(event_id="r"))
    await world.until(id, lambda agenda: len(agenda.done) == 1)
    await world.to_the_end(id)
    return id


async def a_drop(world: World, issue: int, last: int, *holders: str) -> tuple[CouponDrop, str]:
    """A drop at work, issued so many days from now."""
    today = local_day(now(), SHOP.zone)
    issue_on, last_day = today + timedelta(days=issue), today + timedelta(days=last)
    drop = CouponDrop(SHOP.id, f"d-{uuid4().hex[:6]}", "Spring coupon", issue_on, issue_on, last_day)
    phones = {name: f"+88691234567{number}" for number, name in enumerate(("ada", "bo", "cy"))}
    await enrol(world, *(member(name, phone=phone) for name, phone in phones.items()))
    await Coupons(world.engine).keep(drop, now())
    await Coupons(world.engine).add(drop, map(Holder, holders), now())
    lifecycle = (await world.carillon.start_coupon(drop)).lifecycle
    await world.until(lifecycle, lambda agenda: agenda.stage != DropStage.WAITING)
    return drop, lifecycle


async def a_drop_and_later_holders(world: World) -> str:
    drop, lifecycle = await a_drop(world, -1, 20, "ada")
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
    for holders, name in enumerate(("bo", "cy"), start=2):
        clock = await world.clock(lifecycle)
        await Coupons(world.engine).add(drop, [Holder(name)], clock)
        await world.carillon.tell(lifecycle, HoldersAdded(event_id=name, since=clock, holders=holders))
        await world.forward_to(lifecycle, clock + timedelta(minutes=6))
        await world.until(lifecycle, partial(_has_told, holders))
    await world.handle(lifecycle).signal("tell", "nonsense")
    await world.to_the_end(lifecycle)
    return lifecycle


def _has_told(waves: int, agenda: Agenda) -> bool:
    return len(agenda.done) == waves


async def a_moved_last_day(world: World) -> str:
    drop, lifecycle = await a_drop(world, 1, 10, "ada")
    await world.carillon.ask(
        lifecycle, ExtendDrop(event_id="x", usable_to=drop.usable_to + timedelta(days=4))
    )
    await world.to_the_end(lifecycle)
    return lifecycle


async def a_revoked_drop(world: World) -> str:
    _, lifecycle = await a_drop(world, 1, 20, "ada")
    await world.carillon.ask(lifecycle, RevokeDrop(event_id="off"))
    await world.handle(lifecycle).result()
    return lifecycle


async def a_last_day_moved_past_its_notice(world: World) -> str:
    """Twice, each time to a day whose own moment is past."""
    drop, lifecycle = await a_drop(world, -1, 20, "ada")
    await world.until(lifecycle, lambda agenda: len(agenda.done) == 1)
    await world.forward_to(lifecycle, now() + timedelta(days=14))
    await world.until(lifecycle, partial(_has_told, 2))
    for event, days in (("x", -3), ("y", -6)):
        moved = max(drop.usable_to + timedelta(days=days), local_day(await world.clock(lifecycle), SHOP.zone))
        await world.carillon.ask(lifecycle, ExtendDrop(event_id=event, usable_to=moved))
        await world.quiet(lifecycle)
    await world.to_the_end(lifecycle)
    return lifecycle


async def applied(world: World, shop: Merchant) -> None:
    """A merchant as every worker knows it."""
    await Merchants(world.engine).apply(shop, now())
    await asyncio.sleep(FRESH_SECONDS)


async def sms_switched_on_later(world: World) -> str:
    """Before its moment comes, of a drop that was made without."""
    await applied(world, replace(SHOP, sms=SmsSettings()))
    _, lifecycle = await a_drop(world, 1, 20, "ada")
    await applied(world, SHOP)
    await world.forward_to(lifecycle, now() + timedelta(days=3))
    await world.quiet(lifecycle)
    await world.to_the_end(lifecycle)
    return lifecycle


async def some_news(world: World, members: int, **options: int) -> Running:
    """A wave of a promotion to so many members."""
    await enrol(world, *(member(f"m{number:03}") for number in range(members)))
    return await begin(world, _news(), **options)


def _news(**changes: object) -> Wave:
    words = {"en": Words("New classes", "News")}
    return wave(kind=Kind.PROMOTION, audience=Audience("members"), words=words, **changes)


async def several_pages(world: World) -> str:
    running = await some_news(world, 30, page_size=5, in_flight=2, cut_ahead=2)
    await running.report()
    return running.handle.id


async def tried_again(world: World) -> str:
    answers = iter(["451 try again"])
    world.mail_sink.refuse = lambda _: next(answers, None)
    running = await some_news(world, 3)
    await running.report()
    return running.handle.id


async def paused_and_resumed(world: World) -> str:
    due = now() + timedelta(days=1)
    await enrol(world, member("ada"))
    running = await begin(world, _news(due=due, not_after=due + timedelta(hours=5)))
    await running.handle.signal(WaveWorkflow.pause)
    await running.until(lambda progress: progress.stage == "paused")
    await running.handle.signal(WaveWorkflow.resume)
    await world.forward_to(running.handle.id, due)
    await running.report()
    return running.handle.id


async def cancelled(world: World) -> str:
    due = now() + timedelta(days=1)
    running = await begin(world, _news(due=due, not_after=due + timedelta(hours=5)))
    await running.handle.signal(WaveWorkflow.cancel)
    await running.report()
    return running.handle.id


async def a_run(world: World, kind: TaskKind, **changes: object) -> str:
    """One run of a task to its end."""
    at = at_ten()
    run_id = await begun(world, task(kind, **changes), at)
    await world.skipper.fast_forward(world.handle(run_id), at - now() + timedelta(hours=30))
    await world.handle(run_id).result()
    return run_id


async def begun(world: World, made: RegularTask, at: datetime) -> str:
    """One run of a task, applied just now."""
    await Tasks(world.engine, Merchants(world.engine)).keep([made], now())
    run_id = task_run_id(SHOP.id, made.task_id, f"{run_stamp(at)}-{uuid4().hex[:6]}")
    await world.client.start_workflow(
        RegularTaskWorkflow.run,
        TaskRun(made, TAIPEI, at),
        id=run_id,
        task_queue=world.settings.task_queue,
    )
    return run_id


async def bonuses_that_burn(world: World) -> str:
    await enrol(world, member("ada"))
    await accrue(world, [lot("ada", 80, ends=at_ten() + timedelta(days=2), currency=c) for c in SHOP.bonuses])
    return await a_run(world, TaskKind.BONUS_BURN)


async def a_birthday_in_two_zones(world: World) -> str:
    born = local_day(at_ten(), TAIPEI).replace(year=1990)
    await enrol(world, member("ada", birth_date=born))
    await enrol(world, member("bo", birth_date=born, zone="Europe/Paris"))
    return await a_run(world, TaskKind.BIRTHDAY, cron="", gift=Gift("stars", Decimal(5), days=30))


async def a_birthday_under_way(world: World) -> str:
    """Taipei is greeted, Paris is still to come."""
    born = local_day(at_ten(), TAIPEI).replace(year=1990)
    await enrol(world, member("ada", birth_date=born))
    await enrol(world, member("bo", birth_date=born, zone="Europe/Paris"))
    made = replace(
        task(TaskKind.BIRTHDAY, cron="", gift=Gift("stars", Decimal(5), days=30)), task_id="wishes"
    )
    run_id = await begun(world, made, at_ten())
    await world.forward_to(run_id, at_ten() + timedelta(minutes=1))
    await eventually(partial(_has_greeted, world, run_id))
    return run_id


async def _has_greeted(world: World, run_id: str) -> bool | None:
    """Whether the run's first wave is over."""
    async for event in world.handle(run_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED:
            return True
    return None


async def a_birthday_that_begins_late(world: World) -> str:
    """Nobody worked until its day was over."""
    midnight = now().replace(hour=0, minute=0, second=0) - timedelta(days=1, hours=8)
    born = local_day(midnight, TAIPEI).replace(year=1990)
    await enrol(world, member("ada", birth_date=born))
    await enrol(world, member("bo", birth_date=born, zone="Europe/Paris"))
    made = task(TaskKind.BIRTHDAY, cron="", gift=Gift("stars", Decimal(5)), catch_up_hours=36)
    run_id = await begun(world, made, midnight)
    await world.handle(run_id).result()
    return run_id


async def upkeep(world: World) -> str:
    await accrue(world, [lot("ada", 80, ends=LONG_AGO + timedelta(days=2))])
    return await a_run(world, TaskKind.BONUS_UPKEEP)


async def news_by_the_calendar(world: World) -> str:
    await enrol(world, member("ada"))
    return await a_run(world, TaskKind.PROMOTION, everybody=True, words={"en": Words("New", "News")})


async def one_run_of_upkeep(world: World) -> str:
    run_id = upkeep_id(world.settings.task_queue)
    await world.client.execute_workflow(UpkeepWorkflow.run, id=run_id, task_queue=world.settings.task_queue)
    return run_id


Life = Callable[[World], Awaitable[str]]

LIVES: dict[str, dict[str, Life]] = {
    "booking": {
        "whole-life": whole_life,
        "changes-of-mind": changes_of_mind,
        "unpaid": unpaid,
        "still-waiting": still_waiting,
        "trouble-with-the-provider": trouble_with_the_provider,
        "withdrawn": withdrawn,
        "carried-on": carried_on,
    },
    "member": {
        "never-buys": never_buys,
        "buys-again": buys_again,
        "a-second-life": a_second_life,
        "without-a-phone": without_a_phone,
        "waited-for": waited_for,
        "never-a-member": never_a_member,
    },
    "coupon": {
        "later-holders": a_drop_and_later_holders,
        "moved-last-day": a_moved_last_day,
        "revoked": a_revoked_drop,
        "moved-past-its-notice": a_last_day_moved_past_its_notice,
        "sms-on-later": sms_switched_on_later,
    },
    "wave": {
        "several-pages": several_pages,
        "tried-again": tried_again,
        "paused-and-resumed": paused_and_resumed,
        "cancelled": cancelled,
    },
    "task": {
        "bonuses-that-burn": bonuses_that_burn,
        "birthday-in-two-zones": a_birthday_in_two_zones,
        "birthday-under-way": a_birthday_under_way,
        "birthday-that-begins-late": a_birthday_that_begins_late,
        "upkeep": upkeep,
        "news": news_by_the_calendar,
    },
    "upkeep": {
        "one-run": one_run_of_upkeep,
    },
}
SHOPS: dict[str, Merchant] = {"coupon": SHOP, "wave": SHOP, "task": SHOP}
"""Who sends, where it is not the usual one."""


async def main(prefix: str, kind: str) -> None:
    """Live each life of that kind once on a fresh server and keep its history."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=server_program(),
        identity="recorder",
        data_converter=pydantic_data_converter,
        search_attributes=list(SEARCH_ATTRIBUTES),
        dev_server_extra_args=dynamic_config_arguments(),
    )
    (HISTORIES / kind).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        shop = SHOPS.get(kind, MERCHANT)
        made = a_world(environment.client, Path(folder), merchant=shop)
        async with environment, made as world, world.worker():
            for name, live in LIVES[kind].items():
                history = await world.handle(await live(world)).fetch_history()
                with (HISTORIES / kind / f"{prefix}-{name}.json").open("x") as file:
                    file.write(_without_paths(history.to_json()))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in LIVES:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
