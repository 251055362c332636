"""Links of shorteners in a text, as a reader's telephone would see them."""

import re
from functools import cache, lru_cache
from unicodedata import category, normalize

_REST = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_RUN = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*$")
_IN_A_LINK = re.compile(r"[A-Za-z0-9-]\.[A-Za-z]{2,}(?::[0-9]+)?[/?#]")
_AFTER = ".,;:!?)]'*"
LAST_CHARACTER = 0x10FFFF
_DOT_WITHIN = re.compile(r"[\w-]\.\w")


def shortened_link(text: str, shorteners: tuple[str, ...], own: tuple[str, ...]) -> str | None:
    """The first link to one of these hosts or below it, as it stands in the text; None without one.

    With or without https://, in any case and width. Not a link: an email address, a host in the path of
    another link. Hosts in `own`, and below them, are let through.
    """
    seen = text if text.isascii() else _as_read(text)
    if _DOT_WITHIN.search(seen) is None and _all_dotted(shorteners):  # nearly always
        return None
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
def _all_dotted(hosts: tuple[str, ...]) -> bool:
    return all("." in host for host in hosts)


@lru_cache(maxsize=200)
def _hosts(shorteners: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(re.escape(host) for host in shorteners) or r"(?!)"
    return re.compile(
        rf"(?<![A-Za-z0-9.-])(?P<host>(?:[A-Za-z0-9-]+\.)*(?:{names}))(?![A-Za-z0-9-])(?!\.[A-Za-z0-9])",
        re.IGNORECASE,
    )
