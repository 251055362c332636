"""The gate, rule by rule: what may go, what may not and why."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.agenda import Notice, Status
from models.channels import LINE_NOTIFICATION
from models.consent import Consent
from models.credits import CreditPolicy
from models.merchant import Merchant, SmsProvider, SmsSettings
from models.notices import CATALOGUE, Kind, NoticeClass
from models.people import Person
from models.policy import ClassPolicy, ConsentRule, GatePolicy, Trade
from models.timing import instant
from policies.answers import POLICY_VERSION, Code, Decision
from policies.gate import (
    Deferred,
    Passed,
    Proposal,
    Refused,
    Standing,
    after_rendering,
    before_rendering,
    gate,
)
from tests.proposals import ADA, NOON, SHOP, proposed
from tests.requirements import requirement

SECURITY, TRANSACTIONAL, REMINDER, LOYALTY, PROMOTIONAL = NoticeClass
OWED = (SECURITY, TRANSACTIONAL)
CHANNELS = ("email", "sms", LINE_NOTIFICATION)
YES: dict[str, Any] = {"consent": Consent.OPTED_IN}


def code(decision: Decision) -> str:
    """Why not, in one word; an empty one where it may go."""
    if isinstance(decision, Refused):
        return decision.code
    return "deferred" if isinstance(decision, Deferred) else ""


def shop(**policy: Any) -> Merchant:
    return replace(SHOP, gate=GatePolicy(**policy))


@pytest.mark.parametrize("kind", [kind for kind in Kind if CATALOGUE[kind].notice_class <= REMINDER])
@pytest.mark.parametrize("channel", ["email", "sms"])
@pytest.mark.parametrize("hour", [0, 3, 12, 22])
def test_the_notices_of_a_booking_pass_as_they_always_did(kind: Kind, channel: str, hour: int) -> None:
    """By default nothing that is owed or reminds is asked about, held back or counted."""
    now = instant(datetime.fromisoformat(f"2026-03-03 {hour:02}:00"), SHOP.zone)
    notice = replace(proposed().notice, kind=kind, not_after=now + timedelta(hours=1))
    decision = gate(Proposal(notice, channel, SHOP, now, Standing(sent_today=99), text="Bonjour"))
    assert decision == Passed(policy_version=POLICY_VERSION)


@requirement("CRES-04")
@pytest.mark.parametrize("notice_class", NoticeClass)
@pytest.mark.parametrize("channel", ["email", "sms"])
def test_a_suspended_merchant_sends_nothing(notice_class: NoticeClass, channel: str) -> None:
    """Of no class; the reason is told."""
    decision = gate(proposed(notice_class, channel, suspended="negligent use of SMS+", **YES))
    assert isinstance(decision, Refused)
    assert (decision.status, decision.rule, decision.code) == (
        Status.REFUSED,
        "suspension",
        Code.SUSPENDED,
    )
    assert decision.reason.endswith("is suspended for Lumi: negligent use of SMS+")


def test_a_message_past_its_last_moment_is_missed() -> None:
    """At its last moment it goes; a second later never."""
    late = proposed(lasts=timedelta(0))
    assert code(gate(late)) == ""
    decision = gate(replace(late, now=late.now + timedelta(seconds=1)))
    assert isinstance(decision, Refused)
    assert (decision.status, decision.code) == (Status.MISSED, Code.MISSED)
    assert "2026-03-03 04:00 UTC" in decision.reason


@requirement("WACA-20")
def test_a_shop_that_has_switched_sms_off_sends_none() -> None:
    """Email goes on."""
    off = replace(SHOP, sms=SmsSettings(SmsProvider.OFF))
    assert code(gate(proposed(merchant=off))) == Code.CHANNEL_OFF
    assert code(gate(proposed(channel="email", merchant=off))) == ""


@pytest.mark.parametrize(
    ("notice_class", "rule", "given", "answer"),
    [
        *[(c, None, given, "") for c in OWED for given in Consent],
        *[
            (c, rule, given, answer)
            for c in (REMINDER, LOYALTY, PROMOTIONAL)
            for rule, given, answer in [
                (ConsentRule.NONE, Consent.NOT_ASKED, ""),
                (ConsentRule.NONE, Consent.OPTED_OUT, ""),
                (ConsentRule.OPT_OUT, Consent.NOT_ASKED, ""),
                (ConsentRule.OPT_OUT, Consent.OPTED_IN, ""),
                (ConsentRule.OPT_OUT, Consent.OPTED_OUT, Code.OPTED_OUT),
                (ConsentRule.OPT_IN, Consent.NOT_ASKED, Code.NO_CONSENT),
                (ConsentRule.OPT_IN, Consent.OPTED_IN, ""),
                (ConsentRule.OPT_IN, Consent.OPTED_OUT, Code.OPTED_OUT),
            ]
        ],
    ],
)
@pytest.mark.parametrize("channel", ["email", "sms"])
def test_what_each_class_asks_of_its_recipient(
    channel: str, notice_class: NoticeClass, rule: ConsentRule | None, given: Consent, answer: str
) -> None:
    """Nobody is asked about what is owed; a no is kept to; a promotion wants a yes."""
    merchant = shop(**{notice_class.word: ClassPolicy(rule)}) if rule else SHOP
    assert code(gate(proposed(notice_class, channel, merchant=merchant, consent=given))) == answer


def test_by_default_a_promotion_wants_a_yes_and_a_coupon_no_no() -> None:
    """And a reminder goes until somebody objects."""
    asked = {c: code(gate(proposed(c))) for c in NoticeClass}
    assert asked == {**dict.fromkeys(NoticeClass, ""), PROMOTIONAL: Code.NO_CONSENT}
    declined = {c: code(gate(proposed(c, consent=Consent.OPTED_OUT))) for c in NoticeClass}
    assert declined == {c: "" if c in OWED else Code.OPTED_OUT for c in NoticeClass}


@pytest.mark.parametrize("notice_class", NoticeClass)
def test_a_suppressed_address_gets_nothing_of_any_class(notice_class: NoticeClass) -> None:
    """A dead number is dead for a code, too. The reason is told."""
    decision = gate(proposed(notice_class, suppressed="550 no such user", **YES))
    assert isinstance(decision, Refused)
    assert decision.reason == "the address is on the suppression list: 550 no such user"


@pytest.mark.parametrize(
    ("recipient", "standing", "answer"),
    [
        (Person("Ada"), {}, Code.NO_ADDRESS),
        (ADA, {"address_problem": "'+8869' is no number that can be called"}, Code.BAD_ADDRESS),
        (ADA, {}, ""),
    ],
)
def test_there_is_somewhere_to_go_to(recipient: Person, standing: dict[str, Any], answer: str) -> None:
    """No address, one that cannot be, a good one."""
    assert code(gate(proposed(recipient=recipient, **standing))) == answer


def test_a_class_may_ask_for_confirmed_addresses() -> None:
    """Only that class; by default none does."""
    strict = shop(promotional=ClassPolicy(verified=True))
    assert code(gate(proposed(PROMOTIONAL, merchant=strict))) == Code.NOT_VERIFIED
    assert code(gate(proposed(PROMOTIONAL, merchant=strict, verified=True))) == ""
    for channel in ("email", "push"):
        said = proposed(PROMOTIONAL, channel, merchant=strict, recipient=replace(ADA, push="t"))
        assert code(gate(said)) == "", "nothing confirms these: it would bar them for ever"
    assert code(gate(proposed(LOYALTY, merchant=strict))) == ""


def by_line(notice_class: NoticeClass, line_case: int | None, text: str = "") -> Proposal:
    reached = ReachedByLine("Ada", phone="+886912345678")
    return proposed(notice_class, LINE_NOTIFICATION, recipient=reached, line_case=line_case, text=text, **YES)


class ReachedByLine(Person):
    """LINE notification messages go to a number."""

    def address(self, channel: str) -> str:
        return self.phone if channel == LINE_NOTIFICATION else super().address(channel)


@requirement("CRES-02", "CRES-03")
@pytest.mark.parametrize("line_case", [None, 1, 9])
def test_a_promotion_never_goes_by_line_notification_message(line_case: int | None) -> None:
    """Not even one that somebody has given a scenario."""
    assert code(gate(by_line(PROMOTIONAL, line_case))) == Code.CLASS_BARRED


@requirement("CRES-22")
@pytest.mark.parametrize(
    ("notice_class", "line_case", "answer"),
    [
        (LOYALTY, None, Code.CLASS_BARRED),  # a coupon or bonus about to lapse, a birthday
        (PROMOTIONAL, None, Code.CLASS_BARRED),  # an invitation to come back, a campaign
        (LOYALTY, 2, ""),  # points acquired by something the member did
        (REMINDER, 4, ""),  # the pre-visit notice
        (TRANSACTIONAL, 1, ""),
        (TRANSACTIONAL, None, Code.CLASS_BARRED),
        (SECURITY, None, Code.CLASS_BARRED),
    ],
)
def test_only_what_fits_a_scenario_goes_by_line_notification_message(
    notice_class: NoticeClass, line_case: int | None, answer: str
) -> None:
    """Coupons, birthdays and invitations fit none."""
    assert code(gate(by_line(notice_class, line_case))) == answer


@requirement("CRES-02")
@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Your session is tomorrow at 10:00.", ""),
        ("Your session is tomorrow. 20% off for friends!", Code.PROMOTIONAL_WORDS),
        ("明天 10:00 見，現場另有優惠", Code.PROMOTIONAL_WORDS),
    ],
)
def test_a_line_notification_message_carries_no_marketing(text: str, answer: str) -> None:
    """Whatever its class says."""
    assert code(gate(by_line(REMINDER, 4, text))) == answer


@requirement("CRES-02", "CRES-22")
def test_no_promotion_of_the_catalogue_has_a_line_scenario() -> None:
    """The table itself agrees with the rule."""
    assert not [r.kind for r in CATALOGUE.values() if r.notice_class is PROMOTIONAL and r.line_case]


US_TRADES = [Trade.TOBACCO, Trade.VAPING, Trade.CBD, Trade.CANNABIS, Trade.CANNABIS_PRODUCTS]
US_TRADES += [Trade.FIREARMS, Trade.ADULT]


def selling(trade: Trade, country: str) -> Merchant:
    return replace(SHOP, country=country, trade=(trade,))


@requirement("LS-40", "LS-41", "LS-42", "LS-43")
@pytest.mark.parametrize("trade", Trade)
@pytest.mark.parametrize("country", ["US", "CA", "TW", "FR"])
@pytest.mark.parametrize("notice_class", NoticeClass)
def test_barred_trades_send_no_sms(notice_class: NoticeClass, country: str, trade: Trade) -> None:
    """Automatic or promotional, from the United States by the one list and from Canada by the other."""
    barred = {"US": US_TRADES, "CA": list(Trade)}.get(country, [])
    answer = code(gate(proposed(notice_class, merchant=selling(trade, country), **YES)))
    assert answer == (Code.TRADE_BARRED if trade in barred else "")


@requirement("LS-41")
def test_alcohol_is_the_difference_between_the_two_lists() -> None:
    """Seven trades in the one, eight in the other."""
    assert set(Trade) - set(US_TRADES) == {Trade.ALCOHOL}


@requirement("LS-50", "LS-01")
@pytest.mark.parametrize("trade", Trade)
@pytest.mark.parametrize("notice_class", NoticeClass)
def test_email_stays_open_to_barred_trades(notice_class: NoticeClass, trade: Trade) -> None:
    """For promotions and for automatic notices."""
    assert code(gate(proposed(notice_class, "email", merchant=selling(trade, "CA"), **YES))) == ""


@requirement("LS-42")
@pytest.mark.parametrize(
    ("notice_class", "country", "trade", "reason"),
    [
        (
            PROMOTIONAL,
            "CA",
            Trade.ALCOHOL,
            "promotional SMS is barred for a business that sells alcohol in Canada",
        ),
        (
            TRANSACTIONAL,
            "US",
            Trade.CBD,
            "automatic SMS is barred for a business that sells CBD in the United States",
        ),
    ],
)
def test_a_ban_is_told_in_words(notice_class: NoticeClass, country: str, trade: Trade, reason: str) -> None:
    """What is barred, why and where."""
    decision = gate(proposed(notice_class, merchant=selling(trade, country), **YES))
    assert isinstance(decision, Refused)
    assert (decision.reason, decision.rule) == (reason, "trade_ban")


@requirement("LS-40")
def test_one_barred_trade_among_others_is_enough() -> None:
    """A supermarket with a tobacco counter."""
    mixed = replace(SHOP, country="US", trade=(Trade.ALCOHOL, Trade.TOBACCO))
    decision = gate(proposed(merchant=mixed))
    assert isinstance(decision, Refused)
    assert "sells tobacco" in decision.reason


@requirement("LS-01")
def test_a_merchant_without_promotional_sms_keeps_promotional_email() -> None:
    """And its other SMS."""
    without = shop(promotional_sms=False)
    assert code(gate(proposed(PROMOTIONAL, merchant=without, **YES))) == Code.NOT_AVAILABLE
    assert code(gate(proposed(PROMOTIONAL, "email", merchant=without, **YES))) == ""
    assert code(gate(proposed(LOYALTY, merchant=without))) == ""


@requirement("LS-10")
@pytest.mark.parametrize(
    ("notice_class", "channel", "length", "answer"),
    [
        (PROMOTIONAL, "sms", 300, ""),
        (PROMOTIONAL, "sms", 301, Code.TOO_LONG),
        (PROMOTIONAL, "email", 3000, ""),
        (TRANSACTIONAL, "sms", 301, ""),
        (LOYALTY, "sms", 301, ""),
    ],
)
def test_a_promotional_sms_has_at_most_300_characters(
    notice_class: NoticeClass, channel: str, length: int, answer: str
) -> None:
    """Characters, not segments; other messages may be longer."""
    assert code(gate(proposed(notice_class, channel, text="字" * length, **YES))) == answer


def noted(notes: str = "", kept: str = "", channel: str = "email") -> Proposal:
    merchant = replace(SHOP, booking=replace(SHOP.booking, pre_visit_notes={"en": kept} if kept else {}))
    notice: Notice = replace(proposed().notice, kind=Kind.PRE_VISIT)
    return Proposal(notice, channel, merchant, NOON, notes=notes)


@requirement("WACA-05")
@pytest.mark.parametrize(
    ("proposal", "answer"),
    [
        (noted(), ""),
        (noted("Bring a towel.", "Come early."), ""),
        (noted("Bring a friend: 20% off!"), Code.PROMOTIONAL_WORDS),
        (noted(kept="Everything on sale"), Code.PROMOTIONAL_WORDS),
        (noted("Bring a towel.", "限時優惠"), Code.PROMOTIONAL_WORDS),
        (noted("On sale", channel="sms"), ""),
    ],
)
def test_pre_visit_notes_only_remind(proposal: Proposal, answer: str) -> None:
    """Those in this email and those that the merchant keeps; an SMS carries none."""
    assert code(gate(proposal)) == answer


@requirement("WACA-05")
def test_a_service_may_be_called_what_it_is_called() -> None:
    """The words are looked for in the notes, not in the whole text."""
    assert code(gate(replace(noted(), text="Your 'Summer sale' massage is tomorrow."))) == ""


@requirement("LS-20", "LS-21")
@pytest.mark.parametrize(("left", "answer"), [(None, ""), (1, ""), (0, Code.QUOTA_USED_UP)])
def test_a_used_up_quota_ends_the_month(left: int | None, answer: str) -> None:
    """One recipient is one message; no quota, no end."""
    assert code(gate(proposed(quota_left=left, segments=4))) == answer


@requirement("WACA-28")
@pytest.mark.parametrize(
    ("left", "segments", "domestic", "answer"),
    [
        (None, 9, True, ""),
        ("0.85", 1, True, ""),
        ("0.84", 1, True, Code.NO_CREDITS),
        ("1.70", 2, True, ""),
        ("1.69", 2, True, Code.NO_CREDITS),
        ("3", 1, False, ""),
        ("2.99", 1, False, Code.NO_CREDITS),
    ],
)
def test_an_sms_that_cannot_be_paid_does_not_go(
    left: str | None, segments: int, domestic: bool, answer: str
) -> None:
    """0.85 points a segment at home, 3 abroad; email costs nothing."""
    paying = replace(SHOP, credits=CreditPolicy(enabled=True), sms=SmsSettings(SmsProvider.SMARTDOVE))
    points = Decimal(left) if left is not None else None
    facts: dict[str, Any] = {"segments": segments, "credits_left": points, "domestic": domestic}
    assert code(gate(proposed(merchant=paying, **facts))) == answer
    assert code(gate(proposed(channel="email", merchant=paying, **facts))) == ""


def test_nothing_is_rendered_that_would_not_go() -> None:
    """The first half asks nothing of the text, the second only of the text; together they are the gate."""
    long = proposed(PROMOTIONAL, text="x" * 301, **YES)
    assert code(before_rendering(long)) == ""
    assert code(after_rendering(long)) == code(gate(long)) == Code.TOO_LONG
    suppressed = proposed(suppressed="dead")
    assert code(before_rendering(suppressed)) == code(gate(suppressed)) == Code.SUPPRESSED
    assert code(after_rendering(suppressed)) == ""
