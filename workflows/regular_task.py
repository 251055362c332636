"""One run of a regular task: it works out which run it is, and starts what that run owes."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import Priority, SearchAttributeKey

from workflows.lifecycle import ATTEMPT, LAST_OUTCOME, PATIENT, STAGE
from workflows.waiting import deliver, until

with workflow.unsafe.imports_passed_through():
    from activities.task_bonuses import Burning, Giving, TaskBonuses
    from activities.tasks import Asked, Beginning, Begun, Celebrating, Ending, Tasks
    from models.birthday import Occasion
    from models.regular_task import TaskKind
    from models.task_runs import is_run
    from models.task_waves import (
        TaskReport,
        TaskRun,
        birthday_numbers,
        birthday_occasions,
        bonus_wave,
        greetings,
        in_time,
        overtaken,
        patience,
        promotion_wave,
        why_left,
    )
    from models.wave import Wave
    from models.wave_showing import BROKEN_OFF

SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
LONG = timedelta(minutes=10)
"""Gifts and upkeep go over many accounts."""
LAST = Priority(priority_key=5)
READ_ANEW = "birthdays-read-anew"
"""A patch: runs that began before it give and greet as they began, and what is late gets no gift either."""


@workflow.defn(name="RegularTaskWorkflow")
class RegularTaskWorkflow:
    """`task:{merchant}:{task}-{when}`. All keys come of the run: the same one twice doubles nothing."""

    @workflow.init
    def __init__(self, job: TaskRun) -> None:
        self.job = job
        self.at = job.at or workflow.info().typed_search_attributes.get(SCHEDULED_AT) or workflow.now()
        self.report = TaskReport(self.at)
        self.anew = False

    @workflow.run
    async def run(self, _: TaskRun) -> TaskReport:
        """Do what this run owes, and answer what came of it."""
        if self.job.at is None and not is_run(self.job.task, self.job.zone, self.at):
            # The clocks went back, and Temporal's cron comes twice to that hour.
            return self.ended(TaskReport(self.at, "no run of this task: its hour came twice"))
        await until(self.at)
        begun = await self.begin()
        if begun.skip:
            return self.ended(TaskReport(self.at, begun.skip))
        match self.job.task.kind:
            case TaskKind.BONUS_UPKEEP:
                await self.burn(begun.since)
            case TaskKind.BIRTHDAY:
                await self.celebrate()
            case TaskKind.PROMOTION:
                await self.send([promotion_wave(self.job, self.at)])
            case _:
                await self.send([bonus_wave(self.job, one, self.at) for one in begun.currencies])
        await workflow.execute_activity_method(
            Tasks.end,
            Ending(self.job.task, self.at, workflow.now(), self.report.words),
            start_to_close_timeout=ATTEMPT,
            retry_policy=PATIENT,
            summary="note what came of it",
        )
        return self.ended(self.report)

    async def begin(self) -> Begun:
        """Take note of the run, and learn what it needs."""
        now = workflow.now()
        late, old = now - self.at > patience(self.job.task), overtaken(self.job, self.at, now)
        return await workflow.execute_activity_method(
            Tasks.begin,
            Beginning(self.job.task, self.at, now, late, old),
            start_to_close_timeout=ATTEMPT,
            retry_policy=PATIENT,
            summary="note that it begins",
        )

    async def burn(self, since: datetime | None) -> None:
        """Let bonuses end whose moment has come."""
        words = await workflow.execute_activity_method(
            TaskBonuses.burn,
            Burning(self.job.task.merchant_id, workflow.now(), since),
            start_to_close_timeout=LONG,
            heartbeat_timeout=ATTEMPT,
            retry_policy=PATIENT,
            priority=LAST,
            summary="burn what has ended",
        )
        self.report = replace(self.report, bonuses=words or "nothing ended or began")

    async def celebrate(self) -> None:
        """Greet every zone at its own hour of this day; the gift comes first. [LOY-80 to LOY-82]"""
        zones = await workflow.execute_activity_method(
            Tasks.zones,
            Celebrating(self.job.task.merchant_id, birthday_numbers(self.job, self.at)),
            start_to_close_timeout=ATTEMPT,
            retry_policy=PATIENT,
            summary="the zones of those who celebrate",
        )
        found = birthday_occasions(self.job, zones, self.at)
        self.anew = workflow.patched(READ_ANEW)
        if not self.anew:
            found = in_time(self.job, found, workflow.now())
        await asyncio.gather(*(self.greet(occasion) for occasion in found))

    async def greet(self, occasion: Occasion) -> None:
        """The gift comes however late it is; a greeting that is too late the wave calls missed. [LOY-81]"""
        await until(occasion.due)
        job = await self.as_it_stands(occasion) if self.anew else self.job
        if job is None:
            return
        if (gift := job.task.gift) is not None:
            gifts = await workflow.execute_activity_method(
                TaskBonuses.give,
                Giving(job.task.merchant_id, gift, occasion, workflow.now()),
                start_to_close_timeout=LONG,
                heartbeat_timeout=ATTEMPT,
                retry_policy=PATIENT,
                summary=f"birthday gifts in {occasion.zone}",
            )
            self.report = self.report.plus(gifts=gifts)
        waves, why = greetings(job, occasion, workflow.now(), leaves=self.anew)
        self.report = self.report.leaving(why)
        await self.send(waves)

    async def as_it_stands(self, occasion: Occasion) -> TaskRun | None:
        """The run with its task as it stands now; None where it lets the birthday be."""
        task = self.job.task
        standing = await workflow.execute_activity_method(
            Tasks.standing,
            Asked(task.merchant_id, task.task_id),
            start_to_close_timeout=ATTEMPT,
            retry_policy=PATIENT,
            summary="the task as it stands now",
        )
        why = why_left(self.job, occasion, standing.task, workflow.now(), paused=standing.paused)
        self.report = self.report.leaving(why)
        return None if why or standing.task is None else replace(self.job, task=standing.task)

    async def send(self, waves: list[Wave]) -> None:
        """Start the waves and wait for their ends. One that is under way already is left to itself."""
        for came in await asyncio.gather(*(deliver(wave) for wave in waves)):
            missed, broken_off = came.counts.missed, int(came.stage == BROKEN_OFF)
            self.report = self.report.plus(waves=1, sent=came.sent, missed=missed, broken_off=broken_off)

    def ended(self, report: TaskReport) -> TaskReport:
        workflow.set_current_details(report.words)
        workflow.upsert_search_attributes([STAGE.value_set("over"), LAST_OUTCOME.value_set(report.words)])
        return report
