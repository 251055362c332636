"""Checks that bookings and facts share: people, and whose phone numbers may be local."""

from collections.abc import Mapping

from intake import values
from intake.reader import Check, Context
from models.merchant import PROMOTIONAL_WORDS, Merchant
from models.people import Person

PERSON: Mapping[tuple[type, str], Check] = {
    (Person, "name"): values.line,
    (Person, "email"): values.email,
    (Person, "phone"): lambda value, context: values.phone(value, context.country),
    (Person, "locale"): values.locale,
    (Person, "member_id"): values.identifier,
    (Person, "id"): values.identifier,
}


def context_of(merchant: Merchant | None) -> Context:
    """What a merchant's bookings are read with."""
    if merchant is None:
        return Context(words=PROMOTIONAL_WORDS)
    return Context(merchant.country, merchant.promotional_words)
