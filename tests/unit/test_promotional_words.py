"""The pre-visit notes remind only: promotional words are found and named. [WACA-05]"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.merchant import PROMOTIONAL_WORDS, promotional_word
from tests.requirements import requirement


@requirement("WACA-05")
@pytest.mark.parametrize("word", PROMOTIONAL_WORDS)
def test_every_word_of_the_list_is_found_alone_and_in_a_sentence(word: str) -> None:
    """In any case, at the start, in the middle and at the end."""
    for notes in (word, word.upper(), f"Hello: {word}!", f"{word}, bring a towel", f"a towel and {word}"):
        found = promotional_word(notes, PROMOTIONAL_WORDS)
        assert found is not None, notes
        assert found.casefold() in notes.casefold()


@requirement("WACA-05")
@pytest.mark.parametrize(
    "notes",
    [
        "",
        "Please bring a towel and arrive ten minutes early.",
        "Entrance beside the wholesaler; parking for sales staff only is not ours.",
        "We are at the discounter's old shop.",
        "Ask the promoter at the door.",
        "Merci d'apporter une serviette. Le parking est au sous-sol.",
        "La console de jeu est au soldeur d'en face.",
        "請提早十分鐘到場，並攜帶毛巾。",
        "請勿空腹。",
        "30% of the water is enough.",
    ],
)
def test_notes_that_only_remind_pass(notes: str) -> None:
    """A word of letters counts only as a whole word."""
    assert promotional_word(notes, PROMOTIONAL_WORDS) is None


@requirement("WACA-05")
@pytest.mark.parametrize(
    ("notes", "word"),
    [
        ("Summer SALE on all massages!", "sale"),
        ("Today 20% off for you", "% off"),
        ("本週特價，買一送一！", "特價"),
        ("現場加購享優惠", "優惠"),
        ("Profitez de nos SOLDES", "soldes"),
        ("Une Réduction vous attend", "réduction"),
        ("Show this mail for a free gift.", "free gift"),
        ("sale", "sale"),
        ("本週sale開跑", "sale"),
        ("wholesale and sale", "sale"),
        ("sale/discount", "discount"),
    ],
)
def test_a_promotional_word_is_named(notes: str, word: str) -> None:
    """Of several, the first of the list."""
    assert promotional_word(notes, PROMOTIONAL_WORDS) == word


@requirement("WACA-05")
def test_the_list_is_the_merchants() -> None:
    """Without words nothing is refused; a word is text, not a pattern."""
    assert promotional_word("sale", ()) is None
    assert promotional_word("a+b (c)", ("(c)",)) == "(c)"
    assert promotional_word("abc", ("a.c",)) is None


@requirement("WACA-05")
@given(
    st.text(st.sampled_from(" .,!?。，\n")),
    st.sampled_from(PROMOTIONAL_WORDS),
    st.text(st.sampled_from(" .,!?。，\n")),
)
def test_no_punctuation_hides_a_word(before: str, word: str, after: str) -> None:
    """Whatever stands around it that is no letter or digit."""
    assert promotional_word(f"{before}{word}{after}", PROMOTIONAL_WORDS) is not None
