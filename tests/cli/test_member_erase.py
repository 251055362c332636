"""`carillon member erase`: gone from the database and from Temporal."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from temporalio.service import RPCError

import cli
from activities.members import Members
from activities.message_log import MessageLog
from client import Carillon
from models.booking_facts import Cancelled
from models.member import Member
from models.member_facts import Registered
from models.people import Person
from tests.world import MERCHANT, World, booking, eventually, now

WHO = f"ada-{uuid4().hex[:8]}"
"""Nobody else's number: the server is that of all tests."""
ADA = Member(MERCHANT.id, WHO, "Ada Lin", now(), "ada@example.com", locale="en")

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `carillon member erase`; answers its status and all that it says."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", world.client.service_client.config.target_host)
    monkeypatch.setenv("CARILLON_DATABASE_URL", world.settings.database_url)
    monkeypatch.setenv("CARILLON_TASK_QUEUE", world.settings.task_queue)

    def erase(*arguments: str) -> tuple[int, str]:
        status = cli.run(["member", "erase", *arguments])
        said = capsys.readouterr()
        return status, said.out + said.err

    return erase


async def registered(world: World) -> str:
    """A member whose welcome has gone, and whose lifecycle waits for a purchase."""
    await Members(world.engine).upsert([ADA], now())
    lifecycle = await world.carillon.tell_member(MERCHANT.id, WHO, Registered(event_id="r", at=now()))
    await world.until(lifecycle, lambda agenda: bool(agenda.done))
    return lifecycle


async def gone(carillon: Carillon, *others: str) -> bool | None:
    """Whether Temporal knows of no run about the member any more, but for these.

    It deletes in its own time: what has ended a moment ago, after most of a minute.
    """
    runs = await carillon.runs_about(MERCHANT.id, WHO)
    return all(run.workflow in others for run in runs) or None


async def test_a_member_is_erased_with_its_lifecycle(world: World, run: Run) -> None:
    """Asked without --yes nothing happens but that it is told what would."""
    lifecycle = await registered(world)
    status, said = await asyncio.to_thread(run, f"lumi/{WHO}")
    assert (status, f"{lifecycle}, at work" in said, "add --yes" in said) == (0, True, True)
    assert await Members(world.engine).get(MERCHANT.id, WHO) is not None
    status, said = await asyncio.to_thread(run, f"lumi/{WHO}", "--yes")
    assert (status, f"{WHO} of lumi is erased: 1 message redacted" in said) == (0, True)
    assert await Members(world.engine).get(MERCHANT.id, WHO) is None
    assert await eventually(lambda: gone(world.carillon))
    with pytest.raises(RPCError, match="not found"):
        await world.handle(lifecycle).describe()
    (row,) = await MessageLog(world.engine).messages()
    assert (row["recipient"], row["text"], row["status"]) == ("(erased)", "", "sent")
    status, said = await asyncio.to_thread(run, f"lumi/{WHO}", "--yes")
    assert (status, f"'{WHO}' is no member of lumi" in said) == (1, True)


async def test_a_booking_that_is_not_over_is_not_taken_from_its_member_unasked(
    world: World, run: Run
) -> None:
    """Whoever must hear of tomorrow's hour is not silenced by the way. One that is over is deleted."""
    await registered(world)
    booker = Person("Ada Lin", "ada@example.com", member_id=WHO, id="p-ada")
    over, ahead = replace(booking(), booker=booker), replace(booking(), booker=booker)
    await world.start(over)
    ended = f"booking:{MERCHANT.id}:{over.booking_id}"
    await world.carillon.tell(ended, Cancelled(event_id="c"))
    await asyncio.wait_for(world.handle(ended).result(), 20)
    waiting = await world.start(ahead)
    status, said = await asyncio.to_thread(run, f"lumi/{WHO}", "--yes")
    assert (status, f"bookings that are not over ({waiting})" in said) == (1, True)
    assert await Members(world.engine).get(MERCHANT.id, WHO) is not None
    status, said = await asyncio.to_thread(run, f"lumi/{WHO}", "--yes", "--with-bookings")
    assert (status, f"{WHO} of lumi is erased" in said, "3 lifecycles deleted" in said) == (0, True, True)
    assert await eventually(lambda: gone(world.carillon, ended))
