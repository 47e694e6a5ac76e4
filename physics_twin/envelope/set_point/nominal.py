"""Limits and objectives for one value of the parameters, with their slopes by the settings.

Where the model has exact derivatives they are used: the slope of an output at a sample is that at a fixed time plus
dy/dt times the way the sample moves when a setting is a duration. Reductions are differentiated along that direction
by a central difference of the reduction alone, without a simulation; for a final value, a mean or an integral, which
are linear in the samples, it is exact to rounding. Elsewhere slopes are central differences of the simulation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.checkpoints import Arrays
from physics_twin.envelope.files.records import identity
from physics_twin.envelope.limits.requirements import Requirement, moments
from physics_twin.envelope.margins.evaluation import FailedRun, unfinished
from physics_twin.envelope.margins.members import phase_times, sample_times
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.set_point.objectives import Target
from physics_twin.errors import SolveError
from physics_twin.model import Model, Sensitivities
from physics_twin.recipes import Recipe

STEP = 1e-3
"""Of a central difference over simulations, relative to a setting's range: an integrator's noise of 1e-8 then leaves
1e-5 of a slope, and the third derivative 1e-6."""
ALONG = 1e-6
"""Of a difference of a reduction alone, relative to the largest sample."""


class Nominal:
    """Margins of the limits and numbers of the objectives over the settings, for one batch.

    `at(u)` gives numbers (n,) in SI, limits first, and slopes (n, d) by u in the unit cube; None for a failed run.
    Every point is simulated once and remembered.
    """

    def __init__(self, simulate: Simulator, targets: Sequence[Target], values: Mapping[str, Any]) -> None:
        self.simulate = simulate
        """About limits and objectives that need a simulation; counts."""
        self.targets = tuple(targets)
        self.values = dict(values)
        self.exact = has_slopes(simulate.problem.model, simulate.problem.recipe, simulate.problem.requirements)
        self._known: dict[bytes, tuple[Array, Array] | None] = {}
        problem = replace(simulate.problem, model=simulate.problem.model.fingerprint)  # type: ignore[arg-type]
        self._about = identity(problem) if simulate.memo.path else ""

    @property
    def batch(self) -> Batches:
        """The one batch that it is about."""
        return one_batch(self.values, self.simulate.problem.requirements)

    def at(self, u: Array) -> tuple[Array, Array] | None:
        """Numbers (n_limits + n_targets,) and slopes (same, d) at a point of the unit cube."""
        key = u.tobytes()
        if key not in self._known:
            simulated = self._exactly(u) if self.exact else self._by_differences(u)
            self._known[key] = None if simulated is None else self._complete(u, *simulated)
        return self._known[key]

    def values_at(self, u: Array) -> Array | None:
        """Numbers (n_limits + n_targets,) alone, without slopes: one simulation."""
        problem = self.simulate.problem
        margins = np.zeros(0)
        if problem.requirements:
            margins = self.simulate(self.batch, u[None])[0, 0]
        if not np.isfinite(margins).all():
            return None
        return self._complete(u, margins, np.zeros((len(margins), u.size)))[0]

    def _complete(self, u: Array, margins: Array, slopes: Array) -> tuple[Array, Array]:
        """The simulated margins with those of the targets as numbers, and with the targets that are settings."""
        problem = self.simulate.problem
        n_limits = len(problem.requirements) - sum(not t.of_setting for t in self.targets)
        numbers, rows = list(margins[:n_limits]), list(slopes[:n_limits])
        outputs = iter(range(n_limits, len(margins)))
        for target in self.targets:
            if target.of_setting:
                width = (problem.high - problem.low)[target.column]
                numbers.append(float(problem.si(u)[target.column]))
                rows.append(width * np.eye(u.size)[target.column])
            else:
                j = next(outputs)
                numbers.append(float(target.from_margins(margins[j])))
                rows.append(target.from_margins(slopes[j]))
        return np.array(numbers), np.array(rows).reshape(len(numbers), u.size)

    def _by_differences(self, u: Array) -> tuple[Array, Array] | None:
        d = u.size
        up, down = np.minimum(u + STEP, 1.0), np.maximum(u - STEP, 0.0)
        points = np.concatenate([u[None], np.where(np.eye(d) > 0.0, up, u), np.where(np.eye(d) > 0.0, down, u)])
        margins = self.simulate(self.batch, points)[:, 0]
        if not np.isfinite(margins).all():
            return None
        slopes = (margins[1 : d + 1] - margins[d + 1 :]) / (up - down)[:, None]
        at_edge = (u - STEP < 0.0) | (u + STEP > 1.0)
        if at_edge.any():  # one-sided there: a second point further in makes it second order again
            slopes = self._edge_slopes(u, margins, slopes, at_edge)
        return margins[0], slopes.T

    def _edge_slopes(self, u: Array, margins: Array, slopes: Array, at_edge: NDArray[np.bool_]) -> Array:
        rows = np.flatnonzero(at_edge)
        inward = np.where(u[rows] < 0.5, STEP, -STEP)
        near, far = np.tile(u, (len(rows), 1)), np.tile(u, (len(rows), 1))
        near[np.arange(len(rows)), rows] += inward
        far[np.arange(len(rows)), rows] += 2.0 * inward
        found = self.simulate(self.batch, np.concatenate([near, far]))[:, 0]
        first, second = found[: len(rows)], found[len(rows) :]
        better = (4.0 * first - 3.0 * margins[0] - second) / (2.0 * inward[:, None])
        slopes[rows] = np.where(np.isfinite(better), better, slopes[rows])
        return slopes

    def _exactly(self, u: Array) -> tuple[Array, Array] | None:
        problem = self.simulate.problem
        requirements = problem.requirements
        if not requirements:
            return np.zeros(0), np.zeros((0, u.size))
        model, recipe = problem.model, problem.recipe
        assert isinstance(model, Sensitivities)
        names = [s.name for s in problem.settings]
        values = {**self.values, **dict(zip(names, problem.si(u).tolist(), strict=True))}
        times, sampled, moving = self._times(u)
        self.simulate.n_simulations += 1

        def solved() -> Arrays:
            outputs, jacobian, _ = model.sensitivity(sampled, recipe, values, [*names, "time"])
            return {"outputs": outputs, "jacobian": jacobian}

        numbers = tuple(np.asarray(values[name], dtype=float) for name in sorted(values))
        try:
            found = self.simulate.memo.recall(f"slopes {self._about} {sorted(values)}", (sampled, *numbers), solved)
        except SolveError as error:
            self._failed(values, names, error.reason, error.time)
            return None
        outputs, jacobian = found["outputs"], found["jacobian"]
        widths = problem.high - problem.low
        by_setting = jacobian[:, :, :-1] * widths + jacobian[:, :, -1:] * moving[:, None, :]
        margins = np.array([r.margins(times[None], outputs[None])[0] for r in requirements])
        if not np.isfinite(margins).all():
            self._failed(values, names, unfinished(requirements, margins), float(times[-1]))
            return None
        slopes = np.zeros((len(requirements), u.size))
        for i in range(u.size):
            along, forward = by_setting[:, :, i], moving[:, i]
            size = max(float(np.abs(along).max()), 1e-300)
            h = ALONG * max(float(np.abs(outputs).max()), 1e-300) / size
            ends = [
                np.array([r.margins((times + s * forward)[None], (outputs + s * along)[None])[0] for r in requirements])
                for s in (h, -h)
            ]
            slopes[:, i] = (ends[0] - ends[1]) / (2.0 * h)
        return (margins, slopes) if np.isfinite(slopes).all() else None

    def _failed(self, values: Mapping[str, Any], names: Sequence[str], reason: str, time: float) -> None:
        settings = {name: float(values[name]) for name in names}
        batch = {name: float(v) for name, v in self.values.items() if np.ndim(v) == 0}
        self.simulate.failures.append(FailedRun(settings, batch, reason, time))

    def _times(self, u: Array) -> tuple[Array, Array, Array]:
        """Times (n,) s as reductions see them and as the model is asked, and how they move with u, (n, d)."""
        problem = self.simulate.problem
        d, h = u.size, 1e-3
        # Ends of phases are linear in the settings that are durations, so a wide difference is exact.
        points = np.concatenate([u[None], u + h * np.eye(d), u - h * np.eye(d)])
        members = {
            name: np.repeat(np.asarray(v, dtype=float)[None], 2 * d + 1, axis=0) for name, v in self.values.items()
        }
        members |= {s.name: problem.si(points)[:, j] for j, s in enumerate(problem.settings)}
        ends, _ = phase_times(problem.model, problem.recipe, members)
        dense = any(r.reduction.dense for r in problem.requirements)
        shown, sampled = sample_times(
            ends, problem.n_nodes if dense else 0, moments(problem.requirements), problem.recipe
        )
        moving = (sampled[1 : d + 1] - sampled[d + 1 :]).T / (2.0 * h)
        return shown[0], sampled[0], moving


def has_slopes(model: Model, recipe: Recipe, requirements: Sequence[Requirement]) -> bool:
    """Whether limits and objectives have exact slopes: the model has, and phases end by the clock."""
    timed = all(phase.duration is not None for phase in recipe.phases)
    plain = all(r.fault is None for r in requirements)
    return isinstance(model, Sensitivities) and timed and plain


def one_batch(values: Mapping[str, Any], requirements: Sequence[Requirement] = ()) -> Batches:
    """One batch whose parameters are known, read without error: what is reported in the middle is the true value."""
    columns = {name: np.asarray(v, dtype=float)[None] for name, v in values.items()}
    return Batches(columns, {}, 1, {r.reading: np.zeros(1) for r in requirements if r.noise})
