"""`carillon member tell`: tell what happened to a member."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

import typer

from commands.booking import as_object, settled_agenda
from commands.output import err, say, show_agenda, warn
from commands.reach import VAR, Address, DataDir, Namespace, Reach, of_merchant
from intake.member_facts import read_member_fact
from models.member_facts import MEMBER_FACTS, MemberFact
from models.member_state import Stage

Who = Annotated[str, typer.Argument(help="MERCHANT/MEMBER", metavar="MEMBER")]


def tell(
    who: Who,
    fact: Annotated[str, typer.Argument(help=f"One of {', '.join(MEMBER_FACTS)}", metavar="FACT")],
    data: Annotated[str, typer.Option(help="The rest of it, as a JSON object.")] = "{}",
    at: Annotated[str | None, typer.Option(help="When it happened.  [default: now]")] = None,
    data_dir: DataDir = VAR,
    address: Address = None,
    namespace: Namespace = None,
) -> None:
    """Tell what happened to a member. Its lifecycle starts, if it does not run."""
    given = as_object(data) if at is None else {**as_object(data), "at": at}
    with err().status(f"Telling {fact}"):
        asyncio.run(_tell(Reach(data_dir, address, namespace), who, _read(fact, given)))


def _read(name: str, data: Mapping[str, Any]) -> MemberFact:
    given = {key: value for key, value in data.items() if value is not None}
    return read_member_fact(name, {"event_id": f"cli-{uuid4().hex[:12]}", **given})


async def _tell(reach: Reach, who: str, fact: MemberFact) -> None:
    merchant_id, member_id = of_merchant(who, "member", "MERCHANT/MEMBER", "member")
    async with reach.carillon() as carillon:
        lifecycle = await carillon.tell_member(merchant_id, member_id, fact)
        say("told ", (fact.fact, "bold"), f" (event id {fact.event_id})")
        agenda = await settled_agenda(carillon, lifecycle)
    if agenda.stage == Stage.WAITING:
        warn(
            f"It waits until member {member_id!r} of merchant {merchant_id!r} is known and verified:"
            " see `carillon member import` and `carillon member verify`."
        )
    show_agenda(agenda)
