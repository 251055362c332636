"""Statements for many rows or keys at a time, without SQLAlchemy's work on each of them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from json import dumps
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CursorResult,
    Dialect,
    Executable,
    FromClause,
    Select,
    String,
    Table,
    any_,
    bindparam,
    func,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import UpdateBase

Process = Callable[[Any], Any]
Rows = Collection[Mapping[str, Any]]


class Bulk:
    """A statement that is compiled once, and carried out for many rows by name.

    SQLAlchemy looks at every value of every row anew; of a page of messages most are the same.
    `names` are the columns of an insert or of what an update sets.
    """

    def __init__(self, dialect: Dialect, statement: UpdateBase, names: Sequence[str] = ()) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(names) or None)
        order = compiled.positiontup or ()
        self._text = str(compiled)
        self._given = [name for name in order if compiled.binds[name].required]
        self._row = itemgetter(*self._given)
        self._order = [(name, compiled.binds[name].value) for name in order]
        self._process = {name: _process(compiled.binds[name].type, dialect) for name in order}

    async def for_each(self, connection: AsyncConnection, rows: Rows) -> CursorResult[Any]:
        """Once for each row."""
        columns = self._columns(rows)
        return await connection.exec_driver_sql(self._text, list(zip(*columns, strict=True)))

    async def for_all(self, connection: AsyncConnection, rows: Rows) -> CursorResult[Any]:
        """Once, for a statement that takes its rows from `table_of`."""
        values = [
            list(column) if name in self._given else value
            for (name, value), column in zip(self._order, self._columns(rows), strict=True)
        ]
        return await connection.exec_driver_sql(self._text, tuple(values))

    def _columns(self, rows: Rows) -> list[Iterable[Any]]:
        given = dict(zip(self._given, zip(*map(self._row, rows), strict=True), strict=True))
        return [
            _written(given[name], self._process[name]) if name in given else repeat(value, len(rows))
            for name, value in self._order
        ]


def table_of(table: Table, names: Sequence[str]) -> FromClause:
    """Rows with these columns of a table, that come with the statement. PostgreSQL's alone.

    Strings have no length here: a cast to a shorter one would cut them, where the table refuses them.
    """
    types = [table.c[name].type for name in names]
    arrays = [
        bindparam(name, type_=ARRAY(String() if type_.python_type is str else type_), required=True)
        for name, type_ in zip(names, types, strict=True)
    ]
    return func.unnest(*arrays).table_valued(*names).render_derived(name="given")


class Lookup:
    """A query for the rows whose columns hold one of some keys, by the names that they are given under.

    It is put together once for each kind of database: SQLAlchemy takes longer for that than for asking.
    """

    def __init__(self, query: Select[Any], **columns: ColumnElement[str]) -> None:
        self._query = query
        self._columns = columns
        self._built: dict[str, Select[Any]] = {}

    async def rows(
        self, connection: AsyncConnection, keys: Mapping[str, Collection[str]], **values: Any
    ) -> Sequence[Any]:
        """All of them; none where there are no keys. `values` are what else the query asks for."""
        if not all(keys.values()):
            return []
        dialect = connection.dialect
        if (query := self._built.get(dialect.name)) is None:
            query = self._built[dialect.name] = self._query.where(
                *(_among(dialect, column, bindparam(name)) for name, column in self._columns.items())
            )
        given = {name: as_one(dialect.name, some) for name, some in keys.items()}
        return await all_rows(connection, query, {**values, **given})


def among(dialect: Dialect, column: ColumnElement[str], keys: Collection[str]) -> ColumnElement[bool]:
    """Whether a column holds one of these: they travel as one value, whose length is no matter."""
    return _among(dialect, column, bindparam(None, as_one(dialect.name, keys)))


def _among(dialect: Dialect, column: ColumnElement[str], keys: BindParameter[Any]) -> ColumnElement[bool]:
    if dialect.name == "postgresql":
        return column == any_(type_coerce(keys, ARRAY(String)))
    given = func.json_each(type_coerce(keys, String)).table_valued("value")
    return column.in_(select(given.c.value))


def as_one(dialect_name: str, keys: Collection[str]) -> Any:
    """A list of keys as one value, in their order."""
    ordered = sorted(keys)
    return ordered if dialect_name == "postgresql" else dumps(ordered, ensure_ascii=False)


async def all_rows(connection: AsyncConnection, query: Executable, values: Any = None) -> Sequence[Any]:
    """Everything that a query finds, fetched at one go: row by row each fetch lets go of the interpreter."""
    return (await connection.execute(query, values)).all()


def _process(type_: Any, dialect: Dialect) -> Process | None:
    one = type_.item_type if isinstance(type_, ARRAY) else type_
    process: Process | None = one.dialect_impl(dialect).bind_processor(dialect)
    return process


def _written(column: Collection[Any], process: Process | None) -> Iterable[Any]:
    """A column as the driver takes it."""
    if process is not None:
        return _each(column, process)
    # A driver looks long for how to write what is not quite a str: a status, a kind.
    return column if set(map(type, column)) <= _PLAIN else _each(column, _plain)


_PLAIN = {str, int, type(None)}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value


def _each(column: Iterable[Any], process: Process) -> Iterator[Any]:
    """One value after the other; the same one is written once."""
    before, written = object(), None
    for value in column:
        if value is not before:
            before, written = value, process(value)
        yield written
