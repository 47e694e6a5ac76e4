"""Local optima of smooth programs, to the last digits that the derivatives carry.

Sequential quadratic programming (SLSQP) finds the point and the constraints that hold it. Newton steps on the
conditions of Karush, Kuhn and Tucker follow, with second derivatives by differences of the first: SLSQP stops on small
changes of the objective, which is flat at an optimum, so that half the digits of the point would be missing. The
multipliers are what the objective gains for each unit that a constraint gives way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, nnls

from physics_twin.arrays import Array

ACTIVE = 1e-5
"""Scaled margin below which a constraint may be active."""
STATIONARY = 1e-5
"""Scaled slope left over below which a point is stationary."""
FEASIBLE = 1e-7
"""Scaled violation that is rounding."""
HESSIAN_STEP = 1e-4
N_NEWTON = 4
FAILED = 1e3
"""Scaled loss and violation of a point that cannot be simulated: the line search turns back from it."""


@dataclass(frozen=True, eq=False)
class Point:
    """A program and its slopes at one point."""

    worth: float
    """The more the better."""
    margins: Array
    """(m,), kept where >= 0."""
    worth_slope: Array
    """(d,)"""
    margin_slopes: Array
    """(m, d)"""


Program = Callable[[Array], Point | None]
"""u (d,) in the unit cube -> the scaled program there; None where it cannot be simulated."""


@dataclass(frozen=True, eq=False)
class LocalOptimum:
    """Where one start ended."""

    point: Array
    """(d,) of the unit cube."""
    worth: float
    multipliers: Array
    """(m,) gain of worth for each unit that a margin gives way."""
    bound_multipliers: Array
    """(d,) gain for each unit that the lower (positive) or upper (negative) bound gives way."""
    residual: float
    """Slope that neither constraints nor bounds hold."""
    violation: float
    """Largest negative margin, as a positive number."""

    @property
    def feasible(self) -> bool:
        """Whether all constraints are kept."""
        return self.violation <= FEASIBLE

    @property
    def converged(self) -> bool:
        """Whether the point is feasible and stationary."""
        return self.feasible and self.residual <= STATIONARY


def local_optimum(program: Program, start: Array) -> LocalOptimum | None:
    """The local maximum (or the least violation met) from one start; None where the start cannot be simulated."""
    first = program(start)
    if first is None:
        return None
    d, m = start.size, first.margins.size
    lost = Point(-FAILED, np.full(m, -FAILED), np.zeros(d), np.zeros((m, d)))

    def at(u: Array) -> Point:
        return program(np.clip(u, 0.0, 1.0)) or lost

    constraints = [{"type": "ineq", "fun": lambda u: at(u).margins, "jac": lambda u: at(u).margin_slopes}] if m else []
    solver: Any = minimize  # the stubs know no functions on arrays
    found = solver(
        lambda u: -at(u).worth,
        start,
        jac=lambda u: -at(u).worth_slope,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * d,
        constraints=constraints,
        options={"maxiter": 200, "ftol": 1e-13},
    )
    end = np.clip(found.x, 0.0, 1.0) if np.isfinite(found.x).all() else start
    best = _judged(program, end) or _judged(program, start)
    for _ in range(N_NEWTON):
        if best is None or best.violation > 1e3 * ACTIVE:
            break
        step = _newton(program, best)
        tried = None if step is None else _judged(program, step)
        if tried is None or max(tried.residual, tried.violation) >= max(best.residual, best.violation):
            break
        best = tried
    return best


def _judged(program: Program, u: Array) -> LocalOptimum | None:
    """Multipliers and what is left of the conditions at a point, by nonnegative least squares."""
    here = program(u)
    if here is None:
        return None
    active, low, high = _active(here, u)
    rows = np.concatenate([here.margin_slopes[active], np.eye(u.size)[low], -np.eye(u.size)[high]])
    multipliers, bounds = np.zeros(here.margins.size), np.zeros(u.size)
    residual = float(np.linalg.norm(here.worth_slope))
    if len(rows):
        weights, residual = nnls(rows.T, -here.worth_slope)
        n = int(active.sum())
        multipliers[active] = weights[:n]
        bounds[low] = weights[n : n + int(low.sum())]
        bounds[high] = -weights[n + int(low.sum()) :]
    violation = max(0.0, -float(here.margins.min(initial=0.0)))
    return LocalOptimum(u, here.worth, multipliers, bounds, float(residual), violation)


def _active(here: Point, u: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    return here.margins <= ACTIVE, u <= 1e-9, u >= 1.0 - 1e-9


def _newton(program: Program, best: LocalOptimum) -> Array | None:
    """One Newton step on the conditions, the constraints with a multiplier as equations, bounds held."""
    here = program(best.point)
    if here is None:
        return None
    free = np.flatnonzero(best.bound_multipliers == 0.0)
    held = np.flatnonzero(best.multipliers > 0.0)
    if len(free) == 0 or len(held) > len(free):
        return None
    hessian = np.zeros((len(free), len(free)))
    for column, i in enumerate(free):
        # One-sided at a bound: the program is not asked outside.
        h = HESSIAN_STEP * np.eye(best.point.size)[i]
        up = best.point + h if best.point[i] + HESSIAN_STEP <= 1.0 else best.point
        down = best.point - h if best.point[i] - HESSIAN_STEP >= 0.0 else best.point
        ends = program(up), program(down)
        if ends[0] is None or ends[1] is None:
            return None
        slopes = [end.worth_slope + best.multipliers @ end.margin_slopes for end in ends if end is not None]
        hessian[:, column] = (slopes[0] - slopes[1])[free] / (up[i] - down[i])
    hessian = 0.5 * (hessian + hessian.T)
    jacobian = here.margin_slopes[np.ix_(held, free)]
    system = np.block([[hessian, jacobian.T], [jacobian, np.zeros((len(held), len(held)))]])
    slope = (here.worth_slope + best.multipliers @ here.margin_slopes)[free]
    try:
        step = np.linalg.solve(system, -np.concatenate([slope, here.margins[held]]))
    except np.linalg.LinAlgError:
        return None
    moved = best.point.copy()
    moved[free] += step[: len(free)]
    if not np.isfinite(moved).all() or np.abs(moved - best.point).max() > 0.05:
        return None
    clipped: Array = np.clip(moved, 0.0, 1.0)
    return clipped
