"""A linear plant with its exact Kalman filter, written without the library: what every Gaussian filter must equal."""

import functools

import numpy as np
from scipy.linalg import expm

import physics_twin as pt
from physics_twin.assimilation.belief import Observation, Start, Step
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.assimilation.keys import Key
from physics_twin.simulation import complete_values

LEAK, FLOW, FEED = 0.02, 0.05, 0.3  # 1/s, 1/s, kg/s
SCALE = np.array([10.0, 4.0, 1.0, 10.0])  # of upper, lower, source, offset in SI per coordinate
# d/dt of (upper, lower, source, offset, 1)
RATES = np.array(
    [
        [-FLOW, 0.0, 1.0, 0.0, FEED],
        [FLOW, -LEAK, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)
OUTPUTS = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0], [1.0, 2.0, 0.0, 0.0]])


@functools.cache
def model(rtol=1e-12):
    """upper' = feed + source - flow upper, lower' = flow upper - leak lower; `source`, `offset` enter linearly."""
    m = pt.ProcessBuilder("two_tanks", version="1.0")
    feed = m.input("feed", "kg/s")
    source = m.parameter("source", "0 kg/s", bounds=("-0.5 kg/s", "0.5 kg/s"))
    offset = m.parameter("offset", "0 kg", bounds=("-5 kg", "5 kg"))
    upper, lower = m.state("upper", "kg", initial="10 kg"), m.state("lower", "kg", initial="10 kg", scale="4 kg")
    m.rate(upper, feed + source - m.constant(f"{FLOW} 1/s") * upper)
    m.rate(lower, m.constant(f"{FLOW} 1/s") * upper - m.constant(f"{LEAK} 1/s") * lower)
    m.output("upper", upper)
    m.output("lower", lower + offset)
    m.output("weighted", upper + 2.0 * lower)
    return m.build(integrator=pt.Sundials(rtol=rtol, atol=rtol))


def dynamics(plant=None, *, frozen=False):
    plant = plant or model()
    recipe = pt.Recipe.constant(feed=pt.Setting("feed_now", "kg/s"))
    coordinates = Coordinates.of(plant, [plant.parameters["source"], plant.parameters["offset"]], frozen=frozen)
    fixed = dict(complete_values(plant, recipe, {"feed_now": "0 kg/s"}))
    fixed.pop("feed_now")
    return Dynamics(plant, recipe, fixed, coordinates)


def in_python():
    """The same plant without derivatives."""
    m = pt.FunctionModel(
        "two_tanks",
        version="1.0",
        rate=lambda t, s, u, v: {
            "upper": u["feed"] + v["source"] - FLOW * s["upper"],
            "lower": FLOW * s["upper"] - LEAK * s["lower"],
        },
        states={"upper": ("kg", "10 kg"), "lower": ("kg", "4 kg")},
        outputs={
            "upper": "kg",
            "lower": ("kg", lambda t, s, u, v: s["lower"] + v["offset"]),
            "weighted": ("kg", lambda t, s, u, v: s["upper"] + 2.0 * s["lower"]),
        },
        parameters=[model().parameters[name] for name in ("source", "offset")],
        inputs={"feed": "kg/s"},
    )
    return dynamics(m)


def start(n_draws=60, seed=0):
    """Draws around (10, 12, 0.05, 1) and a variance on top."""
    rng = np.random.default_rng(seed)
    draws = np.array([10.0, 12.0, 0.05, 1.0]) + rng.normal(size=(n_draws, 4)) * [1.0, 2.0, 0.05, 0.5]
    first = model().initial_state(0.0, dynamics().recipe, {**dynamics().fixed, "feed_now": 0.0})
    states = np.tile(first, (n_draws, 1))
    states[:, :2] = draws[:, :2]
    return Start(states, draws[:, 2:], np.array([0.01, 0.02, 0.0, 0.0]))


def schedule(n, seed=1, rate=(1e-4, 2e-4, 1e-6, 0.0)):
    """n steps of irregular length with a live input, and samples of some channels, at times two of one output."""
    rng = np.random.default_rng(seed)
    truth, t, rows = np.array([11.0, 10.0, 0.1, 1.5, 1.0]), 0.0, []
    for k in range(n):
        dt = float(rng.choice([0.5, 1.0, 7.3, 20.0]))
        feed = FEED * float(rng.uniform(0.5, 1.5))
        rates = RATES.copy()
        rates[0, 4] = feed
        truth = expm(rates * dt) @ truth
        seen = [np.array([], dtype=np.int64), np.array([0]), np.array([1, 2]), np.array([0, 1, 1])][rng.integers(4)]
        variance = np.full(seen.size, 0.04)
        values = OUTPUTS[seen] @ truth[:4] + 0.2 * rng.normal(size=seen.size)
        observation = Observation(seen, values, variance, tuple(f"c{row}" for row in seen))
        rows.append((Step(t, t + dt, {"feed_now": feed}, np.array(rate) * dt, Key(0, k)), observation))
        t += dt
    return rows


def moments(begin):
    """Mean (4,) and covariance (4, 4), SI, of a start."""
    draws = np.hstack([begin.states[:, :2], begin.parameters])
    return draws.mean(axis=0), np.cov(draws.T) + np.diag(begin.variance * SCALE**2)


def kalman(begin, rows, n_updated=4):
    """Means (n, 4) and covariances (n, 4, 4), SI, after each update: exact discretization, textbook formulas.

    The walks' variance comes at the end of each step. Beyond n_updated the coordinates are considered (Schmidt).
    """
    mean, covariance = moments(begin)
    means, covariances = [], []
    for step, seen in rows:
        rates = RATES.copy()
        rates[0, 4] = step.settings["feed_now"]
        flow = expm(rates * (step.t1 - step.t0))
        mean = (flow @ np.append(mean, 1.0))[:4]
        covariance = flow[:4, :4] @ covariance @ flow[:4, :4].T + np.diag(step.variance * SCALE**2)
        h = OUTPUTS[seen.rows]
        innovation = h @ covariance @ h.T + np.diag(seen.variance)
        gain = covariance @ h.T @ np.linalg.inv(innovation)
        gain[n_updated:] = 0.0
        mean = mean + gain @ (seen.values - h @ mean)
        rest = np.eye(4) - gain @ h
        covariance = rest @ covariance @ rest.T + gain @ np.diag(seen.variance) @ gain.T
        means.append(mean)
        covariances.append(covariance)
    return np.array(means), np.array(covariances)


def run(method, plant, begin, rows):
    """Means and covariances, SI, and beliefs of a filter of the library."""
    belief = method.begin(begin, plant, Key(0, 0))
    means, covariances, beliefs = [], [], []
    for step, seen in rows:
        predicted = method.predict(belief, plant, step)
        belief = method.update(predicted, plant, step, seen) if seen.rows.size else predicted.belief
        means.append(np.concatenate([belief.states[0, :2], belief.parameters[0]]))
        covariances.append(belief.root @ belief.root.T * np.outer(SCALE, SCALE))
        beliefs.append(belief)
    return np.array(means), np.array(covariances), beliefs
