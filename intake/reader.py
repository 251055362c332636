"""Data made into dataclasses by their type hints, with every problem noted on the way.

Domain objects are plain dataclasses that check nothing. This reads them from JSON, TOML or Python data; a
value that cannot be read leaves BROKEN in its place, so that the rules over the other values still run and
one reading finds all there is to mend.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from intake import values
from intake.problems import InputError, Problem, Wrong, nearest, shown
from models.merchant import PROMOTIONAL_WORDS

BROKEN: Any = type("Broken", (), {"__repr__": lambda _: "BROKEN"})()
"""Stands where a value could not be read."""


@dataclass(frozen=True)
class Context:
    """What a value is read with: the country of local phone numbers, and what notes must not say."""

    country: str = ""
    words: tuple[str, ...] = PROMOTIONAL_WORDS


Check = Callable[[Any, Context], Any]
"""Answers a value as it is kept, or raises Wrong."""
Rule = Callable[[Any, Context], Iterator[Problem]]
"""What is wrong between the values of one object; `where` counts from that object.

A problem without a value gets the one that stands there.
"""

PARSERS: Mapping[type, Callable[[Any], Any]] = {
    str: values.text,
    int: values.whole,
    bool: values.truth,
    Decimal: values.number,
    datetime: values.instant,
    date: values.day,
    time: values.wall_time,
}


def sound(*found: object) -> bool:
    """Whether all of these could be read."""
    return not any(value is BROKEN for value in found)


class Reader:
    """Reads objects. `checks` are for single fields, `rules` for what holds between those of one class."""

    def __init__(
        self,
        checks: Mapping[tuple[type, str], Check],
        rules: Mapping[type, Rule],
        context: Context = Context(),
    ) -> None:
        self._checks = checks
        self._rules = rules
        self._context = context
        self.problems: list[Problem] = []

    def whole(self, kind: Any, data: Any, source: str) -> Any:
        """The object in `data`; InputError with all that is wrong with it."""
        found = self.read(kind, data, "")
        if self.problems:
            raise InputError(source, self.problems)
        return found

    def read(self, kind: Any, data: Any, where: str, usual: Any = None) -> Any:
        """The value of that type, or BROKEN with the problem noted.

        What an object leaves out stays as it is in `usual`, where there is such a one.
        """
        try:
            return self._read(kind, data, where, usual)
        except Wrong as wrong:
            self._note(where, data, wrong)
            return BROKEN

    def _read(self, kind: Any, data: Any, where: str, usual: Any = None) -> Any:
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            (kind,) = (one for one in arguments if one is not type(None))
            return None if data is None else self._read(kind, data, where, usual)
        if is_dataclass(kind):
            return self._object(kind, data, where, usual)
        if origin is tuple:
            return tuple(self._list(arguments[0], data, where))
        if origin is Literal or (origin is None and issubclass(kind, Enum)):
            return _choice(kind, data)
        if origin is not None:
            return self._table(arguments, data, where)
        return PARSERS[kind](data)

    def _object(self, kind: Any, data: Any, where: str, usual: Any) -> Any:
        if not isinstance(data, Mapping):
            raise Wrong("is no object", f"write it with {', '.join(field.name for field in fields(kind))}")
        found = {}
        known = _fields(kind) if usual is None else _fields_of(usual)
        for name, (hint, default) in known.items():
            # Many systems write null for what they do not have.
            if data.get(name) is None and default is not MISSING:
                continue
            if data.get(name) is None:
                self.problems.append(Problem(_join(where, name), "is missing", f"add {expected(hint)}"))
                found[name] = BROKEN
                continue
            found[name] = self._field(kind, name, hint, default, data[name], _join(where, name))
        for name in data:
            if name not in _fields(kind):
                self.problems.append(
                    Problem(_join(where, str(name)), "is not known", nearest(str(name), _fields(kind)))
                )
        made = kind(**found) if usual is None else replace(usual, **found)
        rule = self._rules.get(kind)
        if rule is not None:
            self.problems += [_placed(problem, data, where) for problem in rule(made, self._context)]
        return made

    def _field(self, kind: type, name: str, hint: Any, default: Any, data: Any, where: str) -> Any:
        value = self.read(hint, data, where, default if is_dataclass(default) else None)
        owners = ((owner, name) for owner in kind.__mro__)
        check = next((self._checks[owner] for owner in owners if owner in self._checks), None)
        if check is None or value is BROKEN or (value == "" and default == ""):
            return value
        try:
            return check(value, self._context)
        except Wrong as wrong:
            self._note(where, data, wrong)
            return BROKEN

    def _list(self, kind: Any, data: Any, where: str) -> Iterator[Any]:
        if not isinstance(data, list | tuple):
            raise Wrong("is no list", "write it in brackets: [...]")
        return (self.read(kind, item, f"{where}[{number}]") for number, item in enumerate(data))

    def _table(self, kinds: tuple[Any, ...], data: Any, where: str) -> dict[Any, Any]:
        if not isinstance(data, Mapping):
            raise Wrong("is no table", "write it as names with their values")
        pairs = (
            (self.read(kinds[0], key, _join(where, str(key))), key, value) for key, value in data.items()
        )
        return {key: self.read(kinds[1], value, _join(where, str(name))) for key, name, value in pairs}

    def _note(self, where: str, data: Any, wrong: Wrong) -> None:
        self.problems.append(Problem(_join(where, wrong.at), wrong.what, wrong.mend, shown(data)))


def expected(hint: Any) -> str:
    """What a value of that type looks like."""
    kind: Any = hint
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {', '.join(str(member.value) for member in hint)}"
    if is_dataclass(hint):
        needed = (name for name, (_, default) in _fields(kind).items() if default is MISSING)
        return f"an object with {', '.join(needed)}"
    if get_origin(hint) is tuple:
        return "a list"
    return values.EXAMPLES.get(hint, "it")


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, Any]]:
    """The fields of a dataclass by name: the type, and the default or MISSING."""
    hints = get_type_hints(kind)
    return {field.name: (hints[field.name], _default(field)) for field in fields(kind)}


def _fields_of(usual: Any) -> dict[str, tuple[Any, Any]]:
    """The same of an object: its own values are the defaults."""
    kind: Any = type(usual)
    return {name: (hint, getattr(usual, name)) for name, (hint, _) in _fields(kind).items()}


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _choice(kind: Any, data: Any) -> Any:
    options = list(get_args(kind)) or list(kind)
    names = [str(getattr(option, "value", option)) for option in options]
    if isinstance(data, str) and str(data) in names:
        return options[names.index(str(data))]
    raise Wrong("is not known", nearest(str(data), names))


def _join(where: str, name: str) -> str:
    return ".".join(filter(None, (where, name)))


def _placed(problem: Problem, data: Any, where: str) -> Problem:
    """A rule's problem, seen from the whole input and with the value as its writer wrote it."""
    found = data
    for step in re.findall(r"[^.\[\]]+", problem.where):
        found = found[int(step)] if isinstance(found, list | tuple) else (found or {}).get(step)
    value = problem.value or ("" if found is None else shown(found))
    return replace(problem, where=_join(where, problem.where), value=value)
