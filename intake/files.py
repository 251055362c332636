"""TOML and JSON, by the ending of the file's name or else by its content."""

import json
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from intake.problems import InputError, Problem

Source = str | Path | Mapping[str, Any]
"""A file, or what a program has in hand."""


def load(source: Source, what: str) -> tuple[str, Any]:
    """The name to show for a source, and the data in it. `what` names data that came without a file."""
    if isinstance(source, Mapping):
        return what, source
    name = str(source)
    return name, _decoded(name, _text(name, Path(source)), Path(source).suffix.lower())


def _text(name: str, path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise _unusable(name, "there is no such file", "check its name") from None
    except OSError as error:
        raise _unusable(name, f"cannot be read ({error.strerror})", "") from None
    except UnicodeDecodeError:
        raise _unusable(name, "is not in UTF-8", "save it as UTF-8") from None


def _decoded(name: str, text: str, suffix: str) -> Any:
    if suffix == ".json":
        return _json(name, text)
    if suffix == ".toml":
        return _toml(name, text)
    if text.lstrip().startswith("{"):
        return _json(name, text)
    if not text.lstrip().startswith("["):
        return _toml(name, text)
    try:
        return _toml(name, text)  # a table's name stands in brackets, and so does a list in JSON
    except InputError:
        return _json(name, text)


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(
            text, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_without_repeats
        )
    except RecursionError:
        raise _unusable(name, "is nested too deeply", "") from None
    except ValueError as error:
        raise _unusable(name, f"is not JSON ({error})", "mend it there") from None


def _toml(name: str, text: str) -> Any:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except RecursionError:
        raise _unusable(name, "is nested too deeply", "") from None
    except ValueError as error:
        raise _unusable(name, f"is not TOML ({error})", "mend it there") from None


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What is given twice was meant once: which one, its writer must say."""
    taken: dict[str, Any] = {}
    for key, value in pairs:
        if key in taken:
            raise ValueError(f"{key!r} is given twice")
        taken[key] = value
    return taken


def _unusable(name: str, what: str, mend: str) -> InputError:
    return InputError(name, [Problem("", what, mend)])
