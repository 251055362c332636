"""A wave in words: how far it has come, for the Web UI, the command line and programs."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from models.ids import wave_workflow_id
from models.showing import shown_time, utc_text
from models.wave import Wave
from models.wave_state import Counts, Progress, WaveReport, WaveState

WAITING, SENDING, HOLDING, PAUSED = "waiting", "sending", "holding", "paused"
SENT, CANCELLED = "sent", "cancelled"
"""The stages of a wave. HOLDING: whoever is left waits for a moment of their own."""
BROKEN_OFF, ELSEWHERE, NO_CHANNEL = "broken off", "elsewhere", "no channel"
"""How a wave ends for those who owe it, where it says nothing: it was terminated; another run has it; there
was no channel to send it by."""
NOBODY = "Nobody was there to be told."
WORDLESS = {
    CANCELLED: "Cancelled before it began.",
    BROKEN_OFF: "Broken off. `carillon messages` shows what had gone by then; the others are not told.",
    ELSEWHERE: "Under way already, for another run.",
    NO_CHANNEL: "Not sent: the merchant had switched on no channel for it.",
}


def stage(state: WaveState, now: datetime, under_way: Collection[str]) -> str:
    """Where a wave stands."""
    if state.cancelled:
        return CANCELLED
    if state.over and not under_way:
        return SENT
    if state.paused:
        return PAUSED
    if now < state.wave.due:
        return WAITING
    busy = under_way or state.wants_cut(under_way) or state.ready(now, under_way)
    return SENDING if busy else HOLDING


def progress(state: WaveState, now: datetime, under_way: Collection[str]) -> Progress:
    """How far a wave has come."""
    wave, counts = state.wave, state.totals
    return Progress(
        wave_id=wave.wave_id,
        merchant_id=wave.merchant_id,
        kind=wave.kind,
        audience=wave.audience.name,
        stage=stage(state, now, under_way),
        due=wave.due,
        not_after=wave.not_after,
        zone=state.zone,
        selected=counts.members + state.waiting,
        complete=state.cut_all and not any(page.at is None for page in state.pages),
        counts=counts,
        waiting=state.waiting,
        in_flight=len(under_way),
        next_moment=state.next_moment(now),
        reasons=state.reasons,
    )


def wave_report(state: WaveState) -> WaveReport:
    """The last words of a wave that is over."""
    ending = CANCELLED if state.cancelled else SENT
    selected = state.counts.members
    words = f"{ending.capitalize()}. {selected} selected: {counted(state.counts)}."
    if ending == SENT and not selected:
        words = NOBODY
    return WaveReport(state.wave.wave_id, ending, words, selected, state.counts)


def wordless_report(wave: Wave, stage: str) -> WaveReport:
    """What is said of a wave that has no last words of its own."""
    return WaveReport(wave.wave_id, stage, WORDLESS[stage])


def counted(counts: Counts) -> str:
    """`480 sent (9 by another channel), 20 skipped (12 consent, 8 address)`; what is nobody's is left out."""
    by_rule = sorted(counts.skipped.items(), key=lambda pair: (-pair[1], pair[0]))
    rules = ", ".join(f"{number} {rule}" for rule, number in by_rule)
    instead = f" ({counts.instead} by another channel)" if counts.instead else ""
    parts = [f"{counts.sent} sent{instead}", f"{counts.skips} skipped ({rules})" if rules else ""]
    named = ("failed", "missed", "uncertain", "lapsed")
    parts += [f"{number} {name}" for name in named if (number := getattr(counts, name))]
    parts += [f"{counts.elsewhere} by another wave"] if counts.elsewhere else []
    return ", ".join(part for part in parts if part)


def progress_markdown(found: Progress) -> str:
    """The whole of it for the Web UI, local times."""
    lines = [
        f"**{found.stage.capitalize()}** - {found.kind.replace('_', ' ')} to the audience `{found.audience}`",
        "",
        f"- {found.selected} selected{'' if found.complete else ' so far'}: {counted(found.counts)}",
        f"- due {shown_time(found.due, found.zone)}, not after {shown_time(found.not_after, found.zone)}"
        f" ({found.zone})",
    ]
    if found.in_flight:
        lines.append(f"- {found.in_flight} pages are under way")
    if found.waiting:
        lines.append(f"- {found.waiting} wait{next_words(found)}")
    lines += [f"  - {members}: {reason}" for reason, members in found.reasons.items()]
    return "\n".join(lines)


def next_words(found: Progress) -> str:
    """`, the next go is Sun 8 Mar 2026 10:00`, or nothing."""
    if found.next_moment is None:
        return ""
    return f", the next go is {shown_time(found.next_moment, found.zone)}"


def progress_document(found: Progress) -> dict[str, Any]:
    """The same as plain values for JSON; instants are ISO 8601 in UTC."""
    counts = found.counts
    return {
        "wave": wave_workflow_id(found.merchant_id, found.wave_id),
        "merchant_id": found.merchant_id,
        "kind": found.kind,
        "audience": found.audience,
        "stage": found.stage,
        "due": utc_text(found.due),
        "not_after": utc_text(found.not_after),
        "selected": found.selected,
        "complete": found.complete,
        "sent": counts.sent,
        "skipped": dict(counts.skipped),
        "failed": counts.failed,
        "missed": counts.missed,
        "uncertain": counts.uncertain,
        "lapsed": counts.lapsed,
        "elsewhere": counts.elsewhere,
        "waiting": found.waiting,
        "messages": counts.messages,
        "instead": counts.instead,
        "in_flight": found.in_flight,
        "next_moment": utc_text(found.next_moment),
        "reasons": dict(found.reasons),
    }
