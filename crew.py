"""A worker of several processes: one that decides, and some that send.

One Python process uses one core, and what it sends holds up what it decides. Apart, a wave to a hundred
thousand keeps no booking waiting, and a machine of several cores is used.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from settings import PART, Part

LONGEST_GOODBYE = 55.0
"""Seconds that a process may take to end what it has begun."""


async def work_together(senders: int) -> int:
    """Run them until told to stop, or until one ends: then the others are stopped too.

    Answers an exit status: 0 when told to stop, else that of the one that ended by itself. Should this
    process be killed, the others see the end of their input, and stop.
    """
    stopped = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    crew = [await _hired(part) for part in (Part.DECIDING, *[Part.SENDING] * senders)]
    told = asyncio.create_task(stopped.wait())
    ends = [asyncio.create_task(one.wait()) for one in crew]
    done, _ = await asyncio.wait([told, *ends], return_when=asyncio.FIRST_COMPLETED)
    await _dismissed(crew)
    if told in done:
        return 0
    # Whoever started this starts it again: a crew that lacks somebody is not left to itself.
    return next(task.result() for task in ends if task in done) or 1


async def _hired(part: Part) -> asyncio.subprocess.Process:
    environment = {**os.environ, PART: part.value}
    # A session of its own: Ctrl-C in a terminal reaches them by us, once.
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", env=environment, stdin=asyncio.subprocess.PIPE, start_new_session=True
    )


async def _dismissed(crew: Sequence[asyncio.subprocess.Process]) -> None:
    for one in crew:
        with suppress(ProcessLookupError):
            one.terminate()
    try:
        async with asyncio.timeout(LONGEST_GOODBYE):
            await asyncio.gather(*(one.wait() for one in crew))
    except TimeoutError:
        for one in crew:
            with suppress(ProcessLookupError):
                one.kill()
