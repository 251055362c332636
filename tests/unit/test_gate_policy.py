"""What a merchant's file may say about its messages, and that all of it is kept."""

from dataclasses import asdict, replace
from datetime import time
from typing import Any

import pytest
from pydantic import TypeAdapter

from intake import InputError, read_merchant
from models.merchant import Merchant
from models.notices import NoticeClass
from models.policy import OWED, ClassPolicy, ConsentRule, GatePolicy, QuietHours, Trade
from tests.proposals import SHOP
from tests.requirements import requirement


def merchant(**changes: Any) -> Merchant:
    return read_merchant({**asdict(SHOP), **changes})


@requirement("LS-40", "LS-61")
def test_a_file_sets_the_policy_and_what_it_leaves_out_is_the_default() -> None:
    """Trades, quiet hours, caps, consent and domains; and it is read back the same from SQL."""
    found = merchant(
        trade=["alcohol", "tobacco"],
        gate={
            "quiet_hours": {"starts": "22:00", "ends": "08:00"},
            "promotional": {"consent": "opt_in", "daily_cap": 1},
            "short_domains": ["go.lumi.example"],
        },
    )
    assert found.trade == (Trade.ALCOHOL, Trade.TOBACCO)
    assert found.gate == GatePolicy(
        promotional=ClassPolicy(ConsentRule.OPT_IN, quiet=True, daily_cap=1),
        quiet_hours=QuietHours(time(22), time(8)),
        short_domains=("go.lumi.example",),
    )
    document = TypeAdapter(Merchant)
    assert document.validate_json(document.dump_json(found)) == found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trade": ["wine"]}, "trade"),
        ({"gate": {"promotional": {"daily_cap": -1}}}, "gate.promotional.daily_cap"),
        ({"gate": {"promotional": {"consent": "maybe"}}}, "gate.promotional.consent"),
        ({"gate": {"quiet_hours": {"starts": "25:00"}}}, "gate.quiet_hours.starts"),
        ({"gate": {"promotional_sms_limit": 0}}, "gate.promotional_sms_limit"),
        ({"gate": {"short_domains": ["bit.ly"]}}, "public shortener bit.ly"),
        ({"gate": {"short_domains": ["lumi.rebrand.ly"]}}, "public shortener rebrand.ly"),
        ({"gate": {"short_domains": ["https://go.lumi.example"]}}, "no host"),
        ({"gate": {"transactional": {"quiet": True}}}, "gate.transactional"),
        ({"gate": {"promotional": {"consent": "none"}}}, "gate.promotional.consent"),
        ({"gate": {"loyalty": {"consent": "none"}}}, "people who have unsubscribed: write opt_out or opt_in"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, Any], words: str) -> None:
    """A shared shortener is nobody's own domain; what is owed has no policy."""
    with pytest.raises(InputError, match=words):
        merchant(**changes)


@pytest.mark.parametrize("notice_class", [NoticeClass.REMINDER, NoticeClass.LOYALTY, NoticeClass.PROMOTIONAL])
def test_who_changes_one_rule_of_a_class_keeps_its_others(notice_class: NoticeClass) -> None:
    """A cap alone takes away neither the consent that a class wants nor its quiet hours."""
    usual = GatePolicy().of(notice_class)
    found = merchant(gate={notice_class.word: {"daily_cap": 7}}).gate
    assert found.of(notice_class) == replace(usual, daily_cap=7)
    found = merchant(gate={"quiet_hours": {"ends": "10:00"}}).gate
    assert found.quiet_hours == QuietHours(time(21), time(10))


def test_no_policy_touches_what_is_owed() -> None:
    """Security and transactional notices: nobody is asked, nothing holds them."""
    strict = ClassPolicy(ConsentRule.OPT_IN, verified=True, quiet=True, daily_cap=1)
    policy = GatePolicy(reminder=strict, loyalty=strict, promotional=strict)
    assert {c: policy.of(c) for c in NoticeClass} == {
        **dict.fromkeys(NoticeClass, strict),
        NoticeClass.SECURITY: OWED,
        NoticeClass.TRANSACTIONAL: OWED,
    }
