"""A search that is killed anywhere and called again gives the bytes of one that was never stopped."""

import logging
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from physics_twin.envelope import Limit
from physics_twin.envelope.margins.remembered import FEW_AT_ONCE, MEMBERS_AT_ONCE, piece_size
from physics_twin.errors import FileFormatError, StoppedError

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import resumable  # noqa: E402
from resumable import Slow, search  # noqa: E402

JOURNAL = "simulations.journal"


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The bytes of the file of a search that nobody stopped."""
    return saved(search(None), tmp_path_factory.mktemp("whole"))


def saved(envelope, folder):
    envelope.save(folder / "envelope.nc")
    return (folder / "envelope.nc").read_bytes()


def test_a_killed_search_goes_on_to_the_same_bytes(tmp_path, uninterrupted):
    """SIGKILL after random amounts of work, twice; then the same call here."""
    folder, rng, held = tmp_path / "checkpoint", np.random.default_rng(1), 0
    environment = {**os.environ, "PAUSE": "0.0002", "OMP_NUM_THREADS": "1"}
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, str(HERE / "resumable.py"), str(folder), str(tmp_path / "out.nc")],
            env=environment,
            stderr=subprocess.PIPE,
        )
        enough = held + int(rng.integers(1, 12000))
        for _ in range(3000):
            path = folder / JOURNAL
            if process.poll() is not None or (path.exists() and path.stat().st_size >= enough):
                break
            time.sleep(0.005)
        process.kill()
        _, errors = process.communicate()
        assert b"Error" not in errors, errors.decode()
        assert (folder / JOURNAL).stat().st_size >= held
        held = (folder / JOURNAL).stat().st_size
    assert held > 0
    assert saved(search(folder), tmp_path) == uninterrupted


def test_a_journal_cut_at_any_byte_is_gone_on_with(tmp_path, uninterrupted):
    """Every length of the journal is a moment at which a kill could have come."""
    assert saved(search(tmp_path / "whole"), tmp_path) == uninterrupted
    content, rng = (tmp_path / "whole" / JOURNAL).read_bytes(), np.random.default_rng(0)
    for cut in rng.integers(0, len(content), 4):
        (tmp_path / "whole" / JOURNAL).write_bytes(content[:cut])
        assert saved(search(tmp_path / "whole"), tmp_path) == uninterrupted
        assert (tmp_path / "whole" / JOURNAL).read_bytes() == content


def test_a_finished_search_simulates_nothing(tmp_path, uninterrupted, monkeypatch, caplog):
    """Margins are read from the journal, failures with their reasons too, and the progress says how much."""
    search(tmp_path / "checkpoint")
    simulated: list[float] = []
    monkeypatch.setattr(resumable.time, "sleep", simulated.append)
    with caplog.at_level(logging.INFO, logger="physics_twin.envelope.search"):
        again = search(tmp_path / "checkpoint")
    assert len(simulated) <= 10  # the courses behind the warnings are looked at anew
    assert again.failures[0].reason == "the pump runs dry"
    assert saved(again, tmp_path) == uninterrupted
    assert any("pieces of work replayed from the checkpoint" in record.message for record in caplog.records)


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_workers_read_and_write_the_same_journal(tmp_path, uninterrupted, pool):
    """Begun in this process and cut, ended by workers: the same bytes."""
    search(tmp_path / "checkpoint")
    journal = tmp_path / "checkpoint" / JOURNAL
    journal.write_bytes(journal.read_bytes()[:20000])
    with pool(2) as workers:
        assert saved(search(tmp_path / "checkpoint", executor=workers), tmp_path) == uninterrupted


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"rng": 4}, r"seed \(3 there, 4 here\)"),
        ({"limits": [Limit("y", upper=0.8)]}, "limits"),
        ({"probability": 0.85}, r"probability \(0\.9 there, 0\.85 here\)"),
        ({"fingerprint": "slow-2"}, r"fingerprint \(slow-1 there, slow-2 here\)"),
        ({"tolerance": {"s": 0.01}}, "tolerance"),
    ],
)
def test_the_folder_of_another_question_is_refused(tmp_path, changes, what):
    """Answers of another search are no answers; the message says in what it differs."""
    search(tmp_path / "checkpoint")
    before = (tmp_path / "checkpoint" / JOURNAL).read_bytes()
    with pytest.raises(StoppedError, match=f"holds another envelope, it differs in {what}.*; give another folder"):
        search(tmp_path / "checkpoint", **changes)
    assert (tmp_path / "checkpoint" / JOURNAL).read_bytes() == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    """Nothing is written into a folder of somebody else."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileFormatError, match="holds no envelope"):
        search(tmp_path)
    assert [p.name for p in tmp_path.iterdir() if p.name != "lock"] == ["notes.txt"]


def test_a_worker_that_dies_says_what_is_kept(tmp_path):
    """The message gives the way on."""
    with ProcessPoolExecutor(1) as workers:
        workers.submit(os.getpid).result()
        for process in list((workers._processes or {}).values()):
            process.kill()
        with pytest.raises(StoppedError, match=r"worker process died.*call again with the same checkpoint="):
            search(tmp_path / "checkpoint", executor=workers)


def test_models_that_simulate_one_at_a_time_work_in_small_pieces(analytic):
    """A kill loses a few runs of a slow model; a model of ensembles gets many at once."""
    assert piece_size(Slow()) == FEW_AT_ONCE
    assert piece_size(analytic.closed_form({"y": lambda t, v: t}, ["a"])) == MEMBERS_AT_ONCE
