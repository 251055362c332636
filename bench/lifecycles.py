"""What a booking costs, beside a bare Temporal workflow (one timer, one activity that does nothing).

python bench/lifecycles.py                    1,000 and 5,000 reminders due at one instant, three rounds
python bench/lifecycles.py -n 1000 --rounds 1
"""

import asyncio
import os
import platform
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from activities.database import migrate, open_database
from activities.merchants import Merchants
from bench.bare import Bare
from bench.bookings import MERCHANT, booking
from bench.bursts import Burst, bounded, burst
from bench.life import Phase, whole_life
from bench.processes import Server, Side, embedded_server
from client import Carillon, connect
from settings import Settings

SIDES = (Side.CARILLON, Side.BARE)
THROUGHPUT_AIM = 0.6
"""Of the bare workflow's messages a second."""
GROWTH_AIM = 1.05
"""Processor time a message at the most reminders against the fewest; 5 % is the noise of the measure."""

Bursts = dict[tuple[Side, int], list[Burst]]
out = Console(width=100, highlight=False)


def main(
    count: Annotated[list[int], typer.Option("-n", "--count", help="reminders due at one instant")] = [  # noqa: B006
        1000,
        5000,
    ],
    rounds: Annotated[int, typer.Option(help="measure so often, and show the median")] = 3,
    senders: Annotated[int, typer.Option(help="processes that send, beside one that decides")] = 0,
) -> None:
    """Measure, and print one table for each question."""
    asyncio.run(measure(sorted(count), rounds, senders))


async def measure(counts: list[int], rounds: int, senders: int) -> None:
    """All of it on one server, the two sides by turns. However it ends, every process it started ends too."""
    began = time.monotonic()
    task = asyncio.current_task()
    if task is not None:
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, task.cancel)
    with tempfile.TemporaryDirectory(prefix="carillon-bench-", ignore_cleanup_errors=True) as there:
        folder = Path(there)
        settings = Settings(database_url=f"sqlite:///{folder / 'carillon.db'}", senders=senders)
        await migrate(settings.database_url)
        engine = open_database(settings.database_url)
        await Merchants(engine).apply(MERCHANT, datetime.now(UTC))
        await engine.dispose()
        async with embedded_server(folder) as server:
            client = await connect(target_host=server.address)
            starts = await _starts(client, rounds)
            pace = min(starts.values())
            bursts = await _bursts(counts, rounds, pace, server, client, settings)
            phases = await whole_life(server, client, settings)
    out.print(
        f"\n{os.cpu_count()} cores, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}, ",
        end="",
    )
    out.print(f"median of {rounds} rounds, {time.monotonic() - began:.0f} s in all\n")
    _print_starts(starts)
    for number in counts:
        _print_bursts(number, bursts)
    _print_life(phases)
    _print_aims(counts, bursts)


async def _starts(client: Client, rounds: int, count: int = 1000) -> dict[Side, float]:
    """Starts a second, with nobody at work on them."""
    taken: dict[Side, list[float]] = {side: [] for side in SIDES}
    carillon = Carillon(client, task_queue="nobody")
    now = datetime.now(UTC)
    for turn in range(rounds):

        async def start_booking(number: int, name: str = f"start-{turn}") -> None:
            await carillon.start_booking(booking(name, number, now, now + timedelta(days=10)))

        async def start_bare(number: int, name: str = f"bare-start-{turn}") -> None:
            await client.start_workflow(Bare.run, now, id=f"{name}-{number}", task_queue="nobody")

        for side in SIDES:
            began = time.monotonic()
            await bounded(start_booking if side is Side.CARILLON else start_bare, count)
            taken[side].append(count / (time.monotonic() - began))
    return {side: median(speeds) for side, speeds in taken.items()}


async def _bursts(
    counts: list[int], rounds: int, pace: float, server: Server, client: Client, settings: Settings
) -> Bursts:
    found: Bursts = {(side, number): [] for side in SIDES for number in counts}
    for turn in range(rounds):
        for number in counts:
            for side in SIDES if turn % 2 == 0 else reversed(SIDES):
                with out.status(f"round {turn + 1} of {rounds}: {number} {side}"):
                    done = await burst(side, number, pace, server, client, settings)
                found[side, number].append(done)
                out.print(
                    f"round {turn + 1}: {number} {side}: {done.per_second:.0f} a second, "
                    f"{1000 * done.cpu:.2f} ms CPU a message, load {os.getloadavg()[0]:.1f}",
                    style="dim",
                )
    return found


def _print_starts(starts: dict[Side, float]) -> None:
    table = _table("Started a second")
    _row(table, "workflows a second", {side: starts[side] for side in SIDES}, "{:.0f}")
    out.print(table)


def _print_bursts(number: int, bursts: Bursts) -> None:
    table = _table(f"{number} reminders due at one instant")

    def row(what: str, shape: str, of: Callable[[Burst], float]) -> None:
        _row(table, what, {side: median(map(of, bursts[side, number])) for side in SIDES}, shape)

    row("handed over, messages a second", "{:.0f}", lambda b: b.per_second)
    row("settled, messages a second", "{:.0f}", lambda b: b.settled_per_second)
    row("late, p50, s", "{:.2f}", lambda b: b.percentile(50))
    row("late, p99, s", "{:.2f}", lambda b: b.percentile(99))
    row("late, max, s", "{:.2f}", lambda b: b.lateness[-1])
    row("CPU a message, worker, ms", "{:.2f}", lambda b: 1000 * b.worker_cpu / number)
    row("CPU a message, server, ms", "{:.2f}", lambda b: 1000 * b.server_cpu / number)
    row("CPU a message, both, ms", "{:.2f}", lambda b: 1000 * b.cpu)
    row("worker memory for each that waits, KB", "{:.0f}", lambda b: b.waiting_bytes / 1000)
    out.print(table)


def _print_life(phases: list[Phase]) -> None:
    table = Table(title="History of one booking", title_justify="left", width=74, box=box.SIMPLE_HEAD)
    for name in ("phase", "messages", "events", "bytes"):
        table.add_column(name, justify="left" if name == "phase" else "right")
    for phase in phases:
        table.add_row(phase.name, str(phase.messages), str(phase.events), f"{phase.bytes:,}")
    table.add_section()
    messages, events, size = (
        sum(column) for column in zip(*((p.messages, p.events, p.bytes) for p in phases), strict=True)
    )
    table.add_row("the whole life", str(messages), str(events), f"{size:,}")
    out.print(table)


def _print_aims(counts: list[int], bursts: Bursts) -> None:
    def middle(side: Side, number: int, of: Callable[[Burst], float]) -> float:
        return median(map(of, bursts[side, number]))

    for number in counts:
        ratio = middle(Side.CARILLON, number, lambda b: b.per_second) / middle(
            Side.BARE, number, lambda b: b.per_second
        )
        _aim(
            ratio >= THROUGHPUT_AIM,
            f"handed over at {number}: {ratio:.2f} of bare",
            f"at least {THROUGHPUT_AIM}",
        )
        settled = middle(Side.CARILLON, number, lambda b: b.settled_per_second) / middle(
            Side.BARE, number, lambda b: b.settled_per_second
        )
        _aim(
            settled >= THROUGHPUT_AIM,
            f"settled at {number}: {settled:.2f} of bare",
            f"at least {THROUGHPUT_AIM}",
        )
    few, many = counts[0], counts[-1]
    if few != many:
        growth = middle(Side.CARILLON, many, lambda b: b.cpu) / middle(Side.CARILLON, few, lambda b: b.cpu)
        _aim(
            growth <= GROWTH_AIM,
            f"CPU a message at {many}: {growth:.2f} of that at {few}",
            f"at most {GROWTH_AIM}",
        )


def _aim(met: bool, what: str, aim: str) -> None:
    out.print(f"{'met    ' if met else 'NOT MET'}  {what} (aim: {aim})", style="" if met else "bold")


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", width=74, box=box.SIMPLE_HEAD)
    table.add_column("")
    for name in ("carillon", "bare", "ratio"):
        table.add_column(name, justify="right")
    return table


def _row(table: Table, what: str, values: dict[Side, float], shape: str) -> None:
    carillon, bare = values[Side.CARILLON], values[Side.BARE]
    table.add_row(what, shape.format(carillon), shape.format(bare), f"{carillon / bare:.2f}")


if __name__ == "__main__":
    with suppress(asyncio.CancelledError):
        typer.run(main)
