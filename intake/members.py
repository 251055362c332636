"""Members, as a shop system hands them over: one, or a file of hundreds of thousands."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Self

from activities.addresses import is_plain_email, plain_mobile
from activities.members import Enrolment
from intake import values
from intake.files import Source, load
from intake.problems import InputError, Problem, Wrong, nearest, shown
from intake.records import Record, Records
from models.channels import EMAIL, PUSH, SMS
from models.consent import Consent, ConsentGiven
from models.member import Member
from models.merchant import Merchant
from models.notices import NoticeClass
from models.timing import instant, local_day

SOURCE = "import"
"""Where the consents of an import were said, as far as is known."""
NEEDED = ("member_id", "name")
SLACK = timedelta(minutes=5)
"""How far the clock of the shop system may be ahead of ours."""
EARLIEST = date(1900, 1, 1)
LONGEST_TOKEN = 512
MOST_GROUPS = 50

CONSENTS: Mapping[str, tuple[NoticeClass, str]] = {
    f"consent_{one.word}_{channel}": (one, channel)
    for one in (NoticeClass.PROMOTIONAL, NoticeClass.LOYALTY, NoticeClass.REMINDER)
    for channel in (EMAIL, SMS, PUSH)
}
"""The columns that tell what a member has said: yes, no, or nothing."""
_YES_OR_NO = {
    **dict.fromkeys(("yes", "y", "true", "1", True), Consent.OPTED_IN),
    **dict.fromkeys(("no", "n", "false", "0", False), Consent.OPTED_OUT),
}


@dataclass(frozen=True)
class BadLine:
    """A record that is not taken: the line that it begins on, and all that is wrong with it."""

    line: int
    problems: tuple[Problem, ...]

    @classmethod
    def of(cls, record: Record, problems: Iterable[Problem]) -> Self:
        """A field of an array's element is named with its place: `[2].email`."""
        named = (replace(one, where=".".join(filter(None, (record.place, one.where)))) for one in problems)
        return cls(record.line, tuple(named))


class MemberReader:
    """Reads the members of one merchant; `now` is the moment of the import, and of what has no other."""

    def __init__(self, merchant: Merchant, now: datetime) -> None:
        self._merchant = merchant
        self._now = now.astimezone(UTC)
        self._today = local_day(now, merchant.zone)
        branches = {branch.id for branch in merchant.branches}
        self._fields: Mapping[str, Callable[[Any], Any]] = {
            "member_id": _text(values.identifier),
            "name": _text(values.line),
            "email": _text(_email),
            "phone": _text(partial(_phone, home=merchant.country)),
            "push": _text(_token),
            "locale": _text(lru_cache(values.locale)),
            "zone": _text(lru_cache(values.zone_name)),
            "birth_date": _text(self._birth_date),
            "branch_id": _text(partial(_branch, branches=branches)),
            "customer_id": _text(values.line),
            "groups": _groups,
            "registered_at": _text(self._moment),
            "consented_at": _text(self._moment),
            **dict.fromkeys(CONSENTS, _word),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """What can be told of a member."""
        return tuple(self._fields)

    def read(self, data: Mapping[str, Any]) -> Enrolment | tuple[Problem, ...]:
        """A member as it is told, or all that is wrong with it. What is blank is told to be nothing."""
        found: dict[str, Any] = {}
        problems = []
        for name, raw in data.items():
            reader = self._fields.get(name)
            if reader is None:
                problems.append(Problem(str(name), "is not known", nearest(str(name), self._fields)))
                continue
            try:
                found[name] = None if _blank(raw) else reader(raw)
            except Wrong as wrong:
                problems.append(Problem(name, wrong.what, wrong.mend, shown(raw)))
        problems += [Problem(name, "is missing", "write it out") for name in NEEDED if _blank(data.get(name))]
        return tuple(problems) or self._enrolment(found)

    def _enrolment(self, found: Mapping[str, Any]) -> Enrolment:
        given = {name: value for name, value in found.items() if value is not None}
        consents = tuple(self._consents(given)) if any(name in CONSENTS for name in given) else ()
        # Without its date a registration is not told: that of a known member stays.
        told = found.keys() - ({"registered_at"} - given.keys())
        member = Member(
            self._merchant.id,
            given["member_id"],
            given["name"],
            given.get("registered_at", self._now),
            given.get("email", ""),
            given.get("phone", ""),
            given.get("push", ""),
            given.get("locale", ""),
            given.get("zone", ""),
            given.get("birth_date"),
            given.get("branch_id", ""),
            given.get("customer_id", ""),
            given.get("groups", ()),
        )
        return Enrolment(member, frozenset(told), consents, dated="consented_at" in given)

    def _consents(self, given: Mapping[str, Any]) -> Iterator[ConsentGiven]:
        at = given.get("consented_at", self._now)
        for name, (notice_class, channel) in CONSENTS.items():
            if name in given:
                yield ConsentGiven(
                    self._merchant.id,
                    channel,
                    notice_class,
                    given[name],
                    SOURCE,
                    at,
                    member_id=given["member_id"],
                )

    def _birth_date(self, value: str) -> date:
        try:
            found = date.fromisoformat(value)
        except ValueError:
            raise Wrong("is no day", "write it as 1990-02-28") from None
        if found > self._today:
            raise Wrong("is still to come", "write the day of birth as 1990-02-28")
        if found < EARLIEST:
            raise Wrong("is of another age", f"write a day from {EARLIEST} on")
        return found

    def _moment(self, value: str) -> datetime:
        """An instant; a wall time without its zone, or a day, is one on the merchant's clock."""
        try:
            wall = datetime.fromisoformat(value)
        except ValueError:
            raise Wrong("is no moment", "write it as 2026-03-01T10:00+08:00 or 2026-03-01 10:00") from None
        if not EARLIEST.year <= wall.year <= values.YEARS[-1]:
            raise Wrong("is of another age", f"write a year from {EARLIEST.year} on")
        found = wall.astimezone(UTC) if wall.tzinfo is not None else instant(wall, self._merchant.zone)
        if found > self._now + SLACK:
            raise Wrong("is still to come", "write when it was")
        return found


class MemberFile:
    """The members in a file, one by one. InputError where nothing of it can be used."""

    def __init__(self, path: Path, merchant: Merchant, now: datetime) -> None:
        self._reader = MemberReader(merchant, now)
        self._records = Records(path, self._reader.names, NEEDED)
        self.lines = self._records.lines

    def __iter__(self) -> Iterator[tuple[int, Enrolment | BadLine]]:
        """Each with the line that it begins on."""
        for record in self._records:
            found = (record.problem,) if record.problem else self._reader.read(record.values)
            yield record.line, BadLine.of(record, found) if isinstance(found, tuple) else found


def read_member(source: Source, merchant: Merchant, now: datetime) -> Enrolment:
    """One member from a JSON or TOML file, or what a program has in hand; InputError if it is none."""
    name, data = load(source, "the member")
    if not isinstance(data, Mapping):
        raise InputError(name, [Problem("", "is no object", 'write it as {"member_id": ...}', shown(data))])
    found = MemberReader(merchant, now).read(data)
    if isinstance(found, tuple):
        raise InputError(name, found)
    return found


def _blank(raw: Any) -> bool:
    return raw is None or (isinstance(raw, str) and not raw.strip())


def _text(check: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(raw: Any) -> Any:
        if isinstance(raw, date):  # TOML knows days and moments by itself
            raw = raw.isoformat()
        return check(values.text(raw).strip())

    return read


def _email(value: str) -> str:
    return value if is_plain_email(value) else values.email(value)


def _phone(value: str, home: str) -> str:
    return plain_mobile(value, home) or values.phone(value, home)


def _token(value: str) -> str:
    if len(value) > LONGEST_TOKEN or not value.isprintable() or " " in value:
        raise Wrong("is no push token", f"write it as the app gave it, at most {LONGEST_TOKEN} characters")
    return value


def _branch(value: str, branches: set[str]) -> str:
    if value not in branches:
        raise Wrong("is no branch of the merchant", nearest(value, sorted(branches) or ["none"]))
    return value


def _groups(raw: Any) -> tuple[str, ...]:
    """`vip; taipei` in CSV, a list in JSON. [LS-03]"""
    if isinstance(raw, str):
        return _named_groups(raw)
    if not isinstance(raw, list | tuple):
        raise Wrong("is no list", 'write it as ["vip", "taipei"]')
    return _named_groups(";".join(values.text(one) for one in raw))


@lru_cache(maxsize=10_000)
def _named_groups(written: str) -> tuple[str, ...]:
    groups = tuple(sorted({name for part in values.text(written).split(";") if (name := part.strip())}))
    for name in groups:
        values.group(name)
    if len(groups) > MOST_GROUPS:
        raise Wrong(f"names {len(groups)} groups", f"name at most {MOST_GROUPS}")
    return groups


def _word(raw: Any) -> Consent:
    said = raw.strip().casefold() if isinstance(raw, str) else raw
    if isinstance(said, str | bool) and said in _YES_OR_NO:
        return _YES_OR_NO[said]
    raise Wrong("is neither yes nor no", "write yes, no, or nothing where the member was not asked")
