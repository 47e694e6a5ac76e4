"""Time stepping: one-step, stiffly accurate schemes for dQ/dt + R = 0, with error control.

TR-BDF2 is written as a diagonally implicit Runge-Kutta scheme (Hosea and Shampine, Analysis and implementation of
TR-BDF2, Applied Numerical Mathematics 20, 1996, table 1): second order, L-stable, every stage of second order, and a
companion of third order whose difference, filtered by the step's own matrix, estimates the error of the step.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError
from physics_twin.units import QuantityLike, Unit, to_si

_GAMMA = 2.0 - math.sqrt(2.0)
_D, _W = _GAMMA / 2.0, math.sqrt(2.0) / 4.0


@dataclass(frozen=True)
class Scheme:
    """A diagonally implicit Runge-Kutta scheme whose last stage is the step's result.

    a: (s, s), c: (s,), error: (s,) weights b - b_companion or None, order: of the result.
    """

    name: str
    a: tuple[tuple[float, ...], ...]
    c: tuple[float, ...]
    order: int
    error: tuple[float, ...] | None = None

    @property
    def diagonal(self) -> float:
        """The weight of the implicit stages."""
        return self.a[-1][-1]

    @property
    def nodes(self) -> tuple[float, ...]:
        """Where in [0, 1] the states of dense output stand: the step's start and its implicit stages."""
        return (0.0, *(c for c in self.c if c > 0.0))


TR_BDF2 = Scheme(
    "TR-BDF2",
    ((0.0, 0.0, 0.0), (_D, _D, 0.0), (_W, _W, _D)),
    (0.0, _GAMMA, 1.0),
    2,
    (_W - (1.0 - _W) / 3.0, _W - (3.0 * _W + 1.0) / 3.0, _D - _D / 3.0),
)
IMPLICIT_EULER = Scheme("implicit Euler", ((1.0,),), (1.0,), 1)


def interpolation(scheme: Scheme, x: float) -> tuple[Array, Array]:
    """Weights of the states at `scheme.nodes` for the state at x in [0, 1] of a step, and their slopes by x."""
    nodes = scheme.nodes
    weights, slopes = np.ones(len(nodes)), np.zeros(len(nodes))
    for i, a in enumerate(nodes):
        others = [b for j, b in enumerate(nodes) if j != i]
        scale = math.prod(a - b for b in others)
        weights[i] = math.prod(x - b for b in others) / scale
        slopes[i] = sum(math.prod(x - b for m, b in enumerate(others) if m != k) for k in range(len(others))) / scale
    return weights, slopes


@dataclass(frozen=True, init=False)
class Adaptive:
    """Steps as long as the estimated error of each, in the mean square over the body, stays below the tolerance.

    tolerance: of the field ("0.05 K"). local: of local states, in parts of their scale. first and largest: steps
    ("0.1 s"); without them the controller finds its own.
    """

    tolerance: str
    local: float
    first: float | None
    largest: float

    def __init__(
        self,
        tolerance: str = "0.05 K",
        *,
        local: float = 1e-4,
        first: QuantityLike | None = None,
        largest: QuantityLike | None = None,
    ) -> None:
        second = Unit("s")
        object.__setattr__(self, "tolerance", tolerance)
        object.__setattr__(self, "local", local)
        object.__setattr__(self, "first", None if first is None else to_si(first, second, name="first step"))
        object.__setattr__(
            self, "largest", math.inf if largest is None else to_si(largest, second, name="largest step")
        )
        if not local > 0.0 or (self.first is not None and not self.first > 0.0) or not self.largest > 0.0:
            raise BoundsError("Adaptive: tolerances and steps are above zero")

    def absolute(self, unit: Unit) -> float:
        """The field's tolerance in SI, as a difference in the field's unit."""
        number = to_si(self.tolerance, unit.difference(), name="tolerance of the time steps", difference=True)
        if not number > 0.0:
            raise BoundsError(f"Adaptive: the tolerance {self.tolerance} must be above zero")
        return number


@dataclass(frozen=True, init=False)
class FixedSteps:
    """Equal steps, shortened so that they end on the breakpoints of the recipe; halved where Newton's method fails."""

    step: float
    scheme: Scheme

    def __init__(self, step: QuantityLike, scheme: Scheme = TR_BDF2) -> None:
        object.__setattr__(self, "step", to_si(step, Unit("s"), name="step"))
        object.__setattr__(self, "scheme", scheme)
        if not self.step > 0.0:
            raise BoundsError(f"FixedSteps: a step of {step} must be above zero")


@dataclass(frozen=True)
class GivenSteps:
    """The steps of one run: parts of each stretch between two breakpoints, seconds where it ends on a level."""

    stretches: tuple[tuple[float, ...], ...]
    on_level: tuple[bool, ...]
    scheme: Scheme

    def steps(self, number: int, span: float) -> tuple[float, ...]:
        """Steps of a stretch in s; whatever is left after them is one more."""
        if number >= len(self.stretches):
            return ()
        return self.stretches[number] if self.on_level[number] else tuple(span * x for x in self.stretches[number])


Stepping = Adaptive | FixedSteps | GivenSteps


@dataclass(frozen=True)
class ErrorNorm:
    """The mean square over the body of an error in units of the tolerance."""

    weights: Array
    """(n,) of owned entries, adding up to 1 over all ranks"""
    tolerance: float
    local_scale: Array
    """(n_z,) tolerance of each local state"""
    comm: Any

    def __call__(self, du: Array, dz: "Array | None") -> float:
        """The norm of an error of the field and of the local states (n_points, n_z)."""
        square = float(self.weights @ (du / self.tolerance) ** 2)
        local = np.zeros(2)
        if dz is not None and dz.size:
            local[:] = float(((dz / self.local_scale) ** 2).sum()), float(dz.shape[0])
        if self.comm.size > 1:
            both = np.array([square, *local])
            out = np.empty_like(both)
            self.comm.Allreduce(both, out)
            square, local = float(out[0]), out[1:]
        per_point = local[0] / local[1] / max(self.local_scale.size, 1) if local[1] else 0.0
        return math.sqrt(max(square, per_point))


def next_step(h: float, error: float, order: int) -> float:
    """The elementary controller: the step whose error would be 0.9^(order + 1) of the tolerance, within a factor 5."""
    if error == 0.0:
        return 5.0 * h
    return h * min(5.0, max(0.2, 0.9 * float(error ** (-1.0 / (order + 1)))))
