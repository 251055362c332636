"""`carillon merchant`: the merchants, their branches and their policies."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter
from rich.table import Table
from rich.text import Text

from activities.consents import Consents, Suspended
from activities.database import migrate, open_database
from activities.merchants import Merchants
from commands.failures import talking_to_database
from commands.output import out, print_json, say
from commands.reach import VAR, AsJson, DataDir, Reach
from commands.suspensions import sentence
from intake import read_merchant
from models.merchant import PROMOTIONAL_WORDS, Merchant
from models.policy import PUBLIC_SHORTENERS

merchant_app = typer.Typer(no_args_is_help=True, help="Merchants, their branches and their policies.")


@merchant_app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="The merchant, as TOML or JSON.")], data_dir: DataDir = VAR
) -> None:
    """Keep a merchant as the file tells, new or changed. Running workers follow within seconds."""
    merchant = read_merchant(file)
    changed = asyncio.run(apply_merchant(Reach(data_dir).settings.database_url, merchant))
    say((merchant.id, "bold"), f" ({merchant.name}) ", "applied" if changed else "is like this already")


@merchant_app.command()
def show(
    id_: Annotated[str, typer.Argument(help="The merchant's id.", metavar="ID")],
    as_json: AsJson = False,
    data_dir: DataDir = VAR,
) -> None:
    """Everything that Carillon knows of a merchant; as JSON, what its file holds."""
    merchant, suspended = asyncio.run(_merchant(Reach(data_dir), id_))
    if as_json:
        print_json(TypeAdapter(Merchant).dump_python(merchant, mode="json"))
        return
    grid = Table.grid(padding=(0, 2))
    for name, value in _lines(asdict(merchant)):
        grid.add_row(Text(name, style="dim"), Text(value))
    out().print(grid)
    for one in suspended:
        say((sentence(one), "bold red"))


async def apply_merchant(database_url: str, merchant: Merchant) -> bool:
    """Keep a merchant in the database, which is made and migrated where that is still to do."""
    async with talking_to_database(database_url):
        await migrate(database_url)
        engine = open_database(database_url)
        try:
            return await Merchants(engine).apply(merchant, datetime.now(UTC))
        finally:
            await engine.dispose()


async def _merchant(reach: Reach, merchant_id: str) -> tuple[Merchant, list[Suspended]]:
    async with reach.database() as engine:
        merchant = await Merchants(engine).get(merchant_id)
        return merchant, await Consents(engine).suspensions(datetime.now(UTC), merchant_id=merchant_id)


def _lines(values: dict[str, Any], where: str = "") -> list[tuple[str, str]]:
    """Every value with its path, as in the file; what is empty or usual is left out."""
    lines = []
    for key, value in values.items():
        path = f"{where}.{key}" if where else str(key)
        match value:
            case str() | tuple() | dict() if not value:
                continue
            case dict():
                lines += _lines(value, path)
            case tuple() if value in (PROMOTIONAL_WORDS, PUBLIC_SHORTENERS):
                lines.append((path, f"the usual {len(value)}"))
            case tuple():
                for number, item in enumerate(value):
                    found = item if isinstance(item, dict) else {"": item}
                    lines += [(name.rstrip("."), text) for name, text in _lines(found, f"{path}[{number}]")]
            case _:
                lines.append((path, str(value)))
    return lines
