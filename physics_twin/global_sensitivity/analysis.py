"""`rank_influences`: what an output or a margin depends on."""

import warnings
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import Executor

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.margins.evaluation import simulate_members
from physics_twin.errors import BoundsError, RecipeError, SolveError
from physics_twin.estimation.work import Work
from physics_twin.global_sensitivity.factors import Factor, Range, correlated, default_factors, factors_of
from physics_twin.global_sensitivity.methods import LEAST_BLOCKS, Method, Sobol, complete_blocks
from physics_twin.global_sensitivity.quantities import Target, Wanted, targets_of
from physics_twin.global_sensitivity.result import FailedMember, Influences, Table
from physics_twin.model import Failure, Model
from physics_twin.parameters import Values
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import bound_initials, seed_of
from physics_twin.posterior.populations import each_of, population_names
from physics_twin.progress import Progress
from physics_twin.recipes import Recipe
from physics_twin.simulation import complete_values
from physics_twin.units import QuantityLike, Unit

SOBOL = Sobol()
MEMBERS_AT_ONCE = 500
"""One job: bounds memory, and is what a worker takes at a time."""
N_NODES = 60
"""Samples per phase where a reduction looks at the whole course."""


def rank_influences(
    model: Model,
    recipe: Recipe,
    *,
    of: Wanted | Sequence[Wanted],
    factors: "Sequence[str] | Mapping[str, Range | None] | None" = None,
    posterior: Posterior | None = None,
    method: Method = SOBOL,
    values: Mapping[str, QuantityLike] | Values | None = None,
    rng: int | np.random.Generator = 0,
    executor: Executor | None = None,
    progress: bool = False,
) -> Influences:
    """How much each factor moves an output or a margin, over the whole range of all factors at once.

    recipe: what the plant does; with a duration. A constant input becomes a factor as a `Setting`. of: an output (its
    final value), `Of(output, pt.peak)`, a `Limit` (its margin), or several of them.
    factors: parameters, settings and initial values ("initial.<state>") by name, or name -> range: (low, high) with
        units, or a prior. Without a range: the draws of the posterior, else the prior, else evenly between the bounds.
        Without factors: everything that has one of these.
    posterior: its draws are the distribution of its parameters, each on its own: both methods take factors as
        independent, and correlated draws bring a warning. A parameter of a population is varied over new lots, one that
        each experiment has alone over the draws of all. What is not varied has its mode, or what the fit held; what
        experiments or lots have for themselves is to be varied or given.
    method: `Sobol(n)`, shares of the variance, or `Morris(n_trajectories)`, for dozens of factors. values: other
        numbers for what is not varied, with units. rng: a seed, or a generator (of which a copy is used). executor:
        shares out the simulations; the result does not depend on it.

    Simulations that fail take their block (one trajectory, one row of Sobol's matrices) out of the analysis; the result
    says how many. Nothing is filled in.

    Raises UnknownNameError, UnitError, BoundsError, RecipeError for mistakes in names and quantities, RecipeError for
    what lots have for themselves where it is neither varied nor given; ModelError for the posterior of another model;
    SolveError when too few blocks could be simulated.
    """
    seed = seed_of(rng)
    targets = targets_of(of, model)
    chosen = factors_of(
        model, recipe, posterior, default_factors(model, recipe, posterior) if factors is None else factors
    )
    points = method.points(len(chosen), seed)
    columns = {f.name: f.values(points[:, j], method.left_out) for j, f in enumerate(chosen)}
    members = _members(model, recipe, posterior, chosen, columns, values)
    pieces = [slice(i, i + MEMBERS_AT_ONCE) for i in range(0, len(points), MEMBERS_AT_ONCE)]
    jobs = [(model, recipe, {n: v[piece] for n, v in members.items()}, targets) for piece in pieces]
    results = Work(executor, Progress(progress)).run("simulations", _numbers, jobs)
    y = np.concatenate([numbers for numbers, _ in results])
    failures = tuple(
        FailedMember({f.name: float(columns[f.name][k]) for f in chosen}, failure.reason, failure.time)
        for piece, (_, failed) in zip(pieces, results, strict=True)
        for failure in failed
        for k in [piece.start + failure.member]
    )
    size = method.block_size(len(chosen))
    tables = []
    for k, target in enumerate(targets):
        keep = complete_blocks(y[:, k], size)
        if keep.sum() < LEAST_BLOCKS * size:
            why = failures[0].reason if failures else "the run ends before the moment it is about"
            raise SolveError(
                f"only {int(keep.sum()) // size} of {len(y) // size} blocks of simulations are complete, too few for "
                f'"{target.name}" ({why}); narrow the ranges of the factors',
                time=failures[0].time if failures else 0.0,
            )
        found = method.indices(points[keep], y[keep, k], seed)
        margin = target.level is not None
        tables.append(Table(target.name, target.unit, found, int(keep.sum()) // size, y[keep, k], margin))
    pairs = correlated(posterior, chosen)
    notes = tuple(f"{a} and {b} have the correlation {r:.2f} in the draws" for a, b, r in pairs)
    if notes:
        warnings.warn(
            f"the factors are varied as if they were independent: {'; '.join(notes[:3])}"
            + (f"; and {len(notes) - 3} more pairs" if len(notes) > 3 else "")
            + "; an index of either may be one of both",
            stacklevel=2,
        )
    return Influences(tuple(tables), chosen, len(y), len(y) // size, failures, notes, repr(method), seed)


def _members(
    model: Model,
    recipe: Recipe,
    posterior: Posterior | None,
    chosen: Sequence[Factor],
    columns: Mapping[str, Array],
    values: Mapping[str, QuantityLike] | Values | None,
) -> dict[str, Array]:
    """Name -> (n,) SI, every parameter and setting. What is not varied: given, else the mode, else what was held.

    Raises RecipeError for what experiments or lots have for themselves, where it is neither varied nor given.
    """
    units: dict[str, Unit] = {n: p.unit for n, p in model.parameters.items()}
    units |= {n: s.unit for n, s in recipe.settings.items()}
    given: dict[str, QuantityLike]
    if isinstance(values, Values):
        given = {n: (values.scalar(n), units[n].si_text) for n in values if n in units}
    else:
        given = dict(values or {})
    for name in given:
        if name in columns:
            raise BoundsError(f'"{name}" is given in values and is a factor; it can be one of the two')
    si: dict[str, QuantityLike] = {f.name: (float(columns[f.name][0]), f.unit.si_text) for f in chosen}
    for source in () if posterior is None else (posterior.fixed, posterior.mode):
        for name in source:
            if name in units and name not in columns and name not in given:
                si[name] = (source.scalar(name), units[name].si_text)
    bound = bound_initials(recipe, model)
    for name in bound:
        si.pop(name, None)
    if posterior is not None:
        _check_lots(posterior, {*units} - {*columns} - {*given} - bound)
    full = complete_values(model, recipe, {**si, **given})
    n = len(next(iter(columns.values())))
    return {name: columns[name] if name in columns else np.full(n, full.scalar(name)) for name in full}


def _check_lots(posterior: Posterior, left: Container[str]) -> None:
    """Raise RecipeError where one of the names left has no number of its own, but one for each lot."""
    populations = population_names(posterior.names)
    own = [name.partition("@")[0] for name in posterior.names if "@" in name]
    for base in (*own, *populations):
        if base in left:
            each = each_of(posterior, base) if base in populations else "batch"
            raise RecipeError(
                f'"{base}" has a value for each {each} of the fit and none for this recipe: vary it '
                f'(factors=[..., "{base}"]), or give its value (values={{"{base}": ...}})'
            )


def _numbers(
    model: Model, recipe: Recipe, values: Mapping[str, Array], targets: tuple[Target, ...], memo: object
) -> tuple[Array, tuple[Failure, ...]]:
    """Numbers (n_members, n_targets) SI, NaN where the simulation failed; in whichever process."""
    dense = N_NODES if any(t.reduction.dense for t in targets) else 0
    moments = tuple(sorted({t for target in targets for t in target.reduction.moments}))
    times, outputs, failures = simulate_members(model, recipe, values, dense, moments)
    found = np.column_stack([target.numbers(times, outputs) for target in targets])
    for failure in failures:
        found[failure.member] = np.nan
    return found, failures
