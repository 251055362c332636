"""Statements for many rows or keys at a time, without SQLAlchemy's work on each of them."""

import re
from collections import namedtuple
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from json import dumps, loads
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    CursorResult,
    Date,
    DateTime,
    Dialect,
    Executable,
    FromClause,
    Integer,
    Select,
    String,
    Table,
    TypeDecorator,
    any_,
    bindparam,
    column,
    func,
    select,
    type_coerce,
)
from sqlalchemy import table as values_table
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import UpdateBase

Process = Callable[[Any], Any]
Rows = Sequence[Mapping[str, Any]]
Written = tuple[str, tuple[Any, ...]]
"""A statement with its values, as the driver takes it."""


class Bulk:
    """A statement that is carried out once for many rows, which it finds in the table `given` (see below).

    It is compiled once. SQLAlchemy looks at every value of every row anew; of a page of messages most are
    the same. Row by row SQLite lets go of the interpreter for each, and waits until it has it again.
    """

    def __init__(self, dialect: Dialect, statement: UpdateBase, table: Table, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._row = itemgetter(*names)
        self._process = [_process(table.c[name].type, dialect) for name in names]
        self._arrays = dialect.name == "postgresql"
        compiled = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": not self._arrays})
        self._text = str(compiled)
        self._order = [(name, compiled.binds[name].value) for name in compiled.positiontup or ()]
        # Page after page the same columns differ: SQLite knows the text, and plans it once.
        self._written_out = lru_cache(maxsize=100)(self._write_out)

    async def for_all(self, connection: AsyncConnection, rows: Rows) -> list[CursorResult[Any]]:
        """Once for all of them, or for so many at a time as SQLite takes."""
        return [await connection.exec_driver_sql(*one) for one in self.written(rows)]

    def written(self, rows: Rows) -> list[Written]:
        """What `for_all` carries out: worked out before a transaction begins, it keeps nobody waiting."""
        if self._arrays and rows:
            columns = dict(zip(self._names, map(list, self._columns(rows)), strict=True))
            return [(self._text, tuple(columns.get(name, value) for name, value in self._order))]
        return [self._with_values(rows[start : start + MOST]) for start in range(0, len(rows), MOST)]

    def _with_values(self, rows: Rows) -> Written:
        """The statement with its rows: what differs is a table of values, what is the same comes once."""
        columns = dict(zip(self._names, map(tuple, self._columns(rows)), strict=True))
        own = tuple(
            name
            for number, (name, column) in enumerate(columns.items())
            if not number or column.count(column[0]) != len(column)
        )
        text, order = self._written_out(own, len(rows))
        values = {name: column[:1] for name, column in columns.items()}
        values[VALUES] = tuple(chain.from_iterable(zip(*(columns[name] for name in own), strict=True)))
        return text, tuple(chain.from_iterable(values[name] for name in order))

    def _write_out(self, own: tuple[str, ...], count: int) -> tuple[str, tuple[str, ...]]:
        """The text for so many rows of which these columns differ; and what is given in its order."""
        order: list[str] = []

        def place(found: re.Match[str]) -> str:
            if (name := found["name"]) is None:
                order.append(VALUES)
                rows = ", ".join([f"({', '.join('?' * len(own))})"] * count)
                return f"FROM (VALUES {rows}) AS given"
            if name in own:
                return f"given.column{own.index(name) + 1}"
            order.append(name)
            return "?"

        return re.sub(r"\bFROM given\b|\bgiven\.(?P<name>\w+)", place, self._text), tuple(order)

    def _columns(self, rows: Rows) -> Iterator[Iterable[Any]]:
        return map(_written, zip(*map(self._row, rows), strict=True), self._process)


VALUES = "VALUES"
MOST = 500
"""So many rows at a time on SQLite, which counts the values of a statement."""


def given(dialect: Dialect, table: Table, names: Sequence[str]) -> FromClause:
    """The rows of a `Bulk`, with these columns of a table.

    Strings have no length here: a cast to a shorter one would cut them, where the table refuses them.
    """
    if dialect.name != "postgresql":
        return values_table("given", *(column(name, table.c[name].type) for name in names))
    types = [table.c[name].type for name in names]
    arrays = [
        bindparam(name, type_=ARRAY(String() if type_.python_type is str else type_), required=True)
        for name, type_ in zip(names, types, strict=True)
    ]
    return func.unnest(*arrays).table_valued(*names).render_derived(name="given")


class Reading:
    """A query of which every row is wanted, in no order.

    SQLite gives all of them as one value: row by row it lets go of the interpreter. Where a column holds what
    JSON cannot keep to the last digit, they come as rows all the same.
    """

    def __init__(self, query: Select[Any], dialect: Dialect) -> None:
        self._query: Executable = query
        self._make: Callable[[Iterable[Any]], Any] | None = None
        columns = query.subquery().c
        if dialect.name == "sqlite" and all(map(_in_json, columns)):
            self._query = select(func.json_group_array(func.json_array(*columns), type_=String))
            self._make = _named_tuple("Found", [one.name for one in columns])._make
            processes = (one.type.dialect_impl(dialect).result_processor(dialect, None) for one in columns)
            self._processes = [(place, one) for place, one in enumerate(processes) if one is not None]

    async def rows(self, connection: AsyncConnection, values: Any = None) -> Sequence[Any]:
        """What it finds, each row with the names of its columns."""
        if self._make is None:
            return await all_rows(connection, self._query, values)
        found = loads(await connection.scalar(self._query, values))
        for place, process in self._processes:
            for row, value in zip(found, _each([row[place] for row in found], process), strict=True):
                row[place] = value
        return list(map(self._make, found))


_named_tuple: Any = namedtuple


def _in_json(column: ColumnElement[Any]) -> bool:
    """Whether JSON keeps every value of a column as SQLite has it."""
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return isinstance(kind, String | Integer | Boolean | DateTime | Date)


class Lookup:
    """A query for the rows whose columns hold one of some keys, by the names that they are given under.

    It is put together once for each kind of database: SQLAlchemy takes longer for that than for asking.
    """

    def __init__(self, query: Select[Any], **columns: ColumnElement[str]) -> None:
        self._query = query
        self._columns = columns
        self._built: dict[str, Reading] = {}

    async def rows(
        self, connection: AsyncConnection, keys: Mapping[str, Collection[str]], **values: Any
    ) -> Sequence[Any]:
        """All of them; none where there are no keys. `values` are what else the query asks for."""
        if not all(keys.values()):
            return []
        dialect = connection.dialect
        if (reading := self._built.get(dialect.name)) is None:
            query = self._query.where(
                *(_among(dialect, column, bindparam(name)) for name, column in self._columns.items())
            )
            reading = self._built[dialect.name] = Reading(query, dialect)
        given = {name: as_one(dialect.name, some) for name, some in keys.items()}
        return await reading.rows(connection, {**values, **given})


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
