"""The activities of a wave: its audience is cut into pages, each page delivered, what is left settled."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.attempt import Answer, Attempt, Item, Later, this_attempt
from activities.audience import Chosen, Marking, Overlapping, Selection, Sharing
from activities.audiences import SELECTIONS
from activities.database import reading, transact
from activities.delivery import being_handed_over
from activities.merchants import Merchants, UnknownMerchantError
from activities.message_log import MessageLog
from activities.pipeline import Pipeline
from activities.wave_rows import (
    Standing,
    closings_of,
    key_of,
    missed_closing,
    read_elsewhere,
    read_on_the_way,
    read_standing,
)
from activities.wave_tally import Settled, Tally
from models.agenda import Delivery, Notice
from models.merchant import Merchant
from models.notices import CATALOGUE
from models.wave import Wave
from models.wave_state import CloseWave, Cut, CutOrder, PageDone, PageOrder
from policies.routes import next_channel

PAGE = timedelta(minutes=4)
"""One go at a page. Nothing leaves in its last minute: it is over before the next one begins."""
LATEST, LAST_WORD = PAGE - timedelta(seconds=60), PAGE - timedelta(seconds=10)
ALIVE = timedelta(seconds=90)
"""A message of a page may wait for its turn twice and be handed over twice, while its group is in hand."""
TOGETHER = 500
"""So many members of a page are read and decided at one time."""
ENOUGH = timedelta(seconds=20)
"""A page that takes longer, of a slow provider's, says how far it is."""
BEAT = timedelta(seconds=5)
"""So often a page gives a sign, or four times in the time that it may give none."""


@dataclass
class Hand:
    """One go at a page: whether it is to leave off, and how far it is: so many members of so many."""

    stopped: bool = False
    position: tuple[int, int] = (0, 0)


class Waves:
    """The activities of waves, with what they need."""

    def __init__(
        self,
        engine: AsyncEngine,
        merchants: Merchants,
        pipeline: Pipeline,
        log: MessageLog,
        selections: Mapping[str, Selection] = SELECTIONS,
    ) -> None:
        self._engine = engine
        self._merchants = merchants
        self._pipeline = pipeline
        self._log = log
        self._selections = selections

    @activity.defn(name="cut_wave")
    async def cut(self, order: CutOrder) -> Cut:
        """Where the next pages of the audience end, by the ids of its members."""
        wave, options = order.wave, order.options
        merchant = await self._merchant(wave)
        most = options.page_size * options.cut_ahead
        if not order.after:
            await self._take_back(wave, merchant, own=False)
        ids, member_id = self._who(wave, merchant, activity.info().started_time)
        async with reading(self._engine) as connection:
            query = ids.where(member_id > order.after).order_by(member_id).limit(most)
            found = list((await connection.execute(query)).scalars())
        size = options.even_size(len(found))
        ends = found[size - 1 :: size]
        if len(found) % size:
            ends.append(found[-1])
        return Cut(tuple(ends), last=len(found) < most, zone=merchant.zone)

    @activity.defn
    async def deliver_page(self, order: PageOrder) -> PageDone:
        """Send to every member of a page what is not settled yet. Safe to run again, and after a crash.

        Told to stop, by the wave or because the worker ends, it comes to the end of the group in hand and
        says what it did.
        """
        hand = Hand()
        attempt = replace(
            this_attempt(),
            latest=LATEST,
            last_word=LAST_WORD,
            alive=ALIVE,
            stopped=lambda: hand.stopped or activity.is_worker_shutdown(),
        )
        work = asyncio.create_task(self._deliver(order, attempt, hand))
        async with _beating(hand, timedelta(seconds=order.options.heartbeat_seconds)):
            while True:
                try:
                    return await asyncio.shield(work)
                except asyncio.CancelledError:
                    if work.done():
                        raise
                    hand.stopped = True

    @activity.defn(name="close_wave")
    async def close(self, order: CloseWave) -> int:
        """Settle what is on the way and will not be sent; answers how many messages that were."""
        wave, now = order.wave, activity.info().started_time
        merchant = await self._merchant(wave)
        why = "the wave was cancelled" if order.everybody else "the member is not in its audience any more"
        closed, last, in_hand = _told_before(), 0, False
        while True:
            async with reading(self._engine) as connection:
                messages = await read_on_the_way(connection, wave, after=last)
                members = [one.member_id for one in messages]
                owed = await self._still_owed(connection, order, merchant, now, members)
            if not messages and in_hand:
                raise being_handed_over()
            if not messages:
                await self._take_back(wave, merchant, own=True)
                return closed
            gone = [one for one in messages if one.member_id not in owed]
            outcomes = await self._log.close(closings_of(wave, gone, why, now))
            in_hand |= None in outcomes
            closed, last = closed + len(gone) - outcomes.count(None), messages[-1].id
            activity.heartbeat(closed)

    async def _take_back(self, wave: Wave, merchant: Merchant, *, own: bool) -> None:
        """Let other waves tell what was noted and went to nobody."""
        selection, now = self._selection(wave), activity.info().started_time
        if not isinstance(selection, Marking):
            return
        marking = selection

        async def some(connection: AsyncConnection) -> int:
            return await marking.take_back(connection, wave, merchant, now, own=own)

        while await transact(self._engine, some):
            activity.heartbeat()

    async def _still_owed(
        self,
        connection: AsyncConnection,
        order: CloseWave,
        merchant: Merchant,
        now: datetime,
        members: Sequence[str],
    ) -> set[str]:
        """Those of these to whom it is told still: by this wave, or by another one of the same moment."""
        selection = self._selection(order.wave)
        found = [] if order.everybody else [selection.who(order.wave, merchant, now)]
        found += [selection.others(order.wave, merchant)] if isinstance(selection, Sharing) else []
        owed = set[str]()
        for one in found if members else []:
            ids, member_id = _ids(one)
            owed |= set((await connection.execute(ids.where(member_id.in_(members)))).scalars())
        return owed

    async def _deliver(self, order: PageOrder, attempt: Attempt, hand: Hand) -> PageDone:
        """All of a page, so many members at a time."""
        wave, page = order.wave, order.page
        merchant = await self._merchant(wave)
        ids, member_id = self._who(wave, merchant, attempt.now)
        within = ids.where(member_id > page.after, member_id <= page.until).order_by(member_id)

        async def look(connection: AsyncConnection) -> list[str]:
            return list((await connection.execute(within)).scalars())

        members = await transact(self._engine, look, writes=False)
        tally = Tally(page.counted_to, wave.channels, wave.due)
        for start in range(0, len(members), TOGETHER):
            hand.position = start, len(members)
            if attempt.stopped() or attempt.elapsed() > attempt.latest:
                tally.leave(len(members) - start)
                break
            if attempt.elapsed() > ENOUGH and tally.moves:
                tally.go_on(len(members) - start, attempt.now)
                break
            await self._send(members[start : start + TOGETHER], wave, merchant, attempt, tally)
        return tally.done(attempt.now, stopped=attempt.stopped())

    async def _send(
        self, members: Sequence[str], wave: Wave, merchant: Merchant, attempt: Attempt, tally: Tally
    ) -> None:
        """Send to some members what is not settled yet, and count them."""
        try:
            (settled, under_way), chosen = await self._look(members, wave, merchant, attempt.now)
        except Exception as error:
            if attempt.now <= wave.not_after:
                raise  # another attempt may find it mended
            settled, under_way = await self._miss(members, wave, merchant, attempt.now, error), {}
            chosen = []
        items = [
            item
            for item in _items(chosen, wave, merchant, under_way)
            if item.channel not in settled.get(item.delivery.content.member_id, {})
        ]
        later = _noted(settled, items, await self._pipeline.send(items, attempt))
        selection = self._selection(wave)
        overlaps = isinstance(selection, Overlapping) and selection.overlaps(wave)
        unsure = [name for name, by in settled.items() if overlaps and _unplaced(by)]
        if unsure:
            settled |= await transact(
                self._engine, lambda connection: read_elsewhere(connection, wave, unsure), writes=False
            )
        now = attempt.now
        for member_id in sorted({*settled, *later}):
            if member_id in later:
                tally.wait(later[member_id], now)
            else:
                tally.settle(settled[member_id])

    async def _look(
        self, members: Sequence[str], wave: Wave, merchant: Merchant, now: datetime
    ) -> tuple[Standing, list[Chosen]]:
        """What is settled or under way, and what is told to those of whom not everything is settled.

        Where that is marked, no other wave tells of the same from here on. Past its last moment a wave marks
        nothing: it would silence what a later one can tell.
        """
        selection = self._selection(wave)
        channels = set(_open_channels(wave, merchant)) or set(wave.channels[:1])

        async def look(connection: AsyncConnection) -> tuple[Standing, list[Chosen]]:
            standing = settled, under_way = await read_standing(connection, wave, members)
            # Who is settled by every channel there is, and was, needs no second look.
            rest = [one for one in members if one in under_way or not channels <= settled.get(one, {}).keys()]
            if not rest:
                return standing, []
            if isinstance(selection, Marking) and now <= wave.not_after:
                await selection.mark(connection, wave, merchant, rest, now)
            return standing, await selection.read(connection, wave, merchant, rest, now)

        return await transact(self._engine, look, writes=isinstance(selection, Marking))

    async def _miss(
        self, members: Sequence[str], wave: Wave, merchant: Merchant, now: datetime, error: Exception
    ) -> dict[str, dict[str, Settled]]:
        """Call missed what is not settled of these: it is over, and nobody could read what to tell them.

        So a wave comes to its end, whatever fails. Answers what is settled by member and channel.
        """
        activity.logger.error("wave %s: its audience cannot be read: %r", wave.wave_id, error)
        async with reading(self._engine) as connection:
            settled, under_way = await read_standing(connection, wave, members)
        usable = [channel for channel in wave.channels if channel in merchant.channels] or wave.channels[:1]
        why = f"its last moment passed; {type(error).__name__} while its audience was read"
        going = [
            (member_id, channel)
            for member_id in members
            for channel in dict.fromkeys((*usable, *_begun(wave, under_way.get(member_id, ()))))
            if channel not in settled.get(member_id, {})
        ]
        while going:
            missed = [missed_closing(wave, *one, why, now) for one in going]
            following = []
            for (member_id, _), one, came in zip(going, missed, await self._log.close(missed), strict=True):
                if came is not None:
                    settled.setdefault(member_id, {})[came.channel] = Settled(came.status, came.at, came.rule)
                    # What a chain has gone on to is closed with it.
                    link = next_channel(one.delivery.notice, came)
                    following += [(member_id, link)] if link is not None else []
            going = following
        return settled

    async def _merchant(self, wave: Wave) -> Merchant:
        """The merchant, or a failure that another attempt may mend once it is applied."""
        try:
            return await self._merchants.get(wave.merchant_id)
        except UnknownMerchantError as error:
            raise ApplicationError(str(error), type="UnknownMerchant") from None

    def _selection(self, wave: Wave) -> Selection:
        name = wave.audience.name
        if name not in self._selections:
            # A worker of a newer version knows it: the wave waits for one.
            known = ", ".join(sorted(self._selections))
            raise ApplicationError(f"no audience {name!r}; there is: {known}", type="UnknownAudience")
        return self._selections[name]

    def _who(self, wave: Wave, merchant: Merchant, now: datetime) -> tuple[Select[Any], Any]:
        """The ids of the audience, and the column that they are in."""
        return _ids(self._selection(wave).who(wave, merchant, now))


def _told_before() -> int:
    """How many an earlier attempt at this activity has closed."""
    told = activity.info().heartbeat_details
    return int(told[0]) if told else 0


def _ids(found: Select[tuple[str]]) -> tuple[Select[Any], Any]:
    (member_id,) = found.subquery().c
    return select(member_id), member_id


def _items(
    chosen: Sequence[Chosen], wave: Wave, merchant: Merchant, under_way: Mapping[str, Set[str]]
) -> Iterator[Item]:
    """Notices by every channel that the wave, the merchant and the member have, or have another for.

    Where there is none it is proposed by the first channel all the same: the gate refuses it, and the
    history says why. So it is by one that was begun and has been lost since, lest it wait for ever.
    """
    prefix, row = key_of(wave, ""), CATALOGUE[wave.kind]
    on, role = merchant.channels, row.role
    chains = [(channel, row.chain(channel, wave.channels)) for channel in dict.fromkeys(wave.channels)]
    open_chains = [(channel, chain, [link for link in chain if link in on]) for channel, chain in chains]
    nothing, last = frozenset[str](), wave.not_after
    for one in chosen:
        begun = under_way.get(one.content.member_id, nothing)
        reaching = [
            channel
            for channel, chain, links in open_chains
            if any(map(one.person.address, links)) or not begun.isdisjoint(chain)
        ]
        channels = tuple(reaching) or wave.channels[:1]
        not_after = last if one.not_after is None else min(last, one.not_after)
        key = prefix + one.content.member_id
        notice = Notice(key, wave.kind, role, one.person, channels, wave.due, not_after)
        delivery = Delivery(notice, one.content, wave.merchant_id, wave.lifecycle)
        for channel in channels:
            yield Item(delivery, channel, merchant)


def _begun(wave: Wave, under_way: Collection[str]) -> list[str]:
    """The channels of a wave of whose chain a message is under way."""
    row = CATALOGUE[wave.kind]
    return [
        channel
        for channel in wave.channels
        if any(link in under_way for link in row.chain(channel, wave.channels))
    ]


def _noted(
    settled: dict[str, dict[str, Settled]], items: Sequence[Item], answers: Sequence[Sequence[Answer]]
) -> dict[str, list[Later]]:
    """Write the answers to what is settled; by member what is still to come."""
    later: dict[str, list[Later]] = {}
    for item, links in zip(items, answers, strict=True):
        member_id = item.delivery.content.member_id
        for answer in links:
            if isinstance(answer, Later):
                later.setdefault(member_id, []).append(answer)
            else:
                came = Settled(answer.status, answer.at, answer.rule)
                settled.setdefault(member_id, {})[answer.channel] = came
    return later


def _open_channels(wave: Wave, merchant: Merchant) -> list[str]:
    """The channels of a wave that the merchant has switched on, or has one for that takes their place."""
    row, on = CATALOGUE[wave.kind], merchant.channels
    return [
        channel for channel in wave.channels if any(link in on for link in row.chain(channel, wave.channels))
    ]


def _unplaced(outcomes: Mapping[str, Settled]) -> bool:
    """Whether it is not known yet which wave has settled a message."""
    return any(one.due is None for one in outcomes.values())


@asynccontextmanager
async def _beating(hand: Hand, patience: timedelta) -> AsyncIterator[None]:
    """Give signs of life."""
    task = asyncio.create_task(_beat(hand, min(BEAT, patience / 4)))
    try:
        yield
    finally:
        task.cancel()


async def _beat(hand: Hand, every: timedelta) -> None:
    while True:
        activity.heartbeat(*hand.position)
        await asyncio.sleep(every.total_seconds())
