"""The order of the checks decides which reason is told, never whether a message goes."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.channels import LINE_NOTIFICATION
from models.consent import Consent
from models.credits import CreditPolicy
from models.merchant import SmsProvider, SmsSettings
from models.notices import NoticeClass
from models.people import Person
from models.policy import ClassPolicy, ConsentRule, GatePolicy, QuietHours, Trade
from policies.gate import (
    AFTER_RENDERING,
    BEFORE_RENDERING,
    CHECKS,
    Deferred,
    Passed,
    Proposal,
    Refused,
    decide,
    gate,
)
from tests.proposals import SHOP, proposed

START = datetime(2020, 1, 1, tzinfo=UTC)
reasons = st.sampled_from(["", "", "", "why"])
class_policies = st.builds(
    ClassPolicy, st.sampled_from(ConsentRule), st.booleans(), st.booleans(), st.integers(0, 3)
)
policies = st.builds(
    GatePolicy,
    reminder=class_policies,
    loyalty=class_policies,
    promotional=class_policies,
    quiet_hours=st.builds(QuietHours, st.times(), st.times()),
    promotional_sms=st.booleans(),
    promotional_sms_limit=st.integers(1, 40),
)
merchants = st.builds(
    lambda gate, trade, country, zone, provider: replace(
        SHOP, gate=gate, trade=trade, country=country, zone=zone, sms=SmsSettings(provider),
        credits=CreditPolicy(enabled=True),
    ),
    policies,
    st.lists(st.sampled_from(Trade), max_size=2).map(tuple),
    st.sampled_from(["TW", "US", "CA"]),
    st.sampled_from(["Asia/Taipei", "Europe/Paris", "America/New_York", "Pacific/Apia"]),
    st.sampled_from(SmsProvider),
)  # fmt: skip
standings: dict[str, Any] = {
    "consent": st.sampled_from(Consent),
    "verified": st.booleans(),
    "suspended": reasons,
    "suppressed": reasons,
    "address_problem": reasons,
    "zone": st.sampled_from(["", "Asia/Taipei", "America/St_Johns", "Australia/Lord_Howe"]),
    "sent_today": st.integers(0, 4),
    "quota_left": st.none() | st.integers(0, 2),
    "credits_left": st.none() | st.decimals(0, 4, places=2).map(Decimal),
    "domestic": st.booleans(),
}
proposals: st.SearchStrategy[Proposal] = st.builds(
    proposed,
    st.sampled_from(NoticeClass),
    st.sampled_from(["email", "sms", LINE_NOTIFICATION]),
    merchant=merchants,
    now=st.integers(0, 10 * 365 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes)),
    lasts=st.sampled_from([timedelta(0), timedelta(hours=5), timedelta(days=3), timedelta(seconds=-1)]),
    recipient=st.sampled_from([Person("Ada", "ada@example.com", "+886912345678"), Person("Bo")]),
    line_case=st.none() | st.integers(1, 9),
    text=st.sampled_from(["Hello", "On sale: bit.ly/x", "https://lumi.example/" + "x" * 30]),
    segments=st.integers(0, 3),
    **standings,
)


@settings(max_examples=400)
@given(proposals, st.randoms(use_true_random=False))
def test_no_order_makes_a_send_of_a_refusal(proposal: Proposal, chance: Random) -> None:
    """If one check refuses, every order of the checks refuses; a deferral is the same deferral."""
    decision = gate(proposal)
    shuffled = decide(proposal, chance.sample(CHECKS, len(CHECKS)))
    assert type(shuffled) is type(decision)
    if isinstance(decision, Deferred) and isinstance(shuffled, Deferred):
        assert shuffled.until == decision.until


@settings(max_examples=200)
@given(proposals)
def test_nothing_passes_in_two_halves_that_does_not_pass_as_a_whole(proposal: Proposal) -> None:
    """Before and after rendering, each by itself."""
    halves = (decide(proposal, BEFORE_RENDERING), decide(proposal, AFTER_RENDERING))
    passed = all(isinstance(half, Passed) for half in halves)
    assert passed == isinstance(gate(proposal), Passed)


@settings(max_examples=300)
@given(proposals)
def test_a_deferral_is_after_now_and_within_the_time_of_the_message(proposal: Proposal) -> None:
    """What cannot wait that long is refused."""
    decision = gate(proposal)
    if isinstance(decision, Deferred):
        assert proposal.now < decision.until <= proposal.notice.not_after


@settings(max_examples=300)
@given(proposals, st.sampled_from([NoticeClass.SECURITY, NoticeClass.TRANSACTIONAL]))
def test_what_is_owed_is_never_made_to_wait(proposal: Proposal, notice_class: NoticeClass) -> None:
    """Neither by quiet hours nor by a cap, whatever the merchant's policy says."""
    owed = replace(proposal, row=replace(proposal.kind_row, notice_class=notice_class))
    decision = gate(owed)
    assert not isinstance(decision, Deferred)
    assert not isinstance(decision, Refused) or decision.rule not in (
        "quiet_hours",
        "frequency_cap",
        "consent",
    )


@settings(max_examples=200)
@given(proposals)
def test_every_refusal_says_why(proposal: Proposal) -> None:
    """The rule, a code, and a reason that fits into a sentence and onto a line of the history."""
    decision = gate(proposal)
    if isinstance(decision, Refused):
        assert decision.rule in {check.__name__ for check in CHECKS}
        assert len(decision.rule) <= 32
        assert len(decision.policy_version) <= 16
        assert decision.reason
        assert decision.reason[-1] not in ".!"


def test_quiet_hours_at_the_ends_of_the_day_are_times() -> None:
    """The defaults of the design."""
    assert QuietHours() == QuietHours(time(21), time(9))
