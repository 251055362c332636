"""`carillon explain`: why a message went, waits or did not go."""

import asyncio
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.explain import explained, found_messages
from activities.members import Members
from activities.message_log import MessageLog
from commands.failures import Mistake
from commands.output import plain, print_json, say
from commands.reach import VAR, AsJson, DataDir, Limit, Reach, lifecycle_id

Found = list[dict[str, Any]]


def explain(
    message: Annotated[
        str,
        typer.Argument(
            help="Its number in the history, or a notice key; or a lifecycle, as `carillon agenda` takes it."
        ),
    ],
    limit: Limit = 200,
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """Why a message went, waits or did not go: a sentence for each channel."""
    found, lifecycle = asyncio.run(_found(Reach(data_dir), message, limit))
    if not found:
        raise Mistake(_nothing(message, lifecycle))
    if as_json:
        print_json([_document(one) for one in found])
        return
    for one in found:
        number = f"{one['id']}  " if lifecycle else ""
        what = f"{number}{plain(one['kind'])} to {one['recipient']}, {one['channel']}"
        say((what, "bold"), f": {explained(one)}")
    if lifecycle and not lifecycle.startswith("wave:"):
        say((f"\n{_elsewhere(lifecycle)}", "dim"))


async def _found(reach: Reach, message: str, limit: int) -> tuple[Found, str]:
    """The messages, the oldest first; and the lifecycle, where all of its own are meant."""
    async with reach.database() as engine:
        if found := await found_messages(engine, message):
            return found, ""
        if (lifecycle := _lifecycle(message)) is None:
            return [], ""
        return (await _all_of(engine, lifecycle, limit))[::-1], lifecycle


async def _all_of(engine: AsyncEngine, lifecycle: str, limit: int) -> Found:
    """The newest first. A member's are those of waves too: whoever asks wants to know what it was told."""
    log = MessageLog(engine)
    kind, _, of = lifecycle.partition(":")
    if kind != "member":
        return await log.messages(lifecycle=lifecycle, limit=limit)
    merchant_id, _, member_id = of.partition(":")
    member = await Members(engine).get(merchant_id, member_id)
    addresses = (member.email, member.phone, member.push) if member else ()
    return await log.messages(merchant_id=merchant_id, member_id=member_id, addresses=addresses, limit=limit)


def _lifecycle(given: str) -> str | None:
    """The id of the lifecycle that is meant, where it may be one: a notice key has more parts."""
    if given.count("/") > 1 or ("/" in given and ":" in given):
        return None
    try:
        return lifecycle_id(given)
    except Mistake:
        return None


def _nothing(message: str, lifecycle: str) -> str:
    if lifecycle.startswith("wave:"):
        return f"there is no message of {lifecycle} yet: see it with `carillon wave show {lifecycle}`"
    if lifecycle:
        return f"there is no message of {lifecycle} yet: {_elsewhere(lifecycle)}"
    return f"no message is {message!r}: see their numbers with `carillon messages`"


def _elsewhere(lifecycle: str) -> str:
    """What is in no message: notices that are still owed, and those that were left out."""
    return f"what it owes, and what it left out and why, is told by `carillon agenda {lifecycle}`"


def _document(message: dict[str, Any]) -> dict[str, Any]:
    kept = ("id", "notice_key", "channel", "status", "rule", "policy_version", "reason")
    return {name: message[name] for name in kept} | {"sentence": explained(message)}
