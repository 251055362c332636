"""Templates made into words: those that are shipped, and the merchants' own in a sandbox."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

CAP = 200_000
"""The longest part of a message, in characters; more is a template gone wrong."""

Values = Mapping[str, object]


class RenderError(Exception):
    """A message cannot be made; the sentence names the template and what is wrong with it."""


class ShippedTemplates:
    """The templates of a folder: ours, so they need no sandbox. Compiled once, and kept."""

    def __init__(self, folder: Path) -> None:
        self._loader = FileSystemLoader(folder)
        self._words = _environment(Environment, self._loader)
        self._pages = _environment(Environment, self._loader, autoescape=True)
        self._places: dict[str, tuple[str, ...]] = {}

    def places(self, name: str) -> tuple[str, ...]:
        """The names that a template places, or asks about."""
        if name not in self._places:
            try:
                source = self._loader.get_source(self._words, name)[0]
                self._places[name] = tuple(sorted(find_undeclared_variables(self._words.parse(source))))
            except TemplateError as error:
                raise _in_words(name, error) from error
        return self._places[name]

    def text(self, name: str, values: Values) -> str:
        """What the whole of a template says."""
        try:
            template = self._words.get_template(name)
            return _whole(name, template.root_render_func(_context(template, values)))
        except TemplateError as error:
            raise _in_words(name, error) from error

    def block(self, name: str, block: str, values: Values, *, page: bool = False) -> str:
        """What one block of a template says; on a page, every value is escaped."""
        try:
            template = (self._pages if page else self._words).get_template(name)
            if block not in template.blocks:
                raise RenderError(f"{name}: the block {block!r} is missing")
            return _whole(name, template.blocks[block](_context(template, values)))
        except TemplateError as error:
            raise _in_words(name, error) from error


class OwnTexts:
    """Texts that merchants wrote, in a sandbox. Compiled once, and kept."""

    def __init__(self) -> None:
        compiled = _environment(ImmutableSandboxedEnvironment).from_string
        self._compiled: Callable[[str], Template] = lru_cache(maxsize=500)(compiled)

    def text(self, name: str, source: str, values: Values, cap: int) -> str:
        """What a text says; `name` is how an error names it."""
        try:
            template = self._compiled(source)
            return _within(name, template.root_render_func(_context(template, values)), cap)
        except TemplateError as error:
            raise _in_words(name, error) from error


def _environment(
    kind: type[Environment], loader: FileSystemLoader | None = None, *, autoescape: bool = False
) -> Environment:
    environment = kind(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=autoescape,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=-1,
    )
    # No template calls a function: without them a context is copied in a fraction of the time.
    environment.globals.clear()
    return environment


def _context(template: Template, values: Values) -> Context:
    """The same as `template.new_context`, which copies a chain of maps for every message."""
    return Context(template.environment, {**values}, template.name, template.blocks)


def _whole(name: str, chunks: Iterable[str]) -> str:
    """All of what a template of ours gives: it is put together at once, and then looked at."""
    text = "".join(chunks)
    if len(text) > CAP:
        raise _too_long(name, CAP)
    return text


def _within(name: str, chunks: Iterable[str], cap: int) -> str:
    """All of what a text gives, unless it is more than `cap` characters: then it is a text gone wrong."""
    taken, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > cap:
            raise _too_long(name, cap)
        taken.append(chunk)
    return "".join(taken)


def _too_long(name: str, cap: int) -> RenderError:
    return RenderError(f"{name}: the message grows over {cap} characters")


def _in_words(name: str, error: TemplateError) -> RenderError:
    """An error of the template's, in a sentence that says where it is."""
    line = f", line {lineno}" if (lineno := getattr(error, "lineno", None)) else ""
    return RenderError(f"{name}{line}: {error.message or type(error).__name__}")
