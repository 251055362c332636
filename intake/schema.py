"""JSON Schema of the input, from the same dataclasses that the reader follows."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from intake.tasks import TaskFile
from intake.values import LONGEST_EVENT_ID
from models.booking import Booking
from models.booking_facts import AnyBookingFact
from models.coupon import CouponDrop
from models.merchant import Merchant

INPUTS: Mapping[str, Any] = {
    "booking": Booking,
    "coupon": CouponDrop,
    "facts": list[Annotated[AnyBookingFact, Field(discriminator="fact")]],
    "merchant": Merchant,
    "tasks": TaskFile,
}

_ID = {"pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}
_OFFSET = r"([Zz]|[+-][0-9]{2}:?[0-9]{2})$"
_NARROWER: Mapping[str, Mapping[str, Any]] = {
    "merchant_id": _ID,
    "booking_id": _ID,
    "drop_id": _ID,
    "event_id": {
        "minLength": 1,
        "maxLength": LONGEST_EVENT_ID,
        "description": "names the happening: the same one told twice counts once",
    },
    "at": {"description": "when it happened; left out: the moment of telling"},
    "ordered_at": {"description": "ISO 8601 with its offset"},
    "starts_at": {"description": "ISO 8601 with its offset"},
    "ends_at": {"description": "ISO 8601 with its offset"},
    "phone": {"description": "E.164, or as it is dialled in the merchant's country"},
}
"""What the types do not tell, by the name of the property."""
_AT_LEAST_ONE = {("Booking", "services")}

_MARKS = re.compile(r"\s*\[[A-Z]+-[^\]]*\]")
_SENTENCE = re.compile(r"(?<=\.)\s+|\n\s*\n|\n(?=\s*`)")


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one kind of input: a booking, a list of facts, a merchant, its tasks."""
    made = TypeAdapter(INPUTS[name]).json_schema()
    for title, found in _objects(made):
        _describe(title, found)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": name.capitalize(),
    }


def _objects(made: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for found in (made, *made.get("$defs", {}).values()):
        if found.get("type") == "object" and "properties" in found:
            yield found["title"], found
        elif "description" in found:
            found["description"] = _plain(found["description"])


def _describe(title: str, found: dict[str, Any]) -> None:
    """Close the object, and tell of each property what the docstring of its class tells."""
    words = found.get("description", "")
    sentences = _SENTENCE.split(_MARKS.sub("", words))
    found["description"] = _plain(words)
    found["additionalProperties"] = False
    for name, field in found["properties"].items():
        about = " ".join(sentence.strip() for sentence in sentences if f"`{name}`" in sentence)
        if about and "$ref" not in field:
            field["description"] = " ".join(about.removeprefix(f"`{name}`: ").split())
        if field.get("format") != "time":
            field.update(_NARROWER.get(name, {}))
        if (title, name) in _AT_LEAST_ONE:
            field["minItems"] = 1
        if field.get("const") is not None:
            found["required"] = [name, *found.get("required", [])]
            field.pop("default", None)
        for form in (field, *field.get("anyOf", ())):
            if form.get("format") == "date-time":
                form["pattern"] = _OFFSET


def _plain(words: str) -> str:
    return _MARKS.sub("", words).partition("\n\n")[0].strip()
