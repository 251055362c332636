"""A second opinion on bookings, for tests: the requirements' text once more, as tables, dicts and sets.

It shares no code with `models/` but the facts that both are told. It is not fast, not complete in what it can
explain, and holds no notice: only who is to be told what, from when, until when, and by what.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from models.booking import Booking
from models.booking_facts import AnyBookingFact

DAY = timedelta(hours=24)
SECOND = timedelta(seconds=1)

# WACA-33: N is the day of the order.
LAST_DAY = {"bank_transfer": 2, "atm": 2, "barcode": 3, "ibon": 2, "famiport": 2}
# WACA-31: who else takes the money is a third party.
THE_MERCHANTS_OWN = {"bank_transfer", "in_person"}

# WACA-07, 12, 31, 34: where the order is open, failed or cancelled, and what of the money.
MOVES = {
    ("open", "unpaid", "paid"): ("open", "paid"),
    ("open", "unpaid", "declined"): ("failed", "unpaid"),
    ("open", "unpaid", "deadline"): ("failed", "unpaid"),
    ("open", "unpaid", "cancelled"): ("cancelled", "unpaid"),
    ("open", "unpaid", "refunded"): ("cancelled", "refunded"),
    ("open", "paid", "refunded"): ("cancelled", "refunded"),
    ("failed", "unpaid", "paid"): ("open", "paid"),
    ("failed", "unpaid", "refunded"): ("cancelled", "refunded"),
}
NO_NEWS = {
    ("open", "paid", "paid"),
    ("cancelled", "refunded", "paid"),
    ("failed", "unpaid", "declined"),
    ("cancelled", "refunded", "refunded"),
    ("cancelled", "unpaid", "cancelled"),
    ("cancelled", "refunded", "cancelled"),
}
LEGAL = {
    ("processing", "unpaid"),
    ("paid", "paid"),
    ("accepting", "unpaid"),
    ("accepting", "paid"),
    ("accepted", "unpaid"),
    ("accepted", "paid"),
    ("failed", "unpaid"),
    ("cancelled", "unpaid"),
    ("cancelled", "refunded"),
}

# WACA-39
BY = {
    "order_placed": ("email", "sms"),
    "order_failed": ("email", "sms"),
    "payment_received": ("email", "sms"),
    "payment_reminder": ("email", "sms"),
    "order_cancelled": ("email", "sms"),
    "pre_visit": ("email", "sms"),
    "voucher": ("email",),
    "voucher_changed": ("email",),
    "service_assignment": ("email",),
}
NOT_WHEN_OFF = {"order_placed", "payment_received", "voucher", "service_assignment"}

Key = tuple[str, str, str]
"""Kind, person, and what it comes from."""


class Model:
    """What a booking owes by the book."""

    def __init__(
        self, placed: Booking, zone: str, on: tuple[str, ...], reach: dict[str, tuple[str, ...]]
    ) -> None:
        self.zone, self.on, self.reach = ZoneInfo(zone), on, reach
        self.ordered, self.method = placed.ordered_at, str(placed.payment_method)
        self.booker = placed.booker.id
        self.phase, self.money = "open", "unpaid"
        self.failed_at: datetime | None = None
        self.cancelled_at: datetime | None = None
        self.heard: set[str] = set()
        self.holders: set[str] = set()
        self.bills: dict[Key, dict[str, Any]] = {}
        self.settled: dict[Key, dict[str, Any]] = {}
        self.now = placed.ordered_at
        self.sessions: dict[str, dict[str, Any]] = {
            service.id: {
                "start": service.starts_at,
                "end": service.ends_at,
                "people": [person.id for person in service.participants],
                "on": True,
                "accepted": None,
                "changed": None,
                "partner": None,
            }
            for service in placed.services
        }
        self._bill("order_placed", self.booker, "placed", self.ordered, self.ordered + DAY, self.sessions)

    # What it is asked

    def status(self) -> tuple[str, str]:
        if self.phase != "open":
            return self.phase, self.money
        live = [s for s in self.sessions.values() if s["on"]]
        accepted = [s for s in live if s["accepted"]]
        if accepted:
            return ("accepted" if len(accepted) == len(live) else "accepting"), self.money
        return ("paid" if self.money == "paid" else "processing"), self.money

    def owed(self) -> dict[Key, dict[str, Any]]:
        entries = {key: bill for key, bill in self.bills.items() if not self._pointless(key, bill)}
        entries |= self._reminder() | self._visits()
        owed = {}
        for key, entry in entries.items():
            by = tuple(c for c in BY[key[0]] if c in self.on and c in self.reach[key[1]])
            if key not in self.settled and by and entry["due"] <= entry["until"]:
                owed[key] = {**entry, "by": by}
        return owed

    def over(self) -> bool:
        if self.owed():
            return False
        if self.cancelled_at:
            return self.now >= self.cancelled_at
        if self.failed_at:
            return self.now >= self.failed_at + 3 * DAY
        last = max(s["end"] for s in self.sessions.values() if s["on"])
        closes = self._closes()
        return self.now >= last and (closes is None or self.now >= closes)

    # What it is told

    def until(self, end: datetime, *, held: bool) -> None:
        while True:
            self._by_the_calendar(self.now)
            if not held:
                self.settle()
            moments = [entry["due"] for entry in self.owed().values()]
            closes = self._closes()
            moments += [closes] if closes else []
            coming = [m for m in moments if self.now < m <= end]
            if not coming:
                break
            self.now = min(coming)
        self.now = max(self.now, end)
        self._by_the_calendar(self.now)
        if not held:
            self.settle()

    def settle(self) -> None:
        for key, entry in self.owed().items():
            if entry["due"] <= self.now:
                came = "sent" if self.now <= entry["until"] else "missed"
                self.settled[key] = {**entry, "came": came, "at": self.now}

    def hear(self, fact: AnyBookingFact) -> str:
        """taken, known or refused."""
        if fact.event_id in self.heard:
            return "known"
        at = min(fact.at, self.now) if fact.at else self.now
        self._by_the_calendar(at)
        told = getattr(self, f"_{fact.fact}")(fact, at)
        if told != "refused":
            self.heard.add(fact.event_id)
        self._by_the_calendar(self.now)
        return str(told)

    def _payment_received(self, fact: Any, at: datetime) -> str:
        closes = self._last_second_over()
        if self.phase == "failed" and closes is not None and at >= closes:
            return "refused"
        was = self.phase
        told = self._move("paid")
        if told == "taken":
            self.failed_at = None
            self._bill("payment_received", self.booker, fact.event_id, at, at + DAY, self.sessions)
            if was == "failed":
                self._tell_holders(fact.event_id, at, self._live())
        return told

    def _payment_failed(self, fact: Any, at: datetime) -> str:
        if self.phase == "open" and self.method != "card":
            return "refused"
        told = self._move("declined")
        if told == "taken":
            self._fail(fact.event_id, at)
        return told

    def _refunded(self, fact: Any, at: datetime) -> str:
        told = self._move("refunded")
        if told == "taken":
            self._cancel_all(fact.event_id, at)
        return told

    def _cancelled(self, fact: Any, at: datetime) -> str:
        if self.phase == "cancelled":
            return "known"
        named = list(dict.fromkeys(fact.services))
        if named and all(name in self.sessions and not self.sessions[name]["on"] for name in named):
            return "known"
        if self.phase == "failed" or not self._all_on(named):
            return "refused"
        chosen = named or self._live()
        if len(chosen) == len(self._live()):
            told = self._move("cancelled")
            if told == "taken":
                self._cancel_all(fact.event_id, at)
            return told
        for name in chosen:
            self.sessions[name]["on"] = False
        self._tell_holders(fact.event_id, at, chosen)
        return "taken"

    _cancel = _cancelled

    def _accepted(self, fact: Any, at: datetime) -> str:
        named = list(dict.fromkeys(fact.services))
        if self.phase != "open" or not self._all_on(named):
            return "refused"
        fresh = [name for name in named or self._live() if not self.sessions[name]["accepted"]]
        if not fresh:
            return "known"
        for name in fresh:
            self.sessions[name]["accepted"] = at
        for person in sorted({p for name in fresh for p in self.sessions[name]["people"]}):
            mine = [name for name in fresh if person in self.sessions[name]["people"]]
            last = max(self.sessions[name]["start"] for name in mine)
            if person in self.holders:
                self._bill("voucher_changed", person, fact.event_id, at, max(last, at + DAY), mine)
            else:
                self._bill("voucher", person, fact.event_id, at, last, mine)
            self.holders.add(person)
        for name in fresh:
            self._tell_partner(fact.event_id, at, name)
        return "taken"

    def _assigned(self, fact: Any, at: datetime) -> str:
        if self.phase != "open" or not self._all_on([fact.service]):
            return "refused"
        session = self.sessions[fact.service]
        if session["partner"] == fact.partner.id:
            return "known"
        session["partner"] = fact.partner.id
        if session["accepted"]:
            self._tell_partner(fact.event_id, at, fact.service)
        return "taken"

    def _reschedule(self, fact: Any, at: datetime) -> str:
        if self.phase != "open" or not self._all_on([fact.service]):
            return "refused"
        session = self.sessions[fact.service]
        ends = fact.ends_at or fact.starts_at + (session["end"] - session["start"])
        if ends <= fact.starts_at or fact.starts_at <= at or session["start"] <= at:
            return "refused"
        if (fact.starts_at, ends) == (session["start"], session["end"]):
            return "known"
        session.update(start=fact.starts_at, end=ends, changed=at)
        if session["accepted"]:
            self._tell_holders(fact.event_id, at, [fact.service])
            self._tell_partner(fact.event_id, at, fact.service)
        return "taken"

    def _change_participant(self, fact: Any, at: datetime) -> str:
        if self.phase != "open" or not self._all_on([fact.service]):
            return "refused"
        session = self.sessions[fact.service]
        if fact.participant not in session["people"] or session["start"] <= at:
            return "refused"
        if fact.person.id == fact.participant:
            return "known"
        if fact.person.id in session["people"]:
            return "refused"
        there = session["people"].index(fact.participant)
        session["people"][there] = fact.person.id
        session["changed"] = at
        if session["accepted"]:
            self.holders |= {fact.participant, fact.person.id}
            self._tell_holders(fact.event_id, at, [fact.service], leaving=[fact.participant])
        return "taken"

    # How it works that out

    def _move(self, event: str) -> str:
        here = (self.phase, self.money, event)
        if here in MOVES:
            self.phase, self.money = MOVES[here]
            return "taken"
        return "known" if here in NO_NEWS else "refused"

    def _by_the_calendar(self, at: datetime) -> None:
        closes = self._closes()
        if closes and at >= closes and self._move("deadline") == "taken":
            self._fail("deadline", closes - SECOND)

    def _fail(self, cause: str, at: datetime) -> None:
        self.failed_at = at
        self._bill("order_failed", self.booker, cause, at, at + DAY, self.sessions)
        self._tell_holders(cause, at, self._live())

    def _cancel_all(self, cause: str, at: datetime) -> None:
        live = self._live()
        self.cancelled_at, self.failed_at = at, None
        for name in live:
            self.sessions[name]["on"] = False
        last = max(s["start"] for s in self.sessions.values())
        self._bill("order_cancelled", self.booker, cause, at, max(last, at + DAY), self.sessions)
        self._tell_holders(cause, at, live)

    def _tell_holders(
        self, cause: str, at: datetime, names: list[str], leaving: list[str] | None = None
    ) -> None:
        there = {person for name in names for person in self.sessions[name]["people"]} & self.holders
        for person in sorted(there | set(leaving or [])):
            mine = [n for n in names if person in self.sessions[n]["people"] or person in (leaving or [])]
            last = max(self.sessions[name]["start"] for name in mine)
            self._bill("voucher_changed", person, cause, at, max(last, at + DAY), mine)

    def _tell_partner(self, cause: str, at: datetime, name: str) -> None:
        session = self.sessions[name]
        if session["partner"]:
            subject = f"{cause}, {name}"
            self._bill("service_assignment", session["partner"], subject, at, session["start"], [name])

    def _bill(self, kind: str, person: str, cause: str, due: datetime, until: datetime, about: Any) -> None:
        assert (kind, person, cause) not in self.bills, "told twice"
        self.bills[kind, person, cause] = {"due": due, "until": until, "about": frozenset(about)}

    def _pointless(self, key: Key, bill: dict[str, Any]) -> bool:
        kind, person, _ = key
        about = [self.sessions[name] for name in bill["about"]]
        gone = not any(session["on"] for session in about)
        replaced = {
            "voucher": not any(person in session["people"] for session in about),
            "service_assignment": not any(person == session["partner"] for session in about),
        }
        return (
            (self.phase != "open" and kind in NOT_WHEN_OFF)
            or (kind == "order_failed" and self.phase != "failed")
            or (kind in replaced and (gone or replaced[kind]))
        )

    def _reminder(self) -> dict[Key, dict[str, Any]]:
        over = self._last_second_over()
        if over is None or (self.phase, self.money) != ("open", "unpaid"):
            return {}
        last_day = (over - SECOND).astimezone(self.zone).date()
        entry = {"due": self._wall(last_day - timedelta(days=1), 10), "until": over - SECOND}
        return {("payment_reminder", self.booker, "deadline"): {**entry, "about": frozenset(self._live())}}

    def _visits(self) -> dict[Key, dict[str, Any]]:
        visits = {}
        order_day = self.ordered.astimezone(self.zone).date()
        for name, session in self.sessions.items():
            day = session["start"].astimezone(self.zone).date()
            if self.phase != "open" or not session["on"] or not session["accepted"]:
                continue
            if day <= order_day + timedelta(days=1):
                continue
            two_days_before = self._wall(day - timedelta(days=2), 10)
            due = max(two_days_before, session["accepted"], session["changed"] or session["accepted"])
            entry = {"due": due, "until": session["start"] - DAY, "about": frozenset([name])}
            for person in session["people"]:
                visits["pre_visit", person, f"{name} at {session['start']}"] = entry
        return visits

    def _last_second_over(self) -> datetime | None:
        if self.method not in LAST_DAY:
            return None
        order_day = self.ordered.astimezone(self.zone).date()
        return self._wall(order_day + timedelta(days=LAST_DAY[self.method] + 1), 0)

    def _closes(self) -> datetime | None:
        """When an order that fails unpaid will fail, as things stand."""
        unpaid = (self.phase, self.money) == ("open", "unpaid")
        return self._last_second_over() if unpaid and self.method not in THE_MERCHANTS_OWN else None

    def _wall(self, day: date, hour: int) -> datetime:
        return datetime.combine(day, time(hour), self.zone).astimezone(UTC)

    def _live(self) -> list[str]:
        return [name for name, session in self.sessions.items() if session["on"]]

    def _all_on(self, names: list[str]) -> bool:
        return all(name in self.sessions and self.sessions[name]["on"] for name in names)
