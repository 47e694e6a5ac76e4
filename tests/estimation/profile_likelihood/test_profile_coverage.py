"""Intervals of profiles hold what they promise where the Laplace approximation does not."""

import numpy as np
import pytest
from scipy import stats

from physics_twin.estimation import GaussNewton, ProfileLikelihood, calibrate
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.signals import Signal

N_DATA_SETS = 200
PROBABILITIES = (0.5, 0.8, 0.95)
TIMES = np.linspace(0.4, 4.0, 10)
TRUTH = {"most": 2.0, "half": 3.0}


def binomial(hits: int, probability: float) -> float:
    """Two-sided p of so many hits."""
    return float(stats.binomtest(hits, N_DATA_SETS, probability).pvalue)


@pytest.mark.slow
def test_intervals_of_a_curved_problem_cover(closed_form, experiment) -> None:
    """Half saturation from samples below it: 50, 80, 95 % of 200 intervals hold the truth, in both tails alike.

    The Laplace intervals of the same fits miss it on one side only: they are symmetric and the problem is not.
    """

    def formula(t, v):  # type: ignore[no-untyped-def]
        return (v["most"] * t / (v["half"] + t))[:, None]

    parameters = [
        Parameter("most", "3 m", bounds=("0.01 m", "10000 m")),
        Parameter("half", "2 s", bounds=("0.001 s", "10000 s")),
    ]
    model = closed_form(formula, ParameterSet(parameters), (Signal("y", "m"),))
    method = ProfileLikelihood(fit=GaussNewton(n_draws=200), parameters="half")
    rng = np.random.default_rng(5)
    inside, inside_draws = np.zeros(3, dtype=int), np.zeros(3, dtype=int)
    below = {"profile": 0, "laplace": 0}
    above = {"profile": 0, "laplace": 0}
    for _ in range(N_DATA_SETS):
        y = formula(TIMES, TRUTH)[:, 0] + 0.08 * rng.standard_normal(TIMES.size)
        run = experiment("run", TIMES, y, unit="m", noise="0.08 m")
        posterior = calibrate(model, run, unknown=["most", "half"], method=method, rng=1)
        found = posterior.diagnostics["interval"].sel(profile="half").values
        inside += (found[:, 0] <= TRUTH["half"]) & (TRUTH["half"] <= found[:, 1])
        drawn = np.array([posterior.interval("half", p) for p in PROBABILITIES])
        inside_draws += (drawn[:, 0] <= TRUTH["half"]) & (TRUTH["half"] <= drawn[:, 1])
        half_width = 1.96 * posterior.standard_errors["half"] * posterior.inflation["half"]
        mode = posterior.mode["half"]
        for name, (low, high) in (("profile", found[2]), ("laplace", (mode - half_width, mode + half_width))):
            below[name] += TRUTH["half"] < low
            above[name] += TRUTH["half"] > high
    for hits, drawn_hits, probability in zip(inside, inside_draws, PROBABILITIES, strict=True):
        assert binomial(hits, probability) > 0.01, f"{hits} of {N_DATA_SETS} at {probability}"
        assert binomial(drawn_hits, probability) > 0.01, f"draws: {drawn_hits} of {N_DATA_SETS} at {probability}"
    assert binomial(below["profile"], 0.025) > 0.01 and binomial(above["profile"], 0.025) > 0.01, (below, above)
    assert binomial(above["laplace"], 0.025) < 1e-4, "the problem is curved enough to tell"
