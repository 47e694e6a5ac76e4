"""Every calibration method, one list: a new method enters with one row and has to pass everything here.

The problem is linear and Gaussian, so the posterior is known; what each method may deviate by is its Monte Carlo error
at the number of draws of its row.
"""

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation import Method

TIMES = np.linspace(0.0, 10.0, 40)
DESIGN = np.stack([np.ones_like(TIMES), TIMES], axis=1)
SD = 0.3
PRIOR = {"a": (2.5, 0.1), "b": (0.4, 0.02)}
TRUTH = 2.45, 0.41
"""Where the prior expects it: a conflict would show as correlated residuals, which widen the draws."""
N_DRAWS = 800


@dataclass(frozen=True)
class Row:
    """A method, and the error of its mode: exact, or that of an ensemble's mean in posterior standard deviations."""

    method: Method
    mode_error: float = 1e-3


ROWS = {
    "GaussNewton": Row(pt.GaussNewton(n_draws=N_DRAWS)),
    "QuasiNewton": Row(pt.QuasiNewton(n_draws=N_DRAWS)),
    "EnsembleSmoother": Row(pt.EnsembleSmoother(n_members=N_DRAWS), 4.0 / math.sqrt(N_DRAWS)),
    "MarkovChain": Row(pt.MarkovChain(n_draws=600, steps=300, warm_up=100)),
    "ProfileLikelihood": Row(pt.ProfileLikelihood(fit=pt.GaussNewton(n_draws=N_DRAWS))),
}
methods = pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))


@pytest.fixture
def model(line, closed_form) -> Any:
    """y = a + b t with normal priors, and adjoints for the method that asks for them."""

    class WithAdjoints(closed_form):  # type: ignore[misc]
        def pullback(self, times: Any, recipe: Any, values: Mapping[str, float], wrt: Sequence[str]) -> Any:
            outputs, jacobian, _ = self.sensitivity(times, recipe, values, wrt)
            return outputs, lambda weights: np.einsum("to,tok->k", weights, jacobian)

    plain = line()
    units = {"a": "K", "b": "K/s"}
    own = [pt.Parameter(n, (m, units[n]), prior=pt.Normal((m, units[n]), (s, units[n]))) for n, (m, s) in PRIOR.items()]
    return WithAdjoints(plain.formula, pt.ParameterSet(own), plain.outputs, name="line")


@pytest.fixture
def run(experiment) -> pt.Experiment:
    y = TRUTH[0] + TRUTH[1] * TIMES + SD * np.random.default_rng(3).standard_normal(TIMES.size)
    return experiment("run", TIMES, y, noise=(SD, "K"))


FITS: dict[str, pt.Posterior] = {}


def fitted(row: Row, model: Any, run: pt.Experiment) -> pt.Posterior:
    """The fit of a method to the run, made once for all tests that look at it."""
    name = type(row.method).__name__
    if name not in FITS:
        FITS[name] = pt.calibrate(model, run, unknown=["a", "b"], method=row.method, rng=1)
    return FITS[name]


def exact(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (2,) and covariance (2, 2) of the posterior."""
    mean, sd = np.array(list(PRIOR.values())).T
    precision = DESIGN.T @ DESIGN / SD**2 + np.diag(sd**-2)
    return np.linalg.solve(precision, DESIGN.T @ y / SD**2 + mean / sd**2), np.linalg.inv(precision)


class Backwards(Executor):
    """Computes nothing until the first result is asked for, and then the last job first."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Future, Any, tuple]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future:
        outer = self

        class Late(Future):
            def result(self, timeout: float | None = None) -> Any:
                while outer.jobs:
                    future, work, given = outer.jobs.pop()
                    try:
                        future.set_result(work(*given))
                    except Exception as error:  # noqa: BLE001 - a future keeps whatever its job raised
                        future.set_exception(error)
                return super().result(timeout)

        future = Late()
        self.jobs.append((future, fn, args))
        return future


@methods
def test_the_closed_form_posterior(row: Row, model, run) -> None:
    """Mode, mean and covariance of the draws are those of the normal equations, within Monte Carlo error."""
    posterior = fitted(row, model, run)
    mean, covariance = exact(run["y"].values)
    sd = np.sqrt(np.diag(covariance))
    assert posterior.converged, posterior.message
    assert posterior.names == ("a", "b") and posterior.draws.shape == (posterior.n_draws, 2)
    n = min(posterior.effective_draws, posterior.n_draws)
    assert n > 200
    mode = np.array([posterior.mode["a"], posterior.mode["b"]])
    assert np.abs((mode - mean) / sd).max() < row.mode_error
    drawn = posterior.draws.values
    assert np.abs((drawn.mean(axis=0) - mean) / sd).max() < 4.0 / math.sqrt(n)
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), (drawn - mean).T)
    np.testing.assert_allclose(np.cov(whitened), np.eye(2), atol=5.0 * math.sqrt(2.0 / n))


@methods
def test_same_inputs_same_bytes_whoever_computes(row: Row, model, run, tmp_path) -> None:
    """Called twice, with jobs done in reverse, or with a checkpoint: the same draws to the last bit. From a finished
    checkpoint nothing is simulated but evidence at the mode: what was simulated once is recalled.
    """
    first = fitted(row, model, run)
    folder = tmp_path / "run"
    for options in ({}, {"executor": Backwards()}, {"checkpoint": folder}, {"checkpoint": folder}):
        finished, before = folder.exists(), len(model.calls)
        again = pt.calibrate(model, run, unknown=["a", "b"], method=row.method, rng=1, **options)
        assert len(model.calls) - before <= 2 if finished else len(model.calls) - before > 3
        np.testing.assert_array_equal(again.draws.values, first.draws.values)
        assert (again.mode, again.message, again.warnings) == (first.mode, first.message, first.warnings)


@methods
def test_saved_and_loaded(row: Row, model, run, tmp_path) -> None:
    """A file gives back draws, diagnostics and effective draws."""
    posterior = fitted(row, model, run)
    posterior.save(tmp_path / "posterior.nc")
    loaded = pt.Posterior.load(tmp_path / "posterior.nc")
    np.testing.assert_array_equal(loaded.draws.values, posterior.draws.values)
    assert loaded.diagnostics.equals(posterior.diagnostics)
    assert loaded.effective_draws == posterior.effective_draws
    assert str(loaded) == str(posterior)
    assert os.path.getsize(tmp_path / "posterior.nc") < 5_000_000


@methods
def test_an_unknown_that_no_output_depends_on(row: Row, model, run, closed_form) -> None:
    """It keeps its prior and is said not to be identified."""
    idle = pt.Parameter("idle", "1 K", bounds=("-9 K", "11 K"), prior=pt.Normal("1 K", "2 K"))
    wider = type(model)(model.formula, model.parameters.with_([idle]), model.outputs, name="line")
    posterior = pt.calibrate(wider, run, unknown=["a", "b", "idle"], method=row.method, rng=1)
    assert not posterior.verdicts["idle"].identified
    n = min(posterior.effective_draws, posterior.n_draws)
    assert posterior["idle"].std() == pytest.approx(2.0, rel=5.0 / math.sqrt(2.0 * n))
    assert posterior["idle"].mean() == pytest.approx(1.0, abs=2.0 * 4.0 / math.sqrt(n))


@methods
def test_all_starts_failing(row: Row, model, run) -> None:
    """Where nothing can be simulated the error says why, in the words of the model."""
    broken = type(model)(model.formula, model.parameters, model.outputs, name="line", forbidden=lambda values: True)
    with pytest.raises(pt.CalibrationError, match="the pump cavitates"):
        pt.calibrate(broken, run, unknown=["a", "b"], method=row.method, rng=1)


@methods
def test_contradictory_experiments_are_said(row: Row, model, experiment) -> None:
    """Two runs ten standard deviations apart, one set of parameters: a warning names what contradicts."""
    noise = SD * np.random.default_rng(5).standard_normal((2, TIMES.size))
    runs = [
        experiment(f"run_{i}", TIMES, TRUTH[0] + shift + TRUTH[1] * TIMES + noise[i], noise=(SD, "K"))
        for i, shift in enumerate((-1.5, 1.5))
    ]
    posterior = pt.calibrate(model, runs, unknown=["a", "b"], method=row.method, rng=1)
    assert any("differ by more than noise" in w for w in posterior.warnings)


@methods
def test_bounds_hold(row: Row, model, run) -> None:
    """No draw leaves the bounds, also where they cut the posterior."""
    cut = pt.Parameter("b", "0.4 K/s", bounds=("0.395 K/s", "0.41 K/s"))
    posterior = pt.calibrate(model, run, unknown=["a", cut], method=row.method, rng=1)
    assert posterior["b"].min() >= 0.395 and posterior["b"].max() <= 0.41


@methods
def test_the_answer_does_not_depend_on_units(row: Row, model, run, closed_form) -> None:
    """Parameters declared in mK and K/h, data in mK: the same posterior within Monte Carlo error."""
    (ma, sa), (mb, sb) = PRIOR["a"], PRIOR["b"]
    own = [
        pt.Parameter("a", (1e3 * ma, "mK"), prior=pt.Normal((1e3 * ma, "mK"), (1e3 * sa, "mK"))),
        pt.Parameter("b", (3600 * mb, "K/h"), prior=pt.Normal((3600 * mb, "K/h"), (3600 * sb, "K/h"))),
    ]
    other = type(model)(model.formula, pt.ParameterSet(own), model.outputs, name="line")
    y = run["y"].values
    in_mk = pt.Experiment.from_arrays(
        "run", TIMES, {"y": 1e3 * y}, channels=[pt.Channel("y", unit="mK", noise=(1e3 * SD, "mK"))]
    )
    posterior = pt.calibrate(other, in_mk, unknown=["a", "b"], method=row.method, rng=1)
    mean, covariance = exact(y)
    sd, n = np.sqrt(np.diag(covariance)), min(posterior.effective_draws, posterior.n_draws)
    assert np.abs((posterior.draws.values.mean(axis=0) - mean) / sd).max() < 4.0 / math.sqrt(n)
    np.testing.assert_allclose(posterior.draws.values.std(axis=0), sd, rtol=5.0 / math.sqrt(2.0 * n))
