"""What a fault campaign came to, counted at the provider and read from the log: as numbers and as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.notices import NoticeClass
from tests.faults.campaign import Fault, Plan, Provider, Toll
from tests.faults.campaign_items import class_of, key_of


@dataclass(frozen=True)
class Fate:
    """One message: how often the provider took it, and what the log says of it."""

    key: str
    notice_class: NoticeClass
    taken: int
    status: str
    doubtful: bool

    @property
    def once_at_most(self) -> bool:
        return self.notice_class > NoticeClass.REMINDER

    @property
    def lost(self) -> bool:
        """Never taken, and the log does not say that this is open."""
        return not self.taken and self.status != "uncertain"

    @property
    def twice(self) -> bool:
        return self.taken > 1

    @property
    def unmarked(self) -> bool:
        return self.twice and not self.doubtful


def fates(plan: Plan, provider: Provider, rows: Sequence[Mapping[str, Any]]) -> list[Fate]:
    """What became of every message; one without a row has the status `none`."""
    found = {row["notice_key"]: row for row in rows}
    return [
        Fate(
            key_of(number),
            class_of(number),
            provider.taken[key_of(number)],
            str(found[key_of(number)]["status"]) if key_of(number) in found else "none",
            bool(found.get(key_of(number), {}).get("doubtful")),
        )
        for number in range(plan.messages)
    ]


COLUMNS = (
    "class",
    "messages",
    "sent",
    "lost",
    "doubtful",
    "sent twice",
    "unmarked",
    "uncertain",
    "of them taken",
)


def table(name: str, plan: Plan, provider: Provider, toll: Toll, all_of_them: Sequence[Fate]) -> str:
    """The report."""
    rows = [COLUMNS, *_rows(all_of_them)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    kind = "takes idempotency keys" if plan.idempotent else "takes every message as new"
    title = f"fault campaign on {name}, seed {plan.seed}; the provider {kind}"
    lines = ["", title, "-" * len(title)]
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([first.strip().ljust(widths[0]), *others]))
    deaths = ", ".join(f"{point} {count}" for point, count in sorted(toll.deaths.items()))
    faults = ", ".join(f"{fault} {provider.faults[fault]}" for fault in Fault if fault is not Fault.NONE)
    lines += [
        f"kills: {toll.deaths.total()} in {toll.attempts} attempts ({deaths})",
        f"provider: {provider.faults.total()} requests, {provider.dropped} dropped by key; {faults}",
    ]
    return "\n".join(lines)


def _rows(all_of_them: Sequence[Fate]) -> Iterator[tuple[str, ...]]:
    for notice_class in NoticeClass:
        some = [fate for fate in all_of_them if fate.notice_class is notice_class]
        if some:
            yield _row(notice_class.word, some)
    yield _row("all", all_of_them)


def _row(word: str, some: Sequence[Fate]) -> tuple[str, ...]:
    uncertain = [fate for fate in some if fate.status == "uncertain"]
    numbers = (
        len(some),
        sum(fate.status == "sent" for fate in some),
        sum(fate.lost for fate in some),
        sum(fate.doubtful for fate in some),
        sum(fate.twice for fate in some),
        sum(fate.unmarked for fate in some),
        len(uncertain),
        sum(fate.taken > 0 for fate in uncertain),
    )
    return word, *map(str, numbers)
