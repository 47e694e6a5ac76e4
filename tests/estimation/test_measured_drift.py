"""Two heaters and two sensors, a measured record whose deviations last: noise with a memory instead of wider draws."""

import functools

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import datasets
from physics_twin.estimation.predicted import predict_samples
from physics_twin_models.heated_block import experiment, heated_block
from tests.data_marks import needs_data

MODEL = heated_block()
UNKNOWN = ["film_coefficient", "exchange_coefficient", "heater_1_gain", "heater_2_gain", "sensor_time_constant"]
LEVEL = pt.EstimatedNoise("0.5 K", shared="thermistor")
NOISES: dict[str, pt.EstimatedNoise | pt.Noise] = {
    "white": LEVEL,
    "memory": pt.Noise(LEVEL, correlation_time=pt.Estimated("20 s")),
}


@functools.cache
def record(noise: str) -> pt.Experiment:
    return experiment(datasets.load("tclab").path("mimo_1s_600.csv"), noise=NOISES[noise])


@functools.cache
def half(noise: str, second: bool) -> pt.Posterior:
    run = record(noise).last(299) if second else record(noise).first(300)
    return pt.calibrate(MODEL, run, unknown=UNKNOWN, rng=7)


@pytest.mark.slow
@needs_data("tclab")
def test_bands_of_the_first_half_hold_the_second() -> None:
    """80 and 95 % intervals hold at least as much; those of 50 % hold 76 % of sensor 1 and 37 % of sensor 2 (pinned).

    All 598 samples are one course of two deviations that last: shares of them scatter widely about what is promised.
    """
    first, rest = record("memory").first(300), record("memory").last(299)
    rng = np.random.default_rng(1)
    found = predict_samples(
        MODEL, half("memory", False), rest, rng=rng, fitted=first, duration=record("memory").duration
    )
    inside = {p: [float(np.mean(np.abs(s.rank - 0.5) <= 0.5 * p)) for s in found.samples] for p in (0.5, 0.8, 0.95)}
    assert min(inside[0.95]) >= 0.95
    assert min(inside[0.8]) >= 0.8
    assert inside[0.5] == pytest.approx([0.76, 0.37], abs=0.08)


@pytest.mark.slow
@needs_data("tclab")
def test_halves_agree_and_nothing_is_widened() -> None:
    """With a memory the draws carry what draws of white noise are widened for, fivefold or more."""
    for noise, least in (("white", 5.0), ("memory", 1.0)):
        for second in (False, True):
            assert half(noise, second).inflation["film_coefficient"] >= least
    apart = []
    for name in UNKNOWN:
        a, b = half("memory", False)[name], half("memory", True)[name]
        apart.append(abs(a.mean() - b.mean()) / np.hypot(a.std(), b.std()))
    assert half("memory", False).inflation["film_coefficient"] == 1.0
    assert max(apart) < 1.0


@pytest.mark.slow
@needs_data("tclab")
def test_intervals_are_no_longer_than_widened_ones_and_the_memory_is_hardly_known() -> None:
    """Three of five intervals or more are shorter; the memory is known to a factor of three or more, and says so."""
    shorter = [
        np.diff(half("memory", False).interval(name)) < np.diff(half("white", False).interval(name)) for name in UNKNOWN
    ]
    assert sum(bool(s) for s in shorter) >= 3
    low, high = half("memory", False).interval("correlation_time.thermistor")
    assert low < 20.2 < high
    assert high / low > 3.0
    assert any("noise that slow cannot be told" in warning for warning in half("memory", True).warnings)
