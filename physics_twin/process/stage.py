"""The equations of one run at hand: evaluated at a point, along a stretch, and with their derivatives."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.process.compiled import SYMBOLIC_Z, Compiled, Counters, Differentiated, Point, arguments_of
from physics_twin.process.sundials import CLOCK
from physics_twin.schedules import BoundPhase

Flags = np.ndarray[Any, np.dtype[np.bool_]]

_NODES, _MOST_NODES = 128, 8192  # nodes of a watched stretch, refined fourfold until the cubic between them fits
_FIT = 1e-4  # of a watched quantity's range: how well the cubic must foretell every second node
# Derivatives are integrated as changes of the state for this part of each name's own size. The absolute tolerance then
# holds for them as for the states, twenty times wider: a quarter fewer steps, derivatives exact to 12 rtol.
_SEED = 0.05
_ROUNDING = 1e-14  # of a watched quantity's size
_TOUCH = 1e-9  # of a guard's size: closer than this it is on its level
_TURNS = 50  # changes of modes at one moment after which they contradict each other


@dataclass
class Situation:
    """Where a run stands: everything that a state vector holds, and its derivatives."""

    t: float
    x: Array
    z: Array
    d: Array
    """Discrete values."""
    w: Array
    """Running extremes."""
    armed: Array
    """(n_events,) 1 where an event's condition has been false since it last acted."""
    phase: int
    """-1 before the first phase has begun."""
    phase_start: float
    side: float
    """Sign of output - level when a phase that ends on a level began."""
    s_x: Array
    """(n_x, n_wrt)"""
    s_d: Array
    """(n_discrete, n_wrt)"""
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


@dataclass(frozen=True)
class Course:
    """Watched quantities over a stretch: its beginning and nodes dense enough to see what happens between."""

    t: Array
    """(n,)"""
    value: Array
    """(n_rows, n): guards, then quantities with running extremes, then output - level where a phase ends on a level"""
    rate: Array
    """(n_rows, n)"""


def significant(x: Array) -> Array:
    """Relative times at 13 significant digits: equal grids compare equal, and an early sample stays where it is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** (12.0 - np.floor(np.log10(x)))
        return np.where(x > 0.0, np.minimum(np.round(x * scale) / scale, 1.0), 0.0)


class Stage:
    """What does not change in a run (equations, parameters, names) and what the present phase adds (inputs, modes)."""

    inputs: PhaseInputs

    def __init__(
        self,
        compiled: Compiled,
        values: Mapping[str, Any],
        p: Array,
        s_p: Array,
        wrt: Sequence[str],
        sizes: Mapping[str, float],
    ) -> None:
        self.c = compiled
        self.values = values
        self.p = p
        self.s_p = s_p
        """(n_p, n_wrt)"""
        self.wrt = tuple(name if name != "time" else "" for name in wrt)
        self.n_wrt = len(wrt)
        self.time_column = list(wrt).index("time") if "time" in wrt else -1
        # By its own size, or by the number at hand where the declaration does not tell one.
        own = [sizes.get(name) or (abs(float(values[name])) if name else 0.0) or 1.0 for name in self.wrt]
        self.seed = _SEED * np.array(own)
        """(n_wrt,) factor of each direction inside the integrator"""
        self.modes = np.zeros(compiled.equations.n_switches)
        self.counters = Counters()
        self.window = math.inf
        """How far to look for the next crossing, s."""

    def enter(self, phase: BoundPhase, start: float, d_start: Array) -> None:
        """Take the inputs of a phase that began at `start`."""
        self.inputs = PhaseInputs(lines_of(phase, self.values, self.wrt), start, d_start)

    # -- at a point -------------------------------------------------------------------------------------------------
    def point(self, at: Situation, *, left: bool = False) -> Point:
        """Where the run stands; `left`: with the inputs' limits from before."""
        u, slope = self.inputs.at(at.t, left=left)
        return Point(at.t, at.x, at.z, u, slope, self.p, np.concatenate([at.d, self.modes, at.w]))

    def rate(self, here: Point) -> Array:
        """dx/dt (n_x,)."""
        return self.c.rate.at(*arguments_of(here))[0][:, 0]

    def guards(self, at: Situation, *, left: bool = False) -> tuple[Array, Flags, Array]:
        """Conditions of switches and events at the present point: value, whether it touches zero, rate."""
        here = self.point(at, left=left)
        d = self.c.guard_jacobian.at(here)
        size = np.abs(d.x) @ self.c.scale_x + np.abs(d.z) @ self.c.scale_z + np.abs(d.t) + np.abs(d.value)
        rate, z_rate = self.c.flow(here)
        return (
            d.value,
            np.abs(d.value) <= _TOUCH * size,
            np.asarray(d.x @ rate + d.z @ z_rate + d.u @ here.slope + d.t, dtype=float),
        )

    def conditions(self, at: Situation, *, left: bool = False) -> tuple[Flags, Flags, Flags]:
        """Which events' conditions hold, which are clearly false, and which are on their level and becoming false."""
        value, touching, rate = self.guards(at, left=left)
        n = self.c.equations.n_switches
        return (value >= 0.0)[n:], ((value < 0.0) & ~touching)[n:], (touching & (rate < 0.0))[n:]

    def settle(self, at: Situation, *, left: bool = False, flipped: int = -1) -> None:
        """Modes from the signs of their guards and consistent algebraic values; they may depend on each other.

        left: as they were before the present moment. flipped: the mode that has just been changed by a crossing.
        """
        n = self.c.equations.n_switches
        turned = np.zeros(n, dtype=bool)
        for _ in range(_TURNS):
            at.z = self.c.solve_algebraic(self.point(at, left=left))
            if not n:
                return
            value, touching, rate = (row[:n] for row in self.guards(at, left=left))
            new = np.where(value >= 0.0, 1.0, 0.0)
            towards = (rate > 0.0) != left
            new = np.where(touching & (rate != 0.0), np.where(towards, 1.0, 0.0), new)
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

    def derivatives(self, at: Situation, function: Differentiated, *, left: bool = True) -> tuple[Array, Array]:
        """d/dw at fixed time (n, n_wrt) and d/dt along the flow (n,) of a function of the equations."""
        here = self.point(at, left=left)
        d = function.at(here)
        s_u = self.inputs.tangent(here.t, left=left)
        s_z = self.c.algebraic_tangent(here, at.s_x, s_u, self.s_p, at.s_d)
        rate, z_rate = self.c.flow(here)
        tangent = d.x @ at.s_x + d.z @ s_z + d.u @ s_u + d.p @ self.s_p + d.d @ at.s_d + d.w @ at.s_w
        return tangent, d.x @ rate + d.z @ z_rate + d.u @ here.slope + d.t

    # -- over a stretch ---------------------------------------------------------------------------------------------
    def solve(
        self, at: Situation, span: float, grid: tuple[float, ...], *, sensitive: bool, chained: bool = False
    ) -> tuple[Array, Array, Array, Array]:
        """x (n_x, n), z (n_z, n), and their derivatives (n_x, n, n_wrt), (n_z, n, n_wrt) on a relative grid."""
        c, m = self.c, self.n_wrt if sensitive else 0
        nodes = at.t + span * np.array(grid)
        u = self.inputs.on_grid(at.t, nodes, m, chained=chained)
        head = np.concatenate([self.p, at.d, self.modes, at.w, [at.t, span]])
        if m:
            x0 = np.hstack([at.x[:, None], at.s_x * self.seed]) / c.scale_x[:, None]
            s_z = np.zeros((0, m))
            if c.n_z:
                s_u = self.inputs.tangent(at.t, left=False)
                s_z = c.algebraic_tangent(self.point(at), at.s_x, s_u, self.s_p, at.s_d)
            z0 = np.hstack([at.z[:, None], s_z * self.seed]) / c.scale_z[:, None]
            p = np.zeros((head.size, 1 + m))
            p[:, 0] = head
            p[: self.p.size, 1:] = self.s_p * self.seed
            p[self.p.size : self.p.size + c.n_d, 1:] = at.s_d * self.seed
            if u.size:
                u.reshape(u.shape[0], -1, 1 + m)[:, :, 1:] *= self.seed
        else:
            x0, z0, p = at.x / c.scale_x, at.z / c.scale_z, head
        try:
            if chained:
                x, z = c.integrators.solve_chained(at.t, nodes, x0, z0, p, u, m)
            else:
                one_piece = self.inputs.straight is not None or not self.inputs.corners(at.t, float(nodes[-1]))
                x, z = c.integrators.solve(grid, x0, z0, p, u[:, : 1 + m] if one_piece else u, m)
        except SolveError as error:
            raise SolveError(error.reason, time=at.t + span * min(max(error.time, 0.0), 1.0)) from None
        self.counters.n_integrations += 1
        x = x.reshape(c.n_x, len(grid), 1 + m) * c.scale_x[:, None, None]
        z = z.reshape(c.n_z, len(grid), 1 + m) * c.scale_z[:, None, None]
        if not m:
            return x[:, :, 0], z[:, :, 0], x[:, :, 1:], z[:, :, 1:]
        return x[:, :, 0], z[:, :, 0], x[:, :, 1:] / self.seed, z[:, :, 1:] / self.seed

    def wide(self, at: Situation, n: int, w: Array | None = None) -> tuple[Array, Array]:
        """p and q repeated for n nodes; `w` (n_w, n) where the running extremes differ."""
        q = np.repeat(np.concatenate([at.d, self.modes, at.w])[:, None], n, axis=1)
        if w is not None:
            q[q.shape[0] - self.c.n_w :] = w
        return np.repeat(self.p[:, None], n, axis=1), q

    def watched(self, at: Situation, t: Array, x: Array, z: Array, phase: BoundPhase) -> tuple[Array, Array]:
        """Rows of a `Course` at nodes, left limits of the inputs: values and rates (n_rows, n)."""
        u, slope = self.inputs.along(t)
        value, rate = self.c.watched.along(t.size, t[None, :], x, z, u, *self.wide(at, t.size), slope)
        n = self.c.n_guards + self.c.n_w
        rows = list(range(n))
        if phase.until_level is not None:
            value[n + phase.until_output] -= phase.until_level.at(self.values)
            rows.append(n + phase.until_output)
        return value[rows], rate[rows]

    def course(self, at: Situation, stop: float, phase: BoundPhase) -> Course:
        """The watched quantities up to `stop`, on as many nodes as their shape asks for.

        The nodes are uneven, so that no oscillation hides between them. A function of time that is narrower than a
        2048th of the stretch and leaves no trace at any node is not seen: give it as a table, whose rows are nodes.
        """
        span, n = stop - at.t, CLOCK if self.c.clocked else _NODES
        corners = significant((np.array(self.inputs.corners(at.t, stop)) - at.t) / span)
        here = self.point(at)
        while True:
            k = np.arange(1, n)
            uneven = (k + 0.35 * np.sin(7.0 * k)) / n
            # The first interval is refined: what is fast is fast at the start.
            early = 2.0 ** -np.arange(1.0, 11.0) * uneven[0]
            grid = np.unique(np.concatenate([significant(np.concatenate([early, uneven, [1.0]])), corners]))
            x, z, _, _ = self.solve(at, span, tuple(grid.tolist()), sensitive=False)
            t = np.concatenate([[at.t], at.t + span * grid])
            first = self.watched(at, t[:1], here.x[:, None], here.z[:, None], phase)
            rest = self.watched(at, t[1:], x, z, phase)
            course = Course(t, np.hstack([first[0], rest[0]]), np.hstack([first[1], rest[1]]))
            if n >= _MOST_NODES or self.c.n_z > SYMBOLIC_Z or _resolved(course):
                return course
            n *= 4

    def tangents(
        self, function: Differentiated, t: Array, at: tuple[Array, ...], s: tuple[Array, ...]
    ) -> tuple[Array, Array]:
        """A function of the equations at nodes (n_f, n) and its derivative (n_f, n, n_wrt).

        at: x, z, u, p, q at the nodes. s: derivatives of x, z and the running extremes at the nodes, and of the
        discrete values (n_discrete, n_wrt).
        """
        s_x, s_z, s_w, s_d = s
        d = function.along((t[None, :], *at), t.size)
        tangent = d.p @ self.s_p + d.d @ s_d
        for by, along in ((d.x, s_x), (d.z, s_z), (d.u, self.inputs.tangents(t)), (d.w, s_w)):
            if along.shape[0]:
                tangent += np.einsum("fni,inw->fnw", by, along)
        return d.value, tangent

    def sample(
        self, at: Situation, t: Array, x: Array, z: Array, w: Array, s_x: Array, s_z: Array, s_w: Array
    ) -> tuple[Array, Array]:
        """Outputs (n, n_y) and their derivatives (n, n_y, n_wrt) at the samples of a stretch."""
        u, slope = self.inputs.along(t)
        p, q = self.wide(at, t.size, w)
        if not self.n_wrt:
            (value,) = self.c.output.along(t.size, t[None, :], x, z, u, p, q)
            return value.T, np.zeros((t.size, self.c.n_y, 0))
        value, tangent = self.tangents(self.c.output_jacobian, t, (x, z, u, p, q), (s_x, s_z, s_w, at.s_d))
        if self.time_column >= 0:
            for k in range(t.size):
                here = Point(float(t[k]), x[:, k], z[:, k], u[:, k], slope[:, k], self.p, q[:, k])
                dx, dz = self.c.flow(here)
                d = self.c.output_jacobian.at(here)
                own = d.x @ dx + d.z @ dz + d.u @ slope[:, k] + d.t
                tangent[:, k, self.time_column] = own + d.w @ self._extreme_rates(here, dx, dz)
        return value.T, tangent.transpose(1, 0, 2)

    def _extreme_rates(self, here: Point, dx: Array, dz: Array) -> Array:
        """d/dt of the running extremes (n_w,): that of their quantity while it sets them, else 0."""
        if not self.c.n_w:
            return np.zeros(0)
        d, signs = self.c.extreme_jacobian.at(here), np.array(self.c.equations.extreme_signs)
        ahead = signs * (d.value - here.q[-self.c.n_w :])
        rate = signs * (d.x @ dx + d.z @ dz + d.u @ here.slope + d.t)
        # The extreme was recorded from this very value: equal up to rounding means reached here.
        return signs * np.where((ahead >= -1e-12 * np.abs(d.value)) & (rate > 0.0), rate, 0.0)


def _resolved(course: Course) -> bool:
    """Whether the cubic through every second node foretells the nodes between."""
    last = course.t.size - (1 - course.t.size % 2)
    a, m, b = slice(0, last - 2, 2), slice(1, last - 1, 2), slice(2, last, 2)
    h = course.t[b] - course.t[a]
    with np.errstate(invalid="ignore"):
        s = (course.t[m] - course.t[a]) / h  # nodes may coincide in a stretch as short as the clock's last digits
        foretold = cubic(course.value[:, a], course.value[:, b], course.rate[:, a] * h, course.rate[:, b] * h, s)
        span = np.ptp(course.value, axis=1, keepdims=True)
        # What does not move, as a switch on a held input, is foretold up to rounding only.
        rounding = _ROUNDING * np.max(np.abs(course.value), axis=1, keepdims=True)
        return not bool((np.abs(foretold - course.value[:, m]) > _FIT * span + rounding).any())


def cubic(a: Any, b: Any, da: Any, db: Any, s: Any) -> Any:
    """Cubic Hermite on [0, 1] with end values a, b and end slopes da, db."""
    return (1 + 2 * s) * (1 - s) ** 2 * a + s * (1 - s) ** 2 * da + s**2 * (3 - 2 * s) * b + s**2 * (s - 1) * db
