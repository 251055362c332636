"""The pace of a provider, on both databases: it holds across processes, and what must wait is not lost."""

import asyncio
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.attempt import Later
from activities.message_log import MessageLog
from activities.rates import LATE, LONGEST_WAIT, NEAR, SECOND, Limit, Rates, limit_of
from channels.base import Abilities, Credentials, DeliveryError
from channels.registry import Channels
from models.agenda import ChannelOutcome, Status
from tests.activities.test_message_log import asked
from tests.databases import listen
from tests.pacing import PER_SECOND, Counting, new_attempt, paced_item, pipeline_to

ROOT = Path(__file__).resolve().parent.parent.parent
NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
TEN = Limit("smpp:1", 10)
GAP = SECOND / 10


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rates(engine: AsyncEngine, clock: Clock) -> Rates:
    return Rates(engine, clock)


def about(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def test_two_processes_keep_the_pace_of_a_provider_together(database_url: str, tmp_path: Path) -> None:
    """In no second does it get more than its limit, and every message once."""
    file, each = tmp_path / "taken", 30
    started = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.pacing", database_url, f"p{number}"),
            *(str(number * each), str((number + 1) * each), str(file)),
            cwd=ROOT,
        )
        for number in range(2)
    ]
    assert await asyncio.gather(*(process.wait() for process in started)) == [0, 0]
    lines = [line.split() for line in file.read_text().splitlines()]
    assert Counter(key for _, key in lines) == Counter(f"n{number}" for number in range(2 * each))
    moments = sorted(float(moment) for moment, _ in lines)
    busiest = max(sum(start <= other < start + 1 for other in moments) for start in moments)
    assert busiest <= PER_SECOND
    assert moments[-1] - moments[0] < 4 * len(moments) / PER_SECOND, "and it makes use of its limit"


async def test_turns_are_given_one_after_the_other(rates: Rates, clock: Clock) -> None:
    """The first at once, each other a tenth of a (long) second later; a pause gives nothing back."""
    turns = await asyncio.gather(*(rates.reserve(TEN, timedelta(seconds=8)) for _ in range(3)))
    assert [about(turn.at) for turn in turns] == [about(NOW + number * GAP) for number in range(3)]
    clock.now += timedelta(hours=1)
    assert (await rates.reserve(TEN, timedelta(0))).at == clock.now
    assert not (await rates.reserve(TEN, timedelta(0))).given
    assert (await rates.reserve(replace(TEN, name="another"), timedelta(0))).given


async def test_who_cannot_wait_so_long_takes_no_turn_and_is_called_back(rates: Rates, clock: Clock) -> None:
    """One after the other, at the pace of the limit; what they leave is there for whoever comes."""
    patience = timedelta(milliseconds=150)
    turns = [await rates.reserve(TEN, patience) for _ in range(5)]
    assert [turn.given for turn in turns] == [True, True, False, False, False]
    assert [about(turn.at) for turn in turns] == [about(NOW + number * GAP) for number in range(5)]
    clock.now = turns[2].at
    again = await rates.reserve(TEN, patience)
    assert again.given
    assert again.at == clock.now


async def test_a_clock_that_is_wrong_stops_nobody_for_long(engine: AsyncEngine, rates: Rates) -> None:
    """A machine that lives a day ahead took a turn: the others go on, and wait ten minutes at the most."""
    ahead = Clock()
    ahead.now += timedelta(days=1)
    for _ in range(2):
        await Rates(engine, ahead).reserve(TEN, timedelta(0))
    assert (await rates.reserve(TEN, timedelta(0))).at == NOW
    turn = await rates.reserve(TEN, timedelta(0))
    assert (turn.given, turn.at) == (False, NOW + LONGEST_WAIT)


async def test_a_turn_that_was_slept_through_is_let_go(engine: AsyncEngine) -> None:
    """Two must not leave together because one of them was held up."""
    rates, warned = Rates(engine), []

    async def hold_up() -> None:
        warned.append(True)
        await asyncio.sleep((NEAR + 3 * LATE).total_seconds())

    first = await rates.reserve(TEN, timedelta(0))
    turn = await rates.wait(TEN, timedelta(seconds=8), hold_up)
    assert turn.given
    assert turn.at - first.at > 2 * GAP
    assert datetime.now(UTC) - turn.at <= LATE + timedelta(milliseconds=20)
    assert warned == [True]


async def test_what_has_no_turn_in_time_waits_in_the_log_without_a_doubt(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    """It is told when to come again; nothing has left, and the next attempt takes it up cleanly."""
    slow = Counting(tmp_path / "taken", per_second=0.1)
    async with httpx.AsyncClient() as http:
        pipeline = pipeline_to(engine, slow, http)
        (went,), (waits,) = await pipeline.send([paced_item("n1"), paced_item("n2")], new_attempt("first"))
    await slow.close()
    assert isinstance(went, ChannelOutcome)
    assert went.status is Status.SENT
    assert isinstance(waits, Later)
    assert waits.wait is not None
    assert timedelta(seconds=8) < waits.wait < timedelta(seconds=12)
    rows = {row["notice_key"]: row for row in await MessageLog(engine).messages()}
    assert (rows["n2"]["status"], rows["n2"]["doubtful"]) == ("waiting", False)
    assert rows["n2"]["reason"] == "smpp takes only so many messages a second"
    delivery = paced_item("n2").delivery
    (claim,) = await MessageLog(engine).claim([asked("second", "sms", delivery=delivery)])
    assert (claim.doubtful, claim.outcome) == (False, None)


async def test_a_provider_without_a_limit_costs_nothing(engine: AsyncEngine, tmp_path: Path) -> None:
    """No row is read or written for it."""
    said: list[str] = []
    listen(engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    free = Counting(tmp_path / "taken", per_second=None)
    async with httpx.AsyncClient() as http:
        await pipeline_to(engine, free, http).send([paced_item("n1")], new_attempt("first"))
    await free.close()
    assert said
    assert not any("provider_rates" in statement for statement in said)


def test_the_limit_is_the_providers_own_or_a_setting_for_each_account(tmp_path: Path) -> None:
    """By merchant; two merchants of one account share its limit, and no secret is in its name."""
    provider = Counting(tmp_path / "taken", per_second=5)
    provider.abilities = Abilities(per_second=5, account=("SMPP_SYSTEM_ID",))
    environment = {
        "CARILLON_SMPP_SYSTEM_ID": "the house",
        "CARILLON_SMPP_SYSTEM_ID__OWN": "its own",
        "CARILLON_SMPP_PER_SECOND__OWN": "40",
        "CARILLON_SMPP_PER_SECOND__BAD": "many",
    }
    credentials = Credentials(environment)
    of_one, of_two, own = (limit_of(provider, credentials, name) for name in ("one", "two", "own"))
    assert of_one == of_two
    assert of_one is not None
    assert own is not None
    assert (of_one.per_second, own.per_second) == (5, 40)
    assert of_one.name != own.name
    assert "house" not in of_one.name
    with pytest.raises(DeliveryError, match="CARILLON_SMPP_PER_SECOND is not a number above zero"):
        limit_of(provider, credentials, "bad")


async def test_no_provider_that_ships_states_a_limit() -> None:
    """Theirs are a matter of the contract: a setting names them."""
    async with Channels.from_environment({}) as channels:
        for name in ("twsms", "twilio", "smpp", "smartdove", "console"):
            assert limit_of(channels.get("sms", name), channels.credentials, "lumi") is None
