"""A member's bonuses as people and programs see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from commands.output import plain, say, table
from models.bonus import Entry, Lot
from models.bonus_rules import active
from models.member_content import Balance
from models.merchant import Merchant
from models.showing import shown_time, utc_text


@dataclass(frozen=True)
class Held:
    """What one member has: its accounts, the lots of which something is left, the last entries."""

    merchant: Merchant
    member_id: str
    now: datetime
    balances: tuple[Balance, ...]
    lots: tuple[Lot, ...]
    entries: tuple[Entry, ...]

    def to_come(self, currency: str) -> Decimal:
        """What is not spendable yet."""
        coming = (lot.left for lot in self.lots if lot.currency == currency and lot.active_from > self.now)
        return sum(coming, Decimal(0))


def say_held(held: Held) -> None:
    """In tables, in local time."""
    zone = held.merchant.zone
    say((f"{held.merchant.id}/{held.member_id}", "bold"), (f"  times of {zone}", "dim"))
    if not held.balances:
        say("  has no bonuses, and never had any")
    accounts = ((one.currency, str(one.amount), str(held.to_come(one.currency))) for one in held.balances)
    table("Accounts", ("account", "to spend now", "to come"), accounts)
    lots = (_lot_row(held, lot) for lot in held.lots)
    table("Lots", ("lot", "account", "left", "of", "from", "until", ""), lots)
    rows = (_entry_row(entry, zone) for entry in held.entries)
    table("Entries", ("when", "account", "what", "amount", "lot", "event", "note"), rows)


def held_document(held: Held) -> dict[str, Any]:
    """As plain values; instants in UTC."""
    return {
        "merchant_id": held.merchant.id,
        "member_id": held.member_id,
        "accounts": [
            {
                "currency": one.currency,
                "spendable": str(one.amount),
                "to_come": str(held.to_come(one.currency)),
            }
            for one in held.balances
        ],
        "lots": [_plain(vars(lot)) for lot in held.lots],
        "entries": [_plain(vars(entry)) for entry in held.entries],
    }


def _lot_row(held: Held, lot: Lot) -> tuple[str, ...]:
    zone = held.merchant.zone
    until = shown_time(lot.expires_at, zone) if lot.expires_at is not None else "for ever"
    state = "" if active(lot, held.now) else "to come" if lot.active_from > held.now else "ended"
    begins = shown_time(lot.active_from, zone)
    return str(lot.lot_id), lot.currency, str(lot.left), str(lot.amount), begins, until, state


def _entry_row(entry: Entry, zone: str) -> tuple[str, ...]:
    note = " ".join(filter(None, (f"of {entry.of}" if entry.of else "", entry.note)))
    when, amount = shown_time(entry.at, zone), f"{entry.amount:+}"
    return when, entry.currency, plain(entry.kind), amount, str(entry.lot_id), entry.event_id, note


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in fields.items()}


def _value(value: object) -> object:
    if isinstance(value, datetime):
        return utc_text(value)
    return value if value is None or isinstance(value, int) else str(value)
