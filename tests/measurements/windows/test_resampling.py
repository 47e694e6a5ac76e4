"""Samples on a coarser grid: no value twice, no information made up."""

from dataclasses import replace

import numpy as np
import pytest

from physics_twin.errors import BoundsError, DataError, UnknownNameError
from physics_twin.measurements import Channel, Experiment, Flag
from physics_twin.measurements.windows.resampling import resample
from tests.data_marks import needs_data
from tests.measurements.noises import record, remembering
from tests.measurements.test_real_records import tclab


def test_samples_on_the_grid_are_taken_as_they_are() -> None:
    """Every sixtieth of a regular record, with its own noise."""
    run = record(np.arange(600.0), 300.0 + np.arange(600.0))
    found = resample(run, "1 min")["T"]
    assert found.times.tolist() == (60.0 * np.arange(10)).tolist()
    assert found.values.tolist() == (300.0 + 60.0 * np.arange(10)).tolist()
    assert found.noise_scale is not None
    assert found.noise_scale.tolist() == [1.0] * 10


@pytest.mark.parametrize("memory", [0.0, 3.0])
def test_errors_have_the_noise_they_claim_and_stay_independent(memory: float) -> None:
    """Irregular samples of a line: standardized errors of 20 records have variance 1 within 4 sqrt(2/n).

    White noise: neighbors on the grid correlate by less than 4/sqrt(n), since no sample is used twice.
    """
    rng = np.random.default_rng(21)
    z, neighbors = [], []
    for _ in range(20):
        t = np.cumsum(rng.exponential(1.0, 2000))
        found = resample(record(t, 300.0 + 0.5 * t + remembering(t, memory, rng)), "5 s")["T"]
        error = ((found.values - 300.0 - 0.5 * found.times) / found.noise)[found.used]
        z.append(error)
        neighbors.append(error[1:] * error[:-1])
    every, products = np.concatenate(z), np.concatenate(neighbors)
    assert abs(every.var() - 1.0) < 4.0 * np.sqrt(2.0 / every.size) + (0.03 if memory else 0.0)
    if memory == 0.0:
        assert abs(products.mean()) < 4.0 / np.sqrt(products.size)


def test_no_sample_serves_two_grid_times() -> None:
    """Period 1.2 steps: changing one sample changes one value of the grid at most."""
    t = np.arange(60.0)
    values = 300.0 + np.sin(t)
    run = record(t, values)
    base = resample(run, "1.2 s")["T"]
    for k in range(60):
        moved = values.copy()
        moved[k] += 1.0
        other = resample(record(t, moved), "1.2 s")["T"]
        assert (np.abs(other.values - base.values) > 1e-9).sum() <= 1
    assert base.counts[Flag.MISSING] > 0
    assert any("no samples of their own" in note for note in base.notes)


def test_finer_than_the_samples_is_refused() -> None:
    """The message says which channel and what to do; the others can be resampled by name."""
    t = np.arange(600.0)
    run = Experiment.from_arrays(
        "run",
        {"T": t, "lab": t[::100]},
        {"T": 300.0 + t, "lab": np.full(6, 1.0)},
        channels=[Channel("T", unit="K", noise="1 K"), Channel("lab", unit="1", noise="0.1")],
    )
    with pytest.raises(DataError, match="lab: a sample every 10 s from samples every 100 s would create information"):
        resample(run, "10 s")
    some = resample(run, "10 s", outputs="T")
    assert some["lab"] == run["lab"]
    assert some.provenance.selections == ("every 10 s: T",)


def test_nothing_is_drawn_across_gaps_or_from_unusable_samples() -> None:
    """Grid times in a gap of more than a period are missing; bad samples give nothing; suspect ones pass it on."""
    t = np.concatenate([np.arange(0.5, 30.0), np.arange(60.5, 90.0)])
    run = record(t, 300.0 + t)
    flags = run["T"].flags.copy()
    flags[:5] = Flag.BAD
    flags[9] = Flag.SUSPECT  # at 9.5 s, one of the two around 10 s
    found = resample(replace(run, series={"T": replace(run["T"], flags=flags)}), "5 s")["T"]
    missing = found.times[found.flags == Flag.MISSING].tolist()
    assert missing == [30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0]
    assert found.times[0] == 10.0
    assert found.flags[0] == Flag.SUSPECT
    np.testing.assert_allclose(found.values[found.used], 300.0 + found.times[found.used], rtol=1e-12)


def test_what_cannot_be_resampled_says_so() -> None:
    """Numbers out of range, names that are not there, and a grid without any sample near."""
    run = record(np.array([10.0, 20.0]), np.array([300.0, 301.0]))
    with pytest.raises(BoundsError):
        resample(run, "-1 s")
    with pytest.raises(UnknownNameError):
        resample(run, "1 min", outputs=["U"])
    with pytest.raises(DataError, match="near any multiple"):
        resample(run, "1 min")


@needs_data("tclab")
def test_the_control_lab_on_a_grid_of_ten_seconds() -> None:
    """599 samples a little over 1 s apart: 60 values, each between its neighbors, with no more noise than a sample."""
    run = tclab("mimo_1s_600.csv")
    found = resample(run, "10 s")["T1"]
    assert found.used.sum() == 60
    assert found.noise_scale is not None and found.noise_scale.max() <= 1.0
    series = run["T1"]
    after = np.searchsorted(series.times, found.times)
    low = np.minimum(series.values[np.maximum(after - 1, 0)], series.values[after])
    high = np.maximum(series.values[np.maximum(after - 1, 0)], series.values[after])
    assert ((found.values >= low - 1e-9) & (found.values <= high + 1e-9)).all()
