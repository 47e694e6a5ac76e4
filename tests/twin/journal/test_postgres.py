"""The journal in PostgreSQL: one writer for each asset, an audit log that the server guards, servers that go away."""

import os

import pytest

from physics_twin.errors import JournalError
from physics_twin.twin.audit import Audit
from physics_twin.twin.journal import Journal
from physics_twin.twin.timeline import Sample

psycopg = pytest.importorskip("psycopg")

T0 = 1_795_000_000_000_000_000


def end_writers(connection) -> None:
    """End the sessions that have claimed an asset, and wait until they are gone."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
    )


def test_many_writers_each_have_their_own_assets(postgres: str) -> None:
    """Two processes write at once to two assets, and neither to the other's; names get one number each."""
    with Journal(postgres) as one, Journal(postgres) as two:
        for k in range(5):
            assert one.append("line1", [Sample("T1", T0 + k, 1.0, "degC"), Sample(f"a{k}", T0, 1.0)]) == 2
            assert two.append("line2", [Sample("T1", T0 + k, 1.0, "degC"), Sample(f"b{k}", T0, 1.0)]) == 2
        with pytest.raises(JournalError, match=rf"line1 is being written by physics_twin process {os.getpid()}"):
            two.append("line1", [Sample("T1", T0, 1.0)])
        assert len(list(two.entries("line1"))) == len(list(one.entries("line2"))) == 10
        assert one.assets == two.assets == ("line1", "line2")


def test_the_claim_ends_with_the_session(postgres: str) -> None:
    """When the server ends the session of a writer, another one may take the asset."""
    with Journal(postgres) as one, Journal(postgres) as two:
        one.append("line1", [Sample("T1", T0, 1.0)])
        with psycopg.connect(postgres, autocommit=True) as other:
            end_writers(other)
        assert two.append("line1", [Sample("T1", T0 + 1, 1.0)]) == 1
        with pytest.raises(JournalError, match="give the same entries again"):
            one.append("line1", [Sample("T1", T0 + 2, 1.0)])
        with pytest.raises(JournalError, match="being written by"):
            one.append("line1", [Sample("T1", T0 + 2, 1.0)])


def test_a_writer_goes_on_when_the_server_is_back(postgres: str) -> None:
    """The first call after a lost connection fails and says so; the same entries, given again, are written once."""
    with Journal(postgres) as journal:
        journal.append("line1", [Sample("T1", T0, 1.0)])
        with psycopg.connect(postgres, autocommit=True) as other:
            end_writers(other)
        entries = [Sample("T1", T0, 1.0), Sample("T1", T0 + 1, 1.0)]
        with pytest.raises(JournalError, match="cannot be used"):
            journal.append("line1", entries)
        assert journal.append("line1", entries) == 1
        with Journal(postgres) as other_writer, pytest.raises(JournalError, match="being written by"):
            other_writer.append("line1", entries)


def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    """The error says what failed; a password in the locator is in no message."""
    with pytest.raises(JournalError, match="cannot be used") as caught:
        Journal("postgresql://twin:secret@127.0.0.1:9/plant?connect_timeout=2")
    assert "secret" not in str(caught.value)


def test_the_audit_log_of_the_server_is_append_only(postgres: str) -> None:
    """No UPDATE, no DELETE, no TRUNCATE, by whichever program."""
    with Journal(postgres) as journal:
        with journal._writing("line1") as own:
            journal._write_audit("line1", own, Audit().append(T0, "me", "mask", "in repair"))
        with psycopg.connect(postgres, autocommit=True) as other:
            for statement in ("UPDATE audit SET record = 'x'", "DELETE FROM audit", "TRUNCATE audit"):
                with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                    other.execute(statement)
        assert journal.audit("line1").table[0][3] == "in repair"
