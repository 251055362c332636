"""Input of every form - a file, a request, a Python caller - made into checked domain objects.

All that is wrong with an input is said at once, each problem with its field, its value and the mend.
"""

from intake.bookings import check_booking, merchant_named, read_booking
from intake.dates import days_to_today, moved_booking, moved_facts
from intake.facts import read_fact, read_facts
from intake.merchants import read_merchant
from intake.problems import InputError, Problem
from intake.tasks import read_tasks, tasks_merchant

__all__ = [
    "InputError",
    "Problem",
    "check_booking",
    "days_to_today",
    "merchant_named",
    "moved_booking",
    "moved_facts",
    "read_booking",
    "read_fact",
    "read_facts",
    "read_merchant",
    "read_tasks",
    "tasks_merchant",
]
