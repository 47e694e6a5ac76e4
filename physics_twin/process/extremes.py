"""Running maxima and minima: accumulators that follow a quantity, peaks between nodes included."""

import numpy as np

from physics_twin.arrays import Array
from physics_twin.process.compiled import arguments_of
from physics_twin.process.stage import Situation, Stage, significant
from physics_twin.schedules import BoundPhase


def begin(stage: Stage, at: Situation) -> None:
    """Running extremes begin with the value at the start."""
    if not stage.c.n_w:
        return
    stage.settle(at)
    at.w = stage.c.extreme.at(*arguments_of(stage.point(at)))[0][:, 0]
    if stage.n_wrt:
        at.s_w = stage.derivatives(at, stage.c.extreme_jacobian, left=False)[0]


def marks(stage: Stage, at: Situation, stop: float, phase: BoundPhase) -> set[float]:
    """Relative times at which a running extreme may change: a dense grid and the peaks between its nodes."""
    course = stage.course(at, stop, phase)
    rows = slice(stage.c.n_guards, stage.c.n_guards + stage.c.n_w)
    signs = np.array(stage.c.equations.extreme_signs)[:, None]
    times = [course.t[1:]]
    for value, slope in zip(signs * course.value[rows], signs * course.rate[rows], strict=True):
        k = np.flatnonzero((slope[:-1] > 0.0) & (slope[1:] <= 0.0))
        h = course.t[k + 1] - course.t[k]
        times.append(course.t[k] + h * _top(value[k], value[k + 1], slope[k] * h, slope[k + 1] * h))
    return set(significant((np.concatenate(times) - at.t) / (stop - at.t)).tolist()) - {0.0}


def _top(a: Array, b: Array, da: Array, db: Array) -> Array:
    """Where on [0, 1] the cubic through both values and slopes is highest: its slope falls from da > 0 to db <= 0.

    An error of this moment is of second order in the peak.
    """
    # slope(s) = da + 2 s c1 + s^2 c2, the root in [0, 1] in the form that does not cancel
    c1, c2 = 3.0 * (b - a) - 2.0 * da - db, 3.0 * (da + db) - 6.0 * (b - a)
    root = np.sqrt(np.maximum(c1**2 - da * c2, 0.0))
    return np.clip(-da / (c1 - root), 0.0, 1.0)


def at_jump(stage: Stage, at: Situation, moves: Array, *, left: bool) -> None:
    """A running extreme that is reached at the very moment of a jump moves with that moment."""
    if not stage.c.n_w:
        return
    value = stage.c.extreme.at(*arguments_of(stage.point(at, left=left)))[0][:, 0]
    ahead = np.array(stage.c.equations.extreme_signs) * (value - at.w)
    # Before the jump the stretch has already counted its last node: equal means reached there.
    reached = ahead >= 0.0 if left else ahead > 0.0
    if stage.n_wrt and reached.any() and (moves.any() or not left):
        tangent, rate = stage.derivatives(at, stage.c.extreme_jacobian, left=left)
        at.s_w[reached] = (tangent + np.outer(rate, moves))[reached]
    at.w = np.where(reached, value, at.w)


def follow(
    stage: Stage, at: Situation, nodes: Array, x: Array, z: Array, s_x: Array, s_z: Array
) -> tuple[Array, Array]:
    """Running extremes at nodes (n_w, n) and their derivatives (n_w, n, n_wrt).

    The derivative of a peak is that of the quantity at the peak's moment; the moment's own movement adds nothing.
    """
    c, n = stage.c, nodes.size
    u, _ = stage.inputs.along(nodes)
    p, q = stage.wide(at, n)
    if stage.n_wrt:
        nothing = np.zeros((c.n_w, n, stage.n_wrt))
        value, tangent = stage.tangents(c.extreme_jacobian, nodes, (x, z, u, p, q), (s_x, s_z, nothing, at.s_d))
    else:
        (value,) = c.extreme.along(n, nodes[None, :], x, z, u, p, q)
        tangent = np.zeros((c.n_w, n, 0))
    value = np.column_stack([at.w, value])
    tangent = np.concatenate([at.s_w[:, None], tangent], axis=1)
    signed = np.array(c.equations.extreme_signs)[:, None] * value
    best = np.maximum.accumulate(signed, axis=1)
    # Where each running extreme was reached: the last column at which it grew.
    grew = np.concatenate([np.ones((c.n_w, 1), dtype=bool), best[:, 1:] > best[:, :-1]], axis=1)
    reached = np.maximum.accumulate(np.where(grew, np.arange(n + 1), 0), axis=1)
    rows = np.arange(c.n_w)[:, None]
    return value[rows, reached][:, 1:], tangent[rows, reached][:, 1:]
