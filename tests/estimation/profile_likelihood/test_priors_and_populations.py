"""Profiles under priors and of populations: intervals are those of the posterior, and of the density with the mode."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import brentq

import physics_twin as pt
from physics_twin.estimation import GaussNewton, Population, ProfileLikelihood, calibrate
from physics_twin.estimation.profile_likelihood import method
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Posterior
from physics_twin.priors import LogNormal, Normal
from physics_twin.signals import Signal

PROBABILITIES = (0.5, 0.8, 0.95)


def profiled(model: Any, runs: Any, unknown: Any, **options: Any) -> Posterior:
    return calibrate(model, runs, unknown=unknown, method=ProfileLikelihood(**options), rng=1)


def interval(posterior: Posterior, name: str, probability: float) -> np.ndarray:
    return np.asarray(posterior.diagnostics["interval"].sel(profile=name, probability=probability).values)


def tails(probability: float) -> np.ndarray:
    return np.array([0.5 - probability / 2, 0.5 + probability / 2])


def constant(closed_form: Any, **declared: Any) -> Any:
    """y = level"""
    level = Parameter("level", "1 K", **declared)
    return closed_form(lambda t, v: (v["level"] + 0.0 * t)[:, None], ParameterSet([level]), (Signal("y", "K"),))


def lots(closed_form: Any, experiment: Any, n: int = 14) -> tuple[Any, list[Any], float]:
    """y = gain + ln k of each lot: linear in what is normal; and the mean of all samples."""
    parameters = [
        Parameter("gain", "0 1", prior=Normal("0 1", "1 1")),
        Parameter("k", "1 K", bounds=("1e-3 K", "1e3 K"), prior=LogNormal("1 K", 1.0)),
    ]
    model = closed_form(
        lambda t, v: (v["gain"] + np.log(v["k"]) + 0.0 * t)[:, None], ParameterSet(parameters), (Signal("y", "1"),)
    )
    rng = np.random.default_rng(0)
    values = [0.3 * rng.standard_normal() + 0.3 * rng.standard_normal(2) for _ in range(n)]
    runs = [experiment(f"l{i}", [0.0, 1.0], y, unit="1", noise="0.3") for i, y in enumerate(values)]
    return model, runs, float(np.mean(values))


def test_what_lots_in_logarithm_have_in_common_has_the_interval_of_the_fit(closed_form, experiment) -> None:
    """The refits and the objective are of one density: the profile has its lowest point at the mode.

    The tail beyond the last point, where the volume of the others is held, moves a quantile by 0.01 of the width.
    The truth is normal given the spread s: gain and the mean of ln k both N(0, 1) before, their sum seen by the mean
    of all samples with variance (s^2 + 0.3^2/2)/n.
    """
    model, runs, seen = lots(closed_form, experiment)
    unknown = ["gain", Population("k", spread="0.3")]
    laplace = calibrate(model, runs, unknown=unknown, method=GaussNewton(n_draws=4000), rng=1)
    posterior = profiled(model, runs, unknown, parameters=["gain", "mean.k", "k@l0"])
    assert posterior.converged
    assert "anew" not in posterior.message
    assert posterior.warnings == ()
    assert float(np.nanmin(posterior.diagnostics["rise"].values)) > -1e-6
    assert set(posterior.diagnostics["end"].values.ravel().tolist()) == {"threshold"}
    of_mean = (posterior.mode["spread.k"] ** 2 + 0.3**2 / 2) / len(runs)
    truth = stats.norm(seen / (2.0 + of_mean), np.sqrt(1.0 - 1.0 / (2.0 + of_mean)))
    for p in PROBABILITIES:
        exact = truth.ppf(tails(p))
        np.testing.assert_allclose(interval(posterior, "gain", p), exact, atol=0.015 * truth.std())
        np.testing.assert_allclose(posterior.interval("gain", p), exact, atol=0.2 * truth.std())  # 1000 draws
        np.testing.assert_allclose(laplace.interval("gain", p), exact, atol=0.1 * truth.std())  # 4000 draws
        np.testing.assert_allclose(np.log(interval(posterior, "mean.k", p)), exact, atol=0.015 * truth.std())
    assert posterior.mode["k@l0"] == pytest.approx(laplace.mode["k@l0"], rel=1e-3)


def test_a_member_in_logarithm_has_a_profile_around_its_mode(closed_form, experiment) -> None:
    """In ln k it is a parabola at the mode: the interval is as far from the mode to both sides."""
    model, runs, _ = lots(closed_form, experiment, 5)
    posterior = profiled(model, runs, ["gain", Population("k", spread="0.3")], parameters=["k@l2"])
    low, high = np.log(interval(posterior, "k@l2", 0.8) / posterior.mode["k@l2"])
    assert -low == pytest.approx(high, rel=1e-3)


def test_a_fit_that_stays_in_the_wrong_valley_has_not_converged(closed_form, experiment, monkeypatch) -> None:
    """A profile that still falls below the mode when nothing begins anew: the result says so."""
    monkeypatch.setattr(method, "ROUNDS", 0)
    t = np.linspace(0.0, 6.0, 60)
    parameters = [Parameter("rate", "3.5 1/s", bounds=("0.2 1/s", "6 1/s"))]
    model = closed_form(lambda t, v: np.cos(v["rate"] * t)[:, None], ParameterSet(parameters), (Signal("y", "m"),))
    y = np.cos(1.6 * t) + 0.5 * np.random.default_rng(0).standard_normal(t.size)
    posterior = profiled(model, experiment("run", t, y, unit="m", noise="2.5 m"), ["rate"])
    assert "lower" in posterior.diagnostics["end"].values
    assert not posterior.converged
    assert "still find a better fit" in posterior.message
    assert "no fit succeeds ()" not in str(posterior.verdicts["rate"])


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_an_interval_that_the_prior_decides_is_the_interval_of_the_prior(sigma, closed_form, experiment) -> None:
    """Log-normal, the data say nothing: intervals in diagnostics, of draws and in the verdict are the prior's."""
    model = constant(closed_form, prior=LogNormal("1 K", sigma))
    posterior = profiled(model, experiment("run", [0.0, 1.0], [1.0, 1.0], noise="1e6 K"), ["level"])
    for p in PROBABILITIES:
        exact = sigma * stats.norm.ppf(tails(p))
        np.testing.assert_allclose(np.log(interval(posterior, "level", p)), exact, atol=2e-3 * sigma)
        np.testing.assert_allclose(np.log(posterior.interval("level", p)), exact, atol=0.03 * sigma)
    low, high = (posterior.parameters["level"].format(float(x)) for x in interval(posterior, "level", 0.95))
    assert f"between {low} and {high} (95 %)" in str(posterior.verdicts["level"])


@pytest.mark.parametrize("noise", [0.3, 1.0, 5.0])
def test_an_interval_under_a_log_normal_prior_is_that_of_the_posterior(noise, closed_form, experiment) -> None:
    """One measured value of 2 K, its noise below, at and above the prior's width: quantiles by quadrature."""
    model = constant(closed_form, prior=LogNormal("1 K", 1.0))
    posterior = profiled(model, experiment("run", [0.0], [2.0], noise=f"{noise} K"), ["level"])

    def density(u: float) -> float:
        return float(np.exp(-0.5 * u * u - 0.5 * ((np.exp(u) - 2.0) / noise) ** 2))

    total = quad(density, -9.0, 6.0, points=[0.0, 0.7], limit=200)[0]

    def quantile(q: float) -> float:
        return float(brentq(lambda u: quad(density, -9.0, u, points=[0.0], limit=200)[0] / total - q, -8.0, 5.0))

    sd = quantile(0.84) - quantile(0.5)
    for p in PROBABILITIES:
        exact = [quantile(q) for q in tails(p)]
        np.testing.assert_allclose(np.log(interval(posterior, "level", p)), exact, atol=0.01 * sd)
        np.testing.assert_allclose(np.log(posterior.interval("level", p)), exact, atol=0.05 * sd)


def test_a_normal_prior_cut_by_a_bound_has_the_quantiles_of_what_is_left(closed_form, experiment) -> None:
    """The number is the quantile, and the end says that a bound cuts the density."""
    model = constant(closed_form, prior=Normal("1 K", "0.3 K"), bounds=("0 K", "1.4 K"))
    posterior = profiled(model, experiment("run", [0.0], [1.0], noise="1e6 K"), ["level"])
    left = stats.truncnorm(-1.0 / 0.3, 0.4 / 0.3, 1.0, 0.3)
    for p in PROBABILITIES:
        np.testing.assert_allclose(interval(posterior, "level", p), left.ppf(tails(p)), atol=1e-3 * 0.3)
    ends = posterior.diagnostics["interval_end"].sel(profile="level", probability=0.95).values.tolist()
    assert ends == ["crossing", "bound"]
    rise = posterior.diagnostics["threshold"].sel(profile="level", probability=0.95).values
    np.testing.assert_allclose(rise, ((left.ppf(tails(0.95)) - 1.0) / 0.3) ** 2, atol=0.01)
    assert "1.4 K" in str(posterior.verdicts["level"])


def test_draws_stay_where_the_data_are(closed_form: Any) -> None:
    """Where a shared unknown and the lots are seen by their ratio alone, the draws keep the ratio.

    y = gain / k_j: the ratio is known to 0.5 %, gain to 10 % by its prior. Moving the draws of gain to its profile and
    leaving those of the lots would move the prediction of fitted data by several standard deviations.
    """
    model = closed_form(
        lambda t, v: (v["gain"] / v["k"] + 0.0 * t)[:, None],
        pt.ParameterSet(
            [
                pt.Parameter("gain", "450 K", bounds=("100 K", "900 K"), prior=Normal("450 K", "45 K")),
                pt.Parameter("k", "1.5", bounds=(1.0, 3.0)),
            ]
        ),
        (pt.Signal("y", "K"),),
    )
    truth = (1.3, 1.6, 1.45, 1.5)
    noise = 2.0 * np.random.default_rng(0).standard_normal((4, 4))
    runs = [
        pt.Experiment.from_arrays(
            f"lot_{j}", np.arange(4.0), {"y": 450.0 / k + noise[j]}, channels=[pt.Channel("y", unit="K", noise="2 K")]
        )
        for j, k in enumerate(truth)
    ]
    posterior = profiled(model, runs, ["gain", Population("k", spread="0.3")], parameters=["gain"])
    for j, run in enumerate(runs):
        ratio = posterior["gain"] / posterior[f"k@lot_{j}"]
        assert abs(ratio.mean() - run["y"].values.mean()) < 1.0
        assert ratio.std() < 2.0
