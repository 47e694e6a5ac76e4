"""What is said besides about chains that have met."""

import numpy as np

from physics_twin.estimation import GaussNewton, MarkovChain, Population, calibrate
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.priors import Normal
from physics_twin.signals import Signal


def test_a_population_of_like_members_is_in_no_lesser_mode(closed_form, experiment) -> None:
    """The joint density of members and spread grows without end as the spread shrinks: that is no better fit."""
    level = Parameter("level", "20 W", prior=Normal("20 W", "5 W"))
    model = closed_form(lambda t, v: (v["level"] + 0.0 * t)[:, None], ParameterSet([level]), (Signal("y", "W"),))
    rng = np.random.default_rng(0)
    t = np.arange(3.0)
    runs = [experiment(f"l{i}", t, 20.0 + 0.5 * rng.standard_normal(3), unit="W", noise="0.5 W") for i in range(8)]
    method = MarkovChain(n_draws=60, n_chains=2, steps=40, warm_up=30, fit=GaussNewton(n_draws=300))
    posterior = calibrate(model, runs, unknown=[Population("level", spread="2 W")], method=method, rng=1)
    at_mode = float(posterior.mode["spread.level"])
    assert float(posterior["spread.level"].min()) < at_mode, "chains were where the joint density is higher"
    assert not any("better fit" in warning for warning in posterior.warnings)
