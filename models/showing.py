"""A lifecycle in words, for an administrator: Markdown for the Web UI, local times, reasons spelled out."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from models.agenda import Agenda, ChannelOutcome, Done, Foreseen, LeftOut, Notice, Report, Status
from models.notices import ways
from models.people import Role
from models.timing import local

COMING = "From coupons, bonuses and regular tasks"
"""What comes to a member without being owed by its own lifecycle."""
COMING_HEADS = ("when", "what", "which", "by", "from")


def shown_time(instant: datetime, zone: str) -> str:
    """`Sun 8 Mar 2026 10:00`, on the clock of the place."""
    there = local(instant, zone)
    return f"{there:%a} {there.day} {there:%b %Y %H:%M}"


def agenda_markdown(agenda: Agenda) -> str:
    """The whole agenda: what comes next, what was sent, what is left out and why."""
    zone = agenda.zone
    owed = (_owed_row(notice, zone) for notice in agenda.owed)
    coming = (coming_row(one, zone) for one in agenda.foreseen)
    settled = (_done_row(done, zone) for done in agenda.done if done.outcomes)
    left_out = (_left_row(left) for left in agenda.left_out)
    told = ((shown_time(fact.at, zone), _plain(fact.fact), fact.reason) for fact in agenda.not_taken)
    parts = [f"**{_plain(agenda.stage).capitalize()}** - times are those of {zone}"]
    parts += _table("Next", ("when", "notice", "to", "by", "not after"), owed)
    parts += _table(COMING, COMING_HEADS, coming)
    parts += _table("Settled", ("when", "notice", "to", "what came of it"), settled)
    parts += _table("Left out", ("notice", "to", "by", "why"), left_out)
    parts += _table("Told, but changed nothing", ("when", "fact", "why"), told)
    return "\n".join(parts)


def _owed_row(notice: Notice, zone: str) -> tuple[str, ...]:
    by = ways(notice.kind, notice.channels)
    return shown_time(notice.due, zone), titled(notice), _whom(notice), by, shown_time(notice.not_after, zone)


def _done_row(done: Done, zone: str) -> tuple[str, ...]:
    at = max(outcome.at for outcome in done.outcomes)
    return shown_time(at, zone), titled(done.notice), _whom(done.notice), _outcomes(done)


def _left_row(left: LeftOut) -> tuple[str, ...]:
    return titled(left), _whom(left), ", ".join(left.channels), left.reason.sentence


def _whom(entry: Notice | LeftOut) -> str:
    return f"{entry.recipient.name} ({_plain(entry.role)})"


def titled(entry: Notice | LeftOut) -> str:
    """`pre visit (sound-bath)`: the kind, and the service where the notice speaks of one alone."""
    if entry.role is Role.BOOKER or len(entry.about) != 1:
        return _plain(entry.kind)
    return f"{_plain(entry.kind)} ({entry.about[0]})"


def coming_row(coming: Foreseen, zone: str) -> tuple[str, ...]:
    """When, what, which one, by which channels or why not, and what brings it."""
    when = shown_time(coming.due, zone)
    if coming.goes is not None:
        when += f", held over quiet hours until {shown_time(coming.goes, zone)}"
    hindered = "; ".join(f"not by {one.channel}: {one.reason.sentence}" for one in coming.hindered)
    by = ", ".join(coming.channels) or ("cannot go" if hindered else "")
    by += f" ({hindered})" if hindered else ""
    return when, _plain(coming.kind), coming.words, by, coming.source


def wake_words(agenda: Agenda) -> str:
    """What a timer waits for: `pre visit (s1), Sat 28 Nov 2026 10:00`."""
    if agenda.next_moment is None:
        return ""
    due = next((titled(notice) for notice in agenda.owed if notice.due == agenda.next_moment), "wakes")
    return f"{due}, {shown_time(agenda.next_moment, agenda.zone)}"


def agenda_document(agenda: Agenda) -> dict[str, Any]:
    """The whole agenda as plain values for JSON: one shape for the real one and for its preview.

    Instants are ISO 8601 in UTC. Of a person it holds the name and the id, no address.
    """
    return {
        "lifecycle": agenda.lifecycle,
        "stage": agenda.stage,
        "zone": agenda.zone,
        "next_moment": utc_text(agenda.next_moment),
        "over": agenda.over,
        "owed": [
            {**_whose(notice), "due": utc_text(notice.due), "not_after": utc_text(notice.not_after)}
            for notice in agenda.owed
        ],
        "done": [_done_document(done) for done in agenda.done],
        "left_out": [
            {
                **_whose(left),
                "due": utc_text(left.due),
                "reason": left.reason.value,
                "explanation": left.reason.sentence,
            }
            for left in agenda.left_out
        ],
        "foreseen": [_coming_document(one) for one in agenda.foreseen],
        "not_taken": [
            {"event_id": fact.event_id, "fact": fact.fact, "reason": fact.reason, "at": utc_text(fact.at)}
            for fact in agenda.not_taken
        ],
    }


def utc_text(instant: datetime | None) -> str | None:
    """`2026-03-08T02:00:00Z`."""
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _coming_document(one: Foreseen) -> dict[str, Any]:
    return {
        "kind": str(one.kind),
        "due": utc_text(one.due),
        "words": one.words,
        "source": one.source,
        "channels": list(one.channels),
        "hindered": [
            {"channel": each.channel, "reason": each.reason.value, "explanation": each.reason.sentence}
            for each in one.hindered
        ],
        "goes": utc_text(one.goes),
    }


def _whose(entry: Notice | LeftOut) -> dict[str, Any]:
    return {
        "key": entry.key,
        "kind": entry.kind.value,
        "role": entry.role.value,
        "recipient": entry.recipient.name,
        "recipient_id": entry.recipient.id,
        "channels": list(entry.channels),
        "about": list(entry.about),
    }


def _done_document(done: Done) -> dict[str, Any]:
    outcomes = [
        {
            "channel": outcome.channel,
            "status": outcome.status.value,
            "reason": outcome.reason,
            "provider": outcome.provider,
            "doubtful": outcome.doubtful,
            "at": utc_text(outcome.at),
        }
        for outcome in done.outcomes
    ]
    window = {"due": utc_text(done.notice.due), "not_after": utc_text(done.notice.not_after)}
    return {**_whose(done.notice), **window, "status": done.status.value, "outcomes": outcomes}


def report(agenda: Agenda) -> Report:
    """The last words of a lifecycle that is over."""
    statuses = Counter(done.status for done in agenda.done)
    missed = _named(done.notice.kind for done in agenda.done if done.status is Status.MISSED)
    failed = _named(done.notice.kind for done in agenda.done if done.status in _FAILURES)
    left_out = _named(f"{left.kind} ({left.reason.sentence})" for left in agenda.left_out)
    sent = _named(done.notice.kind for done in agenda.done if done.status is Status.SENT)
    words = f"{_plain(agenda.stage).capitalize()}. Sent: {sent}. Missed: {missed}. Failed: {failed}."
    return Report(
        lifecycle=agenda.lifecycle,
        stage=agenda.stage,
        words=f"{words} Left out: {left_out}.",
        sent=statuses[Status.SENT],
        missed=statuses[Status.MISSED],
        failed=sum(statuses[status] for status in _FAILURES),
        left_out=len(agenda.left_out),
    )


_FAILURES = (Status.FAILED, Status.REFUSED, Status.UNCERTAIN)


def _outcomes(done: Done) -> str:
    return "; ".join(
        f"{outcome.channel} {outcome.status}"
        + instead(done, outcome)
        + (f": {outcome.reason}" if outcome.reason else "")
        + (" (may have arrived twice)" if outcome.doubtful else "")
        for outcome in done.outcomes
    )


def instead(done: Done, outcome: ChannelOutcome) -> str:
    """What is said of a channel that took the place of one of the notice's own."""
    return "" if outcome.channel in done.notice.channels else " instead"


def _named(kinds: Iterable[str]) -> str:
    counted = Counter(_plain(kind) for kind in kinds)
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in counted.items()) or "none"


def _plain(word: str) -> str:
    return word.replace("_", " ")


def _table(title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    if not lines:
        return []
    return [
        "",
        f"### {title}",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + " --- |" * len(heads),
        *lines,
    ]
