"""`carillon explain`: why a message went, waits or did not go."""

import asyncio
from typing import Annotated, Any

import typer

from activities.explain import explained, found_messages
from commands.failures import Mistake
from commands.output import plain, print_json, say
from commands.reach import VAR, AsJson, DataDir, Reach


def explain(
    message: Annotated[str, typer.Argument(help="Its number in the history, or a notice key.")],
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """Why a message went, waits or did not go: a sentence for each channel."""
    found = asyncio.run(_found(Reach(data_dir), message))
    if not found:
        raise Mistake(f"no message is {message!r}: see them with `carillon messages --json`")
    if as_json:
        print_json([_document(one) for one in found])
        return
    for one in found:
        say((f"{plain(one['kind'])} to {one['recipient']}, {one['channel']}", "bold"), f": {explained(one)}")


async def _found(reach: Reach, message: str) -> list[dict[str, Any]]:
    async with reach.database() as engine:
        return await found_messages(engine, message)


def _document(message: dict[str, Any]) -> dict[str, Any]:
    kept = ("id", "notice_key", "channel", "status", "rule", "policy_version", "reason")
    return {name: message[name] for name in kept} | {"sentence": explained(message)}
