"""Short smooth steps of many members: an explicit method of order 8 beside CVODES and IDAS.

A multistep integrator starts with tiny steps of order one: 20 to 40 of them before it gets going, which is all of the
work where a filter asks for one second at a time. DOP853 of Dormand and Prince (Hairer, Norsett and Wanner, Solving
Ordinary Differential Equations I, 2nd ed. 1993, section II.10) takes such a step in twelve evaluations, and its two
embedded formulas estimate the error. A member whose estimate is above the model's own tolerance gets more and shorter
steps; one that would need many (stiff equations, a runaway) is left to CVODES or IDAS.

Algebraic variables are carried along as z' = -g_z^-1 (g_x f + g_u u' + g_t), under the same error test, and brought
back onto their equations at the end of the stretch.

Each member is computed by itself: its steps and its bits do not depend on which others are in the same call.
"""

from typing import TYPE_CHECKING, Any

import casadi as ca
import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.process.native import Native

if TYPE_CHECKING:
    from physics_twin.process.compiled import Compiled

Flags = np.ndarray[Any, np.dtype[np.bool_]]

_MOST_STEPS = 32  # of one member in a stretch; from about here on CVODES is quicker
_SAFE = 1.2  # more steps than the estimate asks for, so that a second attempt passes
_ORDER = 8.0
_MOST_OPERATIONS = 20_000  # of the rates; twelve copies of them are compiled
_TURNS = 8  # Newton steps onto the algebraic equations, which converge quadratically from a guess this near
_CONVERGED = 1e-12  # last Newton step, relative to the variable: the same as of a single run


class ShortSteps:
    """The compiled step of one model."""

    def __init__(self, c: "Compiled", n_z_most: int) -> None:
        eq = c.equations
        self.c = c
        self.usable = not c.clocked and c.n_z <= n_z_most and eq.rate.n_instructions() <= _MOST_OPERATIONS
        """Where time itself is in the equations only many nodes can see a pulse; no single step may cover it."""
        if self.usable:
            self.step = Native(_step(c))
            self.correction = Native(_correction(c)) if c.n_z else None

    def carry(
        self, span: float, t: float, x: Array, z: Array, lines: tuple[Array, Array], p: Array, q: Array
    ) -> tuple[Array, Array, Flags]:
        """States and algebraic variables after `span` s from t on, and which members are within tolerance (n,).

        x: (n_x, n), z: (n_z, n) consistent, p: (n_p, n), q: (n_q, n). lines: a, b (n_u, n): u = a + b (time - t).
        """
        ends, guesses, error = self._equal_steps(1, span, x, z, lines, p, q)
        done = error <= 1.0
        if not done.all():
            self._shorter(ends, guesses, error, span, x, z, lines, p, q)
            done = error <= 1.0
        if self.correction is not None and done.any():
            rows = np.flatnonzero(done)
            u = lines[0][:, rows] + lines[1][:, rows] * span
            found, fine = self.consistent(t + span, ends[:, rows], guesses[:, rows], u, p[:, rows], q[:, rows])
            guesses[:, rows], done[rows] = found, fine
        return ends, guesses, done

    def _shorter(
        self,
        ends: Array,
        guesses: Array,
        largest: Array,
        span: float,
        x: Array,
        z: Array,
        lines: tuple[Array, Array],
        p: Array,
        q: Array,
    ) -> None:
        """More and shorter steps for the members whose estimate after a single one, `largest` (n,), is above 1.

        Writes their ends, guesses and estimates in place; these stay above 1 for who would need too many.
        """
        steps = np.ones(largest.size, dtype=np.int64)
        rows, count = np.arange(largest.size), 1
        waiting = np.zeros(largest.size, dtype=bool)
        while True:
            error = largest[rows]
            good = error <= 1.0
            with np.errstate(invalid="ignore"):
                wanted = count * _SAFE * np.where(good, 1.0, error) ** (1.0 / _ORDER)
            again = ~good & (wanted <= _MOST_STEPS)  # not a number is not again
            steps[rows[again]] = np.maximum(2 * count, 2 ** np.ceil(np.log2(wanted[again])).astype(np.int64))
            waiting[rows] = again & (steps[rows] <= _MOST_STEPS)
            if not waiting.any():
                return
            count = int(steps[waiting].min())
            rows = np.flatnonzero(waiting & (steps == count))
            own = (lines[0][:, rows], lines[1][:, rows])
            ends[:, rows], guesses[:, rows], largest[rows] = self._equal_steps(
                count, span, x[:, rows], z[:, rows], own, p[:, rows], q[:, rows]
            )

    def _equal_steps(
        self, count: int, span: float, x: Array, z: Array, lines: tuple[Array, Array], p: Array, q: Array
    ) -> tuple[Array, Array, Array]:
        """So many steps of one length; the largest estimate of each member (n,) in units of the tolerance."""
        n, h, n_x = x.shape[1], span / count, x.shape[0]
        width = _width(n)
        y, p, q, a, b = (_widened(m, width) for m in (np.concatenate([x, z]), p, q, *lines))
        largest = np.zeros(width)
        for k in range(count):
            y, error = self.step.along(width, h, y, a + b * (k * h), b, p, q)
            largest = np.maximum(largest, error[0])  # a NaN stays
            if not (largest[:n] <= 1.0).any():
                break
        return y[:n_x, :n], y[n_x:, :n], largest[:n]

    def consistent(self, t: float, x: Array, z: Array, u: Array, p: Array, q: Array) -> tuple[Array, Flags]:
        """Algebraic variables on their equations, by Newton's method on each member, and where it converged (n,).

        u: (n_u, n), the others as for `carry`.
        """
        n = x.shape[1]
        if self.correction is None:
            return z, np.ones(n, dtype=bool)
        z, fine = z.copy(), np.zeros(n, dtype=bool)
        rows = np.arange(n)
        for _ in range(_TURNS):
            width = _width(rows.size)
            (step,) = self.correction.along(width, t, *(_widened(m[:, rows], width) for m in (x, z, u, p, q)))
            step = step[:, : rows.size]
            z[:, rows] += step
            size = np.maximum(np.abs(z[:, rows]), self.c.scale_z[:, None])
            near = (np.abs(step) <= _CONVERGED * size).all(axis=0)
            fine[rows[near]] = True
            rows = rows[~near & np.isfinite(step).all(axis=0)]
            if not rows.size:
                break
        return z, fine

    def by_sundials(
        self, span: float, t: float, x: Array, z: Array, lines: tuple[Array, Array], p: Array, q: Array
    ) -> tuple[Array, Array, Flags]:
        """The same as `carry` with CVODES or IDAS, for members that no short step carries; done but for failures."""
        c, n = self.c, x.shape[1]
        ends, guesses, done = x.copy(), z.copy(), np.zeros(n, dtype=bool)
        first = 0
        while first < n:
            count = 1 << ((n - first).bit_length() - 1)  # powers of two: few maps are kept
            rows = slice(first, first + count)
            first += count
            head = np.vstack([p[:, rows], q[:, rows], np.full((1, count), t), np.full((1, count), span)])
            u = np.vstack([line[:, rows] for line in lines])
            try:
                xs, zs = c.integrators.solve(
                    (1.0,), x[:, rows] / c.scale_x[:, None], z[:, rows] / c.scale_z[:, None], head, u, 0, count
                )
            except SolveError:  # one of them: the single runs say which
                continue
            ends[:, rows], guesses[:, rows] = xs * c.scale_x[:, None], zs * c.scale_z[:, None]
            done[rows] = True
        return ends, guesses, done


def _width(n: int) -> int:
    """Columns of a call for n members: few different ones, as each has its own map and memory."""
    return -(-n // 8) * 8 if n > 4 else n


def _widened(m: Array, width: int) -> Array:
    """More columns, copies of the last."""
    if m.shape[1] == width:
        return m
    wide = np.empty((m.shape[0], width))
    wide[:, : m.shape[1]] = m
    wide[:, m.shape[1] :] = m[:, -1:]
    return wide


def _step(c: "Compiled") -> ca.Function:
    """(h, y, u, b, p, q) -> y after h, and its error in units of the tolerance; u at the beginning, b its slope."""
    from scipy.integrate import DOP853

    n_x, n_z = c.n_x, c.n_z
    h, y = ca.SX.sym("h"), ca.SX.sym("y", n_x + n_z)
    u, b = ca.SX.sym("u", c.n_u), ca.SX.sym("b", c.n_u)
    p, q = ca.SX.sym("p", c.n_p), ca.SX.sym("q", c.n_q)
    rate = _rate(c)
    # A, B, C of the tableau (rows: stages), E3 and E5 of the estimates; k: the stages' rates.
    k = [rate(y, u, b, p, q)]
    for row, share in zip(DOP853.A[1:], DOP853.C[1:], strict=True):
        k.append(rate(y + h * _weighted(row, k), u + b * (share * h), b, p, q))
    new = y + h * _weighted(DOP853.B, k)
    settings = c.integrators.settings
    scale = np.concatenate([c.scale_x, c.scale_z])
    weight = settings.rtol * ca.fmax(ca.fabs(y), ca.fabs(new)) + settings.atol * scale
    e5, e3 = (ca.sumsqr(h * _weighted(e, k) / weight) for e in (DOP853.E5, DOP853.E3))
    # Hairer's combination, with the sum over the entries where he takes their mean: the stricter of the two.
    error = e5 / ca.sqrt(e5 + 0.01 * e3 + 1e-300)
    return ca.Function("short_step", [h, y, u, b, p, q], [ca.densify(new), ca.densify(error)])


def _weighted(row: Array, k: list[ca.SX]) -> ca.SX:
    return sum((float(share) * slope for share, slope in zip(row, k, strict=False) if share != 0.0), start=0.0 * k[0])


def _rate(c: "Compiled") -> ca.Function:
    """(y, u, b, p, q) -> dy/dt of states and algebraic variables, where time itself is not in the equations."""
    eq = c.equations
    x, z = ca.SX.sym("x", c.n_x), ca.SX.sym("z", c.n_z)
    u, b = ca.SX.sym("u", c.n_u), ca.SX.sym("b", c.n_u)
    p, q = ca.SX.sym("p", c.n_p), ca.SX.sym("q", c.n_q)
    f = eq.rate(0.0, x, z, u, p, q)
    parts = [f]
    if c.n_z:
        g = eq.residual(0.0, x, z, u, p, q)
        forcing = ca.jtimes(g, x, f) + (ca.jtimes(g, u, b) if c.n_u else 0.0)
        parts.append(-ca.solve(ca.jacobian(g, z), forcing))
    return ca.Function("rate", [ca.vertcat(x, z), u, b, p, q], [ca.densify(ca.vertcat(*parts))])


def _correction(c: "Compiled") -> ca.Function:
    """(t, x, z, u, p, q) -> the Newton step of z."""
    eq = c.equations
    t, x, z = ca.SX.sym("t"), ca.SX.sym("x", c.n_x), ca.SX.sym("z", c.n_z)
    u, p, q = ca.SX.sym("u", c.n_u), ca.SX.sym("p", c.n_p), ca.SX.sym("q", c.n_q)
    g = eq.residual(t, x, z, u, p, q)
    return ca.Function("correction", [t, x, z, u, p, q], [ca.densify(-ca.solve(ca.jacobian(g, z), g))])
