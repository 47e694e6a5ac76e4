"""Members together where something is watched: switches, events, levels that end a phase, running extremes."""

import itertools

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.process import onward
from tests.process.plants import ball, sampled
from tests.process.test_extremes import oscillator
from tests.process.test_onward import alone

N = 5
TIGHT = pt.Sundials(rtol=1e-11, atol=1e-13)


def thermostat():
    """A heater that events switch on below 48 degC and off above 52; a loss that is larger in rain (a switch)."""
    m = pt.ProcessBuilder("thermostat", version="1.0")
    power, rain = m.parameter("power", "400 W"), m.input("rain", "1")
    t = m.state("t", "degC", initial="45 degC", scale="10 K")
    on = m.discrete("on", initial=1.0)
    loss = pt.where(rain >= 0.5, m.constant("6 W/K"), m.constant("4 W/K"))
    hot = pt.where(t >= "51 degC", m.constant("0.5"), m.constant("1"))
    m.rate(t, (on * power * hot - loss * (t - "20 degC")) / m.constant("800 J/K"))
    m.event("off", when=t >= "52 degC", then={on: 0.0})
    m.event("start", when=t <= "48 degC", then={on: 1.0})
    m.output("t", t)
    m.output("hottest", m.maximum("hottest", t))
    m.output("coldest", m.minimum("coldest", t))
    return m.build()


def furnace():
    """A charge behind the gas; the gas is the input."""
    m = pt.ProcessBuilder("furnace", version="1.0")
    gas, lag = m.input("gas", "degC"), m.parameter("lag", "300 s")
    skin, core = (m.state(name, "degC", initial="20 degC", scale="100 K") for name in ("skin", "core"))
    m.rate(skin, (gas - skin) / lag + (core - skin) / (2 * lag))
    m.rate(core, (skin - core) / lag)
    m.output("core", core)
    m.output("peak", m.maximum("peak", core))
    return m.build()


RAIN = pt.Recipe.from_table(
    [0.0, 100.0, 260.0], {"rain": ([0.0, 1.0, 0.0], "1", pt.HOLD)}, hold_after=True, initial={"t": "46 degC"}
)
HEAT = pt.Recipe(
    [
        pt.Phase("heat", gas="500 degC", until=pt.reaches("core", "300 degC"), at_most="2 h"),
        pt.Phase("cool", gas=pt.ramp("500 degC", "50 degC", over="10 min"), duration="30 min"),
        pt.Phase("rest", duration="1 h"),
    ],
    hold_end=True,
)
FREE = pt.Recipe.constant()

CASES = {
    "thermostat": (thermostat, RAIN, 2.0, 280.0),
    "furnace": (furnace, HEAT, 20.0, 3000.0),
    "oscillator": (lambda: oscillator(integrator=pt.Sundials()), FREE, 0.05, 9.0),
    "ball": (lambda: ball().with_integrator(pt.Sundials()), FREE, 0.03, 1.5),
}


def members(model, recipe):
    values = sampled(model, recipe)
    states = np.repeat(model.initial_state(0.0, recipe, values)[None], N, axis=0)
    columns = {name: np.full(N, value) for name, value in values.items()}
    first = model.parameters.names[0]
    columns[first] = columns[first] * np.linspace(0.95, 1.05, N)
    return states, columns


@pytest.mark.parametrize("case", CASES)
def test_steps_of_members_together_are_one_run_of_each(case, monkeypatch):
    """Every output of every step, events and phases at the members' own times; most members of most steps together.

    Single runs at events and ends of phases are off by some 3e-8 each, which add up.
    """
    build, recipe, h, end = CASES[case]
    model = build()
    states, columns = members(model, recipe)
    times = np.arange(0.0, end + 0.5 * h, h)
    along = []
    plain = onward.go_on

    def counted(*given):
        found = plain(*given)
        along.append(found[2].mean())
        return found

    monkeypatch.setattr(onward, "go_on", counted)
    seen, at = [], states
    for t0, t1 in itertools.pairwise(times):
        outputs, at, failures = model.trajectories(np.array([t0, t1]), recipe, columns, at)
        assert not failures
        seen.append(outputs[:, -1])
    expected, ends = alone(model.with_integrator(TIGHT), times, recipe, columns, states)
    size = np.max(np.abs(expected), axis=(0, 1))
    assert np.max(np.abs(np.stack(seen, axis=1) - expected[:, 1:]) / size) < 3e-6
    np.testing.assert_allclose(at, ends, rtol=1e-5, atol=1e-5)
    assert np.mean(along) > 0.7


@pytest.mark.parametrize("case", CASES)
def test_company_changes_no_bits_where_something_is_watched(case):
    """A member alone and among others, over steps that pass what is watched."""
    build, recipe, h, end = CASES[case]
    model = build()
    states, columns = members(model, recipe)
    one, others = states[2:3], states
    own = {name: column[2:3] for name, column in columns.items()}
    for t0 in np.arange(0.0, 0.4 * end, h):
        times = np.array([t0, t0 + h])
        outputs, others, _ = model.trajectories(times, recipe, columns, others)
        again, one, _ = model.trajectories(times, recipe, own, one)
        np.testing.assert_array_equal(again[0], outputs[2])
        np.testing.assert_array_equal(one[0], others[2])


def test_a_peak_within_a_step_is_not_missed():
    """x rises and falls within one step of 0.4 s: its highest value lies between the nodes and counts."""
    model = oscillator(integrator=pt.Sundials())
    states, columns = members(model, FREE)
    _, at, _ = model.trajectories(np.array([0.0, 1.3]), FREE, columns, states)
    outputs, _, _ = model.trajectories(np.array([1.3, 1.7]), FREE, columns, at)
    expected, _ = alone(model.with_integrator(TIGHT), np.array([0.0, 1.7]), FREE, columns, states)
    np.testing.assert_allclose(outputs[:, -1, 1], expected[:, -1, 1], rtol=1e-7)
    assert (outputs[:, -1, 1] > outputs[:, -1, 0] + 1e-3).all()


def test_a_live_input_flips_a_switch_at_once():
    """The switch on the input is set from the beginning of the step in which the input is new."""
    model = thermostat()
    recipe = pt.Recipe.constant(rain=pt.Setting("rain", "1"))
    values = sampled(model, recipe, {"rain": 0.0})
    state = model.advance(model.initial_state(0.0, recipe, values), 0.0, 10.0, recipe, values)
    for rain, loss in ((0.0, 4.0), (1.0, 6.0)):
        columns = {name: np.full(N, value) for name, value in {**values, "rain": rain}.items()}
        _, ends, _ = model.trajectories(np.array([10.0, 11.0]), recipe, columns, np.repeat(state[None], N, axis=0))
        rest = 293.15 + 400.0 / loss
        exact = rest + (state[0] - rest) * np.exp(-loss / 800.0)
        np.testing.assert_allclose(ends[:, 0], exact, rtol=1e-9)
