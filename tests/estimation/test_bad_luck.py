"""Bad input and bad luck, with every method: a clear error, or a verdict and a warning that an engineer understands."""

import time
import warnings
from typing import Any

import numpy as np
import pytest

import physics_twin as pt

TIMES = np.linspace(0.0, 10.0, 21)
NOISE = 0.3
Y = 2.4 + 0.4 * TIMES + NOISE * np.random.default_rng(0).standard_normal(TIMES.size)
NEVER = np.full(TIMES.size, np.nan)
METHODS = {
    "GaussNewton": pt.GaussNewton(n_draws=200),
    "QuasiNewton": pt.QuasiNewton(n_draws=200),
    "EnsembleSmoother": pt.EnsembleSmoother(n_members=60),
    "MarkovChain": pt.MarkovChain(n_draws=200, steps=100, warm_up=60, n_chains=2),
    "ProfileLikelihood": pt.ProfileLikelihood(fit=pt.GaussNewton(n_draws=200)),
}
methods = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
quick = pytest.mark.parametrize(
    "method",
    [m for name, m in METHODS.items() if name != "MarkovChain"],
    ids=[n for n in METHODS if n != "MarkovChain"],
)
"""Without the chains, where they wander for long in a posterior as wide as the bounds."""


@pytest.fixture
def model(closed_form) -> Any:
    """Make a model with adjoints: a formula over times, unknowns between wide bounds, one output."""

    class WithAdjoints(closed_form):  # type: ignore[misc]
        def pullback(self, times: Any, recipe: Any, values: Any, wrt: Any) -> Any:
            outputs, jacobian, _ = self.sensitivity(times, recipe, values, wrt)
            return outputs, lambda weights: np.einsum("to,tok->k", weights, jacobian)

    def make(formula: Any = None, parameters: Any = None, unit: str = "K", **changes: Any) -> Any:
        own = parameters or [
            pt.Parameter("a", "1 K", bounds=("-50 K", "50 K")),
            pt.Parameter("b", "0.1 K/s", bounds=("-5 K/s", "5 K/s")),
        ]
        shown = formula or (lambda t, v: v["a"] + v["b"] * t)
        return WithAdjoints(
            lambda t, v: shown(t, v)[:, None], pt.ParameterSet(own), (pt.Signal("y", unit),), name="line", **changes
        )

    return make


@pytest.fixture
def run(experiment) -> Any:
    """Make an experiment of the line."""

    def make(y: Any = Y, times: Any = TIMES, name: str = "run", noise: Any = (NOISE, "K"), **channel: Any) -> Any:
        return experiment(name, times, y, noise=noise, **channel)

    return make


# Data -----------------------------------------------------------------------------------------------------------------


@methods
def test_an_experiment_without_a_usable_sample_is_named(method: Any, model, run) -> None:
    """One record of two holds nothing: missing, or left out by hand. The error names the record and what to do."""
    out = pt.Exclusion("0 s", "100 s", "sensor was in the drawer", by="A. Operator")
    left_out = pt.Experiment.from_arrays(
        "drawer", TIMES, {"y": Y}, channels=[pt.Channel("y", unit="K", noise="1 K")], exclude=[out]
    )
    for dead in (run(NEVER, name="drawer"), left_out):
        with pytest.raises(pt.DataError, match=r'"drawer" has no usable sample.*leave it out'):
            pt.calibrate(model(), [run(), dead], unknown=["a", "b"], method=method)


@quick
def test_limits_alone_determine_nothing(method: Any, model, run) -> None:
    """All samples are below detection: said in a warning, and no unknown counts as identified."""
    data = pt.Experiment.from_arrays(
        "run",
        TIMES,
        {"y": np.full(TIMES.size, 10.0)},
        channels=[pt.Channel("y", unit="K", noise="0.3 K")],
        censored={"y": np.full(TIMES.size, -1)},
    )
    if isinstance(method, pt.EnsembleSmoother):
        with pytest.raises(pt.CalibrationError, match="measured values only; use GaussNewton or MarkovChain"):
            pt.calibrate(model(), data, unknown=["a", "b"], method=method)
        return
    posterior = pt.calibrate(model(), data, unknown=["a", "b"], method=method)
    assert any("all are censored" in w for w in posterior.warnings)
    assert not any(v.identified for v in posterior.verdicts.values())
    if not isinstance(method, pt.ProfileLikelihood):
        # The last sample is below 10 K to within a few noises of 0.3 K; a reaches down to its bound.
        assert (posterior["a"] + 10.0 * posterior["b"]).max() < 11.5
        assert posterior["a"].max() < 11.5
        assert posterior["a"].min() < -45.0
        assert any("MarkovChain" in w for w in posterior.warnings)


@quick
def test_one_sample_for_three_unknowns(method: Any, model, run) -> None:
    """The sample is met, no unknown counts as identified, and intervals are those of the bounds."""
    own = [pt.Parameter(n, "1 K", bounds=("-50 K", "50 K")) for n in "abc"]
    three = model(lambda t, v: v["a"] + v["b"] + v["c"] + 0.0 * t, own)
    posterior = pt.calibrate(three, run(Y[:1], TIMES[:1]), unknown=list("abc"), method=method, rng=1)
    for name in "abc":
        assert not posterior.verdicts[name].identified, str(posterior.verdicts[name])
        assert posterior[name].std() > 10.0
    rest = abs(posterior.residuals["residual"].values[0])
    assert rest < 3.0 * NOISE


@methods
def test_data_in_another_unit_are_suspected(method: Any, model, run) -> None:
    """Millikelvin declared as kelvin: unknowns are at their bounds, and a warning doubts the unit of the channel."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        posterior = pt.calibrate(model(), run(1e3 * Y), unknown=["a", "b"], method=method, rng=1)
    assert posterior.verdicts["a"].identification is pt.Identification.AT_BOUND
    assert any("a is at its upper bound 50 K" in w for w in posterior.warnings)
    assert any("y (run)" in w and "the numbers are not in K" in w for w in posterior.warnings)


@quick
def test_a_record_that_was_read_twice_is_found(method: Any, model, run) -> None:
    """Under one name it is an error, under two names a warning: it counts twice. Other records are no copies."""
    with pytest.raises(pt.DataError, match='two experiments are called "run"'):
        pt.calibrate(model(), [run(), run()], unknown=["a", "b"], method=method)
    said = 'experiments "run" and "copy" hold the same samples of y'
    posterior = pt.calibrate(model(), [run(), run(name="copy")], unknown=["a", "b"], method=method)
    assert any(said in w for w in posterior.warnings)
    other = pt.calibrate(model(), [run(), run(Y + 1e-3, name="copy")], unknown=["a", "b"], method=method)
    assert not any("same samples" in w for w in other.warnings)


def test_noise_of_zero_is_refused() -> None:
    """No sensor is exact; the message says what a standard deviation is."""
    with pytest.raises(pt.BoundsError, match="noise of y is 0 K; a standard deviation is above 0"):
        pt.Channel("y", unit="K", noise="0 K")


@quick
@pytest.mark.parametrize("y", [np.full(TIMES.size, 3.0), 2.0 + 0.3 * TIMES], ids=["constant", "line"])
def test_data_that_are_met_exactly_leave_no_noise(method: Any, y: Any, model, run) -> None:
    """The level falls to next to nothing, finite, and a warning says how far it is from what was expected."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        posterior = pt.calibrate(
            model(), run(y, noise=pt.EstimatedNoise("0.3 K")), unknown=["a", "b"], method=method, rng=1
        )
    slope = (y[-1] - y[0]) / 10.0
    assert posterior.mode["b"] == pytest.approx(slope, abs=1e-6)
    assert 0.0 < posterior.mode["noise.y"] < 1e-6
    assert np.isfinite(posterior.draws.values).all()


@pytest.mark.parametrize("method", ["GaussNewton", "QuasiNewton", "ProfileLikelihood"])
def test_a_long_record_is_no_trouble(method: str, model, run) -> None:
    """100,000 samples: errors shrink with the root of their number, in the time of a few hundred evaluations."""
    n = 100_000
    t = np.linspace(0.0, 10.0, n)
    y = 2.4 + 0.4 * t + NOISE * np.random.default_rng(0).standard_normal(n)
    began = time.process_time()
    posterior = pt.calibrate(model(), run(y, t), unknown=["a", "b"], method=METHODS[method], rng=1)
    assert time.process_time() - began < 20.0
    assert posterior.standard_errors["a"] == pytest.approx(NOISE * 2.0 / np.sqrt(n), rel=1e-3)
    assert posterior.mode["a"] == pytest.approx(2.4, abs=4.0 * posterior.standard_errors["a"])


@methods
@pytest.mark.parametrize("size", [2.0**40, 2.0**-50], ids=["1e12 Pa", "1e-15 Pa"])
def test_huge_and_tiny_numbers(method: Any, size: float, model) -> None:
    """A power of two as unit of everything changes no digit of the answer but rounding."""

    def fit(s: float) -> pt.Posterior:
        own = [
            pt.Parameter("a", (s, "Pa"), bounds=((0.0, "Pa"), (5.0 * s, "Pa"))),
            pt.Parameter("b", (0.1 * s, "Pa/s"), bounds=((0.0, "Pa/s"), (s, "Pa/s"))),
        ]
        data = pt.Experiment.from_arrays(
            "run", TIMES, {"y": Y * s}, channels=[pt.Channel("y", unit="Pa", noise=(NOISE * s, "Pa"))]
        )
        return pt.calibrate(model(parameters=own, unit="Pa"), data, unknown=["a", "b"], method=method, rng=1)

    one, scaled = fit(1.0), fit(size)
    np.testing.assert_allclose(scaled.covariance.values / size**2, one.covariance.values, rtol=1e-5)
    np.testing.assert_allclose(scaled.draws.values.mean(axis=0) / size, one.draws.values.mean(axis=0), rtol=1e-5)
    assert {n: v.identification for n, v in scaled.verdicts.items()} == {
        n: v.identification for n, v in one.verdicts.items()
    }


# Models ---------------------------------------------------------------------------------------------------------------


@methods
def test_a_model_that_returns_no_number(method: Any, model, run) -> None:
    """NaN everywhere: an error that says so, whatever the method."""
    broken = model(lambda t, v: v["a"] + v["b"] * t + np.nan)
    with pytest.raises(pt.CalibrationError, match="the model returned a number that is not finite"):
        pt.calibrate(broken, run(), unknown=["a", "b"], method=method, rng=1)


@quick
def test_numbers_that_are_not_finite_in_a_region(method: Any, model, run) -> None:
    """NaN for steep lines: counted as failed simulations, and the fit goes on elsewhere."""
    partly = model(lambda t, v: v["a"] + v["b"] * t + (np.nan if np.real(v["b"]) > 3.0 else 0.0))
    posterior = pt.calibrate(partly, run(), unknown=["a", "b"], method=method, rng=1)
    assert posterior.mode["b"] == pytest.approx(0.4, abs=0.1)
    assert all("not finite" in f.reason and f.values["b"] > 3.0 for f in posterior.failures)
    if isinstance(method, pt.EnsembleSmoother):
        assert posterior.failures


@methods
def test_the_experiment_that_cannot_be_simulated_is_named(method: Any, model, run) -> None:
    """One recipe of two fails whatever the values: the error says in which experiment and why."""

    def pump(t: Any, v: Any) -> Any:
        if t[-1] > 15.0:
            raise pt.SolveError("the pump cavitates", time=12.0)
        return v["a"] + v["b"] * t

    runs = [run(), run(times=2.0 * TIMES, name="long")]
    with pytest.raises(pt.CalibrationError, match=r'the pump cavitates \(experiment "long"\)'):
        pt.calibrate(model(pump), runs, unknown=["a", "b"], method=method, rng=1)


# Unknowns -------------------------------------------------------------------------------------------------------------


@quick
def test_two_unknowns_that_do_the_same(method: Any, model, run) -> None:
    """Neither is identified, each names the other, what both add up to is narrow, and the third is not touched."""
    own = [pt.Parameter(n, "1 K", bounds=("-50 K", "50 K")) for n in ("a", "again")]
    own.append(pt.Parameter("b", "0.1 K/s", bounds=("-5 K/s", "5 K/s")))
    twin = model(lambda t, v: v["a"] + v["again"] + v["b"] * t, own)
    posterior = pt.calibrate(twin, run(), unknown=["a", "again", "b"], method=method, rng=1)
    for name in ("a", "again"):
        assert posterior.verdicts[name].identification.failed
        assert "the sum a + again is seen" in posterior.verdicts[name].sentence
    assert posterior.verdicts["b"].identified
    assert (posterior["a"] + posterior["again"]).std() < 0.05 * posterior["a"].std()


@methods
def test_unknowns_that_start_at_their_bounds(method: Any, model, run) -> None:
    """A start at a bound is a start: the answer is the one from the middle."""
    own = [
        pt.Parameter("a", "-50 K", bounds=("-50 K", "50 K")),
        pt.Parameter("b", "5 K/s", bounds=("-5 K/s", "5 K/s")),
    ]
    middle, edge = (
        pt.calibrate(m, run(), unknown=["a", "b"], method=method, rng=1) for m in (model(), model(parameters=own))
    )
    error = 1e-3 if not isinstance(method, pt.EnsembleSmoother) else 1.0
    for name in ("a", "b"):
        assert edge.mode[name] == pytest.approx(middle.mode[name], abs=error * middle.standard_errors[name])
        assert edge.verdicts[name].identified


@pytest.mark.parametrize("wrap", [lambda p: p, pt.PerExperiment, lambda p: pt.Population(p, spread="1 K")])
def test_a_prior_that_the_bounds_exclude_is_refused(wrap: Any) -> None:
    """Alone, for each experiment, for a population: the message has both, and what to do."""
    with pytest.raises(pt.BoundsError, match=r"5 K, outside the bounds \[0, 2\] K; widen the bounds or move the prior"):
        wrap(pt.Parameter("a", "1 K", bounds=("0 K", "2 K"), prior=pt.Normal("5 K", "1 K")))


def test_a_function_with_a_prior_outside_the_bounds_is_refused(model, run) -> None:
    """SmoothPrior meets the bounds in calibrate(), where they are known."""
    own = [pt.Parameter(n, "1 K", bounds=("-50 K", "50 K")) for n in "ab"]
    two = model(lambda t, v: v["a"] + v["b"] + 0.0 * t, own)
    prior = pt.SmoothPrior(["a", "b"], mean="60 K", sd="1 K", length=2.0)
    with pytest.raises(pt.BoundsError, match=r"60 K, outside the bounds \[-50, 50\] K"):
        pt.calibrate(two, run(), unknown=[prior])
