"""A run that is killed anywhere, by anything, and called again gives the bytes of a run that was never stopped."""

import io
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from physics_twin.checkpoints import HEAD, LOCK, MAGIC, Checkpoint, Memo
from physics_twin.errors import CalibrationError, ExperimentFailed, FileFormatError, SolveError
from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.posterior import Posterior
from physics_twin.progress import EVERY, Progress

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from cooling_run import fit, model, run, same  # noqa: E402


@pytest.fixture(scope="module")
def uninterrupted() -> Posterior:
    return fit()


def journals(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.journal"))}


# Killed at any point -----------------------------------------------------------------------------------------------


def start_process(folder: Path, out: Path, seed: int, pause: float) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "COOLING_PAUSE": str(pause), "OMP_NUM_THREADS": "1"}
    environment.pop("COOLING_KILL", None)
    return subprocess.Popen(
        [sys.executable, str(HERE / "cooling_run.py"), str(folder), str(out), str(seed)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def until_recorded(folder: Path, n_bytes: int, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the journals hold that much."""
    for _ in range(3000):
        if process.poll() is not None or sum(map(len, journals(folder).values())) >= n_bytes:
            return
        time.sleep(0.01)
    raise AssertionError("nothing was recorded within 30 s")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_killed_again_and_again(seed: int, tmp_path: Path) -> None:
    """kill -9 after random amounts of work, three times; then the same call here ends with the same bytes."""
    folder = tmp_path / "checkpoint"
    rng = np.random.default_rng(seed)
    held = 0
    for _ in range(3):
        process = start_process(folder, tmp_path / "posterior.nc", seed, pause=2e-4)
        until_recorded(folder, held + int(rng.integers(1, 4000)), process)
        time.sleep(0.03 * rng.random())
        process.kill()
        _, errors = process.communicate()
        assert b"Error" not in errors, errors.decode()
        recorded = sum(map(len, journals(folder).values()))
        assert recorded >= held
        held = recorded
    assert held > 0
    assert same(fit(folder, rng=seed), fit(rng=seed))


def test_cut_anywhere(tmp_path: Path, uninterrupted: Posterior) -> None:
    """The journals of a finished run, cut at random bytes: every one is a moment at which a kill could have come."""
    whole = tmp_path / "whole"
    assert same(fit(whole), uninterrupted)
    rng = np.random.default_rng(0)
    for trial in range(6):
        folder = tmp_path / f"cut_{trial}"
        folder.mkdir()
        (folder / "calibration.json").write_bytes((whole / "calibration.json").read_bytes())
        for name, content in journals(whole).items():
            if rng.random() < 0.8:
                (folder / name).write_bytes(content[: int(rng.integers(len(content) + 1))])
        assert same(fit(folder), uninterrupted)
        assert journals(folder) == journals(whole)


def test_a_finished_run_asks_the_model_nothing(
    tmp_path: Path, uninterrupted: Posterior, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Called again, a run that ended is read from its journals."""
    fit(tmp_path / "checkpoint")
    before = journals(tmp_path / "checkpoint")
    monkeypatch.setenv("COOLING_KILL", "always")
    monkeypatch.setenv("COOLING_PARENT", "0")  # a single call of the model would end this process
    assert same(fit(tmp_path / "checkpoint"), uninterrupted)
    assert journals(tmp_path / "checkpoint") == before


def test_threads_share_a_folder(tmp_path: Path, uninterrupted: Posterior) -> None:
    """Jobs write journals of their own, so a checkpoint begun serially is ended by a pool."""
    fit(tmp_path / "checkpoint")
    for path in list((tmp_path / "checkpoint").glob("*.journal"))[::2]:
        path.unlink()
    with ThreadPoolExecutor(3) as pool:
        assert same(fit(tmp_path / "checkpoint", executor=pool), uninterrupted)


# The journal -------------------------------------------------------------------------------------------------------


def ask(memo: Memo, x: float) -> float:
    return float(memo.recall("square", (np.array(x),), lambda: {"y": np.array(x * x)})["y"])


def never() -> dict[str, np.ndarray]:
    raise AssertionError("computed again")


def test_a_torn_record_is_cut_off(tmp_path: Path) -> None:
    """Cut within the last record, whichever byte: the ones before it are kept, the last is computed again."""
    path = tmp_path / "a.journal"
    with Memo(path) as memo:
        ask(memo, 1.0)
        first = path.stat().st_size
        ask(memo, 2.0)
    content = path.read_bytes()
    for cut in (first + 1, first + HEAD.size - 1, first + HEAD.size, len(content) - 1):
        path.write_bytes(content[:cut])
        with Memo(path) as memo:
            assert len(memo) == 1
            assert path.stat().st_size == first
            assert ask(memo, 2.0) == 4.0
        assert path.read_bytes() == content


def test_a_record_that_rotted_is_computed_again(tmp_path: Path) -> None:
    """A flipped bit fails the checksum."""
    path = tmp_path / "a.journal"
    with Memo(path) as memo:
        ask(memo, 1.0)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with Memo(path) as memo:
        assert len(memo) == 0
        assert ask(memo, 1.0) == 1.0


@pytest.mark.parametrize("n", range(len(MAGIC)))
def test_a_torn_beginning(n: int, tmp_path: Path) -> None:
    """Killed while the very first bytes were written."""
    path = tmp_path / "a.journal"
    path.write_bytes(MAGIC[:n])
    with Memo(path) as memo:
        assert ask(memo, 3.0) == 9.0
    with Memo(path) as memo:
        assert len(memo) == 1


def test_something_else_is_no_journal(tmp_path: Path) -> None:
    """And stays as it is."""
    path = tmp_path / "a.journal"
    path.write_bytes(b"a letter to a friend")
    with pytest.raises(FileFormatError, match="is no journal"):
        ask(Memo(path), 1.0)
    assert path.read_bytes() == b"a letter to a friend"


def test_failures_are_remembered(tmp_path: Path) -> None:
    """A simulation that failed is not tried again, and its error is the same."""

    def fails() -> dict[str, np.ndarray]:
        error = ExperimentFailed("the pump cavitates", time=3.5, values={"k": 2.0})
        error.experiment = "morning"
        raise error

    at = (np.array([1.0]),)
    with Memo(tmp_path / "a.journal") as memo, pytest.raises(ExperimentFailed):
        memo.recall("run", at, fails)
    with Memo(tmp_path / "a.journal") as memo, pytest.raises(ExperimentFailed) as caught:
        memo.recall("run", at, never)
    assert (caught.value.reason, caught.value.time, caught.value.experiment) == ("the pump cavitates", 3.5, "morning")
    assert caught.value.values == {"k": 2.0}
    assert isinstance(caught.value, SolveError)


def test_numbers_come_back_to_the_bit(tmp_path: Path) -> None:
    """NaN, infinities, negative zero, empty and integer arrays; keyed by every bit of the question."""
    given = {"a": np.array([np.nan, np.inf, -0.0, 5e-324]), "b": np.empty((0, 3)), "n": np.arange(4)}
    x = np.array([0.1 + 0.2])
    with Memo(tmp_path / "a.journal") as memo:
        memo.recall("run", (x,), lambda: given)
    with Memo(tmp_path / "a.journal") as memo:
        found = memo.recall("run", (x,), never)
        for name, array in given.items():
            assert found[name].tobytes() == array.tobytes()
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        with pytest.raises(AssertionError, match="again"):
            memo.recall("run", (np.array([0.3]),), never)
        with pytest.raises(AssertionError, match="again"):
            memo.recall("other", (x,), never)


# Other runs and other processes ------------------------------------------------------------------------------------


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    """What differs is named: seed, method, unknowns, data, model, versions."""
    folder = tmp_path / "checkpoint"
    fit(folder)
    kept = journals(folder)
    with pytest.raises(CalibrationError, match=r"differs in seed \(3 there, 4 here\)"):
        fit(folder, rng=4)
    with pytest.raises(CalibrationError, match=r"differs in .*unknown"):
        fit(folder, unknown=["rate"])
    with pytest.raises(CalibrationError, match="differs in method"):
        calibrate(model(), run(), unknown=["rate", "initial.T"], method=GaussNewton(), rng=3, checkpoint=folder)
    with pytest.raises(CalibrationError, match=r"differs in .*experiments"):
        calibrate(model(), run().first(6), unknown=["rate", "initial.T"], rng=3, checkpoint=folder)
    assert journals(folder) == kept


@pytest.mark.parametrize("what", ["numpy", "physics-twin", "fingerprint"])
def test_other_code_is_refused(what: str, tmp_path: Path) -> None:
    """Another version of the library, of what it computes with, or of the model: its numbers may be other ones."""
    folder = tmp_path / "checkpoint"
    fit(folder)
    record = folder / "calibration.json"
    text = record.read_text(encoding="utf8")
    begin = text.index(f'"{what}": "') + len(what) + 5
    record.write_text(text[:begin] + "?" + text[begin + 1 :] + " ", encoding="utf8")
    with pytest.raises(CalibrationError, match=f"differs in {what}"):
        fit(folder)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """Nothing is written beside what a person keeps there; a damaged record is said."""
    (tmp_path / "thesis.txt").write_text("chapter one")
    with pytest.raises(FileFormatError, match="not empty"):
        fit(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "calibration.json").write_text("{")
    with pytest.raises(FileFormatError, match="damaged"):
        fit(tmp_path)


def test_two_calibrations_at_once(tmp_path: Path) -> None:
    """The second one is told so at once, and the first one goes on undisturbed."""
    folder = tmp_path / "checkpoint"
    first = start_process(folder, tmp_path / "posterior.nc", 3, pause=1e-3)
    until_recorded(folder, 100, first)
    assert first.poll() is None
    with pytest.raises(CalibrationError, match="in use by another calibration"):
        fit(folder)
    first.kill()
    first.communicate()
    assert same(fit(folder), fit())  # the lock of a killed process is no lock


def test_a_worker_that_outlives_its_run_keeps_its_journal(tmp_path: Path) -> None:
    """A journal that somebody writes is not read or cut by somebody else."""
    with Memo(tmp_path / "a.journal") as busy:
        ask(busy, 1.0)
        with pytest.raises(CalibrationError, match="written by another process"):
            ask(Memo(tmp_path / "a.journal"), 2.0)
        ask(busy, 2.0)
    assert len(Memo(tmp_path / "a.journal")) == 2


def test_an_error_frees_the_folder(tmp_path: Path) -> None:
    """Also while somebody still looks at the error."""
    checkpoint = Checkpoint(tmp_path / "c")
    with pytest.raises(CalibrationError) as caught, checkpoint.open({"seed": "1"}):
        raise CalibrationError("no start could be simulated")
    with checkpoint.open({"seed": "1"}):
        assert caught.value is not None
    assert {p.name for p in (tmp_path / "c").iterdir()} == {"calibration.json", LOCK}


# Disks -------------------------------------------------------------------------------------------------------------


def test_a_full_disk_loses_nothing(tmp_path: Path, uninterrupted: Posterior) -> None:
    """The error says what to do; what was recorded is whole, and with room again the run ends as it would have."""
    folder = tmp_path / "checkpoint"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow beyond this: a write is cut short, then refused, as on a disk that fills up.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(CalibrationError, match=r"cannot be written: .*\. What it holds already is kept: make room"):
            fit(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = journals(folder)
    assert max(map(len, kept.values())) > len(MAGIC) + HEAD.size
    assert same(fit(folder), uninterrupted)
    for name, content in journals(folder).items():
        assert content.startswith(kept.get(name, b""))  # not one byte was lost, none half written


def test_a_record_without_room_leaves_nothing_behind(tmp_path: Path) -> None:
    """The part of it that was written is cut off at once, and with room again the same journal goes on."""
    path = tmp_path / "a.journal"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Memo(path) as memo:
        ask(memo, 1.0)
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, hard))
        try:
            with pytest.raises(CalibrationError, match="cannot be written"):
                ask(memo, 2.0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.stat().st_size == size
        ask(memo, 3.0)
    with Memo(path) as memo:
        assert len(memo) == 2


def test_no_room_at_all_and_no_permission(tmp_path: Path) -> None:
    """A folder that cannot be made, and one that is read-only."""
    (tmp_path / "file").write_text("")
    with pytest.raises(CalibrationError, match="cannot be written"):
        fit(tmp_path / "file" / "checkpoint")
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # nobody: what root may do says nothing
    try:
        with pytest.raises(CalibrationError, match="cannot be written: Permission denied"):
            fit(closed / "checkpoint")
    finally:
        if root:
            os.seteuid(0)


# Progress ----------------------------------------------------------------------------------------------------------


def test_silence_unless_asked(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """progress=False prints nothing, anywhere."""
    fit(tmp_path / "checkpoint", progress=False)
    assert capfd.readouterr() == ("", "")


def test_lines_where_there_is_no_terminal() -> None:
    """At most one every half minute, with the time left; the last one says how long it took."""
    from rich.console import Console

    now = 0.0
    shown = io.StringIO()
    bar = Progress(True, Console(file=shown, width=200), lambda: now)
    with bar.of("starts", 100) as step:
        for _ in range(100):
            now += 0.1 * EVERY
            step()
    lines = shown.getvalue().splitlines()
    assert len(lines) <= 11
    assert lines[0] == "calibrate: starts: 10 of 100, about 4.5 min left"
    assert lines[-1] == "calibrate: starts: 100 of 100, done in 5.0 min"


def test_short_work_says_nothing() -> None:
    """What is over before a line is due needs none."""
    from rich.console import Console

    shown = io.StringIO()
    with Progress(True, Console(file=shown), lambda: 0.0).of("starts", 3) as step:
        for _ in range(3):
            step()
    assert shown.getvalue() == ""


def test_a_bar_in_a_terminal() -> None:
    """How many of how many, and the time left."""
    from rich.console import Console

    shown = io.StringIO()
    with Progress(True, Console(file=shown, force_terminal=True, width=100)).of("starts", 2) as step:
        step()
        step()
    assert "calibrate: starts" in shown.getvalue()
    assert "2/2" in shown.getvalue()
