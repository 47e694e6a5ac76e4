"""A search that is killed anywhere and called again gives the bytes of one that was never stopped."""

import logging
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Limit
from physics_twin.envelope.margins.remembered import FEW_AT_ONCE, MEMBERS_AT_ONCE, piece_size
from physics_twin.errors import FileFormatError, StoppedError, UnknownNameError

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import resumable  # noqa: E402
from resumable import Slow, best, posterior, search  # noqa: E402

JOURNAL = "simulations.journal"


def processes(n: int) -> ProcessPoolExecutor:
    """Spawned, as the library's own: a fork of a process with threads, a test worker among them, can end both."""
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"))


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


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, processes])
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
    with processes(1) as workers:
        workers.submit(os.getpid).result()
        for process in list((workers._processes or {}).values()):
            process.kill()
        with pytest.raises(StoppedError, match=r"worker process died.*call again with the same checkpoint="):
            search(tmp_path / "checkpoint", executor=workers)


def test_models_that_simulate_one_at_a_time_work_in_small_pieces(analytic):
    """A kill loses a few runs of a slow model; a model of ensembles gets many at once."""
    assert piece_size(Slow()) == FEW_AT_ONCE
    assert piece_size(analytic.closed_form({"y": lambda t, v: t}, ["a"])) == MEMBERS_AT_ONCE


def cut_and_counted(monkeypatch, folder, compute):
    """What `compute` gives from half of its journal, and how many simulations that took."""
    journal = folder / JOURNAL
    content = journal.read_bytes()
    journal.write_bytes(content[: len(content) // 2])
    simulated: list[float] = []
    monkeypatch.setattr(resumable.time, "sleep", simulated.append)
    found = compute()
    assert journal.stat().st_size == len(content)
    return found, len(simulated)


@pytest.mark.parametrize("seed", [None, 7])
def test_a_set_point_goes_on_to_the_same_bytes(tmp_path, monkeypatch, seed):
    """With draws and for one batch: half of the journal saves at least a third of the simulations."""
    of = None if seed is None else posterior(seed)
    whole = best(None, of)
    best(tmp_path / "checkpoint", of)
    again, n = cut_and_counted(monkeypatch, tmp_path / "checkpoint", lambda: best(tmp_path / "checkpoint", of))
    assert 0 < n < 2 * whole.n_simulations / 3
    assert saved(again, tmp_path) == saved(whole, tmp_path)
    with pytest.raises(StoppedError, match=r"holds another set point, it differs in probability \(0\.9 there, 0\.8"):
        best(tmp_path / "checkpoint", of, probability=0.8)


def test_a_set_point_by_exact_slopes_goes_on_without_solving_again(tmp_path, monkeypatch):
    """The slopes of a model with equations are in the journal as well."""
    m = pt.ProcessBuilder("tank", version="1")
    rate = m.parameter("rate", "0.3 1/h", bounds=("0.01 1/h", "2 1/h"))
    a, b = m.state("a", "mol", initial="1 mol"), m.state("b", "mol", initial="0 mol")
    m.rate(a, -rate * a)
    m.rate(b, rate * a - 0.2 * rate * b)
    m.output("b", b)
    model, span = m.build(), pt.Setting("span", "h", bounds=(1, 20))
    recipe = pt.Recipe([pt.Phase("run", duration=span)])

    def ask(folder):
        return pt.find_set_point(
            model, recipe=recipe, settings=[span], objectives=pt.Maximize("b"), n_starts=2, checkpoint=folder
        )

    whole = ask(tmp_path / "checkpoint")
    solved: list[int] = []
    plain = type(model).sensitivity
    monkeypatch.setattr(type(model), "sensitivity", lambda *args: solved.append(1) or plain(*args))
    again = ask(tmp_path / "checkpoint")
    assert not solved
    assert ask(None).settings == again.settings == whole.settings
    assert solved
    # Where d b/d t = 0: exp(-k t) = 0.2 b exp(...) gives t = ln(5) / (0.8 k).
    assert whole["span"] == pytest.approx(3600.0 * np.log(5.0) / (0.8 * 0.3), rel=1e-7)


def test_a_certificate_computed_anew_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    """The same posterior and another one, with workers too; another posterior has a folder of its own."""
    envelope = search(None)
    for number, of in enumerate((posterior(), posterior(8))):
        whole, folder = envelope.recertify(Slow(), of), tmp_path / str(number)
        with ThreadPoolExecutor(2) as workers:
            envelope.recertify(Slow(), of, checkpoint=folder, executor=workers)
        again, n = cut_and_counted(
            monkeypatch, folder, lambda f=folder, p=of: envelope.recertify(Slow(), p, checkpoint=f)
        )
        assert 0 < n < whole.certificate.n_simulations
        assert str(again) == str(whole)
        assert again.certificate.violations.tobytes() == whole.certificate.violations.tobytes()
        assert again.certificate.lower_bounds.tobytes() == whole.certificate.lower_bounds.tobytes()
    with pytest.raises(StoppedError, match="holds another recertification, it differs in posterior"):
        envelope.recertify(Slow(), posterior(9), checkpoint=tmp_path / "1")


def test_a_name_that_is_wrong_leaves_no_folder_behind(tmp_path):
    """The right call may then use it."""
    with pytest.raises(UnknownNameError):
        best(tmp_path / "checkpoint", posterior(), limits=[Limit("z", upper=0.9)])
    assert not (tmp_path / "checkpoint").exists()
