"""The table of notices in the docs is the catalogue's: every kind, its recipient and its channels."""

import re
from pathlib import Path

from models.notices import CATALOGUE, Kind

OVERVIEW = Path(__file__).resolve().parent.parent.parent / "docs" / "overview.md"
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
SHORT = {
    "invitation, and again": (Kind.INVITATION, Kind.INVITATION_AGAIN),
    "bonus activation, bonus burn": (Kind.BONUS_ACTIVATION, Kind.BONUS_BURN),
    "welcome": (Kind.MEMBER_WELCOME,),
}
"""What the table calls otherwise, or in one row."""


Routes = set[tuple[str, ...]]


def told() -> dict[Kind, tuple[str, Routes]]:
    """To whom and by what each kind goes, as the table has it: `email, SMS else email`."""
    table = OVERVIEW.read_text("utf-8").partition("## What is sent, and when")[2].partition("Of email,")[0]
    found = {}
    for name, to, by in ROW.findall(table)[1:]:
        if set(name) <= {"-"}:
            continue
        plain = name.lower().replace("-", "_").replace(" ", "_")
        for kind in SHORT.get(name) or (Kind(plain),):
            found[kind] = to, {tuple(route.split(" else ")) for route in by.lower().split(", ")}
    return found


def test_every_notice_is_in_the_table_with_its_recipient_and_channels() -> None:
    """Whoever adds a kind adds its row."""
    catalogue = {kind: (row.role.replace("_", " "), set(row.routes)) for kind, row in CATALOGUE.items()}
    catalogue[Kind.PHONE_CODE] = "somebody who registers", catalogue[Kind.PHONE_CODE][1]
    assert told() == catalogue
