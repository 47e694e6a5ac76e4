"""compare(): the band of an uncalibrated model is what its priors and sensors imply, and it says what it drew."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.comparison import measurement_band, plot_times
from physics_twin.model import StateBlock
from physics_twin.parameters import ParameterSet


@dataclass
class Formula:
    """A model whose single output is a formula of time and values."""

    parameters: ParameterSet
    formula: Callable[[np.ndarray, Mapping[str, float]], np.ndarray]
    outputs: tuple[pt.Signal, ...] = (pt.Signal("level", "degC"),)
    inputs: tuple[pt.Signal, ...] = ()
    state: tuple[StateBlock, ...] = ()
    name: str = "formula"
    version: str = "1"
    fingerprint: str = "0"
    validity: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def initial_state(self, t0: float, recipe: Any, values: Any) -> np.ndarray:
        return np.zeros(0)

    def advance(self, state: Any, t0: float, t1: float, recipe: Any, values: Any) -> np.ndarray:
        return np.zeros(0)

    def observe(self, state: Any, t: float, recipe: Any, values: Mapping[str, float]) -> np.ndarray:
        return np.atleast_1d(self.formula(np.array(t), values))


def constant(prior: Any = None, bounds: Any = None) -> Formula:
    """The level is the parameter, whatever the time."""
    return Formula(
        ParameterSet([pt.Parameter("offset", "20 degC", prior=prior, bounds=bounds)]),
        lambda t, v: v["offset"] + 0.0 * t,
    )


def samples(values: list[float], noise: str = "2 K") -> pt.Experiment:
    channel = pt.Channel("level", unit="degC", noise=noise)
    return pt.Experiment.from_arrays("run", np.arange(len(values)) * 60.0, {"level": values}, channels=[channel])


def test_the_band_is_that_of_prior_and_noise() -> None:
    """Prior sd 1 K and noise 2 K: the 95 % band reaches 1.96 * sqrt(5) K to either side, in SI."""
    found = pt.compare(constant(pt.Normal(20, 1)), samples([20.0, 21.0]), n_draws=4000, rng=1)["level"]
    reach = 1.96 * np.sqrt(5.0)
    # 2.5 % quantiles of 4000 draws scatter by 0.06 sd.
    assert found.high - 293.15 == pytest.approx(reach, abs=0.2 * np.sqrt(5.0))
    assert 293.15 - found.low == pytest.approx(reach, abs=0.2 * np.sqrt(5.0))
    assert found.band[1] - 293.15 == pytest.approx(reach, abs=0.2 * np.sqrt(5.0))


def test_samples_outside_are_counted_and_most_of_them_outside_is_said() -> None:
    """A log in the wrong unit lies outside, and the sentence says what to check."""
    found = pt.compare(constant(pt.Normal(20, 1)), samples([20.0, 293.0, 294.0]), rng=0)
    assert (found.n_inside, found.n_samples) == (1, 3)
    assert found["level"].outside.tolist() == [False, True, True]
    assert "check units" in str(found)


def test_rms_and_bias_are_differences_in_the_channels_unit() -> None:
    """Measured 3 K above the declared value: rms and mean are 3 K, not 276 K or 3 degC."""
    found = pt.compare(constant(pt.Normal(20, 1)), samples([23.0, 23.0]))["level"]
    assert found.rms == pytest.approx(3.0)
    assert "rms 3 K, mean 3 K" in str(found)


def test_without_a_prior_bounds_are_drawn_evenly_and_the_result_says_so() -> None:
    """Two finite bounds stand in for a prior; one bound does not, and then the parameter is held."""
    found = pt.compare(constant(bounds=("0 degC", "40 degC")), samples([20.0], noise="1 mK"), n_draws=2000)
    assert "bounds 0 degC to 40 degC" in found.drawn["offset"] and "no prior" in found.drawn["offset"]
    assert found["level"].low[0] == pytest.approx(274.15, abs=0.6)
    held = pt.compare(constant(bounds=("0 degC", None)), samples([20.0]))
    assert held.drawn == {} and held.held == {"offset": "20 degC"}
    assert "sensor noise only" in str(held)


def test_given_values_are_held() -> None:
    """What the caller knows is not drawn: the band is the sensor's alone, about the given value."""
    model = constant(pt.Normal(20, 5))
    found = pt.compare(model, samples([30.0]), values={"offset": "30 degC"}, n_draws=4000)
    assert found.drawn == {}
    assert found["level"].high[0] - 303.15 == pytest.approx(1.96 * 2.0, abs=0.3)


def test_the_same_seed_gives_the_same_band_and_a_generator_is_not_used_up() -> None:
    """A pure function of its arguments."""
    model, data, rng = constant(pt.Normal(20, 1)), samples([20.0]), np.random.default_rng(5)
    first, second = (pt.compare(model, data, rng=rng)["level"].low for _ in range(2))
    assert first.tolist() == second.tolist() == pt.compare(model, data, rng=5)["level"].low.tolist()


def test_failed_simulations_are_counted_and_left_out() -> None:
    """Draws above 21 degC fail: the band ends there, the failures are listed with their values."""

    def formula(t: np.ndarray, values: Mapping[str, float]) -> np.ndarray:
        if values["offset"] > 294.15:
            raise pt.SolveError("too hot", time=0.0)
        return values["offset"] + 0.0 * t

    model = Formula(ParameterSet([pt.Parameter("offset", "20 degC", prior=pt.Normal(20, 1))]), formula)
    found = pt.compare(model, samples([20.0], noise="1 mK"), n_draws=500)
    assert 40 < len(found.failures) < 120  # 16 % of 500
    assert all(f.values["offset"] > 294.15 for f in found.failures)
    assert found["level"].high[0] <= 294.16
    assert "too hot" in str(found)


def test_mistakes_are_told() -> None:
    """A channel that the model does not have, a unit of another kind, a value without unit, no samples."""
    model = constant(pt.Normal(20, 1))
    wrong = pt.Experiment.from_arrays(
        "run", [0.0], {"levle": [1.0]}, channels=[pt.Channel("levle", unit="degC", noise="1 K")]
    )
    with pytest.raises(pt.UnknownNameError, match="level"):
        pt.compare(model, wrong)
    other = pt.Experiment.from_arrays(
        "run", [0.0], {"level": [1.0]}, channels=[pt.Channel("level", unit="bar", noise="1 bar")]
    )
    with pytest.raises(pt.UnitError, match="bar"):
        pt.compare(model, other)
    with pytest.raises(pt.UnitError):
        pt.compare(model, samples([20.0]), values={"offset": 30.0})
    with pytest.raises(pt.DataError):
        pt.compare(model, [])
    with pytest.raises(pt.DataError):
        pt.compare(model, samples([np.nan]))


def test_plot_has_a_panel_for_each_channel() -> None:
    """Samples are drawn in the declared unit; another number of axes is refused."""
    from matplotlib import pyplot as plt

    comparison = pt.compare(constant(pt.Normal(20, 1)), samples([20.0, 22.0]))
    figure = comparison.plot()
    (axes,) = figure.axes
    assert axes.get_ylabel() == "level / °C"
    (drawn,) = [line for line in axes.lines if line.get_label() == "measured"]
    assert drawn.get_ydata() == pytest.approx([20.0, 22.0])
    with pytest.raises(pt.ShapeError):
        comparison.plot([axes, axes])
    plt.close(figure)


def test_measurement_band_is_exact_for_normal_noise() -> None:
    """Without spread of the draws the band is the quantiles of the normal, to a hundredth of its sd."""
    band = measurement_band(np.zeros((200, 3)), 2.0)
    assert band == pytest.approx(np.array([[-3.92], [0.0], [3.92]]) * np.ones(3), abs=0.02)


def test_plot_times_follow_a_dense_log_and_are_even_for_a_short_one() -> None:
    """A curve between few samples is even; over a long log it stands at some of the samples, both ends included."""
    assert np.diff(plot_times(np.array([0.0, 50.0]), 120.0)) == pytest.approx(1.0)
    log = np.cumsum(np.full(5000, 0.7))
    times = plot_times(log, float(log[-1]))
    assert times.size <= 602 and times[0] == 0.0 and times[-1] == log[-1]
    assert np.isin(times[1:-1], log).all()
