"""Runs in which a fault happens, and the margins that limits keep in them.

Where phases end by the clock their times are known, and all members with a fault at the same place of the recipe are
simulated together. A phase that ends on a level ends at another time under the fault: a first run of each member finds
out when, the second has phases of that length.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.limits.fault_recipes import (
    Cut,
    Interrupted,
    Rows,
    amounts,
    interrupted,
    recovery,
    same_recipe,
)
from physics_twin.envelope.limits.faults import BoundFault
from physics_twin.envelope.limits.requirements import Requirement, margins_of, moments
from physics_twin.envelope.margins.members import GRADING, Begun, simulate_members
from physics_twin.errors import EnvelopeError, SolveError
from physics_twin.model import Failure, Model, Phased
from physics_twin.recipes import Recipe, Steady
from physics_twin.units import unit as as_unit

FIRST = 1e-3
"""Share of the first phase before which nothing fails in a run that starts from the steady state: that state is the one
of the recipe's inputs and not of the fault's."""
N_CLOSER = 2
"""Simulations that refine the worst moment of each limit."""
APART = 0.02
"""A refined moment keeps this share of the way to its neighbors from them: nothing is learnt beside a known one."""


@dataclass(frozen=True)
class Runs:
    """Members that are simulated under a fault."""

    model: Model
    recipe: Recipe
    values: Mapping[str, Array]
    """name -> (n,) SI."""
    begun: Begun
    """Phases of the runs without the fault."""
    fault: BoundFault
    requirements: tuple[Requirement, ...]
    n_nodes: int

    @property
    def n(self) -> int:
        """Number of members."""
        return len(self.begun[0])

    @property
    def begins(self) -> Array:
        """Beginning of each phase and end of the last, (n, n_phases + 1) s, without the fault."""
        return self.begun[0]

    def take(self, rows: Rows) -> "Runs":
        """Some of the members."""
        return replace(
            self,
            values={name: column[rows] for name, column in self.values.items()},
            begun=(self.begins[rows], []),
        )


def margins_under(runs: Runs, undisturbed: Array) -> tuple[Array, tuple[Failure, ...]]:
    """Margins (n, n_requirements) in the runs with the fault, of the worst moment where none is given; and failures.

    undisturbed: (n, n_requirements) margins of the runs without it, which is what a fault at the very end comes to.
    """
    failures: dict[int, Failure] = {}
    alive = np.flatnonzero(np.isfinite(runs.begins[:, -1]) & np.isfinite(undisturbed).all(axis=1))
    margins = np.full(undisturbed.shape, np.nan)
    if alive.size:
        some = runs.take(alive)
        if runs.fault.at is not None:
            moment = np.full(alive.size, runs.fault.at)
            margins[alive], found = _at(some, moment, undisturbed[alive])
        else:
            margins[alive], found = _worst(some, undisturbed[alive])
        failures = {int(alive[f.member]): f for f in found}
    told = tuple(Failure(i, f"under {runs.fault}: {f.reason}", f.time) for i, f in failures.items())
    return margins, told


def n_runs(fault: BoundFault, n_requirements: int, n_phases: int) -> int:
    """Simulations of each member under a fault."""
    if fault.at is not None:
        return 1
    return _in_each_phase(fault, n_phases) * n_phases + N_CLOSER * n_requirements


def _in_each_phase(fault: BoundFault, n_phases: int) -> int:
    return max(2, -(-fault.moments // n_phases))


def never_in(ends: Array, moment: Array | float) -> NDArray[np.bool_]:
    """(n,) whether a run that ends at `ends` (n,) s is over when a fault would begin."""
    over: NDArray[np.bool_] = moment >= ends - 1e-12 * np.maximum(ends, 1.0)
    return over


def _worst(runs: Runs, undisturbed: Array) -> tuple[Array, list[Failure]]:
    """Margins at the worst moment of each member and requirement."""
    n_phases = len(runs.recipe.phases)
    n_each = _in_each_phase(runs.fault, n_phases)
    grid = (np.arange(n_each) / n_each) ** GRADING
    lengths = np.diff(runs.begins, axis=1)
    times = (runs.begins[:, :-1, None] + lengths[:, :, None] * grid).reshape(runs.n, -1)
    times = np.concatenate([times, runs.begins[:, -1:]], axis=1)
    seen = np.empty((*times.shape, len(runs.requirements)))
    seen[:, -1] = undisturbed
    failures: list[Failure] = []
    for k in range(times.shape[1] - 1):
        seen[:, k], more = _at(runs, times[:, k], undisturbed)
        failures += more
    worst = np.empty((runs.n, len(runs.requirements)))
    for j in range(len(runs.requirements)):
        worst[:, j], more = _refined(runs, times, seen[:, :, j], j, undisturbed)
        failures += more
    return worst, failures


def _refined(runs: Runs, times: Array, margins: Array, j: int, undisturbed: Array) -> tuple[Array, list[Failure]]:
    """Smallest margin (n,) over the moments, looked at more closely where it is inside; times, margins: (n, m)."""
    rows, failures = np.arange(runs.n), []
    for _ in range(N_CLOSER):
        k = np.clip(np.where(np.isfinite(margins), margins, np.inf).argmin(axis=1), 1, times.shape[1] - 2)
        three = k[:, None] + np.array([-1, 0, 1])
        moment = _vertex(np.take_along_axis(times, three, axis=1), np.take_along_axis(margins, three, axis=1))
        found, more = _at(runs, moment, undisturbed)
        failures += more
        times = np.concatenate([times, moment[:, None]], axis=1)
        margins = np.concatenate([margins, found[:, j : j + 1]], axis=1)
        order = np.argsort(times, axis=1, kind="stable")
        times, margins = times[rows[:, None], order], margins[rows[:, None], order]
    smallest: Array = margins.min(axis=1)  # NaN where the run failed at any moment
    return smallest, failures


def _vertex(t: Array, y: Array) -> Array:
    """Where the parabola through three points (n, 3) is lowest, between the outer two and apart from all three."""
    left, right = t[:, 1] - t[:, 0], t[:, 2] - t[:, 1]
    a, b = y[:, 0] - y[:, 1], y[:, 2] - y[:, 1]  # how far the neighbors lie above
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = 0.5 * (a * right**2 - b * left**2) / (a * right + b * left)
    inside = np.isfinite(shift) & (a >= 0.0) & (b >= 0.0)
    # At an edge of the moments tried the parabola says nothing: the half towards the lower neighbor.
    shift = np.where(inside, shift, np.where(a < b, -0.5 * left, 0.5 * right))
    near = np.where(shift < 0.0, np.minimum(shift, -APART * left), np.maximum(shift, APART * right))
    return np.asarray(t[:, 1] + np.clip(near, -(1.0 - APART) * left, (1.0 - APART) * right))


def _at(runs: Runs, moment: Array, undisturbed: Array) -> tuple[Array, list[Failure]]:
    """Margins (n, n_requirements) with the fault at a moment (n,) s of each member's own."""
    margins, failures = undisturbed.copy(), []
    ends = runs.begins[:, -1]
    hit = np.flatnonzero(~never_in(ends, moment))
    phase = np.array([int(np.searchsorted(b, m, side="right")) - 1 for b, m in zip(runs.begins, moment, strict=True)])
    for number in np.unique(phase[hit]):
        rows = hit[phase[hit] == number]
        some, after = runs.take(rows), moment[rows] - runs.begins[rows, number]
        if number == 0 and isinstance(runs.recipe.initial, Steady):
            after = np.maximum(after, FIRST * some.begins[:, 1])
        for part, cut, lengths, lost in _plans(some, int(number), after):
            if lost is not None:
                margins[rows[part]] = np.nan
                failures.append(Failure(int(rows[part][0]), lost.reason, lost.time))
                continue
            found, more = _simulated(some.take(part), cut, lengths)
            margins[rows[part]] = found
            failures += [Failure(int(rows[part][f.member]), f.reason, f.time) for f in more]
    return margins, failures


def _simulated(runs: Runs, cut: Cut, lengths: Array | None) -> tuple[Array, tuple[Failure, ...]]:
    written = interrupted(runs.model, runs.recipe, runs.values, runs.fault, cut, lengths)
    n_nodes = runs.n_nodes if any(r.reduction.dense for r in runs.requirements) else 0
    times, outputs, failures = simulate_members(
        runs.model, written.recipe, written.values, n_nodes, moments(runs.requirements)
    )
    return margins_of(runs.requirements, times, outputs), failures


type Plan = tuple[Rows, Cut, Array | None, SolveError | None]
"""Members (rows), where the fault is, lengths of their phases (n, n_kept) where they end on levels, what went wrong."""


def _plans(runs: Runs, phase: int, after: Array) -> list[Plan]:
    """Members by the recipe that serves them."""
    if any(p.duration is None for p in runs.recipe.phases):
        return [_own_plan(runs.take(np.array([i])), i, phase, after[[i]]) for i in range(runs.n)]
    moment = runs.begins[:, phase] + after + runs.fault.lasts
    back = [recovery(b, float(m)) for b, m in zip(runs.begins, moment, strict=True)]
    numbers = np.array([-1 if place is None else place[0] for place in back])
    later = np.array([0.0 if place is None else place[1] for place in back])
    plans: list[Plan] = []
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        cut = Cut(phase, after[rows]) if number < 0 else Cut(phase, after[rows], int(number), later[rows])
        values = {name: column[rows] for name, column in runs.values.items()}
        plans += [(rows[part], cut.of(part), None, None) for part in same_recipe(runs.recipe, cut, values)]
    return plans


def _own_plan(run: Runs, row: int, phase: int, after: Array) -> Plan:
    """Of one member whose phases end on levels: found by simulating it."""
    part = np.array([row])
    cut = Cut(phase, after)
    try:
        begins = _begins(run, cut)
        place = recovery(begins, float(run.begins[0, phase] + after[0]) + run.fault.lasts)
        if place is not None:
            cut = Cut(phase, after, place[0], np.array([place[1]]))
            begins = _begins(run, cut)
    except SolveError as error:
        return part, cut, None, error
    return part, cut, np.diff(begins)[None], None


def _begins(run: Runs, cut: Cut) -> Array:
    """Beginning of each phase and end of the last that is reached, (n_kept + 1,) s, of one member with the fault.

    Where a level is not reached the run ends with its phase, after at_most. Raises SolveError where a run fails.
    """
    model = run.model
    if not isinstance(model, Phased):
        raise EnvelopeError(f'the model "{model.name}" cannot tell when phases end (capability Phased)')
    written = interrupted(model, run.recipe, run.values, run.fault, cut)
    own = {name: float(column[0]) for name, column in written.values.items()}
    try:
        return _of_phases(written, np.asarray(model.phase_times(written.recipe, own)))
    except SolveError as error:
        failed = error
    reached = np.zeros(1)
    for n in range(1, len(written.recipe.phases) + 1):
        shorter = Recipe(written.recipe.phases[:n], initial=run.recipe.initial, hold_end=run.recipe.hold_end)
        try:
            reached = np.asarray(model.phase_times(shorter, own))
        except SolveError as error:
            waited = written.recipe.phases[n - 1].at_most
            if waited is None:
                raise
            given_up = float(reached[-1] + amounts(waited, as_unit("s"), written.values, 1)[0])
            if error.time < given_up * (1.0 - 1e-6) - 1e-6:
                raise  # it failed before it was given up
            return _of_phases(written, np.append(reached, given_up))
    raise failed


def _of_phases(written: Interrupted, begins: Array) -> Array:
    """Beginnings of the recipe's own phases from those of the pieces that they were cut into."""
    n = begins.size - 1
    first = [k for k in range(n) if k == 0 or written.owner[k] != written.owner[k - 1]]
    return begins[[*first, n]]
