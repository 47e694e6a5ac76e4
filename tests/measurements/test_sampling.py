"""How samples were taken: windows, limits of a sensor's range, uncertain times; declared, saved, averaged."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physics_twin.errors import BoundsError, DataError, FileFormatError, UnitError
from physics_twin.measurements import (
    Averaged,
    Channel,
    Column,
    Experiment,
    LaboratoryValue,
    PhaseWindow,
    Place,
    Series,
    Stamps,
    read_laboratory,
)
from physics_twin.measurements.batches.laboratory_series import Drawn, LaboratoryChannels
from physics_twin.measurements.building import Samples, assemble, series_from
from physics_twin.measurements.provenance import Provenance
from physics_twin.measurements.records import channel_from_record, channel_record

TIMES = np.array([60.0, 120.0, 180.0])
FORMAT_2 = Path(__file__).parent / "experiment_format_2.nc"


def channel(**more: Any) -> Channel:
    return Channel("c", unit="degC", noise="1 K", **more)


def run(**more: Any) -> Experiment:
    return Experiment.from_arrays("run", TIMES, {"c": [20.0, 21.0, 22.0]}, channels=[channel(**more)])


# Windows -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stamp", "before"), [("start", 0.0), ("middle", 30.0), ("end", 60.0)])
def test_windows_lie_as_the_stamp_says(stamp: Any, before: float) -> None:
    """The time of a sample stays what it is; the window begins before it by none, half or all of its length."""
    series = run(averaged=Averaged("1 min", stamp=stamp))["c"]
    assert series.begins is not None and series.ends is not None
    np.testing.assert_array_equal(series.times, TIMES)
    np.testing.assert_array_equal(series.begins, TIMES - before)
    np.testing.assert_array_equal(series.ends, TIMES - before + 60.0)


def test_windows_from_columns_of_a_table(tmp_path: Path) -> None:
    """A fraction collector writes when each vessel was put under and taken away; in the unit of the time column."""
    path = tmp_path / "fractions.csv"
    path.write_text("t,from,to,c\n1,0,2,20\n5,2,8,21\n")
    averaged = Averaged(begin="from", end="to")
    found = Experiment.from_csv(path, time=Column("t", "min"), channels=[channel(averaged=averaged)], start="0 min")
    series = found["c"]
    assert series.begins is not None and series.ends is not None
    assert (series.begins.tolist(), series.ends.tolist()) == ([0.0, 120.0], [120.0, 480.0])


def test_windows_from_columns_of_stamps(tmp_path: Path) -> None:
    """Columns of stamps have their own first row; what counts is the clock."""
    path = tmp_path / "fractions.csv"
    stamps = ("06:10,06:05,06:10", "06:20,06:10,06:20")
    rows = "".join(",".join(f"2026-04-17 {one}" for one in row.split(",")) + ",20\n" for row in stamps)
    path.write_text(f"when,from,to,c\n{rows}")
    averaged = Averaged(begin="from", end="to")
    series = Experiment.from_csv(path, time=Stamps("when", zone="UTC"), channels=[channel(averaged=averaged)])["c"]
    assert series.begins is not None and series.ends is not None
    assert (series.begins.tolist(), series.ends.tolist()) == ([-300.0, 0.0], [0.0, 600.0])


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"over": "60 s"}, DataError, 'say whether a time is the "start", "middle" or "end"'),
        ({"over": "60 s", "stamp": "begin"}, DataError, "stamp='begin'"),
        ({"over": "0 s", "stamp": "end"}, BoundsError, "longer than 0 s"),
        ({"over": "1 K", "stamp": "end"}, UnitError, "window"),
        ({"begin": "from"}, DataError, "or the columns begin= and end="),
        ({}, DataError, "give a length and its stamp"),
        ({"begin": "a", "end": "b", "stamp": "end"}, DataError, "stamp= belongs to a length"),
    ],
)
def test_contradictory_windows_are_told(given: dict[str, Any], error: type[Exception], words: str) -> None:
    """What is missing or too much is said at the declaration."""
    with pytest.raises(error, match=words):
        Averaged(**given)


def test_columns_without_a_table_are_told() -> None:
    """Arrays have no columns: the message says how windows are given there."""
    with pytest.raises(DataError, match=r"give windows= to Experiment\.from_arrays"):
        run(averaged=Averaged(begin="from", end="to"))


def test_windows_that_end_before_they_begin_are_told() -> None:
    """With both numbers."""
    with pytest.raises(DataError, match="c: a window ends at 50 s, before it begins at 60 s"):
        Series(channel(), TIMES, TIMES, np.ones(3), np.zeros(3), begins=TIMES, ends=TIMES - 10.0)


# Limits --------------------------------------------------------------------------------------------------------------


def test_a_saturated_sensor_states_limits() -> None:
    """At the end of the range or beyond it the sample is that end, and says above; it is no measured number."""
    data = {"c": [20.0, 399.9, 400.0, 412.0, 400.0, -5.0]}
    own = channel(sensor_range=("0 degC", "400 degC"))
    series = Experiment.from_arrays("run", np.arange(6.0), data, channels=[own])["c"]
    assert series.censored is not None
    assert series.censored.tolist() == [0, 0, 1, 1, 1, -1]
    np.testing.assert_allclose(series.values - 273.15, [20.0, 399.9, 400.0, 400.0, 400.0, 0.0])
    assert series.used.tolist() == [True, True, False, False, False, False]
    assert series.informative.all()
    assert "3 above the range: used as limits" in series.notes
    assert "1 below detection: used as limits" in series.notes


def test_a_long_saturation_is_no_stuck_sensor() -> None:
    """Half an hour at the end of the range: limits, and good ones."""
    data = np.append(np.linspace(300.0, 399.0, 40), np.full(1800, 400.0))
    own = channel(sensor_range=(None, "400 degC"))
    found = Experiment.from_arrays("run", np.arange(1840.0), {"c": data}, channels=[own])
    assert (found["c"].flags == 1).all()
    assert (found.n_used, int(found["c"].used.sum())) == (1840, 40)


def test_an_experiment_of_limits_alone_has_samples() -> None:
    """Four results below detection say something: the experiment can be used, cut and printed."""
    found = Experiment.from_arrays("run", TIMES, {"c": [5.0] * 3}, channels=[channel()], censored={"c": [-1] * 3})
    assert found.n_used == 3
    np.testing.assert_array_equal(found.times, TIMES)
    assert found.first(2).n_used == 2
    assert "3 below detection: used as limits" in str(found)
    assert found.quality.loc["c", "used"] == 3


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (("400 degC", "0 degC"), BoundsError, "holds no value"),
        ((None, None), BoundsError, "has no end"),
        (("0 bar", None), UnitError, "sensor_range of c"),
        ("400 degC", BoundsError, "give two ends"),
    ],
)
def test_impossible_ranges_are_told(given: Any, error: type[Exception], words: str) -> None:
    """At the declaration, with the name of the channel."""
    with pytest.raises(error, match=words):
        channel(sensor_range=given)


# Uncertain times -----------------------------------------------------------------------------------------------------


def test_time_noise_is_that_of_each_sample() -> None:
    """Half a minute for all; a negative one is refused."""
    series = run(time_noise="30 s")["c"]
    assert series.time_sd is not None and series.time_sd.tolist() == [30.0] * 3
    with pytest.raises(BoundsError, match="time_noise of c is -1 s"):
        channel(time_noise="-1 s")


def test_laboratory_results_state_how_sure_their_time_is(tmp_path: Path) -> None:
    """One number for all, or a column; an empty cell is a time that is certain."""
    path = tmp_path / "lab.csv"
    path.write_text("Batch,at,c,+-\nB1,2026-03-01 13:00,0.7,2\nB1,2026-03-01 14:00,<0.05,\n")
    told: dict[str, Any] = {"output": "c", "value": "c", "unit": "mol/L", "uncertainty": "0.01 mol/L", "batch": "Batch"}
    found = read_laboratory(path, **told, sampled_at="at", zone="UTC", time_uncertainty=Column("+-", "min"))
    assert [one.time_uncertainty for one in found] == [(2.0, "min"), None]
    same = read_laboratory(path, **told, sampled_at="at", zone="UTC", time_uncertainty="5 min")
    assert [one.time_uncertainty for one in same] == ["5 min", "5 min"]
    drawn = [Drawn(one, 3600.0 * k, np.nan) for k, one in enumerate(found, 1)]
    series = LaboratoryChannels.of(found, ()).series(drawn, 0.0, 9000.0)["c"]
    assert series.time_sd is not None and series.censored is not None
    assert (series.time_sd.tolist(), series.censored.tolist()) == ([120.0, 0.0], [0, -1])


def test_an_uncertain_time_that_is_no_time_is_told(tmp_path: Path) -> None:
    """A wrong unit, a negative number, a text in the column with its row."""
    with pytest.raises(UnitError):
        LaboratoryValue("c", 1.0, "mol/L", "0.1 mol/L", batch="B", time_uncertainty="2 K")
    with pytest.raises(DataError, match="uncertain by -60 s"):
        LaboratoryValue("c", 1.0, "mol/L", "0.1 mol/L", batch="B", time_uncertainty="-1 min")
    path = tmp_path / "lab.csv"
    path.write_text("Batch,c,+-\nB1,0.7,about\n")
    with pytest.raises(DataError, match=r'row 1.*"about" is no uncertainty of a time'):
        read_laboratory(
            path,
            output="c",
            value="c",
            unit="mol/L",
            uncertainty="0.01 mol/L",
            batch="Batch",
            time_uncertainty=Column("+-", "min"),
        )


# Files ---------------------------------------------------------------------------------------------------------------

DECLARED: dict[str, Any] = {
    "sensor_range": (None, "400 degC"),
    "averaged": Averaged("60 s", stamp="end", weight="flow"),
    "time_noise": "30 s",
}


@pytest.mark.parametrize("key", [*DECLARED, "all"])
def test_what_is_declared_outlives_a_file(key: str, tmp_path: Path) -> None:
    """Channel, windows, limits and uncertain times come back equal, and the hash knows each of them."""
    more = DECLARED if key == "all" else {key: DECLARED[key]}
    found = run(**more)
    found.save(tmp_path / "run.nc")
    assert Experiment.load(tmp_path / "run.nc") == found
    assert channel_from_record(channel_record(channel(**more))) == channel(**more)
    assert found.sha256 != run().sha256


def test_windows_are_bounds_of_cf(tmp_path: Path) -> None:
    """Means have a time coordinate of their own with bounds, and say so; momentary samples beside them have not."""
    channels = [channel(averaged=Averaged("60 s", stamp="end")), Channel("bound", unit="bar", noise="0.1 bar")]
    found = Experiment.from_arrays("run", TIMES, {"c": [1.0, 2.0, 3.0], "bound": [1.0, 1.1, 1.2]}, channels=channels)
    data = found.dataset
    (dimension,) = data["c"].dims
    assert data["c"].attrs["cell_methods"] == f"{dimension}: mean"
    bounds = data[data[dimension].attrs["bounds"]]
    np.testing.assert_array_equal(bounds.values, np.column_stack([TIMES - 60.0, TIMES]))
    found.save(tmp_path / "run.nc")
    assert Experiment.load(tmp_path / "run.nc") == found


def test_arrays_of_sensors_with_windows_outlive_a_file(tmp_path: Path) -> None:
    """One variable for all places, one clock with bounds."""
    channels = [
        Channel(
            f"t{k}", unit="degC", noise="1 K", place=Place("rod", f"{k} cm"), averaged=Averaged("60 s", stamp="end")
        )
        for k in range(4)
    ]
    data = {f"t{k}": [20.0 + k, 21.0 + 2 * k] for k in range(4)}
    found = Experiment.from_arrays("run", TIMES[:2], data, channels=channels)
    found.save(tmp_path / "run.nc")
    assert Experiment.load(tmp_path / "run.nc") == found


def test_files_from_before_there_were_windows_are_read() -> None:
    """Written before Series had windows and uncertain times: read, with the hash that it had then."""
    found = Experiment.load(FORMAT_2)
    assert found.sha256 == "2ccdcb2daa1e436f95a3789d173fae0bf5d10af7d12de372af37c1a8cfecee9d"
    assert found["c"].begins is None and found["c"].time_sd is None
    assert found.n_used == 5


def test_a_file_whose_windows_were_changed_is_refused(tmp_path: Path) -> None:
    """The hash covers them."""
    import h5py

    path = tmp_path / "run.nc"
    run(averaged=Averaged("60 s", stamp="end")).save(path)
    with h5py.File(path, "r+") as file:
        file["time_bnds"][0, 0] = -1.0
    with pytest.raises(FileFormatError, match="changed after it was saved"):
        Experiment.load(path)


# Means ---------------------------------------------------------------------------------------------------------------


def averaged(times: Any, values: Any, period: str, **more: Any) -> Series:
    own = Channel("c", unit="1", noise="0.1")
    series = series_from(own, Samples(np.asarray(times, dtype=float), np.asarray(values, dtype=float)))
    whole = assemble("run", {"c": series}, provenance=Provenance("arrays"), **more)
    return whole.average(period, compressed=False)["c"]


def test_means_state_the_window_of_their_samples() -> None:
    """Mean and variance of a uniform time in the window are those of the sample times: exact for parabolas."""
    t = np.arange(0.0, 600.0, 10.0)
    found = averaged(t, 1.0 + 1e-2 * t + 1e-4 * t**2 + 0.0 * t, "60 s")
    assert found.begins is not None and found.ends is not None
    middle, half = 0.5 * (found.begins + found.ends), 0.5 * (found.ends - found.begins)
    np.testing.assert_allclose(middle, found.times)
    # But in the first and the last window, which do not leave the record.
    parabola = 1.0 + 1e-2 * middle + 1e-4 * (middle**2 + half**2 / 3.0)
    np.testing.assert_allclose(found.values[1:-1], parabola[1:-1], rtol=1e-12)
    assert (found.begins[0], found.ends[-1]) == pytest.approx((0.0, 590.0))


def test_windows_of_means_stay_in_their_phase() -> None:
    """A window ends where the phase does, since a jump may be there; its middle stays the mean time."""
    t = np.arange(0.0, 600.0, 10.0)
    found = averaged(t, np.sin(t), "60 s", phases=[PhaseWindow("heat", 0.0, 300.0), PhaseWindow("hold", 300.0, 600.0)])
    assert found.begins is not None and found.ends is not None
    assert not ((found.begins < 300.0 - 1e-9) & (found.ends > 300.0 + 1e-9)).any()
    np.testing.assert_allclose(0.5 * (found.begins + found.ends), found.times)


def test_means_of_means_cover_all_of_their_windows() -> None:
    """Five one-minute means stamped at their end are the mean over those five minutes."""
    own = Channel("c", unit="1", noise="0.1", averaged=Averaged("60 s", stamp="end"))
    ends = np.arange(60.0, 3601.0, 60.0)
    values = 1.0 + 0.1 * np.random.default_rng(0).standard_normal(60)
    whole = Experiment.from_arrays("run", ends, {"c": values}, channels=[own])
    found = whole.average("5 min", compressed=False)["c"]
    inner = slice(1, -1)
    assert found.begins is not None and found.ends is not None
    np.testing.assert_allclose(found.ends[inner] - found.begins[inner], 300.0)
    np.testing.assert_allclose(0.5 * (found.ends + found.begins)[inner], found.times[inner] - 30.0)
