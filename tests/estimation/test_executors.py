"""Starts run in parallel give the numbers of a serial run, whoever computes them and in whatever order they finish."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from physics_twin.checkpoints import Checkpoint, Memo
from physics_twin.errors import CalibrationError, SolveError
from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.estimation.work import Work
from physics_twin.posterior import Posterior
from physics_twin.process import ProcessBuilder, ProcessModel

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # workers import the model from there, as they would from a module of a person

from cooling_run import METHOD, fit, model, run, same  # noqa: E402


def spawned(n: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What worker processes need to import the model."""
    monkeypatch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("COOLING_PARENT", str(os.getpid()))


@pytest.fixture(scope="module")
def serial() -> Posterior:
    return fit()


class Backwards(Executor):
    """Computes the last job first; what an unlucky pool would do."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Future, object, tuple]] = []

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        future: Future = Future()
        self.jobs.append((future, fn, args))
        if len(self.jobs) == METHOD.starts:
            for later, work, given in reversed(self.jobs):
                later.set_result(work(*given))  # type: ignore[operator]
        return future


def test_any_order_of_completion(serial: Posterior) -> None:
    """The same bits as without an executor."""
    with ThreadPoolExecutor(2) as threads:
        for executor in (Backwards(), threads):
            assert same(fit(executor=executor), serial)


def test_spawned_processes(serial: Posterior) -> None:
    """Models and experiments travel to spawned workers, and the same bits come back."""
    with spawned(2) as pool:
        assert same(fit(executor=pool), serial)


def test_compiled_models_travel() -> None:
    """A model of symbolic equations is compiled anew in the worker, and gives the same bits."""
    m = ProcessBuilder("cooling", version="1")
    rate = m.parameter("rate", "0.1 1/s", bounds=("1e-4 1/s", "10 1/s"))
    T = m.state("T", "K", initial="300 K", scale="10 K")
    m.rate(T, -rate * (T - m.constant("280 K")))
    m.output("T", T)
    compiled: ProcessModel = m.build()
    here = calibrate(compiled, run(), unknown=["rate"], method=METHOD, rng=3)
    with spawned(1) as pool:
        there = calibrate(compiled, run(), unknown=["rate"], method=METHOD, rng=3, executor=pool)
    assert same(here, there)


def mpiexec() -> str | None:
    own = Path(sys.executable).with_name("mpiexec")
    return str(own) if own.exists() else shutil.which("mpiexec")


@pytest.mark.slow
def test_mpi_pool(serial: Posterior, tmp_path: Path) -> None:
    """`mpi4py.futures.MPIPoolExecutor`: the same bits, saved by the rank that asked."""
    pytest.importorskip("mpi4py")
    launcher = mpiexec()
    if launcher is None:
        pytest.skip("there is no mpiexec")
    out = tmp_path / "posterior.nc"
    command = [launcher, "-n", "2", sys.executable, "-m", "mpi4py.futures", str(HERE / "on_mpi_pool.py"), str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert same(Posterior.load(out), serial)


@pytest.fixture
def dask_pool(request: pytest.FixtureRequest) -> Iterator[Executor]:
    distributed = pytest.importorskip("distributed")
    import dask

    # A worker that is killed is started anew; a job may cost one worker before Dask gives it up.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0, "distributed.admin.log-format": "%(message)s"}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
        client.get_executor() as pool,
    ):
        yield pool


def test_dask(serial: Posterior, dask_pool: Executor) -> None:
    """`Client.get_executor()`: the same bits."""
    assert same(fit(executor=dask_pool), serial)


# A worker that dies ----------------------------------------------------------------------------------------------


def test_a_killed_worker_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a hang, not a posterior from half of the starts; and what would have helped."""
    monkeypatch.setenv("COOLING_KILL", "always")
    with spawned(2) as pool, pytest.raises(CalibrationError, match=r"a worker process died.*with checkpoint="):
        fit(executor=pool)


@pytest.mark.slow
def test_after_a_killed_worker_the_same_call_ends_the_work(
    serial: Posterior, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a checkpoint the second call gives the bits of a run in which nothing happened."""
    monkeypatch.setenv("COOLING_KILL", str(tmp_path / "killed"))
    folder = tmp_path / "checkpoint"
    with spawned(2) as pool, pytest.raises(CalibrationError, match="again with the same checkpoint="):
        fit(folder, executor=pool)
    with spawned(2) as pool:
        assert same(fit(folder, executor=pool), serial)


def test_a_killed_worker_of_dask(
    serial: Posterior, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Dask says it in another way; the person sees the same, and goes on the same way with the same cluster."""
    monkeypatch.setenv("COOLING_KILL", str(tmp_path / "killed"))
    pool = request.getfixturevalue("dask_pool")
    folder = tmp_path / "checkpoint"
    with pytest.raises(CalibrationError, match=r"a worker process died.*again with the same checkpoint="):
        fit(folder, executor=pool)
    assert same(fit(folder, executor=pool), serial)


# The contract of Work ----------------------------------------------------------------------------------------------


def double(x: float, memo: Memo) -> float:
    return float(memo.recall("double", (np.array(x),), lambda: {"y": np.array(2.0 * x)})["y"])


def cavitate(x: float, memo: Memo) -> float:
    raise SolveError("the pump cavitates", time=x)


def test_results_come_in_the_order_of_the_jobs() -> None:
    """Whoever computes them."""
    jobs = [(float(i),) for i in range(20)]
    with ThreadPoolExecutor(4) as pool:
        assert (
            Work(pool).run("numbers", double, jobs) == Work().run("numbers", double, jobs) == [2.0 * i for (i,) in jobs]
        )


def test_an_error_of_a_job_is_the_error_of_the_run(tmp_path: Path) -> None:
    """It arrives as it was raised, and every journal is free again."""
    work = Work(checkpoint=Checkpoint(tmp_path))
    with ThreadPoolExecutor(2) as pool, pytest.raises(SolveError, match="cavitates"):
        Work(pool, checkpoint=work.checkpoint).run("numbers", cavitate, [(1.0,), (2.0,)])
    assert work.run("numbers", double, [(1.0,), (2.0,)]) == [2.0, 4.0]


def test_methods_do_not_see_the_executor() -> None:
    """One start runs here, whatever the executor: there is nothing to share out."""

    class Refuses(Executor):
        def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
            raise AssertionError("not asked for")

    alone = GaussNewton(starts=1, n_draws=5)
    assert calibrate(model(), run(), unknown=["rate"], method=alone, executor=Refuses()).converged
