"""Members kept in bulk, on both databases."""

import csv
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.consents import Consents
from activities.database import reading
from activities.members import MEMBERS, Counts, Enrolment, Members, read_members
from intake.members import BadLine, MemberFile
from models.consent import Consent, ConsentGiven, member_subject
from models.member import Member
from models.notices import NoticeClass
from tests.requirements import requirement
from tests.world import MERCHANT

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
ADA = Member(
    MERCHANT.id,
    "ada",
    "Ada Lin",
    datetime(2024, 2, 29, 10, 30, tzinfo=UTC),
    email="ada@example.com",
    phone="+886912345678",
    push="token",
    locale="zh-Hant",
    zone="Asia/Tokyo",
    birth_date=date(2000, 2, 29),
    branch_id="west",
    customer_id="0912345678",
    groups=("taipei", "vip"),
)


def some(number: int, **changes: Any) -> list[Member]:
    return [replace(Member(MERCHANT.id, f"m-{n:05}", f"Member {n}", NOW), **changes) for n in range(number)]


@requirement("MAAC-01", "WACA-09b")
async def test_a_member_is_read_as_it_was_told(engine: AsyncEngine) -> None:
    """Every field of it, and of no other merchant's."""
    members = Members(engine)
    assert await members.upsert([ADA], NOW) == Counts(new=1)
    assert await members.get(MERCHANT.id, "ada") == ADA
    assert await members.many(MERCHANT.id, ["ada", "nobody"]) == {"ada": ADA}
    assert await members.get("another", "ada") is None
    async with reading(engine) as connection:
        row = (await connection.execute(select(MEMBERS))).one()
    assert (row.birthday, row.granted, row.revision, row.memory) == (229, True, 1, "")


async def test_told_again_only_what_is_new_is_touched(engine: AsyncEngine) -> None:
    """The revision rises with a change; what the lifecycle remembers is left alone."""
    members = Members(engine)
    await members.upsert([ADA, *some(3)], NOW)
    async with engine.begin() as connection:
        await connection.execute(MEMBERS.update().values(memory="{}"))
    changed = replace(ADA, email="", groups=("vip",), birth_date=None)
    assert await members.upsert([changed, *some(4)], LATER) == Counts(new=1, changed=1, same=3)
    kept, other = await members.kept(MERCHANT.id, "ada"), await members.kept(MERCHANT.id, "m-00000")
    assert kept is not None
    assert other is not None
    assert (kept.member, kept.revision, kept.updated_at) == (changed, 2, LATER)
    assert (other.revision, other.updated_at) == (1, NOW)
    async with reading(engine) as connection:
        memory = await connection.execute(select(MEMBERS.c.memory).where(MEMBERS.c.member_id == "ada"))
        assert memory.scalar_one() == "{}"


async def test_fields_that_are_not_told_stay(engine: AsyncEngine) -> None:
    """A file without a column blanks nothing; one with it does. Without its date a registration stays."""
    members = Members(engine)
    await members.upsert([ADA], NOW)
    bare = Member(MERCHANT.id, "ada", "Ada Chen", LATER)
    told = frozenset({"member_id", "name", "phone"})
    assert await members.enrol([Enrolment(bare, told)], LATER) == Counts(changed=1)
    assert await members.get(MERCHANT.id, "ada") == replace(ADA, name="Ada Chen", phone="")


async def test_of_a_member_told_twice_in_one_go_the_last_counts(engine: AsyncEngine) -> None:
    """And the counts tell of both."""
    members = Members(engine)
    told = [ADA, replace(ADA, name="Ada Chen"), replace(ADA, name="Ada Chen", groups=())]
    assert await members.upsert([*told, told[-1]], NOW) == Counts(new=1, changed=2, same=1)
    assert await members.get(MERCHANT.id, "ada") == told[-1]


@requirement("MAAC-02", "MAAC-06", "MAAC-07", "MAAC-08", "MAAC-12")
async def test_a_member_is_bound_while_its_customer_id_is_not_blank(engine: AsyncEngine) -> None:
    """Whatever it is: a mobile number, an email address, a number; blanked it is bound no more."""
    members = Members(engine)
    for customer_id in ("0912345678", "ada@example.com", "A123456789", "7"):
        await members.upsert([replace(ADA, customer_id=customer_id)], NOW)
        found = await members.get(MERCHANT.id, "ada")
        assert found is not None
        assert found.bound
        assert (await members.tally(MERCHANT.id)).bound == 1
    for blank in ("", "  "):
        await members.upsert([replace(ADA, customer_id=blank)], NOW)
        assert not (await members.many(MERCHANT.id, ["ada"]))["ada"].bound
        assert (await members.tally(MERCHANT.id)).bound == 0


@requirement("LS-51", "LS-03")
async def test_members_without_email_and_those_of_a_group_are_listed(engine: AsyncEngine) -> None:
    """With how many there are of each."""
    members = Members(engine)
    await members.upsert([ADA, *some(3, groups=("vip",), phone="+886912345678")], NOW)
    await members.upsert([replace(ADA, member_id="wait")], NOW, granted=False)
    tally = await members.tally(MERCHANT.id)
    assert (tally.members, tally.bound, tally.without_email) == (5, 2, 3)
    assert (tally.without_phone, tally.not_granted) == (0, 1)
    without = await members.listed(MERCHANT.id, without_email=True)
    assert [kept.member.member_id for kept in without] == ["m-00000", "m-00001", "m-00002"]
    assert len(await members.listed(MERCHANT.id, group="vip", limit=4)) == 4
    assert [kept.member.member_id for kept in await members.listed(MERCHANT.id, group="taipei")] == [
        "ada",
        "wait",
    ]


@requirement("WACA-35")
async def test_who_waits_for_a_code_is_no_member_yet(engine: AsyncEngine) -> None:
    """Waves do not find it; an import does not make it one."""
    members = Members(engine)
    await members.upsert([ADA], NOW, granted=False)
    await members.upsert([replace(ADA, name="Ada Chen")], LATER)
    async with reading(engine) as connection:
        assert await read_members(connection, MERCHANT.id, ["ada"]) == {}
    await members.grant(MERCHANT.id, "ada", LATER)
    assert list(await members.many(MERCHANT.id, ["ada"])) == ["ada"]


async def test_a_page_is_read_whole(engine: AsyncEngine) -> None:
    """Of more than one list of a query, each with its own groups."""
    members = Members(engine)
    told = [replace(one, groups=(f"g{n % 3}",)) for n, one in enumerate(some(1_201))]
    assert await members.upsert(told, NOW) == Counts(new=1_201)
    async with reading(engine) as connection:
        found = await read_members(connection, MERCHANT.id, [one.member_id for one in told])
    assert found == {one.member_id: one for one in told}


def word(state: Consent, at: datetime = NOW, source: str = "import") -> ConsentGiven:
    return ConsentGiven(MERCHANT.id, "sms", NoticeClass.PROMOTIONAL, state, source, at, member_id="ada")


async def test_a_list_of_members_does_not_undo_what_they_said(engine: AsyncEngine) -> None:
    """An undated yes takes the place of no no, and a dated one only of a no that is older."""
    members, consents = Members(engine), Consents(engine)

    async def imported(given: ConsentGiven, *, dated: bool) -> str:
        await members.enrol([Enrolment(ADA, consents=(given,), dated=dated)], LATER)
        (row,) = await consents.said_by(MERCHANT.id, member_subject("ada"))
        return str(row["state"])

    assert await imported(word(Consent.OPTED_IN), dated=False) == "opted_in"
    await consents.record_consent([word(Consent.OPTED_OUT, NOW + timedelta(hours=1), "answered STOP")])
    assert await imported(word(Consent.OPTED_IN, LATER), dated=False) == "opted_out"
    assert await imported(word(Consent.OPTED_IN, NOW), dated=True) == "opted_out"
    assert await imported(word(Consent.OPTED_IN, LATER), dated=True) == "opted_in"
    assert await imported(word(Consent.OPTED_OUT, LATER), dated=False) == "opted_out"


async def test_who_says_something_else_has_changed(engine: AsyncEngine) -> None:
    """Though the profile is as it was: once, whoever changes too, and not for what is only said again."""
    members = Members(engine)

    async def imported(*given: ConsentGiven, name: str = ADA.name, dated: bool = True) -> Counts:
        told = Enrolment(replace(ADA, name=name), consents=given, dated=dated)
        return await members.enrol([told, Enrolment(replace(ADA, member_id="bo"))], LATER)

    assert await imported(word(Consent.OPTED_IN)) == Counts(new=2)
    assert await imported(word(Consent.OPTED_IN)) == Counts(same=2)
    assert await imported(word(Consent.OPTED_OUT)) == Counts(changed=1, same=1)
    assert await imported(word(Consent.OPTED_IN), dated=False) == Counts(same=2), "a yes that undoes nothing"
    assert await imported(word(Consent.OPTED_IN, LATER), name="Ada Chen") == Counts(changed=1, same=1)


async def test_an_import_that_broke_off_is_run_again(engine: AsyncEngine) -> None:
    """What had been written is as it was, the rest is new."""
    members = Members(engine)
    told = some(4_500)

    def breaking_off() -> Iterator[Enrolment]:
        yield from map(Enrolment, told[:3_000])
        raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        await members.enrol(breaking_off(), NOW)
    counts = await members.upsert(told, LATER)
    assert (counts.new + counts.same, counts.changed) == (4_500, 0)
    assert 0 < counts.same < 3_000
    assert (await members.tally(MERCHANT.id)).members == 4_500


def a_file_of(number: int, path: Path) -> Path:
    """Members as a shop exports them; every thousandth line is of no use."""
    with path.open("w", encoding="utf-8", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(
            ("member_id", "name", "email", "phone", "birth_date", "groups", "consent_promotional_sms")
        )
        for n in range(number):
            phone = "12" if n % 1_000 == 999 else f"09{n:08}"
            groups = "vip; taipei" if n % 3 else ""
            rows.writerow(
                (
                    f"m-{n}",
                    f"會員 {n}",
                    f"m{n}@example.com",
                    phone,
                    f"19{50 + n % 50}-02-28",
                    groups,
                    "yes" if n % 2 else "",
                )
            )
    return path


async def imported(file: Path, engine: AsyncEngine) -> tuple[Counts, list[BadLine]]:
    refused: list[BadLine] = []

    def good() -> Iterator[Enrolment]:
        for _, found in MemberFile(file, MERCHANT, NOW):
            if isinstance(found, BadLine):
                refused.append(found)
            else:
                yield found

    return await Members(engine).enrol(good(), NOW), refused


def test_the_memory_of_an_import_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Line by line it is read."""
    file = a_file_of(6_000, tmp_path / "members.csv")
    tracemalloc.start()
    for _, _ in zip(range(5_000), MemberFile(file, MERCHANT, NOW), strict=False):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_500_000


async def test_some_thousand_members_are_imported_twice_on_either_database(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    """The second time all are as they were."""
    file = a_file_of(5_000, tmp_path / "members.csv")
    assert (await imported(file, engine))[0] == Counts(new=4_995)
    counts, refused = await imported(file, engine)
    assert counts == Counts(same=4_995)
    assert len(refused) == 5
