"""The members of all merchants: kept in bulk, read by the page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Row, bindparam, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.bulk import Lookup
from activities.consents import Consents
from activities.coupon_rows import hold_from
from activities.database import reading, writing
from models.consent import ConsentGiven, member_subject
from models.member import Member
from models.people import Person
from models.tables.members import MemberGroupRow, MemberRow

MEMBERS = MemberRow.__table__  # type: ignore[attr-defined]
GROUPS = MemberGroupRow.__table__  # type: ignore[attr-defined]

PAGE = 2_000
"""So many members are written in one transaction."""
CHUNK = 500
"""So many ids in one list of a query."""
T = TypeVar("T")

PROFILE = (
    "name", "email", "phone", "push", "locale", "zone", "birth_date", "branch_id", "customer_id",
    "registered_at",
)  # fmt: skip
"""What is told of a member, groups apart."""
EVERYTHING = frozenset((*PROFILE, "groups"))
_profile = attrgetter(*PROFILE)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A member as it is told.

    `told`: the fields that were told at all; of a member who is known already the others stay as they are.
    `consents`: what the member has said. `dated`: it is known when; else a yes undoes no earlier no, for a
    list of members may be older than what they said since.
    """

    member: Member
    told: frozenset[str] = EVERYTHING
    consents: tuple[ConsentGiven, ...] = ()
    dated: bool = True


@dataclass(frozen=True)
class Counts:
    """What became of members that were told. Who says something else than before has changed too."""

    new: int = 0
    changed: int = 0
    same: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.new + other.new, self.changed + other.changed, self.same + other.same)


@dataclass(frozen=True)
class Kept:
    """A member as it is kept. `granted`: not somebody whose phone is still to be verified. [WACA-35]"""

    member: Member
    granted: bool
    updated_at: datetime
    revision: int


@dataclass(frozen=True)
class Tally:
    """How many members a merchant has, and of how many something is missing or still to come. [LS-51]"""

    members: int
    bound: int
    without_email: int
    without_phone: int
    not_granted: int


class Addressee(NamedTuple):
    """Whom messages go to, and the branch that the member belongs to."""

    person: Person
    branch_id: str


class Members:
    """The members of all merchants.

    A member told twice is kept once. Whether it is bound is not kept but asked of its customer ID, each time:
    one that is blanked is bound no more. [MAAC-02, MAAC-12]
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._consents = Consents(engine)
        insert = postgresql_insert if engine.dialect.name == "postgresql" else sqlite_insert
        new = insert(MEMBERS)
        profile = {name: new.excluded[name] for name in (*PROFILE, "birthday", "updated_at")}
        # Two who tell of the same member at one time: the later one counts.
        self._upsert = new.on_conflict_do_update(
            index_elements=["merchant_id", "member_id"],
            set_={**profile, "revision": MEMBERS.c.revision + 1},
        )
        self._into_groups = insert(GROUPS).on_conflict_do_nothing()

    async def upsert(self, members: Iterable[Member], now: datetime, *, granted: bool = True) -> Counts:
        """Keep members as they are given, all fields of them."""
        return await self.enrol((Enrolment(member) for member in members), now, granted=granted)

    async def enrol(self, told: Iterable[Enrolment], now: datetime, *, granted: bool = True) -> Counts:
        """Keep members as they are told; what is as it was is not touched. Of a member told twice the last
        counts. `granted` is for new ones: it is not changed for one who is known.

        A page at a time, each in its own transaction: broken off and told again, nothing is lost or doubled.
        """
        counts = Counts()
        for page in _pages(told, PAGE):
            async with writing(self._engine) as connection:
                counts += await self._page(connection, page, now.astimezone(UTC), granted=granted)
        return counts

    async def grant(self, merchant_id: str, member_id: str, now: datetime) -> None:
        """Make a member of somebody whose phone was still to be verified."""
        async with writing(self._engine) as connection:
            await grant(connection, merchant_id, member_id, now)

    async def get(self, merchant_id: str, member_id: str) -> Member | None:
        """The member, whether its membership is granted yet or not."""
        kept = await self.kept(merchant_id, member_id)
        return kept.member if kept is not None else None

    async def kept(self, merchant_id: str, member_id: str) -> Kept | None:
        """The member, and how it is kept."""
        async with reading(self._engine) as connection:
            rows = await _rows(connection, merchant_id, [member_id])
            groups = await _groups(connection, merchant_id, [member_id])
        return next((_kept(row, groups) for row in rows), None)

    async def many(self, merchant_id: str, member_ids: Sequence[str]) -> dict[str, Member]:
        """Those of these who are members, by id."""
        async with reading(self._engine) as connection:
            return await read_members(connection, merchant_id, member_ids)

    async def tally(self, merchant_id: str) -> Tally:
        """How many there are, and of how many something is missing."""
        # Counted by one statement: each of these is a sum over the same rows.
        of = MEMBERS.c
        query = select(
            func.count(),
            _count(func.trim(of.customer_id) != ""),
            _count(of.email == ""),
            _count(of.phone == ""),
            _count(~of.granted),
        ).where(of.merchant_id == merchant_id)
        async with reading(self._engine) as connection:
            return Tally(*(await connection.execute(query)).one())

    async def listed(
        self, merchant_id: str, *, group: str = "", without_email: bool = False, limit: int = 200
    ) -> list[Kept]:
        """The members of a merchant by their ids; those of a group, those without email. [LS-03, LS-51]"""
        query = select(*_COLUMNS).where(MEMBERS.c.merchant_id == merchant_id)
        if without_email:
            query = query.where(MEMBERS.c.email == "")
        if group:
            within = select(GROUPS.c.member_id).where(
                GROUPS.c.merchant_id == merchant_id, GROUPS.c.group_id == group
            )
            query = query.where(MEMBERS.c.member_id.in_(within))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.order_by(MEMBERS.c.member_id).limit(limit))).all()
            groups = await _groups(connection, merchant_id, [row.member_id for row in rows])
        return [_kept(row, groups) for row in rows]

    async def _page(
        self, connection: AsyncConnection, page: Sequence[Enrolment], now: datetime, *, granted: bool
    ) -> Counts:
        counts, changes = Counts(), dict[str, _Change]()
        for merchant_id in sorted({one.member.merchant_id for one in page}):
            of_it = [one for one in page if one.member.merchant_id == merchant_id]
            ids = sorted({one.member.member_id for one in of_it})
            change = changes[merchant_id] = await _change(connection, merchant_id, ids)
            for one in of_it:
                change.take(one)
            await self._write(connection, merchant_id, change, now, granted=granted)
            counts += change.counts
        before = await self._words(connection, page)
        for dated in (True, False):
            said = [word for one in page if one.dated is dated for word in one.consents]
            await self._consents.record_consent(said, connection, undoing=dated)
        for merchant_id, words in (await self._words(connection, page)).items():
            others = {subject for (subject, *_), _ in words.items() - before[merchant_id].items()}
            others -= {member_subject(member_id) for member_id in changes[merchant_id].changed}
            counts += Counts(changed=len(others), same=-len(others))
        return counts

    async def _words(
        self, connection: AsyncConnection, page: Sequence[Enrolment]
    ) -> dict[str, dict[tuple[str, str, str], str]]:
        """What those of a page who say something say as it is kept, by merchant."""
        subjects: dict[str, set[str]] = {}
        for one in page:
            subjects.setdefault(one.member.merchant_id, set()).update(word.subject for word in one.consents)
        return {
            merchant_id: await self._consents.states(connection, merchant_id, some)
            for merchant_id, some in subjects.items()
        }

    async def _write(
        self,
        connection: AsyncConnection,
        merchant_id: str,
        change: "_Change",
        now: datetime,
        *,
        granted: bool,
    ) -> None:
        common = {
            "merchant_id": merchant_id,
            "granted": granted,
            "updated_at": now,
            "revision": 1,
            "memory": "",
        }
        # In the order of their ids, so that nobody waits in a ring.
        changed = [{**common, **change.columns(member_id)} for member_id in sorted(change.changed)]
        if changed:
            await connection.execute(self._upsert, changed)
        moved = sorted(change.moved)
        for ids in _pages(moved, CHUNK):
            await connection.execute(
                delete(GROUPS).where(GROUPS.c.merchant_id == merchant_id, GROUPS.c.member_id.in_(ids))
            )
        within = [
            {"merchant_id": merchant_id, "group_id": group, "member_id": member_id}
            for member_id in moved
            for group in change.groups[member_id]
        ]
        if within:
            await connection.execute(self._into_groups, within)


class _Change:
    """What a page makes of the members of one merchant: one by one, who they were becomes who they are."""

    def __init__(
        self, profiles: Mapping[str, tuple[Any, ...]], groups: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._profiles = dict(profiles)
        self.groups = dict(groups)
        self.changed: set[str] = set()
        self.moved: set[str] = set()
        self.counts = Counts()

    def take(self, one: Enrolment) -> None:
        """Note what is told of one member."""
        member_id, told = one.member.member_id, one.told
        old, profile = self._profiles.get(member_id), _profile(one.member)
        groups = tuple(sorted(set(one.member.groups)))
        if old is not None:
            profile = tuple(
                new if name in told else kept for name, new, kept in zip(PROFILE, profile, old, strict=True)
            )
            groups = groups if "groups" in told else self.groups.get(member_id, ())
        moved = groups != self.groups.get(member_id, ())
        if profile == old and not moved:
            self.counts += Counts(same=1)
            return
        self.counts += Counts(new=1) if old is None else Counts(changed=1)
        self.changed.add(member_id)
        self._profiles[member_id], self.groups[member_id] = profile, groups
        if moved:
            self.moved.add(member_id)

    def columns(self, member_id: str) -> dict[str, Any]:
        """The profile as it is written."""
        columns = dict(zip(PROFILE, self._profiles[member_id], strict=True))
        born = columns["birth_date"]
        return {
            **columns,
            "member_id": member_id,
            "birthday": born.month * 100 + born.day if born is not None else 0,
            "registered_at": columns["registered_at"].astimezone(UTC),
        }


async def read_members(
    connection: AsyncConnection, merchant_id: str, member_ids: Sequence[str]
) -> dict[str, Member]:
    """Those of these ids who are members, as they are now. Who waits for a phone to be verified is none yet.

    Two queries for each 500 ids. [WACA-35, MAAC-12]
    """
    rows = await _rows(connection, merchant_id, member_ids)
    granted = [row for row in rows if row.granted]
    groups = await _groups(connection, merchant_id, [row.member_id for row in granted])
    return {row.member_id: _member(row, groups.get(row.member_id, ())) for row in granted}


async def read_people(
    connection: AsyncConnection, merchant_id: str, member_ids: Sequence[str]
) -> dict[str, Addressee]:
    """Those of these ids who are members, as messages go to them: less than `read_members`, and cheaper."""
    rows = await _PEOPLE.rows(connection, {"members": member_ids}, merchant=merchant_id)
    return {row[0]: addressee(*row) for row in rows}


def addressee(
    member_id: str, name: str, email: str, phone: str, locale: str, push: str, zone: str, branch_id: str
) -> Addressee:
    """A member whose columns `OF_AN_ADDRESSEE` are these."""
    return Addressee(Person(name, email, phone, locale, member_id, member_id, push, zone), branch_id)


OF_AN_ADDRESSEE = tuple(
    MEMBERS.c[name] for name in ("member_id", "name", "email", "phone", "locale", "push", "zone", "branch_id")
)
_PEOPLE = Lookup(
    select(*OF_AN_ADDRESSEE).where(MEMBERS.c.merchant_id == bindparam("merchant"), MEMBERS.c.granted),
    members=MEMBERS.c.member_id,
)


async def grant(connection: AsyncConnection, merchant_id: str, member_id: str, now: datetime) -> None:
    """Whoever waited for a phone to be verified waits no longer; coupons are held from now on. [WACA-35]"""
    now = now.astimezone(UTC)
    granted = await connection.execute(
        update(MEMBERS)
        .where(MEMBERS.c.merchant_id == merchant_id, MEMBERS.c.member_id == member_id)
        .where(MEMBERS.c.granted.is_(False))
        .values(granted=True, updated_at=now, revision=MEMBERS.c.revision + 1)
    )
    if granted.rowcount:
        await hold_from(connection, merchant_id, member_id, now)


async def _change(connection: AsyncConnection, merchant_id: str, member_ids: Sequence[str]) -> _Change:
    rows = await _rows(connection, merchant_id, member_ids, locked=True)
    profiles = {row.member_id: tuple(_profile(row)) for row in rows}
    return _Change(profiles, await _groups(connection, merchant_id, list(profiles)))


async def _rows(
    connection: AsyncConnection, merchant_id: str, member_ids: Sequence[str], *, locked: bool = False
) -> list[Row[Any]]:
    query = select(*_COLUMNS).where(MEMBERS.c.merchant_id == merchant_id)
    if locked:
        query = query.order_by(MEMBERS.c.member_id).with_for_update()
    found: list[Row[Any]] = []
    for ids in _pages(member_ids, CHUNK):
        found += (await connection.execute(query.where(MEMBERS.c.member_id.in_(ids)))).all()
    return found


async def _groups(
    connection: AsyncConnection, merchant_id: str, member_ids: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The groups that each of these is in, sorted; of those who are in any."""
    query = select(GROUPS.c.member_id, GROUPS.c.group_id).where(GROUPS.c.merchant_id == merchant_id)
    found: dict[str, list[str]] = {}
    for ids in _pages(member_ids, CHUNK):
        for member_id, group in await connection.execute(query.where(GROUPS.c.member_id.in_(ids))):
            found.setdefault(member_id, []).append(group)
    return {member_id: tuple(sorted(groups)) for member_id, groups in found.items()}


_COLUMNS = [
    MEMBERS.c[name]
    for name in (
        "merchant_id", "member_id", "name", "registered_at", "email", "phone", "push", "locale", "zone",
        "birth_date", "branch_id", "customer_id", "granted", "updated_at", "revision",
    )
]  # fmt: skip
"""The fields of a Member in their order, groups apart, and how it is kept."""
_OF_A_MEMBER = 12


def _pages(found: Iterable[T], size: int) -> Iterator[list[T]]:
    remaining = iter(found)
    while page := list(islice(remaining, size)):
        yield page


def _member(row: Row[Any], groups: tuple[str, ...]) -> Member:
    fields: tuple[Any, ...] = (*row[:_OF_A_MEMBER], groups)
    return Member(*fields)


def _kept(row: Row[Any], groups: Mapping[str, tuple[str, ...]]) -> Kept:
    return Kept(_member(row, groups.get(row.member_id, ())), row.granted, row.updated_at, row.revision)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
