"""The link by which a recipient asks for no more of a class of notice: what it says, and who made it."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from models.notices import NoticeClass

_SEAL = 16
"""So many bytes of the seal are kept: nobody guesses 128 bits."""


@dataclass(frozen=True)
class Declining:
    """Who declines what. `locale` is the language in which it was offered.

    `member_id` where a member was written to: it then holds for every address of theirs; else `address`.
    """

    merchant_id: str
    channel: str
    notice_class: NoticeClass
    locale: str
    member_id: str = ""
    address: str = ""


def sealed(declining: Declining, key: str) -> str:
    """The last part of the link: URL-safe, and good only with this key and for this merchant."""
    said = "\n".join(
        (
            declining.channel,
            declining.notice_class.word,
            declining.locale,
            declining.member_id,
            declining.address,
        )
    ).encode()
    return f"{_text(said)}.{_text(_seal(declining.merchant_id, said, key))}"


def unsealed(merchant_id: str, token: str, keys: Sequence[str]) -> Declining | None:
    """What a link says; None where it was not made with one of these keys, for this merchant."""
    said, _, seal = token.partition(".")
    try:
        text, given = _bytes(said), _bytes(seal)
    except (NotBase64, ValueError):
        return None
    if not any(hmac.compare_digest(_seal(merchant_id, text, key), given) for key in keys):
        return None
    channel, word, locale, member_id, address = text.decode().split("\n")
    return Declining(merchant_id, channel, NoticeClass[word.upper()], locale, member_id, address)


def _seal(merchant_id: str, said: bytes, key: str) -> bytes:
    return hmac.digest(key.encode(), merchant_id.encode() + b"\n" + said, sha256)[:_SEAL]


def _text(plain: bytes) -> str:
    return urlsafe_b64encode(plain).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
