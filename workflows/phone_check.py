"""Verifying a phone: one code, sent as long as it would hold. It never passes through here. [WACA-35]"""

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

from workflows.lifecycle import ATTEMPT

with workflow.unsafe.imports_passed_through():
    from activities.phone_checks import PhoneChecks
    from models.notices import NoticeClass
    from models.phone_check import PhoneCheck, PhoneCheckReport

AGAIN = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
)
"""Somebody waits for the code; when it holds no more the activity says so itself."""


@workflow.defn(name="PhoneCheckWorkflow")
class PhoneCheckWorkflow:
    """`phone:{merchant}:{member}`. The answer is not told to it: it goes where the code's hash is kept."""

    @workflow.run
    async def run(self, check: PhoneCheck) -> PhoneCheckReport:
        return await workflow.execute_activity_method(
            PhoneChecks.send_code,
            replace(check, asked_at=workflow.info().start_time),
            start_to_close_timeout=ATTEMPT,
            retry_policy=AGAIN,
            priority=Priority(priority_key=int(NoticeClass.SECURITY), fairness_key=check.merchant_id),
            summary="a code to the phone",
        )
