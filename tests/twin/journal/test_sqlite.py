"""The journal in a file: durable by its settings, and whole on a full disk."""

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from physics_twin.errors import FileFormatError, JournalError
from physics_twin.twin.audit import Audit
from physics_twin.twin.journal import Journal
from physics_twin.twin.journal.sqlite import SQLite
from physics_twin.twin.timeline import Sample

T0 = 1_795_000_000_000_000_000
LONG = "x" * 2000

FILL = """
import resource, signal, sys
from physics_twin.errors import JournalError
from physics_twin.twin.journal import Journal
from physics_twin.twin.timeline import Sample

path, room = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
written = 0
with Journal(path) as journal:
    try:
        while written < 10_000:
            five = [Sample("T1", written + k, 1.0, source="x" * 500) for k in range(5)]
            written += journal.append("line1", five, {"opc": written + 5})
    except JournalError as error:
        sys.stdout.write(f"{written} {error}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.append("line1", [Sample("T2", 0, 1.0)])
"""


def samples(first: int, n: int = 5) -> list[Sample]:
    return [Sample("T1", T0 + k, float(k), source=LONG) for k in range(first, first + n)]


def test_every_commit_is_synced_to_a_write_ahead_log(tmp_path: Path) -> None:
    """journal_mode WAL and synchronous FULL (2): the settings under which a commit is durable."""
    path = tmp_path / "a.journal"
    database = SQLite(path, read_only=False)
    try:
        assert database.execute("PRAGMA journal_mode") == [("wal",)]
        assert database.execute("PRAGMA synchronous") == [(2,)]
    finally:
        database.close()


def test_a_full_database_refuses_the_append_and_keeps_the_rest(tmp_path: Path) -> None:
    """The whole append fails, with a reason; when there is room again the same call works and nothing is missing."""
    with Journal(tmp_path / "a.journal") as journal:
        database = journal._database
        assert isinstance(database, SQLite)
        journal.append("line1", samples(0), {"opc": 5})
        pages = database.execute("PRAGMA page_count")[0][0]
        database.execute(f"PRAGMA max_page_count = {pages + 3}")
        written = 5
        with pytest.raises(JournalError, match=r"full.*What was committed is kept"):
            while written < 1000:
                journal.append("line1", samples(written), {"opc": written + 5})
                written += 5
        assert len(list(journal.entries("line1"))) == written
        assert journal.positions("line1") == {"opc": written}
        with pytest.raises(JournalError, match="full"), journal.group():
            journal.append("line2", samples(0, 1))
            journal.append("line1", samples(written, 50))
        assert journal.assets == ("line1",)
        database.execute("PRAGMA max_page_count = 100000")
        assert journal.append("line1", samples(written), {"opc": written + 5}) == 5
        assert len(list(journal.entries("line1"))) == written + 5


def test_a_file_system_that_writes_no_more_loses_nothing(tmp_path: Path) -> None:
    """The operating system cuts a write of the log short (a limit of the size of files): what was acknowledged is
    there, no half append is, and when the limit is lifted the same journal goes on."""
    path = tmp_path / "a.journal"
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path), "200000"], capture_output=True, text=True, timeout=120, check=True
    )
    written, _, message = done.stdout.partition(" ")
    assert int(written) > 0 and "cannot be used" in message, done.stdout
    with Journal(path) as journal:
        assert len(list(journal.entries("line1"))) == int(written) + 1
        assert journal.positions("line1") == {"opc": int(written)}
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_another_file_is_refused_and_stays_as_it_was(tmp_path: Path) -> None:
    """A text, another database, a journal of a later version: FileFormatError with the reason."""
    text = tmp_path / "notes.txt"
    text.write_text("this is a long text and no database at all " * 50)
    before = text.read_bytes()
    for read_only in (False, True):
        with pytest.raises(FileFormatError, match=r"notes.txt is no journal"):
            Journal(text, read_only=read_only)
    assert text.read_bytes() == before
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    connection.close()
    with pytest.raises(FileFormatError, match=r"other.db is no journal"):
        Journal(other)
    late = tmp_path / "late.journal"
    Journal(late).close()
    with sqlite3.connect(late) as connection:
        connection.execute("UPDATE journal SET version = 2, writer = 'physics_twin 9.9'")
    connection.close()
    with pytest.raises(FileFormatError, match=r"made by physics_twin 9\.9"):
        Journal(late)
    with pytest.raises(FileNotFoundError):
        Journal(tmp_path / "absent.journal", read_only=True)


def test_the_audit_log_of_the_file_is_append_only(tmp_path: Path) -> None:
    """No UPDATE, no DELETE, no INSERT OR REPLACE, by whichever program."""
    path = tmp_path / "a.journal"
    with Journal(path) as journal:
        with journal._writing("line1") as own:
            journal._write_audit("line1", own, Audit().append(T0, "me", "mask", "in repair"))
        connection = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "UPDATE audit SET record = 'x'",
            "DELETE FROM audit",
            "INSERT OR REPLACE INTO audit SELECT asset, number, hash, 'x' FROM audit",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
        connection.close()
        assert journal.audit("line1").table[0][3] == "in repair"
