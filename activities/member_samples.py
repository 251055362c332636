"""What one member would really read: a notice made from what stands in SQL, for a preview.

Waves are read by the same audiences that send them; nothing is marked, and nothing leaves.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice, takewhile

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.audience import Chosen
from activities.audience_members import words_for
from activities.audiences import SELECTIONS
from activities.bonus_accounts import balances_of, lots_of
from activities.coupons import held_by
from activities.database import reading
from activities.member_life import UnknownMemberError
from activities.members import read_members
from activities.tasks import tasks_of
from activities.template_samples import Sample
from models.agenda import Notice
from models.birthday import Occasion, next_birthday
from models.bonus_rules import Window, announced
from models.coupon import CouponState
from models.coupon_agenda import expiring_telling, issued_telling
from models.foreseen import HORIZON, RUNS
from models.ids import coupon_workflow_id
from models.member import Member
from models.member_content import BonusView, MemberContent
from models.merchant import Merchant
from models.notices import CATALOGUE, Kind
from models.regular_task import RegularTask, TaskKind
from models.task_runs import task_runs
from models.task_waves import TaskRun, birthday_wave, bonus_wave, promotion_wave
from models.timing import local_day
from models.wave import Audience, Wave

OF_MEMBERS = (
    Kind.MEMBER_WELCOME,
    Kind.INVITATION,
    Kind.INVITATION_AGAIN,
    Kind.COUPON_ISSUED,
    Kind.COUPON_EXPIRING,
    Kind.BONUS_ACTIVATION,
    Kind.BONUS_BURN,
    Kind.BIRTHDAY,
    Kind.PROMOTION,
)
"""The notices that a member of a merchant may get, whoever owes them."""
TELLINGS = {Kind.COUPON_ISSUED: issued_telling, Kind.COUPON_EXPIRING: expiring_telling}


class NothingToShowError(LookupError):
    """The member has nothing that such a notice could speak of; the message says what is missing."""


@dataclass(frozen=True)
class _Asked:
    """Which notice is to be made, of which member, in which language; `now` is UTC."""

    kind: Kind
    member: Member
    merchant: Merchant
    locale: str
    now: datetime

    @property
    def who(self) -> str:
        return f"{self.merchant.id}/{self.member.member_id}"

    @property
    def zone(self) -> str:
        """Where the member lives."""
        return self.member.zone or self.merchant.zone_of(self.member.branch_id)


async def real_sample(
    engine: AsyncEngine, merchant: Merchant, member_id: str, kind: Kind, locale: str, now: datetime
) -> Sample:
    """The notice of that kind as this member would get it next, in that language.

    UnknownMemberError; NothingToShowError where it would get none.
    """
    async with reading(engine) as connection:
        member = (await read_members(connection, merchant.id, [member_id])).get(member_id)
        if member is None:
            raise UnknownMemberError(merchant.id, member_id)
        content = await _content(connection, _Asked(kind, member, merchant, locale, now))
    row = CATALOGUE[kind]
    recipient = replace(member.person, locale=locale)
    notice = Notice(f"preview/{kind}/{member_id}", kind, row.role, recipient, row.channels, now, now)
    return Sample(notice, content, merchant)


async def _content(connection: AsyncConnection, asked: _Asked) -> MemberContent:
    match asked.kind:
        case Kind.COUPON_ISSUED | Kind.COUPON_EXPIRING:
            wave = await _coupon_wave(connection, asked)
        case Kind.BONUS_ACTIVATION | Kind.BONUS_BURN:
            wave = await _bonus_wave(connection, asked)
        case Kind.BIRTHDAY:
            return await _birthday(connection, asked)
        case Kind.PROMOTION:
            wave = await _promotion_wave(connection, asked)
        case _:
            return await _plain(connection, asked)
    selection = SELECTIONS[wave.audience.name]
    found = await selection.read(connection, wave, asked.merchant, [asked.member.member_id], asked.now)
    content = _one(found, asked)
    if asked.kind is Kind.PROMOTION:
        _, words = words_for(wave, asked.locale, asked.merchant.locale)
        return replace(content, title=words.title, body=words.body, image=words.image)
    return content


def _one(found: list[Chosen], asked: _Asked) -> MemberContent:
    if not found:
        raise NothingToShowError(f"{asked.who}: it is not in the audience of such a notice any more")
    return found[0].content


async def _plain(connection: AsyncConnection, asked: _Asked) -> MemberContent:
    """What every notice to a member may say."""
    member, merchant = asked.member, asked.merchant
    balances = await balances_of(connection, merchant.id, [member.member_id], asked.now)
    return MemberContent(member.member_id, asked.zone, member.branch_id, balances=balances[member.member_id])


async def _coupon_wave(connection: AsyncConnection, asked: _Asked) -> Wave:
    """Of the coupon that ends first of those whose holder is told."""
    merchant, telling = asked.merchant, TELLINGS[asked.kind]
    held = await held_by(connection, merchant.id, asked.member.member_id)
    usable = [
        one
        for one in held
        if one.state is CouponState.ISSUED
        and local_day(asked.now, merchant.zone_of(one.drop.branch_id)) <= one.drop.usable_to
    ]
    if not usable:
        raise NothingToShowError(
            f"{asked.who}: it holds no coupon that can be used still: give it one with `carillon coupon add`"
        )
    for one in usable:
        told = telling(one.drop, merchant.coupons, merchant.zone_of(one.drop.branch_id), one.added_at)
        if told is not None:
            drop = one.drop.drop_id
            owner = coupon_workflow_id(merchant.id, drop)
            audience = Audience(asked.kind.value, {"drop": drop})
            channels = CATALOGUE[asked.kind].channels
            moments = told.due, told.not_after
            return Wave(drop, merchant.id, asked.kind, audience, channels, *moments, owner, drop)
    raise NothingToShowError(
        f"{asked.who}: of none of its coupons is such a notice sent: they are usable too short,"
        " or were given too late, for it to be told that they end"
    )


async def _bonus_wave(connection: AsyncConnection, asked: _Asked) -> Wave:
    """Of the first run that tells the member something, by the rule of `models.bonus_rules.announced`."""
    zone, what = asked.merchant.zone, TaskKind(asked.kind.value)
    tasks = await _tasks(connection, asked, what)
    lots = await lots_of(connection, asked.merchant.id, asked.member.member_id)
    for task in tasks:
        for run in _runs(task, zone, asked.now):
            window = Window(run, task.days, zone)
            for currency in dict.fromkeys(
                lot.currency for lot in lots if task.currency in ("", lot.currency)
            ):
                some = [lot for lot in lots if lot.currency == currency]
                if announced(some, what, window, task.minimum, ""):
                    return bonus_wave(TaskRun(task, zone), currency, run)
    raise NothingToShowError(
        f"{asked.who}: it has no bonuses of which {_named(tasks)} will still tell:"
        f" see `carillon bonus show {asked.who}`"
    )


async def _birthday(connection: AsyncConnection, asked: _Asked) -> MemberContent:
    """The next one, with the gift that the task gives."""
    (task, *_) = await _tasks(connection, asked, TaskKind.BIRTHDAY)
    born, zone = asked.member.birth_date, asked.zone
    if born is None:
        raise NothingToShowError(f"{asked.who}: its birth date is not known: import it again with birth_date")
    due = next_birthday(born, task.at, zone, asked.now)
    day = local_day(due, zone)
    wave = birthday_wave(TaskRun(task, asked.merchant.zone), Occasion(zone, day, due, due), due)
    selection = SELECTIONS[wave.audience.name]
    found = await selection.read(connection, wave, asked.merchant, [asked.member.member_id], asked.now)
    content = _one(found, asked)
    if content.bonus is not None or task.gift is None:
        return content
    last = day + timedelta(days=task.gift.days) if task.gift.days else None
    return replace(content, bonus=BonusView(task.gift.currency, task.gift.amount, last))


async def _promotion_wave(connection: AsyncConnection, asked: _Asked) -> Wave:
    """Of the first promotion that goes to a group of the member's, or to everybody."""
    tasks = await _tasks(connection, asked, TaskKind.PROMOTION)
    for task in tasks:
        if not task.groups or not set(task.groups).isdisjoint(asked.member.groups):
            return promotion_wave(TaskRun(task, asked.merchant.zone), asked.now)
    raise NothingToShowError(f"{asked.who}: it is in no group to which {_named(tasks)} goes")


async def _tasks(connection: AsyncConnection, asked: _Asked, kind: TaskKind) -> list[RegularTask]:
    """The regular tasks of that kind, of which there is one at least; the paused ones too."""
    found = [task for task in await tasks_of(connection, asked.merchant.id) if task.kind is kind]
    if not found:
        raise NothingToShowError(
            f"{asked.merchant.id} has no regular task {kind.value!r}, and nobody gets such a notice:"
            " make one with `carillon task apply FILE`"
        )
    return found


def _named(tasks: list[RegularTask]) -> str:
    return "the task " + " or ".join(task.task_id for task in tasks)


def _runs(task: RegularTask, zone: str, now: datetime) -> list[datetime]:
    return list(takewhile(lambda run: run <= now + HORIZON, islice(task_runs(task, zone, now), RUNS)))
