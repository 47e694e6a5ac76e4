"""Running maxima and minima, integrals: against closed forms, between samples as at them."""

import itertools

import numpy as np
import pytest

import physics_twin as pt
from tests.process.plants import TIGHT, run


def oscillator(damping=0.05, integrator=TIGHT):
    """A damped oscillation with its running extremes and the integral of its square."""
    m = pt.ProcessBuilder("oscillator", version="1.0")
    w, z = m.parameter("w", "1 1/s"), m.parameter("z", damping)
    x, v = m.state("x", "m", initial="0 m", scale="1 m"), m.state("v", "m/s", initial="1 m/s")
    m.rate(x, v)
    m.rate(v, -(w**2) * x - 2 * z * w * v)
    area = m.accumulator("area", "m^2*s", x**2)
    m.output("x", x)
    m.output("top", m.maximum("top", x))
    m.output("bottom", m.minimum("bottom", x))
    m.output("area", area)
    m.output("top_of_square", m.maximum("top_of_square", x**2, unit="m^2"))
    return m.build(integrator=integrator)


def closed_form(t, z=0.05):
    """x(t) of the damped oscillation from (0, 1)."""
    d = np.sqrt(1.0 - z**2)
    return np.exp(-z * t) * np.sin(d * t) / d


@pytest.mark.parametrize("samples", [[100.0], [0.0, 50.0, 100.0], list(np.linspace(0, 100, 1001))])
def test_extremes_are_those_of_the_closed_form(samples):
    """First peak and first trough, whether or not a sample lies near them."""
    d = np.sqrt(1.0 - 0.05**2)
    peak = np.arctan2(d, 0.05) / d
    outputs = run(oscillator(), samples)
    assert outputs[-1, 1] == pytest.approx(closed_form(peak), rel=1e-7)
    assert outputs[-1, 2] == pytest.approx(closed_form(peak + np.pi / d), rel=1e-7)


def test_extremes_grow_with_the_samples():
    """At every sample the running maximum is the largest value up to then."""
    t = np.linspace(0.0, 12.0, 400)
    outputs = run(oscillator(), t)
    fine = closed_form(np.linspace(0.0, 12.0, 399 * 50 + 1))
    expected = np.maximum.accumulate(fine)[::50]
    np.testing.assert_allclose(outputs[:, 1], expected, rtol=0, atol=1e-6)
    assert (np.diff(outputs[:, 1]) >= 0.0).all()
    assert (outputs[:, 1] >= outputs[:, 0] - 1e-12).all()


@pytest.mark.parametrize("n_periods", [10, 300])
def test_a_growing_oscillation_has_its_last_peak(n_periods):
    """Every peak is higher than the one before: none of many may be missed."""
    rate = 2.0 / (2 * np.pi * n_periods)  # grows by exp(2) over the run
    model = oscillator(damping=-rate)
    end = 2 * np.pi * n_periods
    fine = np.linspace(0.0, end, 400_001)
    expected = closed_form(fine, -rate).max()
    assert run(model, [end])[0, 1] == pytest.approx(expected, rel=1e-5)


def test_the_peak_of_a_bounce_between_samples():
    """A ball's highest point after its first bounce is e^2 of the drop; only minima and maxima of the run know."""
    m = pt.ProcessBuilder("ball", version="1.0")
    height, speed = m.state("height", "m", initial="0.001 m"), m.state("speed", "m/s", initial="0 m/s")
    m.rate(height, speed)
    m.rate(speed, m.constant("-9.81 m/s^2"))
    m.event("bounce", when=height <= "0 m", then={speed: -2.0 * speed})
    m.output("top", m.maximum("top", height))
    model = m.build(integrator=TIGHT)
    first = np.sqrt(2 * 0.001 / 9.81)
    after_one = first * (1 + 2 * 2)
    assert run(model, [after_one * 0.999])[0, 0] == pytest.approx(0.004, rel=1e-7)


def test_an_extreme_sees_both_sides_of_a_jump():
    """A dose and a discharge at once: the running maximum holds what was reached for a moment between two phases."""
    m = pt.ProcessBuilder("jump", version="1.0")
    x = m.state("x", "kg", initial="1 kg")
    m.rate(x, -0.1 * x / m.constant("1 s"))
    m.output("top", m.maximum("top", x))
    m.output("bottom", m.minimum("bottom", x))
    recipe = pt.Recipe(
        [
            pt.Phase("a", duration="5 s"),
            pt.Phase("b", duration="5 s", start=[pt.dose("x", "4 kg")]),
            pt.Phase("c", duration="5 s", start=[pt.set_state("x", "10 g")], at={"1 s": [pt.set_state("x", "2 kg")]}),
        ]
    )
    outputs = run(m.build(integrator=TIGHT), [5.0, 7.0, 15.0], recipe)
    assert outputs[:, 0] == pytest.approx([1.0, 4.0 + np.exp(-0.5), 4.0 + np.exp(-0.5)], rel=1e-8)
    assert outputs[:, 1] == pytest.approx([np.exp(-0.5), np.exp(-0.5), 0.01 * np.exp(-0.1)], rel=1e-8)


def test_an_extreme_of_an_input():
    """The highest value of a recorded input, at a corner between samples."""
    m = pt.ProcessBuilder("input", version="1.0")
    u = m.input("u", "K")
    x = m.state("x", "K*s", initial="0 K*s")
    m.rate(x, u)
    m.output("top", m.maximum("top", u))
    recipe = pt.Recipe.from_table([0.0, 3.3, 4.4, 10.0], {"u": ([1.0, 7.0, 2.0, 3.0], "K")})
    assert run(m.build(), [10.0], recipe)[0, 0] == pytest.approx(7.0, rel=1e-9)
    held = pt.Recipe.from_table([0.0, 3.3, 4.4, 10.0], {"u": ([1.0, 7.0, 2.0, 3.0], "K", pt.HOLD)})
    assert run(m.build(), [10.0], held)[0, 0] == pytest.approx(7.0, rel=1e-9)


def test_an_extreme_of_an_algebraic_variable():
    """The maximum of z with z = sin-like solution of an equation, with its peak between samples."""
    m = pt.ProcessBuilder("algebraic", version="1.0")
    w = m.constant("1 1/s")
    x, y = m.state("x", "1", initial=0.0), m.state("y", "1", initial=1.0)
    z = m.algebraic("z", "1", guess=0.0)
    m.rate(x, w * y)
    m.rate(y, -w * x)
    m.equation("cubic", z**3 + z, 2.0 * x)
    m.output("top", m.maximum("top", z))
    assert run(m.build(integrator=TIGHT), [3.0])[0, 0] == pytest.approx(1.0, rel=1e-8)


def test_an_integral_against_its_closed_form():
    """The integral of x^2 over a hundred seconds, by quadrature of the closed form."""
    t = np.linspace(0.0, 100.0, 400_001)
    expected = np.trapezoid(closed_form(t) ** 2, t)
    assert run(oscillator(), [100.0])[0, 3] == pytest.approx(expected, rel=1e-8)


def test_extremes_do_not_depend_on_how_often_the_run_is_sampled_or_split():
    """One run, a thousand samples, and a chain of steps agree."""
    model = oscillator()
    recipe, values = pt.Recipe.constant(), dict(model.parameters.values())
    whole = run(model, [30.0])[0]
    sampled = run(model, np.linspace(0.0, 30.0, 1000))[-1]
    state = model.initial_state(0.0, recipe, values)
    steps = np.linspace(0.0, 30.0, 60)
    for a, b in itertools.pairwise(steps):
        state = model.advance(state, float(a), float(b), recipe, values)
    stepped = model.observe(state, 30.0, recipe, values)
    np.testing.assert_allclose(sampled, whole, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(stepped, whole, rtol=1e-7, atol=1e-9)
