"""Small plants with twins, for the tests of the twin."""

import functools

import numpy as np

import physics_twin as pt
from physics_twin.twin.moments import SECOND, moment

START = moment("2026-11-20T06:00:00Z")
HEATER_CHANNELS = [pt.Channel("T1", unit="degC", noise="0.1 K"), pt.Channel("T2", unit="degC", noise="0.1 K")]
WALKS = {"T1": pt.RandomWalk("0.05 K", per="1 min"), "T2": pt.RandomWalk("0.05 K", per="1 min")}
TRUE = {"UA": "0.06 W/K", "link": "0.025 W/K"}


@functools.cache
def heater_block():
    """Two heated bodies in a room, as a temperature control lab: heater powers live, a meter of the energy put in."""
    m = pt.ProcessBuilder("heater_block", version="1.0")
    q1, q2 = m.input("q1", "W"), m.input("q2", "W")
    ua = m.parameter("UA", "0.05 W/K", bounds=("0.01 W/K", "0.5 W/K"))
    link = m.parameter("link", "0.02 W/K", bounds=("0.001 W/K", "0.2 W/K"))
    room = m.parameter("room", "23 degC")
    c = m.parameter("C", "8 J/K")
    t1 = m.state("T1", "degC", initial="23 degC")
    t2 = m.state("T2", "degC", initial="23 degC")
    energy = m.accumulator("energy", "J", q1 + q2)
    m.rate(t1, (q1 - ua * (t1 - room) - link * (t1 - t2)) / c)
    m.rate(t2, (q2 - ua * (t2 - room) - link * (t2 - t1)) / c)
    m.output("T1", t1)
    m.output("T2", t2)
    m.output("energy", energy)
    return m.build()


@functools.cache
def heater_posterior():
    """What a fit left open: both coefficients within a fifth."""
    rng = np.random.default_rng(1)
    chosen = [heater_block().parameters[name] for name in ("UA", "link")]
    table = np.array([0.05, 0.02]) * np.exp(0.2 * rng.standard_normal((500, 2)))
    return pt.Posterior.from_draws(chosen, table)


def heater_twin(**options):
    """A twin of the heater block at START, with an unscented filter unless told otherwise."""
    options = {
        "at": "2026-11-20T06:00Z",
        "channels": HEATER_CHANNELS,
        "initial_sd": {"T1": "1 K", "T2": "1 K"},
        "process_noise": WALKS,
        **options,
    }
    return pt.Twin.start(heater_block(), heater_posterior(), **options)


def at(seconds):
    """ns of so many seconds after START."""
    return START + round(seconds * SECOND)


@functools.cache
def heater_samples(n=60, step=5.0, seed=3):
    """n moments: both temperatures in degC and both powers, powers as read at the beginning of each step."""
    rng = np.random.default_rng(seed)
    times = step * np.arange(n)
    q1 = np.where(np.arange(n) // 12 % 2 == 0, 2.0, 0.5)
    rows = {"q1": (q1, "W", pt.HOLD), "q2": (np.ones(n), "W", pt.HOLD)}
    recipe = pt.Recipe.from_table(times, rows, hold_after=True)
    run = pt.simulate(heater_block(), times, recipe, values=TRUE)
    noise = 0.1 * rng.standard_normal((2, n))
    found = []
    for k, t in enumerate(times):
        for j, name in enumerate(("T1", "T2")):
            found.append(pt.Sample(name, at(t), float(run[name].values[k]) - 273.15 + noise[j, k], "degC"))
        found.append(pt.Sample("q1", at(t), float(q1[k]), "W"))
        found.append(pt.Sample("q2", at(t), 1.0, "W"))
    return tuple(found)


def fed(twin, samples, **options):
    """The twin after samples, one call, without a limit of time."""
    return pt.assimilate(twin, samples, **{"budget": None, **options})[0]
