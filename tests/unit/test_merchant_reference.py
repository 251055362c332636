"""What the docs say of a merchant's file is what the code takes: every field, with its real default."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import time
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from models.channels import EMAIL, PUSH, SMS
from models.merchant import (
    PROMOTIONAL_WORDS,
    EmailProvider,
    Merchant,
    PaymentMethod,
    PushProvider,
    SmsProvider,
)
from models.policy import ConsentRule, Trade
from models.timing import Offset

REFERENCE = Path(__file__).resolve().parent.parent.parent / "docs" / "merchants.md"
ROW = re.compile(r"^\| `([\w.]+)` \| ([^|]+) \| ([^|]+) \|([^|]*)\|$", re.MULTILINE)
REQUIREMENT = re.compile(r"(WACA|LOY|CRES|MAAC|LS)-[0-9]{2}[a-c]?")
NEEDED, NONE = "needed", "none"
KEYS = {"bonuses": "CURRENCY"}
"""How the docs write the key of a table whose keys are the merchant's own."""


def told() -> dict[str, str]:
    """The default of each field, as the document has it."""
    rows = [(field, default.strip()) for field, default, _, _ in ROW.findall(REFERENCE.read_text("utf-8"))]
    assert len(rows) == len(dict(rows)), "a field has one row"
    return dict(rows)


def real(kind: Any, where: str = "", given: Any = None) -> Iterator[tuple[str, str]]:
    """The same from the code; `given`: the default that holds where this stands."""
    hints = get_type_hints(kind)
    for one in fields(kind):
        path, default = f"{where}{one.name}", _default(one) if given is None else getattr(given, one.name)
        inner = _inner(hints[one.name])
        if inner is not None and get_origin(hints[one.name]) is None:
            yield from real(inner, f"{path}.", default)
        elif inner is not None:
            key = f"{KEYS[one.name]}." if one.name in KEYS else ""
            yield from real(inner, f"{path}.{key}")
        else:
            yield path, shown(default)


def _default(one: Field[Any]) -> Any:
    return one.default_factory() if one.default_factory is not MISSING else one.default


def _inner(hint: Any) -> Any:
    """The dataclass that a field holds, alone or several of it. An offset is one value."""
    kinds = [one for one in (hint, *get_args(hint)) if is_dataclass(one) and one is not Offset]
    return kinds[0] if kinds else None


def shown(value: Any) -> str:
    """A default as the document writes it: in TOML."""
    if value is MISSING:
        return NEEDED
    if value in ("", None, (), {}):
        return NONE
    if value == PROMOTIONAL_WORDS:
        return f"the usual {len(value)}"
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case Offset():
            return f"{{ days = {value.days}, at = {value.at:%H:%M:%S} }}"
        case time():
            return f"{value:%H:%M:%S}"
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case Mapping():
            return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}"
        case StrEnum() | str():
            return f'"{value}"'
        case int() | Decimal():
            return str(value)
    raise TypeError(value)


def test_every_field_of_a_merchants_file_is_in_the_docs_with_its_default() -> None:
    """Whoever adds a field, or changes a default, says so."""
    assert told() == dict(real(Merchant))


@pytest.mark.parametrize(
    "kind", [SmsProvider, EmailProvider, PushProvider, PaymentMethod, Trade, ConsentRule], ids=str
)
def test_every_word_that_a_field_takes_is_in_the_docs(kind: type[StrEnum]) -> None:
    """Of those that are chosen from."""
    text = REFERENCE.read_text("utf-8")
    assert [word for word in (*kind, EMAIL, SMS, PUSH) if f"`{word}`" not in text] == []


def test_every_requirement_that_it_names_is_one() -> None:
    """By its form; a field of nobody's seed names none."""
    for field, _, _, ids in ROW.findall(REFERENCE.read_text("utf-8")):
        assert all(REQUIREMENT.fullmatch(name) for name in re.split(r", | to ", ids.strip()) if name), field
