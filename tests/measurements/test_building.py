"""Experiments from arrays: the same judgement whichever way the samples came."""

import datetime as dt
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from physics_twin.errors import DataError, ShapeError, UnknownNameError
from physics_twin.measurements import Channel, Column, Exclusion, Experiment, Flag, Uncertainty
from physics_twin.measurements.batches.batch import PhaseWindow
from physics_twin.measurements.building import InputSamples, Samples, assemble, recorded_inputs, series_from
from physics_twin.measurements.provenance import Provenance
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Sensor
from physics_twin.recipes import HOLD, RAMP, Table

matplotlib.use("Agg")

CORE = Channel("core", unit="degC", noise="1 K")
GOOD = np.int8(Flag.GOOD)


def test_a_table_and_its_arrays_give_the_same_series(tmp_path: Path) -> None:
    """from_csv and series_from judge alike: cells, order of time, absolute zero."""
    path = tmp_path / "log.csv"
    path.write_text("t,core\n0,20\n1,\n2,21\n2,21.5\n1.5,22\n3,-9999\n4,23\n")
    read = Experiment.from_csv(path, time="t", channels=[CORE])["core"]
    times = np.array([0.0, 1.0, 2.0, 2.0, 1.5, 3.0, 4.0])
    values = np.array([20.0, np.nan, 21.0, 21.5, 22.0, -9999.0, 23.0])
    made = series_from(CORE, Samples(times, values))
    assert made.flags.tolist() == read.flags.tolist() == [1, 9, 1, 3, 4, 4, 1]
    np.testing.assert_array_equal(made.values, read.values)
    assert set(read.notes) <= set(made.notes), "the order of time is told for the table as a whole there"


def test_what_few_samples_have_is_carried_along() -> None:
    """Limits of detection, noise by sample and when a result was known."""
    samples = Samples(
        np.arange(4.0),
        np.array([5.0, 5.0, 7.0, 100.0]),
        censored=np.array([-1, -1, 0, 1], dtype=np.int8),
        noise_scale=np.array([1.0, 1.0, 0.5, 2.0]),
        reported=np.array([60.0, 60.0, 90.0, np.nan]),
    )
    series = series_from(CORE, samples)
    assert series.used.tolist() == [False, False, True, False]
    assert series.noise.tolist() == [1.0, 1.0, 0.5, 2.0]
    assert series.reported is not None and series.reported[2] == 90.0
    assert "2 below detection: used as limits" in series.notes
    assert "1 above the range: used as limits" in series.notes
    with pytest.raises(ShapeError, match="noise_scale has the shape"):
        Samples(np.arange(2.0), np.arange(2.0), noise_scale=np.ones(3))


def test_a_limit_of_detection_again_and_again_is_no_stuck_sensor() -> None:
    """Thirty "<5" after lively readings are thirty limits; the same thirty readings would be stuck."""
    rng = np.random.default_rng(3)
    values = np.concatenate([50.0 + rng.standard_normal(30), np.full(30, 5.0)])
    censored = np.where(np.arange(60) >= 30, -1, 0).astype(np.int8)
    stuck = series_from(CORE, Samples(np.arange(60.0), values))
    limits = series_from(CORE, Samples(np.arange(60.0), values, censored=censored))
    assert stuck.counts[Flag.SUSPECT] > 0
    assert limits.counts[Flag.GOOD] == 60


def test_declared_checks_act_on_what_was_logged_and_corrections_come_last() -> None:
    """A reading above the range is bad although its correction would bring it back; the certificate is named."""
    sensor = Sensor("TC-7", correction=(("0 degC", "-2 K"), ("1000 degC", "-2 K")), uncertainty=Uncertainty("1 K"))
    channel = Channel("core", unit="degC", noise="1 K", sensor=sensor, checks=Checks(high="900 degC"))
    series = series_from(channel, Samples(np.arange(3.0), np.array([899.0, 901.0, 898.0])))
    assert series.flags.tolist() == [Flag.GOOD, Flag.BAD, Flag.GOOD]
    np.testing.assert_allclose(series.values - 273.15, [897.0, 899.0, 896.0])
    assert any("certificate of sensor TC-7" in note and "-2 K" in note for note in series.notes)
    raw = series_from(Channel("core", unit="degC", noise="1 K"), Samples(np.arange(3.0), np.array([899.0, 901, 898])))
    np.testing.assert_allclose(raw.values - 273.15, [899.0, 901.0, 898.0])


def test_declared_flat_lines_take_the_place_of_the_guess() -> None:
    """A converter that may show one value for an hour is not stuck after half a minute."""
    rng = np.random.default_rng(3)
    values = np.concatenate([50.0 + rng.standard_normal(30), np.full(30, 50.0)])
    declared = Channel("core", unit="degC", noise="1 K", checks=Checks(flat="1 h"))
    assert series_from(CORE, Samples(np.arange(60.0), values)).counts[Flag.SUSPECT] == 30
    assert series_from(declared, Samples(np.arange(60.0), values)).counts[Flag.SUSPECT] == 0


# Inputs --------------------------------------------------------------------------------------------------------------


def valve(times: list[float], values: list[float], rule: object = HOLD, **more: object) -> InputSamples:
    """A valve position as logged."""
    flags = np.where(np.isnan(values), Flag.MISSING, Flag.GOOD).astype(np.int8)
    column = Column("v", "percent", rule, **more)  # type: ignore[arg-type]
    return InputSamples(column, np.array(times), np.array(values), flags)


def table_of(recipe: object, name: str) -> Table:
    """An input of the recorded phase."""
    item = recipe.phases[0].inputs[name]  # type: ignore[attr-defined]
    assert isinstance(item, Table)
    return item


def test_a_set_point_from_before_the_batch_holds_in_it() -> None:
    """A historian stores a set point when it changes: the last row before time zero is the value at time zero."""
    recipe, found = recorded_inputs({"valve": valve([-900.0, 120.0], [40.0, 60.0])}, source="log", end=300.0)
    item = table_of(recipe, "valve")
    assert item.times == (0.0, 120.0, 300.0)
    np.testing.assert_allclose(item.values, [0.4, 0.6, 0.6])
    assert any("the last one is held" in note for note in found[0].notes)
    only_before, _ = recorded_inputs({"valve": valve([-900.0], [40.0])}, source="log", end=300.0)
    np.testing.assert_allclose(table_of(only_before, "valve").values, [0.4, 0.4])


def test_inputs_have_clocks_of_their_own() -> None:
    """Long form: each tag its own times; the phase lasts as long as the longest, and what is short is held."""
    inputs = {"valve": valve([0.0, 100.0], [10.0, 20.0]), "gas": valve([0.0, 50.0, 60.0], [1.0, 2.0, 3.0], RAMP)}
    recipe, found = recorded_inputs(inputs, source="log")
    assert str(recipe.phases[0].duration) == "(100.0, 's')"
    assert table_of(recipe, "gas").times == (0.0, 50.0, 60.0, 100.0)
    assert [one.name for one in found] == ["valve", "gas"]
    with pytest.raises(DataError, match="lies after the last reading"):
        recorded_inputs({"valve": valve([-2.0, -1.0], [10.0, 20.0])}, source="log")
    with pytest.raises(DataError, match=r'log: the input "valve" \(column "v"\) has no reading'):
        recorded_inputs({"valve": valve([0.0], [np.nan])}, source="log", end=1.0)


def test_checks_of_an_input_bridge_what_cannot_be() -> None:
    """A position of 400 percent is bad and bridged, not fed to the model."""
    inputs = {"valve": valve([0.0, 1.0, 2.0], [10.0, 400.0, 20.0], RAMP, checks=Checks(high="100 percent"))}
    recipe, found = recorded_inputs(inputs, source="log")
    assert table_of(recipe, "valve").times == (0.0, 2.0)
    assert found[0].counts[Flag.BAD] == 1
    assert any("bridged" in note for note in found[0].notes)


# Putting together ----------------------------------------------------------------------------------------------------


def test_phases_and_exclusions_are_part_of_it() -> None:
    """Phases are kept and count for equality; an exclusion of a channel that is not there is told."""
    series = {"core": series_from(CORE, Samples(np.array([-5.0, 0.0, 5.0, 10.0]), np.full(4, 20.0)))}
    phases = [PhaseWindow("heat", 0.0, 5.0), PhaseWindow("soak", 5.0, 10.0)]
    zero = dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC)
    excluded = Provenance("log", exclusions=(Exclusion(9, 11, "door opened", by="J. Doe"),))
    run = assemble("b1", series, provenance=excluded, phases=phases, t0_utc=zero, settle="1 s")
    assert run["core"].used.tolist() == [False, False, True, False]
    assert run["core"].reasons == ("before time zero", "settling until 1 s", "excluded: door opened (J. Doe)")
    assert run.phases == tuple(phases)
    without = assemble("b1", series, provenance=excluded, t0_utc=zero, settle="1 s")
    assert without != run and without.sha256 != run.sha256
    wrong = Provenance("log", exclusions=(Exclusion(9, 11, "x", by="J. Doe", channels=("cores",)),))
    with pytest.raises(UnknownNameError, match='did you mean "core"'):
        assemble("b1", series, provenance=wrong)


# In print ------------------------------------------------------------------------------------------------------------


def limited() -> Experiment:
    """A laboratory series with limits of detection and noise by sample, beside a phase."""
    values = np.array([5.0, 4.0, 3.0, 0.5, 0.5])
    censored = np.array([0, 0, 0, -1, -1], dtype=np.int8)
    channel = Channel("salt", unit="g/L", noise="0.2 g/L")
    samples = Samples(np.arange(5.0) * 600.0, values, censored=censored, noise_scale=np.array([1.0, 0.5, 0.5, 1, 1]))
    phases = [PhaseWindow("wash", 0.0, 1200.0)]
    return assemble("b1", {"salt": series_from(channel, samples)}, provenance=Provenance("lab.csv"), phases=phases)


def test_limits_noise_and_phases_are_printed() -> None:
    """How many samples only bound the truth, by what the noise differs, and when each phase ran."""
    text = str(limited())
    assert "censored" in text and "0.2 g/L times 0.5 to 1" in text
    assert "phase wash: 0 s to 20 min" in text
    assert "2 below detection: used as limits" in text
    table = limited().quality
    assert (table.loc["salt", "censored"], table.loc["salt", "used"], table.loc["salt", "good"]) == (2, 5, 5)
    assert "censored" not in str(Experiment.from_arrays("x", [0.0], {"core": [1.0]}, channels=[CORE]))


def test_limits_are_drawn_as_arrows() -> None:
    """Where the truth lies: an arrow down at the limit, apart from what was measured."""
    (ax,) = limited().plot().axes
    arrows = [line for line in ax.lines if line.get_marker() == r"$\downarrow$"]
    assert [line.get_label() for line in arrows] == ["below the limit (2)"]
    assert np.asarray(arrows[0].get_ydata()).tolist() == [0.5, 0.5]
    measured = next(line for line in ax.lines if line.get_label() == "salt")
    assert int(np.isfinite(np.asarray(measured.get_ydata(), dtype=float)).sum()) == 3
    assert [text.get_text() for text in ax.texts] == ["wash"]


# Methods -------------------------------------------------------------------------------------------------------------


def test_the_methods_of_an_experiment_are_the_functions(tmp_path: Path) -> None:
    """Averaging, resampling, phases, parts, steady windows and delays by one line each."""
    rng = np.random.default_rng(0)
    t = np.arange(0.0, 1200.0)
    moving = np.interp(t, [0.0, 300.0, 600.0, 1200.0], [0.0, 0.0, 50.0, 50.0])
    late = np.interp(t - 20.0, t, moving)
    data = {
        "a": 300.0 + moving + 0.1 * rng.standard_normal(t.size),
        "b": 300.0 + late + 0.1 * rng.standard_normal(t.size),
    }
    series = {o: series_from(Channel(o, unit="K", noise="0.1 K"), Samples(t, v)) for o, v in data.items()}
    run = assemble("r", series, provenance=Provenance("arrays"), phases=[PhaseWindow("rest", 0.0, 300.0)])
    mean = run.average("1 min")
    assert mean["a"].times.size == 20
    assert mean["a"].noise_scale is not None and mean["a"].noise_scale[0] == pytest.approx(60**-0.5, rel=0.3)
    assert run.resample("10 s")["a"].times.size == 120
    assert run.select("rest")["a"].times.max() < 301.0
    fitted, tested = run.split(train=0.5)
    assert fitted["a"].times.max() < tested["a"].times.min()
    assert len(run.steady_windows(window="2 min")) > 0
    assert run.find_delay("a", "b", longest="1 min").value == pytest.approx(20.0, abs=1.0)
