"""What was refused of a file, as a file: each line with its field, what is wrong, and the mend."""

import csv
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from intake.problems import InputError, Problem

HEADS = ("line", "field", "what is wrong", "mend", "value")


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of something to work out."""


class ErrorFile:
    """Written while the lines come, so that what was found is there when it is broken off.

    Where nothing is wrong there is no file, but one of an earlier time is emptied.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self._open = ExitStack()
        self._rows: Any = None

    def __enter__(self) -> Self:
        if self.path.exists():
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def add(self, line: int, problems: Iterable[Problem]) -> None:
        """Note a line that is refused."""
        if self._rows is None:
            self._begin()
        self.lines += 1
        self._rows.writerows(
            (line, *map(_inert, (one.where, one.what, one.mend, one.value))) for one in problems
        )

    def _begin(self) -> None:
        try:
            # Spreadsheets read UTF-8 as such only with its mark.
            file = self._open.enter_context(self.path.open("w", encoding="utf-8-sig", newline=""))
        except OSError as error:
            problem = Problem("", f"cannot be written ({error.strerror})", "name another with --errors")
            raise InputError(str(self.path), [problem]) from None
        self._rows = csv.writer(file)
        self._rows.writerow(HEADS)


def _inert(cell: str) -> str:
    """A cell that no spreadsheet works out, whatever the writer of the file made of its names."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
