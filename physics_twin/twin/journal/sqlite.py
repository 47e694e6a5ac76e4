"""A journal in one file: SQLite with a write-ahead log, every commit on the disk before it returns.

`synchronous=FULL` syncs the log at each commit: what was acknowledged outlives a killed process and a lost supply.
"""

import io
import os
import socket
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from physics_twin.errors import FileFormatError, JournalError
from physics_twin.file_lock import lock
from physics_twin.files import sync
from physics_twin.twin.journal.database import Row, statements

SUFFIXES = ("", "-wal", "-shm")
ENTRIES, CLUSTERED = "EXISTS entries", " WITHOUT ROWID"
"""Samples lie in the order of their key and need no second tree: 40 bytes each in place of 62."""
WAIT = 30.0
"""s for which a commit waits until a reader lets go of the file."""


class SQLite:
    """One file, one writing process, any number of readers."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self._lock: io.FileIO | None = None
        if read_only:
            if not path.exists():
                raise FileNotFoundError(f"there is no file {path}")
        else:
            self._lock = _claim(path)
        begun = path.exists()
        try:
            self._connection = self._connect(read_only)
            if not read_only:
                self._make(begun)
            elif "journal" not in self._tables():
                raise self._foreign()
        except BaseException:
            self.close()
            raise

    def _connect(self, read_only: bool) -> sqlite3.Connection:
        mode = "ro" if read_only else "rwc"
        try:
            # One thread at a time is the journal's duty; which one does not matter.
            return sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                timeout=WAIT,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _make(self, begun: bool) -> None:
        tables = self._tables() if begun else set()
        if tables and "journal" not in tables:
            raise self._foreign()
        with self._errors():
            mode = self._connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            if mode != "wal":
                raise JournalError(
                    f"{self.path} cannot have a write-ahead log (mode {mode}); is it on a network drive? "
                    "use a local disk"
                )
            for pragma in ("synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
        with self.transaction():
            for statement in [*statements("schema.sql"), *statements("append_only_sqlite.sql")]:
                self._connection.execute(statement + CLUSTERED if ENTRIES in statement else statement)
        if not begun:
            sync(self.path.parent)

    def _tables(self) -> set[str]:
        try:
            rows = self.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        except JournalError as error:
            if "not a database" in str(error.__cause__):
                raise self._foreign() from error
            raise
        return {row[0] for row in rows}

    def _foreign(self) -> FileFormatError:
        return FileFormatError(f"{self.path} is no journal of twins; give a file of its own")

    def _failed(self, error: sqlite3.Error) -> JournalError:
        return JournalError(
            f"the journal {self.path} cannot be used: {error}. What was committed is kept, and nothing of this call is "
            "in it: make room, or give access, and call again"
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def execute(self, statement: str, arguments: Sequence[Any] = ()) -> list[Row]:
        """All rows that it gives."""
        with self._errors():
            return self._connection.execute(statement, arguments).fetchall()

    def insert(self, statement: str, rows: Sequence[Row]) -> int:
        """How many of the rows were put in."""
        with self._errors():
            return max(self._connection.executemany(statement, rows).rowcount, 0)

    def stream(self, statement: str, arguments: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows as they come, by a connection of their own: what is written meanwhile does not show."""
        reader = self._connect(read_only=True)
        try:
            with self._errors():
                yield from reader.execute(statement, arguments)
        finally:
            reader.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and durable when the block ends well."""
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._errors():
                self._connection.execute("COMMIT")
        except BaseException:
            # After a full disk SQLite may have rolled back by itself.
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    def claim(self, asset: str) -> None:
        """The whole file belongs to this process already."""
        if self._lock is None:
            raise JournalError(f"the journal {self.path} was opened to read; {asset} cannot be written")

    @property
    def size(self) -> int:
        """Bytes of the file and its write-ahead log."""
        files = [self.path.with_name(self.path.name + suffix) for suffix in SUFFIXES]
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Let go of the file."""
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _claim(path: Path) -> io.FileIO:
    """The lock that makes this process the writer; the file beside the journal says who has it."""
    beside = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = io.FileIO(beside, "a+")
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be written: {error.strerror or error}") from error
    if not lock(file):
        file.seek(0)
        owner = file.read(500).decode("utf8", "replace").strip() or "another process"
        file.close()
        raise JournalError(
            f"the journal {path} is being written by {owner}: a journal has one writer. Stop that process, or open "
            "the journal with read_only=True"
        )
    program = Path(sys.argv[0]).name if sys.argv else ""
    # On a full disk the lock holds without the name of its owner.
    with suppress(OSError):
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} ({program or 'python'})\n".encode())
    return file
