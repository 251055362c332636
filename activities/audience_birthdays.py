"""The audience of a birthday's greeting: who celebrates on one day, in one zone. [LOY-80 to LOY-82]"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.audience import Chosen
from activities.bonus_accounts import balances_of
from activities.bonus_books import LOTS, chunks
from activities.database import aware
from activities.members import MEMBERS, read_members
from models.birthday import birthday_number, celebrated_on
from models.credits import to_points
from models.member_content import BonusView, MemberContent
from models.merchant import Merchant
from models.task_waves import birthday_event
from models.timing import SECOND, local_day
from models.wave import Wave


class BirthdaysAudience:
    """Parameters `zone` and `date`, in ISO form."""

    def who(self, wave: Wave, merchant: Merchant, now: datetime) -> Select[tuple[str]]:  # noqa: ARG002
        """Those who celebrate that day and live there. Whose birth date is not known is never among them."""
        return celebrating(merchant, _day(wave), wave.audience.parameters["zone"])

    def others(self, wave: Wave, merchant: Merchant) -> Select[tuple[str]]:
        """Those who celebrate that day and live elsewhere, it may be where the clocks show the same."""
        zone = wave.audience.parameters["zone"]
        return _celebrating(merchant, _day(wave)).where(~_lives_in(merchant, zone))

    async def read(
        self,
        connection: AsyncConnection,
        wave: Wave,
        merchant: Merchant,
        member_ids: Sequence[str],
        now: datetime,
    ) -> list[Chosen]:
        """A greeting names the gift that was given this year, and none where none was."""
        day, zone = _day(wave), wave.audience.parameters["zone"]
        members = await read_members(connection, merchant.id, member_ids)
        balances = await balances_of(connection, merchant.id, member_ids, now)
        events = {birthday_event(day.year, member_id): member_id for member_id in members}
        given = await _gifts(connection, merchant.id, zone, events)
        chosen = []
        for member_id, member in sorted(members.items()):
            born, lives = member.birth_date, member.zone or merchant.zone_of(member.branch_id)
            if born is None or birthday_number(born) not in celebrated_on(day) or lives != zone:
                continue
            content = MemberContent(
                member_id,
                zone,
                member.branch_id,
                bonus=given.get(member_id),
                balances=balances.get(member_id, ()),
            )
            person = member.person
            # A telephone tells better than a branch where its quiet hours are.
            chosen.append(Chosen(person if person.phone else replace(person, zone=zone), content))
        return chosen


def celebrating(merchant: Merchant, day: date, zone: str) -> Select[tuple[str]]:
    """The ids of the members who celebrate that day and live in that zone, in no order."""
    return _celebrating(merchant, day).where(_lives_in(merchant, zone))


def _celebrating(merchant: Merchant, day: date) -> Select[tuple[str]]:
    return select(MEMBERS.c.member_id).where(
        MEMBERS.c.merchant_id == merchant.id,
        MEMBERS.c.granted,
        MEMBERS.c.birthday.in_(celebrated_on(day)),
    )


def _lives_in(merchant: Merchant, zone: str) -> ColumnElement[bool]:
    """A member without a zone of its own lives where its branch is, else where the merchant is."""
    branch = MEMBERS.c.branch_id
    there = [one.id for one in merchant.branches if merchant.zone_of(one.id) == zone]
    elsewhere = [one.id for one in merchant.branches if one.id not in there]
    of_branch = branch.not_in(elsewhere) if merchant.zone == zone else branch.in_(there)
    return or_(MEMBERS.c.zone == zone, and_(MEMBERS.c.zone == "", of_branch))


async def _gifts(
    connection: AsyncConnection, merchant_id: str, zone: str, events: Mapping[str, str]
) -> dict[str, BonusView]:
    """What each event has given, by its member, and the last day of it."""
    found: dict[str, BonusView] = {}
    query = select(LOTS).where(LOTS.c.merchant_id == merchant_id)
    for some in chunks(list(events)):
        for row in await connection.execute(query.where(LOTS.c.event_id.in_(some))):
            last = local_day(aware(row.expires_at) - SECOND, zone) if row.expires_at else None
            found[events[row.event_id]] = BonusView(row.currency, to_points(row.amount), last)
    return found


def _day(wave: Wave) -> date:
    return date.fromisoformat(wave.audience.parameters["date"])
