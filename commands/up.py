"""`carillon up`: the development stack, until Ctrl-C."""

import asyncio
import logging
import os
import shutil
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from temporalio.service import RPCError

from activities.merchants import Merchants
from activities.tasks import Tasks
from commands.booking import settled_agenda
from commands.failures import Mistake, OutOfReach
from commands.output import err, next_words, out, plain, say, table
from commands.reach import VAR, DataDir
from commands.task_apply import next_moments
from models.agenda import Agenda
from models.showing import shown_time
from stack.example_members import start_members
from stack.examples import EXAMPLES, start_examples
from stack.folder import Folder
from stack.running import Plan, Stack, running_stack

UI_ABOVE = 1000
SHOWN = 12
"""How many lifecycles are listed; the Web UI has them all."""
HURRY_SECONDS = 1
"""A Ctrl-C that comes later than this after the first means: at once."""
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    data_dir: DataDir = VAR,
    port: Annotated[int, typer.Option(help="Of the Temporal server.")] = 7233,
    ui_port: Annotated[int | None, typer.Option(help="Of its Web UI.  [default: --port + 1000]")] = None,
    smtp_port: Annotated[int, typer.Option(help="Of the mail server that keeps every mail.")] = 1025,
    headless: Annotated[bool, typer.Option("--headless", help="Without the Web UI.")] = False,
    no_examples: Annotated[bool, typer.Option("--no-examples", help="Start no example bookings.")] = False,
) -> None:
    """Run everything on this machine: Temporal with its Web UI, a mail server, the worker, the examples.

    Ctrl-C stops all of it; the next `up` goes on where this one stopped.
    """
    plan = Plan(Folder(data_dir), port, ui_port or port + UI_ABOVE, smtp_port, headless)
    asyncio.run(_until_stopped(plan, examples=not no_examples))


async def _until_stopped(plan: Plan, *, examples: bool) -> None:
    running = asyncio.create_task(_run(plan, examples=examples))
    loop = asyncio.get_running_loop()
    asked: list[float] = []

    def stop() -> None:
        # One Ctrl-C can arrive twice: from the terminal, and from whoever started us.
        if asked and loop.time() - asked[0] < HURRY_SECONDS:
            return
        say("Stopping at once." if asked else "\nStopping: what is being sent comes to its end.")
        asked.append(loop.time())
        running.cancel()

    for name in STOPPING:
        loop.add_signal_handler(name, stop)
    try:
        await running
    except asyncio.CancelledError:
        if not asked:
            log = plan.folder.path / "carillon.log"
            raise OutOfReach(f"the worker has stopped by itself: see {log}") from None
        say(f"Stopped. {_command()} up goes on from here.")


async def _run(plan: Plan, *, examples: bool) -> None:
    with err().status("Starting") as spinner:
        try:
            plan.folder.make()
            _log_to(plan.folder.path / "carillon.log")
        except OSError as error:
            raise Mistake(
                f"--data-dir: {plan.folder.path} cannot be used ({error.strerror}): name a folder to write in"
            ) from None
        async with running_stack(plan, spinner.update) as stack:
            spinner.update("Starting the examples" if examples else "Looking at what goes on")
            agendas = await _agendas(stack, examples=examples)
            tasks = await _tasks(stack)
            spinner.stop()
            _show(stack, agendas, tasks)
            await asyncio.Event().wait()


def _log_to(file: Path) -> None:
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's: every word of every mail
    logging.basicConfig(
        filename=file,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,
    )


async def _agendas(stack: Stack, *, examples: bool) -> list[Agenda]:
    """Start the examples; answer the agendas of the lifecycles that live, those that act next first."""
    begun = []
    if examples:
        await start_examples(stack.carillon, stack.engine)
        begun = await start_members(stack.carillon, stack.engine, stack.settings.task_queue, EXAMPLES)
    kinds = "'BookingWorkflow', 'MemberWorkflow', 'CouponWorkflow'"
    live = f"WorkflowType IN ({kinds}) AND ExecutionStatus = 'Running'"
    listed = [found.id async for found in stack.client.list_workflows(live, limit=SHOWN)]
    # The server's list may lag behind what has just begun.
    ids = dict.fromkeys([*begun, *listed])
    answers = await asyncio.gather(*(_agenda(stack, id_) for id_ in ids))
    agendas = [agenda for agenda in answers if agenda is not None]
    return sorted(
        agendas, key=lambda agenda: (not agenda.owed, agenda.owed[0].due if agenda.owed else agenda.lifecycle)
    )


async def _agenda(stack: Stack, lifecycle: str) -> Agenda | None:
    with suppress(RPCError, LookupError):
        return await settled_agenda(stack.carillon, lifecycle)
    return None


async def _tasks(stack: Stack) -> list[tuple[str, str, str]]:
    """The regular tasks of all merchants: what each does, and when next."""
    rows, now = [], datetime.now(UTC)
    merchants = Merchants(stack.engine)
    for merchant_id in await merchants.ids():
        merchant = await merchants.get(merchant_id)
        for task in await Tasks(stack.engine, merchants).of(merchant_id):
            when = next_moments(task, merchant.zone, now, 1)
            shown = f"{shown_time(when[0], merchant.zone)} {_city(merchant.zone)}" if when else ""
            rows.append((f"{merchant_id}/{task.task_id}", plain(task.kind), shown))
    return rows


def _show(stack: Stack, agendas: list[Agenda], tasks: list[tuple[str, str, str]]) -> None:
    folder = stack.plan.folder
    say(("Carillon is up.", "bold green"))
    out().print()
    grid = Table.grid(padding=(0, 2))
    rows = [
        ("Web UI", stack.web or "none (--headless)"),
        ("Temporal", f"{stack.server.address}, its state in {folder.temporal_database}"),
        ("Mail", f"{folder.mail}/, one file a mail"),
        ("SMS", f"{folder.sms}"),
        ("Logs", f"{folder.path / 'carillon.log'}, {folder.temporal_log}"),
    ]
    for name, value in rows:
        grid.add_row(Text(f"  {name}", style="dim"), Text(value))
    out().print(grid)
    heads = ("lifecycle", "stage", "next", "when")
    for title, begins in (("Bookings", "booking:"), ("Members", "member:"), ("Coupons", "coupon:")):
        of_kind = (agenda for agenda in agendas if agenda.lifecycle.startswith(begins))
        table(title, heads, ((a.lifecycle, plain(a.stage), *_next(a)) for a in of_kind))
    table("Regular tasks", ("task", "what", "next"), tasks)
    _show_what_to_try(agendas, _options(folder))
    out().print()
    say("Ctrl-C stops all of it.")


def _next(agenda: Agenda) -> tuple[str, str]:
    words, when = next_words(agenda)
    return words, f"{when} {_city(agenda.zone)}" if when else ""


def _city(zone: str) -> str:
    return zone.rpartition("/")[2].replace("_", " ")


def _options(folder: Folder) -> str:
    """What other commands need in order to find this stack."""
    told = folder.path == VAR or os.environ.get("CARILLON_DATA_DIR")
    return "" if told else f", after: export CARILLON_DATA_DIR={folder.path}"


def _show_what_to_try(agendas: list[Agenda], options: str) -> None:
    bookings = [agenda for agenda in agendas if agenda.lifecycle.startswith("booking:")]
    first = next((agenda for agenda in bookings if agenda.owed), None)
    if first is None:
        return
    member = next((agenda for agenda in agendas if agenda.lifecycle.startswith("member:")), None)
    command = _command()
    out().print()
    say(("Try", "bold"), ("  in another terminal" + options, "dim"))
    lines = [
        (f"agenda {first.lifecycle}", "what it sends, sent and leaves out"),
        (f"fast-forward {first.lifecycle} {_far(first)}", "let its next notice fall due"),
        (f"booking tell {first.lifecycle} cancelled", "something happens"),
        ("messages", "everything that was sent"),
    ]
    if member is not None:
        lines.append((f"agenda {member.lifecycle}", "all that comes to a member, from whatever"))
    grid = Table.grid(padding=(0, 3))
    for line, why in lines:
        grid.add_row(Text(f"  {command} {line}"), Text(why, style="dim"))
    out().print(grid)


def _far(agenda: Agenda) -> str:
    """A round duration that reaches past the next notice."""
    left = agenda.owed[0].due - datetime.now(agenda.owed[0].due.tzinfo)
    hours = max(left, timedelta()) // timedelta(hours=1) + 1
    days, hours = divmod(hours, 24)
    return (f"{days}d" if days else "") + (f"{hours}h" if hours else "") or "1h"


def _command() -> str:
    """How the user can call this very command: its name where that is enough, else its path."""
    program = Path(sys.argv[0])
    found = shutil.which(program.name)
    if found and Path(found).resolve() == program.resolve():
        return program.name
    resolved = program.resolve()
    return str(resolved.relative_to(Path.cwd())) if resolved.is_relative_to(Path.cwd()) else str(resolved)
