"""The audience of a promotion: the members of some groups, or all of them. [LS-03, LS-11, LS-12]"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.audience import Chosen
from activities.bonus_accounts import balances_of
from activities.formats import shipped_locale
from activities.members import GROUPS, MEMBERS, read_members
from models.member_content import MemberContent
from models.merchant import Merchant
from models.wave import Wave, Words


class MembersAudience:
    """Parameter `groups`: their names, a semicolon after each; empty is everybody.

    Who is in two of them is in it once.
    """

    def who(self, wave: Wave, merchant: Merchant, now: datetime) -> Select[tuple[str]]:  # noqa: ARG002
        """The members of at least one of the groups, those granted. [LS-12]"""
        query = select(MEMBERS.c.member_id).where(MEMBERS.c.merchant_id == merchant.id, MEMBERS.c.granted)
        groups = _groups(wave)
        if not groups:
            return query
        within = select(GROUPS.c.member_id).where(
            GROUPS.c.merchant_id == merchant.id, GROUPS.c.group_id.in_(groups)
        )
        return query.where(MEMBERS.c.member_id.in_(within))

    async def read(
        self,
        connection: AsyncConnection,
        wave: Wave,
        merchant: Merchant,
        member_ids: Sequence[str],
        now: datetime,
    ) -> list[Chosen]:
        """The wave's words to each in its own language; where there are none, in the merchant's, or any."""
        groups = set(_groups(wave))
        members = await read_members(connection, merchant.id, member_ids)
        balances = await balances_of(connection, merchant.id, member_ids, now)
        chosen = []
        for _, member in sorted(members.items()):
            if groups and groups.isdisjoint(member.groups):
                continue
            locale, words = words_for(wave, member.locale or merchant.locale, merchant.locale)
            content = MemberContent(
                member.member_id,
                merchant.zone_of(member.branch_id),
                member.branch_id,
                balances=balances.get(member.member_id, ()),
                title=words.title,
                body=words.body,
                image=words.image,
            )
            chosen.append(Chosen(replace(member.person, locale=locale), content))
        return chosen


def words_for(wave: Wave, locale: str, usual: str) -> tuple[str, Words]:
    """The words for a reader of that locale, and the locale that they are in.

    The merchant may have gone over to another language since: then what there is has to do.
    """
    found = (*_near(wave, locale), *_near(wave, usual), *wave.words)
    return (found[0], wave.words[found[0]]) if found else (locale, Words(""))


def _near(wave: Wave, locale: str) -> list[str]:
    """The locales of its words that such a reader reads, the nearest first."""
    same = [tag for tag in wave.words if shipped_locale(tag) == shipped_locale(locale)]
    return sorted(same, key=lambda tag: tag != locale)


def _groups(wave: Wave) -> list[str]:
    named = wave.audience.parameters.get("groups", "")
    # Waves that began when a name could hold no comma have them joined by one.
    return [group for group in named.split(";" if ";" in named else ",") if group]
