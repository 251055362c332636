"""Headers written so that every reader takes them apart as they were put together.

The standard library's folding is not safe here: a long quoted name loses its quotes, so what stands after a
comma in it becomes an address of its own, and a long unsubscribe address becomes encoded words, which no
receiver follows.
"""

import unicodedata
from email.header import Header
from email.headerregistry import (
    HeaderRegistry,
    UniqueSingleAddressHeader,
    UniqueUnstructuredHeader,
    UnstructuredHeader,
)
from email.policy import SMTP, Policy
from typing import Any

ONE_LINE = 60
"""Up to here a name or a subject in ASCII stays readable on one line; a longer one is encoded and folded."""

BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories that end a line, control a terminal or cannot be encoded."""


class UriHeader(UnstructuredHeader):
    """A header that holds one address, whole and bare."""

    name: str

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


class MailboxHeader(UniqueSingleAddressHeader):
    """A name, quoted or encoded, and an address."""

    name: str

    def fold(self, *, policy: Policy) -> str:
        (box,) = self.addresses
        if not box.display_name:
            return f"{self.name}: {box.addr_spec}{policy.linesep}"
        phrase = f'"{_escaped(box.display_name)}" '
        if not _readable(box.display_name):
            phrase = _encoded(box.display_name, policy) + f"{policy.linesep} "
        return f"{self.name}: {phrase}<{box.addr_spec}>{policy.linesep}"


class TextHeader(UniqueUnstructuredHeader):
    """Free text, taken literally: encoded words in what a merchant wrote are not decoded."""

    name: str

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        super().parse(value, kwds)
        kwds["decoded"] = value

    def fold(self, *, policy: Policy) -> str:
        text = str(self)
        return f"{self.name}: {text if _readable(text) else _encoded(text, policy)}{policy.linesep}"


HEADERS = HeaderRegistry()
for name, kind in {
    "from": MailboxHeader,
    "to": MailboxHeader,
    "reply-to": MailboxHeader,
    "subject": TextHeader,
    "list-unsubscribe": UriHeader,
}.items():
    # The registry itself puts BaseHeader, which these lack, under them.
    HEADERS.map_to_type(name, kind)  # type: ignore[arg-type]

POLICY = SMTP.clone(cte_type="7bit", header_factory=HEADERS)
"""Nothing above 7 bits and no line over 998: any relay on the way may take it."""


def one_line(text: str) -> str:
    """The text on one line: no control character, and every run of white space one space."""
    return " ".join("".join(" " if unicodedata.category(c) in BREAKING else c for c in text).split())


def _readable(text: str) -> bool:
    return text.isascii() and len(text) <= ONE_LINE and "=?" not in text


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _encoded(text: str, policy: Policy) -> str:
    return Header(text, "utf-8", maxlinelen=75, header_name="List-Unsubscribe").encode(linesep=policy.linesep)
