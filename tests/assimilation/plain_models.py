"""Models in a few lines of NumPy, all members at once, with hand-written derivatives."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.errors import SolveError
from physics_twin.model import Failure, Linearisation, StateBlock
from physics_twin.parameters import ParameterSet
from physics_twin.recipes import Recipe
from physics_twin.signals import Signal
from physics_twin.units import Unit

ONE = Unit("1")


def never(members):
    return np.zeros(len(members), dtype=bool)


@dataclass(frozen=True)
class Plain:
    """flow: (members (n, n_x), values name -> (n, 1), t0, t1) -> members; output: the same without t0.

    fails: members for which a step fails.
    """

    n_x: int
    n_y: int
    flow: Callable
    output: Callable
    parameters: ParameterSet = field(default_factory=lambda: ParameterSet([]))
    lower: float = -np.inf
    upper: float = np.inf
    fails: Callable = never
    name: str = "plain"
    version: str = "1.0"
    fingerprint: str = "plain"
    inputs: tuple = ()
    validity: dict = field(default_factory=dict)

    @property
    def outputs(self):
        return tuple(Signal(f"y{k}", "1") for k in range(self.n_y))

    @property
    def state(self):
        return (StateBlock("x", ONE, self.n_x, 1.0, self.lower, self.upper),)

    def initial_state(self, t0, recipe, values):
        return np.zeros(self.n_x)

    def advance(self, state, t0, t1, recipe, values):
        if self.fails(state[None])[0]:
            raise SolveError("it fails", time=t0)
        return self.flow(state[None], values, t0, t1)[0]

    def observe(self, state, t, recipe, values):
        return self.output(state[None], values, t)[0]

    def trajectories(self, times, recipe, values, states=None):
        columns = {name: np.asarray(column)[:, None] for name, column in values.items()}
        t0, t1 = float(times[0]), float(times[-1])
        failed = self.fails(states) if t1 > t0 else np.zeros(len(states), dtype=bool)
        ends = self.flow(states, columns, t0, t1) if t1 > t0 else states
        outputs = np.repeat(self.output(ends, columns, t1)[:, None], len(times), axis=1)
        ends = np.where(failed[:, None], np.nan, ends)
        outputs[failed] = np.nan
        return outputs, ends, tuple(Failure(int(k), "it fails", t0) for k in np.flatnonzero(failed))


@dataclass(frozen=True)
class PlainLinearised(Plain):
    """tangent: (state, t0, t1) -> (state at t1, its derivative (n_x, n_x)); slope: (state, t) -> (n_y, n_x)."""

    tangent: Callable = None
    slope: Callable = None

    def advance_linearised(self, state, t0, t1, recipe, values, wrt):
        end, by_state = self.tangent(state, t0, t1) if t1 > t0 else (state, np.eye(self.n_x))
        slope = self.slope(end, t1)
        none = np.zeros((self.n_x, len(wrt)))
        y = self.output(end[None], values, t1)[0]
        return Linearisation(end, y, by_state, none, slope @ by_state, slope @ none)


def dynamics_of(model, parameters=(), *, frozen=False):
    coordinates = Coordinates.of(model, list(parameters), frozen=frozen)
    return Dynamics(model, Recipe.constant(), {}, coordinates)


def linear(transition, output):
    """x(t1) = transition x(t0) whatever the time, y = output x; both matrices."""
    return PlainLinearised(
        n_x=len(transition),
        n_y=len(output),
        flow=lambda x, _values, _t0, _t1: x @ transition.T,
        output=lambda x, _values, _t: x @ output.T,
        tangent=lambda x, _t0, _t1: (transition @ x, transition),
        slope=lambda _x, _t: output,
    )


def lorenz(rate, n, dt):
    """Every entry observed; classical Runge-Kutta steps of dt, their derivative exact by complex steps."""

    def flow(x, _values, t0, t1):
        for _ in range(round((t1 - t0) / dt)):
            k1 = rate(x)
            k2 = rate(x + 0.5 * dt * k1)
            k3 = rate(x + 0.5 * dt * k2)
            k4 = rate(x + dt * k3)
            x = x + dt / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)
        return x

    def tangent(x, t0, t1):
        ends = flow(x + 1e-30j * np.eye(n), {}, t0, t1)
        return ends[0].real.copy(), ends.imag.T / 1e-30

    return PlainLinearised(
        n_x=n,
        n_y=n,
        flow=flow,
        output=lambda x, _values, _t: x,
        tangent=tangent,
        slope=lambda _x, _t: np.eye(n),
    )


def lorenz63(dt=0.01):
    def rate(x):
        a, b, c = x[..., 0], x[..., 1], x[..., 2]
        return np.stack([10.0 * (b - a), 28.0 * a - b - a * c, a * b - 8.0 / 3.0 * c], axis=-1)

    return lorenz(rate, 3, dt)


def jacobian96(x):
    """Of the rates of Lorenz-96."""
    n = len(x)
    rows = np.arange(n)
    ahead, back, further = (np.roll(rows, shift) for shift in (-1, 1, 2))
    m = -np.eye(n)
    m[rows, ahead] += x[back]
    m[rows, further] -= x[back]
    m[rows, back] += x[ahead] - x[further]
    return m


def lorenz96(n=40, dt=0.05):
    ahead, back, further = (np.roll(np.arange(n), shift) for shift in (-1, 1, 2))

    def rate(x):
        return (x[..., ahead] - x[..., further]) * x[..., back] - x + 8.0

    return lorenz(rate, n, dt)
