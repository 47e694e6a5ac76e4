"""Members carried on from their states together: as single runs, within the tolerance, and each by itself."""

import numpy as np
import pytest

import physics_twin as pt
from tests.process.plants import decay, sampled
from tests.process.test_algebraic import equilibrium
from tests.process.test_sensitivities import FIRST, LEVEL, LINES, STEPS, plant

HOUR = 3600.0
N = 13


def stiff():
    """x follows y within a millisecond, y relaxes within 100 s."""
    m = pt.ProcessBuilder("stiff", version="1.0")
    fast, slow = m.parameter("fast", "1000 1/s"), m.parameter("slow", "0.01 1/s")
    x, y = m.state("x", "1", initial=1.0), m.state("y", "1", initial=2.0)
    m.rate(x, fast * (y**3 - x))
    m.rate(y, -slow * y)
    m.output("x", x)
    return m.build()


def spread(model, recipe, t, n=N, seed=0):
    """States at t, each differential one moved by about a percent, and values of which each parameter is too."""
    values = sampled(model, recipe)
    state = model.initial_state(0.0, recipe, values)
    state = model.advance(state, 0.0, t, recipe, values) if t > 0.0 else state
    rng = np.random.default_rng(seed)
    states = np.repeat(state[None], n, axis=0)
    n_x = len(model.equations.differential)
    states[:, :n_x] *= 1.0 + 0.01 * rng.standard_normal((n, n_x))
    columns = {name: np.full(n, value) for name, value in values.items()}
    for name in model.parameters.names:
        columns[name] = columns[name] * (1.0 + 0.01 * rng.standard_normal(n))
    return states, columns


def alone(model, times, recipe, columns, states):
    runs = [
        model.trajectory(times, recipe, {name: float(c[k]) for name, c in columns.items()}, state)
        for k, state in enumerate(states)
    ]
    return np.array([run[0] for run in runs]), np.array([run[1] for run in runs])


TWO = pt.Recipe(
    [pt.Phase("p", jacket=FIRST, duration="1 h"), pt.Phase("q", jacket=LEVEL, duration="1 h")], hold_end=True
)
RAMP = pt.Recipe([pt.Phase("p", jacket=pt.ramp(FIRST, LEVEL), duration="3 h")])
DOSES = pt.Recipe([pt.Phase("p", jacket="300 K", duration="9 h", at=[("1 h", [pt.dose("a", "1 mol")])])])
CONSTANT = pt.Recipe.constant()
U = pt.Recipe.constant(u=pt.Setting("u", "1", value=0.5))

CASES = {
    "a second": (plant, TWO, [0.5, 0.5 + 1 / 3600]),
    "an hour in several steps": (plant, RAMP, [0.5, 1.5]),
    "no time": (plant, TWO, [0.5]),
    "no time, twice": (plant, TWO, [0.5, 0.5]),
    "many times": (plant, RAMP, np.linspace(0.1, 2.9, 15)),
    "from the beginning": (plant, TWO, [0.0, 0.1]),
    "up to the end of a phase": (plant, TWO, [0.5, 1.0]),
    "from the end of a phase": (plant, TWO, [1.0, 1.1]),
    "across the end of a phase": (plant, TWO, [0.9, 1.1]),
    "behind the end of the recipe": (plant, TWO, [2.5, 2.6]),
    "jumps of an input": (plant, pt.Recipe([pt.Phase("p", jacket=STEPS, duration="9 h")]), [0.3, 0.4, 0.5, 1.2]),
    "from a jump of an input": (plant, pt.Recipe([pt.Phase("p", jacket=STEPS, duration="9 h")]), [0.4, 0.6]),
    "corners of an input": (plant, pt.Recipe([pt.Phase("p", jacket=LINES, duration="9 h")]), [0.3, 1.2]),
    "up to a dose": (plant, DOSES, [0.9, 1.0]),
    "from a dose": (plant, DOSES, [1.0, 1.1]),
    "across a dose": (plant, DOSES, [0.9, 1.1]),
    "algebraic": (equilibrium, U, [0.4 / 3600, 1.7 / 3600, 2.0 / 3600]),
    "algebraic, jump": (
        equilibrium,
        pt.Recipe.from_table([0.0, 1.0, 2.0], {"u": ([0.0, 3.0, 3.0], "1", pt.HOLD)}),
        [0.5 / 3600, 1.0 / 3600, 1.5 / 3600],
    ),
    "stiff": (stiff, CONSTANT, [30 / 3600, 31 / 3600]),
}


@pytest.mark.parametrize("case", CASES)
def test_members_together_are_single_runs_within_the_tolerance(case):
    """Outputs and whole end states, against single runs at 1e-12.

    Those that fall back to single runs of the model itself are off by up to 1e-6 (across corners CVODES goes on without
    a restart); the others by 1e-8, as much as their tolerance.
    """
    build, recipe, hours = CASES[case]
    model = build(integrator=pt.Sundials()) if build in (plant, equilibrium) else build()
    times = np.array(hours) * HOUR
    states, columns = spread(model, recipe, times[0])
    outputs, ends, failures = model.trajectories(times, recipe, columns, states)
    tight = model.with_integrator(pt.Sundials(rtol=1e-12, atol=1e-14))
    expected, expected_ends = alone(tight, times, recipe, columns, states)
    assert not failures
    allowed = 1e-6 if case.startswith(("across", "from the end", "from a dose")) else 3e-8
    size = np.max(np.abs(expected), axis=(0, 1)) + 1e-9
    assert np.max(np.abs(outputs - expected) / size) < allowed
    size = np.max(np.abs(expected_ends), axis=0) + 1e-9
    assert np.max(np.abs(ends - expected_ends) / size) < allowed


@pytest.mark.parametrize("case", ["a second", "an hour in several steps", "jumps of an input", "algebraic", "stiff"])
def test_the_bits_of_a_member_do_not_depend_on_its_company(case):
    """Alone, in any order, among any number: the same bits; and again after another call."""
    build, recipe, hours = CASES[case]
    model, times = build(), np.array(hours) * HOUR
    states, columns = spread(model, recipe, times[0], n=70)
    outputs, ends, _ = model.trajectories(times, recipe, columns, states)
    for rows in ([5], [5, 3], list(range(69, -1, -1)), list(range(0, 70, 3))):
        own = {name: column[rows] for name, column in columns.items()}
        again = model.trajectories(times, recipe, own, states[rows])
        np.testing.assert_array_equal(again[0], outputs[rows])
        np.testing.assert_array_equal(again[1], ends[rows])


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-8, 1e-10])
def test_the_error_of_one_stretch_is_within_the_tolerance_of_the_model(rtol):
    """Against runs at 1e-12: a nonlinear plant over half an hour, where one step does not do."""
    model = plant(integrator=pt.Sundials(rtol=rtol, atol=1e-2 * rtol))
    times = np.array([0.5, 1.0]) * HOUR
    states, columns = spread(model, RAMP, times[0])
    _, ends, _ = model.trajectories(times, RAMP, columns, states)
    tight = model.with_integrator(pt.Sundials(rtol=1e-12, atol=1e-14))
    _, exact = alone(tight, times, RAMP, columns, states)
    tolerance = rtol * np.abs(exact[:, :3]) + 1e-2 * rtol
    # At most _MOST_STEPS steps, and errors of this plant do not grow.
    assert np.max(np.abs(ends[:, :3] - exact[:, :3]) / tolerance) < 4.0


def test_short_steps_do_without_the_multistep_integrator():
    """What the quick way is for: no CVODES of a second is even built."""
    model = plant(integrator=pt.Sundials())
    states, columns = spread(model, TWO, 0.5 * HOUR)
    model.compiled.integrators.kept.clear()
    model.trajectories(np.array([1800.0, 1801.0]), TWO, columns, states)
    assert not model.compiled.integrators.kept


def test_members_in_different_phases_go_on_together():
    """Each from where its own state stands."""
    model = plant(integrator=pt.Sundials())
    first, columns = spread(model, TWO, 0.9 * HOUR, n=4)
    other = {**columns, "first": columns["first"]}
    later, _ = spread(model, TWO, 1.2 * HOUR, n=4)
    early = first.copy()
    early[:, -3:-1] = [0.0, 0.0]
    mixed = np.vstack([early[:2], later[:2]])
    mixed[2:, -2] = 0.95 * HOUR  # as if the first phase had ended earlier for them
    times = np.array([0.96, 0.97]) * HOUR
    outputs, ends, failures = model.trajectories(times, TWO, other, mixed)
    expected, expected_ends = alone(model, times, TWO, other, mixed)
    assert not failures
    np.testing.assert_allclose(outputs, expected, rtol=1e-7)
    np.testing.assert_allclose(ends, expected_ends, rtol=1e-7)


def test_a_member_that_blows_up_fails_alone():
    """x' = x^2 is infinite after 1/x s: NaN and a reason for that member, the others as without it."""
    m = pt.ProcessBuilder("blow_up", version="1.0")
    x = m.state("x", "1", initial=0.1)
    m.rate(x, x * x / m.constant("1 s"))
    m.output("x", x)
    model = m.build()
    values = sampled(model, CONSTANT)
    states = np.repeat(
        model.advance(model.initial_state(0.0, CONSTANT, values), 0.0, 1.0, CONSTANT, values)[None], 3, 0
    )
    states[1, 0] = 2.0
    columns = {name: np.full(3, value) for name, value in values.items()}
    outputs, ends, failures = model.trajectories(np.array([1.0, 2.0]), CONSTANT, columns, states)
    assert [failure.member for failure in failures] == [1]
    assert np.isnan(outputs[1]).all() and np.isnan(ends[1]).all()
    np.testing.assert_allclose(ends[[0, 2], 0], 1.0 / (1.0 / states[0, 0] - 1.0), rtol=1e-7)


def test_what_is_not_a_number_fails_with_its_reason():
    """A parameter or a state that is NaN, among good ones."""
    model, recipe = decay(), pt.Recipe.constant(u="1 kg/s")
    states, columns = spread(model, recipe, 1.0, n=3)
    columns["k"][0] = np.nan
    _, ends, failures = model.trajectories(np.array([1.0, 2.0]), recipe, columns, states)
    assert [f.member for f in failures] == [0]
    assert '"k"' in failures[0].reason
    assert np.isfinite(ends[1:]).all()


def test_what_is_missing_is_named():
    """A value that is not given is the caller's mistake, as in a single run."""
    model, recipe = decay(), pt.Recipe.constant(u="1 kg/s")
    states, columns = spread(model, recipe, 1.0, n=3)
    del columns["k"]
    with pytest.raises(KeyError, match='"k"'):
        model.trajectories(np.array([1.0, 2.0]), recipe, columns, states)


def test_an_ensemble_passes_a_phase_in_which_nobody_asks_for_anything():
    """From the start, with the only sample in the second phase."""
    model = plant(integrator=pt.Sundials())
    _, columns = spread(model, TWO, 0.0, n=3)
    outputs, _, failures = model.trajectories(np.array([1.5 * HOUR]), TWO, columns)
    assert not failures
    own = {name: float(column[1]) for name, column in columns.items()}
    np.testing.assert_allclose(outputs[1], model.trajectory(np.array([1.5 * HOUR]), TWO, own)[0], rtol=1e-6)
