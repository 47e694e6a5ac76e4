"""Means over windows: right values at the right times, with the noise that they really have."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

import physics_twin as pt
from physics_twin import datasets
from physics_twin.errors import BoundsError, DataError, UnknownNameError
from physics_twin.measurements import Channel, Exclusion, Experiment, Flag
from physics_twin.measurements.batches.batch import PhaseWindow
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.windows.averaging import average
from physics_twin.recipes import HOLD, RAMP, Phase, Recipe, Table, table
from physics_twin_models.heated_block import experiment as lab_record, heated_block
from tests.data_marks import needs_data
from tests.measurements.noises import record, remembering


def standardized(memory: float, *, irregular: bool = False, seed: int = 1) -> np.ndarray:
    """Errors of means over a minute in multiples of the noise they claim, of 12 records of a ramp."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(12):
        t = np.cumsum(rng.exponential(1.0, 6000)) if irregular else np.arange(6000.0)
        run = record(t, 300.0 + 0.01 * t + remembering(t, memory, rng))
        means = average(run, "1 min", compressed=False)["T"]
        found.append((means.values - 300.0 - 0.01 * means.times) / means.noise)
    return np.concatenate(found)


@pytest.mark.parametrize("irregular", [False, True])
@pytest.mark.parametrize("memory", [0.0, 1.0, 4.0, 10.0])
def test_means_miss_the_truth_by_the_noise_they_claim(memory: float, irregular: bool) -> None:
    """White and AR(1) noise: the standardized error of about 1200 means has variance 1.

    The variance of n independent squares is 2/n: 4 standard deviations are 0.16; neighboring means of remembering
    noise are a little alike and the memory itself is estimated, 0.04 more.
    """
    z = standardized(memory, irregular=irregular)
    assert abs(z.var() - 1.0) < 4.0 * np.sqrt(2.0 / z.size) + 0.04
    assert abs(z.mean()) < 5.0 / np.sqrt(z.size)


def test_white_samples_count_each() -> None:
    """60 white samples: noise_scale is 1/sqrt(60) exactly, value and time are plain means."""
    rng = np.random.default_rng(2)
    t = np.arange(600.0)
    run = record(t, 300.0 + rng.standard_normal(600))
    means = average(run, "1 min")["T"]
    np.testing.assert_allclose(means.noise_scale, 1.0 / np.sqrt(60.0), rtol=1e-12)
    np.testing.assert_allclose(means.times, np.arange(10) * 60.0 + 29.5, rtol=1e-12)
    np.testing.assert_allclose(means.values, run["T"].values.reshape(10, 60).mean(axis=1), rtol=1e-12)
    assert means.notes == ("means over 60 s of 60 samples",)


def test_the_note_says_how_many_samples_count() -> None:
    """phi = 0.8: 60 samples count as 60 / (1 + 2 sum (1 - k/60) 0.8^k) = 7.2; the note gives that within 15 %."""
    rng = np.random.default_rng(3)
    t = np.arange(20000.0)
    run = record(t, 300.0 + remembering(t, -1.0 / np.log(0.8), rng))
    note = average(run, "1 min")["T"].notes[0]
    assert "remembers" in note
    assert float(note.split("count as ")[1]) == pytest.approx(7.2, rel=0.15)


@pytest.mark.parametrize(("share", "expected"), [(0.01, 1.0), (0.2, 0.13)])
def test_a_converter_keeps_means_from_getting_better_than_its_steps(share: float, expected: float) -> None:
    """Noise far below a step of 0.5 K: means claim resolution/sqrt(12), and miss the truth by just that.

    With noise of a fifth of a step the rounding begins to average out (by sum 6/(pi k)^2 exp(-(2 pi k share)^2) =
    0.13; Widrow and Kollar 2008): the claim stays, on the safe side. The truth is level and spread evenly over a step,
    300 records: uniform squares over their mean have the variance 0.8, four standard deviations of their mean are 0.21.
    """
    rng = np.random.default_rng(4)
    t = np.arange(60.0)
    squares = []
    for _ in range(300):
        truth = 300.0 + 0.5 * rng.random()
        values = np.round((truth + 0.5 * share * rng.standard_normal(60)) / 0.5) * 0.5
        means = average(record(t, values, "0.05 K", checks=Checks(resolution="0.5 K")), "1 min")["T"]
        assert means.noise[0] == pytest.approx(0.5 / np.sqrt(12.0), rel=1e-12)
        squares.append(((means.values[0] - truth) / means.noise[0]) ** 2)
    assert abs(np.mean(squares) - expected) < 0.21 * expected + 0.02


def test_steps_that_nobody_declared_are_seen() -> None:
    """Values that repeat in steps of 0.5 K: the same floor, and the note names the step."""
    rng = np.random.default_rng(4)
    t = np.arange(3000.0)
    values = np.round((300.0 + 0.001 * t + 0.05 * rng.standard_normal(3000)) / 0.5) * 0.5
    seen = average(record(t, values, "0.05 K"), "1 min")["T"]
    assert seen.noise.min() == pytest.approx(0.5 / np.sqrt(12.0), rel=1e-6)
    assert "steps of 0.5 K" in seen.notes[0]


def test_noise_larger_than_the_steps_dithers_and_averages_out() -> None:
    """Noise of two steps: no floor, and the standardized error has variance 1 within 4 sqrt(2/1000)."""
    rng = np.random.default_rng(5)
    t = np.arange(60000.0)
    values = np.round((300.0 + rng.standard_normal(60000)) / 0.5) * 0.5
    noise = f"{np.sqrt(1.0 + 0.25 / 12.0)} K"
    means = average(record(t, values, noise, checks=Checks(resolution="0.5 K")), "1 min")["T"]
    z = (means.values - 300.0) / means.noise
    assert abs(z.var() - 1.0) < 4.0 * np.sqrt(2.0 / 1000.0)


def test_compressed_records_are_averaged_along_the_line() -> None:
    """A few points in a corner do not outweigh a long straight stretch, and the deadband stays.

    Straight lines through (0, 300), (58, 300), (59, 310), (60, 320): over the first minute the line has the mean
    300 + (0.5 * 1 * 10 + 1 * 15) / 60; the plain mean of the three points would be 303.3.
    """
    t = np.array([0.0, 58.0, 59.0, 60.0, 120.0])
    v = np.array([300.0, 300.0, 310.0, 320.0, 320.0])
    run = record(t, v, "0.01 K", checks=Checks(deadband="0.5 K"))
    means = average(run, "1 min")["T"]
    assert means.values[0] == pytest.approx(300.0 + 20.0 / 60.0, rel=1e-12)
    assert means.values[1] == pytest.approx(320.0, rel=1e-12)
    np.testing.assert_allclose(means.times[:2], [30.0, 90.0], rtol=1e-12)
    np.testing.assert_allclose(means.noise, 0.5 / np.sqrt(3.0), rtol=1e-12)
    assert "taken over time" in "; ".join(means.notes)


def stored(t: np.ndarray, y: np.ndarray, deadband: float) -> np.ndarray:
    """Which samples swinging door keeps: the corners of a line that passes all others within the deadband."""
    kept, anchor, low, high = [0], 0, -np.inf, np.inf
    for i in range(1, t.size):
        slopes = [(y[i] + side * deadband - y[anchor]) / (t[i] - t[anchor]) for side in (-1.0, 1.0)]
        low, high = max(low, slopes[0]), min(high, slopes[1])
        if low > high:
            anchor = i - 1
            kept.append(anchor)
            low, high = ((y[i] + side * deadband - y[anchor]) / (t[i] - t[anchor]) for side in (-1.0, 1.0))
    return np.array([*kept, t.size - 1])


@pytest.mark.parametrize("checks", [Checks(deadband="0.5 K"), None])
def test_means_of_a_compressed_record_are_those_of_the_plant_within_the_noise_they_claim(checks: Checks | None) -> None:
    """Swinging door, declared or seen in the samples: errors of 10-minute means stay within what they claim.

    The root mean square of the standardized error is below 1, and plain means over the stored points are twice as far
    off or more, since points crowd where the plant moves.
    """
    rng = np.random.default_rng(44)
    t = np.arange(36_000.0)
    truth = 300.0 + 15.0 * np.exp(-((t % 3600.0) - 600.0).clip(0.0) / 300.0) * ((t % 3600.0) >= 600.0)
    y = truth + 0.1 * rng.standard_normal(t.size)
    kept = stored(t, y, 0.5)
    assert kept.size < t.size / 10
    means = average(record(t[kept], y[kept], "0.1 K", checks=checks), "10 min")["T"]
    expected = np.array([truth[int(k // 600) * 600 :][:600].mean() for k in means.times])
    error = means.values - expected
    assert np.sqrt(np.mean((error / means.noise) ** 2)) < 1.0
    plain = average(record(t[kept], y[kept], "0.1 K"), "10 min", compressed=False)["T"]
    assert np.sqrt(np.mean((plain.values - expected) ** 2)) > 2.0 * np.sqrt(np.mean(error**2))
    text = "; ".join(means.notes)
    assert "declared deadband of 0.5 K" in text if checks else "swinging door, as it looks" in text


def test_values_of_exception_reporting_hold_until_the_next() -> None:
    """A value that stays within the deadband for an hour weighs an hour: means of held values, not of lines."""
    rng = np.random.default_rng(45)
    t = np.cumsum(rng.integers(5, 120, 400)).astype(float)
    v = 300.0 + np.cumsum(np.where(rng.random(400) < 0.5, -1.0, 1.0) * rng.uniform(1.0, 1.6, 400))
    means = average(record(t, v, "0.1 K"), "1 h")["T"]
    fine = np.arange(7200.0, 10800.0, 0.5) + 0.25
    held = v[np.searchsorted(t, fine, side="right") - 1]
    assert means.values[2] == pytest.approx(held.mean(), rel=1e-12)
    assert means.times[2] == pytest.approx(9000.0)
    assert "exception" in "; ".join(means.notes)


def test_lines_are_not_drawn_across_what_cannot_be_used() -> None:
    """A bad point between two others ends the line on both sides; the mean is that of the rest of the window."""
    t = np.array([0.0, 20.0, 40.0, 50.0, 60.0])
    v = np.array([300.0, 300.0, np.inf, 310.0, 310.0])
    means = average(record(t, v, checks=Checks(deadband="0.5 K")), "1 min")["T"]
    assert means.values[0] == pytest.approx((20.0 * 300.0 + 10.0 * 310.0) / 30.0, rel=1e-12)


def test_a_straight_line_is_averaged_without_error_however_it_is_sampled() -> None:
    """Irregular times, gaps and uneven noise: mean value and mean time lie on the line to rounding."""
    rng = np.random.default_rng(6)
    t = np.sort(rng.uniform(0.0, 3600.0, 500))
    t = t[(t < 1000.0) | (t > 1500.0)]
    run = record(t, 300.0 + 0.02 * t)
    uneven = replace(run["T"], noise_scale=rng.uniform(0.5, 3.0, t.size))
    for one in (run, replace(run, series={"T": uneven})):
        means = average(one, "5 min")["T"]
        np.testing.assert_allclose(means.values, 300.0 + 0.02 * means.times, rtol=0, atol=1e-9)


def test_uneven_samples_weigh_by_their_noise() -> None:
    """Inverse-variance weights: 1 sample of noise 1 and 3 of noise 2 have the noise 1/sqrt(1 + 3/4)."""
    run = record(np.arange(4.0), np.array([300.0, 301.0, 301.0, 301.0]))
    run = replace(run, series={"T": replace(run["T"], noise_scale=np.array([1.0, 2.0, 2.0, 2.0]))})
    means = average(run, "1 min")["T"]
    assert means.noise_scale is not None
    assert means.noise_scale[0] == pytest.approx(1.0 / np.sqrt(1.75), rel=1e-12)
    assert means.values[0] == pytest.approx(300.0 + 0.75 / 1.75, rel=1e-12)


def test_averages_of_averages_are_averages() -> None:
    """White noise: ten minutes from one-minute means is ten minutes from the samples, in value, time and noise."""
    rng = np.random.default_rng(8)
    t = np.arange(3600.0)
    run = record(t, 300.0 + rng.standard_normal(3600))
    twice, once = average(average(run, "1 min"), "10 min")["T"], average(run, "10 min")["T"]
    for key in ("values", "times", "noise_scale"):
        np.testing.assert_allclose(getattr(twice, key), getattr(once, key), rtol=1e-12)


def test_curvature_is_noted_where_it_exceeds_the_noise() -> None:
    """y = 0.001 t^2 shifts the mean of a minute by 0.001 * 60^2 / 12 = 0.3 K; a straight line brings no note."""
    rng = np.random.default_rng(9)
    t = np.arange(1200.0)
    noise = 0.01 * rng.standard_normal(1200)
    bent = average(record(t, 300.0 + 0.001 * t**2 + noise, "0.01 K"), "1 min")["T"]
    assert any("bends" in note and "0.3 K" in note for note in bent.notes)
    straight = average(record(t, 300.0 + t + noise, "0.01 K"), "1 min")["T"]
    assert not any("bends" in note for note in straight.notes)


def test_flags_and_missing_windows_are_kept() -> None:
    """Suspect stays suspect; windows of bad samples, of one censored sample, and of too few are missing and noted."""
    t = np.arange(0.0, 300.0, 10.0)
    run = record(t, 300.0 + 0.01 * np.arange(30.0) ** 1.5)
    flags = run["T"].flags.copy()
    flags[2] = Flag.SUSPECT
    flags[6:12] = Flag.BAD  # the second minute
    flags[19:24] = Flag.MISSING  # one sample is left in the fourth
    censored = np.zeros(30, dtype=np.int8)
    censored[14] = -1
    run = replace(run, series={"T": replace(run["T"], flags=flags, censored=censored)})
    means = average(run, "1 min", least=2)["T"]
    assert means.flags.tolist() == [Flag.SUSPECT, Flag.MISSING, Flag.MISSING, Flag.MISSING, Flag.GOOD]
    np.testing.assert_allclose(means.times[1:4], [90.0, 150.0, 210.0])
    assert np.isnan(means.values[1:4]).all()
    assert means.used.tolist() == [True, False, False, False, True]
    text = "; ".join(means.notes)
    for words in ("censored", "fewer than 2 samples", "no sample in use"):
        assert f"1 window holds {'a ' if words == 'censored' else ''}{words}" in text


def test_what_was_left_out_stays_left_out() -> None:
    """Means of samples left out are left out for the same reason, and do not mix with the others of their window."""
    t = np.arange(120.0)
    run = Experiment.from_arrays(
        "run",
        t,
        {"T": np.where(t < 30.0, 500.0, 300.0)},
        channels=[Channel("T", unit="K", noise="1 K")],
        exclude=[Exclusion("0 s", "29.5 s", "door open", by="J. Doe")],
    )
    means = average(run, "1 min")["T"]
    assert means.values.tolist() == [500.0, 300.0, 300.0]
    assert means.left_out.tolist() == [1, 0, 0]
    assert means.reasons == ("excluded: door open (J. Doe)",)


def test_all_else_stays_and_provenance_says_what_was_done() -> None:
    """Context, phases, recipe, time zero, notes and earlier selections stay; other channels are not touched."""
    zero = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    t = np.arange(600.0)
    run = Experiment.from_arrays(
        "run",
        t,
        {"T": np.full(600, 300.0), "U": np.full(600, 310.0)},
        channels=[Channel(name, unit="K", noise="1 K") for name in ("T", "U")],
        context={"lot": "A7"},
        t0_utc=zero,
    )
    run = replace(run, phases=(PhaseWindow("soak", 0.0, 300.0),)).between(0.0, 599.0)
    means = average(run, "1 min", outputs=["T"])
    assert means["U"] == run["U"]
    assert (means.context, means.phases, means.t0_utc, means.recipe) == (run.context, run.phases, zero, run.recipe)
    assert means.provenance.selections == (*run.provenance.selections, "means over 60 s of T")
    assert "selected: means over 60 s of T" in str(means)


def test_results_of_the_laboratory_are_known_when_their_last_is() -> None:
    """`reported` of a mean is the latest of its samples; NaN where none is known."""
    run = record(np.array([0.0, 10.0, 70.0]), np.array([300.0, 301.0, 302.0]))
    run = replace(run, series={"T": replace(run["T"], reported=np.array([500.0, np.nan, np.nan]))})
    reported = average(run, "1 min")["T"].reported
    assert reported is not None
    np.testing.assert_array_equal(reported, [500.0, np.nan])


def test_edges_are_hit_in_spite_of_rounding() -> None:
    """0.1 s added up to an hour: every window of a minute has 600 samples."""
    t = np.cumsum(np.full(36000, 0.1)) - 0.1
    assert average(record(t, np.full(36000, 300.0)), "1 min")["T"].notes[0].startswith("means over 60 s of 600 samples")


def test_times_before_zero_and_unreadable_ones() -> None:
    """Windows go on to the left of time zero; a sample without a time is in none."""
    run = record(np.array([-90.0, -30.0, np.nan, 30.0]), np.array([1.0, 2.0, 3.0, 4.0]) + 300.0)
    means = average(run, "1 min")["T"]
    assert means.values.tolist() == [301.0, 302.0, 304.0]
    assert means.times.tolist() == [-90.0, -30.0, 30.0]


def test_recorded_inputs_are_averaged_when_asked() -> None:
    """A held table keeps its integral over whole windows exactly, a ramp its means; without `inputs` all stays."""
    rng = np.random.default_rng(10)
    t = np.arange(0.0, 3601.0)
    held, ramped = rng.random(t.size), np.cumsum(rng.standard_normal(t.size))
    recipe = Recipe(
        [Phase("recorded", duration="3600 s", u=table(t, held, "1", HOLD), w=table(t, ramped, "1", RAMP), z="1 K")]
    )
    run = Experiment.from_arrays(
        "run", t, {"T": np.full(t.size, 300.0)}, channels=[Channel("T", unit="K", noise="1 K")], recipe=recipe
    )
    assert average(run, "1 min").recipe == recipe
    inputs = average(run, "1 min", inputs=True).recipe.phases[0].inputs
    u, w = inputs["u"], inputs["w"]
    assert isinstance(u, Table) and isinstance(w, Table)
    assert len(u.times) == 61
    np.testing.assert_allclose(u.values[:60], held[:3600].reshape(60, 60).mean(axis=1), rtol=1e-12)
    trapezoid = 0.5 * (ramped[:-1] + ramped[1:])
    np.testing.assert_allclose(w.values[1:-1], trapezoid.reshape(60, 60).mean(axis=1), rtol=1e-9, atol=1e-12)
    assert (w.values[0], w.values[-1], w.times[-1]) == (ramped[0], ramped[-1], 3600.0)
    assert inputs["z"] == "1 K"


@settings(max_examples=60, deadline=None)
@given(
    times=arrays(np.float64, 40, elements=st.one_of(st.floats(-500.0, 5000.0), st.just(np.nan))),
    values=arrays(np.float64, 40, elements=st.one_of(st.floats(250.0, 400.0), st.just(np.nan))),
    codes=arrays(np.int8, 40, elements=st.sampled_from([1, 1, 1, 3, 4])),
    out=arrays(np.int8, 40, elements=st.sampled_from([0, 0, 0, 1])),
    period=st.floats(0.5, 10_000.0),
)
def test_whatever_the_record_no_information_is_lost_or_made(times, values, codes, out, period) -> None:  # type: ignore[no-untyped-def]
    """Any times, NaN, flags and left-out samples: as much is known after averaging as before, and no more.

    Where all samples count as white, sum 1/noise_scale^2 is the number of samples in use, and the means weighted by it
    have the mean of the samples; noise that remembers or steps only take away. Means lie among the samples.
    """
    run = record(times, values)
    series = replace(run["T"], flags=np.maximum(run["T"].flags, codes), left_out=out, reasons=("by hand",))
    n = int(series.used.sum())
    run = replace(run, series={"T": series})
    if n == 0:
        with pytest.raises(DataError):
            average(run, (period, "s"), compressed=False)
        return
    means = average(run, (period, "s"), compressed=False)["T"]
    assert means.noise_scale is not None
    weight = means.noise_scale[means.used] ** -2.0
    assert weight.sum() <= n * (1.0 + 1e-9)
    if not any("remembers" in note or "falls no further" in note for note in means.notes):
        assert weight.sum() == pytest.approx(n, rel=1e-9)
        assert (weight @ means.values[means.used]) / n == pytest.approx(series.values[series.used].mean(), rel=1e-9)
    used = series.values[series.used]
    assert used.min() - 1e-9 <= means.values[means.used].min() <= means.values[means.used].max() <= used.max() + 1e-9
    assert (np.diff(means.times) >= 0.0).all()


def test_what_cannot_be_averaged_says_so() -> None:
    """Clear errors: no mean left, numbers out of range, names that are not there, units that are no time."""
    run = record(np.arange(10.0), np.full(10, 300.0))
    with pytest.raises(DataError, match="no window of 1 s holds 5 samples"):
        average(run, "1 s", least=5)
    with pytest.raises(BoundsError, match="not above 0"):
        average(run, "0 s")
    with pytest.raises(BoundsError, match="least"):
        average(run, "1 s", least=0)
    with pytest.raises(UnknownNameError, match="Tx"):
        average(run, "1 s", outputs=["Tx"])
    with pytest.raises(pt.UnitError):
        average(run, "1 K")
    bad = replace(run, series={"T": replace(run["T"], flags=np.full(10, Flag.BAD))})
    with pytest.raises(DataError):
        average(bad, "1 min")


@pytest.mark.parametrize("compressed", [False, True])
def test_no_mean_is_of_two_phases(compressed: bool) -> None:
    """From 20 to 80 at the boundary at 310 s: windows of 100 s are cut there, and every mean is 20 or 80."""
    t = np.arange(0.0, 601.0, 10.0)
    run = record(t, np.where(t < 310.0, 20.0, 80.0))
    run = replace(run, phases=(PhaseWindow("heat", 0.0, 310.0), PhaseWindow("hold", 310.0, 600.0)))
    means = average(run, "100 s", compressed=compressed)["T"]
    if not compressed:  # a stored line may run through the boundary, from 20 at 300 s to 80 at 310 s
        assert sorted(set(means.values.tolist())) == [20.0, 80.0]
    assert (means.values[means.times >= 310.0] == 80.0).all()
    assert np.count_nonzero((means.times >= 300.0) & (means.times < 400.0)) == 2


@needs_data("tclab")
def test_a_fit_of_averages_is_the_fit_of_the_samples() -> None:
    """Control lab, ten samples to a mean: the modes differ by less than a tenth of a standard deviation of the draws.

    The standard deviations agree within 25 %: both rest on about four effective samples of a slow misfit.
    """
    run = lab_record(datasets.load("tclab").path("mimo_1s_600.csv"))
    unknown = ("film_coefficient", "exchange_coefficient", "heater_1_gain", "heater_2_gain", "sensor_time_constant")
    fits = [pt.calibrate(heated_block(), one, unknown=unknown, rng=3) for one in (run, average(run, "10 s"))]
    for name in unknown:
        draws = [one.draws.sel(parameter=name).values for one in fits]
        sd = [float(np.std(one)) for one in draws]
        assert abs(fits[0].mode[name] - fits[1].mode[name]) < 0.1 * sd[0], name
        assert sd[1] / sd[0] == pytest.approx(1.0, abs=0.25), name
