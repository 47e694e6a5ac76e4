"""What a call of assimilate did: numbers, tables with units, a line for the log, a file and a picture."""

import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binom

from physics_twin.errors import DataError, FileFormatError, UnknownNameError
from physics_twin.measurements.flags import Flag
from physics_twin.twin.innovation import CONSISTENT, Innovation, MomentRecord, SampleRecord
from physics_twin.twin.moments import SECOND
from physics_twin.twin.sensors import Reading, judge_moment
from physics_twin.twin.sensors.reading import Verdict
from physics_twin.twin.setup import Guard
from physics_twin.twin.state import ChannelMonitor
from physics_twin.units import unit

CHANNELS = {"T1": unit("degC"), "p": unit("bar")}
BEGIN = 1_800_000_000 * SECOND


def moment(k: int, values: dict[str, float], monitors: dict[str, ChannelMonitor]) -> MomentRecord:
    """350 K +- 0.1 K (noise 0.2 K) and 2 bar +- 0.01 bar (noise 0.02 bar) are expected."""
    expected = {"T1": (350.0, 0.04, 0.01), "p": (2e5, 4e6, 1e6)}
    readings = [
        (name, Reading(BEGIN + k * SECOND, value, noise, Flag.GOOD, middle, spread, CHANNELS[name]))
        for name, value in values.items()
        for middle, noise, spread in [expected[name]]
    ]
    after, verdicts = judge_moment(monitors, Guard(), readings)
    monitors.update(after)
    samples = tuple(
        SampleRecord(name, r.value, r.variance, r.predicted, r.predicted_variance, v, "lab" if k == 3 else "")
        for (name, r), v in zip(readings, verdicts, strict=True)
    )
    used = [s for s in samples if s.verdict.use]
    nis = sum(s.residual**2 / (s.variance + s.predicted_variance) for s in used)
    return MomentRecord(readings[0][1].time if readings else BEGIN + k * SECOND, samples, nis, len(used))


def stretch(n: int = 60, *, seed: int = 0, first: int = 0, size: float = 1.0) -> Innovation:
    """n moments of both channels with residuals `size` times as large as expected, and a spike in the fifth."""
    rng = np.random.default_rng(seed)
    monitors: dict[str, ChannelMonitor] = {}
    records = []
    for k in range(first, first + n):
        z = size * rng.normal(size=2)
        values = {"T1": 350.0 + math.sqrt(0.05) * float(z[0]), "p": 2e5 + math.sqrt(5e6) * float(z[1])}
        if k == first + 5:
            values["T1"] = 380.0
        records.append(moment(k, values, monitors))
    end = BEGIN + (first + n - 1) * SECOND
    counts = {"samples": 2 * n, "late": 1, "duplicates": 0}
    return Innovation(tuple(records), CHANNELS, BEGIN + first * SECOND, end, counts, seconds=0.25)


def test_every_variable_has_a_unit_and_every_sample_its_own() -> None:
    """K and Pa in SI; one channel alone has one unit; moments have NIS and dof."""
    d = stretch().dataset
    assert all("units" in variable.attrs for variable in d.data_vars.values())
    assert d.sizes == {"sample": 120, "moment": 60}
    assert set(d["unit"].values) == {"K", "Pa"}
    assert d["observed"].attrs["units"] == "see the coordinate unit"
    assert np.array_equal(d["residual"].values, d["observed"].values - d["predicted"].values)
    own = stretch()["p"]
    assert own["residual"].attrs["units"] == "Pa"
    assert own["time"].size == 60
    with pytest.raises(UnknownNameError, match='did you mean "T1"'):
        stretch()["T"]


def test_declared_units_shift_values_and_not_differences() -> None:
    """350 K are 76.85 degC; a residual of 30 K is one of 30 K; 2e5 Pa are 2 bar."""
    shown = stretch().in_units()
    hot = shown["channel"].values == "T1"
    assert np.allclose(shown["predicted"].values[hot], 76.85)
    assert shown["residual"].values[hot].max() == pytest.approx(30.0)
    assert np.allclose(shown["noise_sd"].values[hot], 0.2)
    assert np.allclose(shown["predicted"].values[~hot], 2.0)
    assert np.allclose(shown["predicted_sd"].values[~hot], 0.01)
    assert set(shown["unit"].values) == {"degC", "bar"}
    alone = replace(stretch(), channels={"T1": unit("degC")}, records=tuple(_only(stretch(), "T1")))
    assert alone.in_units()["observed"].attrs["units"] == "degC"
    assert alone.in_units()["residual"].attrs["units"] == unit("degC").difference().text


def _only(innovation: Innovation, channel: str) -> list[MomentRecord]:
    return [
        replace(record, samples=tuple(s for s in record.samples if s.channel == channel), dof=1)
        for record in innovation.records
    ]


def test_nis_of_a_right_filter_lies_within_its_bounds_as_often_as_stated() -> None:
    """300 calls: the bounds of a share of 99.9 % are missed by no more than chance has it (one in a million)."""
    outside = sum(not stretch(30, seed=seed).consistent for seed in range(300))
    assert outside <= binom.ppf(1.0 - 1e-6, 300, 1.0 - CONSISTENT)


@pytest.mark.parametrize("size", [0.5, 1.5])
def test_nis_of_a_wrong_filter_does_not(size: float) -> None:
    """Residuals of half or one and a half times the size that the filter believes."""
    one = stretch(60, size=size)
    assert not one.consistent
    assert "(not consistent)" in one.line
    assert one.surprise["p"] == pytest.approx(size, rel=0.3)


def test_the_line_says_what_matters() -> None:
    """Used, NIS, what was turned away, counts that are not zero, and why there was no update."""
    one = stretch()
    assert one.line.startswith("2027-01-15T08:00:59Z: 119 of 120 samples used, NIS ")
    assert "1 late" in one.line and "duplicates" not in one.line
    assert "T1: turned away" in one.line
    assert one.line.endswith("0.25 s")
    late = replace(one, pending=7, reason="the integrator failed").line
    assert "7 pending" in late and "prediction only: the integrator failed" in late


def test_the_table_has_a_row_for_each_channel() -> None:
    """With its own unit, and findings counted."""
    text = str(replace(stretch(), notes=("T9: unknown channel",)))
    assert "  T1: 59 of 60 used, mean residual " in text
    assert " K, surprise " in text and " bar, surprise " in text
    assert text.endswith("T9: unknown channel")
    assert stretch().flags == {"T1": ("turned away",)}


def test_findings_are_counted_without_their_reasons() -> None:
    """A mask by who and until when: the time is whole, the reason left out."""
    words = "masked by A. Miller until 2026-11-20T03:20:00Z: cable in repair"
    samples = [SampleRecord("T1", 293.0, 0.01, 293.0, 0.01, Verdict(Flag.GOOD, use=False, words=words))] * 2
    found = Innovation((MomentRecord(BEGIN, tuple(samples)),), CHANNELS, BEGIN, BEGIN)
    assert found.flags == {"T1": ("masked by A. Miller until 2026-11-20T03:20:00Z (2 samples)",)}


def test_a_call_without_samples_claims_nothing() -> None:
    """No NIS, consistent, and a line all the same."""
    empty = Innovation((), CHANNELS, BEGIN, BEGIN)
    assert math.isnan(empty.nis) and empty.consistent and empty.surprise == {} and empty.flags == {}
    assert empty.dataset.sizes == {"sample": 0, "moment": 0}
    assert "0 of 0 samples used" in str(empty)
    with pytest.raises(DataError, match="nothing to draw"):
        empty.plot()


def test_calls_join_to_one_of_the_whole_stretch() -> None:
    """As if they had been one call; what was filtered again counts once, as it was at last."""
    parts = [stretch(20, seed=1), stretch(20, seed=2, first=20), stretch(5, seed=3, first=18)]
    whole = Innovation.join(parts)
    assert [record.time for record in whole.records] == [BEGIN + k * SECOND for k in range(40)]
    assert whole.records[18:23] == parts[2].records
    assert whole.counts["late"] == 3 and whole.seconds == 0.75
    assert (whole.begin, whole.end) == (BEGIN, BEGIN + 39 * SECOND)
    assert Innovation.join(parts[:1]).nis == parts[0].nis
    with pytest.raises(DataError, match="no innovation"):
        Innovation.join([])
    with pytest.raises(DataError, match="T1 is in degC and in K"):
        Innovation.join([parts[0], replace(parts[1], channels={"T1": unit("K")})])


def test_a_file_gives_back_what_was_saved(tmp_path) -> None:
    """Every sample, verdict and moment; an empty one too; any other file is refused."""
    one = replace(stretch(), pending=3, reason="why", notes=("a note",))
    opened = Verdict(Flag.GOOD, True, 4.0, reopen=True, widen=12.5, words="opened", surprise=5.0)
    first = one.records[0]
    records = (
        replace(first, samples=(replace(first.samples[0], verdict=opened), *first.samples[1:])),
        *one.records[1:],
    )
    one = replace(one, records=(*records, MomentRecord(BEGIN + 10**12, (), trouble="nothing came", n_failed_members=2)))
    one.save(tmp_path / "innovation.nc")
    back = Innovation.load(tmp_path / "innovation.nc")
    assert back.line == one.line and str(back) == str(one)
    assert (back.begin, back.end, back.channels, dict(back.counts), back.notes) == (
        one.begin,
        one.end,
        one.channels,
        dict(one.counts),
        one.notes,
    )
    assert back.records[0].samples[0].verdict == opened
    assert [r.trouble for r in back.records] == [r.trouble for r in one.records]
    xr.testing.assert_allclose(back.dataset, one.dataset, rtol=1e-14)
    Innovation((), CHANNELS, BEGIN, BEGIN).save(tmp_path / "empty.nc")
    assert Innovation.load(tmp_path / "empty.nc").records == ()
    xr.Dataset({"a": 1.0}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(FileFormatError, match="is marked None"):
        Innovation.load(tmp_path / "other.nc")
    (tmp_path / "text.nc").write_text("no file of this kind")
    with pytest.raises(FileFormatError, match="is no NetCDF file of an innovation"):
        Innovation.load(tmp_path / "text.nc")


def test_the_picture_shows_residuals_bands_and_what_was_not_used() -> None:
    """A panel for each channel in its unit; crosses differ from circles in shape, not in color alone."""
    figure = stretch().plot()
    axes = figure.axes
    assert [one.get_ylabel() for one in axes] == ["T1 / K", "p / bar"]
    labels = axes[0].get_legend_handles_labels()[1]
    assert {"95 % expected", "used", "not used, farther off"} <= set(labels)
    far = next(line for line in axes[0].lines if line.get_label() == "not used, farther off")
    assert far.get_marker() == "^" and np.asarray(far.get_xdata()).tolist() == [5.0]
    assert np.asarray(far.get_ydata())[0] == axes[0].get_ylim()[1] < 5.0  # 30 K off do not flatten the rest
    figure.canvas.draw()
