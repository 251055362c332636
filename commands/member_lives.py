"""Lifecycles of members who were imported, begun for those who registered not long ago. [LOY-50]"""

from collections.abc import Collection, Iterator
from datetime import date
from itertools import islice

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.database import aware
from activities.members import CHUNK, Members
from client import Carillon
from commands.looking import each
from commands.membership import REGISTRATION
from commands.output import err
from models.member import Member
from models.member_facts import Registered
from models.merchant import Merchant
from models.timing import local_day


async def begin_lives(
    engine: AsyncEngine, carillon: Carillon, merchant: Merchant, member_ids: Collection[str], since: date
) -> int:
    """Tell the lifecycles of those of these who registered on that day or after, by the merchant's clock.

    Answers of how many. Told again it counts once, and who was welcomed is not welcomed again: it is the
    fact of `carillon member register`, at the moment of the registration. What is too late by then is left
    out by the rules of the lifecycle. Who waits for a phone to be verified is told by its code. [WACA-35]
    """
    members, begun = Members(engine), 0

    async def tell(member: Member) -> None:
        fact = Registered(event_id=REGISTRATION, at=aware(member.registered_at))
        await carillon.tell_member(merchant.id, member.member_id, fact)

    columns = (TextColumn("Beginning lifecycles"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True, disable=not err().is_terminal) as progress:
        task = progress.add_task("", total=len(member_ids))
        for page in _pages(member_ids):
            found = await members.many(merchant.id, page)
            recent = [
                one for one in found.values() if local_day(aware(one.registered_at), merchant.zone) >= since
            ]
            await each(recent, tell)
            begun += len(recent)
            progress.advance(task, len(page))
    return begun


def _pages(member_ids: Collection[str]) -> Iterator[list[str]]:
    left = iter(member_ids)
    while page := list(islice(left, CHUNK)):
        yield page
