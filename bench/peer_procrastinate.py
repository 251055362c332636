"""procrastinate with PostgreSQL: tasks due at one instant, each of which notes the moment.

`python bench/peer_procrastinate.py COUNT ADDRESS`, by a Python that has procrastinate and psycopg.
"""

import asyncio
import json
import resource
import sys
import time
from datetime import UTC, datetime, timedelta


async def main(count: int, address: str) -> None:
    from procrastinate import App, PsycopgConnector  # type: ignore[import-not-found]

    app = App(connector=PsycopgConnector(conninfo=address))
    moments: list[float] = []

    @app.task(name="hand_over")  # type: ignore[untyped-decorator,unused-ignore]
    async def hand_over(number: int) -> None:  # noqa: ARG001
        moments.append(time.time())

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        due = datetime.now(UTC) + timedelta(seconds=5 + count / 1000)
        for start in range(0, count, 500):
            numbers = range(start, min(start + 500, count))
            await hand_over.configure(schedule_at=due).batch_defer_async(*({"number": n} for n in numbers))
        await asyncio.sleep(max(due.timestamp() - time.time() - 0.5, 0))
        spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        worker = asyncio.create_task(
            app.run_worker_async(
                concurrency=50, fetch_job_polling_interval=0.05, install_signal_handlers=False
            )
        )
        while len(moments) < count:  # noqa: ASYNC110  (the tasks tell nobody)
            await asyncio.sleep(0.05)
        spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - spent
        print(json.dumps({"lateness": sorted(at - due.timestamp() for at in moments), "cpu": spent}))
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
