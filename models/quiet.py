"""When quiet hours end, by the clock of whoever is not to be woken. Pure."""

from datetime import datetime, timedelta

from models.policy import QuietHours
from models.timing import Offset, local, moment


def quiet_until(now: datetime, quiet: QuietHours, zone: str) -> datetime | None:
    """When the quiet hours that hold at this moment end; None when none do.

    They end once a day: an hour that the clock repeats after their end is not quiet again.
    """
    there = local(now, zone)
    clock = there.time()
    over_midnight = quiet.ends <= quiet.starts
    evening = clock >= quiet.starts
    if quiet.starts == quiet.ends or not (
        (evening or clock < quiet.ends) if over_midnight else (evening and clock < quiet.ends)
    ):
        return None
    ends_tomorrow = over_midnight and evening
    day = there.date() + timedelta(days=1) if ends_tomorrow else there.date()
    until = moment(day, Offset(0, quiet.ends), zone)
    return until if until > now else None
