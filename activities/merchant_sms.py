"""A merchant's own SMS text: what it may be made of, and what is wrong with one. [WACA-23]

It is a template of placed values and plain conditions, nothing more: no calls, loops, arithmetic, attributes.
So it can neither reach into the program nor grow without bound, whatever the sandbox thinks of it.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from activities.formats import SHIPPED, shipped_locale
from activities.template_values import SMS_NAMES
from models.merchant import Merchant
from models.notices import Kind

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

DEPTH = 40
"""How deep conditions may be nested: Python cannot compile what is much deeper."""

_parser = ImmutableSandboxedEnvironment()


def check_sms_text(kind: str, locale: str, text: str, merchant: Merchant) -> list[str]:
    """Everything that is wrong with a merchant's own SMS text, in whole sentences; empty when it is good."""
    where = f"sms.texts.{kind}.{locale}"
    known = [name.value for name in SMS_NAMES]
    problems = []
    if kind not in known:
        problems.append(f"{where}: {kind!r} is no kind of SMS{_nearest(kind, known)}; there is {_all(known)}")
    if shipped_locale(locale) is None:
        problems.append(f"{where}: {locale!r} is no locale that is served; there is {_all(SHIPPED)}")
    limit = merchant.sms.text_limit
    if len(text) > limit:
        problems.append(f"{where}: the text has {len(text)} characters, and {limit} are allowed")
    if not text.strip():
        problems.append(f"{where}: the text is empty: leave it out to have the shipped one")
    if kind in known:
        problems += [f"{where}: {problem}" for problem in text_problems(Kind(kind), text)]
    return problems


def text_problems(kind: Kind, text: str) -> list[str]:
    """What keeps a text from being rendered: its syntax, what is not allowed in it, unknown names."""
    try:
        tree = _parser.parse(text)
    except TemplateSyntaxError as error:
        return [f"line {error.lineno}: {error.message}"]
    except RecursionError:
        return [_TOO_DEEP]
    if _deeper(tree, DEPTH):
        return [_TOO_DEEP]
    return [f"line {node.lineno}: {problem}" for node in _walk(tree) if (problem := _objection(node, kind))]


def own_text(texts: Mapping[str, Mapping[str, str]], kind: Kind, locale: str) -> str:
    """The merchant's own text for a kind in a locale, or an empty string."""
    mine = texts.get(kind, {})
    served = (text for tag, text in mine.items() if shipped_locale(tag) == locale)
    return mine.get(locale) or next(served, "")


def _objection(node: nodes.Node, kind: Kind) -> str | None:
    allowed = SMS_NAMES[kind]
    if isinstance(node, nodes.Name) and node.name not in allowed:
        return f"{node.name!r} is not known{_nearest(node.name, allowed)}; there is {_all(allowed)}"
    if isinstance(node, nodes.Filter) and (node.name not in _FILTERS or node.args or node.kwargs):
        return f"the filter {node.name!r} is not allowed here; there is {_all(_FILTERS)}"
    if not isinstance(node, _SYNTAX):
        return f"{type(node).__name__.lower()} is not allowed here: {_FORM}"
    return None


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    """The node and all below it; of what is not allowed only the top."""
    yield node
    if isinstance(node, _SYNTAX):
        for child in node.iter_child_nodes():
            yield from _walk(child)


def _deeper(node: nodes.Node, levels: int) -> bool:
    return levels == 0 or any(_deeper(child, levels - 1) for child in node.iter_child_nodes())


def _nearest(name: str, known: tuple[str, ...] | list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def _all(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)
