"""Members on their way through one phase: states, modes and running extremes of all of them, and who is still along.

Where something is watched (switches, events, a level that ends the phase, running extremes), each stretch is gone
through in two halves, and cubics through values and slopes at the three nodes show whether anything can happen between
them: a cubic lies within the hull of its Bernstein coefficients. A member for which that is not clear drops out.
"""

import itertools
from typing import NamedTuple

import numpy as np

from physics_twin.arrays import Array
from physics_twin.inputs import PhaseInputs
from physics_twin.process.compiled import Compiled
from physics_twin.process.short_steps import Flags
from physics_twin.schedules import BoundPhase

_TURNS = 4  # changes of modes that depend on each other; beyond, the single run decides
_NEAR = 1e-6  # of a watched quantity's size: closer to its level than this, the single run decides


class _Course(NamedTuple):
    """Watched quantities at the two ends and in the middle of a stretch: (n_rows, n) each."""

    values: tuple[Array, Array, Array]
    slopes: tuple[Array, Array, Array]
    """Times half of the stretch."""

    def hull(self) -> tuple[Array, Array, Array]:
        """Lowest and highest that the cubics may reach, and how far they are to be trusted."""
        (a, m, b), (da, dm, db) = self.values, self.slopes
        corners = np.stack([a, a + da / 3.0, m - dm / 3.0, m, m + dm / 3.0, b - db / 3.0, b])
        # The cubic over both halves foretells the middle up to `off`; those over one half are 16 times better.
        off = np.abs(0.5 * (a + b) + 0.25 * (da - db) - m)
        return corners.min(axis=0), corners.max(axis=0), off + _NEAR * np.abs(corners).max(axis=0)

    def monotone(self) -> Flags:
        """Whether the quantity only rises or only falls in each half."""
        result = np.ones(self.values[0].shape, dtype=bool)
        for a, b, da, db in zip(self.values, self.values[1:], self.slopes, self.slopes[1:], strict=False):
            inner = 3.0 * (b - a) - da - db
            result &= ((da >= 0.0) & (inner >= 0.0) & (db >= 0.0)) | ((da <= 0.0) & (inner <= 0.0) & (db <= 0.0))
        return result


class Passage:
    """The march of some members; used once. All arrays are (n_rows, n_members)."""

    def __init__(
        self, c: Compiled, phase: BoundPhase, inputs: PhaseInputs, level: float, p: Array, states: Array, t: float
    ) -> None:
        sizes = (0, c.n_x, c.n_z, c.n_d, c.n_w, len(c.equations.events), 3)
        self.x, self.z, self.d, self.w, self.armed, recipe = (
            states.T[first:last] for first, last in itertools.pairwise(itertools.accumulate(sizes))
        )
        self.c, self.steps, self.phase, self.inputs, self.level, self.p, self.t = (
            c, c.short_steps, phase, inputs, level, p, t,
        )  # fmt: skip
        self.side = recipe[2]
        self.modes = np.zeros((c.equations.n_switches, states.shape[0]))
        self.live: Flags = np.ones(states.shape[0], dtype=bool)
        self.watching = c.n_guards + c.n_w > 0 or phase.until_level is not None

    @property
    def q(self) -> Array:
        """Discrete values, modes, running extremes."""
        return np.concatenate([self.d, self.modes, self.w])

    def inputs_at(self, t: float, *, left: bool) -> tuple[Array, Array]:
        """Values and slopes (n_u, n)."""
        n = self.live.size
        if isinstance(self.inputs.start, np.ndarray):
            found = self.inputs.along(np.full((n, 1), t), left=left)
            return found[0][:, :, 0], found[1][:, :, 0]
        u, slope = self.inputs.at(t, left=left)
        return np.repeat(u[:, None], n, axis=1), np.repeat(slope[:, None], n, axis=1)

    def settle(self, *, left: bool) -> None:
        """Modes and algebraic variables that belong to the inputs, of the moment before (`left`) or from it on."""
        n = self.c.equations.n_switches
        if not n and self.steps.correction is None:
            return
        u, slope = self.inputs_at(self.t, left=left)
        rows = np.arange(self.live.size)
        for _ in range(_TURNS):
            z, fine = self.steps.consistent(
                self.t, self.x[:, rows], self.z[:, rows], u[:, rows], self.p[:, rows], self.q[:, rows]
            )
            self.z = self.z.copy()
            self.z[:, rows] = z
            self.live[rows] &= fine
            if not n:
                return
            value, _ = self._watched(self.t, self.x, self.z, u, slope)
            new = np.where(value[:n] >= 0.0, 1.0, 0.0)
            rows = rows[(new != self.modes)[:, rows].any(axis=0)]
            if not rows.size:
                return
            self.modes = self.modes.copy()
            self.modes[:, rows] = new[:, rows]
        self.live[rows] = False

    def go(self, stop: float) -> None:
        """All members that are still along, over one stretch without corners inside."""
        a, b = self.inputs_at(self.t, left=False)
        span = stop - self.t
        if not self.watching:
            self.x, self.z = self._carried(span, self.t, self.x, self.z, a, b)
            self.t = stop
            return
        half = 0.5 * span
        nodes = [(self.x, self.z)]
        for k in (0, 1):
            nodes.append(self._carried(half, self.t + k * half, *nodes[-1], a + b * (k * half), b))
        seen = [self._watched(self.t + k * half, x, z, a + b * (k * half), b) for k, (x, z) in enumerate(nodes)]
        course = _Course(
            (seen[0][0], seen[1][0], seen[2][0]), (half * seen[0][1], half * seen[1][1], half * seen[2][1])
        )
        with np.errstate(invalid="ignore"):
            self._nothing_happens(course)
        (self.x, self.z), self.t = nodes[-1], stop

    def observe(self, t: float) -> Array:
        """Outputs (n_y, n), left limits."""
        u, _ = self.inputs_at(t, left=True)
        (y,) = self.c.output.along(self.live.size, t, self.x, self.z, u, self.p, self.q)
        return y

    @property
    def ends(self) -> Array:
        """What states hold before the recipe's place, (n, n_state - 3)."""
        return np.concatenate([self.x, self.z, self.d, self.w, self.armed]).T

    # -- inside -----------------------------------------------------------------------------------------------------
    def _carried(self, span: float, t: float, x: Array, z: Array, a: Array, b: Array) -> tuple[Array, Array]:
        rows = np.flatnonzero(self.live)
        x, z, q = x.copy(), z.copy(), self.q
        for way in (self.steps.carry, self.steps.by_sundials):
            if rows.size:
                own = rows if rows.size < self.live.size else slice(None)
                lines = (a[:, own], b[:, own])
                y, v, fine = way(span, t, x[:, own], z[:, own], lines, self.p[:, own], q[:, own])
                hit = rows[fine]
                x[:, hit], z[:, hit] = y[:, fine], v[:, fine]
                rows = rows[~fine]
        self.live[rows] = False
        return x, z

    def _watched(self, t: float, x: Array, z: Array, u: Array, slope: Array) -> tuple[Array, Array]:
        """Guards, quantities with running extremes, then output - level where the phase ends on one; and rates."""
        value, rate = self.c.watched.along(self.live.size, t, x, z, u, self.p, self.q, slope)
        n = self.c.n_guards + self.c.n_w
        rows = list(range(n))
        if self.phase.until_level is not None:
            value[n + self.phase.until_output] -= self.level
            rows.append(n + self.phase.until_output)
        return value[rows], rate[rows]

    def _nothing_happens(self, course: _Course) -> None:
        """Keep the members for which nothing switches, acts or ends; move running extremes and arm events."""
        low, high, slack = course.hull()
        above, below = low > slack, high < -slack
        n, n_guards, n_w = self.c.equations.n_switches, self.c.n_guards, self.c.n_w
        on = self.modes > 0.5
        self.live &= np.where(on, above[:n], below[:n]).all(axis=0)
        events = slice(n, n_guards)
        self.live &= (below[events] | (above[events] & (self.armed == 0.0))).all(axis=0)
        self.armed = np.where(below[events], 1.0, self.armed)
        if n_w:
            rows = slice(n_guards, n_guards + n_w)
            signs = np.array(self.c.equations.extreme_signs)[:, None]
            top = np.where(signs > 0.0, high[rows], -low[rows]) + slack[rows]
            self.live &= ((top < signs * self.w) | course.monotone()[rows]).all(axis=0)
            reached = np.max(np.stack([signs * value[rows] for value in course.values]), axis=0)
            self.w = signs * np.maximum(signs * self.w, reached)
        if self.phase.until_level is not None:
            towards = float(self.phase.direction.value) or -self.side
            self.live &= np.where(towards > 0.0, below[-1], above[-1]) & (towards != 0.0)
