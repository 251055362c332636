"""What an SMS that is written back means for the next one."""

import unicodedata
from enum import StrEnum


class Answer(StrEnum):
    """What the reader of an SMS wants."""

    STOP = "stop"
    """No more of them, of any class: so carriers and providers take it, and hold every one themselves."""
    START = "start"
    """What STOP has ended goes on."""


_STOP = (
    "STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT OUT",
    "ARRET", "ARRETER", "DESABONNER", "DESABONNEMENT", "DESINSCRIPTION",
    "退訂", "取消訂閱", "停止", "停止接收", "拒收", "退订", "取消订阅",
)  # fmt: skip
_START = ("START", "UNSTOP", "重新訂閱", "恢復訂閱", "恢复订阅")


def answer_in(text: str) -> Answer | None:
    """STOP or START, where the whole message is such a word; None for anything else.

    Case, accents, spaces, and punctuation around it do not matter. A sentence with such a
    word in it is for people to read: "please do not cancel my booking".
    """
    return _WORDS.get(_bare(text))


def _bare(text: str) -> str:
    """`Arrêt !` is ARRET. A full-width letter is the plain one."""
    letters = unicodedata.normalize("NFKD", text).upper()
    kept = "".join(c if unicodedata.category(c)[0] not in "ZC" else " " for c in letters if _counts(c))
    return " ".join(kept.split()).strip(_ENDS)


def _counts(character: str) -> bool:
    return not unicodedata.combining(character)


_ENDS = " .!?,;:\"'«»。、，「」『』()"
_WORDS = {**dict.fromkeys(_STOP, Answer.STOP), **dict.fromkeys(_START, Answer.START)}
