"""Journals in SQLite and in PostgreSQL: the same laws for both."""

import glob
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

WHO = ("postgres", "nobody")
"""PostgreSQL refuses to run as root; then it runs as one of these."""


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    folders = [str(Path(found).parent)] if found else sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return Path(folders[-1]) if folders else None


def _as_user() -> list[str] | None:
    """What runs a command as somebody who may start PostgreSQL; None where nobody can."""
    if os.getuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        return None
    for name in WHO:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return None


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A private server on a socket in a temporary folder: its locator."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg (extra live) is not installed")
    binaries, user = _binaries(), _as_user()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed here")
    if user is None:
        pytest.skip("PostgreSQL does not run as root, and there is no setpriv or user for it")
    folder = tempfile.mkdtemp(prefix="pg")  # short: the name of a socket holds about a hundred letters
    try:
        if user:
            shutil.chown(folder, int(user[1].partition("=")[2]), int(user[2].partition("=")[2]))
        data = f"{folder}/data"
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c max_connections=20"

        def run(*command: str) -> None:
            done = subprocess.run([*user, *command], capture_output=True, text=True, cwd="/", timeout=60)
            if done.returncode:
                pytest.skip(f"PostgreSQL cannot be started here: {done.stderr.strip()[-300:]}")

        run(f"{binaries}/initdb", "-D", data, "-U", "twin", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        run(f"{binaries}/pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            locator = f"postgresql://twin@/postgres?host={folder}"
            psycopg.connect(locator).close()
            yield locator
        finally:
            stop = [*user, f"{binaries}/pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"]
            subprocess.run(stop, capture_output=True, check=False, cwd="/", timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(server: str) -> Iterator[str]:
    """A locator of a place with no tables."""
    import psycopg

    name = f"plant_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        yield f"{server}&options=-csearch_path%3D{name}"
        connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new journal may be made."""
    if request.param == "sqlite":
        return str(tmp_path / "plant.journal")
    locator: str = request.getfixturevalue("postgres")
    return locator
