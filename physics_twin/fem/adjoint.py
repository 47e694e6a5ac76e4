"""Exact gradients of a run, backward: the transpose of `tangents`, for any number of parameters.

The accepted steps are walked from the last to the first. For a stage q Q + g R + known = 0 with adjoint v of its
solution, J^T l = v; then -l weights everything that the stage's residual depends on: parameters, the flows of earlier
stages, the storage at the step's start, and the local states (through the implicit function theorem at each point).
"""

from collections.abc import Callable, Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, ShapeError
from physics_twin.fem._dolfinx import MPI
from physics_twin.fem.alone import alone
from physics_twin.fem.field_model import FieldModel
from physics_twin.fem.march import March, Step, Stretch, Tape
from physics_twin.fem.newton import Stage, jacobian_at
from physics_twin.fem.pullback import Pullback
from physics_twin.fem.stepping import interpolation
from physics_twin.inputs import PhaseInputs, lines_of

Gradient = Callable[[Array], Array]


class Adjoint:
    """The backward walk over one tape; may be used for several weights."""

    def __init__(
        self,
        model: FieldModel,
        march: March,
        pullback: Pullback,
        wrt: Sequence[str],
        d_p: Array,
        tape: Tape,
        times: Array,
    ) -> None:
        self.model, self.march, self.pull, self.tape, self.times = model, march, pullback, tape, times
        self.ops, self.wrt, self.d_p = march.ops, tuple(wrt), d_p
        if "time" in self.wrt:
            raise ModelError('gradients with respect to "time" come from `sensitivity`')
        settings = {a.setting for p in march.schedule.phases for a in (p.duration, p.at_most) if a is not None}
        moving = settings & set(self.wrt)
        if moving or any(s.on_level for s in tape.stretches):
            what = f'the setting "{sorted(map(str, moving))[0]}"' if moving else "a phase that ends on a level"
            raise ModelError(f"{what} moves breakpoints, which have no adjoint; use `sensitivity`")
        # Which entries of theta any direction touches: inputs only where a setting is part of them.
        s = self.ops.symbols
        self.wanted = np.zeros(s.n_theta, dtype=bool)
        self.wanted[: s.n_p] = d_p.any(axis=1)
        self.wanted[s.n_p : s.n_p + s.n_s] = bool(set(march.schedule.settings) & set(self.wrt))
        self._matrix: object = None
        self._key: tuple[float, float, bytes] | None = None
        self._same = False

    @alone
    def gradient(self, weights: Array) -> Array:
        """d (sum of weights times outputs) / d wrt, (n_wrt,); weights (n_times, n_outputs)."""
        expected = (self.times.size, len(self.model.outputs))
        weights = np.asarray(weights, dtype=float)
        if weights.shape != expected:
            raise ShapeError(f"weights have the shape of the outputs, {expected}; got {weights.shape}")
        ops, law = self.ops, self.ops.law
        self.result = np.zeros(len(self.wrt))
        self.march.stages.begin()
        self._key, self._same = None, False
        u_bar = np.zeros(ops.n)
        z_bar = np.zeros((0, 0)) if law is None else np.zeros((law.n_points, law.n_z))
        self.reference_bar = 0.0
        for stretch in reversed(self.tape.stretches):
            u_bar, z_bar = self._stretch(stretch, u_bar, z_bar, weights)
        self._start(u_bar, z_bar, weights)
        if ops.comm.size > 1:
            out = np.empty_like(self.result)
            ops.comm.Allreduce(self.result, out, op=MPI.SUM)
            return out
        return self.result

    # -- parameters -------------------------------------------------------------------------------------------------
    def _inputs(self, stretch: Stretch) -> PhaseInputs:
        lines = lines_of(self.march.phase(stretch), self.march.values_, self.wrt)
        return PhaseInputs(lines, stretch.phase_start, np.zeros(len(self.wrt)))

    def _collect(self, theta_bar: Array, inputs: PhaseInputs | None, t: float) -> None:
        """theta_bar at a moment, carried to the names of wrt."""
        s = self.ops.symbols
        self.result += theta_bar[: s.n_p] @ self.d_p
        if s.n_s and inputs is not None and self.wanted[s.n_p :].any():
            self.result += theta_bar[s.n_p : s.n_p + s.n_s] @ inputs.tangent(t, left=True)

    # -- a stretch --------------------------------------------------------------------------------------------------
    def _stretch(self, stretch: Stretch, u_bar: Array, z_bar: Array, weights: Array) -> tuple[Array, Array]:
        march, ops = self.march, self.ops
        inputs = self._inputs(stretch)
        middle = 0.5 * (stretch.t0 + stretch.t1)
        value, slope = inputs.at(middle) if ops.symbols.n_s else (np.empty(0), np.empty(0))

        def theta_at(t: float) -> Array:
            return np.concatenate([march.p, value + slope * (t - middle), [t]])

        if not march.stepped:
            for i, _, _ in stretch.samples:
                t = float(self.times[i])
                end = stretch.steps[-1].stages[-1]
                self._memoryless(end.u, theta_at(t), inputs, t, weights[i])
            return u_bar, z_bar
        for number in range(len(stretch.steps) - 1, -1, -1):
            step = stretch.steps[number]
            samples = [(i, x) for i, n, x in stretch.samples if n == number]
            u_bar, z_bar = self._step(step, samples, theta_at, inputs, u_bar, z_bar, weights)
        return u_bar, z_bar

    def _memoryless(self, u: Array, theta: Array, inputs: PhaseInputs, t: float, weights: Array) -> None:
        ops = self.ops
        self.march.observers.write(u, None, theta)
        v, _, theta_bar = self.march.observers.pulled(u, None, theta, weights)
        self._collect(theta_bar, inputs, t)
        self._matrix = ops.jacobian(0.0, 1.0, theta, self._matrix)
        self._solve_back(0.0, 1.0, Stage(u, np.zeros((0, 0)), np.zeros((0, 0))), theta, v, inputs, t)
        if ops.any_held:
            # Prescribed values act on the solution directly and through the residual.
            self._essential(theta, v - self._full_transpose(0.0, 1.0, None, u, theta), inputs, t)

    def _solve_back(
        self, q: float, g: float, stage: Stage, theta: Array, v: Array, inputs: PhaseInputs, t: float
    ) -> Array:
        """l with J^T l = v on free rows; prescribed values and theta of the residual are carried to the parameters."""
        ops = self.ops
        solver = self.march.stages.solver
        if not self._same:
            solver.set_operator(self._matrix)
        right = v.copy()
        right[ops.held] = 0.0
        adjoint = solver.solve(right, transpose=True, family=-1)
        adjoint[ops.held] = 0.0
        ops.symbols.set(theta)
        ops.write(stage.u)
        if ops.law is not None:
            ops.law.write(stage.z)
        self.pull.write_weight(-adjoint)
        self._collect(self.pull.by_theta(q, g, self.wanted, stage.u, theta), inputs, t)
        return adjoint

    # -- a step -----------------------------------------------------------------------------------------------------
    def _step(
        self,
        step: Step,
        samples: list[tuple[int, float]],
        theta_at: Callable[[float], Array],
        inputs: PhaseInputs,
        u_bar: Array,
        z_bar: Array,
        weights: Array,
    ) -> tuple[Array, Array]:
        march, ops, law, scheme = self.march, self.ops, self.ops.law, self.march.scheme
        h, n_stages, transient = step.h, len(scheme.a), march.transient
        timed = law is not None and law.timed
        u_stage = [np.zeros(ops.n) for _ in range(n_stages)]
        z_stage = [np.zeros_like(z_bar) for _ in range(n_stages)]
        u_stage[-1] += u_bar
        z_stage[-1] += z_bar
        u_start, z_start = np.zeros(ops.n), np.zeros_like(z_bar)
        implicit = [k for k, c in enumerate(scheme.c) if c > 0.0]
        for i, x in samples:
            share, _ = interpolation(scheme, x)
            v, dz = self._sampled(step, x, theta_at(float(self.times[i])), inputs, float(self.times[i]), weights[i])
            u_start += share[0] * v
            z_start = z_start + share[0] * dz if dz is not None else z_start
            for s, k in zip(share[1:], implicit, strict=True):
                u_stage[k] += s * v
                if dz is not None:
                    z_stage[k] = z_stage[k] + s * dz
        flow_bar = [np.zeros(ops.n) for _ in range(n_stages)]
        rate_bar = [np.zeros_like(z_bar) for _ in range(n_stages)]
        storage_bar = np.zeros(ops.n)
        rates = []
        if timed and law is not None:
            for c, stage in zip(scheme.c, step.stages, strict=True):
                rates.append(law.rate(stage.z, stage.e, theta_at(step.t + c * h)))
        for i in range(n_stages - 1, -1, -1):
            stage, row = step.stages[i], scheme.a[i]
            t = step.t + scheme.c[i] * h
            theta = theta_at(t)
            v, zb = u_stage[i], z_stage[i]
            if self._anywhere(flow_bar[i]):
                dv, dz = self._flow(stage, theta, flow_bar[i], inputs, t)
                v = v + dv
                zb = zb + dz if dz is not None else zb
            if timed and law is not None and self._anywhere(rate_bar[i]):
                dv, dz = self._rate(stage, theta, rate_bar[i], inputs, t)
                v, zb = v + dv, zb + dz
            if row[i] == 0.0:
                u_start += v
                z_start = z_start + zb
                continue
            q, g = (1.0, h * row[i]) if transient else (0.0, 1.0)
            base = step.z
            if timed:
                base = step.z + h * sum((a * r for a, r in zip(row[:i], rates[:i], strict=True)), 0.0 * step.z)
            key = (q, g, ops.matrix_key(theta))
            self._same = ops.linear and key == self._key
            if not self._same:
                self._matrix = jacobian_at(ops, q, g, stage, base, theta, self._matrix)
            self._key = key
            slopes = None if law is None else law.slopes(stage.z, stage.e, base, g, theta)
            if slopes is not None:
                v = v + self._given(stage, theta, np.einsum("nij,ni->nj", slopes.e, zb))
            adjoint = self._solve_back(q, g, stage, theta, v, inputs, t)
            if ops.any_held:
                # Prescribed values act on the solution directly and through the residual.
                through = v - self._full_transpose(q, g, slopes, stage.u, theta)
                self._essential(theta, through, inputs, t)
            if slopes is not None and law is not None:
                from_residual = self.pull.by_local(q, g)
                total = zb if from_residual is None else zb + from_residual
                self._collect_local(np.einsum("nij,ni->j", slopes.theta, total), inputs, t)
                base_bar = np.einsum("nij,ni->nj", slopes.base, total)
                z_start = z_start + base_bar
                if timed:
                    for j, a in enumerate(row[:i]):
                        rate_bar[j] = rate_bar[j] + h * a * base_bar
            if transient:
                storage_bar += adjoint
                for j, a in enumerate(row[:i]):
                    if a != 0.0:
                        flow_bar[j] -= h * a * adjoint
        if transient:
            theta = theta_at(step.t)
            dv, dz = self._weighted(1.0, 0.0, step.u, step.z, theta, storage_bar, inputs, step.t)
            u_start += dv
            z_start = z_start + dz if dz is not None else z_start
        if ops.any_held and transient:
            self._essential(theta_at(step.t), u_start, inputs, step.t)
            u_start[ops.held] = 0.0
        return u_start, z_start

    def _anywhere(self, a: Array) -> bool:
        """Whether an entry is not zero on any rank: all of them go on together (one may hold no reacting cell)."""
        return bool(self.ops.comm.allreduce(bool(a.any()), op=MPI.LOR))

    def _full_transpose(self, q: float, g: float, slopes, u: Array, theta: Array) -> Array:  # type: ignore[no-untyped-def]
        """J^T l with the local states' part, before rows and columns were struck; the weights last written are -l."""
        result = -self.pull.by_field(q, g, u, theta)
        local = self.pull.by_local(q, g)
        if slopes is not None and local is not None:
            result = result - self.pull.given(np.einsum("nij,ni->nj", slopes.e, local))
        return result

    def _essential(self, theta: Array, bar: Array, inputs: PhaseInputs, t: float) -> None:
        start = 0
        for e in self.ops.f.essential:
            jacobian = e.value.jacobian(theta)
            self._collect(bar[e.dofs] @ jacobian, inputs, t)
            start += e.dofs.size

    def _given(self, stage: Stage, theta: Array, e_bar: Array) -> Array:
        self.ops.symbols.set(theta)
        self.ops.write(stage.u)
        return self.pull.given(e_bar)

    def _collect_local(self, theta_bar: Array, inputs: PhaseInputs, t: float) -> None:
        self._collect(theta_bar, inputs, t)

    def _weighted(
        self, q: float, r: float, u: Array, z: Array, theta: Array, w: Array, inputs: PhaseInputs | None, t: float
    ) -> tuple[Array, "Array | None"]:
        """(q Q + r R)_u^T w and _z^T w; theta's part goes to the parameters."""
        ops = self.ops
        ops.symbols.set(theta)
        ops.write(u)
        if ops.law is not None:
            ops.law.write(z)
        self.pull.write_weight(w)
        self._collect(self.pull.by_theta(q, r, self.wanted, u, theta), inputs, t)
        return self.pull.by_field(q, r, u, theta), self.pull.by_local(q, r)

    def _flow(
        self, stage: Stage, theta: Array, w: Array, inputs: PhaseInputs, t: float
    ) -> tuple[Array, "Array | None"]:
        return self._weighted(0.0, 1.0, stage.u, stage.z, theta, w, inputs, t)

    def _rate(self, stage: Stage, theta: Array, r_bar: Array, inputs: PhaseInputs, t: float) -> tuple[Array, Array]:
        law = self.ops.law
        assert law is not None
        by_z, by_e, by_theta = law.rate_slopes(stage.z, stage.e, theta)
        self._collect(np.einsum("nij,ni->j", by_theta, r_bar), inputs, t)
        dv = self._given(stage, theta, np.einsum("nij,ni->nj", by_e, r_bar))
        return dv, np.einsum("nij,ni->nj", by_z, r_bar)

    # -- samples and the start --------------------------------------------------------------------------------------
    def _sampled(
        self, step: Step, x: float, theta: Array, inputs: PhaseInputs, t: float, weights: Array
    ) -> tuple[Array, "Array | None"]:
        u, z = self.march.between(step, x)
        return self._observed(u, z, theta, inputs, t, weights)

    def _observed(
        self, u: Array, z: Array, theta: Array, inputs: PhaseInputs | None, t: float, weights: Array
    ) -> tuple[Array, "Array | None"]:
        observers = self.march.observers
        local = z if self.ops.law is not None else None
        observers.write(u, local, theta)
        v, dz, theta_bar = observers.pulled(u, local, theta, weights[: len(observers)])
        self._collect(theta_bar, inputs, t)
        if self.march.transient:
            energy = float(weights[len(observers)] + weights[len(observers) + 1])
            if energy != 0.0:
                # The balance is closed along every direction: supplied moves as stored does.
                ones = np.full(self.ops.n, energy)
                dv, dz_energy = self._weighted(1.0, 0.0, u, z, theta, ones, inputs, t)
                v = v + dv
                if dz_energy is not None:
                    dz = dz_energy if dz is None else dz + dz_energy
                self.reference_bar -= energy
        return v, dz

    def _start(self, u_bar: Array, z_bar: Array, weights: Array) -> None:
        start, march, ops = self.tape.start, self.march, self.ops
        theta = march.theta(start, start.t, left=True)
        inputs = self._inputs(Stretch(max(start.phase, 0), start.phase_start, start.t, start.t))
        for i in self.tape.before:
            if not march.stepped:
                self._memoryless(start.u, theta, inputs, start.t, weights[i])
                continue
            v, dz = self._observed(start.u, start.z, theta, inputs, start.t, weights[i])
            u_bar = u_bar + v
            z_bar = z_bar + dz if dz is not None else z_bar
        if not march.stepped or start.phase >= 0:
            return  # no memory, or a start that is held fixed
        if not march.transient and ops.law is not None:
            step, theta = march.first_step(start)
            u_bar, z_bar = self._step(step, [], lambda _: theta, inputs, u_bar, z_bar, weights[0])
        if march.transient and self.reference_bar != 0.0:
            ones = np.full(ops.n, self.reference_bar)
            dv, dz = self._weighted(1.0, 0.0, start.u, start.z, theta, ones, inputs, start.t)
            u_bar = u_bar + dv
            z_bar = z_bar + dz if dz is not None else z_bar
        initial = self.model.discretized.initial
        if initial is not None:
            self._collect(u_bar @ initial.jacobian(theta), inputs, start.t)
        if ops.law is not None:
            self._collect(np.einsum("nij,ni->j", ops.law.initial_slope(theta), z_bar), inputs, start.t)
