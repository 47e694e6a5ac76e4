"""Recorded inputs: what the recipe rests on is what is counted and said."""

from pathlib import Path

import numpy as np

from physics_twin.measurements.building import InputSamples, recorded_inputs
from physics_twin.measurements.channels import Channel, Column
from physics_twin.measurements.experiment import Experiment
from physics_twin.measurements.flags import Flag
from physics_twin.recipes import Recipe, Rule, Table


def recorded(times: list[float], flags: list[Flag], rule: Rule = Rule.RAMP) -> Experiment:
    """Return an experiment with an input of these samples; values tell their rows."""
    values = np.array([20.0 + k**2 for k in range(len(times))])
    column = Column("TI2", "degC", rule)
    samples = InputSamples(column, np.array(times), values, np.array(flags, dtype=np.int8))
    recipe, found = recorded_inputs({"jacket": samples}, source="plant.csv", end=300.0)
    core = Channel("core", unit="degC", noise="1 K")
    base = Experiment.from_arrays("A", [0.0, 100.0, 300.0], {"core": [20.0, 21.0, 22.5]}, channels=[core])
    return Experiment("A", dict(base.series), recipe, base.provenance, inputs=tuple(found))


def table_of(recipe: Recipe) -> Table:
    """Return the table of the input."""
    item = recipe.phases[0].inputs["jacket"]
    assert isinstance(item, Table)
    return item


def test_suspect_samples_of_an_input_are_counted_as_used_and_noted() -> None:
    """They are in the recipe, so quality, notes and print say so; bad ones are bridged and not used."""
    flags = [Flag.GOOD, Flag.SUSPECT, Flag.SUSPECT, Flag.BAD, Flag.NOT_EVALUATED, Flag.GOOD]
    run = recorded([0.0, 60.0, 120.0, 180.0, 240.0, 300.0], flags)
    assert table_of(run.recipe).values == tuple(293.15 + k**2 for k in (0, 1, 2, 4, 5))
    row = run.quality.loc["jacket"]
    assert (row["good"], row["not evaluated"], row["suspect"], row["bad"], row["used"]) == (2, 1, 2, 1, 5)
    assert "2 suspect samples are in use, the first at 60 s" in run.inputs[0].notes
    assert 'input jacket: column "TI2" in degC, ramp, 5 rows, 2 suspect' in str(run)
    (sound,) = recorded([0.0, 300.0], [Flag.GOOD, Flag.NOT_EVALUATED]).inputs
    assert (sound.used, sound.notes) == (2, ())


def test_readings_that_the_recipe_does_not_rest_on_are_not_used() -> None:
    """Of those before time zero the last one counts; a row that repeats a time gives no reading of its own."""
    run = recorded([-120.0, -60.0, 60.0, 60.0, 300.0], [Flag.SUSPECT, Flag.SUSPECT, *[Flag.GOOD] * 3], Rule.HOLD)
    assert table_of(run.recipe).values == (294.15, 297.15, 309.15)
    assert run.inputs[0].used == 3
    assert run.inputs[0].notes == ("1 suspect sample is in use, the first at -60 s",)


def test_what_is_used_of_an_input_survives_a_file(tmp_path: Path) -> None:
    """Also where it is not the sum of the counts."""
    run = recorded([-120.0, 0.0, 60.0, 300.0], [Flag.GOOD] * 4)
    assert run.inputs[0].used == 3
    run.save(tmp_path / "a.nc")
    again = Experiment.load(tmp_path / "a.nc")
    assert again.inputs[0].used == 3
    assert again == run
