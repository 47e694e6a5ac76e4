"""Exact derivatives across everything that a run can pass, by Taylor tests of order 2 with respect to every name.

Each row is a model, a recipe and the times of the samples, which lie where no event passes them. A wrong term in a jump
gives order 1. Tolerances of the integrator are tight, so that remainders can be followed over three decades.
"""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.verification import taylor_test
from tests.process.plants import TIGHT, ball, sampled

ACCURACY = 1e-8


def plant(integrator=TIGHT):
    """Two states, an input, a nonlinear rate, an accumulator: what the recipes of this file act on."""
    m = pt.ProcessBuilder("plant", version="1.0")
    k, loss = m.parameter("k", "0.3 1/h"), m.parameter("loss", "0.5 1/h")
    jacket = m.input("jacket", "K")
    a = m.state("a", "mol", initial="2 mol")
    t = m.state("t", "K", initial="310 K", scale="10 K")
    rate = k * a * (t / m.constant("300 K")) ** 6
    m.rate(a, -rate)
    m.rate(t, m.constant("15 K/mol") * rate - loss * (t - jacket))
    area = m.accumulator("area", "K*h", t - m.constant("300 K"))
    m.output("a", a)
    m.output("t", t)
    m.output("area", area)
    m.output("heat", loss * (t - jacket))
    return m.build(integrator=integrator)


DOSE = pt.Setting("dose", "mol", bounds=(0, 5), value="1 mol")
WHEN = pt.Setting("when", "h", bounds=(0, 4), value="1.3 h")
HOLD = pt.Setting("hold", "h", bounds=(0.1, 9), value="1.1 h")
LEVEL = pt.Setting("level", "K", bounds=(250, 400), value="330 K")
FIRST = pt.Setting("first", "K", bounds=(250, 400), value="290 K")
TARGET = pt.Setting("target", "mol", bounds=(0.1, 2), value="1.2 mol")
OVER = pt.Setting("over", "h", bounds=(0.1, 5), value="0.8 h")
CHARGE = pt.Setting("charge", "mol", bounds=(0.1, 9), value="2.5 mol")
STEPS = pt.table(([0.0, 0.4, 0.9, 1.7], "h"), [300.0, 330.0, 290.0, 310.0], "K", pt.HOLD, hold_after=True)
LINES = pt.table(([0.0, 0.4, 0.9, 1.7], "h"), [300.0, 330.0, 290.0, 310.0], "K", pt.RAMP, hold_after=True)

RECIPES = {
    "held": pt.Recipe([pt.Phase("p", jacket="300 K", duration="5 h")]),
    "level_setting": pt.Recipe(
        [pt.Phase("p", jacket=FIRST, duration="2 h"), pt.Phase("q", jacket=LEVEL, duration="3 h")]
    ),
    "dose_at_start": pt.Recipe(
        [pt.Phase("p", jacket="300 K", duration="1 h"), pt.Phase("q", duration="4 h", start=[pt.dose("a", DOSE)])]
    ),
    "dose_at_time_setting": pt.Recipe(
        [pt.Phase("p", jacket="300 K", duration="5 h", at=[(WHEN, [pt.dose("a", DOSE)])])]
    ),
    "discharge_and_set": pt.Recipe(
        [
            pt.Phase(
                "p",
                jacket="300 K",
                duration="5 h",
                at=[(WHEN, [pt.discharge("a", "0.5 mol")]), ("2 h", [pt.set_state("t", LEVEL)])],
            )
        ]
    ),
    "duration_setting": pt.Recipe(
        [
            pt.Phase("p", jacket=FIRST, duration=HOLD),
            pt.Phase("q", jacket=LEVEL, duration="2 h"),
            pt.Phase("r", duration="3 h"),
        ]
    ),
    "duration_then_dose_at_time": pt.Recipe(
        [
            pt.Phase("p", jacket=FIRST, duration=HOLD),
            pt.Phase("q", jacket=LEVEL, duration="4 h", at=[(WHEN, [pt.dose("a", DOSE)])]),
        ]
    ),
    "ramp": pt.Recipe([pt.Phase("p", jacket=pt.ramp(FIRST, LEVEL), duration=HOLD), pt.Phase("q", duration="4 h")]),
    "ramp_over_setting": pt.Recipe(
        [
            pt.Phase("p", jacket=pt.ramp(FIRST, LEVEL, over=OVER), duration="2 h"),
            pt.Phase("q", jacket="280 K", duration="3 h"),
        ]
    ),
    "ramp_cut_off": pt.Recipe(
        [pt.Phase("p", jacket=pt.ramp(FIRST, LEVEL, over="3 h"), duration=HOLD), pt.Phase("q", duration="4 h")]
    ),
    "ramp_after_moving_start": pt.Recipe(
        [
            pt.Phase("p", jacket=FIRST, duration=HOLD),
            pt.Phase("q", jacket=pt.ramp("290 K", LEVEL, over=OVER), duration="4 h"),
        ]
    ),
    "held_table": pt.Recipe([pt.Phase("p", jacket=STEPS, duration="5 h")]),
    "held_table_after_moving_start": pt.Recipe(
        [pt.Phase("p", jacket=FIRST, duration=HOLD), pt.Phase("q", jacket=STEPS, duration="4 h")]
    ),
    "ramped_table_after_moving_start": pt.Recipe(
        [pt.Phase("p", jacket=FIRST, duration=HOLD), pt.Phase("q", jacket=LINES, duration="4 h")]
    ),
    "until_level": pt.Recipe(
        [
            pt.Phase("p", jacket=FIRST, until=pt.falls_to("a", TARGET), at_most="20 h"),
            pt.Phase("q", jacket=LEVEL, duration="5 h"),
        ]
    ),
    "until_level_then_dose": pt.Recipe(
        [
            pt.Phase("p", jacket=FIRST, until=pt.falls_to("a", TARGET), at_most="20 h"),
            pt.Phase(
                "q", jacket=LEVEL, duration="5 h", start=[pt.dose("a", DOSE)], at=[(WHEN, [pt.dose("a", "1 mol")])]
            ),
        ]
    ),
    "until_level_then_held_table": pt.Recipe(
        [
            pt.Phase("p", jacket=FIRST, until=pt.falls_to("a", TARGET), at_most="20 h"),
            pt.Phase("q", jacket=STEPS, duration="5 h"),
        ]
    ),
    "until_twice": pt.Recipe(
        [
            pt.Phase("p", jacket=FIRST, until=pt.falls_to("a", TARGET), at_most="20 h"),
            pt.Phase(
                "q", jacket=LEVEL, until=pt.falls_to("a", "0.7 mol"), at_most="20 h", start=[pt.dose("a", "0.3 mol")]
            ),
            pt.Phase("r", jacket="270 K", duration="5 h"),
        ]
    ),
    "until_met_by_a_dose": pt.Recipe(
        [
            pt.Phase(
                "p",
                jacket=FIRST,
                until=pt.rises_to("a", "2.2 mol"),
                at_most="20 h",
                at=[(WHEN, [pt.dose("a", "2 mol")])],
            ),
            pt.Phase("q", jacket=LEVEL, duration="5 h"),
        ]
    ),
    "until_met_at_once": pt.Recipe(
        [
            pt.Phase("o", jacket=FIRST, duration=HOLD),
            pt.Phase("p", jacket=FIRST, until=pt.falls_to("a", "5 mol"), at_most="20 h"),
            pt.Phase("q", jacket=LEVEL, duration="5 h", at=[(WHEN, [pt.dose("a", "2 mol")])]),
        ]
    ),
    "until_an_output_with_the_input_in_it": pt.Recipe(
        [
            pt.Phase("p", jacket=pt.ramp(FIRST, LEVEL, over=OVER), until=pt.falls_to("heat", "0 K/s"), at_most="20 h"),
            pt.Phase("q", jacket="280 K", duration="5 h"),
        ]
    ),
    "initial_binding": pt.Recipe([pt.Phase("p", jacket="300 K", duration="5 h")], initial={"a": CHARGE, "t": FIRST}),
    "hold_end": pt.Recipe([pt.Phase("p", jacket=pt.ramp(FIRST, LEVEL), duration=HOLD)], hold_end=True),
}


def check(model, recipe, hours, *, names=None, accuracy=ACCURACY):
    """Taylor tests for every parameter, initial value that is free, setting and time."""
    values = sampled(model, recipe)
    bound = [] if recipe.initial is pt.STEADY else [f"initial.{name}" for name in recipe.initial]
    if recipe.initial is pt.STEADY:
        bound = [name for name in model.parameters.names if name.startswith("initial.") and "area" not in name]
    wrt = names or [*(n for n in model.parameters.names if n not in bound), *recipe.settings, "time"]
    report = taylor_test(model, 3600.0 * np.asarray(hours), recipe, values, wrt, accuracy=accuracy)
    assert report.passed, "\n" + "\n".join(str(row) for row in report.failures)
    return report


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name):
    """Settings, phase ends, doses, ramps and tables: every derivative is exact."""
    report = check(plant(), RECIPES[name], [0.17, 0.77, 1.53, 2.9, 4.3])
    assert report.order < np.inf, "nothing was tested: every remainder is below the noise"


@pytest.mark.parametrize("name", ["duration_then_dose_at_time", "until_level_then_held_table", "held_table"])
def test_derivatives_do_not_depend_on_the_other_names(name):
    """A column is the same alone and among all others, bit by bit or within the tolerance."""
    model, recipe = plant(), RECIPES[name]
    values, times = sampled(model, recipe), 3600.0 * np.array([0.77, 2.9, 4.3])
    wrt = [*model.parameters.names, *recipe.settings, "time"]
    _, together, _ = model.sensitivity(times, recipe, values, wrt)
    for k, one in enumerate(wrt):
        _, alone, _ = model.sensitivity(times, recipe, values, [one])
        scale = np.max(np.abs(together[:, :, k]), axis=0) + 1e-300
        np.testing.assert_allclose(alone[:, :, 0] / scale, together[:, :, k] / scale, rtol=0, atol=1e-6)


def switched():
    """A switch in a rate and in an output, on a state; and one on time."""
    m = pt.ProcessBuilder("switched", version="1.0")
    k, threshold, moment = m.parameter("k", "0.4 1/h"), m.parameter("threshold", 1.2), m.parameter("moment", "2 h")
    x = m.state("x", "1", initial=2.0)
    y = m.state("y", "1", initial=0.5)
    m.rate(x, -pt.where(x >= threshold, 1.0, 0.3) * k * x)
    m.rate(y, pt.where(m.time >= moment, k * x, -k * y))
    m.output("x", x)
    m.output("y", y)
    m.output("branch", pt.where(x >= threshold, x, 3.0 * y))
    return m.build(integrator=TIGHT)


def test_switches():
    """`where` in rates and outputs, on a state and on time."""
    names = ["k", "threshold", "moment", "initial.x"]
    check(switched(), pt.Recipe.constant(duration="5 h"), [0.3, 1.7, 2.6, 4.9], names=names)


def test_a_switch_on_a_held_table_whose_start_moves():
    """The switch flips when a row of the table comes, which comes when its phase begins."""
    m = pt.ProcessBuilder("pump", version="1.0")
    u, k = m.input("u", "1"), m.parameter("k", "0.4 1/h")
    x = m.state("x", "1", initial=2.0)
    m.rate(x, pt.where(u >= 0.5, k, -k * x))
    m.output("x", x)
    pulses = pt.table(([0.0, 0.5, 1.1, 2.0], "h"), [0.0, 1.0, 0.0, 0.0], "1", pt.HOLD, hold_after=True)
    recipe = pt.Recipe([pt.Phase("p", u=0.0, duration=HOLD), pt.Phase("q", u=pulses, duration="4 h")])
    check(m.build(integrator=TIGHT), recipe, [0.7, 1.8, 4.0])


def test_a_bouncing_ball():
    """The jump of an event whose new value depends on states and parameters, three times."""
    report = taylor_test(
        ball(),
        np.array([0.3, 0.9, 1.5, 1.95]),
        pt.Recipe.constant(),
        sampled(ball(), pt.Recipe.constant()),
        ["g", "e", "initial.height", "initial.speed", "time"],
        accuracy=ACCURACY,
        largest=2.0**-8,
    )
    assert report.passed, str(report)


def test_an_event_that_sets_a_discrete_value():
    """Discrete values carry their derivatives: from parameters, states, time and their own initial value."""
    m = pt.ProcessBuilder("discrete", version="1.0")
    k, threshold = m.parameter("k", "0.4 1/h"), m.parameter("threshold", 1.2)
    x = m.state("x", "1", initial=2.0)
    y = m.state("y", "1", initial=0.0)
    gain = m.discrete("gain", "1/h", initial="0.2 1/h")
    m.rate(x, -k * x)
    m.rate(y, gain * x)
    m.event("change", when=x <= threshold, then={gain: gain + k * y + m.constant("0.1 1/h^2") * m.time})
    m.output("y", y)
    m.output("gain", gain)
    check(m.build(integrator=TIGHT), pt.Recipe.constant(duration="5 h"), [0.5, 2.0, 4.0])


def test_a_thermostat():
    """Hysteresis: many events, each moved by every parameter."""
    from tests.process.test_events import thermostat

    model = thermostat(300, 310)
    names = ["tau", "ambient", "rise", "lower", "upper", "initial.t"]
    recipe = pt.Recipe.constant()
    report = taylor_test(model, np.array([20.0, 70.0, 150.0, 231.0]), recipe, sampled(model, recipe), names,
                         accuracy=ACCURACY, largest=2.0**-9)  # fmt: skip
    assert report.passed, "\n".join(map(str, report.failures))


def algebraic():
    """A DAE: an equilibrium, with the input and the time in it."""
    m = pt.ProcessBuilder("algebraic", version="1.0")
    k, equilibrium = m.parameter("k", "0.4 1/h"), m.parameter("equilibrium", 0.7)
    jacket = m.input("jacket", "K")
    x = m.state("x", "1", initial=2.0)
    z = m.algebraic("z", "1", guess=1.0)
    m.rate(x, -k * z)
    m.equation("balance", z**3 + z * jacket / m.constant("300 K"), equilibrium * x + 0.1 * m.time / m.constant("1 h"))
    m.output("x", x)
    m.output("z", z)
    return m.build(integrator=TIGHT)


@pytest.mark.parametrize("name", ["held", "level_setting", "ramp", "duration_setting", "held_table_after_moving_start"])
def test_algebraic_variables(name):
    """z follows x, the parameters, the time and jumps of the input; also just behind a jump."""
    check(algebraic(), RECIPES[name], [0.17, 0.77, 1.53, 2.9, 4.3])


def test_algebraic_variables_at_the_start():
    """dz/dw at t = 0 follows from the initial state by the implicit function theorem."""
    model, recipe = algebraic(), RECIPES["held"]
    check(model, recipe, [0.0, 1e-6, 0.5], names=["equilibrium", "initial.x"])


def test_a_phase_that_ends_on_an_algebraic_variable():
    """The level is crossed by z, which moves through x, u and time."""
    recipe = pt.Recipe(
        [
            pt.Phase("p", jacket=pt.ramp(FIRST, LEVEL, over="3 h"), until=pt.falls_to("z", 0.7), at_most="20 h"),
            pt.Phase("q", jacket="250 K", duration="5 h", start=[pt.dose("x", 0.5)]),
        ]
    )
    model = algebraic()
    end = model.phase_times(recipe, sampled(model, recipe))[1] / 3600.0
    assert 0.5 < end < 4.0
    check(model, recipe, [0.4 * end, 1.3 * end, 2.0 * end])


def test_running_extremes():
    """The derivative of a peak between samples is that of the quantity at the peak's moment."""
    from tests.process.test_extremes import oscillator

    model, recipe = oscillator(), pt.Recipe.constant()
    report = taylor_test(
        model,
        np.array([7.0, 30.0]),
        recipe,
        sampled(model, recipe),
        ["w", "z", "initial.v", "initial.x"],
        accuracy=ACCURACY,
    )
    assert report.passed, "\n" + "\n".join(map(str, report.failures))


def test_an_extreme_at_the_end_of_a_moving_phase():
    """A maximum reached at a corner in time, where a phase of variable length ends."""
    m = pt.ProcessBuilder("corner", version="1.0")
    u, k = m.input("jacket", "K"), m.parameter("k", "0.5 1/h")
    x = m.state("x", "K", initial="300 K", scale="10 K")
    m.rate(x, k * (u - x))
    m.output("top", m.maximum("top", x))
    check(m.build(integrator=TIGHT), RECIPES["duration_setting"].replace(), [0.7, 2.7, 5.9])


@pytest.mark.parametrize("kind", ["linear", "quotient"])
def test_initial_values_that_depend_on_parameters(kind):
    """x(0) is an expression of parameters that also stand in the rate."""
    m = pt.ProcessBuilder("start", version="1.0")
    k, a = m.parameter("k", "0.4 1/h"), m.parameter("a", 2.0)
    x = m.state("x", "1", initial=3.0 * a if kind == "linear" else a / (1.0 + k / m.constant("1 1/h")))
    m.rate(x, -k * a * x)
    m.output("x", x)
    check(m.build(integrator=TIGHT), pt.Recipe.constant(duration="5 h"), [0.0, 0.5, 3.0])


@pytest.mark.parametrize("which", ["plant", "algebraic"])
def test_a_steady_start(which):
    """The derivative of a steady state by the implicit function theorem, then through a jump of the input."""
    recipe = pt.Recipe(
        [pt.Phase("p", jacket=FIRST, duration="1 h"), pt.Phase("q", jacket=LEVEL, duration="4 h")], initial=pt.STEADY
    )
    if which == "plant":
        m = pt.ProcessBuilder("heated", version="1.0")
        loss, gain = m.parameter("loss", "0.5 1/h"), m.parameter("gain", "20 K/h")
        jacket = m.input("jacket", "K")
        t = m.state("t", "K", initial="310 K", scale="10 K")
        m.rate(t, gain * (t / m.constant("400 K")) ** 2 - loss * (t - jacket))
        m.output("t", t)
    else:
        m = pt.ProcessBuilder("heated_dae", version="1.0")
        loss, gain = m.parameter("loss", "0.5 1/h"), m.parameter("gain", 0.9)
        jacket = m.input("jacket", "K")
        t = m.state("t", "K", initial="310 K", scale="10 K")
        wall = m.algebraic("wall", "K", guess="300 K", scale="10 K")
        m.rate(t, -loss * (t - wall))
        m.equation("wall", wall - jacket, gain * (jacket - wall) ** 3 / m.constant("1e4 K^2") + 0.1 * (t - wall))
        m.output("t", t)
        m.output("wall", wall)
    report = check(m.build(integrator=TIGHT), recipe, [0.5, 1.5, 4.0], names=["loss", "gain", "first", "level"])
    assert len(report.rows) >= 4


def test_time_is_the_rate_of_the_outputs():
    """The column "time" is dy/dt from the left, also of outputs with inputs and algebraic variables in them."""
    model, recipe = algebraic(), RECIPES["ramp"]
    check(model, recipe, [0.17, 0.77, 1.53, 2.9], names=["time"])


def test_a_state_that_is_given_is_held_fixed():
    """With state=, derivatives are those of a run that begins there."""
    model, recipe = plant(), RECIPES["duration_then_dose_at_time"]
    values = sampled(model, recipe)
    start = model.advance(model.initial_state(0.0, recipe, values), 0.0, 1000.0, recipe, values)
    times = np.array([1000.0, 3000.0, 8000.0, 12000.0])
    names = ["k", "loss", "level", "dose", "when"]
    report = taylor_test(model, times, recipe, values, names, state=start, accuracy=ACCURACY)
    assert report.passed, "\n" + "\n".join(map(str, report.failures))
    _, jacobian, _ = model.sensitivity(times, recipe, values, ["initial.a"], start)
    assert not jacobian.any()


@pytest.mark.parametrize("rtol", [1e-6, 1e-8])
@pytest.mark.parametrize("name", ["until_level_then_dose", "ramp_over_setting", "ramped_table_after_moving_start"])
def test_at_default_tolerances_derivatives_are_as_exact_as_outputs(rtol, name):
    """The jacobian of a run at rtol agrees with that of a tight run to two hundred times rtol.

    At a corner of a ramp that moves, the derivative of the input jumps although the input does not: the integrator has
    to restart there too.
    """
    recipe = RECIPES[name]
    coarse, fine = plant(pt.Sundials(rtol=rtol, atol=0.01 * rtol)), plant()
    values, times = sampled(fine, recipe), 3600.0 * np.array([0.17, 0.77, 1.53, 2.9, 4.3])
    wrt = [*fine.parameters.names, *recipe.settings]
    _, a, _ = coarse.sensitivity(times, recipe, values, wrt)
    _, b, _ = fine.sensitivity(times, recipe, values, wrt)
    scale = np.max(np.abs(b), axis=0, keepdims=True)
    np.testing.assert_allclose(a / (scale + 1e-300), b / (scale + 1e-300), rtol=0, atol=200 * rtol)


def test_an_unknown_name_raises():
    """A misspelt name has no derivative of zero."""
    model, recipe = plant(), RECIPES["held"]
    with pytest.raises(pt.UnknownNameError, match="loss"):
        model.sensitivity(np.array([1.0]), recipe, sampled(model, recipe), ["los"])
