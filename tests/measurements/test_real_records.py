"""The measured records of the data sets, each read with a mapping of a few lines."""

import numpy as np
import pytest

from physics_twin import datasets
from physics_twin.errors import DataError
from physics_twin.measurements import (
    Batch,
    Channel,
    Checks,
    Column,
    Experiment,
    Flag,
    Layout,
    Log,
    Tag,
    TagTable,
    experiments_from,
    find_dependent_channels,
    inspect,
    read_log,
    read_table,
)
from physics_twin.measurements.tables import numbers
from physics_twin.recipes import HOLD
from tests.data_marks import needs_data


def heater(column: str) -> Column:
    """A heater's power as the logger writes it: held until the next row."""
    return Column(column, "percent", HOLD)


def sensor(output: str, column: str) -> Channel:
    """A thermistor of the board."""
    return Channel(output, column=column, unit="degC", noise="0.5 K")


def tclab(file: str) -> Experiment:
    """One of the three runs of the temperature control lab."""
    path = datasets.load("tclab").path(file)
    if file == "mimo_1s_600.csv":
        return Experiment.from_csv(
            path,
            time="Time (sec)",
            inputs={"heater_1": heater("Heater 1 (%)"), "heater_2": heater("Heater 2 (%)")},
            channels=[sensor("T1", "Temperature 1 (degC)"), sensor("T2", "Temperature 2 (degC)")],
        )
    if file == "mhe_3s_200.csv":
        return Experiment.from_csv(
            path,
            header=0,
            column_names=["t", "H1", "H2", "T1", "T2"],
            time="t",
            inputs={"heater_1": heater("H1"), "heater_2": heater("H2")},
            channels=[sensor("T1", "T1"), sensor("T2", "T2")],
        )
    return Experiment.from_csv(path, time="time", inputs={"heater_1": heater("Q")}, channels=[sensor("T1", "T")])


@needs_data("tclab")
@pytest.mark.parametrize(
    ("file", "n", "end"),
    [("mimo_1s_600.csv", 599, 598.9), ("mhe_3s_200.csv", 200, 596.67), ("siso_1s_601.csv", 601, 600)],
)
def test_the_runs_of_the_control_lab_are_clean(file: str, n: int, end: float) -> None:
    """Coarse converters near a steady state are not called stuck, steps of the heaters no gaps."""
    run = tclab(file)
    assert run.duration == pytest.approx(end, abs=0.01)
    for series in run:
        assert series.counts[Flag.GOOD] == n
        assert series.used.all()
        assert series.notes == ()
    assert run.notes == ()
    assert 293.0 < run["T1"].values[0] < 296.0


@needs_data("tclab")
def test_the_two_sensors_of_the_board_are_independent() -> None:
    """No cry of wolf on coupled heaters, alone or together."""
    runs = [tclab("mimo_1s_600.csv"), tclab("mhe_3s_200.csv")]
    assert find_dependent_channels(runs[0]).dependencies == ()
    assert find_dependent_channels(runs).dependencies == ()


KINETICS = [f"FSRI_TGA_N2_{rate}K_{k}.csv" for rate in (10, 20, 30) for k in (1, 2, 3)]
KINETICS += ["FSRI_TGA_N2_3K_1.csv", *(f"NIST_TGA_N2_10K_{k}.csv" for k in range(1, 6))]


@needs_data("macfp_pmma_kinetics")
@pytest.mark.parametrize("file", KINETICS)
def test_the_thermogravimetry_is_read_with_its_row_of_units(file: str) -> None:
    """Headers differ from file to file, some with a byte order mark; units are checked against the file's own."""
    run = Experiment.from_csv(
        datasets.load("macfp_pmma_kinetics").path(file),
        header=2,
        column_names=["time", "temperature", "mass"],
        time="time",
        inputs={"temperature": Column("temperature", "K")},
        channels=[Channel("mass", unit="mg", noise="0.01 mg")],
    )
    assert run.n_used == run["mass"].values.size > 600
    assert 3.9e-6 < run["mass"].values[0] < 6.4e-6
    assert run["mass"].counts[Flag.GOOD] == run.n_used


@needs_data("macfp_pmma_capa")
def test_the_gasification_is_read_on_the_clock_of_its_column() -> None:
    """Its first row is 2.5 s after the heater was switched on, so the zero is asked for and said."""
    data = datasets.load("macfp_pmma_capa")
    rate = Experiment.from_csv(
        data.path("UMD_CAPA_25kW_Mass.csv"),
        header=2,
        time="Time",
        start="0 s",
        channels=[Channel("mass_loss_rate", column="MLR_mean", unit="kg/s/m^2", noise="5e-4 kg/s/m^2")],
    )
    assert rate["mass_loss_rate"].times[0] == 2.493585
    back = Experiment.from_csv(
        data.path("UMD_CAPA_60kW_Temp.csv"),
        header=2,
        time="Time",
        channels=[Channel("back_temperature", column="Temp_avg_all4", unit="K", noise="1.5 K")],
    )
    assert back.n_used == back["back_temperature"].values.size == 2693


@needs_data("dic_plate_hole")
@pytest.mark.parametrize(("kind", "n"), [("raw", 5475), ("interpolated", 1124)])
def test_a_displacement_field_is_read_as_a_table(kind: str, n: int) -> None:
    """Every cell a number; a field over points is one sample of a vector, which channels do not hold yet."""
    table = read_table(datasets.load("dic_plate_hole").path(f"20231116_displacements_{kind}.csv"))
    assert table.n_rows == n
    for name in table.columns:
        read = numbers(table[name], table, name)
        assert (read.flags == Flag.GOOD).all()
    x = numbers(table["x-coordinate [mm]"], table, "x").values
    assert -2.0 < np.min(x) < np.max(x) < 82.0


@needs_data("literature_kinetics")
def test_the_dependencies_of_alpha_pinene_are_found_in_its_file() -> None:
    """From the CSV to the words."""
    species = {"pinene": 1, "dipentene": 2, "alloocimene": 3, "pyronene": 4, "dimer": 5}
    run = Experiment.from_csv(
        datasets.load("literature_kinetics").path("alpha_pinene.csv"),
        time=Column("t_min_units_as_published", "min"),
        channels=[Channel(s, column=f"y{k}_{s}", unit="percent", noise="1 percent") for s, k in species.items()],
    )
    assert find_dependent_channels(run).leave_out == ("pyronene", "pinene")


def as_experiment(log: Log, units: dict[str, str]) -> Experiment:
    """All columns of a log with one clock as channels of one experiment."""
    names = {tag: "".join(sign if sign.isalnum() else "_" for sign in tag) for tag in units}
    first = next(iter(units))
    return Experiment.from_arrays(
        "record",
        log[first].times - log[first].times[0],
        {names[tag]: log[tag].values for tag in units},
        channels=[Channel(names[tag], column=tag, unit=unit, noise=(1.0, unit)) for tag, unit in units.items()],
    )


TCLAB = {
    "mimo_1s_600.csv": (Layout(), 599, "Temperature 1 (degC)"),
    "mhe_3s_200.csv": (
        Layout(header=0, column_names=("t", "H1", "H2", "T1", "T2"), time="t", stamp_format="s"),
        200,
        "T1",
    ),
    "siso_1s_601.csv": (Layout(stamp_format="s"), 601, "T"),
}


@needs_data("tclab")
@pytest.mark.parametrize("file", TCLAB)
def test_the_control_lab_as_a_log(file: str) -> None:
    """At most one line of layout each; every sample good, and nothing is cried over: no gap, no stuck sensor."""
    layout, n, tag = TCLAB[file]
    look = inspect(datasets.load("tclab").path(file), layout=layout)
    assert look.log.n_rows == n
    for one in look.tags.values():
        assert one.n == one.counts[Flag.GOOD] == n
        assert one.gaps == one.flats == ()
        assert one.compression is None or not one.compression.compressed
    assert look[tag].low == pytest.approx(21.0, abs=1.5)
    assert look[tag].period == pytest.approx(3.0 if file.startswith("mhe") else 1.0, abs=0.01)


@needs_data("tclab")
def test_the_control_lab_through_a_log_is_the_same_experiment() -> None:
    """The way of plant logs gives the samples and the inputs that `from_csv` gives."""
    path = datasets.load("tclab").path("mimo_1s_600.csv")
    channels = [sensor("T1", "Temperature 1 (degC)"), sensor("T2", "Temperature 2 (degC)")]
    inputs = {"heater_1": heater("Heater 1 (%)"), "heater_2": heater("Heater 2 (%)")}
    read = tclab("mimo_1s_600.csv")
    (cut,) = experiments_from(path, batches=[Batch("run", 0.0, read.duration)], channels=channels, inputs=inputs)
    for output in ("T1", "T2"):
        assert np.array_equal(cut[output].times, read[output].times)
        assert np.array_equal(cut[output].values, read[output].values)
        assert np.array_equal(cut[output].flags, read[output].flags)
    assert str(cut.recipe) == str(read.recipe)
    assert find_dependent_channels(cut).dependencies == ()


@needs_data("macfp_pmma_kinetics")
@pytest.mark.parametrize("file", [*KINETICS, *(f"NIST_DSC_N2_10K_{k}.csv" for k in range(1, 6))])
def test_thermogravimetry_and_calorimetry_need_no_layout(file: str) -> None:
    """Byte order marks, headers that differ and the row of units are detected; each unit is the file's own."""
    log = read_log(datasets.load("macfp_pmma_kinetics").path(file))
    temperature, other = log
    assert (temperature.unit, other.unit) == ("K", "mW/mg" if "DSC" in file else "mg")
    assert temperature.n == temperature.counts[Flag.GOOD] == log.n_rows > 600
    assert temperature.values.min() > 290.0 and temperature.times[-1] > 900.0


@needs_data("macfp_pmma_capa")
@pytest.mark.parametrize(("file", "imputed"), [("Mass", "Temp_avg_all4"), ("Temp", "MLR_mean")])
@pytest.mark.parametrize("flux", [25, 60])
def test_the_columns_of_zeros_of_the_gasification_are_found(flux: int, file: str, imputed: str) -> None:
    """What was not measured was filled with zeros; inspection and redundancy say so, and no other column."""
    path = datasets.load("macfp_pmma_capa").path(f"UMD_CAPA_{flux}kW_{file}.csv")
    look = inspect(path)
    constant = [tag.tag for tag in look.tags.values() if tag.low == tag.high]
    error = {"Temp_avg_all4": "Temperature_Error", "MLR_mean": "MLR_error"}[imputed]
    assert constant == [imputed, error]
    found = find_dependent_channels(as_experiment(look.log, {tag.tag: tag.units[0].unit for tag in look.tags.values()}))
    assert set(found.constant) == {imputed, error}
    assert found.dependencies == ()


@needs_data("macfp_pmma_capa")
def test_zeros_declared_to_mean_nothing_measured_are_missing() -> None:
    """With a tag table that says so, a column of zeros holds no sample at all."""
    tags = TagTable(
        (Tag("Temp_avg_all4", unit="K", checks=Checks(zero_is_missing=True)), Tag("MLR_mean", unit="kg/s/m^2"))
    )
    log = read_log(datasets.load("macfp_pmma_capa").path("UMD_CAPA_25kW_Mass.csv"), tags=tags)
    assert log["Temp_avg_all4"].counts[Flag.MISSING] == 337
    assert log["MLR_mean"].counts[Flag.GOOD] == 337


@needs_data("dic_plate_hole")
@pytest.mark.parametrize("kind", ["raw", "interpolated"])
def test_a_displacement_field_is_no_log_and_is_told_so(kind: str) -> None:
    """Points without a time: refused with the names of the columns, and not read with a coordinate for the clock."""
    with pytest.raises(DataError, match=r"x-coordinate.*time"):
        inspect(datasets.load("dic_plate_hole").path(f"20231116_displacements_{kind}.csv"))


@needs_data("literature_kinetics")
def test_the_dependencies_of_alpha_pinene_are_found_in_its_log() -> None:
    """The same finding through `read_log`: an imputed column, and rows that sum to 100 percent."""
    layout = Layout(stamp_format="min")
    log = read_log(datasets.load("literature_kinetics").path("alpha_pinene.csv"), layout=layout)
    found = find_dependent_channels(as_experiment(log, dict.fromkeys(log.samples, "percent")))
    assert found.leave_out == ("y4_pyronene", "y1_pinene")
    assert [one.imputed for one in found.dependencies if one.imputed] == ["y4_pyronene"]
