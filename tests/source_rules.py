"""The house rules, read off the source: who imports whom, what pure code does not touch, how long things get.

Each rule is a function of one `Source`; it answers a sentence for each place that breaks it.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ENTRY_POINTS = {
    "cli", "client", "commands", "crew", "gateway", "intake", "settings", "stack", "temporal_server",
    "worker",
}  # fmt: skip
LAYERS = {"workflows", "activities", "policies", "channels", "models", "models.tables"}
APART = {"bench", "docs", "examples", "tests"}
"""Not part of the program: may import anything of ours, and nobody imports them."""

MAY_IMPORT = {
    "workflows": {"workflows", "models"},
    "activities": {"activities", "policies", "channels", "models", "models.tables"},
    "policies": {"policies", "models"},
    "channels": {"channels"},
    "models": {"models"},
    "models.tables": {"models", "models.tables"},
    "migrations": {"migrations", "models", "models.tables"},
    "templates": {"templates"},
    **dict.fromkeys(ENTRY_POINTS, ENTRY_POINTS | LAYERS | {"migrations", "templates"}),
}
PLACES = MAY_IMPORT.keys() | APART

FOREIGN = {
    "workflows": {"temporalio"},
    "policies": {"croniter"},
    "models": {"croniter"},
    "models.tables": {"sqlalchemy", "sqlmodel"},
}
"""What of others a pure place may import beside the standard library."""

PURE = {"workflows", "policies", "models"}
WORLDLY_MODULES = {
    "glob", "http", "httpx", "io", "multiprocessing", "os", "pathlib", "random", "requests", "secrets",
    "shutil", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib.request",
}  # fmt: skip
WORLDLY_NAMES = {
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today",
    "uuid.uuid1", "uuid.uuid4", "os.environ", "os.getenv", "importlib.import_module",
}  # fmt: skip
WORLDLY_BUILTINS = {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}
WORLDLY_METHODS = {
    "read_bytes", "read_text", "write_bytes", "write_text", "mkdir", "unlink", "iterdir", "rglob",
}  # fmt: skip

FUNCTION_LINES = 50
WORKFLOW_LINES = 150

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Import:
    """One imported name, as `package.module.name`; `held` within `imports_passed_through()`."""

    name: str
    line: int
    held: bool


@dataclass(frozen=True)
class Source:
    """One file of the project: its path from the root, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def place(self) -> str:
        """The layer or entry point that the file belongs to."""
        return place_of(self.path.removesuffix(".py").replace("/", "."))

    @cached_property
    def imports(self) -> list[Import]:
        return list(_imports(self.tree, self.path, held=False))

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What each imported name stands for: `dt` for `datetime.datetime`."""
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names |= {a.asname or a.name.partition(".")[0]: _bound(a) for a in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        return names

    def at(self, node: ast.AST, sentence: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {sentence}"


def project(root: Path) -> list[Source]:
    """Every Python file of ours: those below the folders and beside the files of the root."""
    hidden = {"build", "dist", "var"}
    files = [
        path
        for top in sorted(root.iterdir())
        if not top.name.startswith(".") and top.name not in hidden
        for path in ([top] if top.suffix == ".py" else sorted(top.rglob("*.py")) if top.is_dir() else [])
    ]
    return [Source(path.relative_to(root).as_posix(), path.read_text("utf-8")) for path in files]


def place_of(module: str) -> str:
    """`models.tables.messages` is of `models.tables`, `models.booking` of `models`, `worker` of `worker`."""
    return "models.tables" if f"{module}.".startswith("models.tables.") else module.partition(".")[0]


def imports_run_one_way(source: Source) -> Iterator[str]:
    """Entry points -> workflows -> models; activities -> policies, channels, models; policies -> models."""
    may = MAY_IMPORT.get(source.place)
    for found in source.imports if may is not None else ():
        target = place_of(found.name)
        activities = source.place == "workflows" and target == "activities"
        if activities and not found.held:
            yield f"{source.path}:{found.line}: name activities only inside imports_passed_through()"
        elif target in PLACES and target not in (may or ()) and not activities:
            yield f"{source.path}:{found.line}: {source.place} may not import {target}"


def pure_places_import_nothing_foreign(source: Source) -> Iterator[str]:
    """Models and policies: the standard library and croniter. Workflows: that and temporalio."""
    allowed = FOREIGN.get(source.place)
    for found in source.imports if allowed is not None else ():
        top = found.name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in PLACES and top not in (allowed or ()):
            yield f"{source.path}:{found.line}: {source.place} may not import {top}"


def tables_are_made_in_one_place(source: Source) -> Iterator[str]:
    """sqlmodel belongs to models/tables. `col`, which only types a query, may be used beside the queries."""
    allowed = source.place in {"models.tables", "migrations"} | APART
    for found in source.imports:
        query = source.place == "activities" and found.name == "sqlmodel.col"
        if found.name.partition(".")[0] == "sqlmodel" and not allowed and not query:
            yield f"{source.path}:{found.line}: only models/tables makes tables with sqlmodel"


def channels_know_no_engine(source: Source) -> Iterator[str]:
    """A channel knows one provider and one error: neither Temporal nor a database."""
    for found in source.imports if source.place == "channels" else ():
        top = found.name.partition(".")[0]
        if top in {"temporalio", "sqlalchemy", "sqlmodel"}:
            yield f"{source.path}:{found.line}: a channel may not import {top}"


def pure_places_do_not_touch_the_world(source: Source) -> Iterator[str]:
    """No clock, no environment, no chance, no input or output."""
    if source.place not in PURE:
        return
    for found in source.imports:
        if any(f"{found.name}.".startswith(f"{module}.") for module in WORLDLY_MODULES):
            yield f"{source.path}:{found.line}: {found.name} reaches into the world"
    for node in ast.walk(source.tree):
        name = _dotted(node, source.aliases)
        if name in WORLDLY_NAMES:
            yield source.at(node, f"{name} reaches into the world")
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in WORLDLY_BUILTINS:
            yield source.at(node, f"{called.id}() reaches into the world")
        if isinstance(called, ast.Attribute) and called.attr in WORLDLY_METHODS:
            yield source.at(node, f".{called.attr}() reaches into the world")


def pure_places_do_not_iterate_over_sets(source: Source) -> Iterator[str]:
    """The order of a set differs between two replays: sort it, or use dict.fromkeys."""
    if source.place not in PURE:
        return
    for scope in ast.walk(source.tree):
        if isinstance(scope, (ast.Module, *FUNCTIONS)):
            nodes = list(_own(scope))
            sets = {name for node in nodes for name in _names_of_sets(node)}
            for node in nodes:
                for iterated in _iterated(node):
                    if _is_set(iterated, sets):
                        yield source.at(iterated, "iterates over a set, in no order: sort it")


def functions_fit_on_a_screen(source: Source) -> Iterator[str]:
    """Longer is two functions."""
    for node in ast.walk(source.tree) if source.place not in APART else ():
        if isinstance(node, FUNCTIONS) and (lines := _lines(node)) > FUNCTION_LINES:
            yield source.at(node, f"{node.name} has {lines} lines, more than {FUNCTION_LINES}")


def a_workflow_file_stays_short(source: Source) -> Iterator[str]:
    """A file that defines a workflow; blank lines do not count."""
    workflows = any(
        _dotted(decorator.func if isinstance(decorator, ast.Call) else decorator, source.aliases)
        == "temporalio.workflow.defn"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
    )
    lines = sum(bool(line.strip()) for line in source.text.splitlines())
    if source.place == "workflows" and workflows and lines >= WORKFLOW_LINES:
        yield f"{source.path}: has {lines} lines: a workflow file stays under {WORKFLOW_LINES}"


def every_file_has_its_place(source: Source) -> Iterator[str]:
    """A new folder or module of the root is given a place in tests/source_rules.py."""
    if source.place not in PLACES:
        yield f"{source.path}: {source.place} has no place: say who may import it"


RULES: tuple[Callable[[Source], Iterator[str]], ...] = (
    every_file_has_its_place,
    imports_run_one_way,
    pure_places_import_nothing_foreign,
    tables_are_made_in_one_place,
    channels_know_no_engine,
    pure_places_do_not_touch_the_world,
    pure_places_do_not_iterate_over_sets,
    functions_fit_on_a_screen,
    a_workflow_file_stays_short,
)


def _imports(node: ast.AST, path: str, *, held: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, held) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = _absolute(child, path)
            yield from (Import(f"{module}.{alias.name}", child.lineno, held) for alias in child.names)
        else:
            passed = isinstance(child, ast.With) and any(
                ast.unparse(item.context_expr).endswith("imports_passed_through()") for item in child.items
            )
            yield from _imports(child, path, held=held or passed)


def _absolute(node: ast.ImportFrom, path: str) -> str:
    """The module that `from . import x` means in the file of that path."""
    if not node.level:
        return node.module or ""
    package = path.split("/")[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _bound(alias: ast.alias) -> str:
    return alias.name if alias.asname else alias.name.partition(".")[0]


def _dotted(node: ast.AST, aliases: dict[str, str]) -> str:
    """`dt.now` as `datetime.datetime.now`, where `dt` was imported so; else an empty string."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, "")
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value, aliases)
        return f"{base}.{node.attr}" if base else ""
    return ""


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, FUNCTIONS):
            yield from _own(child)


def _names_of_sets(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Assign) and _is_set(node.value, set()):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        declared = ast.unparse(node.annotation).partition("[")[0]
        if declared in {"set", "frozenset"} or (node.value is not None and _is_set(node.value, set())):
            yield node.target.id
    if isinstance(node, ast.arg) and node.annotation is not None:
        declared = ast.unparse(node.annotation).partition("[")[0]
        if declared in {"set", "frozenset"}:
            yield node.arg


def _iterated(node: ast.AST) -> Iterator[ast.expr]:
    """What is gone through one by one, where the order shows."""
    if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield node.iter
    elif isinstance(node, ast.Starred):
        yield node.value
    elif isinstance(node, ast.Call) and node.args:
        ordered = isinstance(node.func, ast.Name) and node.func.id in {
            "dict", "enumerate", "iter", "list", "map", "next", "tuple", "zip",
        }  # fmt: skip
        joined = isinstance(node.func, ast.Attribute) and node.func.attr in {"join", "fromkeys"}
        if ordered or joined:
            yield from node.args


def _is_set(node: ast.expr, names: set[str]) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Call(func=ast.Attribute(attr="union" | "intersection" | "difference", value=value)):
            return _is_set(value, names)
        case ast.BinOp(left=left, right=right, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
            return _is_set(left, names) or _is_set(right, names)
        case ast.Name(id=name):
            return name in names
        case _:
            return False


def _lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1
