"""Starts run in parallel give the numbers of a serial run, whoever computes them and in whatever order they finish."""

import multiprocessing
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from physics_twin.errors import CalibrationError
from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.measurements import Channel, EstimatedNoise, Experiment
from physics_twin.process import ProcessBuilder, ProcessModel

METHOD = GaussNewton(starts=4, n_draws=50)


@pytest.fixture(scope="module")
def model() -> ProcessModel:
    m = ProcessBuilder("cooling", version="1")
    rate = m.parameter("rate", "0.1 1/s", bounds=("1e-4 1/s", "10 1/s"))
    T = m.state("T", "K", initial="300 K", scale="10 K")
    m.rate(T, -rate * (T - m.constant("280 K")))
    m.output("T", T)
    return m.build()


@pytest.fixture(scope="module")
def run() -> Experiment:
    t = np.linspace(1.0, 20.0, 15)
    y = 280.0 + 20.0 * np.exp(-0.3 * t) + 0.1 * np.random.default_rng(0).standard_normal(t.size)
    return Experiment.from_arrays("run", t, {"T": y}, channels=[Channel("T", unit="K", noise=EstimatedNoise("1 K"))])


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


def test_any_order_of_completion(model: ProcessModel, run: Experiment) -> None:
    """The same bits as without an executor."""
    unknown = ["rate", "initial.T"]
    serial = calibrate(model, run, unknown=unknown, method=METHOD, rng=3)
    for executor in (Backwards(), ThreadPoolExecutor(2)):
        other = calibrate(model, run, unknown=unknown, method=METHOD, rng=3, executor=executor)
        np.testing.assert_array_equal(other.draws.values, serial.draws.values)
        assert (other.mode, other.message, other.failures) == (serial.mode, serial.message, serial.failures)


def test_spawned_processes(model: ProcessModel, run: Experiment) -> None:
    """Models and experiments travel to spawned workers, and the same bits come back."""
    serial = calibrate(model, run, unknown=["rate"], method=METHOD, rng=3)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        other = calibrate(model, run, unknown=["rate"], method=METHOD, rng=3, executor=pool)
    np.testing.assert_array_equal(other.draws.values, serial.draws.values)
    assert other.message == serial.message


def test_a_killed_worker_is_an_error_that_says_so(model: ProcessModel, run: Experiment) -> None:
    """Not a hang, not a posterior from half of the starts."""

    class Dead(Executor):
        def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
            from concurrent.futures.process import BrokenProcessPool

            future: Future = Future()
            future.set_exception(BrokenProcessPool("a child was killed"))
            return future

    with pytest.raises(CalibrationError, match="a worker process died"):
        calibrate(model, run, unknown=["rate"], method=METHOD, rng=3, executor=Dead())
