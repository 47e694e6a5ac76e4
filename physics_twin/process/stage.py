"""The equations of one run at hand: evaluated at a point, along a stretch, and with their derivatives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.process.compiled import Compiled, Counters, Differentiated, Point, arguments_of
from physics_twin.process.inputs import PhaseInputs, lines_of
from physics_twin.recipes import BoundPhase

_NODES = 64  # nodes of a watched stretch; between them the shape is a cubic, so two crossings in one interval are seen
GRID_DIGITS = 13  # equal relative grids share an integrator; 1e-13 of a stretch is far below any tolerance


@dataclass
class Situation:
    """Where a run stands: everything that a state vector holds, and its derivatives."""

    t: float
    x: Array
    z: Array
    d: Array
    w: Array
    phase: int
    """-1 before the first phase has begun."""
    phase_start: float
    side: float
    """Sign of output - level when a phase that ends on a level began."""
    s_x: Array
    """(n_x, n_wrt)"""
    s_w: Array
    """(n_w, n_wrt)"""
    d_start: Array
    """(n_wrt,) how the beginning of the phase moves"""


@dataclass
class Samples:
    """What a run records."""

    outputs: Array
    jacobian: Array
    phase_times: list[float] = field(default_factory=list)


class Stage:
    """What does not change in a run (equations, parameters, names) and what the present phase adds (inputs, modes)."""

    inputs: PhaseInputs

    def __init__(self, compiled: Compiled, values: Mapping[str, Any], p: Array, s_p: Array, wrt: Sequence[str]) -> None:
        self.c = compiled
        self.values = values
        self.p = p
        self.s_p = s_p
        """(n_p, n_wrt)"""
        self.wrt = tuple(name if name != "time" else "" for name in wrt)
        self.n_wrt = len(wrt)
        self.time_column = list(wrt).index("time") if "time" in wrt else -1
        self.modes = np.zeros(compiled.equations.n_switches)
        self.counters = Counters()

    def enter(self, phase: BoundPhase, start: float, d_start: Array) -> None:
        """Take the inputs of a phase that began at `start`."""
        self.inputs = PhaseInputs(lines_of(phase, self.values, self.wrt), start, d_start)

    def point(self, at: Situation, *, left: bool = False) -> Point:
        """Where the run stands; `left`: with the inputs' limits from before."""
        u, slope = self.inputs.at(at.t, left=left)
        q = np.concatenate([at.d, self.modes, at.w])
        return Point(at.t, at.x, at.z, u, slope, self.p, q)

    def inputs_on(self, nodes: Array) -> tuple[Array, Array]:
        """Inputs and their slopes at nodes, (n_u, n) each, left limits."""
        return self.inputs.along(nodes)

    def wide(self, at: Situation, n: int, w: Array | None = None) -> tuple[Array, Array]:
        """p and q repeated for n nodes; `w` (n_w, n) where the running extremes differ."""
        q = np.repeat(np.concatenate([at.d, self.modes, at.w])[:, None], n, axis=1)
        if w is not None:
            q[q.shape[0] - self.c.n_w :] = w
        return np.repeat(self.p[:, None], n, axis=1), q

    def watched(
        self, at: Situation, t: Array, x: Array, z: Array, u: Array, slope: Array, phase: BoundPhase
    ) -> tuple[Array, Array]:
        """Guards and, last, output - level at nodes, with their rates: (n_watched, n)."""
        value, rate = (m.full() for m in self.c.watched(t[None, :], x, z, u, *self.wide(at, t.size), slope))
        rows = list(range(self.c.n_guards))
        if phase.until_level is not None:
            row = self.c.n_guards + self.c.n_w + phase.until_output
            value[row] -= phase.until_level.at(self.values)
            rows.append(row)
        return value[rows], rate[rows]

    def inputs_tangent(self, t: float, *, left: bool) -> Array:
        """du/dw at fixed t, (n_u, n_wrt)."""
        return self.inputs.tangent(t, left=left)

    def rate(self, here: Point) -> Array:
        """dx/dt (n_x,)."""
        return np.asarray(self.c.rate(*arguments_of(here)).full()[:, 0], dtype=float)

    def settle(self, at: Situation, flipped: int = -1) -> None:
        """Modes from the signs of their guards and consistent algebraic values; they may depend on each other."""
        n = self.c.equations.n_switches
        turned = np.zeros(n, dtype=bool)
        for _ in range(2 * n + 2):
            here = self.point(at)
            at.z = self.c.solve_algebraic(here)
            if not n:
                return
            here = self.point(at)
            guards = self.c.guard_jacobian.at(here)
            value, by_x = guards.value[:n], guards.x[:n]
            size = np.abs(by_x) @ self.c.scale_x + np.abs(value)
            touching = np.abs(value) <= 1e-9 * size
            new = np.where(value >= 0.0, 1.0, 0.0)
            if touching.any():
                rate = self.guard_rate(here)[:n]
                new = np.where(touching & (rate != 0.0), np.where(rate > 0.0, 1.0, 0.0), new)
            # On its level a mode turns once at most: where both sides push towards it, either will do, and the march
            # finds out whether it moves on.
            new = np.where(touching & turned, self.modes, new)
            if flipped >= 0:
                new[flipped] = self.modes[flipped]
            if (new == self.modes).all():
                return
            turned |= touching & (new != self.modes)
            self.modes = new
        raise SolveError("the switches of the model contradict each other", time=at.t)

    def guard_rate(self, here: Point) -> Array:
        """d/dt of switches and events along the flow."""
        rate, z_rate = self.c.flow(here)
        d = self.c.guard_jacobian.at(here)
        return np.asarray(d.x @ rate + d.z @ z_rate + d.u @ here.slope + d.t, dtype=float)

    def derivatives(self, at: Situation, here: Point, function: Differentiated) -> tuple[Array, Array]:
        """d/dw at fixed time (n, n_wrt) and d/dt along the flow (n,) of a function of the equations."""
        d = function.at(here)
        s_u = self.inputs_tangent(here.t, left=True)
        s_z = self.c.algebraic_tangent(here, at.s_x, s_u, self.s_p)
        rate, z_rate = self.c.flow(here)
        tangent = d.x @ at.s_x + d.z @ s_z + d.u @ s_u + d.p @ self.s_p + d.w @ at.s_w
        return tangent, d.x @ rate + d.z @ z_rate + d.u @ here.slope + d.t

    def solve(
        self, at: Situation, span: float, grid: tuple[float, ...], *, sensitive: bool, chained: bool = False
    ) -> tuple[Array, Array, Array, Array]:
        """x (n_x, n), z (n_z, n), and their derivatives (n_x, n, n_wrt), (n_z, n, n_wrt) on a relative grid."""
        c, m = self.c, self.n_wrt if sensitive else 0
        nodes = at.t + span * np.array(grid)
        u = self.inputs.on_grid(at.t, nodes, m, chained=chained)
        q = np.concatenate([at.d, self.modes, at.w])
        head = np.concatenate([self.p, q, [at.t, span]])
        if m:
            x0 = np.hstack([at.x[:, None], at.s_x]) / c.scale_x[:, None]
            z0 = np.hstack([at.z[:, None], np.zeros((c.n_z, m))]) / c.scale_z[:, None]
            p = np.zeros((head.size, 1 + m))
            p[:, 0] = head
            p[: self.p.size, 1:] = self.s_p
        else:
            x0, z0, p = at.x / c.scale_x, at.z / c.scale_z, head
        try:
            if chained:
                x, z = c.integrators.solve_chained(at.t, nodes, x0, z0, p, u, m)
            else:
                x, z = c.integrators.solve(grid, x0, z0, p, u, m)
        except SolveError as error:
            raise SolveError(error.reason, time=at.t + span * min(max(error.time, 0.0), 1.0)) from None
        self.counters.n_integrations += 1
        x = x.reshape(c.n_x, len(grid), 1 + m) * c.scale_x[:, None, None]
        z = z.reshape(c.n_z, len(grid), 1 + m) * c.scale_z[:, None, None]
        return x[:, :, 0], z[:, :, 0], x[:, :, 1:], z[:, :, 1:]

    def nodes(self, at: Situation, stop: float) -> tuple[Array, Array, Array]:
        """States on a dense grid up to `stop`: times (n,), x (n_x, n), z (n_z, n)."""
        span = stop - at.t
        fractions = set(np.round(np.linspace(0.0, 1.0, _NODES + 1)[1:], GRID_DIGITS).tolist())
        # The first interval is refined: what is fast is fast at the start.
        fractions |= {round(2.0**-k / _NODES, GRID_DIGITS) for k in range(1, 11)}
        fractions |= {round((corner - at.t) / span, GRID_DIGITS) for corner in self.inputs.corners(at.t, stop)}
        grid = tuple(sorted(f for f in fractions if f > 0.0))
        x, z, _, _ = self.solve(at, span, grid, sensitive=False)
        return at.t + span * np.array(grid), x, z

    def sample(
        self,
        record: Samples,
        i: int,
        t: Array,
        at: Situation,
        x: Array,
        z: Array,
        w: Array,
        s_x: Array,
        s_z: Array,
        s_w: Array,
    ) -> None:
        """Outputs and their derivatives at the samples of a stretch, all at once."""
        n, (u, slope) = t.size, self.inputs_on(t)
        p, q = self.wide(at, n, w)
        rows = slice(i, i + n)
        if not self.n_wrt:
            record.outputs[rows] = self.c.output(t[None, :], x, z, u, p, q).full().T
            return
        value, tangent = self.tangents(self.c.output_jacobian, t, (x, z, u, p, q), s_x, s_z, s_w)
        record.outputs[rows] = value.T
        if self.time_column >= 0:
            rate = np.empty((self.c.n_y, n))
            for k in range(n):
                here = Point(float(t[k]), x[:, k], z[:, k], u[:, k], slope[:, k], self.p, q[:, k])
                dx, dz = self.c.flow(here)
                d = self.c.output_jacobian.at(here)
                rate[:, k] = d.x @ dx + d.z @ dz + d.u @ slope[:, k] + d.t
            tangent[:, :, self.time_column] = rate
        record.jacobian[rows] = tangent.transpose(1, 0, 2)

    def tangents(
        self, function: Differentiated, t: Array, at: tuple[Array, ...], s_x: Array, s_z: Array, s_w: Array
    ) -> tuple[Array, Array]:
        """A function of the equations at nodes (n_f, n) and its derivative (n_f, n, n_wrt)."""
        d = function.along((t[None, :], *at), t.size)
        s_u = self.inputs.tangents(t)
        tangent = d.p @ self.s_p
        for by, s in ((d.x, s_x), (d.z, s_z), (d.u, s_u), (d.w, s_w)):
            if s.shape[0]:
                tangent += np.einsum("fni,inw->fnw", by, s)
        return d.value, tangent
