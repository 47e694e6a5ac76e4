"""Two heaters and two sensors, a measured record: fitted to its first half, the second half is covered."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import datasets
from physics_twin_models.heated_block import experiment, heated_block
from tests.data_marks import needs_data

MODEL = heated_block()
PRIORS = {
    "film_coefficient": pt.Normal("10 W/m^2/K", "5 W/m^2/K"),
    "exchange_coefficient": pt.Normal("10 W/m^2/K", "5 W/m^2/K"),
    "heater_1_gain": pt.Normal("0.01 W/percent", "0.002 W/percent"),
    "heater_2_gain": pt.Normal("0.0075 W/percent", "0.0015 W/percent"),
    "sensor_time_constant": pt.Normal("15 s", "5 s"),
}


@pytest.mark.slow
@needs_data("tclab")
def test_the_other_half_is_covered_with_a_discrepancy_and_its_price_is_said() -> None:
    """95 % bands hold at least 95 % of the second half; the warnings name what the discrepancy takes."""
    record = experiment(datasets.load("tclab").path("mimo_1s_600.csv"))
    given = pt.Discrepancy("1 K", "30 s", "time", between=("0 s", "600 s"))
    model = pt.with_discrepancy(MODEL, {"temperature_1": given, "temperature_2": given})
    unknown = [MODEL.parameters[name].replace(prior=prior) for name, prior in PRIORS.items()]

    def fit(runs: list[pt.Experiment]) -> pt.Posterior:
        return pt.calibrate(model, runs, unknown=[*unknown, *model.discrepancy_unknowns()], rng=7)

    check = pt.holdout(model, record, fit=fit, n_first=300, rng=1)
    assert check.posterior.converged and check.passed
    assert check.coverage >= 0.95
    for channel in check.channels:
        # Beyond the data the band has at least the sd that was declared: a half width of 1.96 K.
        assert np.mean(channel.high - channel.low) / 2.0 > 1.9
        assert np.sqrt(np.mean((channel.observed - channel.middle) ** 2)) < 1.6
    said = [w for w in check.posterior.warnings if "could as well be a discrepancy" in w]
    assert len(said) == 2 and any("heater_2_gain" in w and "discrepancy of temperature_2" in w for w in said)
