"""heated_block: energy, steady state, symmetry, size, and the measured record."""

import functools

import numpy as np
import pytest
from scipy.optimize import root

import physics_twin as pt
from physics_twin import datasets
from physics_twin_models.heated_block import experiment, heated_block
from tests.data_marks import needs_data

SIGMA = 5.670374419e-8
UNKNOWN = ("film_coefficient", "exchange_coefficient", "heater_1_gain", "heater_2_gain", "sensor_time_constant")
STEPS = pt.Recipe(
    [
        pt.Phase("first", heater_1="80 percent", heater_2="0 percent", duration="5 min"),
        pt.Phase("both", heater_2="60 percent", duration="5 min"),
    ]
)


def test_energy_is_conserved():
    """What is stored in the heaters and what went to the room is what was supplied."""
    run = pt.simulate(heated_block(), recipe=STEPS)
    rise = sum(run[f"heater_{k}_temperature"].values - 296.15 for k in (1, 2))
    supplied = run["supplied_energy"].values
    np.testing.assert_allclose(2.0 * rise + run["lost_energy"].values, supplied, rtol=0, atol=1e-7 * supplied[-1])
    assert supplied[-1] == pytest.approx(1.0 * 80 * 0.01 * 600 + 60 * 0.0075 * 300, rel=1e-9)


def test_steady_state_is_a_root_of_the_heat_balance():
    """After three hours both heaters are where a root finder puts them, and the sensors show that."""
    recipe = pt.Recipe.constant(heater_1="70 percent", heater_2="20 percent")
    run = pt.simulate(heated_block(), ([3.0], "h"), recipe)

    def balance(t):
        out = [10e-3 * (x - 296.15) + 0.9 * SIGMA * 1e-3 * (x**4 - 296.15**4) for x in t]
        between = 10 * 2e-4 * (t[0] - t[1]) + 0.9 * SIGMA * 2e-4 * (t[0] ** 4 - t[1] ** 4)
        return [0.7 - out[0] - between, 0.15 - out[1] + between]

    expected = root(balance, [350.0, 320.0], tol=1e-13).x
    for k in (1, 2):
        for name in (f"temperature_{k}", f"heater_{k}_temperature"):
            assert run[name].values[0] == pytest.approx(expected[k - 1], abs=1e-6)


def test_sensors_lag_their_heaters_by_the_time_constant():
    """tau (S(t) - S(0)) is the integral of heater minus sensor: 15 s behind on a slow rise."""
    seconds = np.linspace(0.0, 300.0, 30_001)
    run = pt.simulate(heated_block(), seconds, STEPS)
    sensor, heater = run["temperature_1"].values, run["heater_1_temperature"].values
    assert 15.0 * (sensor[-1] - sensor[0]) == pytest.approx(np.trapezoid(heater - sensor, seconds), rel=1e-5)


def test_heaters_are_alike():
    """Exchanging heaters, gains and starts exchanges the temperatures."""
    swapped = pt.Recipe(
        [
            pt.Phase("first", heater_1="0 percent", heater_2="80 percent", duration="5 min"),
            pt.Phase("both", heater_1="60 percent", duration="5 min"),
        ]
    )
    gains = {"heater_1_gain": "0.0075 W/percent", "heater_2_gain": "0.01 W/percent"}
    one = pt.simulate(heated_block(), recipe=STEPS)
    other = pt.simulate(heated_block(), recipe=swapped, values=gains)
    np.testing.assert_allclose(one["temperature_1"].values, other["temperature_2"].values, rtol=0, atol=1e-6)
    np.testing.assert_allclose(one["temperature_2"].values, other["temperature_1"].values, rtol=0, atol=1e-6)


def test_size_does_not_matter():
    """Heat capacity, areas and gains three times as large, in other units: the same temperatures."""
    values = {
        "heat_capacity": "0.006 kJ/K",
        "area": "3e-3 m^2",
        "exchange_area": "600 mm^2",
        "heater_1_gain": "3 W",
        "heater_2_gain": "2.25 W",
    }
    one = pt.simulate(heated_block(), recipe=STEPS)
    other = pt.simulate(heated_block(), recipe=STEPS, values=values)
    np.testing.assert_allclose(one["temperature_1"].values, other["temperature_1"].values, rtol=0, atol=1e-4)


@functools.cache
def fit(low, high):
    """Five parameters on the samples between two times; always simulated from the start of the record."""
    record = experiment(datasets.load("tclab").path("mimo_1s_600.csv"))
    chosen = record.between(low, high)
    return pt.calibrate(heated_block(), chosen, unknown=UNKNOWN, method=pt.GaussNewton(starts=3), rng=7)


@needs_data("tclab")
def test_record_begins_at_its_first_reading():
    """Heaters and sensors start at the first reading of their sensor; both heaters are recorded inputs."""
    record = experiment(datasets.load("tclab").path("mimo_1s_600.csv"))
    assert [one.name for one in record.inputs] == ["heater_1", "heater_2"]
    run = pt.simulate(heated_block(), [0.0], record.recipe)
    for k in (1, 2):
        assert run[f"temperature_{k}"].values[0] == record[f"temperature_{k}"].values[0]


@needs_data("tclab")
def test_whole_record_fits_to_0_70_degc():
    """Five parameters on the 599 s of both sensors: pooled RMS at or below 0.70 degC, none of them at a bound."""
    whole = fit(0.0, 600.0)
    assert whole.converged
    n = sum(c.n_samples for c in whole.channels)
    assert n == 2 * 599
    pooled = np.sqrt(sum(c.sum_of_squares for c in whole.channels) / n)
    assert pooled <= 0.70
    assert not [v for v in whole.verdicts.values() if "bound" in str(v)]
    assert pooled == pytest.approx(0.628, abs=0.002)  # pinned


@needs_data("tclab")
def test_halves_agree_within_their_widened_intervals_and_the_fit_says_what_is_missing():
    """Parameters of both halves differ by less than two combined standard deviations of the widened draws.

    They do so because the intervals are honest: residuals keep their sign for minutes, the draws are widened for it,
    and the warnings name both sensors.
    """
    halves = [fit(0.0, 299.5), fit(299.5, 600.0)]
    for name in UNKNOWN:
        mean, sd = (np.array([f(h.draws.sel(parameter=name).values) for h in halves]) for f in (np.mean, np.std))
        assert abs(mean[0] - mean[1]) < 2.0 * np.hypot(*sd), name
    for half in halves:
        assert min(half.inflation[name] for name in UNKNOWN) > 5.0
        slow = [w for w in half.warnings if "something slow is missing in the model" in w]
        assert {w.split(" ")[0] for w in slow} == {"temperature_1", "temperature_2"}
