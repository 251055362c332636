"""Codes that verify phones, on both databases: taken once, for a while, and not guessed."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.database import open_database, reading
from activities.members import Members
from activities.phone_codes import CODES, CodeError, PhoneCodes, Sending
from models.member import Member
from models.tables.consents import VerifiedAddressRow
from tests.requirements import requirement
from tests.world import MERCHANT

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
PHONE = "+886912000111"
ADA = Member(MERCHANT.id, "ada", "Ada", NOW, phone=PHONE)
POLICY = MERCHANT.phone_check
LATER = timedelta(seconds=POLICY.pause_seconds)


@pytest.fixture
async def codes(engine: AsyncEngine) -> PhoneCodes:
    await Members(engine).upsert([ADA, replace(ADA, member_id="bo")], NOW, granted=False)
    return PhoneCodes(engine)


@pytest.fixture
async def elsewhere(database_url: str) -> AsyncIterator[PhoneCodes]:
    """The codes as another process has them."""
    engine = open_database(database_url)
    yield PhoneCodes(engine)
    await engine.dispose()


def sending(reference: str = "r1", member_id: str = "ada") -> Sending:
    return Sending(MERCHANT, member_id, PHONE, reference)


def another(code: str, by: int = 1) -> str:
    return f"{(int(code) + by) % 10**POLICY.digits:0{POLICY.digits}}"


async def answer(codes: PhoneCodes, given: str, at: datetime = NOW, member_id: str = "ada") -> str:
    """What is said to an answer; nothing where it is right."""
    try:
        await codes.answer(MERCHANT, member_id, given, at)
    except CodeError as error:
        return str(error)
    return ""


@requirement("WACA-35")
async def test_the_right_code_verifies_the_phone_and_grants_the_membership(
    engine: AsyncEngine, codes: PhoneCodes
) -> None:
    """In one transaction; and it is used up."""
    fresh = await codes.make(sending(), NOW)
    assert re.fullmatch(r"[0-9]{6}", fresh.code)
    assert fresh.ends_at == NOW + timedelta(minutes=POLICY.minutes)
    assert await answer(codes, fresh.code) == ""
    kept = await Members(engine).kept(MERCHANT.id, "ada")
    assert kept is not None
    assert (kept.granted, kept.revision) == (True, 2)
    async with reading(engine) as connection:
        (row,) = await connection.execute(select(VerifiedAddressRow.__table__))  # type: ignore[attr-defined]
    assert (row.merchant_id, row.address, row.channel, row.source) == ("lumi", PHONE, "sms", "phone code")
    assert "no code is open for ada: ask for a new one" in await answer(codes, fresh.code)


@requirement("WACA-35")
async def test_only_a_salted_hash_is_kept(engine: AsyncEngine, codes: PhoneCodes) -> None:
    """The same code twice is two hashes; neither holds it, nor does anything that is shown."""
    fresh = await codes.make(sending(), NOW)
    again = await codes.make(sending(), NOW)
    async with reading(engine) as connection:
        rows = (await connection.execute(select(CODES))).all()
    assert len({row.hash for row in rows}) == len({row.salt for row in rows}) == 2
    for code in (fresh.code, again.code):
        assert not [value for row in rows for value in row if value == code]
        assert code not in repr(fresh) + repr(again)


@requirement("WACA-35")
async def test_a_code_ends_after_its_minutes(codes: PhoneCodes) -> None:
    """To the second, and says when it ended by the shop's clock."""
    fresh = await codes.make(sending(), NOW)
    assert await answer(codes, fresh.code, fresh.ends_at) == (
        "the code ended at Sun 1 Mar 2026 10:10 (Asia/Taipei): ask for a new one"
    )
    assert await answer(codes, fresh.code, fresh.ends_at - timedelta(seconds=1)) == ""


@requirement("WACA-35")
async def test_wrong_answers_are_counted_and_the_last_one_ends_it(codes: PhoneCodes) -> None:
    """Then even the right one does not do."""
    fresh = await codes.make(sending(), NOW)
    told = [await answer(codes, another(fresh.code, by)) for by in range(1, POLICY.attempts + 1)]
    assert told[0] == "that is not the code: 4 tries are left"
    assert told[3] == "that is not the code: 1 try is left"
    assert told[4] == "that is not the code, and it was the last try: ask for a new one"
    assert "no code is open" in await answer(codes, fresh.code)


@requirement("WACA-35")
async def test_guesses_made_at_one_time_get_no_more_tries(codes: PhoneCodes, elsewhere: PhoneCodes) -> None:
    """From two processes: of thirty exactly so many are compared, and none of the others is."""
    fresh = await codes.make(sending(), NOW)
    guesses = [another(fresh.code, by) for by in range(1, 31)]
    told = await asyncio.gather(
        *(answer((codes, elsewhere)[number % 2], guess) for number, guess in enumerate(guesses))
    )
    assert sum("that is not the code" in words for words in told) == POLICY.attempts
    assert sum("no code is open" in words for words in told) == 30 - POLICY.attempts
    assert "no code is open" in await answer(codes, fresh.code)


@requirement("WACA-35")
async def test_one_code_answered_at_one_time_by_many_is_taken_once(
    codes: PhoneCodes, elsewhere: PhoneCodes
) -> None:
    """The others find it used up."""
    fresh = await codes.make(sending(), NOW)
    told = await asyncio.gather(*(answer((codes, elsewhere)[n % 2], fresh.code) for n in range(8)))
    assert sorted(told)[0] == ""
    assert sum(words == "" for words in told) == 1


@requirement("WACA-35")
async def test_a_later_code_takes_the_place_of_the_one_before(codes: PhoneCodes) -> None:
    """Only of the same member: another one with that phone keeps its own."""
    first = await codes.make(sending(), NOW)
    other = await codes.make(sending("r2", "bo"), NOW + LATER)
    later = await codes.make(sending("r3"), NOW + 2 * LATER)
    if first.code != later.code:
        assert "that is not the code" in await answer(codes, first.code, NOW + 2 * LATER)
    assert await answer(codes, later.code, NOW + 2 * LATER) == ""
    assert await answer(codes, other.code, NOW + 2 * LATER, "bo") == ""


@requirement("WACA-35")
async def test_a_code_that_was_replaced_is_not_taken_when_the_later_one_is_used_up(codes: PhoneCodes) -> None:
    """Else every code sent before would give so many tries more."""
    first, at = await codes.make(sending(), NOW), NOW + LATER
    later = await codes.make(sending("r2"), at)
    for _ in range(POLICY.attempts):
        await answer(codes, "nothing", at)
    assert "no code is open" in await answer(codes, first.code, at)
    assert "no code is open" in await answer(codes, later.code, at)


@requirement("WACA-35")
async def test_every_attempt_at_one_sending_may_have_arrived(codes: PhoneCodes) -> None:
    """Their codes hold as long as the first, are guessed at together, and are used up together."""
    first = await codes.make(sending(), NOW)
    await answer(codes, "nothing")
    second = await codes.make(sending(), NOW + timedelta(minutes=3))
    assert second.ends_at == first.ends_at
    assert await answer(codes, "nothing") == "that is not the code: 3 tries are left"
    assert await answer(codes, first.code) == ""
    assert "no code is open" in await answer(codes, second.code)
    with pytest.raises(CodeError, match="not open any more"):
        await codes.make(sending(), NOW + timedelta(minutes=4))


@requirement("WACA-35")
async def test_sends_to_one_phone_are_limited(codes: PhoneCodes) -> None:
    """By a pause between two, by a number in a day; whoever asks. The refusal says when again."""
    await codes.make(sending("r1"), NOW)
    words = r"too many codes went to this phone: try again at Sun 1 Mar 2026 10:02 \(Asia/Taipei\)"
    with pytest.raises(CodeError, match=words):
        await codes.make(sending("r2", "bo"), NOW + LATER - timedelta(seconds=1))
    for number in range(2, POLICY.sends + 1):
        await codes.make(sending(f"r{number}", "bo"), NOW + number * LATER)
    last = NOW + (POLICY.sends + 1) * LATER
    with pytest.raises(CodeError, match=r"try again at Mon 2 Mar 2026 10:01"):
        await codes.may_send(MERCHANT, PHONE, last)
    await codes.may_send(MERCHANT, "+886912000112", last)
    await codes.may_send(replace(MERCHANT, id="another"), PHONE, last)
    await codes.make(sending("r9"), NOW + timedelta(hours=POLICY.hours))


@requirement("WACA-35")
async def test_many_who_ask_at_one_time_get_one_code(codes: PhoneCodes, elsewhere: PhoneCodes) -> None:
    """The pause holds for sendings that begin together, too."""

    async def make(number: int) -> bool:
        try:
            await (codes, elsewhere)[number % 2].make(sending(f"r{number}", ("ada", "bo")[number % 2]), NOW)
        except CodeError:
            return False
        return True

    assert sum(await asyncio.gather(*(make(number) for number in range(8)))) == 1


async def test_what_never_left_counts_towards_no_limit(codes: PhoneCodes) -> None:
    """A refused message is no code on any phone."""
    await codes.make(sending("r1"), NOW)
    await codes.withdraw(sending("r1"))
    await codes.may_send(MERCHANT, PHONE, NOW)
    assert "no code is open" in await answer(codes, "000000")


async def test_a_code_is_for_the_phone_that_the_member_has(engine: AsyncEngine, codes: PhoneCodes) -> None:
    """One whose phone was changed meanwhile asks for another."""
    fresh = await codes.make(sending(), NOW)
    await Members(engine).upsert([replace(ADA, phone="+886912000999")], NOW)
    assert "no code is open" in await answer(codes, fresh.code)
    assert "'nobody' is no member of lumi" in await answer(codes, fresh.code, member_id="nobody")
