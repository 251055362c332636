"""What is wrong with an input, in words that its writer can act on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from difflib import get_close_matches

SHOWN = 60
"""The longest value that is shown whole."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where (`services[1].starts_at`), what, the mend, the value as it stands."""

    where: str
    what: str
    mend: str = ""
    value: str = ""

    def __str__(self) -> str:
        said = " ".join(filter(None, (self.value, self.what)))
        return ": ".join(filter(None, (self.where, said, self.mend)))


class InputError(ValueError):
    """An input that cannot be used. `problems` holds all that is wrong with it; none of it was taken."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = "" if len(problems) == 1 else f" ({len(problems)} problems)"
        lines = (f"\n  {problem}" for problem in problems)
        super().__init__(f"{source} cannot be used{count}" + "".join(lines))


class Wrong(Exception):  # noqa: N818  (raised and caught inside this package: what is wrong with one value)
    """What is wrong with a value, and the mend. `at` leads from the value to the part that is wrong."""

    def __init__(self, what: str, mend: str, *, at: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.at = at


def shown(value: object) -> str:
    """A value as its writer knows it, shortened."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            text = repr(str(value))
        case Decimal():
            text = str(value)
        case date() | time():
            text = value.isoformat()
        case dict():
            text = "{...}" if value else "{}"
        case list() | tuple():
            text = "[...]" if value else "[]"
        case _:
            text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'zone'?` where something is near, else all that there is."""
    names = [str(one) for one in known]
    near = [one for one in names if one.casefold() == name.casefold()] or get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there is {', '.join(names)}"
