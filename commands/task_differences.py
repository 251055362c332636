"""What is different between a regular task as it was applied and as it is meant, in words."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from itertools import takewhile

from intake.problems import shown
from models.regular_task import Gift, RegularTask, TaskKind
from models.wave import Words

BEFORE, LONGEST = 10, 50
"""So many characters are shown before the first one that changed, and of a text in all."""


def differences(old: RegularTask, new: RegularTask) -> list[str]:
    """`minimum: 50 -> 80`, one for each field; of a text that part which changed."""
    found = []
    for field in fields(RegularTask):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if isinstance(before, Mapping):
            found += list(_texts(field.name, before, after))
        elif before != after:
            found.append(f"{field.name}: {_value(before)} -> {_value(after)}")
    return found


def _texts(name: str, old: Mapping[str, Words], new: Mapping[str, Words]) -> Iterator[str]:
    for locale in sorted({*old, *new}):
        before, after = old.get(locale, NO_WORDS), new.get(locale, NO_WORDS)
        for part in fields(Words):
            pair = getattr(before, part.name), getattr(after, part.name)
            if pair[0] != pair[1]:
                yield f"{name}.{locale}.{part.name}: {' -> '.join(_around(*pair))}"


NO_WORDS = Words("")


def _around(*pair: str) -> Iterator[str]:
    """Both texts from shortly before the place where they part."""
    start = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(*pair, strict=False)))
    start = start - BEFORE if start > 2 * BEFORE else 0
    for text in pair:
        end = start + LONGEST
        cut = ("\N{HORIZONTAL ELLIPSIS}" * bool(start), "\N{HORIZONTAL ELLIPSIS}" * (len(text) > end))
        yield shown(cut[0] + text[start:end] + cut[1]) if text else "nothing"


def _value(value: object) -> str:
    match value:
        case tuple():
            return ", ".join(map(str, value)) or "none"
        case TaskKind():
            return value.value
        case Gift():
            lasting = f"for {value.days} days" if value.days else "that never end"
            return f"{value.amount.normalize():f} {value.currency} {lasting}"
        case None | str() | int():
            return shown(value)
        case _:
            return str(value)
