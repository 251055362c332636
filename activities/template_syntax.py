"""What a merchant's own text may be made of, and what is wrong with one. [WACA-23]

It is a template of placed values and plain conditions, nothing more: no calls, loops, arithmetic, attributes.
So it can neither reach into the program nor grow without bound, whatever the sandbox thinks of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from unicodedata import category

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST = 20_000
"""Characters of a text that is looked at: a longer one is refused unread."""

DEPTH = 40
"""How deep conditions may be nested: Python cannot compile what is much deeper."""

_SYNTAX = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.CondExpr,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Filter,
)
_FILTERS = ("upper", "lower", "trim")
_FORM = "write values as {{ name }} and conditions as {% if name %} ... {% endif %}"
_TOO_DEEP = "the conditions are nested too deeply"
_UNSEEN = ("Cc", "Cs")
_SEEN = "\n\r\t"

_parser = ImmutableSandboxedEnvironment()


def problems_of(text: str, names: Sequence[str], needed: Sequence[str] = ()) -> list[str]:
    """What keeps a text from being used: its syntax, what is not allowed in it, unknown names.

    Each of `needed` must stand in it, and under no condition.
    """
    try:
        tree = _parsed(text)
    except _UnreadableError as error:
        return [str(error)]
    found = [f"line {node.lineno}: {problem}" for node in _walk(tree) if (problem := _objection(node, names))]
    placed = [node.name for output in tree.body for node in _placed(output)]
    found += [f"{{{{ {name} }}}} is missing: place it" for name in needed if name not in placed]
    return list(dict.fromkeys(found))


def words_of(text: str) -> list[str]:
    """All that a readable text can say, whatever its conditions: all in a row, and each piece alone."""
    tree = _parsed(text)
    pieces = ["".join(_said(output)) for output in tree.find_all(nodes.Output)]
    return ["".join(_said(tree)), *pieces]


def nearest(name: str, known: Iterable[str]) -> str:
    """`: did you mean 'shop'?` where something is near, else nothing."""
    near = get_close_matches(name, list(known), n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def listed(names: Iterable[str]) -> str:
    """Names for a sentence."""
    return ", ".join(names)


class _UnreadableError(ValueError):
    """A text that cannot even be looked at; the sentence says why."""


def _parsed(text: str) -> nodes.Template:
    if len(text) > LONGEST:
        raise _UnreadableError(f"the text has {len(text)} characters, and {LONGEST} are the most")
    for number, line in enumerate(text.split("\n"), start=1):
        if (odd := next((c for c in line if _unseen(c)), None)) is not None:
            raise _UnreadableError(f"line {number}: the character U+{ord(odd):04X} cannot be sent")
    try:
        tree = _parser.parse(text)
    except TemplateSyntaxError as error:
        raise _UnreadableError(f"line {error.lineno}: {error.message}") from None
    except RecursionError:
        raise _UnreadableError(_TOO_DEEP) from None
    except ValueError:  # a number with more digits than Python reads
        raise _UnreadableError(_FORM) from None
    if _deeper(tree, DEPTH):
        raise _UnreadableError(_TOO_DEEP)
    return tree


def _unseen(character: str) -> bool:
    return category(character) in _UNSEEN and character not in _SEEN


def _objection(node: nodes.Node, names: Sequence[str]) -> str | None:
    match node:
        case nodes.Name() if node.name not in names:
            return f"{node.name!r} is not known{nearest(node.name, names)}; there is {listed(names)}"
        case nodes.Filter() if node.name not in _FILTERS or node.args or node.kwargs:
            return f"the filter {node.name!r} is not allowed here; there is {listed(_FILTERS)}"
        case nodes.Const() if not isinstance(node.value, str | bool):
            return (
                f"{node.value if node.value is None else 'a number'} cannot be placed: write it as plain text"
            )
        case nodes.CondExpr() if node.expr2 is None:
            return "say with 'else' what stands there otherwise"
    if not isinstance(node, _SYNTAX):
        return f"{type(node).__name__.lower()} is not allowed here: {_FORM}"
    return None


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    """The node and all below it; of what is not allowed only the top."""
    yield node
    if isinstance(node, _SYNTAX):
        for child in node.iter_child_nodes():
            yield from _walk(child)


def _placed(node: nodes.Node) -> Iterator[nodes.Name]:
    """The values that a part of a text places, whatever the others are."""
    match node:
        case nodes.Name():
            yield node
        case nodes.Output() | nodes.Filter():
            for child in node.iter_child_nodes():
                yield from _placed(child)


def _said(node: nodes.Node) -> Iterator[str]:
    """The words below a node, in their order. A placed value is a mark that belongs to no word."""
    match node:
        case nodes.TemplateData():
            yield node.data
        case nodes.Const() if isinstance(node.value, str):
            yield node.value
        case nodes.Name():
            yield "\ufffc"
        case nodes.If():
            for child in (*node.body, *node.elif_, *node.else_):
                yield from _said(child)
        case nodes.CondExpr():
            for branch in filter(None, (node.expr1, node.expr2)):
                yield from _said(branch)
        case _:
            for child in node.iter_child_nodes():
                yield from _said(child)


def _deeper(node: nodes.Node, levels: int) -> bool:
    return levels == 0 or any(_deeper(child, levels - 1) for child in node.iter_child_nodes())
