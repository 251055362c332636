"""Every id is spelled here, and nowhere else."""

import re

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_id(name: str, value: str) -> str | None:
    """What is wrong with an id that becomes part of a workflow id, or None."""
    if _ID.fullmatch(value):
        return None
    return (
        f"{name}: {value!r} cannot be used as an id: use 1 to 64 letters, digits, '.', '_' or '-',"
        " starting with a letter or a digit"
    )


def booking_workflow_id(merchant_id: str, booking_id: str) -> str:
    """`booking:{merchant}:{booking}`: one lifecycle per booking."""
    return f"booking:{merchant_id}:{booking_id}"


def member_workflow_id(merchant_id: str, member_id: str) -> str:
    """`member:{merchant}:{member}`: one lifecycle per member, while something is owed."""
    return f"member:{merchant_id}:{member_id}"


def coupon_workflow_id(merchant_id: str, drop_id: str) -> str:
    """`coupon:{merchant}:{drop}`: one lifecycle per drop, however many hold it."""
    return f"coupon:{merchant_id}:{drop_id}"


def wave_workflow_id(merchant_id: str, wave_id: str) -> str:
    """`wave:{merchant}:{wave}`: one delivery to many."""
    return f"wave:{merchant_id}:{wave_id}"


def task_schedule_id(merchant_id: str, task_id: str) -> str:
    """`task:{merchant}:{task}`: the schedule of a regular task, and how its runs begin."""
    return f"task:{merchant_id}:{task_id}"


def task_run_id(merchant_id: str, task_id: str, stamp: str) -> str:
    """`task:{merchant}:{task}-{stamp}`: one run, asked for by hand; a schedule names its own alike."""
    return f"{task_schedule_id(merchant_id, task_id)}-{stamp}"


def phone_check_id(merchant_id: str, member_id: str) -> str:
    """`phone:{merchant}:{member}`: what sends one code to a phone that is to be verified."""
    return f"phone:{merchant_id}:{member_id}"


def notice_key(lifecycle_id: str, kind: str, subject: str, person_id: str) -> str:
    """The name of one thing owed to one person, the same on every attempt and after every restart."""
    return f"{lifecycle_id}/{kind}/{subject}/{person_id}"


def upkeep_id(task_queue: str) -> str:
    """`carillon-upkeep`: the schedule of upkeep, one for each task queue, and what it starts."""
    return f"{task_queue}-upkeep"


def credits_lifecycle_id(merchant_id: str) -> str:
    """`credits:{merchant}`: what the notices about a merchant's points belong to; no workflow."""
    return f"credits:{merchant_id}"


def message_reference(notice_key: str, channel: str) -> str:
    """What a message is paid for under: one notice by one channel, like its row in the message log."""
    return f"{notice_key}/{channel}"
