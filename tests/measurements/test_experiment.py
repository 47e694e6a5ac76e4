"""Experiments: from dirty logs to samples with flags, cut and printed."""

import datetime as dt
import pickle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest

from physics_twin.errors import DataError, ModelError, RecipeError, ShapeError, UnitError, UnknownNameError
from physics_twin.measurements import Channel, Column, EstimatedNoise, Exclusion, Experiment, Flag, Uncertainty
from physics_twin.measurements.tags.certificates import expired_certificates
from physics_twin.measurements.tags.sensors import Sensor
from physics_twin.recipes import HOLD, RAMP, STEADY, Recipe, Table
from physics_twin.signals import Setting

matplotlib.use("Agg")

A = Channel("core", column="a", unit="degC", noise="1 K")
B = Channel("surface", column="b", unit="degC", noise=EstimatedNoise("2 K"))


def log(folder: Path, text: str, **options: Any) -> Experiment:
    """Read a log with the columns t and a (and b)."""
    path = folder / "charge_0417.csv"
    path.write_text(text)
    options.setdefault("time", "t")
    options.setdefault("channels", [A])
    return Experiment.from_csv(path, **options)


def table_of(run: Experiment, name: str) -> Table:
    """A recorded input as the recipe holds it."""
    item = run.recipe.phases[0].inputs[name]
    assert isinstance(item, Table)
    return item


# Samples -------------------------------------------------------------------------------------------------------------


def test_a_clean_log_is_good_in_si(tmp_path: Path) -> None:
    """Values in K, named after the file, with its hash."""
    run = log(tmp_path, "t,a,b\n0,20,30\n60,21.5,31\n", channels=[A, B])
    assert run.name == "charge_0417"
    assert run["core"].values.tolist() == [293.15, 294.65]
    assert run["core"].used.all()
    assert run.duration == 60.0
    assert (run.n_used, run.times.tolist()) == (4, [0.0, 60.0])
    assert list(run.parameters) == ["noise.surface"]
    assert len(run.provenance.sha256) == 64
    assert run.provenance.options["separator"] == ","


def test_every_kind_of_dirt_gets_its_flag_and_its_words(tmp_path: Path) -> None:
    """The row of the table of failures: NaN, text, a repeated time, time going back, below absolute zero."""
    run = log(tmp_path, "t,a\n0,20\n1,\n2,Bad Input\n2,21\n1.5,22\n3,-9999\n4,23\n")
    series = run["core"]
    assert series.flags.tolist() == [1, 9, 4, 3, 4, 4, 1]
    assert series.used.tolist() == [True, False, False, True, False, False, True]
    words = " | ".join([*run.notes, *series.notes])
    for part in (
        '1 cell is no number ("Bad Input" in row 3 (line 4))',
        "1 not measured",
        "1 rows repeat the time",
        "time goes back or ahead in 1 rows, the first is row 5",
        "below absolute zero (-9999 degC)",
    ):
        assert part in words
    assert series.times.size == 7, "nothing is dropped"


def test_unit_jumps_and_stuck_sensors_are_found_in_logs(tmp_path: Path) -> None:
    """The checks act on what is read, in the unit that was declared."""
    rng = np.random.default_rng(4)
    a = np.round(300 + np.arange(120) + 0.2 * rng.standard_normal(120), 1)
    b = a.copy()
    a[80:] += 273.15
    b[40:70] = b[40]
    rows = "".join(f"{i},{x:.2f},{y}\n" for i, (x, y) in enumerate(zip(a, b, strict=True)))
    run = log(tmp_path, "t,a,b\n" + rows, channels=[A, B])
    assert run["core"].counts[Flag.BAD] == 40
    assert run["surface"].counts[Flag.SUSPECT] == 30
    assert run["surface"].used.all(), "suspect samples stay in use"
    table = run.quality
    assert table.loc["core", "used"] == 80
    assert "degC to K" in str(table.loc["core", "notes"])
    assert "stuck for 30 samples" in str(table.loc["surface", "notes"])


def test_gaps_are_reported(tmp_path: Path) -> None:
    """The time lost is said, the samples around it are good."""
    rows = "".join(f"{t},{20 + 0.1 * t:.1f}\n" for t in [*range(30), *range(400, 430)])
    assert any("1 gap" in note for note in log(tmp_path, "t,a\n" + rows).notes)


def test_settling_and_exclusions_leave_samples_out_and_keep_them(tmp_path: Path) -> None:
    """With the reason beside each of them."""
    run = log(
        tmp_path,
        "t,a\n" + "".join(f"{60 * i},{20 + i}\n" for i in range(8)),
        settle="2 min",
        exclude=[Exclusion("4 min", "5 min", "door opened", by="J. Doe", channels=("core",))],
    )
    series = run["core"]
    assert series.used.tolist() == [False, False, True, True, False, False, True, True]
    assert series.reasons == ("settling until 2 min", "excluded: door opened (J. Doe)")
    assert (series.flags == Flag.GOOD).all()
    assert "2 left out (excluded: door opened (J. Doe))" in str(run.quality.loc["core", "notes"])
    assert run.provenance.exclusions[0].span == (240.0, 300.0)


def test_exclusions_need_a_reason_and_a_channel_that_exists(tmp_path: Path) -> None:
    """A silent exclusion is how a fit is bent."""
    with pytest.raises(DataError, match="needs a reason"):
        Exclusion(0, 1, " ", by="J. Doe")
    with pytest.raises(DataError, match="needs by=: who"):
        Exclusion(0, 1, "door opened", by=" ")
    with pytest.raises(DataError, match="ends before it begins"):
        Exclusion("2 s", "1 s", "x", by="J. Doe")
    with pytest.raises(UnknownNameError, match='did you mean "core"'):
        log(tmp_path, "t,a\n0,1\n", exclude=[Exclusion(0, 1, "x", by="J. Doe", channels=("cores",))])


def test_the_units_that_the_file_states_are_compared(tmp_path: Path) -> None:
    """A second header line in K under a channel declared in degC is an error; in degC it is not."""
    with pytest.raises(UnitError, match='column "a": the export says "K", and degC is declared'):
        log(tmp_path, "t,a\n[s],[K]\n0,300\n", header=2)
    with pytest.raises(UnitError, match='column "t": the export says "min", and s is declared'):
        log(tmp_path, "t,a\n[min],[degC]\n0,300\n", header=2)
    assert log(tmp_path, "t,a\n(s),degC\n0,300\n", header=2)["core"].used.all()
    assert log(tmp_path, "t,a\nelapsed,mean of two\n0,300\n", header=2)["core"].used.all()


def test_names_and_doubles_are_checked(tmp_path: Path) -> None:
    """At the line of the mistake."""
    text = "t,a\n0,1\n1,2\n"
    with pytest.raises(UnknownNameError, match=r'column of charge_0417\.csv "A1"; did you mean "a"'):
        log(tmp_path, text, channels=[Channel("core", column="A1", unit="degC", noise="1 K")])
    with pytest.raises(DataError, match='two channels show "core"'):
        log(tmp_path, text, channels=[A, A])
    with pytest.raises(DataError, match="at least one channel"):
        log(tmp_path, text, channels=[])
    with pytest.raises(ModelError):
        log(tmp_path, text, name="charge 417")
    with pytest.raises(DataError, match="neither a text nor a number"):
        log(tmp_path, text, context={"lot": [1]})
    run = log(tmp_path, text, context={"lot": "L7", "scrap": 0.2})
    assert dict(run.context) == {"lot": "L7", "scrap": 0.2}
    with pytest.raises(UnknownNameError, match='did you mean "core"'):
        run["cores"]


# Inputs --------------------------------------------------------------------------------------------------------------


def test_recorded_inputs_become_the_recipe(tmp_path: Path) -> None:
    """Ramps by default, held where it is said, quantities and settings throughout."""
    power = Setting("power", "W", bounds=(0, 10))
    run = log(
        tmp_path,
        "t,a,u,v\n0,20,100,1\n1,20,102,1\n2,21,101,5\n",
        inputs={"gas": Column("u", "degC"), "valve": Column("v", "percent", HOLD), "room": "21 degC", "power": power},
    )
    gas, valve = table_of(run, "gas"), table_of(run, "valve")
    assert (gas.rule, gas.values) == (RAMP, (373.15, 375.15, 374.15))
    assert (valve.rule, valve.times, valve.values) == (HOLD, (0.0, 2.0), (0.01, 0.05))
    assert run.recipe.phases[0].inputs["room"] == "21 degC"
    assert list(run.recipe.settings) == ["power"]
    assert run.recipe.duration == 2.0
    assert [one.name for one in run.inputs] == ["gas", "valve"]


def test_what_is_missing_in_an_input_is_bridged_and_said(tmp_path: Path) -> None:
    """Between readings by its rule, at the ends by the nearest reading; rows with a bad time do not count."""
    run = log(
        tmp_path,
        "t,a,u\n0,20,\n1,20,10\n2,20,Bad\n3,20,30\n2.5,20,99\n3,20,77\n4,20,30.001\n5,20,\n",
        inputs={"heat": Column("u", "W")},
    )
    heat = table_of(run, "heat")
    at = np.interp([0, 1, 2, 3, 4, 5], heat.times, heat.values)
    np.testing.assert_allclose(at, [10, 10, 20, 30, 30.001, 30.001], atol=0.0011)  # rows merge within a resolution
    words = " | ".join(run.inputs[0].notes)
    for part in ("3 of 6 rows have no reading", "no reading before 1 s", "no reading after 4 s", '"Bad" in row 3'):
        assert part in words


def test_a_pulse_in_a_recorded_input_stays(tmp_path: Path) -> None:
    """0.1 s in an hour: a ramp through five rows is not a straight line through two."""
    rows = "0,20,0\n1,20,0\n1.1,20,5\n1.2,20,5\n1.3,20,0\n3600,20,0\n"
    heat = table_of(log(tmp_path, "t,a,u\n" + rows, inputs={"heat": Column("u", "W")}), "heat")
    assert np.interp([1.0, 1.15, 1.3], heat.times, heat.values).tolist() == [0.0, 5.0, 0.0]


def test_inputs_before_time_zero_give_the_value_at_time_zero(tmp_path: Path) -> None:
    """By interpolation for a ramp, by the last value for a held one."""
    text = "t,a,u,v\n0,20,0,1\n10,20,10,2\n20,20,20,3\n"
    inputs = {"ramped": Column("u", "W"), "held": Column("v", "W", HOLD)}
    run = log(tmp_path, text, inputs=inputs, start="5 s")
    assert table_of(run, "ramped").values[0] == 5.0
    assert table_of(run, "held").values == (1.0, 2.0, 3.0)
    with pytest.raises(DataError, match="after the last row"):
        log(tmp_path, text, inputs=inputs, start="1 h")


def test_a_sensor_at_a_column_of_inputs_corrects_it(tmp_path: Path) -> None:
    """As its certificate says, with what is not part of the fit and what has expired in the notes, in a file too."""
    sensor = Sensor(
        "TC-9", (("0 degC", "2 K"), ("100 degC", "4 K")), Uncertainty("0.8 K", k=2), valid_until=dt.date(2026, 3, 1)
    )
    text = "t,a,u\n2026-03-01T23:00:00Z,20,50\n2026-03-02T00:00:00Z,20,100\n2026-03-02T01:00:00Z,20,120\n"
    run = log(tmp_path, text, inputs={"gas": Column("u", "degC", sensor=sensor)})
    np.testing.assert_allclose(table_of(run, "gas").values, np.array([53.0, 104.0, 124.0]) + 273.15)
    assert run.inputs[0].notes == (
        "1 reading beyond the certificate of TC-9 (0 degC to 100 degC): corrected like its last point",
        "corrected by 3 K to 4 K as the certificate of sensor TC-9 says",
        "the uncertainty of TC-9 (0.8 K, k = 2) at the input gas is not part of the fit",
    )
    assert run.notes == (
        "the certificate of sensor TC-9 (input gas) ended on 2026-03-01, before the end of the record",
    )
    assert "2 later samples are in use (input gas@charge_0417)" in expired_certificates([run])[0]
    assert expired_certificates([run.first(1)]) == ()
    run.save(tmp_path / "run.nc")
    assert Experiment.load(tmp_path / "run.nc") == run
    plain = log(tmp_path, text, inputs={"gas": Column("u", "degC")})
    assert plain.inputs[0].sensors == ()
    with pytest.raises(UnitError, match="TC-9"):
        Column("u", "bar", sensor=sensor)


def test_an_input_that_changes_its_unit_is_an_error(tmp_path: Path) -> None:
    """It cannot be left out for the second half of the run as a channel can."""
    rows = "".join(f"{i},20,{300 + i + (273.15 if i > 50 else 0):.2f}\n" for i in range(100))
    with pytest.raises(DataError, match=r'input "gas" \(column "u"\): the unit seems to change at row 52.*degC to K'):
        log(tmp_path, "t,a,u\n" + rows, inputs={"gas": Column("u", "degC")})


def test_an_input_without_any_reading_is_an_error(tmp_path: Path) -> None:
    """And one without unit as well."""
    with pytest.raises(DataError, match=r'input "gas".*no reading at all'):
        log(tmp_path, "t,a,u\n0,20,\n1,20,\n", inputs={"gas": Column("u", "degC")})
    with pytest.raises(UnitError):
        log(tmp_path, "t,a\n0,20\n", inputs={"gas": "20 furlong/lb/degX"})


def test_a_recipe_is_taken_as_it_is(tmp_path: Path) -> None:
    """Not together with inputs; without either there are none."""
    recipe = Recipe.constant(duration="1 h", gas="100 degC")
    text = "t,a\n0,20\n"
    assert log(tmp_path, text, recipe=recipe).recipe is recipe
    with pytest.raises(DataError, match="not both"):
        log(tmp_path, text, recipe=recipe, inputs={"gas": "20 degC"})
    assert dict(log(tmp_path, text).recipe.phases[0].inputs) == {}


def test_the_initial_state_is_bound(tmp_path: Path) -> None:
    """Known values, or the steady state."""
    text = "t,a\n0,20\n"
    assert log(tmp_path, text, initial={"pinene": "95 percent"}).recipe.initial == {"pinene": "95 percent"}
    assert log(tmp_path, text, initial="steady").recipe.initial is STEADY
    with pytest.raises(DataError, match='give "steady"'):
        log(tmp_path, text, initial="stedy")


def test_running_past_the_log_is_the_users_choice(tmp_path: Path) -> None:
    """hold_after goes to the recipe."""
    text, inputs = "t,a,u\n0,20,1\n1,20,2\n", {"u": Column("u", "W")}
    assert not log(tmp_path, text, inputs=inputs).recipe.hold_end
    assert log(tmp_path, text, inputs=inputs, hold_after=True).recipe.hold_end


# Arrays and frames ---------------------------------------------------------------------------------------------------


def test_channels_may_be_sampled_at_different_times() -> None:
    """Each has its own clock; what to simulate is the union."""
    run = Experiment.from_arrays(
        "run",
        {"core": ([0, 1], "min"), "surface": [30.0]},
        {"core": [20, np.nan], "surface": [25]},
        channels=[A, B],
        recipe=Recipe.constant(duration="1 h"),
    )
    assert run["core"].flags.tolist() == [Flag.GOOD, Flag.MISSING]
    assert run.times.tolist() == [0.0, 30.0]


def test_arrays_are_checked() -> None:
    """Names, lengths, order."""
    with pytest.raises(UnknownNameError, match='did you mean "core"'):
        Experiment.from_arrays("run", [0.0], {"cores": [1]}, channels=[A])
    with pytest.raises(DataError, match='"surface" has no data'):
        Experiment.from_arrays("run", [0.0], {"core": [1]}, channels=[A, B])
    with pytest.raises(ShapeError, match=r"core: \(2,\) values at \(1,\) times"):
        Experiment.from_arrays("run", [0.0], {"core": [1, 2]}, channels=[A])
    back = Experiment.from_arrays("run", [0.0, 2.0, 1.0, 3.0, np.nan], {"core": [1, 2, 3, 4, 5]}, channels=[A])
    assert back["core"].flags.tolist() == [1, 1, 4, 1, 4]


def test_frames_are_read_like_files() -> None:
    """Numbers, texts and None in one column; missing values of pandas are missing."""
    frame = pd.DataFrame({"t": [0, 1, 2, 3], "a": [20, "21.5", None, "Bad"], "b": pd.array([1, None, 3, 4], "Int64")})
    run = Experiment.from_frame(frame, name="run", time="t", channels=[A, B])
    assert run["core"].flags.tolist() == [1, 1, 9, 4]
    assert run["core"].values[1] == 294.65
    assert run["surface"].flags.tolist() == [1, 9, 1, 1]
    with pytest.raises(DataError, match="no rows"):
        Experiment.from_frame(frame.iloc[:0], name="run", time="t", channels=[A])
    with pytest.raises(DataError, match='called "t"'):
        Experiment.from_frame(pd.DataFrame([[0, 1, 2]], columns=["t", "t", "a"]), name="run", time="t", channels=[A])


# Cutting, printing, drawing ------------------------------------------------------------------------------------------


def kinetics() -> Experiment:
    """Eight laboratory samples of two species, one of them missing once."""
    y = np.array([88.35, 76.4, 65.1, 50.4, 37.5, 25.9, 14.0, 4.5])
    z = np.array([7.3, 15.6, np.nan, 32.9, 42.7, 49.1, 57.4, 63.1])
    channels = [Channel(name, unit="percent", noise="1 percent") for name in ("pinene", "dipentene")]
    times = ([1230, 3060, 4920, 7800, 10680, 15030, 22620, 36420], "min")
    return Experiment.from_arrays("runs_1947", times, {"pinene": y, "dipentene": z}, channels=channels)


def test_samples_are_held_back_by_their_times() -> None:
    """First five and last three share nothing and together are all."""
    run = kinetics()
    early, late = run.first(5), run.last(3)
    assert early.times.tolist() + late.times.tolist() == run.times.tolist()
    assert early.n_used + late.n_used == run.n_used
    assert early["dipentene"].counts[Flag.MISSING] == 1
    assert (early.name, early.recipe) == (run.name, run.recipe)
    assert early.provenance.selections == ("the first 5 sample times",)
    assert early.sha256 != run.sha256
    with pytest.raises(DataError, match="has 8 sample times in use; 9 cannot be taken"):
        run.first(9)
    with pytest.raises(DataError):
        run.last(0)


def test_ranges_and_channels_are_cut() -> None:
    """Times with units, channels by name."""
    run = kinetics()
    assert run.between("100 h", 1e9).times[0] == pytest.approx(7800 * 60)
    assert list(run.without("pinene").series) == ["dipentene"]
    assert run.without([]) is run
    with pytest.raises(UnknownNameError):
        run.without("pinen")
    with pytest.raises(DataError, match="no channel besides"):
        run.without(["pinene", "dipentene"])
    with pytest.raises(DataError, match="no sample in use"):
        run.between(0, 1)


def test_a_print_shows_what_a_reader_asks_for(tmp_path: Path) -> None:
    """Name, duration, channels, samples by flag, inputs, notes, hash."""
    run = log(
        tmp_path,
        "t,a,u\n0,20,1\n600,,2\n1200,Bad,3\n",
        inputs={"gas": Column("u", "degC")},
        context={"lot": "L7"},
    )
    text = str(run)
    for part in (
        'experiment "charge_0417", 20 min',
        "channel  unit  noise  good  bad  missing  used",
        'input gas: column "u" in degC, ramp, 3 rows',
        "lot: L7",
        "note: core: 1 cell is no number",
        f"from charge_0417.csv, sha256 {run.provenance.sha256[:12]}",
    ):
        assert part in text
    assert repr(run) == "<Experiment 'charge_0417': 20 min, core>"


def test_an_experiment_is_a_value(tmp_path: Path) -> None:
    """Read-only, equal by content, and it travels to worker processes."""
    run = log(tmp_path, "t,a,b,u\n0,20,30,1\n60,,31,2\n", channels=[A, B], inputs={"u": Column("u", "W")})
    with pytest.raises(ValueError, match="read-only"):
        run["core"].values[0] = 0.0
    with pytest.raises(TypeError):
        run.series["core"] = run["surface"]  # type: ignore[index]
    twin = pickle.loads(pickle.dumps(run))  # noqa: S301
    assert twin == run
    assert hash(twin) == hash(run)
    assert run != run.first(1)
    assert (
        run.sha256
        == log(tmp_path, "t,a,b,u\n0,20,30,1\n60,,31,2\n", channels=[A, B], inputs={"u": Column("u", "W")}).sha256
    )
    assert (
        run.sha256
        != log(tmp_path, "t,a,b,u\n0,20,30,1\n60,,31,3\n", channels=[A, B], inputs={"u": Column("u", "W")}).sha256
    )


def test_the_file_is_not_changed_and_neither_are_the_arguments(tmp_path: Path) -> None:
    """A pure function of the file."""
    inputs, context = {"u": Column("u", "W")}, {"lot": 1}
    run = log(tmp_path, "t,a,u\n0,20,1\n1,21,2\n", inputs=inputs, context=context)
    context["lot"] = 2
    assert run.context["lot"] == 1
    assert list(inputs) == ["u"]


def test_the_picture_marks_what_is_not_good(tmp_path: Path) -> None:
    """One panel a channel, in its unit, with a legend entry for each flag."""
    from matplotlib import pyplot as plt

    rows = "".join(f"{60 * i},{20 + i},{30 + i}\n" for i in range(30))
    run = log(tmp_path, "t,a,b\n" + rows + "1700,9,9\n1800,,1\n1800,5,5\n", channels=[A, B], settle="3 min")
    axes = run.plot().axes
    labels = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert labels == ["core", "suspect (1)", "left out (3)", "bad (1)", "missing (1)"]
    assert axes[0].get_ylabel() == "core / °C"
    assert axes[1].get_xlabel() == "time / min"
    figure, own = plt.subplots()
    assert run.plot(own) is figure
    with pytest.raises(ShapeError, match="1 axes for 2 channels"):
        run.plot([own])
    plt.close("all")


def test_an_impossible_recipe_names_the_input(tmp_path: Path) -> None:
    """Errors of the recipe pass through."""
    with pytest.raises((RecipeError, UnitError)):
        log(tmp_path, "t,a\n0,1\n1,2\n", inputs={"gas": "nonsense"})


def test_a_limit_of_detection_is_kept_as_one(tmp_path: Path) -> None:
    """ "<22" is a good value with the side of the true one, as `read_log` reads it; in no misfit, and counted."""
    (tmp_path / "log.csv").write_text("t,a\n0,21.5\n10,<22\n20,23\n30,> 40\n", encoding="utf-8")
    run = Experiment.from_csv(tmp_path / "log.csv", time="t", channels=[Channel("a", unit="K", noise="1 K")], start=0)
    series = run["a"]
    assert series.censored is not None
    np.testing.assert_array_equal(series.censored, [0, -1, 0, 1])
    np.testing.assert_array_equal(series.values, [21.5, 22.0, 23.0, 40.0])
    assert (series.flags == Flag.GOOD).all()
    np.testing.assert_array_equal(series.used, [True, False, True, False])


def test_an_input_is_no_limit(tmp_path: Path) -> None:
    """What was fed in is not known from "<5": the cell is bad, bridged and said."""
    (tmp_path / "log.csv").write_text("t,a,u\n0,21,1\n10,22,<5\n20,23,3\n", encoding="utf-8")
    run = Experiment.from_csv(
        tmp_path / "log.csv",
        time="t",
        channels=[Channel("a", unit="K", noise="1 K")],
        inputs={"u": Column("u", "kW")},
    )
    assert run.inputs[0].counts[Flag.BAD] == 1
    assert any("1 cells are limits" in note for note in run.inputs[0].notes)
