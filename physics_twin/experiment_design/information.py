"""What a planned experiment would tell: expected information matrices, linearized at draws of the posterior.

The experiment is set up as a calibration problem, so sampling windows, delays, biases and shapes of noise count as they
will when it is fitted, and derivatives are the ones a fit would use: exact where the model has them. The expected
information of n samples with the whitened Jacobian J is J^T J (Atkinson, Donev and Tobias 2007, chapter 9); where the
noise grows with the value, its size tells too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.errors import CalibrationError, PhysicsTwinError, SolveError
from physics_twin.estimation.evaluation import Differences, Point, evaluate
from physics_twin.estimation.likelihood.local_model import local_model
from physics_twin.estimation.likelihood.terms import relative_variance_slope, terms
from physics_twin.estimation.log_density import start_psi
from physics_twin.estimation.problem import Problem, set_up
from physics_twin.estimation.unknowns import OF_NOISE
from physics_twin.experiment_design.knowledge import Knowledge, own_values, resolved, t_slope
from physics_twin.experiment_design.planned import Planned, simulated
from physics_twin.parameters import Parameter, Values
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import bound_initials

STEP = Differences(1e-3, True)
"""For parameters whose derivatives the model does not give; the step of a fit."""


@dataclass(frozen=True)
class Layout:
    """A planned experiment as a calibration problem, and which of its columns are shared."""

    problem: Problem
    x: Array
    """(n_draws, d) SI"""
    psi: Array
    """(n_draws, n_psi)"""
    shared: tuple[int, ...]
    """Number of the shared column for each column of the problem, -1 for one of its own."""
    slope: Array
    """(n_u, n_s) of what is its own, see knowledge.py."""
    root: Array
    """(n_u, n_u)"""


def lay_out(planned: Planned, known: Knowledge) -> Layout:
    """Set a planned experiment up. Raises what `calibrate` raises for an experiment like it; SolveError."""
    posterior, model = known.posterior, known.model
    bound = bound_initials(planned.recipe, model)
    places = {*model.parameters, *planned.recipe.settings} - bound - set(planned.values)
    shared = [p for n, p in posterior.parameters.items() if n in places]
    own = {}
    for n, p in posterior.parameters.items():
        base = n.partition("@")[0]
        if "@" in n and base in places and base not in own:
            own[base] = p.replace(name=base)
    unknown = [*shared, *own.values()]
    full = resolved(known, planned.recipe, planned.values)
    experiment = simulated("planned", planned, model, full)
    names = {p.name for p in unknown}
    held = Values({n: v for n, v in full.items() if n not in names and n not in bound})
    problem = set_up(model, (experiment,), unknown, held)
    members = known.members(planned.recipe, planned.values, np.arange(posterior.n_draws))
    a, root = own_values(known, members, [p for p in own.values() if p.name in problem.names])
    columns = [
        members[c.name][known.rows] if c.name in members else _sensor(c.parameter, posterior, known)
        for c in problem.columns
    ]
    where = tuple(-1 if n in own else known.index(n) for n in problem.names)
    return Layout(problem, np.column_stack(columns), _psi(problem, posterior, known), where, a, root)


def _sensor(parameter: Parameter, posterior: Posterior, known: Knowledge) -> Array:
    if parameter.name in posterior.parameters:
        return posterior[parameter.name][known.rows]
    return np.full(known.rows.size, parameter.value)


def _psi(problem: Problem, posterior: Posterior, known: Knowledge) -> Array:
    """Logarithms of noise levels and shapes: drawn where the posterior has them, else their starting values."""
    found = np.tile(start_psi(problem), (known.rows.size, 1))
    for k, name in enumerate(n for n in problem.parameters if n not in problem.names):
        if name in posterior.parameters and name.startswith(OF_NOISE):
            found[:, k] = np.log(posterior[name][known.rows])
    return found


def informations(layout: Layout, memo: Memo) -> tuple[Array, int, str]:
    """Information (n_draws, n_s, n_s) about the shared columns; how many draws failed, and why the first one did."""
    n_s = layout.slope.shape[1]
    found = np.zeros((len(layout.x), n_s, n_s))
    failures = []
    for i, (x, psi) in enumerate(zip(layout.x, layout.psi, strict=True)):
        try:
            point = evaluate(layout.problem, layout.problem.space.z(x), STEP, memo)
        except SolveError as error:
            failures.append(str(error))
            continue
        found[i] = _without_own(layout, _information(layout.problem, point, psi))
    return found, len(failures), failures[0] if failures else ""


def _information(problem: Problem, point: Point, psi: Array) -> Array:
    """(d, d) about all columns of the problem, in coordinates t."""
    local = local_model(problem, point)
    at = terms(problem.sample_noise, psi, local)
    white = local.jacobian / at.s[:, None]
    chained = np.flatnonzero(at.phi > 0.0)
    before = white[problem.sample_noise.before[chained]]
    rows = white.copy()
    rows[chained] -= at.phi[chained, None] * before
    rows *= np.sqrt(at.expected / at.rest)[:, None]
    found = rows.T @ rows
    relative = relative_variance_slope(at, local)
    if relative is not None:
        found = found + 0.5 * relative.T @ relative
    dx_dt = np.array([t_slope(c.parameter, point.x[j : j + 1])[0] for j, c in enumerate(problem.columns)])
    scale = dx_dt / problem.space.slope(point.x)
    return np.asarray(scale[:, None] * found * scale)


def _without_own(layout: Layout, found: Array) -> Array:
    """The information about the shared columns when those of the experiment's own are marginalized."""
    n_s = layout.slope.shape[1]
    shared = np.array(layout.shared)
    mine = np.flatnonzero(shared < 0)
    place = np.zeros((shared.size, n_s))
    place[shared >= 0, shared[shared >= 0]] = 1.0
    place[mine] = layout.slope
    about = place.T @ found @ place
    if not mine.size:
        return np.asarray(about)
    e = found[np.ix_(mine, mine)]
    cross = place.T @ found[:, mine] @ layout.root
    inner = np.eye(mine.size) + layout.root.T @ e @ layout.root
    return np.asarray(about - cross @ np.linalg.solve(inner, cross.T))


def sensors_of(candidates: Sequence[Planned]) -> list[Parameter]:
    """Biases and delays that the channels declare unknown, each once."""
    found = {
        p.name: p
        for planned in candidates
        for channel in planned.channels
        for what, p in channel.parameters.items()
        if what in ("bias", "delay")
    }
    return list(found.values())


def attempt(name: str, planned: Planned, known: Knowledge) -> "Layout | str":
    """The layout, or why the experiment cannot be simulated at all; mistakes of the person are raised with its name."""
    try:
        return lay_out(planned, known)
    except SolveError as error:
        return f"it cannot be simulated: {error}"
    except PhysicsTwinError as error:
        if isinstance(error, CalibrationError) and "nothing is unknown" in str(error):
            return "it depends on nothing that is unknown"
        raise type(error)(f'candidate "{name}": {error}') from None
