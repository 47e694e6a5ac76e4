"""What leaves the domain of validity is marked, by one rule, in runs, predictions and pictures."""

from dataclasses import dataclass, field

import matplotlib.pyplot as plt
import numpy as np
import pytest

import physics_twin as pt
from physics_twin.model import StateBlock
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.signals import Signal
from physics_twin.units import Unit
from physics_twin.validity import DATA, MODEL, Course, extrapolations, left

SETTING = pt.Setting("gas", "degC", bounds=("0 degC", "900 degC"))
PARAMETERS = ParameterSet([Parameter("k", "1 K/s")])
TIMES = np.linspace(0.0, 100.0, 11)


@dataclass(frozen=True)
class Ramp:
    """temperature = gas + k t, in K."""

    validity: dict[str, tuple[float, float]] = field(default_factory=dict)
    name: str = "ramp"
    version: str = "1"
    fingerprint: str = "ramp-1"
    parameters: ParameterSet = PARAMETERS
    inputs: tuple[Signal, ...] = (Signal("gas", "degC"),)
    outputs: tuple[Signal, ...] = (Signal("temperature", "degC"),)
    state: tuple[StateBlock, ...] = ()

    def initial_state(self, t0, recipe, values):
        return np.zeros(0)

    def advance(self, state, t0, t1, recipe, values):
        return state

    def observe(self, state, t, recipe, values):
        return self.trajectory(np.array([t]), recipe, values)[0][0]

    def trajectory(self, times, recipe, values, state=None):
        return (373.15 + values["k"] * times)[:, None], np.zeros(0)


RECIPE = pt.Recipe.constant(gas="400 degC", duration="100 s")


def run(**validity):
    return pt.simulate(Ramp(dict(validity)), TIMES, RECIPE)


# The rule ---------------------------------------------------------------------------------------------------------


def test_a_range_is_left_beyond_a_share_of_its_width():
    """A hundredth of a range of 100 K is 1 K."""
    values = np.array([298.9, 299.1, 350.0, 400.9, 401.1, np.nan])
    assert left(values, (300.0, 400.0)).tolist() == [True, False, False, False, True, False]
    assert left(values, (-np.inf, 400.0), 0.0).tolist() == [False, False, False, True, True, False]


def test_a_range_without_width_is_left_beyond_rounding():
    """A constant of the data, converted there and back, has not left it; a thousandth has."""
    assert not left(np.nextafter(300.0, 301.0), (300.0, 300.0))
    assert left(300.3, (300.0, 300.0))


def test_a_mark_holds_what_is_reached_and_what_is_known():
    """One for the data and one for the model; the sentence has the unit of the quantity."""
    course = Course("gas", Unit("degC"), np.array([273.15, 373.15]))
    outside, marks = extrapolations([course], {DATA: {"gas": (273.15, 323.15)}, MODEL: {"gas": (0.0, 300.0)}})
    assert outside["gas"].tolist() == [False, True]
    assert [(m.source, m.low, m.high, m.known_low, m.known_high) for m in marks] == [
        ("data", 273.15, 373.15, 273.15, 323.15),
        ("model", 273.15, 373.15, 0.0, 300.0),
    ]
    assert marks[0].text == "extrapolation: gas reaches 100 degC, the data cover 0 degC to 50 degC"


# Simulations ------------------------------------------------------------------------------------------------------


def test_outputs_are_marked_where_they_are_outside():
    """100 degC + 1 K/s t leaves 0 to 150 degC at 50 s, and a hundredth of the range later."""
    found = run(temperature=(273.15, 423.15))
    assert list(found.outside) == ["temperature"]
    assert found.outside["temperature"].tolist() == (TIMES > 51.5).tolist()
    assert found.notes == ("extrapolation: temperature reaches 200 degC, the model is valid for 0 degC to 150 degC",)
    assert found.notes[0] in str(found)


def test_parameters_inputs_and_settings_are_marked_for_the_whole_run():
    """What is constant is outside at all times."""
    found = run(k=(2.0, 3.0), gas=(273.15, 373.15))
    assert set(found.outside) == {"k", "gas"} and all(where.all() for where in found.outside.values())
    recipe = pt.Recipe.constant(gas=SETTING, duration="100 s")
    found = pt.simulate(Ramp({"gas": (273.15, 373.15)}), TIMES, recipe, {"gas": "300 degC"})
    assert found.outside["gas"].all() and "gas reaches 300 degC" in found.notes[0]


def test_inside_nothing_is_said():
    """And a model without a domain of validity says nothing."""
    assert run(temperature=(273.15, 573.15), k=(0.5, 1.5)).notes == ()
    assert dict(run().outside) == {}


def test_marks_are_kept_in_files(tmp_path):
    """Masks and sentences come back; the outputs are as before."""
    found = run(temperature=(273.15, 423.15))
    found.save(tmp_path / "run.nc")
    loaded = pt.Run.load(tmp_path / "run.nc")
    assert loaded.notes == found.notes and list(loaded.outside) == list(found.outside)
    assert (loaded.outside["temperature"] == found.outside["temperature"]).all()
    assert list(loaded.dataset.data_vars) == ["temperature"] and "notes" not in loaded.dataset.attrs


def test_the_picture_hatches_times_outside():
    """Only there, and the title says what the hatching means."""
    inside, outside = run().plot().axes[0], run(temperature=(273.15, 423.15)).plot().axes[0]
    assert len(inside.collections) == 0 and len(outside.collections) == 1
    assert outside.collections[0].get_hatch() == "//"
    assert "hatched: outside its domain of validity" in outside.get_title(loc="left")
    plt.close("all")


# Predictions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("validity", "coverage"), [({"temperature": (273.15, 423.15)}, {}), ({}, None)])
def test_a_prediction_marks_the_domain_of_validity_too(validity, coverage):
    """The ranges of the data and the model's own are both looked at."""
    from dataclasses import replace

    model = Ramp(validity)
    posterior = pt.Posterior.from_draws(model.parameters, np.full((5, 1), 1.0))
    if coverage is None:
        posterior = replace(posterior, coverage={"temperature": (273.15, 423.15)})
    prediction = posterior.predict(model, RECIPE, times=TIMES)
    assert prediction.extrapolated["temperature"].tolist() == (TIMES > 57.5).tolist()
    words = "the data cover" if coverage is None else "the model is valid for"
    assert f"temperature reaches 200 degC, {words} 0 degC to 150 degC" in " ".join(prediction.notes)
