"""Members carried from moment to moment: every kind of model, live inputs, restarts, failures."""

import functools

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.model import StateKind
from physics_twin.simulation import complete_values

N = 6
AMBIENT = pt.Recipe.constant(ambient=pt.Setting("ambient", "degC"))


@functools.cache
def body():
    """A warm body that cools to a live ambient."""
    m = pt.ProcessBuilder("body", version="1.0")
    k = m.parameter("k", "0.01 1/s", bounds=("0.001 1/s", "0.1 1/s"))
    ambient = m.input("ambient", "degC")
    t = m.state("t", "degC", initial="60 degC", scale="10 K")
    m.rate(t, -k * (t - ambient))
    m.accumulator("lost", "K*s", t - ambient)
    m.output("t", t)
    return m.build()


@functools.cache
def function():
    """The same as a Python function."""
    return pt.FunctionModel(
        "body",
        version="1",
        rate=lambda t, s, u, v: {"t": -v["k"] * (s["t"] - u["ambient"])},
        states={"t": ("degC", "60 degC")},
        inputs={"ambient": "degC"},
        outputs={"t": "degC"},
        parameters=[pt.Parameter("k", "0.01 1/s", bounds=("0.001 1/s", "0.1 1/s"))],
    )


@functools.cache
def field(adaptive=True):
    """A steel bar cooled at its top."""
    return fem.HeatConduction(
        name="bar",
        version="1.0",
        mesh=fem.mesh.box(("100 mm", "50 mm", "20 mm"), cells=(6, 3, 2)),
        materials={
            "body": fem.Solid(
                conductivity=pt.Parameter("k", "42 W/m/K", bounds=("10 W/m/K", "100 W/m/K")),
                density="7850 kg/m^3",
                heat_capacity="500 J/kg/K",
            )
        },
        boundaries={"top": fem.Convection("500 W/m^2/K", ambient=pt.Signal("ambient", "degC"))},
        initial="400 degC",
        sensors={"core": fem.Point("50 mm", "25 mm", "10 mm"), "mean": fem.Average("body")},
        stepping=fem.Adaptive(tolerance="0.05 K") if adaptive else fem.FixedSteps("0.7 s"),
    )


MODELS = {"process": body, "function": function, "field": field, "field, fixed steps": lambda: field(False)}


def prepared(model, t=3.0):
    values = dict(complete_values(model, AMBIENT, {"ambient": "25 degC"}))
    state = model.initial_state(0.0, AMBIENT, values)
    state = model.advance(state, 0.0, t, AMBIENT, values)
    states = np.repeat(state[None], N, axis=0)
    n = model.state[0].size
    states[:, :n] += np.linspace(-1.0, 1.0, N)[:, None]
    k = model.parameters["k"]
    parameters = k.value * np.linspace(0.9, 1.1, N)[:, None]
    fixed = {name: value for name, value in values.items() if name not in ("k", "ambient")}
    return Dynamics(model, AMBIENT, fixed, Coordinates.of(model, [k])), states, parameters


@pytest.mark.parametrize("kind", MODELS)
def test_members_are_single_runs_with_their_own_values(kind):
    """The end states and outputs are those of `advance` and `observe` with each member's parameters."""
    model = MODELS[kind]()
    dynamics, states, parameters = prepared(model)
    ends, outputs, failures = dynamics.advance(states, parameters, 3.0, 4.0, {"ambient": 300.0})
    assert not failures
    for k in range(N):
        values = {**dynamics.fixed, "ambient": 300.0, "k": float(parameters[k, 0])}
        end = model.advance(states[k], 3.0, 4.0, AMBIENT, values)
        np.testing.assert_allclose(ends[k], end, rtol=1e-7, atol=1e-6)
        np.testing.assert_allclose(outputs[k], model.observe(end, 4.0, AMBIENT, values), rtol=1e-7, atol=1e-3)


@pytest.mark.parametrize("kind", MODELS)
def test_a_step_of_no_length_gives_back_the_states_and_what_they_show(kind):
    """The same bits, and outputs of the moment."""
    model = MODELS[kind]()
    dynamics, states, parameters = prepared(model)
    ends, outputs, failures = dynamics.advance(states, parameters, 3.0, 3.0, {"ambient": 300.0})
    assert not failures
    np.testing.assert_array_equal(ends, states)
    assert not np.shares_memory(ends, states)
    values = {**dynamics.fixed, "ambient": 300.0, "k": float(parameters[2, 0])}
    np.testing.assert_allclose(outputs[2], model.observe(states[2], 3.0, AMBIENT, values), rtol=1e-13)


@pytest.mark.parametrize("kind", MODELS)
def test_a_live_input_changes_from_step_to_step(kind):
    """Twenty steps of 0.4 s with a new value in each are one run whose table holds those values."""
    model = MODELS[kind]()
    dynamics, states, parameters = prepared(model)
    levels = 300.0 + 20.0 * np.sin(np.arange(20))
    at, times = states, 3.0 + 0.4 * np.arange(21)
    for t0, t1, level in zip(times[:-1], times[1:], levels, strict=True):
        at, _, failures = dynamics.advance(at, parameters, float(t0), float(t1), {"ambient": float(level)})
        assert not failures
    table = ([0.0, *times[:-1].tolist()], {"ambient": ([298.15, *levels.tolist()], "K", pt.HOLD)})
    recorded = pt.Recipe.from_table(*table, hold_after=True)
    values = {**dynamics.fixed, "k": float(parameters[1, 0])}
    end = model.advance(states[1], 3.0, float(times[-1]), recorded, values)
    n = model.state[0].size
    tolerance = 0.05 if kind == "field" else 1e-5  # of adaptive steps, of which a table allows others
    np.testing.assert_allclose(at[1, :n], end[:n], rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", MODELS)
def test_the_state_holds_all_that_a_restart_needs(kind):
    """A step, other steps with other values and lengths, and the step again: the same bits, alone and in company."""
    dynamics, states, parameters = prepared(MODELS[kind]())
    first = dynamics.advance(states, parameters, 3.0, 4.5, {"ambient": 300.0})
    dynamics.advance(states + 0.0, 1.05 * parameters, 3.0, 9.0, {"ambient": 280.0})
    dynamics.advance(first[0], parameters, 4.5, 4.6, {"ambient": 310.0})
    again = dynamics.advance(states, parameters, 3.0, 4.5, {"ambient": 300.0})
    alone = dynamics.advance(states[2:3], parameters[2:3], 3.0, 4.5, {"ambient": 300.0})
    for a, b, c in zip(first[:2], again[:2], alone[:2], strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a[2:3], c)


def test_a_member_that_fails_is_named_and_the_others_go_on():
    """NaN in its row, by each way in which models are carried."""
    for kind in MODELS:
        dynamics, states, parameters = prepared(MODELS[kind]())
        parameters = parameters.copy()
        parameters[3] = np.nan
        ends, outputs, failures = dynamics.advance(states, parameters, 3.0, 4.0, {"ambient": 300.0})
        assert [failure.member for failure in failures] == [3]
        assert np.isnan(ends[3]).all() and np.isnan(outputs[3]).all()
        others = [k for k in range(N) if k != 3]
        assert np.isfinite(ends[others]).all() and np.isfinite(outputs[others]).all()


def test_fields_say_where_their_entries_and_point_sensors_are():
    """Localization by distance needs both."""
    model = field()
    dynamics, _, _ = prepared(model)
    block = model.state[0]
    assert block.kind is StateKind.DIFFERENTIAL
    assert block.coordinates.shape == (block.size, 3)
    places = dynamics.coordinates.places
    np.testing.assert_array_equal(places[: block.size], block.coordinates)
    assert np.isnan(places[block.size :]).all()
    np.testing.assert_allclose(model.output_places["core"], [0.05, 0.025, 0.01])
    assert "mean" not in model.output_places
