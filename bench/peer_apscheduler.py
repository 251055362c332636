"""APScheduler with a SQLAlchemy store: jobs due at one instant, each of which notes the moment.

`python bench/peer_apscheduler.py COUNT FOLDER`, by a Python that has apscheduler and sqlalchemy. It keeps no
message log: what it does is less.
"""

import json
import resource
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

PROBE = 50
"""So many are added first, to see how long that takes."""

moments: list[float] = []
all_there = threading.Event()
count = 0


def hand_over() -> None:
    """Nothing but the moment."""
    moments.append(time.time())
    if len(moments) == count:
        all_there.set()


def main(folder: Path) -> None:
    from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-not-found]
    from apscheduler.jobstores.sqlalchemy import (  # type: ignore[import-not-found]
        SQLAlchemyJobStore,
    )
    from apscheduler.schedulers.background import (  # type: ignore[import-not-found]
        BackgroundScheduler,
    )

    store = SQLAlchemyJobStore(url=f"sqlite:///{folder / f'apscheduler-{count}.db'}")
    scheduler = BackgroundScheduler(
        jobstores={"default": store}, executors={"default": ThreadPoolExecutor(10)}, timezone=UTC
    )
    scheduler.start(paused=True)
    far = datetime.now(UTC) + timedelta(days=1)
    began = time.monotonic()
    for _ in range(PROBE):
        scheduler.add_job(hand_over, "date", run_date=far)
    pace = (time.monotonic() - began) / PROBE
    due = datetime.now(UTC) + timedelta(seconds=3 + 2 * count * pace)
    for _ in range(count):
        scheduler.add_job(hand_over, "date", run_date=due, misfire_grace_time=None)
    time.sleep(max(due.timestamp() - time.time() - 1, 0))
    spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    scheduler.resume()
    all_there.wait(600)
    spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - spent
    print(json.dumps({"lateness": sorted(at - due.timestamp() for at in moments), "cpu": spent}))
    scheduler.shutdown(wait=False)


if __name__ == "__main__":
    count = int(sys.argv[1])
    main(Path(sys.argv[2]))
