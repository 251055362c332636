"""A merchant with its branches and its policy, from one readable file."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from activities.formats import shipped_locale
from activities.member_values import balance_name
from activities.rendering import check_sms_text
from activities.template_check import check_template
from intake import values
from intake.credits import CREDIT_CHECKS
from intake.files import Source, load
from intake.gate import GATE_CHECKS, GATE_RULES
from intake.member_policy import MEMBER_CHECKS, MEMBER_RULES
from intake.problems import InputError, Problem, Wrong, shown
from intake.reader import Check, Context, Reader, Rule, sound
from models.channels import SMS
from models.ids import check_id
from models.merchant import (
    PROMOTIONAL_WORDS,
    BookingPolicy,
    Branch,
    Merchant,
    PaymentMethod,
    SmsSettings,
)
from models.own_template import OwnTemplate, Place

LONGEST_WAIT = 365
"""Days, for any number of the policy."""
HOURS = 24


def read_merchant(source: Source) -> Merchant:
    """A checked merchant; InputError with all that is wrong with it."""
    name, data = load(source, "the merchant")
    found: Merchant = Reader(CHECKS, RULES, _context(data)).whole(Merchant, data, name)
    if problems := list(_unwelcome(found)):
        raise InputError(name, problems)
    return found


def check_merchant(merchant: Merchant) -> Merchant:
    """The same guard for a merchant that Python code made."""
    return read_merchant(asdict(merchant))


def _context(data: Any) -> Context:
    """The merchant's own country and words, as far as they can be read."""
    given = data if isinstance(data, Mapping) else {}
    words = given.get("promotional_words")
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) and word for word in words):
        words = PROMOTIONAL_WORDS
    return Context(str(given.get("country", "")), tuple(words))


def _shop_phone(value: str, context: Context) -> str:
    """A number that people read: it is checked, and kept as it is written."""
    values.phone(value, context.country)
    return value


def _counted(least: int) -> Check:
    def check(value: int, _: Context) -> int:
        if least <= value <= LONGEST_WAIT * HOURS:
            return value
        raise Wrong("is out of range", f"write a number from {least} to {LONGEST_WAIT * HOURS}")

    return check


def _words(value: tuple[str, ...], _: Context) -> tuple[str, ...]:
    # An empty one would be found in every text.
    if all(word.strip() for word in value if isinstance(word, str)):
        return value
    raise Wrong("holds an empty word", "leave it out")


CHECKS: Mapping[tuple[type, str], Check] = {
    (Merchant, "id"): values.identifier,
    (Merchant, "name"): values.line,
    (Merchant, "zone"): values.zone_name,
    (Merchant, "locale"): values.locale,
    (Merchant, "country"): values.country,
    (Merchant, "currency"): values.currency,
    (Merchant, "email"): values.email,
    (Merchant, "phone"): _shop_phone,
    (Merchant, "website"): values.web_address,
    (Merchant, "address"): values.line,
    (Merchant, "promotional_words"): _words,
    (Branch, "id"): values.identifier,
    (Branch, "name"): values.line,
    (Branch, "zone"): values.zone_name,
    (Branch, "phone"): _shop_phone,
    (Branch, "address"): values.line,
    (SmsSettings, "text_limit"): _counted(1),
    (BookingPolicy, "pre_visit_least_days"): _counted(0),
    (BookingPolicy, "pre_visit_margin_hours"): _counted(0),
    (BookingPolicy, "prompt_hours"): _counted(1),
    (BookingPolicy, "late_payment_hours"): _counted(0),
    **CREDIT_CHECKS,
    **GATE_CHECKS,
    **MEMBER_CHECKS,
}


def _merchant_rules(merchant: Merchant, _: Context) -> Iterator[Problem]:
    taken: set[str] = set()
    for number, branch in enumerate(merchant.branches if sound(merchant.branches) else ()):
        if sound(branch) and sound(branch.id) and branch.id in taken:
            where = f"branches[{number}].id"
            yield Problem(where, "is given twice", "give each branch its own id")
        taken |= {branch.id} if sound(branch) else set()
    if sound(merchant.email_fallback) and merchant.email_fallback is merchant.email_provider:
        yield Problem("email_fallback", "is the provider itself", "name another one, or leave it out")
    for currency in merchant.bonuses if sound(merchant.bonuses) else ():
        if (wrong := check_id("currency", currency)) is not None:
            yield Problem(f"bonuses.{currency}", "cannot be used", wrong)
        elif (same := [one for one in merchant.bonuses if balance_name(one) == balance_name(currency)])[1:]:
            mend = f"texts would call both {balance_name(currency)}: rename one"
            yield Problem(f"bonuses.{currency}", f"is too like {same[same[0] == currency]}", mend)
    if sound(merchant.sms) and sound(merchant.sms.texts, merchant.sms.text_limit, merchant.bonuses):
        yield from _sms_rules(merchant)


def _sms_rules(merchant: Merchant) -> Iterator[Problem]:
    """The merchant's own SMS texts: within the limit, and of what a text may hold. [WACA-23]"""
    for kind, texts in merchant.sms.texts.items():
        for tag, text in (texts if sound(texts) else {}).items():
            for problem in check_sms_text(kind, tag, text, merchant) if sound(text) else ():
                where = f"sms.texts.{kind}.{tag}"
                yield Problem(where, "cannot be used", problem.removeprefix(f"{where}: "))


def _unwelcome(merchant: Merchant) -> Iterator[Problem]:
    """What `template check` would say of the SMS texts, with sample values, for a merchant that is whole."""
    unfiled = replace(merchant, sms=replace(merchant.sms, texts={}))
    for kind, texts in merchant.sms.texts.items():
        for tag, text in texts.items():
            own = OwnTemplate(Place(kind, shipped_locale(tag) or tag, SMS), text)
            for problem in check_template(own, unfiled).problems:
                yield Problem(f"sms.texts.{kind}.{tag}", "cannot be used", problem)


def _policy_rules(policy: BookingPolicy, context: Context) -> Iterator[Problem]:
    if sound(policy.payment_days):
        yield from _payment_rules(policy.payment_days)
    for name in ("payment_reminder", "pre_visit"):
        offset = getattr(policy, name)
        if sound(offset) and sound(offset.days) and not -LONGEST_WAIT <= offset.days <= 0:
            mend = "write 0 for the day itself, -2 for two days before"
            yield Problem(f"{name}.days", "counts days after, not before", mend)
    yield from _margin_rule(policy)
    for tag, notes in (policy.pre_visit_notes if sound(policy.pre_visit_notes) else {}).items():
        try:
            values.locale(tag)
            values.reminding(notes if sound(notes) else "", context.words)
        except Wrong as wrong:
            value = shown(tag) if wrong.what.startswith("is ") else shown(notes)
            yield Problem(f"pre_visit_notes.{tag}", wrong.what, wrong.mend, value)


def _payment_rules(payment_days: Mapping[PaymentMethod, int]) -> Iterator[Problem]:
    for method, days in payment_days.items():
        where = f"payment_days.{method}"
        if sound(method) and method is PaymentMethod.IN_PERSON:
            yield Problem(where, "has no deadline", "payment in person is made at the shop: leave it out")
        elif sound(method, days) and not 0 <= days <= LONGEST_WAIT:
            yield Problem(where, "is out of range", f"write days from 0 to {LONGEST_WAIT}")


def _margin_rule(policy: BookingPolicy) -> Iterator[Problem]:
    """A pre-visit notice that is due after its last moment would never go."""
    offset, margin = policy.pre_visit, policy.pre_visit_margin_hours
    if not sound(offset, margin) or not sound(offset.days, offset.at):
        return
    lead = -offset.days * HOURS - offset.at.hour - (1 if offset.at.minute else 0)
    if 0 <= -offset.days <= LONGEST_WAIT and lead < margin:
        what = f"keeps out what is due {lead} hours before a session at midnight"
        mend = f"write at most {max(lead, 0)}, or send the pre-visit notice earlier"
        yield Problem("pre_visit_margin_hours", what, mend)


RULES: Mapping[type, Rule] = {
    Merchant: _merchant_rules,
    BookingPolicy: _policy_rules,
    **GATE_RULES,
    **MEMBER_RULES,
}
