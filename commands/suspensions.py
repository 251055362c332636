"""`carillon merchant suspend` and `resume`: the brand-level switch. [CRES-04]"""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from activities.consents import Consents
from activities.merchants import Merchants
from commands.failures import Mistake
from commands.output import say
from commands.reach import VAR, DataDir, Reach
from models.channels import Family, in_words

MerchantId = Annotated[str, typer.Argument(help="The merchant's id.", metavar="ID")]
Channels = Annotated[Family, typer.Option(help="Which channels.")]


def suspend(
    id_: MerchantId,
    reason: Annotated[str, typer.Option(help="Why, in words: it is told with every message refused.")],
    channels: Channels = Family.SMS_PLUS,
    data_dir: DataDir = VAR,
) -> None:
    """Let a merchant send nothing by these channels, until it is resumed."""
    asyncio.run(_suspend(Reach(data_dir), id_, channels, reason))
    say((id_, "bold"), f" is suspended: {in_words(channels)}")


def resume(id_: MerchantId, channels: Channels = Family.SMS_PLUS, data_dir: DataDir = VAR) -> None:
    """Let a merchant send by these channels again."""
    if not asyncio.run(_resume(Reach(data_dir), id_, channels)):
        raise Mistake(f"merchant {id_!r} is not suspended there: name what is with --channels")
    say((id_, "bold"), f" may send again: {in_words(channels)}")


async def _suspend(reach: Reach, merchant_id: str, family: Family, reason: str) -> None:
    async with reach.database() as engine:
        await Merchants(engine).get(merchant_id)
        await Consents(engine).suspend(merchant_id, family, reason, datetime.now(UTC))


async def _resume(reach: Reach, merchant_id: str, family: Family) -> bool:
    async with reach.database() as engine:
        await Merchants(engine).get(merchant_id)
        return await Consents(engine).resume(merchant_id, family, datetime.now(UTC))
