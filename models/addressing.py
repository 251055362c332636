"""A notice with only the channels that can carry it, and the others as left out."""

from collections.abc import Sequence
from dataclasses import replace

from models.agenda import LeftOut, Notice, Reason
from models.notices import CATALOGUE
from models.people import Person

Entry = Notice | LeftOut


def without(notice: Notice, reason: Reason, *, undated: bool = False) -> LeftOut:
    """The notice as left out, for that reason."""
    return LeftOut(
        key=notice.key,
        kind=notice.kind,
        role=notice.role,
        recipient=notice.recipient,
        channels=notice.channels,
        reason=reason,
        due=None if undated else notice.due,
        about=notice.about,
    )


def addressed(
    entry: Entry,
    switched_on: Sequence[str],
    chosen: Sequence[str] | None = None,
    *,
    chains: bool = False,
) -> list[Entry]:
    """The notice by the channels that are switched on and reach its recipient, and what is left out.

    `chosen`: of these channels the merchant wants the kind, where it has a say. `chains`: another channel
    takes the place of one that cannot be used, as the catalogue has it. [LS-50]
    """
    if isinstance(entry, LeftOut):
        return [entry]
    taken: list[str] = []
    parts: list[Entry] = []
    for route in _routes(entry, chosen, chains=chains):
        reasons = {channel: hindrance(entry.recipient, channel, switched_on) for channel in route}
        usable = next((channel for channel in route if reasons[channel] is None), None)
        if usable is not None:
            taken.append(usable)
            continue
        reason = reasons[route[0]]
        if reason is not None:
            parts.append(without(replace(entry, channels=route), reason))
    return [replace(entry, channels=tuple(taken)), *parts] if taken else parts


def _routes(notice: Notice, chosen: Sequence[str] | None, *, chains: bool) -> list[tuple[str, ...]]:
    row = CATALOGUE[notice.kind]
    own = [channel for channel in row.channels if chosen is None or channel in chosen]
    return [row.chain(channel, own) if chains else (channel,) for channel in own]


def hindrance(person: Person, channel: str, switched_on: Sequence[str]) -> Reason | None:
    """Why this channel cannot carry anything to this person, if so."""
    if channel not in switched_on:
        return Reason.CHANNEL_OFF
    return None if person.address(channel) else Reason.NO_ADDRESS
