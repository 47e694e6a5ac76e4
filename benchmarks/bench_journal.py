"""Durable commits a second: the journal of twins, one append at a time and in groups, beside plain SQLite.

Every commit waits for the disk of the machine: the number of fsync a second bounds all of them, and is measured first.
A unit of work is one append of five samples. The floor is 240 durable appends a second: one by one where the disk syncs
that often, in groups everywhere.
"""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from physics_twin.twin.journal import Journal
from physics_twin.twin.timeline import Sample

CHANNELS = 5
ASSETS = 300
APPENDS = 300
SECOND = 1_000_000_000
T0 = 1_795_000_000 * SECOND
FLOOR = 240.0

pytestmark = pytest.mark.benchmark(group=f"durable appends of {CHANNELS} samples")


@pytest.fixture(scope="module")
def samples() -> list[list[Sample]]:
    """Appends: all channels of a second."""
    return [
        [Sample(f"T{k}", T0 + s * SECOND, 20.0 + 0.001 * s + k, "degC") for k in range(CHANNELS)]
        for s in range(200 * APPENDS)
    ]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "plant.journal") as found:
        yield found


def stated(benchmark: Any, n_commits: int, n_appends: int) -> float:
    seconds = benchmark.stats.stats.median
    benchmark.extra_info["units_of_work"] = float(n_appends)
    benchmark.extra_info["commits_per_second"] = n_commits / seconds
    benchmark.extra_info["samples_per_second"] = n_appends * CHANNELS / seconds
    return float(n_commits / seconds)


def test_fsync_of_the_machine(benchmark: Any, tmp_path: Path) -> None:
    """4 KB and fsync: what the disk allows."""
    file = os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY)

    def work() -> None:
        for _ in range(APPENDS):
            os.write(file, bytes(4096))
            os.fsync(file)

    benchmark.pedantic(work, rounds=3)
    os.close(file)
    stated(benchmark, APPENDS, APPENDS)


def test_plain_sqlite(benchmark: Any, tmp_path: Path, samples: list[list[Sample]]) -> None:
    """The same rows into a table without a key, WAL and synchronous FULL: a commit for each append."""
    connection = sqlite3.connect(tmp_path / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE entries (time INTEGER, channel TEXT, value REAL, unit TEXT)")
    calls = iter(samples)

    def work() -> None:
        for _ in range(APPENDS):
            rows = [(one.time, one.channel, one.value, one.unit) for one in next(calls)]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)
            connection.execute("COMMIT")

    benchmark.pedantic(work, rounds=3, warmup_rounds=1)
    connection.close()
    stated(benchmark, APPENDS, APPENDS)


def test_physics_twin_one_by_one(benchmark: Any, journal: Journal, samples: list[list[Sample]]) -> None:
    """A commit for each append, with its position."""
    calls = iter(samples)

    def work() -> None:
        for k in range(APPENDS):
            journal.append("line1", next(calls), {"opc": k})

    benchmark.pedantic(work, rounds=3, warmup_rounds=1)
    stated(benchmark, APPENDS, APPENDS)


def test_grouped(benchmark: Any, journal: Journal, samples: list[list[Sample]]) -> None:
    """One second of 300 assets in one commit: what a service does."""
    calls = iter(samples)

    def work() -> None:
        for k in range(10):
            call = next(calls)
            with journal.group():
                for asset in range(ASSETS):
                    journal.append(f"line{asset}", call, {"opc": k})

    benchmark.pedantic(work, rounds=3, warmup_rounds=1)
    assert stated(benchmark, 10, 10 * ASSETS) * ASSETS > FLOOR


def test_bytes_of_a_sample(benchmark: Any, journal: Journal, samples: list[list[Sample]]) -> None:
    """What 20,000 samples of 20 assets add to the file, and a day at 1 Hz."""
    before = journal.n_bytes

    def work() -> None:
        for call in samples[:200]:
            with journal.group():
                for asset in range(20):
                    journal.append(f"line{asset}", call)

    benchmark.pedantic(work, rounds=1)
    journal._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    each = (journal.n_bytes - before) / (200 * 20 * CHANNELS)
    stated(benchmark, 200, 200 * 20)
    benchmark.extra_info["bytes_per_sample"] = each
    benchmark.extra_info["megabytes_per_channel_and_day_at_1_hz"] = each * 86400 / 1e6
    assert each < 100.0
