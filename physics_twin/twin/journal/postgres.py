"""A journal in PostgreSQL, for the day when one host is not enough: many hosts, and one writer for each asset."""

import hashlib
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from physics_twin.errors import JournalError, MissingDependencyError
from physics_twin.twin.journal.database import Row, statements

if TYPE_CHECKING:
    import psycopg

_AT_ONCE = 10_000
"""Rows that a reader fetches at a time."""


class PostgreSQL:
    """One connection. The lock of an asset is the session's: the server lets go of it when the session ends."""

    def __init__(self, target: str, *, read_only: bool) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise MissingDependencyError(
                "a journal in PostgreSQL needs psycopg: pip install 'physics-twin[live]'"
            ) from error
        self._psycopg = psycopg
        self._target = target
        self._read_only = read_only
        self._claimed: list[str] = []
        self._connection: psycopg.Connection[Any] | None = None
        self._connected()
        if not read_only:
            with self.transaction():
                # Two services that start at once must not make the tables twice.
                self._run("SELECT pg_advisory_xact_lock(%s)", (_key("the tables"),))
                for statement in [*statements("schema.sql"), *statements("append_only_postgres.sql")]:
                    self._run(statement)

    def _connected(self) -> "psycopg.Connection[Any]":
        """The connection; a new one where the server has gone and come back, with the same claims."""
        if self._connection is not None and not self._connection.closed:
            return self._connection
        name = f"physics_twin process {os.getpid()} on {socket.gethostname()}"
        try:
            connection = self._psycopg.connect(self._target, autocommit=True, application_name=name[:63])
            connection.execute("SET synchronous_commit = on")
            connection.execute("SET client_min_messages = warning")
            if self._read_only:
                connection.execute("SET default_transaction_read_only = on")
        except self._psycopg.Error as error:
            raise self._failed(error) from error
        self._connection = connection
        claimed, self._claimed = self._claimed, []
        for asset in claimed:
            self.claim(asset)
        return connection

    def _failed(self, error: Exception) -> JournalError:
        # The target may hold a password: the message does not repeat it.
        return JournalError(
            f"the journal in PostgreSQL cannot be used: {str(error).strip()}. What was committed is kept: when the "
            "server answers, give the same entries again; those that are there already have no effect"
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except self._psycopg.Error as error:
            raise self._failed(error) from error

    def _run(self, statement: str, arguments: Sequence[Any] = ()) -> "psycopg.Cursor[Any]":
        # Statements are written in this package; what comes from outside is in the arguments.
        return self._connected().execute(cast(Any, statement), arguments or None)

    def execute(self, statement: str, arguments: Sequence[Any] = ()) -> list[Row]:
        """All rows that it gives."""
        with self._errors():
            cursor = self._run(statement.replace("?", "%s"), arguments)
            return cursor.fetchall() if cursor.description else []

    def insert(self, statement: str, rows: Sequence[Row]) -> int:
        """How many of the rows were put in."""
        with self._errors(), self._connected().cursor() as cursor:
            cursor.executemany(cast(Any, statement.replace("?", "%s")), rows)
            return max(cursor.rowcount, 0)

    def stream(self, statement: str, arguments: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows as they come, by a connection of their own."""
        with self._errors(), self._psycopg.connect(self._target) as reader, reader.cursor(name="rows") as cursor:
            cursor.itersize = _AT_ONCE
            cursor.execute(cast(Any, statement.replace("?", "%s")), arguments)
            yield from cursor

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and durable when the block ends well."""
        with self._errors(), self._connected().transaction():
            yield

    def claim(self, asset: str) -> None:
        """Take the server's lock for this asset."""
        if asset in self._claimed:
            return
        if self._read_only:
            raise JournalError(f"the journal was opened to read; {asset} cannot be written")
        key = _key(asset)
        if not self.execute("SELECT pg_try_advisory_lock(?)", (key,))[0][0]:
            # The two halves of the key, as the server shows them.
            high, low = (key >> 32) & 0xFFFFFFFF, key & 0xFFFFFFFF
            owner = self.execute(
                "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
                "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
                "AND l.classid::bigint = ? AND l.objid::bigint = ?",
                (high, low),
            )
            raise JournalError(
                f"{asset} is being written by {owner[0][0] if owner else 'another process'}: an asset has one writer. "
                "Stop that process, or open the journal with read_only=True"
            )
        self._claimed.append(asset)

    @property
    def size(self) -> int:
        """Bytes of its tables and their indices."""
        tables = ("names", "entries", "appends", "positions", "states", "pruned", "audit")
        return int(self.execute("SELECT " + " + ".join(f"pg_total_relation_size('{name}')" for name in tables))[0][0])

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.close()


def _key(asset: str) -> int:
    """A 64-bit number for a name."""
    digest = hashlib.sha256(f"physics_twin journal: {asset}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
