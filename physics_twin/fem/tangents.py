"""Exact derivatives of a run, forward: the accepted steps are replayed with their tangents.

For a stage, q Q(u, z) + g R(u, z, theta, t) + known = 0, the tangent along a direction w of parameters and settings is

    J du = -(q DQ[z', theta'] + g DR[z', theta'] + d known + (dh-terms)),   J = q dQ/du + g dR/du,

with the operator of the stage in place and z' what the local law adds by itself. Breakpoints that a setting moves (the
duration of a phase, a level that is reached later) stretch the steps between them in proportion. A phase that ends on a
level moves as the implicit function theorem says, with "the stretch ends later" as one more direction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import SolveError
from physics_twin.fem.local_law import LocalSlopes
from physics_twin.fem.march import March, Stand, Step, Stretch, Tape, Theta
from physics_twin.fem.newton import Stage, jacobian_at
from physics_twin.fem.stepping import interpolation
from physics_twin.inputs import PhaseInputs, lines_of
from physics_twin.schedules import Amount, BoundPhase

if TYPE_CHECKING:
    from physics_twin.fem.field_model import FieldModel
    from physics_twin.fem.thermo_mechanics import ThermoMechanics


@dataclass
class _Moving:
    """Tangents of where the run stands; columns are directions."""

    u: Array
    """(n, m)"""
    z: Array
    """(n_points, n_z, m)"""
    reference: Array
    """(m,) of the stored energy at the start"""
    imbalance: Array
    """(m,)"""
    t: Array
    """(m,) how the moment moves"""
    followed: "tuple[Array, Array] | None" = None
    """Of a model that follows: displacement (n, m) and local states (n_points, n_z, m)."""

    def widened(self, extra: int) -> "_Moving":
        """With more directions, all zero."""
        if not extra:
            return self
        followed = None
        if self.followed is not None:
            followed = _padded(self.followed[0], extra), _padded(self.followed[1], extra)
        return _Moving(
            _padded(self.u, extra),
            _padded(self.z, extra),
            _padded(self.reference, extra),
            _padded(self.imbalance, extra),
            _padded(self.t, extra),
            followed,
        )

    def carried(self, m: int, moves: Array) -> "_Moving":
        """The first m directions, each with its part of direction m; the moment moves by `moves`."""

        def one(a: Array) -> Array:
            return np.asarray(a[..., :m] + a[..., m : m + 1] * moves)

        followed = None if self.followed is None else (one(self.followed[0]), one(self.followed[1]))
        return _Moving(one(self.u), one(self.z), self.reference[:m], one(self.imbalance), moves, followed)


def _padded(a: Array, extra: int) -> Array:
    return np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, extra)])


@dataclass(frozen=True)
class _Node:
    """A state of dense output with its tangents."""

    u: Array
    z: Array
    du: Array
    dz: Array


@dataclass
class _Earlier:
    """Flows R and local rates of the earlier stages of a step, with their tangents."""

    flows: list[Array] = field(default_factory=list)
    d_flows: list[Array] = field(default_factory=list)
    rates: list[Array] = field(default_factory=list)
    d_rates: list[Array] = field(default_factory=list)


DTheta = Callable[[float, Array], Array]
"""(moment, how it moves (m,)) -> tangents of theta (n_theta, m)."""


class Tangents:
    """One replay; used once."""

    def __init__(self, model: "FieldModel | ThermoMechanics", march: March, wrt: Sequence[str], d_p: Array) -> None:
        self.model, self.march, self.wrt = model, march, tuple(wrt)
        self.ops = march.ops
        self.d_p = d_p
        """(n_p, m) of the parameter vector"""
        self.m = len(self.wrt)
        self._matrix: object = None
        self._key: tuple[float, float, bytes] | None = None

    # -- through the tape -------------------------------------------------------------------------------------------
    def replay(self, tape: Tape, times: Array, fixed_start: bool) -> Array:
        """(n_times, n_outputs, m)."""
        march, m = self.march, self.m
        n_outputs = len(self.model.outputs)
        jacobian = np.zeros((times.size, n_outputs, m))
        start = tape.start
        law = self.ops.law
        shape = (0, 0) if law is None else (law.n_points, law.n_z)
        at = _Moving(np.zeros((self.ops.n, m)), np.zeros((*shape, m)), np.zeros(m), np.zeros(m), np.zeros(m))
        self._phase_start = np.zeros(m)
        self._phase = start.phase
        if not fixed_start:
            self._start(tape, at)
        if march.link is not None and march.link.stepped:
            at.followed = np.zeros((march.link.ops.n, m)), np.zeros((*march.followed[1].shape, m))
            if not fixed_start:
                at.followed = self._followed_start(start, at)
        for i in tape.before:
            jacobian[i] = self._at_start(tape, at, times, i)
        for stretch in tape.stretches:
            if stretch.phase != self._phase:
                self._phase, self._phase_start = stretch.phase, at.t.copy()
            at = self._stretch(stretch, at, times, jacobian)
        if not np.isfinite(jacobian).all():
            raise SolveError("a derivative is not a finite number", time=float(times[-1]))
        return jacobian

    def _start(self, tape: Tape, at: _Moving) -> None:
        """Tangents of the initial field and local states."""
        theta = self.march.theta(tape.start, 0.0, left=False)
        d_theta = self._d_theta(self._inputs(Stretch(0, 0.0, 0.0, 0.0)), 0.0)
        initial = self.model.discretized.initial
        if initial is not None:
            at.u = initial.jacobian(theta) @ d_theta
        if self.ops.law is not None:
            at.z = self.ops.law.initial_slope(theta) @ d_theta
            if not self.march.transient:
                step, theta = self.march.first_step(tape.start)
                stretch = Stretch(max(tape.start.phase, 0), tape.start.phase_start, 0.0, 0.0)
                d_theta = self._d_theta(self._inputs(stretch), 0.0)
                at.u, at.z = self._stage(
                    step,
                    step.stages[0],
                    (1.0,),
                    0,
                    theta,
                    d_theta,
                    at,
                    np.zeros((self.ops.n, self.m)),
                    _Earlier(),
                    np.zeros(self.m),
                )
        if self.march.transient:
            self.march._write_local(tape.start.z)
            for k in range(self.m):
                dq = self.ops.direction(1.0, 0.0, tape.start.u, theta, at.u[:, k], at.z[..., k], d_theta[:, k])
                at.reference[k] = self.ops.sum(dq)

    def _followed_start(self, start: Stand, at: _Moving) -> tuple[Array, Array]:
        """Tangents of how a model that follows took up its first loads."""
        link, began = self.march.link, self.march.began
        assert link is not None and link.ops.law is not None and began is not None
        theta = self.march.theta(start, start.t, left=True)
        d_theta = self._d_theta(self._inputs(Stretch(0, 0.0, 0.0, 0.0)), 0.0)
        d_base = link.ops.law.initial_slope(theta[link.order]) @ d_theta[link.order]
        return link.solve_tangents(start.u, at.u, began.z, d_base, began.end, theta, d_theta)

    def _at_start(self, tape: Tape, at: _Moving, times: Array, i: int) -> Array:
        start = tape.start
        theta = self.march.theta(start, start.t, left=True)
        if not self.march.stepped:
            # Without a memory the first solution is solved for at its own time.
            stretch = Stretch(max(start.phase, 0), start.phase_start, start.t, start.t)
            inputs = self._inputs(stretch)
            node = self._solved(start.u, theta, inputs, start.t)
            return self._observed(node, theta, self._d_theta(inputs, start.t), at, None)
        node = _Node(start.u, start.z, at.u, at.z)
        d_theta = np.vstack([self.d_p, np.zeros((theta.size - self.d_p.shape[0], self.m))])
        if self.ops.symbols.n_s:
            stretch = Stretch(max(start.phase, 0), start.phase_start, start.t, start.t)
            d_theta = self._d_theta(self._inputs(stretch), start.t)
        rows = self._observed(node, theta, d_theta, at, None)
        if "time" in self.wrt:
            rows[:, self.wrt.index("time")] = 0.0
        return rows

    # -- a stretch --------------------------------------------------------------------------------------------------
    def _inputs(self, stretch: Stretch) -> PhaseInputs:
        lines = lines_of(self.march.phase(stretch), self.march.values_, self.wrt)
        return PhaseInputs(lines, stretch.phase_start, self._phase_start[: len(self.wrt)])

    def _d_theta(self, inputs: PhaseInputs, t: float) -> Array:
        """(n_theta, m) at a fixed moment, a left limit within the stretch."""
        s = self.ops.symbols
        d = np.zeros((s.n_theta, self.m))
        d[: s.n_p] = self.d_p
        if s.n_s:
            d[s.n_p : s.n_p + s.n_s] = inputs.tangent(t, left=True)
        return d

    def _stretch(self, stretch: Stretch, at: _Moving, times: Array, jacobian: Array) -> _Moving:
        march = self.march
        inputs = self._inputs(stretch)
        phase = march.phase(stretch)
        middle = 0.5 * (stretch.t0 + stretch.t1)
        value, slope = inputs.at(middle) if self.ops.symbols.n_s else (np.empty(0), np.empty(0))
        p = march.p

        def theta_at(t: float) -> Array:
            return np.concatenate([p, value + slope * (t - middle), [t]])

        d_inputs = inputs.tangents(np.array([middle]))[:, 0] if self.ops.symbols.n_s else np.empty((0, self.m))
        d_slopes = self._slope_tangents(inputs, middle)
        if not march.stepped:
            for i, _, _ in stretch.samples:
                t = float(times[i])
                end = stretch.steps[-1].stages[-1]
                d_theta = np.vstack([self.d_p, d_inputs + d_slopes * (t - middle), np.zeros((1, self.m))])
                node = self._solved_with(end.u, theta_at(t), d_theta)
                jacobian[i] = self._observed(node, theta_at(t), d_theta, at, None)
                if "time" in self.wrt:
                    along = np.concatenate([np.zeros(p.size), slope, [1.0]])[:, None]
                    flow = self._solved_with(end.u, theta_at(t), along)
                    jacobian[i, :, self.wrt.index("time")] = self._observed(flow, theta_at(t), along, None, None)[:, 0]
            return replace(at, t=self._moved_end(stretch, phase, theta_at, d_inputs, d_slopes, slope, middle))
        # How the ends of the stretch move.
        d_t0 = at.t
        if stretch.on_level:
            d_t1 = np.zeros(self.m)
        elif stretch.ends_phase and phase.duration is not None:
            d_t1 = self._phase_start + self._slope_of(phase.duration)
        elif stretch.ends_phase and phase.at_most is not None:
            d_t1 = self._phase_start + self._slope_of(phase.at_most)
        elif stretch.t1 == times[-1]:
            d_t1 = np.zeros(self.m)
        else:
            d_t1 = self._corner(inputs, stretch.t1)
        m, extra = self.m, int(stretch.on_level)
        # On a level: one more direction, in which only the stretch's end moves.
        wide = at.widened(extra)
        d_t0, d_t1 = np.pad(d_t0, (0, extra)), np.pad(d_t1, (0, extra))
        if extra:
            d_t1[-1] = 1.0
        columns = np.vstack([self.d_p, d_inputs])
        columns = np.pad(columns, ((0, 0), (0, extra)))
        slopes = np.pad(d_slopes, ((0, 0), (0, extra)))

        def d_theta_at(t: float, dt: Array) -> Array:
            """Along the moving moment: inputs move with their own tangent and with the moment."""
            d = columns.copy()
            n_p = p.size
            d[n_p:] += slopes * (t - middle) + np.outer(slope, dt)
            return np.vstack([d, dt[None, :]])

        if stretch.entered is not None:
            wide = self._entered(stretch, wide, theta_at(stretch.t0), d_theta_at(stretch.t0, d_t0))
        waiting: list[tuple[int, Array, Array]] = []
        span = stretch.t1 - stretch.t0
        samples = list(stretch.samples)
        for number, step in enumerate(stretch.steps):
            here = [s for s in samples if s[1] == number]
            before = wide
            begin = (step.t - stretch.t0) / span if span > 0.0 else 0.0
            rate = (d_t1 - d_t0) / span if span > 0.0 else np.zeros(m + extra)
            dt, dh = d_t0 + begin * (d_t1 - d_t0), step.h * rate
            wide, nodes = self._step(step, wide, theta_at, d_theta_at, dt, dh)
            for i, _, x in here:
                rows = self._sample(step, nodes, x, float(times[i]), theta_at, d_theta_at, dt, dh, before, wide)
                if extra:
                    waiting.append((i, rows[:, :m], rows[:, m]))
                else:
                    jacobian[i] = rows
        if not extra:
            return _Moving(wide.u, wide.z, wide.reference, wide.imbalance, d_t1, wide.followed)
        # dT/dw from the level's equation at the end of the stretch.
        end = stretch.steps[-1].stages[-1]
        theta = theta_at(stretch.t1)
        node = _Node(end.u, end.z, wide.u, wide.z)
        level = self._observed(node, theta, d_theta_at(stretch.t1, d_t1), wide, None)[phase.until_output]
        assert phase.until_level is not None
        if level[-1] == 0.0:
            raise SolveError("a phase ends where its output touches the level: it has no derivative", time=stretch.t1)
        moves = -(level[:m] - self._slope_of(phase.until_level)) / level[-1]
        for i, rows, column in waiting:
            jacobian[i] = rows + np.outer(column, moves)
        return wide.carried(m, moves)

    def _entered(self, stretch: Stretch, at: _Moving, theta: Array, d_theta: Array) -> _Moving:
        """The model that follows has taken up what jumped at the beginning of the stretch."""
        link, f, temperature = self.march.link, stretch.entered, at.u.copy()
        assert link is not None and f is not None and at.followed is not None
        for k in range(temperature.shape[1] if self.ops.held.size else 0):
            temperature[self.ops.held, k] = self.ops.essential_tangent(theta, d_theta[:, k])
        followed = link.solve_tangents(stretch.steps[0].u, temperature, f.z, at.followed[1], f.end, theta, d_theta)
        return replace(at, followed=followed)

    def _moved_end(
        self,
        stretch: Stretch,
        phase: BoundPhase,
        theta_at: Theta,
        d_inputs: Array,
        d_slopes: Array,
        slope: Array,
        middle: float,
    ) -> Array:
        """How the end of a stretch moves for a model without a memory; only the ends of phases count, (m,)."""
        if not stretch.ends_phase:
            return self._phase_start
        if not stretch.on_level:
            length = phase.at_most if phase.duration is None else phase.duration
            assert length is not None
            return self._phase_start + self._slope_of(length)
        t, end = stretch.t1, stretch.steps[-1].stages[-1]
        fixed = np.vstack([self.d_p, d_inputs + d_slopes * (t - middle), np.zeros((1, self.m))])
        along = np.concatenate([np.zeros(self.march.p.size), slope, [1.0]])[:, None]
        both = np.hstack([fixed, along])
        level = self._observed(self._solved_with(end.u, theta_at(t), both), theta_at(t), both, None, None)
        row = level[phase.until_output]
        assert phase.until_level is not None
        if row[-1] == 0.0:
            raise SolveError("a phase ends where its output touches the level: it has no derivative", time=t)
        return np.asarray(-(row[:-1] - self._slope_of(phase.until_level)) / row[-1])

    def _corner(self, inputs: PhaseInputs, t: float) -> Array:
        """How the end t of a stretch moves that is a corner of an input: with its phase, and with its ramp's length."""
        for line in inputs.lines:
            for j in range(1, line.r.size):
                bend = line.b[j - 1] - line.b[j]
                if inputs.start + line.r[j] == t and bend != 0.0 and not line.jumps:
                    # Both lines have the same value where they meet.
                    own = (line.da[j] - line.da[j - 1] - line.db[j - 1] * (line.r[j] - line.r[j - 1])) / bend
                    if own.any():
                        return np.asarray(self._phase_start + own)
        return self._phase_start

    def _slope_of(self, amount: Amount) -> Array:
        return amount.slope(self.wrt)

    def _slope_tangents(self, inputs: PhaseInputs, middle: float) -> Array:
        """d(slope of each input)/dw within the stretch, (n_s, m)."""
        if not self.ops.symbols.n_s:
            return np.empty((0, self.m))
        rows = []
        for line in inputs.lines:
            j = int(line.pieces(np.array([middle]), inputs.start, True)[0])
            rows.append(line.db[j])
        return np.array(rows)

    # -- a step -----------------------------------------------------------------------------------------------------
    def _step(
        self, step: Step, at: _Moving, theta_at: Theta, d_theta_at: DTheta, dt: Array, dh: Array
    ) -> tuple[_Moving, list[_Node]]:
        """Tangents over one step: the new `_Moving` and the nodes of dense output."""
        march, ops, law = self.march, self.ops, self.ops.law
        scheme, h, n_dir = march.scheme, step.h, at.u.shape[1]
        transient = march.transient
        theta0 = theta_at(step.t)
        d_theta0 = d_theta_at(step.t, dt)
        u_start = at.u.copy()
        if ops.held.size and transient:
            for k in range(n_dir):
                u_start[ops.held, k] = ops.essential_tangent(theta0, d_theta0[:, k])
        d_q0 = np.zeros((ops.n, n_dir))
        if transient:
            march._write_local(step.z)
            for k in range(n_dir):
                d_q0[:, k] = ops.direction(1.0, 0.0, step.u, theta0, u_start[:, k], at.z[..., k], d_theta0[:, k])
        earlier = _Earlier()
        nodes = [_Node(step.u, step.z, u_start, at.z)]
        du, dz = u_start, at.z
        for i, (row, stage) in enumerate(zip(scheme.a, step.stages, strict=True)):
            c = scheme.c[i]
            t, dti = step.t + c * h, dt + c * dh
            theta, d_theta = theta_at(t), d_theta_at(t, dti)
            if row[i] == 0.0:
                du, dz = u_start, at.z
            else:
                du, dz = self._stage(step, stage, row, i, theta, d_theta, at, d_q0, earlier, dh)
                nodes.append(_Node(stage.u, stage.z, du, dz))
            if i + 1 < len(scheme.a):
                march._write_local(stage.z)
                earlier.flows.append(ops.value(0.0, 1.0, stage.u, theta))
                d_flow = np.empty((ops.n, n_dir))
                for k in range(n_dir):
                    d_flow[:, k] = ops.direction(0.0, 1.0, stage.u, theta, du[:, k], dz[..., k], d_theta[:, k])
                earlier.d_flows.append(d_flow)
                if law is not None and law.timed:
                    earlier.rates.append(law.rate(stage.z, stage.e, theta))
                    earlier.d_rates.append(self._rate_tangent(stage, theta, d_theta, du, dz))
        followed = at.followed
        if step.followed is not None and followed is not None and march.link is not None:
            f, end = step.followed, step.stages[-1]
            t = step.t + h
            followed = march.link.solve_tangents(
                end.u, du, f.z, followed[1], f.end, theta_at(t), d_theta_at(t, dt + dh)
            )
        return _Moving(du, dz, at.reference, at.imbalance, dt + dh, followed), nodes

    def _stage(
        self,
        step: Step,
        stage: Stage,
        row: tuple[float, ...],
        i: int,
        theta: Array,
        d_theta: Array,
        at: _Moving,
        d_q0: Array,
        earlier: _Earlier,
        dh: Array,
    ) -> tuple[Array, Array]:
        """Tangents of one implicit stage: field (n, m) and local states (n_points, n_z, m)."""
        flows, d_flows, rates, d_rates = earlier.flows, earlier.d_flows, earlier.rates, earlier.d_rates
        march, ops, law = self.march, self.ops, self.ops.law
        h, n_dir = step.h, at.u.shape[1]
        transient = march.transient
        timed = law is not None and law.timed
        q, g = (1.0, h * row[i]) if transient else (0.0, 1.0)
        base, d_base = step.z, at.z
        if timed and rates:
            base = step.z + h * sum(a * r for a, r in zip(row[: len(rates)], rates, strict=True))
            d_base = at.z + h * sum(a * r for a, r in zip(row[: len(rates)], d_rates, strict=True))
            d_base = d_base + np.multiply.outer(
                np.asarray(sum(a * r for a, r in zip(row[: len(rates)], rates, strict=True))), dh
            )
        d_g = dh * row[i] if transient else np.zeros(n_dir)
        solver = march.stages.solver
        key = (q, g, ops.matrix_key(theta))
        if not ops.linear or key != self._key:
            self._matrix = jacobian_at(ops, q, g, stage, base, theta, self._matrix)
            solver.set_operator(self._matrix)
            march.stages._weights = None
            self._key = key
        slopes: LocalSlopes | None = None
        alone = np.zeros((*step.z.shape, n_dir))
        if law is not None:
            slopes = law.slopes(stage.z, stage.e, base, g, theta)
            alone = (
                np.einsum("nij,njk->nik", slopes.base, d_base)
                + np.einsum("nij,jk->nik", slopes.theta, d_theta)
                + np.multiply.outer(slopes.weight, d_g)
            )
            march._write_local(stage.z)
            # What the law is given changes with what drives it, the field held.
        flow = ops.value(0.0, 1.0, stage.u, theta) if transient and dh.any() else None
        du = np.empty((ops.n, n_dir))
        dz = np.empty_like(alone)
        for k in range(n_dir):
            held = np.zeros(ops.n)
            held[ops.held] = ops.essential_tangent(theta, d_theta[:, k]) if ops.held.size else 0.0
            local = alone[..., k]
            if law is not None and slopes is not None:
                local = local + np.einsum("nij,nj->ni", slopes.e, ops.given_direction(held))
            march._write_local(stage.z)
            moved = held if ops.any_held else None
            right = ops.direction(q, g, stage.u, theta, moved, local, d_theta[:, k])
            if transient:
                right = right - d_q0[:, k]
                if d_flows:
                    right = right + h * sum(a * r[:, k] for a, r in zip(row[: len(d_flows)], d_flows, strict=True))
                if flow is not None:
                    weighted = row[i] * flow
                    if flows:
                        weighted = weighted + sum(a * r for a, r in zip(row[: len(flows)], flows, strict=True))
                    right = right + dh[k] * weighted
            right = np.asarray(right)
            right[ops.held] = 0.0
            du[:, k] = held - solver.solve(right, family=k + 1)
            if law is not None and slopes is not None:
                dz[..., k] = alone[..., k] + np.einsum("nij,nj->ni", slopes.e, ops.given_direction(du[:, k]))
        return du, dz

    def _rate_tangent(self, stage: Stage, theta: Array, d_theta: Array, du: Array, dz: Array) -> Array:
        """Tangents of the local rates, (n_points, n_z, m)."""
        law = self.ops.law
        assert law is not None
        by_z, by_e, by_theta = law.rate_slopes(stage.z, stage.e, theta)
        result: Array = np.einsum("nij,njk->nik", by_z, dz) + np.einsum("nij,jk->nik", by_theta, d_theta)
        self.ops.symbols.set(theta)
        self.ops.write(stage.u)
        for k in range(du.shape[1]):
            result[..., k] += np.einsum("nij,nj->ni", by_e, self.ops.given_direction(du[:, k]))
        return result

    # -- models without a memory ------------------------------------------------------------------------------------
    def _solved(self, u: Array, theta: Array, inputs: PhaseInputs, t: float) -> _Node:
        return self._solved_with(u, theta, self._d_theta(inputs, t))

    def _solved_with(self, u: Array, theta: Array, d_theta: Array) -> _Node:
        """Tangents of a solution that has no memory."""
        ops, solver = self.ops, self.march.stages.solver
        ops.symbols.set(theta)
        ops.write(u)
        self._matrix = ops.jacobian(0.0, 1.0, theta, self._matrix)
        solver.set_operator(self._matrix)
        self.march.stages._weights = None
        du = np.empty((ops.n, d_theta.shape[1]))
        for k in range(d_theta.shape[1]):
            held = np.zeros(ops.n)
            held[ops.held] = ops.essential_tangent(theta, d_theta[:, k]) if ops.held.size else 0.0
            right = ops.direction(0.0, 1.0, u, theta, held, None, d_theta[:, k])
            right[ops.held] = 0.0
            du[:, k] = held - solver.solve(right)
        return _Node(u, np.zeros((0, 0)), du, np.zeros((0, 0, d_theta.shape[1])))

    # -- samples ----------------------------------------------------------------------------------------------------
    def _sample(
        self,
        step: Step,
        nodes: list[_Node],
        x: float,
        t: float,
        theta_at: Theta,
        d_theta_at: DTheta,
        dt: Array,
        dh: Array,
        before: _Moving,
        at: _Moving,
    ) -> Array:
        """Derivatives of the outputs at a sample whose time is fixed while the step moves."""
        weights, slopes = interpolation(self.march.scheme, x)
        u = sum(w * n.u for w, n in zip(weights, nodes, strict=True))
        z = sum(w * n.z for w, n in zip(weights, nodes, strict=True))
        flow_u = sum(w * n.u for w, n in zip(slopes, nodes, strict=True)) / step.h
        flow_z = sum(w * n.z for w, n in zip(slopes, nodes, strict=True)) / step.h
        # The place in the step moves against the step.
        back = -(dt + x * dh)
        du = sum(w * n.du for w, n in zip(weights, nodes, strict=True)) + np.outer(flow_u, back)
        dz = sum(w * n.dz for w, n in zip(weights, nodes, strict=True)) + np.multiply.outer(flow_z, back)
        theta = theta_at(t)
        d_theta = d_theta_at(t, np.zeros_like(dt))
        if "time" in self.wrt:
            k = self.wrt.index("time")
            du[:, k], dz[..., k] = flow_u, flow_z
            rate = (theta_at(t + step.h) - theta_at(t)) / step.h
            d_theta[:, k] = rate
        follower = None
        if step.followed is not None:
            follower = (
                self._straight(nodes[0], nodes[-1], x, step.h, back),
                self._follower_within(step, x, before, at, back),
            )
        return self._observed(_Node(u, z, du, dz), theta, d_theta, at, follower)

    def _straight(self, start: _Node, end: _Node, x: float, h: float, back: Array) -> _Node:
        """The field between the ends of a step on a straight line, as a follower with a memory is given it."""
        flow = (end.u - start.u) / h
        du = (1.0 - x) * start.du + x * end.du + np.outer(flow, back)
        if "time" in self.wrt:
            du[:, self.wrt.index("time")] = flow
        return _Node((1.0 - x) * start.u + x * end.u, start.z, du, start.dz)

    def _follower_within(self, step: Step, x: float, before: _Moving, after: _Moving, back: Array) -> _Node:
        """The model that follows at a place of a step: between the step's ends, with its tangents."""
        f = step.followed
        assert f is not None and before.followed is not None and after.followed is not None
        flow_u, flow_z = (f.end.u - f.u) / step.h, (f.end.z - f.z) / step.h
        (du0, dz0), (du1, dz1) = before.followed, after.followed
        du = (1.0 - x) * du0 + x * du1 + np.outer(flow_u, back)
        dz = (1.0 - x) * dz0 + x * dz1 + np.multiply.outer(flow_z, back)
        if "time" in self.wrt:
            k = self.wrt.index("time")
            du[:, k], dz[..., k] = flow_u, flow_z
        return _Node((1.0 - x) * f.u + x * f.end.u, (1.0 - x) * f.z + x * f.end.z, du, dz)

    def _observed(
        self, node: _Node, theta: Array, d_theta: Array, at: "_Moving | None", follower: "tuple[_Node, _Node] | None"
    ) -> Array:
        """(n_outputs, m) of a state with its tangents; follower: what it is given, and where it stands."""
        march, ops = self.march, self.ops
        n = len(march.observers)
        m = d_theta.shape[1]
        rows = np.zeros((n + 3 * march.transient, m))
        z = node.z if ops.law is not None else None
        march.observers.write(node.u, z, theta)
        for k in range(m):
            dz = node.dz[..., k] if ops.law is not None else None
            rows[:n, k] = march.observers.tangents(node.u, z, theta, node.du[:, k], dz, d_theta[:, k])
        if march.transient and at is not None:
            march._write_local(node.z)
            for k in range(m):
                dz = node.dz[..., k] if ops.law is not None else None
                dq = ops.direction(1.0, 0.0, node.u, theta, node.du[:, k], dz, d_theta[:, k])
                stored = ops.sum(dq) - (at.reference[k] if k < at.reference.size else 0.0)
                # The balance is closed along every direction, as it is for the run itself.
                rows[n, k] = rows[n + 1, k] = stored
        return rows if march.link is None else np.vstack([rows, self._followed(node, theta, d_theta, at, follower)])

    def _followed(
        self, node: _Node, theta: Array, d_theta: Array, at: "_Moving | None", follower: "tuple[_Node, _Node] | None"
    ) -> Array:
        """Outputs of the model that follows, (n_mechanical_outputs, m)."""
        link = self.march.link
        assert link is not None
        m = d_theta.shape[1]
        if not link.stepped:
            u, z = link.initial(theta)
            stage = link.solve(node.u, u, z, theta)
            du, dz = link.solve_tangents(node.u, node.du, z, np.zeros((0, 0, m)), stage, theta, d_theta)
            follower = node, _Node(stage.u, stage.z, du, dz)
        elif follower is None:
            # Where the run stands: at its start.
            assert at is not None and at.followed is not None
            follower = node, _Node(*self.march.followed, *at.followed)
        given, f = follower
        return link.output_tangents(given.u, given.du, f.u, f.z, f.du, f.dz, theta, d_theta)
