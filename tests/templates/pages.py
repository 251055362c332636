"""HTML as it is read, and what of it is left open."""

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "img"}


def words(html: str) -> str:
    """The HTML as it is read."""
    found: list[str] = []
    reader = HTMLParser()
    reader.handle_data = found.append  # type: ignore[method-assign, assignment]
    reader.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))
    return " ".join(" ".join(found).split())


def unclosed(page: str) -> list[str]:
    """The tags that are left open; AssertionError where one closes out of turn."""
    opened: list[str] = []
    reader = HTMLParser()

    def start(tag: str, _: object) -> None:
        if tag not in VOID:
            opened.append(tag)

    def end(tag: str) -> None:
        assert opened.pop() == tag

    reader.handle_starttag = start  # type: ignore[method-assign, assignment]
    reader.handle_endtag = end  # type: ignore[method-assign]
    reader.feed(page)
    return opened
