"""What people see: tables in local time. What programs read: JSON, and nothing else on standard output."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.agenda import Agenda, Done, LeftOut, Notice, Status
from models.member_state import Stage
from models.notices import ways
from models.showing import COMING, COMING_HEADS, coming_row, instead, shown_time, titled

WIDE = 160
"""Columns of what is no terminal: a file, a pipe."""
STYLES = {
    Status.SENT: "green",
    Status.MISSED: "yellow",
    Status.LAPSED: "dim",
    Status.REFUSED: "red",
    Status.FAILED: "red",
    Status.UNCERTAIN: "yellow",
}


@cache
def out() -> Console:
    """Standard output."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """Standard error: errors, warnings and progress."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDE
    # Names of people and shops are shown as they are: no markup, no guessed colours.
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


def say(*parts: str | tuple[str, str]) -> None:
    """One line: parts are texts, or texts with a style."""
    out().print(Text.assemble(*parts), soft_wrap=True)


def warn(message: str) -> None:
    """A line on standard error."""
    err().print(Text(message, style="yellow"), soft_wrap=True)


def print_json(document: Any) -> None:
    """Pure JSON on standard output."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def plain(word: str) -> str:
    """`payment_reminder` in words."""
    return word.replace("_", " ")


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """A table under its title; nothing where there are no rows."""
    listed = list(rows)
    if not listed:
        return
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", show_edge=False, expand=False)
    for number, head in enumerate(heads):
        made.add_column(head, no_wrap=number == 0, overflow="fold")
    for row in listed:
        made.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    out().print()
    out().print(Text(title, style="bold"))
    out().print(made)


def show_agenda(agenda: Agenda, *, as_of: datetime | None = None) -> None:
    """The whole agenda in local time: what comes next, what was sent, what is left out and why."""
    zone = agenda.zone
    moment = f", as of {shown_time(as_of, zone)}" if as_of is not None else ""
    say(
        (agenda.lifecycle, "bold"),
        "  ",
        (plain(agenda.stage), "bold cyan"),
        (f"  times of {zone}{moment}", "dim"),
    )
    heads = ("when", "notice", "to", "by", "not after")
    table("Next", heads, (_owed_row(notice, zone) for notice in agenda.owed))
    coming = (coming_row(one, zone) for one in agenda.foreseen)
    table(COMING, COMING_HEADS, coming)
    settled = [done for done in agenda.done if done.outcomes]
    table("Settled", ("when", "notice", "to", "what came of it"), (_done_row(done, zone) for done in settled))
    table("Left out", ("notice", "to", "by", "why"), (_left_row(left) for left in agenda.left_out))
    told = ((shown_time(f.at, zone), plain(f.fact), f.event_id, f.reason) for f in agenda.not_taken)
    table("Told, but changed nothing", ("when", "fact", "event id", "why"), told)
    if not agenda.owed:
        say("\n", _end(agenda))


def _end(agenda: Agenda) -> str:
    """Why nothing comes next."""
    if agenda.stage == Stage.WAITING:
        return "It waits until the member is one, and its merchant is known."
    if agenda.over and agenda.foreseen:
        return "Its own lifecycle is over: only what comes from elsewhere is still to come."
    return "It is over: nothing more will come." if agenda.over else "Nothing is owed as things stand."


def next_words(agenda: Agenda) -> tuple[str, str]:
    """What a lifecycle sends next, and when, in words."""
    if agenda.owed:
        notice = agenda.owed[0]
        return f"{titled(notice)} to {notice.recipient.name}", shown_time(notice.due, agenda.zone)
    if agenda.over or agenda.next_moment is None:
        return ("nothing more: it is over" if agenda.over else "nothing, until something is told"), ""
    return "nothing yet; wakes", shown_time(agenda.next_moment, agenda.zone)


def whom(entry: Notice | LeftOut) -> str:
    """`Ada Lin (booker)`."""
    return f"{entry.recipient.name} ({plain(entry.role)})"


def outcome_words(done: Done) -> Text:
    """What came of each channel, coloured."""
    words = Text()
    for number, outcome in enumerate(done.outcomes):
        words.append("; " if number else "")
        words.append(f"{outcome.channel} ")
        words.append(outcome.status, style=STYLES[outcome.status])
        words.append(instead(done, outcome))
        words.append(f": {outcome.reason}" if outcome.reason else "")
        words.append(" (may have arrived twice)" if outcome.doubtful else "")
    return words


def _owed_row(notice: Notice, zone: str) -> tuple[str, ...]:
    channels = ways(notice.kind, notice.channels)
    last = shown_time(notice.not_after, zone)
    return shown_time(notice.due, zone), titled(notice), whom(notice), channels, last


def _done_row(done: Done, zone: str) -> tuple[str | Text, ...]:
    at = max(outcome.at for outcome in done.outcomes)
    return shown_time(at, zone), titled(done.notice), whom(done.notice), outcome_words(done)


def _left_row(left: LeftOut) -> tuple[str, ...]:
    return titled(left), whom(left), ", ".join(left.channels), left.reason.sentence
