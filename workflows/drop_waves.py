"""How the waves of a coupon drop are sent, each a workflow of its own."""

import asyncio
from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from workflows.lifecycle import ATTEMPT, PATIENT, Loop
from workflows.waiting import deliver_in_turn

with workflow.unsafe.imports_passed_through():
    from activities.coupons import Coupons
    from models.agenda import ChannelOutcome, Notice
    from models.drop_agenda import counted, outcomes_of, planned
    from models.drop_state import AGAIN, DropState, with_channels
    from models.wave import Wave
    from models.wave_showing import CANCELLED, NO_CHANNEL, wordless_report
    from models.wave_state import WaveReport


class DropWaves(Loop[DropState]):
    """What a drop has under way. `writing` is held while a change of it is written into SQL."""

    def __init__(self, state: DropState) -> None:
        super().__init__(state)
        self.writing = asyncio.Lock()

    def start_delivery(self, notice: Notice) -> asyncio.Task[list[ChannelOutcome]]:
        """Each wave is a workflow of its own: told to stop, it ends in order and says what it did."""
        wave = next(one.wave for one in planned(self.state) if one.notice.key == notice.key)
        return asyncio.create_task(self.send(notice, wave))

    async def send(self, notice: Notice, wave: Wave) -> list[ChannelOutcome]:
        report = await self.delivered(wave)
        self.state = counted(self.state, report.counts)
        return list(outcomes_of(notice, report, self.now()))

    async def delivered(self, wave: Wave) -> WaveReport:
        """The wave, by the channels that the merchant has at its moment."""
        try:
            if self.state.told_days:
                # Its pages read the last day in SQL: what moved it is written there first.
                async with self.writing:
                    pass
            if self.state.asks:
                wave = replace(wave, channels=await self.channels())
        except BaseException as error:
            if not is_cancelled_exception(error):
                raise
            return wordless_report(wave, CANCELLED)
        return await deliver_in_turn(wave, AGAIN) if wave.channels else wordless_report(wave, NO_CHANNEL)

    async def channels(self) -> tuple[str, ...]:
        """By which channels the merchant tells of it now; the agenda goes by them from here on."""
        channels = await workflow.execute_activity_method(
            Coupons.channels_of,
            self.state.drop,
            start_to_close_timeout=ATTEMPT,
            retry_policy=PATIENT,
            summary="by which channels the merchant sends now",
        )
        self.state = with_channels(self.state, channels)
        return channels
