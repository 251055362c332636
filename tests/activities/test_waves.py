"""One page of a wave, and the deaths that it may meet, on both databases."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.audience import Chosen, Selection
from activities.database import writing
from activities.handing_over import OVERTAKEN, HandingOver
from activities.members import MEMBERS
from activities.merchants import Merchants
from activities.message_log import MessageLog
from activities.message_rows import Asked, Claim, Left
from activities.pipeline import Pipeline
from activities.rates import Rates
from activities.rendering import Renderer
from activities.standing import Standings
from activities.waves import ALIVE, Waves
from channels.base import DeliveryError, Message
from channels.registry import Channels
from models.policy import ClassPolicy, ConsentRule, GatePolicy
from models.wave import Audience, Wave
from models.wave_state import CloseWave, Counts, Cut, CutOrder, Page, PageDone, PageOrder, WaveOptions
from tests.waves import EVERYBODY, HAND, Counting, Everybody, address, enrol, members, wave
from tests.world import MERCHANT

NOW = datetime(2026, 3, 10, 4, tzinfo=UTC)
SHOP = replace(MERCHANT, gate=GatePolicy(loyalty=ClassPolicy(ConsentRule.OPT_OUT)))
"""Its members may be written to at any hour, and often."""
MANY = HAND + 30
WHOLE = Page("", "m99999")


class Death(BaseException):
    """The worker is no more."""


class MortalLog(MessageLog):
    """The message log, at one of whose doors an attempt dies: nothing is written after that."""

    def __init__(self, engine: AsyncEngine, door: str = "", passes: int = 0) -> None:
        super().__init__(engine)
        self.door, self.dead, self._passes = door, False, itertools.count(-passes)

    async def claim(self, asked: Sequence[Asked], left: Sequence[Left] = ()) -> list[Claim]:
        self._reach("before the claim")
        claims = await super().claim(asked, left)
        self._reach("after the claim")
        return claims

    async def leave(self, left: Sequence[Left]) -> None:
        self._reach("before settling")
        await super().leave(left)
        self._reach("after settling")

    def _reach(self, door: str) -> None:
        if self.dead or (door == self.door and next(self._passes) == 0):
            self.dead = True
            raise Death


class Overlapped(Everybody):
    """All members, as later holders of a coupon are: another wave may tell them the same."""

    def overlaps(self, wave: Wave) -> bool:  # noqa: ARG002
        return True


def waves(
    engine: AsyncEngine,
    provider: Counting,
    log: MessageLog | None = None,
    selection: Selection = Everybody(),  # noqa: B008
) -> Waves:
    """The activities, with the whole pipeline behind them."""
    log = log or MessageLog(engine)
    channels = Channels({}, cast(httpx.AsyncClient, None), extra={"smtp": provider})
    pipeline = Pipeline(log, Standings(engine), RENDERER, HandingOver(log, channels, Rates(engine)))
    return Waves(engine, Merchants(engine), pipeline, log, {EVERYBODY: selection})


RENDERER = Renderer()


def attempt(number: int = 1, at: datetime = NOW) -> ActivityEnvironment:
    """An attempt at an activity, at that moment of the wave's clock."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=number, started_time=at)
    return environment


async def deliver(
    the: Waves, made: Wave, number: int = 1, page: Page = WHOLE, at: datetime = NOW
) -> PageDone:
    order = PageOrder(made, page, WaveOptions(page_size=MANY))
    return await attempt(number, at).run(the.deliver_page, order)


def greeting(**changes: Any) -> Wave:
    return wave(**{"due": NOW, "not_after": NOW + timedelta(days=1), **changes})


@pytest.fixture
async def shop(engine: AsyncEngine) -> AsyncEngine:
    """A database with the merchant and a page of its members."""
    await Merchants(engine).apply(SHOP, NOW)
    await enrol(engine, members(MANY))
    return engine


async def statuses(engine: AsyncEngine, made: Wave) -> dict[str, str]:
    """What the log says of each address."""
    rows = await MessageLog(engine).messages(lifecycle=made.lifecycle, limit=1000)
    return {row["address"]: row["status"] for row in rows}


DOORS = [
    ("before the claim", 0, 0),
    ("before the claim", 1, HAND),
    ("after the claim", 0, HAND),
    ("after the claim", 1, HAND),
    ("before settling", 0, HAND),
    ("after settling", 0, 0),
]
"""Where it dies, after so many passes of a group, and how many messages that may leave in doubt."""


async def test_a_page_whose_worker_dies_is_done_by_the_next_and_nobody_is_told_twice(
    shop: AsyncEngine,
) -> None:
    """Whoever may have been told by the dead one is written down as uncertain, those in hand at the most."""
    for number, (door, passes, doubt) in enumerate(DOORS):
        provider, made = Counting(), greeting(lifecycle=f"task:lumi:{number}")
        with pytest.raises(Death):
            await deliver(waves(shop, provider, MortalLog(shop, door, passes)), made)
        done = await deliver(waves(shop, provider), made, 2, at=NOW + 2 * ALIVE)
        told = await statuses(shop, made)
        assert Counter(told.values()) == Counter(sent=done.counts.sent, uncertain=done.counts.uncertain)
        assert (done.selected, done.waiting, done.counts.members) == (MANY, 0, MANY)
        assert done.counts.uncertain <= doubt, door
        assert max(provider.taken.values()) == 1, door
        assert {one for one, status in told.items() if status == "sent"} <= provider.taken.keys(), door


async def test_an_attempt_that_was_given_up_and_lives_sends_nothing_any_more(shop: AsyncEngine) -> None:
    """It is cut off before it claims its last group; the next attempt has sent that.

    Of the first group it had not written down yet that it went: nobody is told twice, and the log says so.
    """
    provider, made = Counting(), greeting()
    cut_off, back = asyncio.Event(), asyncio.Event()

    class Slow(MessageLog):
        async def claim(self, asked: Sequence[Asked], left: Sequence[Left] = ()) -> list[Claim]:
            if provider.asked >= HAND:
                cut_off.set()
                await back.wait()
            return await super().claim(asked, left)

    old = asyncio.create_task(deliver(waves(shop, provider, Slow(shop)), made))
    await cut_off.wait()
    done = await deliver(waves(shop, provider), made, 2, at=NOW + 2 * ALIVE)
    assert done.counts == Counts(sent=MANY - HAND, messages=MANY - HAND, uncertain=HAND)
    back.set()
    await old
    assert provider.taken == Counter({address(number): 1 for number in range(MANY)})
    assert Counter((await statuses(shop, made)).values()) == {"sent": MANY - HAND, "uncertain": HAND}


class Halting(MessageLog):
    """The message log of an attempt that halts before its second group, and goes on when it is told to."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self.halted, self.go_on = asyncio.Event(), asyncio.Event()

    async def claim(self, asked: Sequence[Asked], left: Sequence[Left] = ()) -> list[Claim]:
        if left:
            self.halted.set()
            await self.go_on.wait()
        return await super().claim(asked, left)


async def test_an_attempt_that_another_has_overtaken_hands_over_no_further_group(shop: AsyncEngine) -> None:
    """Cut off from Temporal it may live for minutes: when its last group is another's, it leaves off."""
    provider, made = Counting(), greeting()
    first, second = Halting(shop), Halting(shop)
    old = asyncio.create_task(deliver(waves(shop, provider, first), made))
    await first.halted.wait()
    new = asyncio.create_task(deliver(waves(shop, provider, second), made, 2, at=NOW + 2 * ALIVE))
    await second.halted.wait()
    first.go_on.set()
    assert (await old).reasons == {OVERTAKEN: MANY - HAND}
    assert sum(provider.taken.values()) == HAND
    second.go_on.set()
    assert (await new).counts == Counts(sent=MANY - HAND, messages=MANY - HAND, uncertain=HAND)
    assert max(provider.taken.values()) == 1


async def test_what_an_attempt_that_was_given_up_is_handing_over_goes_once(shop: AsyncEngine) -> None:
    """The next one cannot know: it calls those uncertain and leaves it alone."""
    provider, made, back = Counting(), greeting(), asyncio.Event()

    async def slow(_: Message) -> None:
        await back.wait()

    provider.answer = slow
    old = asyncio.create_task(deliver(waves(shop, provider), made))
    await provider.busy(HAND)
    provider.answer = None
    done = await deliver(waves(shop, provider), made, 2, at=NOW + 2 * ALIVE)
    assert done.counts == Counts(sent=MANY - HAND, messages=MANY - HAND, uncertain=HAND)
    back.set()
    await old
    assert provider.taken == Counter({address(number): 1 for number in range(MANY)})


async def test_a_page_taken_again_counts_only_what_is_new(shop: AsyncEngine) -> None:
    """Whoever was settled in the first go is counted there, and neither read nor sent again."""
    provider, made = Counting(), greeting()

    async def busy(message: Message) -> None:
        if message.to < address(20):
            raise DeliveryError("busy", retry_after=timedelta(minutes=7))

    provider.answer = busy
    first = await deliver(waves(shop, provider), made)
    assert (first.counts, first.waiting) == (Counts(sent=MANY - 20, messages=MANY - 20), 20)
    assert first.again is not None
    assert timedelta(minutes=7) <= first.again - NOW < timedelta(minutes=8)
    assert (first.reasons, first.failing) == ({"busy": 20}, False)
    provider.answer, provider.asked = None, 0
    page = replace(WHOLE, counted_to=first.at)
    second = await deliver(waves(shop, provider), made, page=page, at=first.again)
    assert (second.counts, second.waiting) == (Counts(sent=20, messages=20), 0)
    assert provider.asked == 20


async def test_two_waves_that_come_to_the_same_members_count_each_of_them_once(shop: AsyncEngine) -> None:
    """By whichever of them it was settled, one after the other or at one time; a message is sent once."""

    async def busy(message: Message) -> None:
        if message.to < address(20):
            raise DeliveryError("busy", retry_after=timedelta(minutes=7))

    provider = Counting(answer=busy)
    the, first = waves(shop, provider, selection=Overlapped()), greeting()
    later = replace(first, due=first.due + timedelta(minutes=5))
    begun = await deliver(the, first)
    assert (begun.counts, begun.waiting) == (Counts(sent=MANY - 20, messages=MANY - 20), 20)
    provider.answer = None
    done = await deliver(the, later, at=later.due)
    assert done.counts == Counts(sent=20, messages=20, elsewhere=MANY - 20)
    page = replace(WHOLE, counted_to=begun.at)
    assert (await deliver(the, first, page=page, at=later.due)).counts == Counts(elsewhere=20)

    other = greeting(subject="tomorrow")
    alike = replace(other, due=other.due + timedelta(minutes=5))
    both = await asyncio.gather(
        *(deliver(waves(shop, provider, selection=Overlapped()), one, at=alike.due) for one in (other, alike))
    )
    again = [
        await deliver(the, one, page=replace(WHOLE, counted_to=done.at), at=alike.due + timedelta(minutes=1))
        for one, done in zip((other, alike), both, strict=True)
    ]
    assert sum(done.counts.sent for done in (*both, *again)) == MANY
    assert set(provider.taken.values()) == {2}


async def test_a_page_that_takes_long_says_how_far_it_is_and_goes_on(
    shop: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told twice, and the next go begins at once: nothing has failed."""
    monkeypatch.setattr("activities.waves.ENOUGH", timedelta(0))
    monkeypatch.setattr("activities.waves.TOGETHER", 30)
    provider, made = Counting(), greeting()
    page, counts = WHOLE, Counts()
    for _ in range(0, MANY, 30):
        at = page.counted_to or NOW
        done = await deliver(waves(shop, provider), made, page=page, at=at + timedelta(seconds=1))
        counts = counts.plus(done.counts)
        assert (done.selected, done.waiting) == (MANY, MANY - counts.sent)
        assert (done.failing, done.stopped) == (False, False)
        assert done.again is None or done.again <= done.at
        page = replace(page, counted_to=done.at)
    assert counts == Counts(sent=MANY, messages=MANY)
    assert provider.asked == MANY


async def test_a_page_that_fails_does_not_go_on_at_once(
    shop: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that is down is left alone for a while, however long its page takes."""
    monkeypatch.setattr("activities.waves.ENOUGH", timedelta(0))
    monkeypatch.setattr("activities.waves.TOGETHER", 30)

    async def down(_: Message) -> None:
        raise DeliveryError("HTTP 503")

    provider = Counting()
    provider.answer = down
    done = await deliver(waves(shop, provider), greeting())
    assert (done.waiting, done.failing, done.again) == (MANY, True, None)
    assert provider.asked == MANY


class Unreadable(Everybody):
    """An audience whose members can be told nothing: whoever reads them fails."""

    async def read(self, *_: Any) -> list[Chosen]:
        raise KeyError("fr")


async def test_a_page_that_cannot_be_read_is_missed_once_it_is_too_late(shop: AsyncEngine) -> None:
    """Until then it is tried again; what has gone meanwhile stays sent, and so the wave comes to its end."""
    provider, made = Counting(), greeting()
    await deliver(waves(shop, provider), made, page=Page("", "m00009"))
    broken = waves(shop, provider)
    broken._selections = {EVERYBODY: Unreadable()}
    with pytest.raises(KeyError):
        await deliver(broken, made, 2)
    done = await deliver(broken, made, 3, at=made.not_after + timedelta(seconds=1))
    assert (done.counts.sent, done.counts.missed, done.waiting) == (10, MANY - 10, 0)
    rows = await MessageLog(shop).messages(limit=1000)
    missed = {row["reason"] for row in rows if row["status"] == "missed"}
    assert missed == {"its last moment passed; KeyError while its audience was read"}
    assert sum(row["status"] == "missed" for row in rows) == MANY - 10


async def test_pages_meet_without_a_gap_or_an_overlap(shop: AsyncEngine) -> None:
    """The last one is as long as it is; where pages come out even, one more look finds nobody."""
    the, made = waves(shop, Counting()), greeting()
    options = WaveOptions(page_size=30, cut_ahead=2)
    first: Cut = await attempt().run(the.cut, CutOrder(made, "", options))
    second: Cut = await attempt().run(the.cut, CutOrder(made, first.untils[-1], options))
    assert first == Cut(("m00029", "m00059"), last=False, zone=SHOP.zone)
    assert second == Cut((f"m{MANY - 1:05}",), last=True, zone=SHOP.zone)
    even = replace(options, page_size=MANY // 2)
    whole: Cut = await attempt().run(the.cut, CutOrder(made, "", even))
    empty: Cut = await attempt().run(the.cut, CutOrder(made, whole.untils[-1], even))
    assert (len(whole.untils), whole.untils[-1], whole.last) == (2, f"m{MANY - 1:05}", False)
    assert (empty.untils, empty.last) == ((), True)


async def test_pages_hold_everybody_once_in_whatever_order_the_database_has_ids(shop: AsyncEngine) -> None:
    """Capitals, points, dashes and underscores: every database sorts them its own way."""
    ids = [f"{first}{mark}{last}" for first in "aAbB19" for mark in "._-" for last in ("", "a", "B", "10")]
    some = [replace(one, member_id=ids[n]) for n, one in enumerate(members(len(ids), SHOP.id))]
    async with writing(shop) as connection:
        await connection.execute(delete(MEMBERS))
    await enrol(shop, some)
    provider = Counting()
    the, made, after = waves(shop, provider), greeting(), ""
    while True:
        cut: Cut = await attempt().run(the.cut, CutOrder(made, after, WaveOptions(page_size=5, cut_ahead=2)))
        for until in cut.untils:
            await deliver(the, made, page=Page(after, until))
            after = until
        if cut.last:
            break
    assert provider.taken == Counter({one.email: 1 for one in some})


async def test_closing_leaves_those_alone_who_are_in_the_audience_still(shop: AsyncEngine) -> None:
    """And messages of another moment; a cancelled wave settles all of its own."""
    provider = Counting()

    async def busy(_: Message) -> None:
        raise DeliveryError("busy")

    provider.answer = busy
    the, mine, other = waves(shop, provider), greeting(), greeting(subject="todax")
    for made in (mine, other):
        assert (await deliver(the, made)).waiting == MANY
    async with writing(shop) as connection:
        await connection.execute(delete(MEMBERS).where(MEMBERS.c.member_id < "m00030"))
    assert await attempt().run(the.close, CloseWave(mine)) == 30
    assert await attempt().run(the.close, CloseWave(mine, everybody=True)) == MANY - 30
    rows = Counter(
        (row["notice_key"].split("/")[2], row["status"])
        for row in await MessageLog(shop).messages(limit=1000)
    )
    assert rows == {("today", "lapsed"): MANY, ("todax", "waiting"): MANY}


async def test_a_cancelled_wave_waits_for_what_an_attempt_may_have_in_hand(shop: AsyncEngine) -> None:
    """Its worker died in the middle of a page: what it had in hand is settled once that is surely over."""
    made = greeting()
    with pytest.raises(Death):
        await deliver(waves(shop, Counting(), MortalLog(shop, "after the claim", 0)), made)
    the = waves(shop, Counting())
    with pytest.raises(ApplicationError, match="an attempt is handing it over still"):
        await attempt().run(the.close, CloseWave(made, everybody=True))
    assert Counter((await statuses(shop, made)).values()) == {"handing_over": HAND}
    later = attempt(2, NOW + 2 * ALIVE)
    assert await later.run(the.close, CloseWave(made, everybody=True)) == HAND
    assert Counter((await statuses(shop, made)).values()) == {"uncertain": HAND}


@pytest.mark.parametrize("everybody", [False, True])
async def test_closing_leaves_messages_of_another_wave_of_that_subject_alone(
    shop: AsyncEngine, everybody: bool
) -> None:
    """A coupon's later holders, a birthday in another zone: they have a wave of their own."""

    async def busy(_: Message) -> None:
        raise DeliveryError("busy")

    the, first = waves(shop, Counting(answer=busy)), greeting()
    later = replace(first, due=first.due + timedelta(minutes=5))
    assert (await deliver(the, first, page=Page("", "m00029"))).waiting == 30
    assert (await deliver(the, later, page=Page("m00029", "m99999"), at=later.due)).waiting == MANY - 30
    async with writing(shop) as connection:
        await connection.execute(delete(MEMBERS))
    assert await attempt().run(the.close, CloseWave(later, everybody=everybody)) == MANY - 30
    rows = await MessageLog(shop).messages(limit=1000)
    assert {row["notice_key"][-6:] for row in rows if row["status"] == "waiting"} == {
        f"m{number:05}" for number in range(30)
    }


async def test_an_audience_or_a_merchant_that_is_not_known_yet_is_waited_for(shop: AsyncEngine) -> None:
    """The failure names it, and another attempt may find it."""
    the = waves(shop, Counting())
    for made, word in (
        (greeting(audience=Audience("nobody")), "'nobody'; there is: everybody"),
        (greeting(merchant_id="lost"), "merchant 'lost' is not known"),
    ):
        with pytest.raises(ApplicationError, match=word) as failure:
            await attempt().run(the.cut, CutOrder(made))
        assert not failure.value.non_retryable
