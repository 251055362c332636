"""The folder that the development stack lives in, and the note that tells other commands where it listens."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path


class InUseError(Exception):
    """Another stack lives in this folder; the message says which."""


@dataclass(frozen=True)
class Note:
    """Where a running stack listens."""

    address: str
    web: str
    process: int


@dataclass(frozen=True)
class Folder:
    """Every path in it."""

    path: Path

    @property
    def temporal_database(self) -> Path:
        return self.path / "temporal.db"

    @property
    def temporal_log(self) -> Path:
        return self.path / "temporal.log"

    @property
    def mail(self) -> Path:
        return self.path / "mail"

    @property
    def sms(self) -> Path:
        return self.path / "sms.log"

    @property
    def _note(self) -> Path:
        return self.path / "carillon.json"

    def make(self) -> None:
        """The folders, where they are missing."""
        self.mail.mkdir(parents=True, exist_ok=True)

    def note(self) -> Note | None:
        """What the stack in this folder left word of, if one runs."""
        try:
            return Note(**json.loads(self._note.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    @contextmanager
    def noted(self, note: Note) -> Iterator[None]:
        """Leave word for as long as the block runs."""
        self._note.write_text(json.dumps(asdict(note)) + "\n", "utf-8")
        try:
            yield
        finally:
            self._note.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[int]:
        """The only stack in this folder; InUseError otherwise. Answers the descriptor that holds the lock.

        The server inherits it: one that outlives its stack still keeps others off its database.
        """
        lock = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InUseError(self._holder()) from None
            yield lock
        finally:
            with suppress(OSError):
                os.close(lock)

    def _holder(self) -> str:
        note = self.note()
        where = f" (process {note.process}, Temporal at {note.address})" if note is not None else ""
        return f"`carillon up` runs in {self.path} already{where}: stop it, or use --data-dir"
