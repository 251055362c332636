"""The link by which emails are declined: only we can make one, and it says what it was made to say."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.declining import Declining, sealed, unsealed
from models.notices import NoticeClass

KEY = "a key of ours"
line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=40)
ANY = st.builds(
    Declining,
    line,
    st.sampled_from(["email", "sms"]),
    st.sampled_from(NoticeClass),
    st.sampled_from(["en", "fr", "zh-Hant"]),
    line,
    line,
)
ADA = Declining("lumi", "email", NoticeClass.PROMOTIONAL, "en", member_id="m1")


@given(ANY, st.text(min_size=1))
def test_a_link_says_what_it_was_made_of(declining: Declining, key: str) -> None:
    """Whatever names and addresses hold, and in letters that every mail program leaves alone."""
    token = sealed(declining, key)
    assert unsealed(declining.merchant_id, token, [key]) == declining
    assert token.replace("-", "").replace("_", "").replace(".", "").isalnum()
    assert token.isascii()


@given(ANY, st.data())
def test_a_link_that_was_changed_says_nothing(declining: Declining, data: st.DataObject) -> None:
    """Any one letter of it."""
    token = sealed(declining, KEY)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_."))
    changed = token[:place] + other + token[place + 1 :]
    found = unsealed(declining.merchant_id, changed, [KEY])
    # The last letter of each half may hold bits that say nothing.
    assert found is None or found == declining


@given(st.text())
def test_a_made_up_link_says_nothing(token: str) -> None:
    """And is no error."""
    assume(token != sealed(ADA, KEY))
    assert unsealed("lumi", token, [KEY]) is None


@pytest.mark.parametrize(
    ("merchant_id", "keys"), [("atelier", [KEY]), ("lumi", ["another"]), ("lumi", []), ("lumi\n", [KEY])]
)
def test_a_link_is_good_for_its_merchant_and_key_alone(merchant_id: str, keys: list[str]) -> None:
    """A shop that has no key believes nobody."""
    assert unsealed(merchant_id, sealed(ADA, KEY), keys) is None


def test_a_link_made_before_the_key_was_changed_is_good_while_the_old_one_is_kept() -> None:
    """Mails are opened months later."""
    assert unsealed("lumi", sealed(ADA, KEY), ["the new one", KEY]) == ADA
