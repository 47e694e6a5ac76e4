"""Delays between channels: intervals that hold the truth as often as they say, and no number out of nothing."""

from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.signal import lfilter

from physics_twin.errors import BoundsError, DataError, UnknownNameError
from physics_twin.measurements import Channel, Experiment, Flag
from physics_twin.measurements.relations.delays import Delay, find_delay
from physics_twin.recipes import HOLD, RAMP, Recipe, Rule
from tests.data_marks import needs_data
from tests.measurements.noises import remembering
from tests.measurements.test_real_records import tclab

matplotlib.use("Agg")
END = 1500
GRID = np.arange(float(END))
CHANNEL = Channel("y", unit="K", noise="0.3 K")


def wandering(rng: np.random.Generator) -> np.ndarray:
    """A source that wanders within a minute, smooth over 9 s, a value a second."""
    return np.convolve(remembering(GRID, 60.0, rng), np.ones(9) / 9.0, "same")


def stepping(rng: np.random.Generator) -> np.ndarray:
    """A source that is set anew every 100 s."""
    return np.repeat(rng.standard_normal(END // 100), 100)


def driven(
    seed: int, delay: float, *, rule: Rule = RAMP, memory: float = 5.0, lag: float = 0.0, n: int = 250
) -> Experiment:
    """An output at irregular times that follows the recorded input u."""
    rng = np.random.default_rng(seed)
    u = stepping(rng) if rule is HOLD else wandering(rng)
    t = np.sort(rng.uniform(0.0, END - 1.0, n))
    if lag > 0.0:
        fine = np.arange(0.0, END - 1.0, 0.05)
        h = 0.05 / lag
        x = u[fine.astype(int)] if rule is HOLD else np.interp(fine, GRID, u)
        z, _ = lfilter([1.0 - np.exp(-h)], [1.0, -np.exp(-h)], x, zi=[np.exp(-h) * x[0]])
        follows = np.interp(t - delay, fine, z)
    elif rule is HOLD:
        follows = u[np.maximum(np.floor(t - delay).astype(int), 0)]
    else:
        follows = np.interp(t - delay, GRID, u)
    y = 300.0 + 2.0 * follows + 0.3 * remembering(t, memory, rng)
    recipe = Recipe.from_table(GRID, {"u": (u, "percent", rule)})
    return Experiment.from_arrays("run", t, {"y": y}, channels=[CHANNEL], recipe=recipe)


def coverage(found: list[tuple[float, Delay]]) -> float:
    """Share of intervals that hold the true delay."""
    return float(np.mean([delay.low <= truth <= delay.high for truth, delay in found]))


def allowed(share: float, n: int) -> float:
    """Four binomial standard deviations below the stated probability."""
    return share - 4.0 * np.sqrt(share * (1.0 - share) / n)


@pytest.mark.parametrize("memory", [0.0, 5.0, 20.0])
@pytest.mark.parametrize("rule", [RAMP, HOLD])
def test_intervals_hold_the_delay_behind_an_input(rule: Rule, memory: float) -> None:
    """Irregular sampling, delays of any length, white and AR(1) noise: 95 % intervals of 40 runs, and they are narrow.

    The median width stays below 2 s, a third of the usual step between samples (6 s).
    """
    truths = np.random.default_rng(50).uniform(10.0, 60.0, 40)
    found = [
        (d, find_delay(driven(k, d, rule=rule, memory=memory), "u", "y", longest="90 s"))
        for k, d in enumerate(truths.tolist())
    ]
    assert coverage(found) >= allowed(0.95, 40)
    assert np.median([one.high - one.low for _, one in found]) < 2.0


def test_half_of_the_intervals_of_fifty_percent_hold_the_delay() -> None:
    """An interval that always holds it would be as wrong: 50 % intervals of 64 runs, within four deviations, 0.25."""
    truths = np.random.default_rng(51).uniform(10.0, 60.0, 64)
    found = [
        (d, find_delay(driven(k, d), "u", "y", longest="90 s", probability=0.5)) for k, d in enumerate(truths.tolist())
    ]
    assert abs(coverage(found) - 0.5) < 0.25


@pytest.mark.parametrize("memory", [0.0, 20.0])
def test_intervals_hold_the_delay_behind_a_noisy_channel_at_times_of_its_own(memory: float) -> None:
    """The source is known by noisy samples at irregular times only: 95 % intervals of 40 runs."""
    found = []
    for k, d in enumerate(np.random.default_rng(52).uniform(10.0, 60.0, 40).tolist()):
        rng = np.random.default_rng(k)
        u = wandering(rng)
        tx, t = (np.sort(rng.uniform(0.0, END - 1.0, n)) for n in (400, 250))
        x = np.interp(tx, GRID, u) + 0.05 * rng.standard_normal(tx.size)
        y = 300.0 + 2.0 * np.interp(t - d, GRID, u) + 0.3 * remembering(t, memory, rng)
        run = Experiment.from_arrays(
            "run", {"y": t, "x": tx}, {"y": y, "x": x}, channels=[CHANNEL, Channel("x", unit="1", noise="0.05")]
        )
        found.append((d, find_delay(run, "x", "y", longest="90 s")))
    assert coverage(found) >= allowed(0.95, 40)


def test_intervals_widen_where_the_noise_is_largest_just_when_the_source_moves() -> None:
    """Noise in proportion to the speed of the source: 95 % intervals of 40 runs; the plain likelihood holds 78 %."""
    found = []
    for k, d in enumerate(np.random.default_rng(54).uniform(10.0, 60.0, 40).tolist()):
        rng = np.random.default_rng(k)
        u = wandering(rng)
        t = np.sort(rng.uniform(0.0, END - 1.0, 250))
        speed = np.abs(np.interp(t - d, GRID, np.gradient(u)))
        noise = 0.3 * speed / np.sqrt(np.mean(speed**2)) * rng.standard_normal(t.size)
        run = Experiment.from_arrays(
            "run",
            t,
            {"y": 300.0 + 2.0 * np.interp(t - d, GRID, u) + noise},
            channels=[CHANNEL],
            recipe=Recipe.from_table(GRID, {"u": (u, "percent", RAMP)}),
        )
        found.append((d, find_delay(run, "u", "y", longest="90 s")))
    assert coverage(found) >= allowed(0.95, 40)


def test_two_equal_sensors_on_one_clock_do_not_draw_the_delay_to_the_middle_of_a_step() -> None:
    """Both sampled every 4 s with equal noise, true delay 12 s = 3 steps: the mean of 30 estimates is 12 s.

    Straight lines between noisy samples would be drawn to 10 s or 14 s. Four standard errors of the mean.
    """
    values = []
    for k in range(30):
        rng = np.random.default_rng(k)
        u = wandering(rng)
        t = np.arange(0.0, END, 4.0)
        x, y = (np.interp(t - d, GRID, u) + 0.3 * rng.standard_normal(t.size) for d in (0.0, 12.0))
        channels = [Channel(name, unit="1", noise="0.3") for name in ("x", "y")]
        run = Experiment.from_arrays("run", t, {"x": x, "y": y}, channels=channels)
        values.append(find_delay(run, "x", "y", longest="1 min").value)
    assert abs(np.mean(values) - 12.0) < 4.0 * np.std(values) / np.sqrt(30)
    assert np.std(values) < 1.0


def test_a_lag_is_told_from_a_delay() -> None:
    """Lag 30 s behind a stepping input: 95 % intervals of 5 runs hold the delay; without lag=True they are far off."""
    found = [
        (20.0, find_delay(driven(k, 20.0, rule=HOLD, lag=30.0), "u", "y", longest="90 s", lag=True)) for k in range(10)
    ]
    assert coverage(found) >= allowed(0.95, 5)
    assert np.median([one.lag for _, one in found]) == pytest.approx(30.0, rel=0.1)
    plain = find_delay(driven(0, 20.0, rule=HOLD, lag=30.0, memory=0.0), "u", "y", longest="90 s")
    assert plain.low > 20.0


def test_the_answer_names_its_numbers() -> None:
    """Gain, correlation, memory, words and times are those of the fit."""
    run = driven(3, 33.3, memory=8.0)
    found = find_delay(run, "u", "y", longest="90 s")
    assert found.gain == pytest.approx(200.0, rel=0.1)  # 2 K for a hundredth of the input's SI
    assert 0.9 < found.correlation <= 1.0
    assert 2.0 < found.memory < 25.0
    assert "y follows u after 33." in str(found) and "95 % interval" in str(found)
    assert found.times.min() >= 90.0 and found.n_samples == found.times.size == found.observed.size
    low, high = found.delays[[0, -1]]
    assert (low, high) == (0.0, 90.0)


def test_an_inverse_response_has_a_negative_correlation() -> None:
    """A cooling valve: gain and correlation are below zero, the delay is the same."""
    run = driven(4, 25.0)
    flipped = replace(run, series={"y": replace(run["y"], values=600.0 - run["y"].values)})
    one, other = (find_delay(x, "u", "y", longest="90 s") for x in (run, flipped))
    assert other.value == pytest.approx(one.value, abs=1e-9)
    assert other.gain == pytest.approx(-one.gain, rel=1e-9)
    assert other.correlation == pytest.approx(-one.correlation, abs=1e-9)


def test_units_and_offsets_do_not_matter() -> None:
    """The output times 1000 with another zero: the same delay and interval."""
    run = driven(5, 41.7)
    scaled = replace(run, series={"y": replace(run["y"], values=1000.0 * run["y"].values - 7.0)})
    one, other = (find_delay(x, "u", "y", longest="90 s") for x in (run, scaled))
    assert (other.value, other.low, other.high) == pytest.approx((one.value, one.low, one.high), abs=1e-6)


def test_nothing_is_told_where_nothing_moves_or_follows() -> None:
    """A constant input, a channel that is noise only, an unrelated output: DataError, and not a number."""
    rng = np.random.default_rng(60)
    run = driven(6, 20.0)
    still = Recipe.from_table(GRID, {"u": (np.full(GRID.size, 5.0), "percent", RAMP)})
    with pytest.raises(DataError, match="u does not move"):
        find_delay(replace(run, recipe=still), "u", "y", longest="1 min")
    late = Recipe.from_table([0.0, END - 1.0, END], {"u": ([5.0, 5.0, 90.0], "percent", HOLD)})
    with pytest.raises(DataError, match="u does not move"):  # in the very last row only
        find_delay(replace(run, recipe=late), "u", "y", longest="1 min", at_rest=True)
    t = np.arange(0.0, END, 4.0)
    quiet = Experiment.from_arrays(
        "run",
        t,
        {"x": 0.1 * rng.standard_normal(t.size), "y": 300.0 + rng.standard_normal(t.size)},
        channels=[Channel("x", unit="1", noise="0.1"), CHANNEL],
    )
    with pytest.raises(DataError, match=r"does not (move|follow)"):
        find_delay(quiet, "x", "y", longest="1 min")


@pytest.mark.parametrize("memory", [0.0, 20.0])
def test_an_unrelated_output_gets_no_delay(memory: float) -> None:
    """30 pairs that have nothing to do with one another: at most 1 passes (one chance in a thousand each)."""
    n_passed = 0
    for k in range(30):
        run = driven(k, 20.0, memory=memory)
        other = driven(k + 1000, 20.0, memory=memory)
        try:
            find_delay(replace(run, recipe=other.recipe), "u", "y", longest="90 s")
        except DataError as error:
            assert "does not follow" in str(error)
        else:
            n_passed += 1
    assert n_passed <= 1


def test_the_ends_of_the_search_are_said() -> None:
    """No delay, and one at the end of the search: the notes say that the interval stops there."""
    none = find_delay(driven(7, 0.0), "u", "y", longest="30 s")
    assert none.low == 0.0
    assert any("begins at 0 s" in note for note in none.notes)
    long = find_delay(driven(7, 30.0), "u", "y", longest="30 s")
    assert any("longer longest=" in note for note in long.notes)


def test_what_was_before_the_record_is_unknown_unless_said() -> None:
    """A step at 20 s and a record of 80 s: longest="1 min" leaves too little, at_rest=True finds the delay."""
    rng = np.random.default_rng(61)
    t = np.arange(0.0, 80.0)
    y = 300.0 + 5.0 * (t >= 30.5) + 0.1 * rng.standard_normal(80)
    recipe = Recipe.from_table([0.0, 20.0, 79.0], {"u": ([0.0, 1.0, 1.0], "1", HOLD)})
    run = Experiment.from_arrays("run", t, {"y": y}, channels=[CHANNEL], recipe=recipe)
    with pytest.raises(DataError, match=r"u does not move|is known for"):
        find_delay(run, "u", "y", longest="62 s")
    found = find_delay(run, "u", "y", longest="1 min", at_rest=True)
    assert found.low <= 10.5 <= found.high
    assert found.high - found.low < 1.5  # between two samples all delays are alike
    assert any("held its first value" in note for note in found.notes)


def test_bad_samples_and_gaps_of_the_source_are_kept_out() -> None:
    """A gap of the source drops the samples of the output that it would have to explain, and no others."""
    rng = np.random.default_rng(62)
    u = wandering(rng)
    t = np.arange(0.0, END, 3.0)
    y = 300.0 + 2.0 * np.interp(t - 20.0, GRID, u) + 0.1 * rng.standard_normal(t.size)
    x = np.interp(t, GRID, u) + 0.02 * rng.standard_normal(t.size)
    x[200:240] = np.nan  # 600 s to 717 s
    run = Experiment.from_arrays("run", t, {"y": y, "x": x}, channels=[CHANNEL, Channel("x", unit="1", noise="0.02")])
    flags = run["y"].flags.copy()
    flags[300] = Flag.BAD
    run = replace(run, series={**run.series, "y": replace(run["y"], flags=flags)})
    found = find_delay(run, "x", "y", longest="1 min")
    assert found.low <= 20.0 <= found.high
    assert not ((found.times > 610.0) & (found.times < 770.0)).any()
    assert t[300] not in found.times
    assert ((found.times > 60.0) & (found.times < 590.0)).sum() > 170


def test_what_cannot_be_asked_says_so() -> None:
    """Names that are not there, inputs that are not recorded, numbers out of range, one channel for both."""
    run = driven(8, 20.0)
    with pytest.raises(UnknownNameError):
        find_delay(run, "u", "z")
    with pytest.raises(UnknownNameError, match="w"):
        find_delay(run, "w", "y")
    with pytest.raises(DataError, match="source and as output"):
        find_delay(run, "y", "y")
    with pytest.raises(BoundsError, match="longest"):
        find_delay(run, "u", "y", longest="0 s")
    with pytest.raises(BoundsError, match="probability"):
        find_delay(run, "u", "y", probability=95.0)
    held = replace(run, recipe=Recipe.constant(u="5 percent"))
    with pytest.raises(DataError, match="not given by rows"):
        find_delay(held, "u", "y")
    few = run.first(10)
    with pytest.raises(DataError, match="10 samples"):
        find_delay(few, "u", "y")


@needs_data("tclab")
def test_the_heater_of_the_control_lab_acts_after_some_ten_seconds() -> None:
    """First-order lag of minutes, and a delay of 5 s to 25 s, as others find on this board (about 15 s to 20 s)."""
    found = find_delay(tclab("siso_1s_601.csv"), "heater_1", "T1", longest="1 min", lag=True, at_rest=True)
    assert 5.0 < found.low < found.value < found.high < 25.0
    assert 100.0 < found.lag < 250.0
    assert found.correlation > 0.99
    axes = found.plot().axes
    assert [one.get_xlabel() for one in axes] == ["time / s", "delay / s"]
    axes[0].figure.canvas.draw()
    plt.close("all")
