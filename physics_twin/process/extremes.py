"""Running maxima and minima: accumulators that follow a quantity, peaks between nodes included."""

import numpy as np

from physics_twin.arrays import Array
from physics_twin.process.compiled import arguments_of
from physics_twin.process.stage import GRID_DIGITS, Situation, Stage


def begin(stage: Stage, at: Situation) -> None:
    """Running extremes begin with the value at the start."""
    if not stage.c.n_w:
        return
    stage.settle(at)
    here = stage.point(at)
    at.w = stage.c.equations.extreme(*arguments_of(here)).full()[:, 0]
    if stage.n_wrt:
        at.s_w = stage.derivatives(at, here, stage.c.extreme_jacobian)[0]


def marks(stage: Stage, at: Situation, stop: float) -> set[float]:
    """Relative times at which a running extreme may change: a dense grid and the peaks between its nodes."""
    span = stop - at.t
    nodes, x, z = stage.nodes(at, stop)
    _, rate = (m.full() for m in stage.c.watched(nodes[None, :], x, z, *_split_inputs(stage, at, nodes)))
    rows = slice(stage.c.n_guards, stage.c.n_guards + stage.c.n_w)
    signs = np.array(stage.c.equations.extreme_signs)[:, None]
    slope = signs * rate[rows]
    marks = set(np.round((nodes - at.t) / span, GRID_DIGITS).tolist())
    for row in slope:
        for k in np.flatnonzero((row[:-1] > 0.0) & (row[1:] <= 0.0)):
            # The slope falls through zero between two nodes; an error of the moment is of second order in the peak.
            part = row[k] / (row[k] - row[k + 1])
            marks.add(round(float(nodes[k] + part * (nodes[k + 1] - nodes[k]) - at.t) / span, GRID_DIGITS))
    return marks - {0.0}


def at_jump(stage: Stage, at: Situation, moves: Array, *, left: bool) -> None:
    """A running extreme that is reached at the very moment of a jump moves with that moment."""
    if not stage.c.n_w:
        return
    here = stage.point(at, left=left)
    value = stage.c.equations.extreme(*arguments_of(here)).full()[:, 0]
    ahead = np.array(stage.c.equations.extreme_signs) * (value - at.w)
    # Before the jump the stretch has already counted its last node: equal means reached there.
    reached = ahead >= 0.0 if left else ahead > 0.0
    if stage.n_wrt and reached.any() and (moves.any() or not left):
        tangent, rate = stage.derivatives(at, here, stage.c.extreme_jacobian)
        at.s_w[reached] = (tangent + np.outer(rate, moves))[reached]
    at.w = np.where(reached, value, at.w)


def _split_inputs(stage: Stage, at: Situation, nodes: Array) -> tuple[Array, ...]:
    u, slope = stage.inputs_on(nodes)
    return u, *stage.wide(at, nodes.size), slope


def follow(
    stage: Stage, at: Situation, nodes: Array, x: Array, z: Array, s_x: Array, s_z: Array
) -> tuple[Array, Array]:
    """Running extremes at nodes (n_w, n) and their derivatives (n_w, n, n_wrt).

    The derivative of a peak is that of the quantity at the peak's moment; the moment's own movement adds nothing.
    """
    c, n = stage.c, nodes.size
    u, _ = stage.inputs_on(nodes)
    begin = stage.point(at)
    t = np.concatenate([[at.t], nodes])
    x, z, u = (np.column_stack(pair) for pair in ((begin.x, x), (begin.z, z), (begin.u, u)))
    p, q = stage.wide(at, n + 1)
    if stage.n_wrt:
        s_z0 = c.algebraic_tangent(begin, at.s_x, stage.inputs_tangent(at.t, left=False), stage.s_p)
        s_x = np.concatenate([at.s_x[:, None], s_x], axis=1)
        s_z = np.concatenate([s_z0[:, None], s_z], axis=1)
        nothing = np.zeros((c.n_w, n + 1, stage.n_wrt))
        value, tangent = stage.tangents(c.extreme_jacobian, t, (x, z, u, p, q), s_x, s_z, nothing)
    else:
        value = c.equations.extreme(t[None, :], x, z, u, p, q).full()
        tangent = np.zeros((c.n_w, n + 1, 0))
    value = np.column_stack([at.w, value])
    tangent = np.concatenate([at.s_w[:, None], tangent], axis=1)
    signed = np.array(c.equations.extreme_signs)[:, None] * value
    best = np.maximum.accumulate(signed, axis=1)
    # Where each running extreme was reached: the last column at which it grew.
    grew = np.concatenate([np.ones((c.n_w, 1), dtype=bool), best[:, 1:] > best[:, :-1]], axis=1)
    reached = np.maximum.accumulate(np.where(grew, np.arange(n + 2), 0), axis=1)
    rows = np.arange(c.n_w)[:, None]
    return value[rows, reached][:, 2:], tangent[rows, reached][:, 2:]
