"""Links of shorteners in a text, as a reader's telephone would see them."""

import re
from functools import cache, lru_cache
from unicodedata import category, normalize

_REST = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_RUN = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*$")
_IN_A_LINK = re.compile(r"[A-Za-z0-9-]\.[A-Za-z]{2,}(?::[0-9]+)?[/?#]")
_AFTER = ".,;:!?)]'*"
LAST_CHARACTER = 0x10FFFF
DOTS = ".。\u2024-\u2026\u2488-\u249b\u33c2\u33c7\u33d8\ufe12\ufe19\ufe30\ufe52\uff0e\uff61\U0001f100"
"""Every character that is read as a dot, or as something with a dot in it."""
_DOT_IN_A_HOST = re.compile(rf"[{DOTS}](?![\s\u3001-\u303f\u3041-\u30ff\u3400-\u9fff]|\Z)")
"""A dot before a space or a Chinese or Japanese letter is in no host of plain letters."""


def shortened_link(text: str, shorteners: tuple[str, ...], own: tuple[str, ...]) -> str | None:
    """The first link to one of these hosts or below it, as it stands in the text; None without one.

    With or without https://, in any case and width. Not a link: an email address, a host in the path of
    another link. Hosts in `own`, and below them, are let through.
    """
    if _DOT_IN_A_HOST.search(text) is None and _all_plain(shorteners):  # nearly always
        return None
    seen = text if text.isascii() else _as_read(text)
    lowered = seen.lower()
    if not any(host in lowered for host in shorteners):
        return None
    for found in _hosts(shorteners).finditer(seen):
        host = found["host"].lower()
        before = _RUN.search(seen, 0, found.start())
        lead = before.group() if before else ""
        if not _is_link(lead) or any(within(host, domain) for domain in own):
            continue
        rest = _REST.match(seen, found.end())
        return found["host"] + (rest.group().rstrip(_AFTER) if rest else "")
    return None


def _is_link(lead: str) -> bool:
    """Whether a host that comes right after these characters is one that a link leads to."""
    if lead.endswith("@"):
        return "://" in lead
    return not _IN_A_LINK.search(lead)


def within(host: str, domain: str) -> bool:
    """Whether a host is that domain or below it."""
    return f".{host}".endswith(f".{domain.lower()}")


def _as_read(text: str) -> str:
    """Full-width letters and dots as plain ones, and nothing that cannot be seen."""
    return _unseen().sub("", normalize("NFKC", text).replace("。", "."))


@cache
def _unseen() -> re.Pattern[str]:
    letters = map(chr, range(LAST_CHARACTER + 1))
    return re.compile("[" + "".join(letter for letter in letters if category(letter) == "Cf") + "]")


@lru_cache(maxsize=200)
def _all_plain(hosts: tuple[str, ...]) -> bool:
    return all("." in host and host.isascii() for host in hosts)


@lru_cache(maxsize=200)
def _hosts(shorteners: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(re.escape(host) for host in shorteners) or r"(?!)"
    return re.compile(
        rf"(?<![A-Za-z0-9.-])(?P<host>(?:[A-Za-z0-9-]+\.)*(?:{names}))(?![A-Za-z0-9-])(?!\.[A-Za-z0-9])",
        re.IGNORECASE,
    )
