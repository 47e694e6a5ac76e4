"""Lorenz's two chaotic systems as models: quadratic right-hand sides, fixed Runge-Kutta steps, all members at once.

Both are dx/dt = c + L x + (quadratic part); the time unit of the papers is taken as a second.
"""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.model import Failure, Linearisation, SIValues, StateBlock
from physics_twin.parameters import ParameterSet
from physics_twin.recipes import Recipe
from physics_twin.signals import Signal
from physics_twin.units import Unit


@dataclass(frozen=True, eq=False)
class Lorenz:
    """A chaotic system whose whole state is observed.

    rate: (n_members, n) -> the same. slope: (n,) -> (n, n), its derivative. dt: s, the classical Runge-Kutta method's
    step. places: (n, dimension) m, where the entries are, for localization; None of what has no extension.
    """

    name: str
    n: int
    rate: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    dt: float
    places: Array | None = None
    version: str = "1.0"

    @functools.cached_property
    def fingerprint(self) -> str:
        """Of name, size and step; the equations are this file's."""
        return hashlib.sha256(f"{self.name} {self.n} {self.dt!r}".encode()).hexdigest()

    @property
    def parameters(self) -> ParameterSet:
        """None."""
        return ParameterSet()

    @property
    def inputs(self) -> tuple[Signal, ...]:
        """None."""
        return ()

    @functools.cached_property
    def outputs(self) -> tuple[Signal, ...]:
        """The entries of the state."""
        return tuple(Signal(f"x{k}", "1") for k in range(self.n))

    @functools.cached_property
    def state(self) -> tuple[StateBlock, ...]:
        """One block."""
        return (StateBlock("x", Unit("1"), self.n, coordinates=self.places),)

    @property
    def validity(self) -> Mapping[str, tuple[float, float]]:
        """Everywhere."""
        return {}

    @property
    def output_places(self) -> Mapping[str, Array]:
        """Each entry is measured where it is."""
        return {} if self.places is None else {f"x{k}": place for k, place in enumerate(self.places)}

    def initial_state(self, t0: float, recipe: Recipe, values: SIValues) -> Array:
        """The first unit vector."""
        return np.asarray(np.eye(self.n)[0])

    def advance(self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues) -> Array:
        """Whole steps; t1 - t0 is a multiple of dt."""
        return np.asarray(self._steps(state[None], t1 - t0)[0])

    def observe(self, state: Array, t: float, recipe: Recipe, values: SIValues) -> Array:
        """The state."""
        return state

    def trajectories(
        self, times: Array, recipe: Recipe, values: Mapping[str, Array], states: Array | None = None
    ) -> tuple[Array, Array, tuple[Failure, ...]]:
        """All members at once; times (n_times,)."""
        x = np.eye(self.n)[:1] if states is None else states
        outputs = [x]
        for span in np.diff(times):
            x = self._steps(x, float(span))
            outputs.append(x)
        return np.stack(outputs, axis=1), x, ()

    def advance_linearised(
        self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues, wrt: Sequence[str]
    ) -> Linearisation:
        """With the derivative of the Runge-Kutta steps."""
        x, m, h = state, np.eye(self.n), self.dt
        for _ in range(round((t1 - t0) / h)):
            k, d, k_sum, d_sum = np.zeros(self.n), np.zeros((self.n, self.n)), np.zeros(self.n), np.zeros_like(m)
            for ahead, weight in ((0.0, 1.0), (0.5, 2.0), (0.5, 2.0), (1.0, 1.0)):
                at = x + ahead * h * k
                d = self.slope(at) @ (m + ahead * h * d)
                k = self.rate(at[None])[0]
                k_sum, d_sum = k_sum + weight * k, d_sum + weight * d
            x, m = x + h / 6.0 * k_sum, m + h / 6.0 * d_sum
        none = np.zeros((self.n, len(wrt)))
        return Linearisation(x, x, m, none, m, none)

    def _steps(self, x: Array, span: float) -> Array:
        h = self.dt
        for _ in range(round(span / h)):
            k1 = self.rate(x)
            k2 = self.rate(x + 0.5 * h * k1)
            k3 = self.rate(x + 0.5 * h * k2)
            k4 = self.rate(x + h * k3)
            x = x + h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)
        return x


# Of x, y, z, x y, x z: dx = 10 (y - x), dy = 28 x - y - x z, dz = x y - 8/3 z
_L63 = np.array([[-10.0, 28.0, 0.0], [10.0, -1.0, 0.0], [0.0, 0.0, -8.0 / 3.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def _rate_63(x: Array) -> Array:
    return np.asarray(np.concatenate([x, x[:, :1] * x[:, 1:]], axis=1) @ _L63)


def _slope_63(x: Array) -> Array:
    quadratic = np.array([[x[1], x[0], 0.0], [x[2], 0.0, x[0]]])
    return np.asarray(_L63[:3].T + _L63[3:].T @ quadratic)


def lorenz_63() -> Lorenz:
    """Lorenz (1963, Deterministic nonperiodic flow, J. Atmospheric Sciences 20): 10, 28, 8/3; steps of 0.01."""
    return Lorenz("lorenz_63", 3, _rate_63, _slope_63, 0.01)


def _rate_96(x: Array) -> Array:
    around = np.concatenate([x[:, -2:], x, x[:, :1]], axis=1)
    return np.asarray((around[:, 3:] - around[:, :-3]) * around[:, 1:-2] - x + 8.0)


def _slope_96(x: Array) -> Array:
    n = x.size
    d, k = -np.eye(n), np.arange(n)
    d[k, (k + 1) % n] += x[k - 1]
    d[k, k - 2] -= x[k - 1]
    d[k, k - 1] += x[(k + 1) % n] - x[k - 2]
    return d


def lorenz_96(n: int = 40) -> Lorenz:
    """Lorenz (1996, Predictability: a problem partly solved, ECMWF seminar): F = 8, steps 0.05, on a ring.

    The entries are 1 m apart along the circle.
    """
    angle = 2.0 * np.pi * np.arange(n) / n
    places = n / (2.0 * np.pi) * np.column_stack([np.cos(angle), np.sin(angle)])
    return Lorenz("lorenz_96", n, _rate_96, _slope_96, 0.05, places)
