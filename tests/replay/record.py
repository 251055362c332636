"""Record the histories that `test_replay.py` replays: `python -m tests.replay.record NAME booking|member`.

Histories are only ever added: before a change to a workflow, record what runs today under a name that says so
(`before-line-first`), commit it, then make the change. An existing file is never written over.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.members import Members
from models.booking_facts import (
    Accepted,
    Assigned,
    Cancelled,
    ChangeParticipant,
    PaymentReceived,
    Refunded,
    Reschedule,
)
from models.ids import member_workflow_id
from models.member import Member
from models.member_facts import Purchased, Registered
from models.merchant import PaymentMethod
from models.people import Person
from temporal_server import dynamic_config_arguments, server_program
from tests.world import ADA, BO, CY, MERCHANT, World, a_world, booking, now, service
from workflows.lifecycle import SEARCH_ATTRIBUTES

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


async def a_second_life(world: World) -> str:
    ada = await a_member(world)
    id = member_workflow_id(MERCHANT.id, ada.member_id)
    await world.to_the_end(id)
    await world.carillon.tell_member(MERCHANT.id, ada.member_id, Registered(event_id="again"))
    await world.carillon.tell_member(MERCHANT.id, ada.member_id, Purchased(event_id="p"))
    await world.until(id, lambda agenda: agenda.stage == "active")
    await world.to_the_end(id)
    return id


Life = Callable[[World], Awaitable[str]]

LIVES: dict[str, dict[str, Life]] = {
    "booking": {
        "whole-life": whole_life,
        "changes-of-mind": changes_of_mind,
        "unpaid": unpaid,
        "still-waiting": still_waiting,
        "trouble-with-the-provider": trouble_with_the_provider,
    },
    "member": {
        "never-buys": never_buys,
        "buys-again": buys_again,
        "a-second-life": a_second_life,
    },
}


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
        async with environment, a_world(environment.client, Path(folder)) as world, world.worker():
            for name, live in LIVES[kind].items():
                history = await world.handle(await live(world)).fetch_history()
                with (HISTORIES / kind / f"{prefix}-{name}.json").open("x") as file:
                    file.write(_without_paths(history.to_json()))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in LIVES:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
