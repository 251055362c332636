"""docs/templates.md says what is so."""

import re

from models.notices import Kind
from tests.templates.documented import PAGE, tables, written


def test_the_page_names_every_variable_of_every_kind() -> None:
    """The tables are those that the code makes: `python -m tests.templates.documented` writes them anew."""
    assert written(PAGE.read_text("utf-8")) == tables()


def test_the_pictures_and_pages_that_it_shows_are_there() -> None:
    """No link of it leads nowhere."""
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text("utf-8"))
    assert {"pictures/voucher.png", "pictures/sms.png"} <= set(links)
    assert all((PAGE.parent / link).exists() for link in links)


def test_every_kind_that_it_speaks_of_is_one() -> None:
    """Kinds are named as they are."""
    named = re.findall(r"^### `(\w+)`$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= {kind.value for kind in Kind}
