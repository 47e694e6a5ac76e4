"""Profiles that are known exactly: linear models, and models that are linear in all unknowns but one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from physics_twin.estimation import GaussNewton, ProfileLikelihood, calibrate
from physics_twin.measurements import EstimatedNoise, Noise
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Posterior
from physics_twin.priors import LogNormal, Normal
from physics_twin.signals import Signal

TIMES = np.linspace(0.0, 10.0, 40)
DESIGN = np.stack([np.ones_like(TIMES), TIMES], axis=1)
PROBABILITIES = (0.5, 0.8, 0.95)
CONCENTRATIONS = np.geomspace(0.5, 12.0, 14)


def data(seed: int = 3, sd: float = 0.3) -> np.ndarray:
    return 2.0 + 0.5 * TIMES + sd * np.random.default_rng(seed).standard_normal(TIMES.size)


def interval(posterior: Posterior, name: str, probability: float) -> np.ndarray:
    return np.asarray(posterior.diagnostics["interval"].sel(profile=name, probability=probability).values)


def profiled(model: Any, run: Any, unknown: Any, **options: Any) -> Posterior:
    return calibrate(model, run, unknown=unknown, method=ProfileLikelihood(**options), rng=1)


def kolmogorov(draws: np.ndarray, distribution: Any) -> float:
    return float(stats.kstest(draws, distribution.cdf).pvalue)


def test_a_linear_model_with_given_noise_has_normal_intervals(line, experiment) -> None:
    """Profiles are parabolas: intervals, thresholds and draws are those of linear regression."""
    posterior = profiled(line(), experiment("run", TIMES, data(), noise="0.3 K"), ["a", "b"])
    mode = np.linalg.solve(DESIGN.T @ DESIGN, DESIGN.T @ data())
    sd = np.sqrt(0.09 * np.diag(np.linalg.inv(DESIGN.T @ DESIGN)))
    for j, name in enumerate("ab"):
        for p in PROBABILITIES:
            expected = mode[j] + np.array([-1.0, 1.0]) * stats.norm.ppf(0.5 + p / 2) * sd[j]
            np.testing.assert_allclose(interval(posterior, name, p), expected, atol=1e-4 * sd[j])
        own = posterior.diagnostics.sel(profile=name)
        n = int(own["n_points"])
        parabola = ((own["value"].values[:n] - mode[j]) / sd[j]) ** 2
        np.testing.assert_allclose(own["rise"].values[:n], parabola, atol=1e-6)
        assert kolmogorov(posterior[name], stats.norm(mode[j], sd[j])) > 1e-3
        assert posterior.verdicts[name].identified
    assert posterior.correlation.values[0, 1] == pytest.approx(-0.86, abs=0.03)


def test_estimated_noise_gives_the_intervals_of_student(line, experiment) -> None:
    """n - p degrees of freedom: for 40 samples and for 5, where a chi-square threshold would be far too narrow."""
    for n in (40, 5):
        times, y = TIMES[:: 40 // n][:n], data(seed=5)[:: 40 // n][:n]
        x = np.stack([np.ones(n), times], axis=1)
        run = experiment("run", times, y, noise=EstimatedNoise("5 K"))
        posterior = profiled(line(), run, ["a", "b"])
        mode = np.linalg.solve(x.T @ x, x.T @ y)
        variance = float(((y - x @ mode) ** 2).sum()) / (n - 2)
        scale = np.sqrt(variance * np.diag(np.linalg.inv(x.T @ x)))
        assert posterior.inflation["b"] == 1.0, "these residuals are white; another seed would widen"
        for j, name in enumerate("ab"):
            for p in PROBABILITIES:
                t = stats.t(n - 2).ppf(0.5 + p / 2)
                expected = mode[j] + np.array([-t, t]) * scale[j]
                np.testing.assert_allclose(interval(posterior, name, p), expected, atol=1e-3 * scale[j])
            assert kolmogorov(posterior[name], stats.t(n - 2, mode[j], scale[j])) > 1e-3


def test_noise_that_remembers_gives_generalized_least_squares(line, experiment) -> None:
    """With given correlation the profile of a linear model is the parabola of generalized least squares."""
    run = experiment("run", TIMES, data(), noise=Noise("0.3 K", correlation_time="0.5 s"))
    posterior = profiled(line(), run, ["a", "b"])
    weight = np.linalg.inv(0.09 * np.exp(-np.abs(TIMES[:, None] - TIMES) / 0.5))
    covariance = np.linalg.inv(DESIGN.T @ weight @ DESIGN)
    mode = covariance @ DESIGN.T @ weight @ data()
    sd = np.sqrt(np.diag(covariance))
    for j, name in enumerate("ab"):
        expected = mode[j] + np.array([-1.0, 1.0]) * stats.norm.ppf(0.975) * sd[j]
        np.testing.assert_allclose(interval(posterior, name, 0.95), expected, atol=1e-3 * sd[j])


def test_priors_count(line, experiment) -> None:
    """The posterior is profiled: with normal priors, precisions add."""
    model = line(parameters=[Parameter("a", "1 K", prior=Normal("2.5 K", "0.1 K")), Parameter("b", "0.1 K/s")])
    posterior = profiled(model, experiment("run", TIMES, data(), noise="0.3 K"), ["a", "b"])
    precision = DESIGN.T @ DESIGN / 0.09 + np.diag([0.1**-2, 0.0])
    mean = np.linalg.solve(precision, DESIGN.T @ data() / 0.09 + np.array([2.5 * 0.1**-2, 0.0]))
    sd = np.sqrt(np.diag(np.linalg.inv(precision)))
    for j, name in enumerate("ab"):
        expected = mean[j] + np.array([-1.0, 1.0]) * stats.norm.ppf(0.975) * sd[j]
        np.testing.assert_allclose(interval(posterior, name, 0.95), expected, atol=1e-4 * sd[j])
    own = posterior.diagnostics.sel(profile="a")
    n = int(own["n_points"])
    prior = ((own["value"].values[:n] - 2.5) / 0.1) ** 2
    rise_of_prior = (own["rise"] - own["rise_of_data"]).values[:n]
    np.testing.assert_allclose(rise_of_prior, prior - ((mean[0] - 2.5) / 0.1) ** 2, atol=1e-6)


@pytest.mark.parametrize("shift", [-0.4, 0.4, 2.2])
def test_a_bound_cuts_the_interval(shift, line, experiment) -> None:
    """The interval ends at the bound; a mode on it has the one-sided interval of the truncated normal."""
    y = data()
    sd = float(np.sqrt(0.09 * np.linalg.inv(DESIGN.T @ DESIGN)[1, 1]))
    free = float(np.linalg.solve(DESIGN.T @ DESIGN, DESIGN.T @ y)[1])
    bound = free - shift * sd  # an upper bound below (shift > 0) or above the mode without it
    model = line(parameters=[Parameter("a", "1 K"), Parameter("b", "0.1 K/s", bounds=("-1 K/s", (bound, "K/s")))])
    posterior = profiled(model, experiment("run", TIMES, y, noise="0.3 K"), ["a", "b"])
    truncated = stats.truncnorm(-np.inf, -shift, free, sd)
    found = interval(posterior, "b", 0.95)
    assert found[1] == bound
    assert posterior.diagnostics["interval_end"].sel(profile="b", probability=0.95).values.tolist() == [
        "crossing",
        "bound",
    ]
    expected = truncated.ppf(0.05) if shift > 0.0 else free - stats.norm.ppf(0.975) * sd
    assert found[0] == pytest.approx(expected, abs=1e-3 * sd)
    assert posterior["b"].max() <= bound
    assert kolmogorov(posterior["b"], truncated) > 1e-3
    assert "upper bound" in str(posterior.verdicts["b"])
    assert (posterior.verdicts["b"].identification.value == "at its bound") == (shift > 0.0)


def _saturation(t: np.ndarray, v: Any) -> np.ndarray:
    return np.asarray((v["most"] * t / (v["half"] + t))[:, None])


def _decay(t: np.ndarray, v: Any) -> np.ndarray:
    return np.asarray((v["most"] * np.exp(-t / v["half"]))[:, None])


@pytest.mark.parametrize("noise", ["0.12 m", EstimatedNoise("1 m")])
@pytest.mark.parametrize("formula", [_saturation, _decay])
def test_a_curved_model_against_its_exact_profile(
    formula: Callable[..., np.ndarray], noise: Any, closed_form, experiment
) -> None:
    """Linear in one unknown, so the profile of the other one is a formula; ends of intervals by root finding."""
    parameters = [
        Parameter("most", "3 m", bounds=("0.01 m", "100 m")),
        Parameter("half", "2 s", bounds=("0.01 s", "100 s")),
    ]
    model = closed_form(formula, ParameterSet(parameters), (Signal("y", "m"),))
    t = CONCENTRATIONS
    truth = {"most": 2.0, "half": 3.0}
    y = formula(t, truth)[:, 0] + 0.12 * np.random.default_rng(7).standard_normal(t.size)
    posterior = profiled(model, experiment("run", t, y, unit="m", noise=noise), ["most", "half"])
    assert posterior.inflation["half"] == 1.0, "these residuals are white; another seed would widen"

    def squares(half: float) -> float:
        shape = formula(t, {"most": 1.0, "half": half})[:, 0]
        residual = y - (shape @ y) / (shape @ shape) * shape
        return float(residual @ residual)

    best = posterior.mode["half"]
    for p in PROBABILITIES:
        if isinstance(noise, str):
            allowed = squares(best) + stats.norm.ppf(0.5 + p / 2) ** 2 * 0.12**2
        else:
            nu = t.size - 2
            allowed = squares(best) * (1.0 + stats.t(nu).ppf(0.5 + p / 2) ** 2 / nu)
        ends = [brentq(lambda h, a=allowed: squares(h) - a, *side) for side in ((0.05, best), (best, 90.0))]
        np.testing.assert_allclose(interval(posterior, "half", p), ends, rtol=2e-3)


def test_the_answer_does_not_depend_on_units_or_steps(closed_form, experiment) -> None:
    """Twice the steps, other units: the same intervals, as likelihood ratios have it."""
    t = CONCENTRATIONS
    y = _saturation(t, {"most": 2.0, "half": 3.0})[:, 0] + 0.1 * np.random.default_rng(4).standard_normal(t.size)
    run = experiment("run", t, y, noise="0.1 K")
    found = []
    for unit, factor, bounds, steps in (("s", 1.0, ("0.01", "100"), 8), ("ms", 1e3, ("1", "1000"), 16)):
        half = Parameter("half", f"{2 * factor} {unit}", bounds=(f"{bounds[0]} s", f"{bounds[1]} s"), unit=unit)
        model = closed_form(_saturation, ParameterSet([Parameter("most", "3 K"), half]), (Signal("y", "K"),))
        posterior = profiled(model, run, ["most", "half"], steps=steps, parameters="half")
        found.append(posterior.diagnostics["interval"].values)
    np.testing.assert_allclose(found[1], found[0], rtol=2e-3)


def test_what_the_data_do_not_see_keeps_its_prior(closed_form, experiment) -> None:
    """Draws of an unknown that no output depends on follow its prior, a skew one too."""
    parameters = [
        Parameter("a", "1 K"),
        Parameter("skew", "2 K", prior=LogNormal("3 K", 0.7)),
        Parameter("even", "2 K", bounds=("1 K", "5 K")),
    ]
    model = closed_form(
        lambda t, v: (v["a"] + 0.5 * t + 0.0 * (v["skew"] + v["even"]))[:, None],
        ParameterSet(parameters),
        (Signal("y", "K"),),
    )
    run = experiment("run", TIMES, data(), noise="0.3 K")
    posterior = profiled(model, run, ["a", "skew", "even"], fit=GaussNewton(n_draws=2000))
    assert kolmogorov(posterior["skew"], stats.lognorm(0.7, scale=3.0)) > 1e-3
    assert kolmogorov(posterior["even"], stats.uniform(1.0, 4.0)) > 1e-3
