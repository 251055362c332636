"""How long a text is as SMS, and how to keep it short. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

ESCAPE = "\x1b"
ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""GSM 03.38: a character's place is its septet."""
EXTENSION = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F,
    "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}  # fmt: skip
"""Sent as an escape and a second septet, which must stay together."""
BASIC = frozenset(ALPHABET) - {ESCAPE}
EXTENDED = frozenset(EXTENSION)

PLAINER = str.maketrans(
    {
        # Spaces that typography (and Babel, in times and prices) puts where a plain one reads the same.
        **dict.fromkeys(
            "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a", " "
        ),
        **dict.fromkeys("\u202f\u205f\u3000", " "),
        # Marks that are not seen.
        **dict.fromkeys("\u00ad\u200b\u2060\ufeff", ""),
        **dict.fromkeys("‘’‚‛′", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        "…": "...",
    }
)


class Segments(NamedTuple):
    """What a text comes to: `units` are septets (GSM-7) or UTF-16 code units (UCS-2)."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int


_NOT_GSM7 = re.compile(f"[^{re.escape(''.join(sorted(BASIC | EXTENDED)))}]")
_EXTENDED = re.compile(f"[{re.escape(''.join(sorted(EXTENDED)))}]")
_NEVER_GSM7 = re.compile("[\u3001-\u9fff\uac00-\ud7a3]")
"""Letters and marks of East Asia: nothing plainer is to be had for them."""


def segments(text: str) -> Segments:
    """How a text is cut: 160 units in one GSM-7 segment, 153 in each of several; 70 and 67 in UCS-2.

    An extension character (`€`) or a surrogate pair (`😀`) takes two units and is never cut in half, so a
    long text may need a segment more than the division says. An empty text has no segment.
    """
    if is_gsm7(text):
        wide = len(_EXTENDED.findall(text))
        return Segments("GSM-7", len(text) + wide, _count(text, wide, single=160, joined=153))
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    wide = units - len(text)
    return Segments("UCS-2", units, _count(text, wide, single=70, joined=67))


def pieces(text: str) -> tuple[str, ...]:
    """The text of each segment: what `segments` counts, cut."""
    if is_gsm7(text):
        return _cut(text, [2 if c in EXTENDED else 1 for c in text], single=160, joined=153)
    return _cut(text, [2 if ord(c) > 0xFFFF else 1 for c in text], single=70, joined=67)


def septets(text: str) -> bytes:
    """A GSM-7 text, one septet a byte, as SMPP carries it. ValueError for what is not GSM-7."""
    return b"".join(
        bytes((0x1B, EXTENSION[c])) if c in EXTENSION else bytes((ALPHABET.index(c),)) for c in text
    )


def from_septets(content: bytes) -> str:
    """The text of GSM-7, one septet a byte. What the alphabet does not have is left out."""
    said = "".join(ALPHABET[octet] for octet in content if octet < len(ALPHABET))
    for character, septet in EXTENSION.items():
        said = said.replace(ESCAPE + ALPHABET[septet], character)
    return said.replace(ESCAPE, "")


def plain(text: str) -> str:
    """The same text with plain spaces, quotes, dashes and dots, where that makes it GSM-7 and no dearer.

    One typographic character makes a whole text UCS-2, so `3:00\\u202fPM` more than doubles the price of an
    English message. A text that stays UCS-2 anyway is left exactly as it is: Chinese keeps its full-width
    punctuation and its 「quotes」, and a French one with `ê` its typography. Letters are never changed.
    """
    if is_gsm7(text) or _NEVER_GSM7.search(text) is not None:
        return text
    plainer = unicodedata.normalize("NFC", text).translate(PLAINER)
    if is_gsm7(plainer) and segments(plainer).segments <= segments(text).segments:
        return plainer
    return text


def is_gsm7(text: str) -> bool:
    """Whether every character is in the GSM 03.38 alphabet or its extension."""
    return _NOT_GSM7.search(text) is None


def _count(text: str, wide: int, *, single: int, joined: int) -> int:
    if len(text) + wide <= single:
        return 1 if text else 0
    return len(pieces(text)) if wide else -(-len(text) // joined)


def _cut(text: str, widths: Sequence[int], *, single: int, joined: int) -> tuple[str, ...]:
    if sum(widths) <= single:
        return (text,) if text else ()
    cuts, used = [0], 0
    for at, width in enumerate(widths):
        if used + width > joined:
            cuts.append(at)
            used = 0
        used += width
    return tuple(text[start:end] for start, end in pairwise([*cuts, len(text)]))
