"""Small models with known answers, and how the tests run them."""

import functools

import numpy as np

import physics_twin as pt
from physics_twin.simulation import complete_values

TIGHT = pt.Sundials(rtol=1e-11, atol=1e-13)


@functools.cache
def tank():
    """level' = inflow - leak (leak 0); outputs level and inflow: the level is the exact integral of the input."""
    m = pt.ProcessBuilder("tank", version="1.0")
    inflow = m.input("inflow", "kg/s")
    leak = m.parameter("leak", "0 kg/s")
    level = m.state("level", "kg", initial="0 kg")
    m.rate(level, inflow - leak)
    m.output("level", level)
    m.output("inflow", inflow)
    return m.build()


@functools.cache
def decay(integrator=TIGHT):
    """x' = -k x + u."""
    m = pt.ProcessBuilder("decay", version="1.0")
    k = m.parameter("k", "0.1 1/s")
    u = m.input("u", "kg/s")
    x = m.state("x", "kg", initial="2 kg")
    m.rate(x, u - k * x)
    m.output("x", x)
    return m.build(integrator=integrator)


@functools.cache
def ball(restitution=0.8):
    """A ball that falls from 1 m and bounces."""
    m = pt.ProcessBuilder("ball", version="1.0")
    g = m.parameter("g", "9.81 m/s^2")
    e = m.parameter("e", restitution)
    height = m.state("height", "m", initial="1 m")
    speed = m.state("speed", "m/s", initial="0 m/s")
    m.rate(height, speed)
    m.rate(speed, -g)
    m.event("bounce", when=height <= "0 m", then={speed: -e * speed})
    m.output("height", height)
    m.output("speed", speed)
    return m.build(integrator=TIGHT)


def sampled(model, recipe, values=None):
    """Every value in SI, as a plain dict that a test may change."""
    return dict(complete_values(model, recipe, values))


def run(model, times, recipe=None, values=None):
    """Outputs (n_times, n_outputs)."""
    recipe = pt.Recipe.constant() if recipe is None else recipe
    return model.trajectory(np.asarray(times, dtype=float), recipe, sampled(model, recipe, values))[0]


def integral(t, v, at, held):
    """Integral from 0 to `at` of rows (t, v), held or joined by straight lines."""

    def one(end):
        inside = t < end
        nodes = np.append(t[inside], end)
        if held:
            return float(np.sum(v[inside] * np.diff(nodes)))
        return float(np.trapezoid(np.interp(nodes, t, v), nodes))

    return np.array([one(end) for end in at])
