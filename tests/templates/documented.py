"""The tables of docs/templates.md, made from the code. `python -m tests.templates.documented` writes them."""

from collections.abc import Iterator
from pathlib import Path

from activities.template_samples import variables
from models.notices import CATALOGUE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "templates.md"
BEGIN, END = "<!-- made by python -m tests.templates.documented -->\n", "<!-- end -->"


def tables() -> str:
    """For each kind whose SMS may be changed: every name, and a sample of what it becomes."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for kind in CATALOGUE:
        names = variables(kind)
        if not names:
            continue
        yield f"### `{kind}`\n\n| write | such as |\n|---|---|"
        for name, value in names.items():
            # What is true or false belongs into a condition.
            written = f"{{% if {name} %}}" if isinstance(value, bool) else f"{{{{ {name} }}}}"
            yield f"| `{written}` | {_shown(value)} |"
        yield ""


def _shown(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case "":
            return "*(nothing here)*"
    return str(value).replace("|", "\\|")


def written(page: str) -> str:
    """What stands between the marks of a page."""
    return page.partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(head + BEGIN + tables() + END + tail, "utf-8")
