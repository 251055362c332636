"""Facts and requests about a booking."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from intake import values
from intake.files import Source, load
from intake.people import PERSON, context_of
from intake.problems import InputError, Problem, nearest, shown
from intake.reader import Check, Reader
from models.booking_facts import (
    FACTS,
    REQUESTS,
    AnyBookingFact,
    Fact,
)
from models.merchant import Merchant

KINDS: Mapping[str, type[AnyBookingFact]] = {**FACTS, **REQUESTS}


def read_facts(source: Source | list[Any], merchant: Merchant | None = None) -> list[AnyBookingFact]:
    """The facts of a file: a list, or an object with the list `facts`; InputError with all that is wrong."""
    name, data = ("the facts", source) if isinstance(source, list) else load(source, "the facts")
    where = ""
    if isinstance(data, Mapping):
        where, data = "facts", data.get("facts")
    if not isinstance(data, list):
        raise InputError(name, [Problem(where, "holds no list of facts", "write a list, each with 'fact'")])
    reader = Reader(CHECKS, {}, context_of(merchant))
    found = [one_of(KINDS, reader, item, f"{where}[{number}]") for number, item in enumerate(data)]
    if reader.problems:
        raise InputError(name, reader.problems)
    return found


def read_fact(name: str, data: Mapping[str, Any], merchant: Merchant | None = None) -> AnyBookingFact:
    """One fact by its name; InputError with all that is wrong with it."""
    reader = Reader(CHECKS, {}, context_of(merchant))
    found: AnyBookingFact = one_of(KINDS, reader, {**data, "fact": name}, "")
    if reader.problems:
        raise InputError("the fact", reader.problems)
    return found


def check_fact(fact: AnyBookingFact, merchant: Merchant | None = None) -> AnyBookingFact:
    """The same guard for a fact that Python code made."""
    return read_fact(fact.fact, asdict(fact), merchant)


CHECKS: Mapping[tuple[type, str], Check] = {
    **PERSON,
    (Fact, "event_id"): values.event_id,
}


def one_of(kinds: Mapping[str, type], reader: Reader, data: Any, where: str) -> Any:
    """The fact in `data`, of the kind that it names, or None with the problem noted."""
    name = data.get("fact") if isinstance(data, Mapping) else None
    if not isinstance(name, str) or name not in kinds:
        value = "" if name is None else shown(name)
        what = "is missing" if name is None else "is no fact"
        field = ".".join(filter(None, (where, "fact")))
        reader.problems.append(Problem(field, what, nearest(str(name or ""), kinds), value))
        return None
    return reader.read(kinds[name], data, where)
