"""Facts about a member."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from intake import values
from intake.facts import one_of
from intake.problems import InputError, Problem
from intake.reader import Check, Reader
from models.ids import check_id
from models.member_facts import MEMBER_FACTS, MemberEvent, MemberFact

CHECKS: Mapping[tuple[type, str], Check] = {(MemberEvent, "event_id"): values.event_id}


def read_member_fact(name: str, data: Mapping[str, Any]) -> MemberFact:
    """One fact about a member by its name; InputError with all that is wrong with it."""
    reader = Reader(CHECKS, {})
    found: MemberFact = one_of(MEMBER_FACTS, reader, {**data, "fact": name}, "")
    if reader.problems:
        raise InputError("the fact", reader.problems)
    return found


def check_member_fact(fact: MemberFact) -> MemberFact:
    """The same guard for a fact that Python code made."""
    return read_member_fact(fact.fact, asdict(fact))


def check_member_ids(merchant_id: str, member_id: str) -> None:
    """InputError, if these cannot name a member."""
    given = {"merchant_id": merchant_id, "member_id": member_id}
    wrong = [found for name, value in given.items() if (found := check_id(name, value))]
    if wrong:
        raise InputError("the member", [Problem("", one) for one in wrong])
