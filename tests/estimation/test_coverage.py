"""Simulation-based coverage: intervals hold the truth as often as they say, on data sets made by the model.

The short version of a validation case. Truths are drawn from the priors, so that the rank of the truth among the draws
is uniform if the posterior is right (Talts et al. 2018); 120 data sets, limits four binomial sigma.
"""

import numpy as np
import pytest
from scipy import stats

from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.measurements import EstimatedNoise
from physics_twin.parameters import Parameter
from physics_twin.priors import LogNormal, Normal

TIMES = np.linspace(0.2, 12.0, 25)
N_SETS = 120


@pytest.mark.parametrize("estimated", [False, True])
def test_ranks_are_uniform_and_intervals_cover(estimated: bool, decay, experiment) -> None:
    """A nonlinear model, normal and log-normal priors, noise given or estimated."""
    priors = Normal("10 mol/m^3", "1 mol/m^3"), LogNormal("0.25 1/s", 0.3)
    model = decay(
        parameters=[
            Parameter("start", "10 mol/m^3", prior=priors[0]),
            Parameter("rate", "0.25 1/s", prior=priors[1], bounds=("1e-3 1/s", "10 1/s")),
        ]
    )
    rng = np.random.default_rng(2026)
    noise = EstimatedNoise("1 mol/m^3") if estimated else "0.3 mol/m^3"
    ranks, inside = [], {0.5: 0, 0.8: 0, 0.95: 0}
    for k in range(N_SETS):
        truth = np.array([rng.normal(10.0, 1.0), 0.25 * np.exp(0.3 * rng.standard_normal())])
        y = truth[0] * np.exp(-truth[1] * TIMES) + 0.3 * rng.standard_normal(TIMES.size)
        run = experiment("run", TIMES, y, output="c", unit="mol/m^3", noise=noise)
        posterior = calibrate(model, run, unknown=["start", "rate"], method=GaussNewton(n_draws=400), rng=k)
        ranks.append([(posterior[n] < x).mean() for n, x in zip(("start", "rate"), truth, strict=True)])
        for level in inside:
            for name, x in zip(("start", "rate"), truth, strict=True):
                low, high = np.quantile(posterior[name], [0.5 - level / 2, 0.5 + level / 2])
                inside[level] += int(low <= x <= high)
    for j in range(2):
        assert stats.kstest(np.array(ranks)[:, j], "uniform").pvalue > 1e-3
    for level, count in inside.items():
        sigma = np.sqrt(level * (1 - level) / (2 * N_SETS)) * np.sqrt(2.0)  # both parameters share the data
        assert abs(count / (2 * N_SETS) - level) < 4.0 * sigma, level


def test_correlated_noise_is_covered_by_calibrate(decay, experiment) -> None:
    """AR(1) noise through calibrate(): the draws' 95 % intervals cover, those of `.covariance` do not."""
    times = np.linspace(0.0, 12.0, 150)
    rng = np.random.default_rng(3)
    drawn = classical = 0
    for k in range(60):
        e = rng.standard_normal(times.size)
        for i in range(1, times.size):
            e[i] = 0.85 * e[i - 1] + np.sqrt(1 - 0.85**2) * e[i]
        y = 10.0 * np.exp(-0.25 * times) + 0.3 * e
        run = experiment("run", times, y, output="c", unit="mol/m^3", noise=EstimatedNoise("1 mol/m^3"))
        posterior = calibrate(decay(), run, unknown=["start", "rate"], method=GaussNewton(n_draws=400), rng=k)
        for name, x in (("start", 10.0), ("rate", 0.25)):
            low, high = posterior.interval(name)
            drawn += int(low <= x <= high)
            classical += int(abs(posterior.mode[name] - x) < 1.96 * posterior.standard_errors[name])
    # 120 checks, neighbors dependent: four sigma of 0.95 is 0.08 to 0.11
    assert drawn / 120 > 0.85
    assert classical / 120 < 0.70
