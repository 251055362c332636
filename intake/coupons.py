"""Coupon drops and who is given their coupons, as a shop system hands them over."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from activities.coupon_holders import Holder
from intake import values
from intake.files import Source, load
from intake.members import BadLine
from intake.problems import Problem, Wrong, nearest, shown
from intake.reader import Check, Reader, Rule, sound
from intake.records import Records
from models.coupon import CouponDrop
from models.merchant import Merchant

LONGEST_CODE = 64
NEEDED = ("member_id",)
NAMES = ("member_id", "code")


def read_drop(source: Source, merchant: Merchant | None = None) -> CouponDrop:
    """A checked drop; InputError if it is none. With its merchant, the branch is checked."""
    name, data = load(source, "the drop")
    rules: Mapping[type, Rule] = {CouponDrop: lambda drop, _: _drop_rules(drop, merchant)}
    found: CouponDrop = Reader(CHECKS, rules).whole(CouponDrop, data, name)
    return found


def check_drop(drop: CouponDrop) -> CouponDrop:
    """The same guard for a drop that Python code made."""
    return read_drop(asdict(drop))


CHECKS: Mapping[tuple[type, str], Check] = {
    (CouponDrop, "merchant_id"): values.identifier,
    (CouponDrop, "drop_id"): values.identifier,
    (CouponDrop, "name"): values.line,
    (CouponDrop, "branch_id"): values.identifier,
}


def _drop_rules(drop: CouponDrop, merchant: Merchant | None) -> Iterator[Problem]:
    if sound(drop.usable_from, drop.usable_to) and drop.usable_to < drop.usable_from:
        mend = f"its first day is {drop.usable_from}, and its last day is included"
        yield Problem("usable_to", "is before the first day", mend)
    elif sound(drop.issue_on, drop.usable_to) and drop.usable_to < drop.issue_on:
        mend = f"its last day of use is {drop.usable_to}: issue it by then"
        yield Problem("issue_on", "is after the last day", mend)
    if merchant is None:
        return
    if sound(drop.merchant_id) and drop.merchant_id != merchant.id:
        yield Problem("merchant_id", "is another merchant", f"the merchant is {merchant.id!r}")
    elif sound(drop.branch_id) and drop.branch_id and merchant.branch(drop.branch_id) is None:
        mend = nearest(drop.branch_id, [branch.id for branch in merchant.branches] or ["none"])
        yield Problem("branch_id", f"is no branch of {merchant.id}", mend)


class HolderFile:
    """Who is given a coupon, one by one. InputError where nothing of the file can be used."""

    def __init__(self, path: Path) -> None:
        self._records = Records(path, NAMES, NEEDED)
        self.lines = self._records.lines

    def __iter__(self) -> Iterator[tuple[int, Holder | BadLine]]:
        """Each with the line that it begins on."""
        for record in self._records:
            found = (record.problem,) if record.problem else read_holder(record.values)
            yield record.line, BadLine.of(record, found) if isinstance(found, tuple) else found


def read_holder(data: Mapping[str, Any]) -> Holder | tuple[Problem, ...]:
    """Someone who is given a coupon, or all that is wrong with it."""
    problems = [
        Problem(str(name), "is not known", nearest(str(name), NAMES)) for name in data if name not in NAMES
    ]
    found = {}
    for name, check in (("member_id", values.identifier), ("code", _code)):
        raw = data.get(name)
        try:
            given = values.text(raw).strip() if raw is not None else ""
            found[name] = check(given) if given else ""
        except Wrong as wrong:
            problems.append(Problem(name, wrong.what, wrong.mend, shown(raw)))
        else:
            if name in NEEDED and not given:
                problems.append(Problem(name, "is missing", "write it out"))
    return tuple(problems) or Holder(found["member_id"], found["code"])


def _code(value: str) -> str:
    if len(value) > LONGEST_CODE or not value.isprintable() or " " in value:
        raise Wrong("is no code", f"write at most {LONGEST_CODE} characters, without blanks")
    return value
