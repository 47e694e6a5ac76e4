"""Members of an ensemble: simulations that differ in parameters, settings and durations, sampled as reductions need it.

`simulate_members` is the only place of an envelope that talks to a model. It takes the Ensembles capability where there
is one, one Trajectories run for each member otherwise, and steps with `advance` as a last resort.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import EnvelopeError, SolveError
from physics_twin.model import Ensembles, Failure, Model, Phased, Trajectories
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.units import to_si, unit as as_unit

GRADING = 1.5
"""Nodes of a phase stand at (i/n)**GRADING: transients live at the start of a phase."""
AFTER_JUMP = 1e-6
"""Share of a phase after which its first sample is taken: `observe` gives left limits, so a sample at the start of a
phase would show the value before the jump."""


type Begun = tuple[Array, list[Failure]]
"""Beginning of each phase and end of the last, (n_members, n_phases + 1) s, and the members that have none."""


def simulate_members(
    model: Model,
    recipe: Recipe,
    values: Mapping[str, Array],
    n_nodes: int,
    at: Sequence[float] = (),
    begun: Begun | None = None,
) -> tuple[Array, Array, tuple[Failure, ...]]:
    """Simulate members that differ in parameters and settings.

    values: name -> (n_members,) SI, every model parameter and open setting. n_nodes: samples in each phase, 0 for the
    end of the run only. at: further moments (s); where the run is over earlier they are sampled at its end. begun: what
    `phase_times` gives for these members, where it is known.

    Returns times (n_members, n_times) s, outputs (n_members, n_times, n_outputs) SI, failures. Phases begin at a
    double node in `times`, the second of which shows the value just after the jump.
    """
    n = len(next(iter(values.values())))
    ends, failures = phase_times(model, recipe, values) if begun is None else begun
    failed = {failure.member for failure in failures}
    good = np.array([i for i in range(n) if i not in failed], dtype=int)
    shown, sampled = sample_times(ends[good], n_nodes, at, recipe)
    times = np.zeros((n, shown.shape[1]))
    outputs = np.full((n, shown.shape[1], len(model.outputs)), np.nan)
    if len(good):
        times[good] = shown
        out, more = _run(model, recipe, {k: v[good] for k, v in values.items()}, sampled)
        outputs[good] = out
        failures = [*failures, *(Failure(int(good[f.member]), f.reason, f.time) for f in more)]
    for failure in failures:
        outputs[failure.member] = np.nan
    return times, outputs, tuple(failures)


def phase_times(model: Model, recipe: Recipe, values: Mapping[str, Array]) -> Begun:
    """Beginning of each phase and end of the last, (n_members, n_phases + 1) s, and the members that have none."""
    n = len(next(iter(values.values())))
    ends = np.zeros((n, len(recipe.phases) + 1))
    if any(phase.duration is None for phase in recipe.phases):
        return _phase_times_of_runs(model, recipe, values, ends)
    for i, phase in enumerate(recipe.phases):
        if isinstance(phase.duration, Setting):
            length = values[phase.duration.name]
        else:
            assert phase.duration is not None
            length = np.full(n, _clock(phase.duration, phase.name))
        ends[:, i + 1] = ends[:, i] + length
    backward = np.diff(ends, axis=1).min(axis=1) < 0.0
    failures = [
        Failure(int(i), f"a phase would last {np.diff(ends[i]).min():g} s", 0.0) for i in np.flatnonzero(backward)
    ]
    return ends, failures


def _clock(duration: object, phase: str) -> float:
    if isinstance(duration, str) and duration.split()[:1] == ["inf"]:
        raise EnvelopeError(
            f'phase "{phase}" has no end, so "final" and "peak" have no meaning; give the recipe a duration, '
            'for example Recipe.constant(duration="1 h", ...)'
        )
    return to_si(duration, as_unit("s"), name=f'duration of phase "{phase}"')  # type: ignore[arg-type]


def _phase_times_of_runs(model: Model, recipe: Recipe, values: Mapping[str, Array], ends: Array) -> Begun:
    """Phases that end on a level: only the run itself knows when."""
    if not isinstance(model, Phased):
        raise EnvelopeError(
            f'the recipe has phases that end on a level, and the model "{model.name}" cannot tell when they end '
            "(capability Phased); use phases with a duration"
        )
    failures: list[Failure] = []
    for i in range(len(ends)):
        try:
            ends[i] = model.phase_times(recipe, {name: float(v[i]) for name, v in values.items()})
        except SolveError as error:
            failures.append(Failure(i, error.reason, error.time))
    return ends, failures


def sample_times(ends: Array, n_nodes: int, at: Sequence[float], recipe: Recipe) -> tuple[Array, Array]:
    """Times (n, n_times) as reductions see them, and as the model is asked for them (just after a jump, not before)."""
    columns, asked = [], []
    if n_nodes == 0:
        columns = asked = [ends[:, :1], ends[:, -1:]]
    else:
        grid = (np.arange(n_nodes + 1) / n_nodes) ** GRADING
        for i in range(ends.shape[1] - 1):
            start, length = ends[:, i : i + 1], np.diff(ends[:, i : i + 2], axis=1)
            columns.append(start + grid * length)
            columns[-1][:, -1] = ends[:, i + 1]
            asked.append(columns[-1].copy())
            if i > 0 or recipe.phases[0].start:
                asked[-1][:, 0] += AFTER_JUMP * length[:, 0]
    extra = [np.minimum(np.full((len(ends), 1), t), ends[:, -1:]) for t in at]
    shown = np.concatenate([*columns, *extra], axis=1)
    sampled = np.concatenate([*asked, *extra], axis=1)
    if extra:
        order = np.argsort(sampled, axis=1, kind="stable")
        shown, sampled = np.take_along_axis(shown, order, axis=1), np.take_along_axis(sampled, order, axis=1)
    return shown, sampled


def _run(model: Model, recipe: Recipe, values: Mapping[str, Array], times: Array) -> tuple[Array, tuple[Failure, ...]]:
    """Outputs (n_members, n_times, n_outputs), NaN for members that failed."""
    if any(phase.duration is None for phase in recipe.phases):
        # The end of a run that ends on a level is known to the integrator's tolerance only: a second run with other
        # sample times may end a moment earlier than the first one said.
        recipe = recipe.replace(hold_end=True)
    if isinstance(model, Ensembles):
        shared = bool((times == times[0]).all())  # one time grid for all is cheaper for most models
        outputs, _, failures = model.trajectories(times[0] if shared else times, recipe, values)
        return np.asarray(outputs, dtype=float), tuple(failures)
    outputs = np.full((*times.shape, len(model.outputs)), np.nan)
    failed: list[Failure] = []
    for i in range(len(times)):
        one = {name: float(v[i]) if v.ndim == 1 else v[i] for name, v in values.items()}
        try:
            outputs[i] = _one_run(model, recipe, one, times[i])
        except SolveError as error:
            failed.append(Failure(i, error.reason, error.time))
    return outputs, tuple(failed)


def _one_run(model: Model, recipe: Recipe, values: Mapping[str, float], times: Array) -> Array:
    if isinstance(model, Trajectories):
        return model.trajectory(times, recipe, values)[0]
    state = model.initial_state(0.0, recipe, values)
    rows, now = [], 0.0
    for t in times:
        if t > now:
            state, now = model.advance(state, now, float(t), recipe, values), float(t)
        rows.append(model.observe(state, now, recipe, values))
    return np.stack(rows)
