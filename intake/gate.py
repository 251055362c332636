"""What a merchant may say about its messages: numbers in range, domains that are its own."""

import re
from collections.abc import Iterator, Mapping

from intake.problems import Problem, Wrong
from intake.reader import Check, Context, Rule, sound
from models.notices import NoticeClass
from models.policy import PUBLIC_SHORTENERS, ClassPolicy, ConsentRule, GatePolicy
from policies.links import within

MOST_A_DAY = 1000
LONGEST_SMS = 2000

_HOST = re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z]{2,}")


def _number(least: int, most: int) -> Check:
    def check(value: int, _: Context) -> int:
        if least <= value <= most:
            return value
        raise Wrong("is out of range", f"write a number from {least} to {most}")

    return check


def _hosts(value: tuple[str, ...], _: Context) -> tuple[str, ...]:
    for host in value:
        if isinstance(host, str) and not _HOST.fullmatch(host):
            raise Wrong(f"holds {host!r}, which is no host", "write it as go.example.com, in small letters")
    return value


GATE_CHECKS: Mapping[tuple[type, str], Check] = {
    (ClassPolicy, "daily_cap"): _number(0, MOST_A_DAY),
    (GatePolicy, "promotional_sms_limit"): _number(1, LONGEST_SMS),
    (GatePolicy, "short_domains"): _hosts,
    (GatePolicy, "shorteners"): _hosts,
}


def _gate_rules(policy: GatePolicy, _: Context) -> Iterator[Problem]:
    """A no is kept to. A short domain is the merchant's own, and nobody else's. [LS-61]"""
    for notice_class in (NoticeClass.LOYALTY, NoticeClass.PROMOTIONAL):
        treated = policy.of(notice_class)
        if sound(treated) and treated.consent is ConsentRule.NONE:
            what = "would write to people who have unsubscribed"
            yield Problem(f"{notice_class.word}.consent", what, "write opt_out or opt_in")
    domains = policy.short_domains if sound(policy.short_domains) else ()
    for number, domain in enumerate(domains):
        shared = (host for host in PUBLIC_SHORTENERS if sound(domain) and within(domain, host))
        if (host := next(shared, None)) is not None:
            what = f"is of the public shortener {host}"
            yield Problem(f"short_domains[{number}]", what, "name a domain of your own")


GATE_RULES: Mapping[type, Rule] = {GatePolicy: _gate_rules}
