"""What a merchant may decide about its members: channels that exist, numbers in range."""

from collections.abc import Iterator, Mapping

from intake import values
from intake.problems import Problem, Wrong, nearest
from intake.reader import Check, Context, Rule, sound
from models.channels import EMAIL, PUSH, SMS
from models.member_policy import BonusAccount, CouponPolicy, MemberPolicy, PhoneCheckPolicy

LONGEST_WAIT = 365
HOURS = 24
KNOWN = (EMAIL, SMS, PUSH)


def _number(least: int, most: int) -> Check:
    def check(value: int, _: Context) -> int:
        if least <= value <= most:
            return value
        raise Wrong("is out of range", f"write a number from {least} to {most}")

    return check


def channels(value: tuple[str, ...], _: Context) -> tuple[str, ...]:
    """Channels that a notice to a member can go by, each once."""
    for channel in value:
        if isinstance(channel, str) and channel not in KNOWN:
            raise Wrong(f"names {channel!r}, which is no channel", nearest(channel, KNOWN))
    if len({*value}) < len(value):
        raise Wrong("names a channel twice", "leave one out")
    return value


MEMBER_CHECKS: Mapping[tuple[type, str], Check] = {
    (PhoneCheckPolicy, "digits"): _number(4, 10),
    (PhoneCheckPolicy, "minutes"): _number(1, 60),
    (PhoneCheckPolicy, "attempts"): _number(1, 10),
    (PhoneCheckPolicy, "sends"): _number(1, 20),
    (PhoneCheckPolicy, "hours"): _number(1, 7 * HOURS),
    (PhoneCheckPolicy, "pause_seconds"): _number(0, 3600),
    (MemberPolicy, "welcome"): channels,
    (MemberPolicy, "invitation"): channels,
    (MemberPolicy, "quiet_days"): _number(0, LONGEST_WAIT),
    (MemberPolicy, "again_days"): _number(0, LONGEST_WAIT),
    (MemberPolicy, "prompt_hours"): _number(1, LONGEST_WAIT * HOURS),
    (MemberPolicy, "invitation_hours"): _number(1, LONGEST_WAIT * HOURS),
    (CouponPolicy, "least_days"): _number(0, LONGEST_WAIT),
    (CouponPolicy, "hours"): _number(1, LONGEST_WAIT * HOURS),
    (BonusAccount, "refund_days"): _number(0, LONGEST_WAIT),
}


def _coupon_rules(policy: CouponPolicy, _: Context) -> Iterator[Problem]:
    offset = policy.expiring
    if sound(offset) and sound(offset.days) and not -LONGEST_WAIT <= offset.days <= 0:
        mend = "write 0 for the last day itself, -7 for seven days before"
        yield Problem("expiring.days", "counts days after, not before", mend)


def _account_rules(account: BonusAccount, _: Context) -> Iterator[Problem]:
    for tag in account.names if sound(account.names) else ():
        try:
            values.locale(tag)
        except Wrong as wrong:
            yield Problem(f"names.{tag}", wrong.what, wrong.mend, repr(tag))


MEMBER_RULES: Mapping[type, Rule] = {CouponPolicy: _coupon_rules, BonusAccount: _account_rules}
