"""A continuous stirred tank with a cooled jacket: van de Vusse kinetics (Klatt and Engell 1998) with the numbers of
do-mpc's example. Strongly nonlinear; the rate of the main reaction is uncertain."""

import functools

import numpy as np

import physics_twin as pt
from physics_twin.assimilation.belief import Observation, Start, Step
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key
from physics_twin.simulation import complete_values

SAMPLE = 18.0
"""s between samples, as in do-mpc's example (0.005 h)."""
NOISE = {"c_b": 5.0, "t_r": 0.1, "t_k": 0.1}
"""Standard deviations, SI (mol/m^3, K)."""
TRUE = 1.05
"""The factor of the main reaction, which a twin begins with at 1."""


@functools.cache
def model(jacket_algebraic=False):
    """Concentrations of A and B and temperatures of reactor and jacket; with a jacket without mass, a DAE."""
    m = pt.ProcessBuilder("stirred_reactor", version="1.0")
    feed = m.input("feed", "1/h")
    heat = m.input("heat", "kJ/h")
    activity = m.parameter("activity", 1.0, bounds=(0.5, 2.0))
    c_a = m.state("c_a", "mol/L", initial="0.8 mol/L", scale="1 mol/L", lower="0 mol/L", upper="5.1 mol/L")
    c_b = m.state("c_b", "mol/L", initial="0.5 mol/L", scale="1 mol/L", lower="0 mol/L", upper="5.1 mol/L")
    t_r = m.state("t_r", "degC", initial="134.14 degC", scale="100 K")
    k1 = activity * m.constant("1.287e12 1/h") * pt.exp(-m.constant("9758.3 K") / t_r)
    k2 = m.constant("1.287e12 1/h") * pt.exp(-m.constant("9758.3 K") / t_r)
    k3 = m.constant("9.043e9 L/mol/h") * pt.exp(-m.constant("8560 K") / t_r)
    m.rate(c_a, feed * (m.constant("5.1 mol/L") - c_a) - k1 * c_a - k3 * c_a * c_a)
    m.rate(c_b, -feed * c_b + k1 * c_a - k2 * c_b)
    capacity = m.constant("0.9342 kg/L") * m.constant("3.01 kJ/kg/K")
    warmed = m.constant("4.2 kJ/mol") * k1 * c_a + m.constant("-11 kJ/mol") * k2 * c_b
    warmed = (warmed + m.constant("-41.85 kJ/mol") * k3 * c_a * c_a) / capacity
    transfer = m.constant("4032 kJ/h/m^2/K") * m.constant("0.215 m^2")
    if jacket_algebraic:
        t_k = m.algebraic("t_k", "degC", guess="130 degC", scale="100 K")
        m.equation("jacket", heat + transfer * (t_r - t_k), m.constant("0 kJ/h"))
    else:
        t_k = m.state("t_k", "degC", initial="130 degC", scale="100 K")
        m.rate(t_k, (heat + transfer * (t_r - t_k)) / (m.constant("5 kg") * m.constant("2 kJ/kg/K")))
    exchanged = transfer / (capacity * m.constant("10.01 L")) * (t_k - t_r)
    m.rate(t_r, -warmed + feed * (m.constant("130 degC") - t_r) + exchanged)
    for name, signal in (("c_b", c_b), ("t_r", t_r), ("t_k", t_k)):
        m.output(name, signal)
    return m.build()


def recipe():
    """Feed and heat are live."""
    return pt.Recipe.constant(feed=pt.Setting("feed_now", "1/h"), heat=pt.Setting("heat_now", "kJ/h"))


def dynamics(plant=None, *, frozen=False):
    plant = plant or model()
    coordinates = Coordinates.of(plant, [plant.parameters["activity"]], frozen=frozen)
    fixed = dict(complete_values(plant, recipe(), {"feed_now": "10 1/h", "heat_now": "-1000 kJ/h"}))
    for name in ("feed_now", "heat_now"):
        fixed.pop(name)
    return Dynamics(plant, recipe(), fixed, coordinates)


def start(of, sd=(0.1, 0.1, 0.02, 0.02, 0.1)):
    """One draw with the variance of an initial guess; sd in coordinates."""
    c = of.coordinates
    values = {**of.fixed, "feed_now": 10.0 / 3600.0, "heat_now": -1000.0 / 3.6}
    state = of.model.initial_state(0.0, of.recipe, values)
    state[c.positions] *= 1.0 + 0.02 * np.array([1.0, -1.0, 0.1, -0.1])[: c.n_states]
    spread = np.array([*sd[: c.n_states], *sd[4:]])
    return Start(state[None], np.array([[of.fixed["activity"]]]), spread**2)


def experiment(of, n, *, seed=0, noise=1.0, drift=0.0, walk=1e-8):
    """n steps with their samples and true states: the factor begins at TRUE and moves by `drift` a step."""
    rng = np.random.default_rng(seed)
    names = [signal.name for signal in of.model.outputs]
    sd = np.array([NOISE[name] for name in names])
    live = {"feed_now": 14.19 / 3600.0, "heat_now": -1113.5 / 3.6}
    state = of.model.initial_state(0.0, of.recipe, {**of.fixed, **live})
    rows, states = [], []
    variance = np.array([walk] * of.coordinates.n_states + [max(drift**2, 1e-10)])
    for k in range(n):
        live = {"feed_now": float(rng.uniform(8.0, 20.0)) / 3600.0, "heat_now": -float(rng.uniform(500, 2000)) / 3.6}
        values = {**of.fixed, **live, "activity": TRUE + drift * k}
        step = Step(k * SAMPLE, (k + 1) * SAMPLE, live, variance, Key(seed, k))
        state = of.model.advance(state, step.t0, step.t1, of.recipe, values)
        outputs = of.model.observe(state, step.t1, of.recipe, values)
        seen = outputs + noise * sd * rng.normal(size=3)
        rows.append((step, Observation(np.arange(3), seen, sd**2, tuple(names))))
        states.append(state)
    return rows, np.array(states)


def run(method, of, begin, rows):
    """Beliefs after each sample."""
    belief, found = method.begin(begin, of, Key(0, 0)), []
    for step, seen in rows:
        belief = method.update(method.predict(belief, of, step), of, step, seen)
        found.append(belief)
    return found
