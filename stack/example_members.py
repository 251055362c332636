"""The example shop's members, its coupon and its regular tasks, begun today."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.coupons import CouponError, Coupons
from activities.members import Enrolment, Members
from activities.merchants import Merchants
from client import Carillon
from commands.membership import REGISTRATION
from commands.task_apply import Shop
from intake.coupons import read_drop
from intake.members import MemberFile
from intake.tasks import read_tasks
from models.coupon import CouponDrop
from models.member_facts import Registered
from models.merchant import Merchant
from models.timing import local_day

MEMBERS = "members.csv"
COUPON = "spring-coupon.toml"
TASKS = "lumi-tasks.toml"
SHOP = "lumi"


@dataclass(frozen=True)
class _Given:
    """What is given to play with."""

    members: tuple[Enrolment, ...]
    drop: CouponDrop


async def start_members(carillon: Carillon, engine: AsyncEngine, task_queue: str, folder: Path) -> list[str]:
    """Take in the members, greet the newest, give all of them the coupon, and set up the tasks.

    Once: what the user has made of it since is left alone. Answers the ids of the lifecycles that it began.
    """
    now = datetime.now(UTC)
    merchant = await Merchants(engine).get(SHOP)
    given = _read(folder, merchant, now)
    coupons = Coupons(engine)
    if await _known(coupons, given.drop):
        return []
    await Members(engine).enrol(given.members, now)
    shop = await Shop.of(engine, carillon.client, task_queue, SHOP)
    tasks = read_tasks(folder / TASKS, merchant)
    if not (await shop.read())[0]:
        await shop.apply(tasks, await shop.difference(tasks), now)
    newest = max(given.members, key=lambda one: one.member.registered_at).member
    fact = Registered(event_id=REGISTRATION, at=now)
    member = await carillon.tell_member(SHOP, newest.member_id, fact)
    await coupons.keep(given.drop, now)
    await coupons.add_members(given.drop, now)
    return [member, (await carillon.start_coupon(given.drop)).lifecycle]


def _read(folder: Path, merchant: Merchant, now: datetime) -> _Given:
    members = tuple(
        found for _, found in MemberFile(folder / MEMBERS, merchant, now) if isinstance(found, Enrolment)
    )
    drop = read_drop(folder / COUPON, merchant)
    today = local_day(now, merchant.zone)
    moved = {name: today + (getattr(drop, name) - drop.issue_on) for name in ("usable_from", "usable_to")}
    return _Given(members, replace(drop, issue_on=today, **moved))


async def _known(coupons: Coupons, drop: CouponDrop) -> bool:
    try:
        await coupons.drop(drop.merchant_id, drop.drop_id)
    except CouponError:
        return False
    return True
