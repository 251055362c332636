"""Files of many records, read one by one however many there are: CSV, a JSON array, JSON lines."""

import codecs
import csv
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from intake.problems import InputError, Problem, nearest, shown

BLOCK = 1 << 16
LONGEST = 1 << 20
"""Characters of one record; more is a bracket or a quote that is not closed."""
DELIMITERS = ",;\t"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the line that it begins on, and its values by name, or what keeps it from being read.

    `place`: of an array, which may stand on one line, which element it is: `[0]`.
    """

    line: int
    values: Mapping[str, Any]
    problem: Problem | None = None
    place: str = ""


class Records:
    """The records of a file. InputError where nothing of it can be used: no such file, no UTF-8, no header.

    `known`: the names of values that there are; `needed`: those that every record must have.
    """

    def __init__(self, path: Path, known: Collection[str], needed: Sequence[str]) -> None:
        self._path = path
        self._known = known
        self._needed = needed
        self.lines = _checked_lines(path)

    def __iter__(self) -> Iterator[Record]:
        with self._path.open(encoding="utf-8-sig", newline="") as text:
            match _first_character(text):
                case "":
                    raise self._unusable("", "is empty", f"begin it with {self._example}")
                case "[":
                    yield from _array(text)
                case "{":
                    yield from _json_lines(text)
                case _:
                    yield from self._csv(text)

    def _csv(self, text: TextIO) -> Iterator[Record]:
        rows = csv.reader(text, delimiter=_delimiter(text), strict=True)
        line, names = 1, list[str]()
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Record(line, {}, _broken(error, line, rows.line_num))
            else:
                if names and any(cells):
                    yield _row(line, names, cells)
                elif any(cells):
                    names = self._header(cells)
            line = rows.line_num + 1

    def _header(self, cells: Sequence[str]) -> list[str]:
        names = [cell.strip().casefold() for cell in cells]
        if not any(name in self._known for name in names):
            raise self._unusable("", "has no line that names the columns", f"begin it with {self._example}")
        problems = [
            Problem("", f"has the column {name!r}, which is not known", nearest(name, self._known))
            for name in dict.fromkeys(names)
            if name not in self._known
        ]
        problems += [
            Problem("", f"has the column {name!r} twice", "leave one out")
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]
        problems += [
            Problem("", f"has no column {name!r}", "add it") for name in self._needed if name not in names
        ]
        if problems:
            raise InputError(str(self._path), problems)
        return names

    @property
    def _example(self) -> str:
        return f"a line that names the columns: {','.join(self._needed)},..."

    def _unusable(self, where: str, what: str, mend: str) -> InputError:
        return InputError(str(self._path), [Problem(where, what, mend)])


def _checked_lines(path: Path) -> int:
    """How many lines a file has; InputError where it cannot be read, or is in another encoding."""
    lines = 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as raw:
            while block := raw.read(BLOCK):
                if not lines and block.startswith(_UTF_16):
                    raise InputError(str(path), [Problem("", "is in UTF-16", "save it as UTF-8")])
                decoder.decode(block)
                lines += block.count(b"\n")
            decoder.decode(b"", final=True)
    except FileNotFoundError:
        raise InputError(str(path), [Problem("", "there is no such file", "check its name")]) from None
    except OSError as error:
        raise InputError(str(path), [Problem("", f"cannot be read ({error.strerror})", "")]) from None
    except UnicodeDecodeError as error:
        line = lines + 1 + bytes(error.object[: error.start]).count(b"\n")
        raise InputError(
            str(path), [Problem(f"line {line}", "is not in UTF-8", "save it as UTF-8")]
        ) from None
    return lines + 1


def _first_character(text: TextIO) -> str:
    """The first character that is not blank; the file is where it was."""
    while block := text.read(BLOCK):
        if block := block.lstrip(_BLANK):
            break
    text.seek(0)
    return block[:1]


def _delimiter(text: TextIO) -> str:
    """A comma, a semicolon or a tab: whichever the first line has most of."""
    first = text.readline().lstrip("\ufeff")
    text.seek(0)
    return max(DELIMITERS, key=first.count)


def _row(line: int, names: Sequence[str], cells: list[str]) -> Record:
    # A delimiter too many at the end holds nothing.
    if len(cells) < len(names) or any(cells[len(names) :]):
        what = f"has {len(cells)} values for {len(names)} columns"
        mend = "put a value that holds a delimiter in quotes, and leave none out"
        return Record(line, {}, Problem("", what, mend))
    return Record(line, dict(zip(names, cells, strict=False)))


def _broken(error: csv.Error, first: int, last: int) -> Problem:
    where = f"up to line {last} " if last > first else ""
    return Problem("", f"{where}cannot be told apart ({error})", "close every quote, and double those within")


def _json_lines(text: TextIO) -> Iterator[Record]:
    for number, line in enumerate(text, 1):
        if not (words := line.strip(_BLANK)):
            continue
        try:
            yield _object(number, _DECODER.decode(words))
        except (ValueError, RecursionError) as error:
            yield Record(number, {}, _no_json(error, "write one object a line, or a list of them in [...]"))


def _array(text: TextIO) -> Iterator[Record]:
    """The elements of an array. Where it breaks off nothing after it can be told apart."""
    stream = _JsonStream(text)
    stream.step()  # the bracket
    places = (f"[{number}]" for number in count())
    while stream.next_character() != "]":
        line, place = stream.line, next(places)
        try:
            value = stream.value()
            stream.end_of_value()
        except (ValueError, RecursionError) as error:
            yield Record(line, {}, _no_json(error, "mend it: nothing from here on was read"), place)
            return
        yield replace(_object(line, value), place=place)
    stream.step()
    if stream.next_character():
        mend = "put all of it into one list: nothing from here on was read"
        yield Record(stream.line, {}, Problem("", "stands after the end of the list", mend))


def _object(line: int, value: Any) -> Record:
    if isinstance(value, _Repeating):
        return Record(line, {}, Problem(value.name, "is given twice", "leave one out"))
    if not isinstance(value, dict):
        return Record(line, {}, Problem("", "is no object", 'write it as {"member_id": ...}', shown(value)))
    return Record(line, value)


def _no_json(error: Exception, mend: str) -> Problem:
    why = "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", str(error))
    return Problem("", f"is not JSON ({why})", mend)


class _Repeating(dict[str, Any]):
    """An object that gives a name twice: which one was meant, its writer must say."""

    name = ""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    repeating = _Repeating(found)
    repeating.name = next(name for name in names if names.count(name) > 1)
    return repeating


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_no_number)


class _JsonStream:
    """Reads values of JSON from a text that need not fit into memory."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._buffer, self._at = "", 0
        self.line = 1
        self.next_character()

    def next_character(self) -> str:
        """The next one that is not blank, or an empty string at the end."""
        while True:
            rest = self._buffer[self._at : self._at + 1]
            if rest and rest not in _BLANK:
                return rest
            if rest:
                self.step()
            elif not self._more():
                return ""

    def step(self) -> None:
        self._go_to(self._at + 1)

    def value(self) -> Any:
        """The value that begins here; ValueError where there is none."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError:
                # It may only be cut off here.
                if len(self._buffer) - self._at > LONGEST or not self._more():
                    raise
            else:
                if end < len(self._buffer) or not self._more():
                    self._go_to(end)
                    return value

    def end_of_value(self) -> None:
        """Step over the comma; ValueError where neither one nor the end of the array follows."""
        following = self.next_character()
        if following == ",":
            self.step()
        elif following != "]":
            raise ValueError("Expecting ',' delimiter")

    def _go_to(self, at: int) -> None:
        self.line += self._buffer.count("\n", self._at, at)
        self._at = at

    def _more(self) -> bool:
        block = self._text.read(BLOCK)
        self._buffer, self._at = self._buffer[self._at :] + block, 0
        return bool(block)
