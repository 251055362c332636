"""No SMS carries a link of a public shortener; the merchant's own short domain may. [LS-60, LS-61]"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.notices import NoticeClass
from models.policy import PUBLIC_SHORTENERS, GatePolicy
from policies.answers import Code
from policies.gate import Passed, Refused, gate
from policies.links import shortened_link
from tests.proposals import SHOP, proposed
from tests.requirements import requirement


def found(text: str, *own: str) -> str | None:
    return shortened_link(text, PUBLIC_SHORTENERS, own)


@requirement("LS-60")
@pytest.mark.parametrize(
    "notice_class", [NoticeClass.TRANSACTIONAL, NoticeClass.REMINDER, NoticeClass.LOYALTY]
)
def test_the_link_is_named(notice_class: NoticeClass) -> None:
    """In an SMS of any class; email may carry what it likes."""
    text = "See https://Bit.ly/3xYz, thanks!"
    decision = gate(proposed(notice_class, "sms", text=text))
    assert isinstance(decision, Refused)
    assert decision.code is Code.SHORT_LINK
    assert decision.reason == "the link Bit.ly/3xYz is shortened by a public service, which SMS may not carry"
    assert isinstance(gate(proposed(notice_class, "email", text=text)), Passed)


@requirement("LS-60")
@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://bit.ly/abc", "bit.ly/abc"),
        ("HTTP://BIT.LY/ABC", "BIT.LY/ABC"),
        ("bit.ly/abc", "bit.ly/abc"),
        ("立即查看tinyurl.com/abc。謝謝", "tinyurl.com/abc"),
        ("www.tinyurl.com/x", "www.tinyurl.com/x"),
        ("Link:bit.ly/x", "bit.ly/x"),
        ("(bit.ly/x)", "bit.ly/x"),
        ("see bit.ly/x.", "bit.ly/x"),
        ("a,bit.ly/x", "bit.ly/x"),
        ("https://bit.ly:443/x?y=1", "bit.ly:443/x?y=1"),
        ("https://shop@bit.ly/x", "bit.ly/x"),
        ("ｂｉｔ．ｌｙ／x", "bit.ly/x"),
        ("bit。ly/x", "bit.ly/x"),
        ("b\u200bit.ly/x", "bit.ly/x"),
        ("team.short.io/x", "team.short.io/x"),
        ("and/or bit.ly/x", "bit.ly/x"),
        ("訂單/bit.ly/x", "bit.ly/x"),
        ("https://reurl.cc/abc", "reurl.cc/abc"),
        ("only bit.ly", "bit.ly"),
        ("https://lumi.example/a then https://is.gd/b", "is.gd/b"),
    ],
)
def test_a_short_link_is_seen_as_a_telephone_sees_it(text: str, link: str) -> None:
    """With or without https, in any case and width, at the end of a sentence, in Chinese."""
    assert found(text) == link


@requirement("LS-60")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "No link at all.",
        "https://lumi.example/book/1",
        "https://rabbit.ly/x",
        "https://bit.ly.example.com/x",
        "https://notbit.ly/x",
        "write to help@bit.ly",
        "https://lumi.example/about/bit.ly",
        "https://lumi.example/?from=t.co",
        "at 10.30.t.com",
        "NT$1.800",
    ],
)
def test_other_texts_pass(text: str) -> None:
    """Hosts that only look alike, email addresses, the path of another link."""
    assert found(text) is None


@requirement("LS-61")
def test_the_merchants_own_short_domain_is_let_through() -> None:
    """Even one that somebody has listed; the next link is looked at all the same."""
    assert found("lumi.short.io/x", "lumi.short.io") is None
    assert found("lumi.short.io/x bit.ly/y", "lumi.short.io") == "bit.ly/y"
    assert found("other.short.io/x", "lumi.short.io") == "other.short.io/x"
    own = replace(SHOP, gate=GatePolicy(shorteners=("go.lumi.example",)))
    text = "https://go.lumi.example/x"
    assert isinstance(gate(proposed(merchant=own, text=text)), Refused)
    own = replace(SHOP, gate=GatePolicy(shorteners=("go.lumi.example",), short_domains=("go.lumi.example",)))
    assert isinstance(gate(proposed(merchant=own, text=text)), Passed)


@requirement("LS-60")
@pytest.mark.parametrize("listed", [(), ("go.lumi.example",), ("bit.ly", "t.co"), PUBLIC_SHORTENERS])
def test_a_merchants_list_only_adds_to_the_public_shorteners(listed: tuple[str, ...]) -> None:
    """An empty one lets nothing in; an older merchant's, which names them all, means the same."""
    policy = GatePolicy(shorteners=listed)
    decision = gate(proposed(merchant=replace(SHOP, gate=policy), text="See https://tinyurl.com/x"))
    assert isinstance(decision, Refused)
    assert set(policy.barred_hosts) == {*PUBLIC_SHORTENERS, *listed}
    assert len(policy.barred_hosts) == len({*policy.barred_hosts})


@requirement("LS-60")
@given(
    st.text(max_size=40),
    st.sampled_from(PUBLIC_SHORTENERS),
    st.sampled_from(["", "https://", "http://"]),
    st.text(max_size=40),
)
def test_no_text_around_it_hides_a_short_link(before: str, host: str, scheme: str, after: str) -> None:
    """Whatever stands before and after, with a blank between."""
    assert found(f"{before} {scheme}{host}/a1 {after}") is not None


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    """And without a full stop there is no host."""
    link = found(text)
    assert link is None or "." in link
