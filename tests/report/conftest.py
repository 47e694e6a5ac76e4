"""One small calibration with an envelope, made once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.comparison import Comparison
from physics_twin.envelope import Budget
from physics_twin.estimation import HoldOut
from physics_twin.measurements import Exclusion
from physics_twin.process import ProcessModel


@dataclass(frozen=True)
class Job:
    model: ProcessModel
    experiment: pt.Experiment
    comparison: Comparison
    posterior: pt.Posterior
    check: HoldOut
    recipe: pt.Recipe
    envelope: pt.Envelope


def decay() -> ProcessModel:
    m = pt.ProcessBuilder("decay", version="1.2", description="First-order decay <of x>")
    k = m.parameter("k", "0.2 1/h", bounds=("0.01 1/h", "1 1/h"), description="rate constant", source="made up")
    x = m.state("x", "g/L", initial="10 g/L")
    m.rate(x, -k * x)
    m.output("x", x)
    m.valid("x", "0 g/L", "12 g/L")
    return m.build()


@pytest.fixture(scope="session")
def job() -> Job:
    model = decay()
    times = np.linspace(0.5, 10.0, 20)
    values = 10.0 * np.exp(-0.2 * times) + 0.2 * np.random.default_rng(1).standard_normal(20)
    values[3] = np.nan
    channel = pt.Channel("x", unit="g/L", noise=pt.EstimatedNoise("0.3 g/L"))
    exclude = [Exclusion("2.9 h", "3.1 h", "valve <stuck>", by="A. Smith")]
    run = pt.Experiment.from_arrays("run_1", (times, "h"), {"x": values}, channels=[channel], exclude=exclude)

    def fit(runs: Sequence[pt.Experiment]) -> pt.Posterior:
        return pt.calibrate(model, runs, unknown=["k"], method=pt.GaussNewton(n_draws=600), rng=3)

    posterior = fit([run])
    hold = pt.Setting("hold_time", "h", bounds=(1, 20))
    recipe = pt.Recipe([pt.Phase("hold", duration=hold)])
    limits = [pt.Limit("x", upper="4 g/L", over=pt.final), pt.Limit("x", lower="1 g/L", over=pt.final)]
    envelope = pt.find_envelope(
        model,
        posterior,
        recipe=recipe,
        settings=[hold],
        limits=limits,
        probability=0.9,
        rng=1,
        budget=Budget(n_points=12),
    )
    check = pt.holdout(model, run, fit=fit, n_first=12)
    return Job(model, run, pt.compare(model, run), posterior, check, recipe, envelope)
