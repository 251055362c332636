"""What an SMS that is written back means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.reply import Answer, answer_in

STOP, START = Answer.STOP, Answer.START


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        *[(word, STOP) for word in ("STOP", "stop", "Stopall", "UNSUBSCRIBE", "cancel", "End", "quit")],
        *[(word, STOP) for word in ("Arrêt", "ARRET", "désabonner", "退訂", "取消訂閱", "退订")],
        *[(text, STOP) for text in (" Stop.\n", "STOP!!", "退訂。", "« Arrêt » !", "'stop'", "Stop  all")],
        ("ＳＴＯＰ", STOP),
        ("start", START),
        ("UNSTOP", START),
        ("恢復訂閱", START),
        ("Please do not cancel my booking", None),
        ("stop calling me at night", None),
        ("我要退訂房間", None),
        ("help", None),
        ("yes", None),
        ("...", None),
        ("", None),
    ],
)  # fmt: skip
def test_stop_is_a_word_that_is_the_whole_message(text: str, answer: Answer | None) -> None:
    """However it is spelled; a sentence with the word in it is for people to read."""
    assert answer_in(text) is answer


@given(st.text(max_size=200))
def test_whatever_is_written_is_read(text: str) -> None:
    """And means the same with spaces around it."""
    assert answer_in(text) is answer_in(f" {text}\n")
