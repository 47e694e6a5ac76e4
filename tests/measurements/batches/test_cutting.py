"""Logs cut into experiments: what each holds, and the account of what none of them does."""

import datetime as dt
import zoneinfo
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from physics_twin.errors import DataError, UnitError, UnknownNameError
from physics_twin.measurements.batches.batch import Batch, FromContext, LaboratoryValue
from physics_twin.measurements.batches.batch_tables import read_batches
from physics_twin.measurements.batches.batch_tags import ByTag
from physics_twin.measurements.batches.cutting import experiments_from
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.layout import Layout, LongForm, StampsAt
from physics_twin.measurements.logs.log import Log, TagSamples
from physics_twin.measurements.provenance import Exclusion
from physics_twin.measurements.relations.cross_checks import Pair
from physics_twin.measurements.sampling import Averaged
from physics_twin.measurements.tags.certificates import expired_certificates
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.sensors import Installation, Sensor
from physics_twin.measurements.tags.tag_table import Tag, TagTable
from physics_twin.measurements.uncertainty import Uncertainty
from physics_twin.recipes import HOLD, RAMP, Recipe, Rule, Table

ORIGIN = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
CORE = Tag("TI1", output="core", unit="degC", noise="1 K")
GAS = Tag("TIC2", input="gas", unit="degC", rule=RAMP)


def tag(name: str, times: Any, values: Any, **more: Any) -> TagSamples:
    """Samples of a tag; NaN is missing."""
    v = np.asarray(values, dtype=np.float64)
    flags = np.where(np.isnan(v), Flag.MISSING, Flag.GOOD).astype(np.int8)
    return TagSamples(name, np.asarray(times, dtype=np.float64), v, flags, **more)


def log_of(*samples: TagSamples, tags: TagTable | None = None, origin: dt.datetime | None = ORIGIN) -> Log:
    """A log of these tags."""
    one = {sample.tag: sample for sample in samples}
    return Log(one, Layout(zone="UTC", separator=";"), origin, "plant.csv", "c0ffee", 9, (), tags)


def at(seconds: float) -> dt.datetime:
    """A moment of the log."""
    return ORIGIN + dt.timedelta(seconds=seconds)


def wavy(n: int, step: float = 10.0) -> tuple[Any, Any]:
    """Times and values of a lively sensor."""
    t = np.arange(n) * step
    return t, 100.0 + 20.0 * np.sin(t / 300.0) + np.random.default_rng(0).normal(0.0, 1.0, n)


T, V = wavy(1000)  # 9990 s


def plain_log(table: TagTable | None = None) -> Log:
    """A log of one output and one input."""
    return log_of(tag("TI1", T, V), tag("TIC2", T + 5.0, V + 50.0), tags=table or TagTable((CORE, GAS)))


TWO = (Batch("A", at(1000.0), at(3000.0), {"lot": "L1"}), Batch("B", at(5000.0), at(8000.0), {"lot": "L2"}))


def gas_of(experiment: Any) -> Table:
    """The recorded input as the recipe holds it."""
    item = experiment.recipe.phases[0].inputs["gas"]
    assert isinstance(item, Table)
    return item


# What an experiment holds --------------------------------------------------------------------------------------------


def test_each_batch_is_an_experiment_with_time_zero_at_its_start() -> None:
    """Both ends belong to a batch, times begin at its start, values are SI, context and provenance are carried."""
    a, b = experiments_from(plain_log(), batches=TWO)
    core = a["core"]
    assert (core.times[0], core.times[-1], core.times.size) == (0.0, 2000.0, 201)
    assert np.array_equal(core.values, V[100:301] + 273.15)
    assert (a.t0_utc, b.t0_utc) == (at(1000.0), at(5000.0))
    assert (dict(a.context), dict(b.context)) == ({"lot": "L1"}, {"lot": "L2"})
    assert (a.provenance.source, a.provenance.sha256) == ("plant.csv", "c0ffee")
    assert a.provenance.options == {"separator": ";", "zone": "UTC", "stamps_at": "instant"}


def test_the_provenance_names_all_columns_of_a_long_log() -> None:
    """Which one was the tag, the value, the quality, the unit; averages say where their stamps stand."""
    form = LongForm("Tag", "Wert", quality="Status", unit="Einheit")
    layout = Layout(time="Zeit", form=form, stamps_at=StampsAt.END, period="1 min")
    (a,) = experiments_from(replace(plain_log(), layout=layout), batches=TWO[:1])
    options = a.provenance.options
    assert options["form"] == "LongForm(tag='Tag', value='Wert', quality='Status', unit='Einheit')"
    assert (options["stamps_at"], options["period"]) == ("end of the period", "1 min")


def test_a_sample_where_the_next_batch_begins_belongs_to_that_one() -> None:
    """Batches without a pause share no sample; the last one keeps its end."""
    batches = [Batch("A", at(1000.0), at(2000.0)), Batch("B", at(2000.0), at(3000.0))]
    a, b = experiments_from(plain_log(), batches=batches)
    assert (a["core"].times[-1], b["core"].times[0], b["core"].times[-1]) == (990.0, 0.0, 1000.0)
    assert a["core"].times.size + b["core"].times.size == 201


def test_inputs_at_time_zero_and_at_the_end_follow_from_their_neighbors() -> None:
    """A ramp is interpolated across the start and runs on to the end; the note says from when."""
    times, values = np.array([0.0, 900.0, 1100.0, 2900.0, 3100.0]), np.array([20.0, 40.0, 60.0, 60.0, 80.0])
    log = log_of(tag("TI1", T, V), tag("TIC2", times, values), tags=TagTable((CORE, GAS)))
    (a,) = experiments_from(log, batches=TWO[:1])
    gas = gas_of(a)
    assert gas.times[:2] == (0.0, 100.0)
    assert gas.values[:2] == (50.0 + 273.15, 60.0 + 273.15)
    assert np.interp(2000.0, gas.times, gas.values) == pytest.approx(70.0 + 273.15, abs=1e-9)
    assert "at time zero on a straight line from the sample 100 s before" in a.inputs[0].notes


def test_a_set_point_that_was_set_before_the_batch_holds_in_it() -> None:
    """Exception reporting keeps a set point once, perhaps days before; it is not lost with the cut."""
    held = Tag("TIC2", input="gas", unit="degC", rule=HOLD)
    log = log_of(tag("TI1", T, V), tag("TIC2", [0.0, 2000.0, 3500.0], [20.0, 30.0, 99.0]), tags=TagTable((CORE, held)))
    (a,) = experiments_from(log, batches=TWO[:1])
    gas = gas_of(a)
    assert gas.rule is Rule.HOLD
    assert gas.times == (0.0, 1000.0, 2000.0)
    assert gas.values == (293.15, 303.15, 303.15)
    assert "at time zero held from the sample 16.7 min before" in a.inputs[0].notes


@pytest.mark.parametrize("at_end", [True, False])
def test_what_holds_in_a_log_of_averages_holds_from_the_beginning_of_its_period(tmp_path: Path, at_end: bool) -> None:
    """5 kg/min over one period of 10 min are 50 kg of that period, wherever its stamp stands; so a batch's name."""
    first = 10 if at_end else 0
    cells = ["0,20.0,IDLE", "5,20.1,B7", "0,20.2,IDLE", "0,20.3,IDLE", "0,20.4,IDLE"]
    rows = [f"2026-07-01 06:{first + 10 * k:02}:00Z,{cell}" for k, cell in enumerate(cells)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["time,F,T,B", *rows]) + "\n")
    layout = Layout(stamps_at=StampsAt.END if at_end else StampsAt.START, period="10 min")
    feed = Tag("F", input="f", unit="kg/min", rule=HOLD)
    table = TagTable((feed, Tag("T", output="t", unit="degC", noise="1 K")))
    start = dt.datetime(2026, 7, 1, 6, tzinfo=dt.UTC)
    ten = dt.timedelta(minutes=10)
    (a,) = experiments_from(path, layout=layout, tags=table, batches=[Batch("A", start, start + 3 * ten)])
    held = a.recipe.phases[0].inputs["f"]
    assert isinstance(held, Table)
    at_times = np.searchsorted(held.times, np.array([599.0, 601.0, 1199.0, 1201.0]), "right") - 1
    np.testing.assert_allclose(np.array(held.values)[at_times] * 60.0, [0.0, 5.0, 5.0, 0.0], atol=1e-12)
    assert a["t"].times.tolist() == [300.0, 900.0, 1500.0], "what is measured stays in the middle"
    assert "averages over 10 min: each holds from the beginning of its period" in a.inputs[0].notes
    (b,) = experiments_from(path, layout=layout, tags=table, batches=ByTag("B"))
    assert (b.name, b.t0_utc) == ("B7", start + ten)
    assert b.phases == ()
    assert b.recipe.phases[0].duration == (600.0, "s")


def test_an_input_with_a_sample_at_time_zero_needs_no_other() -> None:
    """Then nothing is assumed and nothing noted."""
    log = log_of(tag("TI1", T, V), tag("TIC2", T, V), tags=TagTable((CORE, GAS)))
    (a,) = experiments_from(log, batches=TWO[:1])
    assert gas_of(a).values[0] == V[100] + 273.15
    assert not any("time zero" in note for note in a.inputs[0].notes)


def test_an_input_without_any_reading_before_or_in_a_batch_is_the_reason_not_to_build_it() -> None:
    """A model cannot run without its input; the other batch is built."""
    log = log_of(tag("TI1", T, V), tag("TIC2", T + 4000.0, V), tags=TagTable((CORE, GAS)))
    found = experiments_from(log, batches=TWO)
    assert found.names == ("B",)
    assert found.report.not_built[0].batch == "A"
    assert 'input "gas" (tag "TIC2") has no reading before the end' in found.report.not_built[0].reason


def test_phases_are_windows_since_time_zero_and_one_may_set_it() -> None:
    """time_zero= names a phase; what lies before is kept and left out."""
    phases = (("heat", at(1200.0), at(2000.0)), ("cool", at(2000.0), at(3000.0)))
    batches = [Batch("A", at(1000.0), at(3000.0), phases=phases), Batch("B", at(5000.0), at(6000.0))]
    a, _ = experiments_from(plain_log(), batches=batches)
    assert [(p.name, p.start, p.end) for p in a.phases] == [("heat", 200.0, 1000.0), ("cool", 1000.0, 2000.0)]
    found = experiments_from(plain_log(), batches=batches, time_zero="heat")
    assert found.names == ("A",)
    assert found.report.not_built[0].reason == 'it has no phase "heat" for time zero'
    assert found[0].t0_utc == at(1200.0)
    assert int((found[0]["core"].left_out > 0).sum()) == 20
    assert found[0].phases[0].start == 0.0
    with pytest.raises(UnknownNameError, match='did you mean "heat"'):
        experiments_from(plain_log(), batches=batches, time_zero="heating")


def test_channels_and_columns_do_without_a_tag_table() -> None:
    """What from_csv takes works here, with tags as columns; constants and quantities of the list are inputs too."""
    channel = Channel("core", column="TI1", unit="degC", noise="1 K")
    batches = [Batch("A", at(1000.0), at(3000.0), {"charge": 1.25})]
    (a,) = experiments_from(
        log_of(tag("TI1", T, V), tag("TIC2", T, V)),
        batches=batches,
        channels=[channel],
        inputs={"gas": Column("TIC2", "degC"), "feed": "2 kg/s", "load": FromContext("charge", "kg")},
        initial={"level": FromContext("charge", "m"), "temperature": "20 degC"},
    )
    inputs = a.recipe.phases[0].inputs
    assert (inputs["feed"], inputs["load"]) == ("2 kg/s", (1.25, "kg"))
    assert isinstance(inputs["gas"], Table)
    assert a.recipe.initial == {"level": (1.25, "m"), "temperature": "20 degC"}


def test_a_quantity_that_the_list_lacks_is_the_reason_not_to_build_a_batch() -> None:
    """The batch is named, and which cell is missing."""
    batches = [Batch("A", at(1000.0), at(3000.0), {"charge": 1.0}), Batch("B", at(5000.0), at(8000.0))]
    found = experiments_from(plain_log(), batches=batches, initial={"level": FromContext("charge", "m")})
    assert found.names == ("A",)
    assert '"level": "charge" of the batch list is empty' in found.report.not_built[0].reason
    with pytest.raises(DataError, match='batch "B": the initial value of "level"'):
        experiments_from(plain_log(), batches=batches, initial={"level": FromContext("charge", "m")}, strict=True)


def test_recipes_and_initial_states_may_follow_from_the_batch() -> None:
    """A recipe by lot, and names by a rule of the plant."""
    recipes = {"L1": Recipe.constant(gas="300 K"), "L2": Recipe.constant(gas="400 K")}
    a, b = experiments_from(
        plain_log(),
        batches=TWO,
        recipe=lambda batch: recipes[str(batch.context["lot"])],
        initial=lambda batch: "steady",
        name=lambda batch: f"line1.{batch.name}",
    )
    assert (a.name, b.name) == ("line1.A", "line1.B")
    assert a.recipe.phases[0].inputs["gas"] == "300 K"
    assert b.recipe.phases[0].inputs["gas"] == "400 K"
    assert a.inputs == ()


def test_settling_and_exclusions_apply_in_each_batch_or_in_one() -> None:
    """A range that a person takes out has its reason, in all batches or in the one that is named."""
    exclusion = Exclusion("100 s", "200 s", "lid open", by="akin")
    a, b = experiments_from(plain_log(), batches=TWO, settle="50 s", exclude={"B": [exclusion]})
    assert a["core"].reasons == ("settling until 50 s",)
    assert b["core"].reasons == ("settling until 50 s", "excluded: lid open (akin)")
    assert int((b["core"].left_out == 2).sum()) == 11
    with pytest.raises(UnknownNameError, match='no batch \\(exclude=\\) "C"'):
        experiments_from(plain_log(), batches=TWO, exclude={"C": [exclusion]})
    with pytest.raises(UnknownNameError, match='channel \\(exclude=\\) "cor"'):
        experiments_from(plain_log(), batches=TWO, exclude=[Exclusion(0.0, 1.0, "x", by="akin", channels=("cor",))])


def test_an_exclusion_of_a_channel_holds_where_the_channel_is() -> None:
    """A batch without samples of that channel has nothing to exclude, and no other channel pays for it."""
    table = TagTable((CORE, Tag("TI2", output="skin", unit="degC", noise="1 K")))
    late = T > 4600.0
    exclusion = Exclusion(0.0, 500.0, "wet", by="akin", channels=("skin",))
    log = log_of(tag("TI1", T, V), tag("TI2", T[late], V[late]), tags=table)
    a, b = experiments_from(log, batches=TWO, exclude=[exclusion])
    assert (a["core"].reasons, a.provenance.exclusions) == ((), ())
    assert (b["core"].reasons, b["skin"].reasons) == ((), ("excluded: wet (akin)",))


def test_digital_states_become_numbers() -> None:
    """A valve that says Open and Closed is an input of 1 and 0; another text is bad."""
    states = ("Open", "Closed", "Moving")
    valve = tag("XV", [0.0, 500.0, 1500.0, 2500.0], [1.0, 0.0, 2.0, 1.0], states=states)
    table = TagTable((CORE, Tag("XV", input="valve", rule=HOLD, states={"Open": 1.0, "Closed": 0.0})))
    (a,) = experiments_from(log_of(tag("TI1", T, V), valve, tags=table), batches=TWO[:1])
    item = a.recipe.phases[0].inputs["valve"]
    assert isinstance(item, Table)
    assert (item.times, item.values) == ((0.0, 1500.0, 2000.0), (1.0, 0.0, 0.0))
    assert a.inputs[0].counts[Flag.BAD] == 1
    with pytest.raises(DataError, match=r'tag "XV" shows texts.*states='):
        other = TagTable((CORE, Tag("XV", input="valve", rule=HOLD)))
        experiments_from(log_of(tag("TI1", T, V), valve, tags=other), batches=TWO[:1])


def test_logs_of_elapsed_time_take_batches_in_seconds() -> None:
    """A trial rig without a clock; stamps do not fit it, and seconds do not fit a plant."""
    log = log_of(tag("TI1", T, V), tag("TIC2", T, V), tags=TagTable((CORE, GAS)), origin=None)
    (a,) = experiments_from(log, batches=[Batch("A", 1000.0, 3000.0)])
    assert a.t0_utc is None
    assert a["core"].times[-1] == 2000.0
    with pytest.raises(DataError, match=r'batch "A": .* is a stamp'):
        experiments_from(log, batches=TWO[:1])
    with pytest.raises(DataError, match='batch "A": 1000 s is elapsed time'):
        experiments_from(plain_log(), batches=[Batch("A", 1000.0, 3000.0)])


def test_a_batch_list_is_read_by_its_path_in_the_zone_of_the_log(tmp_path: Path) -> None:
    """Two files and a tag table are all that is needed; the list is in the provenance with its hash."""
    path = tmp_path / "batches.csv"
    path.write_text("Batch;Start;End;lot\nA;2026-03-01 00:20;2026-03-01 00:50;L1\n")
    (a,) = experiments_from(plain_log(), batches=path)
    assert (a.t0_utc, a["core"].times[-1]) == (at(1200.0), 1800.0)
    assert a.provenance.options["batches"] == "batches.csv"
    assert len(a.provenance.options["batches sha256"]) == 64
    assert a.provenance.options["batch"] == "batches.csv, row 1 (line 2)"
    (same,) = experiments_from(plain_log(), batches=read_batches(path, zone="UTC"))
    assert same["core"] == a["core"]


def test_a_list_without_a_zone_says_where_to_declare_one(tmp_path: Path) -> None:
    """In the words of who cuts: the zone of the log, or of the list; and each of them is heard."""
    path = tmp_path / "batches.csv"
    path.write_text("Batch;Start;End\nA;2026-03-01 01:16:40;2026-03-01 01:50:00\n")
    zoneless = replace(plain_log(), layout=Layout())
    with pytest.raises(DataError, match=r"has no zone.*layout=pt\.Layout\(zone=.*pt\.read_batches\(\.\.\., zone="):
        experiments_from(zoneless, batches=path)
    berlin = "Europe/Berlin"
    (a,) = experiments_from(replace(zoneless, layout=Layout(zone=berlin)), batches=path)
    (b,) = experiments_from(zoneless, batches=read_batches(path, zone=berlin))
    assert a.t0_utc == b.t0_utc == at(1000.0)


def test_batches_by_tag_need_no_list() -> None:
    """The batch tag of the historian cuts the log, and the phase tag gives the phases."""
    states = ("IDLE", "A", "B")
    ids = tag("ID", [0.0, 1000.0, 3000.0, 5000.0, 8000.0], [0.0, 1.0, 0.0, 2.0, 0.0], states=states)
    phases = tag("PH", [1000.0, 2000.0, 3000.0], [0.0, 1.0, 2.0], states=("heat", "cool", "IDLE"))
    log = log_of(tag("TI1", T, V), tag("TIC2", T, V), ids, phases, tags=TagTable((CORE, GAS)))
    found = experiments_from(log, batches=ByTag("ID", phase="PH"))
    assert found.names == ("A", "B")
    assert [p.name for p in found["A"].phases] == ["heat", "cool"]
    assert found["A"]["core"].times[-1] == 2000.0


def test_a_night_with_a_repeated_hour_from_three_files(tmp_path: Path) -> None:
    """Export, tag table and batch list of the night in which summer time ends: nothing overlaps, nothing is lost."""
    first = dt.datetime(2026, 10, 24, 23, 0, tzinfo=dt.UTC)  # 01:00 on the wall
    rows = ["Tag;Zeit;Wert"]
    for k in range(300):  # minutes
        wall = (first + dt.timedelta(minutes=k)).astimezone(zoneinfo.ZoneInfo("Europe/Berlin"))
        name = "IDLE" if k < 30 or k >= 270 else "B1" if k < 150 else "B2"
        rows.append(f"TI1;{wall:%d.%m.%Y %H:%M:%S};{20 + k % 7},5")
        rows.append(f"BATCH;{wall:%d.%m.%Y %H:%M:%S};{name}")
    (tmp_path / "historian.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "tags.toml").write_text('[tags.TI1]\noutput = "core"\nunit = "degC"\nnoise = "1 K"\n')
    (tmp_path / "batches.csv").write_text(
        "Batch;Start;End\nB1;25.10.2026 01:30;25.10.2026 02:30\nB2;25.10.2026 02:30;25.10.2026 04:30\n"
    )
    common: dict[str, Any] = {"layout": Layout(zone="Europe/Berlin", decimal=","), "tags": tmp_path / "tags.toml"}
    by_tag = experiments_from(tmp_path / "historian.csv", batches=ByTag("BATCH"), **common)
    assert [run.duration for run in by_tag] == [7140.0, 7200.0]
    assert [run["core"].times.size for run in by_tag] == [120, 121]
    batches = read_batches(tmp_path / "batches.csv", zone="Europe/Berlin")
    by_list = experiments_from(tmp_path / "historian.csv", batches=batches, **common)
    # The list cannot tell which 02:30 is meant and says so; from the first one on it is three hours to 04:30.
    assert [run.duration for run in by_list] == [3540.0, 10800.0]
    assert all("first pass" in run.notes[0] for run in by_list)
    assert by_list.report.overlaps == ()


# Checks --------------------------------------------------------------------------------------------------------------


def test_a_batch_wholly_after_a_change_of_unit_is_found_out() -> None:
    """Alone it is as smooth as any; the whole tag shows where degC became K."""
    values = np.where(T >= 4000.0, V + 273.15, V)
    log = log_of(tag("TI1", T, values), tag("TIC2", T, V), tags=TagTable((CORE, GAS)))
    found = experiments_from(log, batches=TWO)
    assert found.names == ("A",)
    assert "after a change of unit" in found.report.not_built[0].reason
    assert any("degC to K" in note for note in found.report.tags["TI1"])


def test_an_input_that_changes_its_unit_is_not_bridged() -> None:
    """Bad stretches of an input are bridged, but not all that follows a change of unit."""
    values = np.where(T >= 6000.0, V + 273.15, V)
    log = log_of(tag("TI1", T, V), tag("TIC2", T, values), tags=TagTable((CORE, GAS)))
    found = experiments_from(log, batches=TWO)
    assert found.names == ("A",)
    assert 'the input "gas" (tag "TIC2") seems to change its unit' in found.report.not_built[0].reason


def test_declared_limits_are_checked_and_each_batch_says_what_hit_it() -> None:
    """Range, rate and spike with their counts, at the times of the batch; nothing is deleted."""
    values = V.copy()
    values[150] = 700.0
    values[550] += 80.0
    table = TagTable(
        (Tag("TI1", output="core", unit="degC", noise="1 K", checks=Checks(high="500 degC", spike="30 K")),)
    )
    a, b = experiments_from(log_of(tag("TI1", T, values), tags=table), batches=TWO)
    assert a["core"].notes == (
        "1 sample outside the range of the sensor, the first at 8.33 min (2026-03-01 00:25 UTC): bad",
    )
    assert b["core"].notes == ("1 sample in a spike, the first at 8.33 min (2026-03-01 01:31:40 UTC): suspect",)
    assert a["core"].flags[50] == Flag.BAD
    assert a["core"].times.size == 201
    assert a["core"].counts[Flag.GOOD] == 200
    assert int(b["core"].used.sum()) == 301


def test_samples_out_of_order_are_bad_at_their_own_time() -> None:
    """A clock that jumped back spoils its samples and not the rest; the report counts them."""
    times = T.copy()
    times[200:203] -= 800.0
    a, _ = experiments_from(log_of(tag("TI1", times, V), tags=TagTable((CORE,))), batches=TWO)
    assert (np.diff(a["core"].times) >= 0.0).all()
    assert a["core"].counts[Flag.BAD] == 3
    assert "3 samples back in time or ahead of it, the first at 3.33 min (2026-03-01 00:20 UTC): bad" in a["core"].notes
    found = experiments_from(log_of(tag("TI1", times, V), tags=TagTable((CORE,))), batches=TWO)
    assert found.report.disordered == {"TI1": 3}
    assert "out of order" in str(found.report)


def test_times_are_said_by_the_clock_of_the_plant() -> None:
    """In the zone of the log, beside the time since the start; in the report by the clock alone."""
    table = TagTable((Tag("TI1", output="core", unit="degC", noise="1 K", checks=Checks(high="500 degC")), GAS))
    values = V.copy()
    values[150] = 700.0
    values[400:460] = values[399]  # stuck
    log = log_of(tag("TI1", T, values), tag("TIC2", T[:700], V[:700]), tags=table)
    log = replace(log, layout=Layout(zone="Asia/Tokyo"))
    found = experiments_from(log, batches=TWO)
    assert found["A"]["core"].notes[0].endswith("the first at 8.33 min (2026-03-01 09:25 JST): bad")
    assert "no reading after 33.2 min (2026-03-01 10:56:30 JST): the last one is held" in found["B"].inputs[0].notes
    said = " ".join(found.report.tags["TI1"])
    assert "the first at 2026-03-01 09:25 JST" in said
    assert "from 2026-03-01 10:06:30 JST on" in said
    elapsed = experiments_from(replace(log, origin=None), batches=[Batch("A", 1000.0, 3000.0)])
    assert elapsed["A"]["core"].notes[0].endswith("the first at 8.33 min: bad")
    assert "the first at 25 min" in " ".join(elapsed.report.tags["TI1"])


def test_numbers_that_the_export_itself_calls_bad_are_no_missing_numbers() -> None:
    """A quality code, another unit: the number is there, and the note does not deny it."""
    samples = tag("TI1", T, V)
    flags = np.array(samples.flags)
    flags[[120, 121]] = Flag.BAD
    values = np.array(samples.values)
    values[122], flags[122] = np.nan, Flag.BAD
    a, _ = experiments_from(log_of(replace(samples, flags=flags, values=values), tags=TagTable((CORE,))), batches=TWO)
    assert a["core"].notes == (
        "1 sample without a number, the first at 3.67 min (2026-03-01 00:20:20 UTC): bad",
        "2 samples bad by the export's own word (quality, unit or stamp), the first at 3.33 min "
        "(2026-03-01 00:20 UTC): bad",
    )


def test_the_unit_that_the_export_states_is_compared() -> None:
    """An export in degF is not read as degC."""
    log = log_of(tag("TI1", T, V, unit="degF"), tags=TagTable((CORE,)))
    with pytest.raises(UnitError, match='tag "TI1": the export says "degF", and degC is declared'):
        experiments_from(log, batches=TWO)


def test_a_unit_of_the_export_that_nobody_can_read_is_noted_in_every_batch() -> None:
    """Outputs and inputs say it; the report says it once a tag."""
    log = log_of(tag("TI1", T, V, unit="Grade Z"), tag("TIC2", T, V, unit="C"), tags=TagTable((CORE, GAS)))
    found = experiments_from(log, batches=TWO)
    for one in found:
        assert one["core"].notes[0] == (
            'the export says "Grade Z", which cannot be read as a unit; taken as degC, as declared'
        )
        assert one.inputs[0].notes[0].startswith('the export says "C", which is the coulomb')
    assert str(found.report).count('the export says "Grade Z"') == 1


def test_a_declared_text_of_the_export_overrules_its_unit() -> None:
    """The error names export_unit; with it the values are taken in the declared unit, and a note says so."""
    samples = tag("TI1", T, V, unit="degF")
    with pytest.raises(UnitError, match='say so in the tag table: export_unit = "degF"'):
        experiments_from(log_of(samples, tags=TagTable((CORE,))), batches=TWO)
    a, _ = experiments_from(log_of(samples, tags=TagTable((replace(CORE, export_unit="degF"),))), batches=TWO)
    assert np.array_equal(a["core"].values, V[100:301] + 273.15)
    assert a["core"].notes[0] == 'the export says "degF"; taken as degC, as declared by export_unit'
    with pytest.raises(UnitError, match="the export says"):  # another text is another matter
        experiments_from(log_of(samples, tags=TagTable((replace(CORE, export_unit="K"),))), batches=TWO)


def test_gaps_are_noted_in_the_batch_that_has_them() -> None:
    """A lost hour is a matter of its batch; the break between two batches is none."""
    keep = (T < 1500.0) | ((T > 2200.0) & (T < 3000.0)) | (T > 5000.0)
    a, b = experiments_from(log_of(tag("TI1", T[keep], V[keep]), tags=TagTable((CORE,))), batches=TWO)
    said = "1 gap (the usual step is 10 s), the longest is 12 min from 8.17 min (2026-03-01 00:24:50 UTC) on"
    assert a["core"].notes == (said,)
    assert b["core"].notes == ()


def test_two_sensors_of_one_quantity_are_compared_within_the_batch() -> None:
    """A pair that drifts apart is suspect there; a tag without output only bears witness."""
    drifted = V + np.where((T > 5500.0) & (T < 7500.0), 12.0, 0.0)
    table = TagTable((CORE, Tag("TI9", unit="degC")), pairs=(Pair("TI1", "TI9", "3 K"),))
    log = log_of(tag("TI1", T, V), tag("TI9", T, drifted), tags=table)
    a, b = experiments_from(log, batches=TWO)
    assert list(b.series) == ["core"]
    assert a["core"].counts[Flag.SUSPECT] == 0
    assert b["core"].counts[Flag.SUSPECT] > 150


# Sensors -------------------------------------------------------------------------------------------------------------


def sensed(*installations: Installation) -> TagTable:
    """A tag table with two sensors; the second reads half a kelvin low."""
    u = Uncertainty("0.8 K")
    low = Sensor("TC-2", (("0 degC", "0.5 K"), ("500 degC", "0.5 K")), u)
    return TagTable((CORE,), (Sensor("TC-1", uncertainty=u), low), installations)


def test_each_batch_has_the_sensor_that_was_installed_at_its_start() -> None:
    """Its correction is applied, and its bias is the parameter of that serial."""
    table = sensed(Installation("TI1", "TC-1"), Installation("TI1", "TC-2", at(4000.0)))
    a, b = experiments_from(log_of(tag("TI1", T, V), tags=table), batches=TWO)
    assert list(a.parameters) == ["bias.TC_1"]
    assert list(b.parameters) == ["bias.TC_2"]
    assert np.allclose(a["core"].values, V[100:301] + 273.15, atol=1e-9)
    assert np.allclose(b["core"].values, V[500:801] + 273.65, atol=1e-9)


def test_samples_after_a_replacement_are_left_out_and_reported() -> None:
    """Two sensors have two biases; what the second one showed is kept but not used."""
    table = sensed(Installation("TI1", "TC-1"), Installation("TI1", "TC-2", at(2000.0)))
    found = experiments_from(log_of(tag("TI1", T, V), tags=table), batches=TWO)
    core = found["A"]["core"]
    assert int(core.used.sum()) == 100
    assert core.reasons == ("the sensor was replaced: TC-1 by TC-2",)
    (one,) = found.report.replaced
    assert (one.batch, one.tag, one.at, one.before, one.after) == ("A", "TI1", 1000.0, "TC-1", "TC-2")
    assert "TI1 from TC-1 to TC-2 at 16.7 min (2026-03-01 00:33:20 UTC); later" in str(found)


def test_a_sensor_at_an_input_corrects_it_and_its_certificate_counts() -> None:
    """The recipe holds corrected readings; an expired certificate is in the notes; what stays uncertain is said."""
    low = (("0 degC", "-5 K"), ("500 degC", "-5 K"))
    late = Sensor("TC-7", low, Uncertainty("2 K"), valid_until=dt.date(2026, 2, 1))
    table = TagTable((CORE, GAS), (late,), (Installation("TIC2", "TC-7"),))
    log = log_of(tag("TI1", T, V), tag("TIC2", T, V + 50.0), tags=table)
    a, b = experiments_from(log, batches=TWO)
    np.testing.assert_allclose(gas_of(a).values, V[100:302] + 50.0 - 5.0 + 273.15, atol=1e-9)
    assert a.inputs[0].notes == (
        "corrected by -5 K as the certificate of sensor TC-7 says",
        "the uncertainty of TC-7 (2 K, k = 2) at the input gas is not part of the fit",
    )
    said = "the certificate of sensor TC-7 (input gas) ended on 2026-02-01, before the end of the record"
    assert a.notes == b.notes == (said,)
    (found,) = expired_certificates([a, b])
    assert "TC-7 ended on 2026-02-01: 502 later samples are in use (input gas@A, input gas@B)" in found
    assert "sensor TC-7: input gas, its bias of 1 K (one standard deviation) is not part of the fit" in str(a)
    column = table.column("TIC2")
    assert column.sensor == late
    (again,) = experiments_from(
        log_of(tag("TI1", T, V), tag("TIC2", T, V + 50.0)),
        batches=TWO[:1],
        channels=[CORE.channel()],
        inputs={"gas": column},
    )
    assert gas_of(again) == gas_of(a)
    assert again.notes == a.notes


def test_each_reading_of_an_input_is_corrected_by_the_sensor_of_its_time() -> None:
    """A replacement within a batch leaves no input out: both certificates are known, and each serves its readings."""
    one = Sensor("TC-7", (("0 degC", "-5 K"), ("500 degC", "-5 K")), valid_until=dt.date(2026, 2, 1))
    two = Sensor("TC-8", (("0 degC", "3 K"), ("500 degC", "3 K")), valid_until=dt.date(2027, 2, 1))
    table = TagTable((CORE, GAS), (one, two), (Installation("TIC2", "TC-7"), Installation("TIC2", "TC-8", at(2000.0))))
    a, b = experiments_from(log_of(tag("TI1", T, V), tag("TIC2", T, V), tags=table), batches=TWO)
    expected = V[100:302] + np.where(T[100:302] < 2000.0, -5.0, 3.0)
    np.testing.assert_allclose(gas_of(a).values, expected + 273.15, atol=1e-9)
    assert any("the sensor was replaced at 16.7 min" in note and "TC-7 by TC-8" in note for note in a.inputs[0].notes)
    assert [(used.sensor.serial, used.first, used.last) for used in a.inputs[0].sensors] == [
        ("TC-7", 0.0, 990.0),
        ("TC-8", 1000.0, 2010.0),  # the line to the reading after the end is part of the input
    ]
    assert [used.sensor.serial for used in b.inputs[0].sensors] == ["TC-8"]
    assert b.notes == ()
    assert "100 later samples" in expired_certificates([a, b])[0]


def test_an_input_whose_readings_end_with_the_certificate_rests_on_none_that_is_late() -> None:
    """A set point that is held beyond the last day of the certificate was read before."""
    sensor = Sensor("TC-7", valid_until=dt.date(2026, 2, 28))
    table = TagTable(
        (CORE, Tag("TIC2", input="gas", unit="degC", rule=HOLD)), (sensor,), (Installation("TIC2", "TC-7"),)
    )
    (a,) = experiments_from(log_of(tag("TI1", T, V), tag("TIC2", [-60.0], [50.0]), tags=table), batches=TWO[:1])
    assert a.notes == ()
    assert expired_certificates([a]) == ()


# Laboratory ----------------------------------------------------------------------------------------------------------


def lab(value: float, **more: Any) -> LaboratoryValue:
    """A concentration."""
    more.setdefault("uncertainty", "0.02 mol/L")
    return LaboratoryValue("c", value, "mol/L", **more)


def test_laboratory_values_join_their_batch_by_name_or_by_time() -> None:
    """Each with its own uncertainty over the median of all, its own time and the time when it was known."""
    values = (
        lab(0.7, batch="A", sampled_at=at(1500.0), reported_at=at(9000.0)),
        lab(0.5, sampled_at=at(2500.0), uncertainty="0.04 mol/L"),
        lab(0.1, batch="A"),
        lab(0.05, batch="B", censored=-1),
    )
    found = experiments_from(plain_log(), batches=TWO, laboratory=values)
    c = found["A"]["c"]
    assert c.times.tolist() == [500.0, 1500.0, 2000.0]
    assert c.values == pytest.approx([700.0, 500.0, 100.0])
    assert c.noise == pytest.approx([20.0, 40.0, 20.0])
    assert c.reported is not None
    assert c.reported[0] == 8000.0
    assert np.isnan(c.reported[1:]).all()
    assert c.channel.noise == pytest.approx(20.0)  # the median of all four
    assert found["B"]["c"].channel == c.channel
    assert found["B"]["c"].noise_scale is None
    assert found["B"]["c"].censored is not None
    assert int(found["B"]["c"].used.sum()) == 0
    assert found.report.laboratory == ()


def test_channels_say_how_their_samples_were_taken() -> None:
    """A declared range, windows and an uncertain time reach the experiment of each batch."""
    end = float(np.sort(V)[-50])
    channel = Channel(
        "core",
        column="TI1",
        unit="degC",
        noise="1 K",
        sensor_range=(None, (end, "degC")),
        averaged=Averaged("60 s", stamp="end"),
        time_noise="5 s",
    )
    log = log_of(tag("TI1", T, V))
    (a,) = experiments_from(log, batches=[Batch("A", at(0.0), at(9990.0))], channels=[channel])
    core = a["core"]
    assert core.begins is not None and core.ends is not None and core.time_sd is not None
    assert (core.n_censored, int(core.informative.sum())) == (50, V.size)
    assert core.values.max() == pytest.approx(end + 273.15)
    assert "50 above the range: used as limits" in core.notes
    assert np.array_equal(core.ends, core.times) and np.array_equal(core.begins, core.times - 60.0)
    assert (core.time_sd == 5.0).all()


def test_laboratory_values_without_a_batch_are_counted_and_never_dropped() -> None:
    """Unknown batch, time in none or in two, a text, a batch that could not be built: each with its reason."""
    values = (
        lab(0.7, batch="C", source="lab.csv, row 1"),
        lab(0.6, sampled_at=at(4000.0)),
        lab(0.5, batch="A", sampled_at=at(1000.0) + dt.timedelta(days=1)),
        LaboratoryValue("c", float("nan"), "mol/L", "0.02 mol/L", batch="A", text="pending"),
        lab(0.4, batch="late"),
        lab(0.3, sampled_at=at(2900.0)),
        lab(0.2, batch="A"),
    )
    batches = [*TWO, Batch("late", at(20000.0), at(21000.0)), Batch("twin", at(2800.0), at(3100.0))]
    found = experiments_from(plain_log(), batches=batches, laboratory=values)
    reasons = [one.reason for one in found.report.laboratory]
    assert reasons == [
        'there is no batch "C"',
        "its time lies outside every batch",
        'it was sampled 23.44 h after the end of its batch "A"',
        "it is no number",
        'its time lies in 2 batches ("A" and "twin"), and it names none',
        "its batch could not be built",
    ]
    assert found["A"]["c"].times.tolist() == [2000.0]
    assert "lab.csv, row 1" in str(found)


def test_a_sample_from_the_tank_after_the_end_is_kept_with_the_inputs_of_that_time() -> None:
    """Ten minutes after the end is a custom of the plant: the value keeps its time, the recipe runs until then."""
    (a,) = experiments_from(plain_log(), batches=TWO[:1], laboratory=[lab(0.1, batch="A", sampled_at=at(3600.0))])
    assert a["c"].times.tolist() == [2600.0]
    assert "1 sampled after the end of the batch, by up to 10 min" in a["c"].notes
    assert a.recipe.phases[0].duration == (2600.0, "s")
    assert gas_of(a).times[-1] >= 2600.0


def test_one_output_is_not_shown_by_a_tag_and_by_the_laboratory() -> None:
    """Two instruments are two outputs of the model."""
    value = LaboratoryValue("core", 90.0, "degC", "1 K", batch="A")
    with pytest.raises(DataError, match='"core" is shown by a tag and by the laboratory'):
        experiments_from(plain_log(), batches=TWO, laboratory=[value])


def test_laboratory_values_of_one_output_have_one_dimension() -> None:
    """Percent and mol/L of one output is a mistake, named with its row."""
    values = [
        lab(0.7, batch="A"),
        LaboratoryValue("c", 7.0, "percent", "1 percent", batch="A", source="lab.csv, row 2"),
    ]
    with pytest.raises(UnitError, match=r"in mol/L and in percent \(lab.csv, row 2\)"):
        experiments_from(plain_log(), batches=TWO, laboratory=values)


# The account ---------------------------------------------------------------------------------------------------------


def test_samples_outside_of_all_batches_are_counted_by_tag() -> None:
    """In a batch or outside, every sample of the log is accounted for; unreadable times are told apart."""
    times = T.copy()
    times[10] = np.nan
    found = experiments_from(log_of(tag("TI1", times, V), tags=TagTable((CORE,))), batches=TWO)
    inside = sum(run["core"].times.size for run in found)
    (one,) = found.report.orphans
    assert (one.tag, one.n_timeless, one.n) == ("TI1", 1, 1000)
    assert one.n_outside + one.n_timeless + inside == 1000


def test_overlapping_batches_both_keep_their_samples_and_are_reported() -> None:
    """Two reactors, or a slip in the list: how long, and no sample lost or counted outside."""
    batches = [Batch("A", at(1000.0), at(3000.0)), Batch("B", at(2000.0), at(4000.0))]
    found = experiments_from(plain_log(), batches=batches)
    assert [(o.first, o.second, o.seconds) for o in found.report.overlaps] == [("A", "B", 1000.0)]
    assert found["A"]["core"].times.size == found["B"]["core"].times.size == 201
    assert found.report.orphans[0].n_outside == 1000 - 301


def test_batches_without_data_say_why() -> None:
    """Planned but never run, in a hole of the export, or without one of their tags."""
    hole = (T < 3500.0) | (T > 4500.0)
    table = TagTable((CORE, Tag("TI2", output="skin", unit="degC", noise="1 K")))
    late = T > 4600.0
    log = log_of(tag("TI1", T[hole], V[hole]), tag("TI2", T[late], V[late]), tags=table)
    batches = [*TWO, Batch("hole", at(3600.0), at(4400.0)), Batch("planned", at(20000.0), at(21000.0))]
    found = experiments_from(log, batches=batches)
    assert found.names == ("A", "B")
    assert [(one.batch, one.reason) for one in found.report.not_built] == [
        ("hole", "no sample at all in its time"),
        ("planned", "no sample at all: the log ends before it begins"),
    ]
    assert [(one.batch, one.tag) for one in found.report.missing] == [("A", "TI2")]
    assert list(found["A"].series) == ["core"]
    assert "no sample of TI2" in found["A"].notes
    assert "planned" in str(found)


def test_a_batch_of_bad_samples_only_is_not_built() -> None:
    """A dead sensor is no experiment, and the reason names what is wrong with its samples."""
    values = np.where((T > 4900.0) & (T < 8100.0), np.nan, V)
    found = experiments_from(log_of(tag("TI1", T, values), tags=TagTable((CORE,))), batches=TWO)
    assert found.names == ("A",)
    assert "no sample can be used (core: 301 samples not measured" in found.report.not_built[0].reason


def test_where_no_batch_can_be_built_the_error_says_why() -> None:
    """An empty result would pass for success."""
    with pytest.raises(DataError, match=r"none of 1 batches could be built.*the log ends before it begins"):
        experiments_from(plain_log(), batches=[Batch("A", at(20000.0), at(21000.0))])


def test_a_batch_that_still_runs_ends_with_the_log() -> None:
    """No end means the last sample of the log."""
    (a,) = experiments_from(plain_log(), batches=[Batch("A", at(9000.0), None)])
    assert a["core"].times[-1] == 990.0


def test_a_batch_that_outlives_the_log_says_so() -> None:
    """The export stopped too early."""
    (a,) = experiments_from(plain_log(), batches=[Batch("A", at(9000.0), at(12000.0))])
    assert "the log ends 33.4 min before the batch does" in a.notes


def test_tags_of_the_table_that_the_log_lacks_are_noted() -> None:
    """One table serves many logs; none of its outputs in the log is an error."""
    table = TagTable((CORE, GAS, Tag("TI7", output="skin", unit="degC", noise="1 K")))
    found = experiments_from(plain_log(table), batches=TWO)
    assert 'the tag "TI7" of the tag table is not in plant.csv' in found.report.notes
    with pytest.raises(DataError, match="none of the tags"):
        experiments_from(plain_log(TagTable((table.tags[2],))), batches=TWO)


def test_what_is_declared_twice_or_not_at_all_is_an_error() -> None:
    """tags or channels, inputs or recipe, names once."""
    channel = Channel("core", column="TI1", unit="degC", noise="1 K")
    bare = log_of(tag("TI1", T, V))
    with pytest.raises(DataError, match="declare what the tags show"):
        experiments_from(bare, batches=TWO)
    with pytest.raises(DataError, match="tags= or channels="):
        experiments_from(bare, batches=TWO, channels=[channel], tags=TagTable((CORE,)))
    with pytest.raises(DataError, match=r"inputs= .recorded. or recipe="):
        experiments_from(bare, batches=TWO, channels=[channel], inputs={}, recipe=Recipe.constant())
    with pytest.raises(UnknownNameError, match=r'tag of plant.csv "TI"'):
        experiments_from(bare, batches=TWO, channels=[Channel("core", column="TI", unit="degC", noise="1 K")])
    with pytest.raises(DataError, match='two batches are called "A"'):
        experiments_from(bare, batches=[TWO[0], TWO[0]], channels=[channel])
    with pytest.raises(DataError, match='name= makes "x" of two batches'):
        experiments_from(bare, batches=TWO, channels=[channel], name=lambda batch: "x")


def test_judging_once_finds_what_from_arrays_finds_in_a_batch_of_its_own() -> None:
    """Where a log holds one batch only, its samples get the flags that they get as arrays."""
    from physics_twin.measurements.experiment import Experiment

    values = V.copy()
    values[300:330] = values[300]
    values[700:] = (values[700:] * 1.8) + 32.0
    values[5] = -300.0
    values[17] = np.nan
    channel = Channel("core", column="TI1", unit="degC", noise="1 K", checks=Checks(rate="6 K/s"))
    one = experiments_from(log_of(tag("TI1", T, values)), batches=[Batch("A", at(0.0), at(9990.0))], channels=[channel])
    same = Experiment.from_arrays("A", T, {"core": values}, channels=[channel])
    assert np.array_equal(one[0]["core"].flags, same["core"].flags)
    assert {Flag.BAD, Flag.SUSPECT, Flag.MISSING} <= {Flag(x) for x in one[0]["core"].flags}


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.one_of(st.integers(0, 60), st.just(None)), min_size=5, max_size=60),
    windows=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=6),
)
def test_every_sample_is_in_its_batches_or_counted_outside(
    times: list[int | None], windows: list[tuple[int, int]]
) -> None:
    """Whatever the order of the rows and however batches touch or overlap: as if each sample were looked at alone."""
    t = np.array([np.nan if x is None else float(x) for x in times])
    values = np.arange(t.size) + 0.5  # tell the samples apart
    batches = [Batch(f"B{k}", float(a), float(a + n)) for k, (a, n) in enumerate(windows)]
    starts = {batch.start for batch in batches}
    expected = {
        batch.name: sorted(
            v
            for x, v in zip(t, values, strict=True)
            if batch.start <= x < batch.end or (x == batch.end and batch.end not in starts)
        )
        for batch in batches
    }
    channel = Channel("x", column="T", unit="1", noise=0.1)
    log = log_of(tag("T", t, values), origin=None)
    try:
        found = experiments_from(log, batches=batches, channels=[channel])
    except DataError as error:
        assert "none of" in str(error)  # no batch had a sample that can be used
        return
    for run in found:
        assert sorted(run["x"].values) == expected[run.name]
        assert (np.diff(run["x"].times) >= 0.0).all()
    inside = set().union(*expected.values())
    lost = found.report.orphans[0] if found.report.orphans else None
    assert t.size - len(inside) == (0 if lost is None else lost.n_outside + lost.n_timeless)
    unused = {one.batch for one in found.report.not_built}
    assert unused | set(found.names) == {batch.name for batch in batches}


def test_limits_are_no_readings_of_an_input_and_an_end_of_the_range_is_one() -> None:
    """ "<0.5" is bridged like a bad cell; a valve at 100 % is at 100 %. Both are counted and said."""
    values, sides = V + 50.0, np.zeros(T.size, np.int8)
    values[150], sides[150] = 0.5, -1
    values[200:205] = 400.0
    checked = Tag("TIC2", input="gas", unit="degC", checks=Checks(high="400 degC"))
    log = log_of(tag("TI1", T, V), tag("TIC2", T, values, censored=sides), tags=TagTable((CORE, checked)))
    a, b = experiments_from(log, batches=TWO)
    gas = gas_of(a)
    expected = 0.5 * (values[149] + values[151]) + 273.15
    assert np.interp(500.0, gas.times, gas.values) == pytest.approx(expected, abs=1e-9)
    assert np.interp(1020.0, gas.times, gas.values) == 673.15
    assert a.inputs[0].counts[Flag.BAD] == 1
    assert a.inputs[0].notes == (
        "1 reading is a limit and no number: bad",
        "5 at the upper end of the range, taken as they are: the truth may lie above",
        "1 of 202 rows have no reading: bridged by straight lines between the others",
    )
    assert b.inputs[0].notes == ()


def test_suspect_samples_are_left_out_where_somebody_asks() -> None:
    """They stay in the record, with the reason, and the provenance says so; without asking they are used."""
    flags = np.ones(T.size, np.int8)
    flags[110:120] = Flag.SUSPECT
    log = log_of(replace(tag("TI1", T, V), flags=flags), tag("TI3", T, V), tags=None)
    both = [CORE.channel(), Channel("skin", column="TI3", unit="degC", noise="1 K")]
    found = experiments_from(log, batches=TWO, channels=both)
    sure = found.without_suspect()
    assert int(found["A"]["core"].used.sum()) == 201
    assert int(sure["A"]["core"].used.sum()) == 191
    assert sure["A"]["core"].reasons == ("suspect",)
    assert sure["A"]["core"].times.size == 201
    assert sure["A"].provenance.selections == ("without suspect samples",)
    assert "suspect" in str(sure["A"])
    assert int(found.without_suspect("skin")["A"]["core"].used.sum()) == 201
    assert found["A"].without_suspect("core").provenance.selections == ("without suspect samples of core",)
    with pytest.raises(UnknownNameError):
        found.without_suspect("sking")
    with pytest.raises(DataError, match="not suspect"):
        found["A"].without("skin").between(100.0, 190.0).without_suspect()


def test_a_year_of_manual_exclusions_has_more_reasons_than_a_byte(tmp_path: Path) -> None:
    """Two hundred of them, each with its own reason, also after a file; records with few keep their hash."""
    many = [Exclusion(10.0 * k, 10.0 * k, f"check {k}", by="akin") for k in range(200)]
    (a,) = experiments_from(plain_log(), batches=TWO[:1], exclude=many)
    core = a["core"]
    assert len(core.reasons) == 200
    assert core.left_out.tolist() == [*range(1, 201), 0]
    a.save(tmp_path / "a.nc")
    assert Experiment.load(tmp_path / "a.nc") == a
    assert a.dataset["core_left_out"].attrs["flag_values"].dtype == a.dataset["core_left_out"].dtype
    (few,) = experiments_from(plain_log(), batches=TWO[:1], exclude=many[:127])
    assert few["core"].left_out.dtype == np.int8
