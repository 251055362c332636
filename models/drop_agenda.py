"""The waves that a coupon drop owes. [WACA-37, WACA-38]"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from models.agenda import Agenda, ChannelOutcome, Done, LeftOut, Notice, Reason, Report, Status
from models.coupon_agenda import (
    Telling,
    end_of_use,
    expiring_due,
    expiring_telling,
    issued_due,
    issued_telling,
)
from models.drop_state import ISSUED, LATE, LATE_SHOWN, DropStage, DropState
from models.ids import coupon_workflow_id, notice_key
from models.notices import CATALOGUE, Kind
from models.people import Person, Role
from models.showing import shown_time
from models.wave import Audience, Wave
from models.wave_showing import BROKEN_OFF, NO_CHANNEL
from models.wave_state import Counts, WaveReport

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Planned:
    """A wave that is owed, and who it goes to, in words."""

    notice: Notice
    wave: Wave


def lifecycle_of(state: DropState) -> str:
    """The id of the lifecycle."""
    return coupon_workflow_id(state.drop.merchant_id, state.drop.drop_id)


def drop_agenda(state: DropState, now: datetime) -> Agenda:
    """What is owed to the holders, what came of it, what is left out and why."""
    coming = sorted(
        (one.notice for one in planned(state) if one.notice.key not in state.settled),
        key=lambda notice: notice.due,
    )
    # Without a channel nothing is promised; when it is due that is asked once more.
    owed = [notice for notice in coming if state.ready.channels or notice.due <= now]
    keys = [notice.key for notice in owed]
    closed = state.revoked or state.ended(now)
    moments = [notice.due for notice in coming if notice.due > now]
    if not closed:
        moments.append(end_of_use(state.drop, state.ready.zone) + SECOND)
    return Agenda(
        lifecycle_of(state),
        _stage(state, now),
        state.ready.zone,
        owed=tuple(owed),
        done=state.done,
        left_out=tuple(left for left in _left_out(state) if left.key not in keys),
        not_taken=state.not_taken,
        next_moment=min(moments, default=None),
        over=closed and not owed,
    )


def planned(state: DropState) -> Iterator[Planned]:
    """Every wave of the drop as things stand, those that are settled too."""
    drop, rules, last_day = state.drop, state.ready, str(state.drop.usable_to)
    if state.revoked or not (rules.channels or state.asks):
        return
    everybody = f"{state.holders:,} holders"
    known = (drop, rules.policy, rules.zone)
    if (issued := issued_telling(*known, state.known_at)) is not None:
        yield _planned(state, Kind.COUPON_ISSUED, ISSUED, issued, everybody)
    for late in state.late:
        if (telling := issued_telling(*known, late.due)) is not None:
            words = f"those added since {shown_time(late.since, rules.zone)}"
            since = {"since": late.since.isoformat()}
            yield _planned(state, Kind.COUPON_ISSUED, f"{LATE}{late.number}", telling, words, since)
    if (expiring := expiring_telling(*known, state.last_day_at, state.moved)) is not None:
        only = {"last_day": last_day, **(state.moved.parameters if state.moved else {})}
        yield _planned(state, Kind.COUPON_EXPIRING, last_day, expiring, everybody, only)


def settled(state: DropState, done: Done) -> DropState:
    """The state with a wave settled. Of those to later holders only the last few are remembered."""
    *_, name, _ = done.notice.key.split("/")
    late = tuple(one for one in state.late if f"{LATE}{one.number}" != name)
    every = (*state.done, done)
    old = [one for one in every if f"/{LATE}" in one.notice.key][:-LATE_SHOWN]
    return replace(state, late=late, done=tuple(one for one in every if one not in old))


def counted(state: DropState, counts: Counts) -> DropState:
    """The state with what came of the members of a wave."""
    return replace(state, counts=state.counts.plus(counts))


def outcomes_of(notice: Notice, report: WaveReport, at: datetime) -> tuple[ChannelOutcome, ...]:
    """What came of a wave, in one line: `sent` if anybody has the message."""
    counts, words = report.counts, report.words
    order = {
        Status.SENT: counts.sent,
        Status.UNCERTAIN: counts.uncertain,
        Status.MISSED: counts.missed,
        Status.FAILED: counts.failed,
        Status.REFUSED: counts.skips,
    }
    nobody = {BROKEN_OFF: Status.FAILED, NO_CHANNEL: Status.REFUSED}.get(report.stage, Status.LAPSED)
    status = next((status for status, members in order.items() if members), nobody)
    return tuple(ChannelOutcome(channel, status, at, words) for channel in notice.channels)


def drop_report(state: DropState, agenda: Agenda) -> Report:
    """The last words of a drop: messages count here, not waves."""
    counts = state.counts
    failed = counts.failed + counts.uncertain + counts.skips
    words = f"{str(agenda.stage).capitalize()}. {counts.sent:,} notices sent, {counts.missed:,} missed"
    held = "".join(f", {members:,} held by {rule}" for rule, members in sorted(counts.skipped.items()))
    left_out = "; ".join(f"{one.kind}: {one.reason.sentence}" for one in agenda.left_out)
    return Report(
        agenda.lifecycle,
        agenda.stage,
        f"{words}, {counts.failed:,} failed{held}." + (f" Left out: {left_out}." if left_out else ""),
        sent=counts.sent,
        missed=counts.missed,
        failed=failed,
        left_out=len(agenda.left_out),
    )


def _planned(
    state: DropState,
    kind: Kind,
    name: str,
    telling: Telling,
    holders: str,
    parameters: Mapping[str, str] = MappingProxyType({}),
) -> Planned:
    """A wave under a name of its own; all issued ones share a subject: nobody hears of a coupon twice."""
    drop, lifecycle = state.drop, lifecycle_of(state)
    wave = Wave(
        wave_id=f"coupon.{drop.drop_id}.{name}",
        merchant_id=drop.merchant_id,
        kind=kind,
        audience=Audience(kind.value, {"drop": drop.drop_id, **parameters}),
        channels=state.ready.channels or CATALOGUE[kind].channels,
        due=telling.due,
        not_after=telling.not_after,
        lifecycle=lifecycle,
        subject=name if kind is Kind.COUPON_EXPIRING else ISSUED,
    )
    key = notice_key(lifecycle, kind, name, "holders")
    return Planned(
        Notice(key, kind, Role.MEMBER, Person(holders), wave.channels, wave.due, wave.not_after), wave
    )


def _stage(state: DropState, now: datetime) -> DropStage:
    if state.revoked:
        return DropStage.REVOKED
    if state.ended(now):
        return DropStage.OVER
    issued = issued_due(state.drop, state.ready.policy, state.ready.zone)
    return DropStage.ISSUED if now >= issued else DropStage.PLANNED


def _left_out(state: DropState) -> Iterator[LeftOut]:
    """The notices that will not be sent, each with the reason."""
    drop, rules = state.drop, state.ready
    known = (drop, rules.policy, rules.zone)
    issued = expiring = None
    if state.revoked:
        issued = expiring = Reason.COUPON_REVOKED
    elif not rules.channels:
        issued = expiring = Reason.CHANNEL_OFF
    else:
        if issued_telling(*known, state.known_at) is None:
            issued = Reason.KNOWN_TOO_LATE
        if expiring_due(*known, state.moved) is None:
            expiring = Reason.SHORT_COUPON
        elif expiring_telling(*known, state.last_day_at, state.moved) is None:
            expiring = Reason.KNOWN_TOO_LATE
    sent = {done.notice.key.split("/")[-2] for done in state.done}
    names = {Kind.COUPON_ISSUED: (ISSUED, issued), Kind.COUPON_EXPIRING: (str(drop.usable_to), expiring)}
    for kind, (name, reason) in names.items():
        if reason is not None and name not in sent:
            key = notice_key(lifecycle_of(state), kind, name, "holders")
            yield LeftOut(key, kind, Role.MEMBER, Person("the holders"), CATALOGUE[kind].channels, reason)
