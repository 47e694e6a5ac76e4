"""Steady windows: quiet ones are rarely called moving, moving ones are found, means come with honest errors."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from scipy.signal import lfilter

from physics_twin.errors import BoundsError, DataError, UnknownNameError
from physics_twin.measurements import Channel, Experiment, Flag
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.windows.steady import N_PARTS, chance, steady_windows
from tests.data_marks import needs_data
from tests.measurements.noises import record
from tests.measurements.test_real_records import tclab

matplotlib.use("Agg")
N_WINDOWS = 2000
T = np.arange(60.0 * N_WINDOWS)


def unsteady_share(values: np.ndarray, **keywords: float) -> float:
    """Share of the windows of a minute that are called unsteady."""
    found = steady_windows(record(T, 300.0 + values), window="1 min", **keywords)
    assert len(found.tested) == N_WINDOWS
    return 1.0 - len(found) / N_WINDOWS


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
def test_quiet_windows_are_called_unsteady_at_the_stated_rate(level: float) -> None:
    """White noise, 2000 windows: the share is the level within four binomial standard deviations."""
    rng = np.random.default_rng(31)
    share = unsteady_share(rng.standard_normal(T.size), false_alarm=level)
    assert abs(share - level) < 4.0 * np.sqrt(level * (1.0 - level) / N_WINDOWS)


def test_the_distribution_is_that_of_the_ratio() -> None:
    """200,000 windows of white parts: chances below 0.001, 0.01, 0.05 and 0.5 occur as often as they say.

    Within four binomial standard deviations and 2 % of the level, by which the beta distribution may miss.
    """
    x = np.random.default_rng(32).standard_normal((200_000, N_PARTS))
    d, about = np.diff(x, axis=1), x - x.mean(axis=1, keepdims=True)
    r = np.sort(1.0 - (d * d).sum(axis=1) / (2.0 * (about * about).sum(axis=1)))
    for level in (0.001, 0.01, 0.05, 0.5):
        seen = r[round((1.0 - level) * r.size)]
        assert abs(chance(seen, 0.0, 6) - level) < 4.0 * np.sqrt(level / r.size) + 0.02 * level


@pytest.mark.parametrize("phi", [0.5, 0.8])
def test_noise_that_remembers_is_no_movement(phi: float) -> None:
    """AR(1): the share of false alarms is the level within four standard deviations and a fifth, for the estimate."""
    rng = np.random.default_rng(33)
    noise = lfilter([np.sqrt(1.0 - phi**2)], [1.0, -phi], rng.standard_normal(T.size + 200))[200:]
    assert abs(unsteady_share(noise) - 0.05) < 4.0 * np.sqrt(0.05 * 0.95 / N_WINDOWS) + 0.01


@pytest.mark.parametrize(("drift", "power"), [(3.0, 0.99), (2.0, 0.84), (1.0, 0.32)])
def test_drifts_are_found_as_often_as_stated(drift: float, power: float) -> None:
    """A saw tooth by `drift` noise levels in each window: the documented power within four standard deviations."""
    rng = np.random.default_rng(34)
    share = unsteady_share(rng.standard_normal(T.size) + drift * (T % 60.0) / 60.0)
    assert abs(share - power) < 4.0 * np.sqrt(power * (1.0 - power) / N_WINDOWS) + 0.005


def test_all_channels_together_have_the_stated_rate() -> None:
    """Three white channels: 5 % of windows are called unsteady, not 14 %."""
    rng = np.random.default_rng(35)
    names = ("a", "b", "c")
    run = Experiment.from_arrays(
        "run",
        T,
        {name: 300.0 + rng.standard_normal(T.size) for name in names},
        channels=[Channel(name, unit="K", noise="1 K") for name in names],
    )
    found = steady_windows(run, window="1 min")
    share = 1.0 - len(found) / len(found.tested)
    assert abs(share - 0.05) < 4.0 * np.sqrt(0.05 * 0.95 / N_WINDOWS)


@pytest.mark.parametrize("phi", [0.0, 0.6])
def test_standard_errors_of_means_are_honest(phi: float) -> None:
    """Standardized means of 2000 windows have the variance of t with as many degrees as samples count, n_eff - 1.

    Within 4 sqrt(2/2000) and a tenth for the estimated memory.
    """
    rng = np.random.default_rng(36)
    noise = lfilter([np.sqrt(1.0 - phi**2)], [1.0, -phi], rng.standard_normal(T.size + 200))[200:]
    found = steady_windows(record(T, 300.0 + noise), window="1 min")
    z = np.array([(one.means["T"] - 300.0) / one.standard_errors["T"] for one in found.tested])
    degrees = 60.0 * (1.0 - phi) / (1.0 + phi) - 1.0
    assert z.var() == pytest.approx(degrees / (degrees - 2.0), abs=4.0 * np.sqrt(2.0 / N_WINDOWS) + (0.1 if phi else 0))


def test_a_transient_is_found_between_two_steady_stretches() -> None:
    """Steady, a slow rise, steady: windows on both sides and none within, with the right means."""
    rng = np.random.default_rng(37)
    t = np.arange(1800.0)
    y = 300.0 + 10.0 * np.clip((t - 600.0) / 600.0, 0.0, 1.0) + 0.2 * rng.standard_normal(1800)
    found = steady_windows(record(t, y, "0.2 K"), window="1 min", false_alarm=0.001)
    assert [one.start for one in found] == [*np.arange(0.0, 600.0, 60.0), *np.arange(1200.0, 1800.0, 60.0)]
    for one in found:
        truth = 300.0 if one.start < 600.0 else 310.0
        assert abs(one.means["T"] - truth) < 4.5 * one.standard_errors["T"]
        assert one.n_samples == {"T": 60}
    assert found[0].start == 0.0 and len(found[:3]) == 3
    text = str(found)
    assert "20 of 30 windows of 60 s are steady" in text and "±" in text


def test_a_converter_that_toggles_is_no_drift_and_its_step_stays_in_the_error() -> None:
    """Values that move by one step within a window are steady; the error of the mean is resolution/sqrt(12)."""
    t = np.arange(600.0)
    y = 300.0 + 0.5 * (t >= 330.0)
    run = record(t, y, "0.1 K", checks=Checks(resolution="0.5 K"))
    found = steady_windows(run, window="1 min")
    assert len(found) == 10
    assert found[0].standard_errors["T"] == pytest.approx(0.5 / np.sqrt(12.0))
    assert len(steady_windows(run, window="1 min", tolerance={"T": "0.1 K"})) == 9


def test_a_tolerance_says_what_counts_as_steady() -> None:
    """A drift of 1 K a window among 0.01 K of noise: unsteady, and steady where 2 K are allowed."""
    rng = np.random.default_rng(38)
    t = np.arange(600.0)
    run = record(t, 300.0 + t / 60.0 + 0.01 * rng.standard_normal(600), "0.01 K")
    assert len(steady_windows(run, window="1 min")) == 0
    assert len(steady_windows(run, window="1 min", tolerance={"T": "2 K"})) == 10


def test_irregular_samples_gaps_and_overlap() -> None:
    """Exponential steps keep the rate of false alarms; windows in a gap are counted as untested; step= overlaps."""
    rng = np.random.default_rng(39)
    t = np.cumsum(rng.exponential(1.0, 60_000))
    t = t[(t < 5000.0) | (t > 6000.0)]
    found = steady_windows(record(t, 300.0 + rng.standard_normal(t.size)), window="1 min")
    share = 1.0 - len(found) / len(found.tested)
    assert abs(share - 0.05) < 4.0 * np.sqrt(0.05 * 0.95 / len(found.tested))
    assert found.untested >= 15
    many = steady_windows(record(t, 300.0 + rng.standard_normal(t.size)), window="1 min", step="30 s")
    assert len(many.tested) == pytest.approx(2 * len(found.tested), abs=3)


def test_what_cannot_be_tested_says_so() -> None:
    """Windows without samples enough, numbers out of range, names that are not there, and nothing in use."""
    run = record(np.arange(100.0), np.full(100, 300.0))
    with pytest.raises(DataError, match="holds 20 samples in use of T"):
        steady_windows(run, window="10 s")
    with pytest.raises(BoundsError, match="false_alarm"):
        steady_windows(run, window="1 min", false_alarm=0.0)
    with pytest.raises(BoundsError, match="window"):
        steady_windows(run, window="0 s")
    with pytest.raises(UnknownNameError):
        steady_windows(run, "U", window="1 min")
    with pytest.raises(UnknownNameError):
        steady_windows(run, window="1 min", tolerance={"U": "1 K"})
    bad = replace(run, series={"T": replace(run["T"], flags=np.full(100, Flag.BAD))})
    with pytest.raises(DataError):
        steady_windows(bad, window="1 min")


def test_slow_noise_is_told_from_a_drift_by_nobody() -> None:
    """Where the noise remembers longer than a part of a window, a note says so."""
    rng = np.random.default_rng(40)
    noise = lfilter([np.sqrt(1.0 - 0.95**2)], [1.0, -0.95], rng.standard_normal(6000))
    found = steady_windows(record(np.arange(6000.0), 300.0 + noise), window="1 min")
    assert any("look alike" in note for note in found.notes)


@needs_data("tclab")
def test_the_control_lab_comes_to_rest_before_its_heater_is_set_anew() -> None:
    """Heater at 70 % from 10 s, 30 % from 200 s, 80 % from 400 s: within 1 K it rests from 330 s to 390 s only."""
    run = tclab("siso_1s_601.csv")
    strict, loose = (steady_windows(run, window="30 s", tolerance={"T1": x}) for x in ("0.4 K", "1 K"))
    assert len(strict) == 0
    assert [one.start for one in loose] == [330.0, 360.0]
    assert loose[0].means["T1"] == pytest.approx(run["T1"].values[330:360].mean(), rel=1e-12)
    axes = loose.plot().axes
    assert len(axes) == 1 and len(axes[0].patches) == len(loose)
    axes[0].figure.canvas.draw()
    matplotlib.pyplot.close("all")
