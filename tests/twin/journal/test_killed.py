"""kill -9 at random moments: nothing is lost, nothing acts twice, and the twin is the one that never stopped.

The short version runs with the other tests. 200 moments: pytest -m slow tests/twin/journal/test_killed.py
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import physics_twin as pt
from physics_twin.twin.journal import Journal
from tests.twin.journal.killable import ASSET, begin, stream
from tests.twin.plants import heater_block

ROOT = Path(__file__).parents[3]
LATEST, EARLIEST = 1.1, 0.15
"""Moments of kills, in lengths of a life. Later lives get longer: each stream comes to its end."""


def test_the_stream_has_all_that_can_go_wrong():
    """Late samples, laboratory results beyond the window, an operation, repetitions."""
    keys = [entry.key for call in stream() for entry in call]
    assert len(set(keys)) < len(keys), "some come twice"
    twin = begin()
    for call in stream():
        twin, _ = pt.assimilate(twin, call, budget=None)
    assert twin.counts.late > 5 and twin.counts.duplicates > 5 and len(twin.audit) == 1
    assert twin.counts.too_late > 0, "these need the journal"


class Nursery:
    """The process that forks lives. Its environment fixes the number of threads: sums round by it."""

    def __init__(self, folder):
        self.straight = folder / "straight.journal"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.twin.journal.killable", str(folder / "warm.journal"), str(self.straight)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
            cwd=ROOT,
        )
        self.digest, seconds = self._process.stdout.readline().split()
        self.seconds = float(seconds)

    def ask(self, command):
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self._process:  # closes its ends, and waits
            pass


def kill_often(folder, n_kills, seed):
    """Lives until so many of them were killed; each journal is followed to the end of its stream and checked."""
    rng, model = random.Random(seed), heater_block()
    killed = journals = 0
    with Nursery(folder) as nursery:
        with Journal(nursery.straight, read_only=True) as journal:
            keys, audit = [entry.key for entry in journal.entries(ASSET)], journal.audit(ASSET)
        assert keys == sorted({entry.key for call in stream() for entry in call}) and len(audit) == 1
        while killed < n_kills:
            path, file = folder / f"{journals}.journal", folder / f"{journals}.nc"
            journals += 1
            for life in range(10_000):
                child = nursery.ask(f"live {path} {file}")
                if killed < n_kills:
                    longest = min(LATEST, EARLIEST * (1 + life / 4))
                    time.sleep(rng.uniform(0.0, longest * nursery.seconds))
                    os.kill(child, signal.SIGKILL)  # until it is reaped its number belongs to nobody else
                ended = nursery.ask("reap")
                assert ended in (0, signal.SIGKILL)
                if file.exists():
                    pt.Twin.load(file, model)
                if not ended:
                    break
                killed += 1
            with Journal(path) as journal:
                twin = journal.resume(ASSET, model)
                assert [entry.key for entry in journal.entries(ASSET)] == keys
                assert journal.positions(ASSET) == {"source": len(stream())}
                assert journal.audit(ASSET) == audit == twin.audit
                assert twin.digest == nursery.digest
    return killed


def test_a_dozen_kills(tmp_path):
    """Twelve moments: the same bits at the end."""
    assert kill_often(tmp_path, 12, seed=1) == 12


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_two_hundred_kills(tmp_path, seed):
    """As above, twice a hundred moments."""
    assert kill_often(tmp_path, 100, seed) == 100
