"""From draws of the unknowns to the values a model is run with."""

import copy
import zlib
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ModelError, RecipeError, unknown_name
from physics_twin.measurements import Experiment
from physics_twin.measurements.uncertainty import SHAPES
from physics_twin.model import Model
from physics_twin.parameters import Parameter, ParameterSet, Values
from physics_twin.posterior.populations import (
    MEAN,
    SPREAD,
    Belonging,
    belonging,
    drawn_anew,
    each_of,
    members_of_populations,
    new_members,
    population_names,
)
from physics_twin.recipes import Recipe, Steady
from physics_twin.units import QuantityLike, to_si

if TYPE_CHECKING:
    from physics_twin.posterior.result import Posterior

SENSOR_FORMS = ("noise.", "bias.", "delay.", *(f"{shape}." for shape in SHAPES))
"""Unknowns that belong to sensors and not to the plant."""


def generator(rng: int | np.random.Generator) -> np.random.Generator:
    """A generator of its own: a seed makes one, a generator is copied, so that it stays as it was given."""
    return copy.deepcopy(rng) if isinstance(rng, np.random.Generator) else np.random.default_rng(rng)


def seed_of(rng: int | np.random.Generator) -> int:
    """A seed for what takes nothing else: as given, or from a copy of a generator."""
    return int(generator(rng).integers(2**31)) if isinstance(rng, np.random.Generator) else int(rng)


def is_fitted(posterior: "Posterior", model: Model) -> bool:
    """Whether a posterior is one of this model, as far as it says: one that was made from draws says nothing."""
    return posterior.provenance.get("fingerprint", model.fingerprint) == model.fingerprint


def check_fitted(posterior: "Posterior", model: Model) -> None:
    """Raise ModelError for the posterior of another model."""
    if not is_fitted(posterior, model):
        raise ModelError(
            f'"{model.name}" is not the model that was fitted: it has the fingerprint {model.fingerprint[:12]}, that '
            f"of the posterior is {posterior.provenance['fingerprint'][:12]}, so equations or constants differ; "
            "calibrate this model, or use the one that was fitted"
        )


def from_prior(parameters: ParameterSet, n_draws: int, rng: int | np.random.Generator) -> Array:
    """Independent draws (n_draws, n_parameters) from priors, or evenly between bounds; of groups from their population.

    Raises BoundsError for a parameter that cannot be drawn.
    """
    own = generator(rng)
    table = np.empty((n_draws, len(parameters)))
    members = members_of_populations(parameters)
    for j, (name, parameter) in enumerate(parameters.items()):
        low, high = parameter.bounds
        if name in members:
            continue
        if parameter.prior is not None:
            column = np.asarray(parameter.prior.sample(own, n_draws), dtype=float)
            for _ in range(1000):
                outside = (column < low) | (column > high)
                if not outside.any():
                    break
                column[outside] = parameter.prior.sample(own, int(outside.sum()))
            table[:, j] = np.clip(column, low, high)
        elif np.isfinite(low) and np.isfinite(high):
            u = own.random(n_draws)
            even = low * (high / low) ** u if parameter.log_scale else low + (high - low) * u
            table[:, j] = np.clip(even, low, high)
        else:
            raise BoundsError(
                f'"{name}" has neither a prior nor two bounds, so it cannot be drawn; give it one of them'
            )
    position = {name: j for j, name in enumerate(parameters)}
    for name, base in members.items():
        mean, spread = table[:, position[MEAN + base]], table[:, position[SPREAD + base]]
        table[:, position[name]] = new_members(parameters[MEAN + base], mean, spread, own)
    return table


def drawable(parameters: ParameterSet) -> ParameterSet:
    """Those that `from_prior` can draw."""
    own = {n for n, p in parameters.items() if p.prior is not None or np.isfinite(p.bounds).all()}
    members = members_of_populations(parameters)
    return parameters.select(
        [n for n in parameters if ({MEAN + members[n], SPREAD + members[n]} <= own if n in members else n in own)]
    )


def member_values(
    posterior: "Posterior",
    model: Model,
    recipe: Recipe,
    rows: NDArray[np.intp],
    rng: np.random.Generator,
    *,
    experiment: str | Experiment | None,
    values: Mapping[str, QuantityLike] | Values | None,
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Values for the members `rows` of the draws: name -> (n_members,) SI; and what was assumed, in words.

    experiment: a fitted experiment or group, whose values are taken; or an experiment whether it was fitted or not,
        whose context says the groups that it belongs to.
    A parameter of lots has the value of the lot; of a lot that was not fitted a draw from the population. One that was
    fitted for each experiment alone (`PerExperiment`) is that of a fitted experiment drawn at random.

    Order of precedence: `values`, draws, the experiment's own draws, what the fit held fixed, the recipe's and the
    model's defaults. An initial value that the recipe binds is the recipe's: the draws of it are not among the values,
    and it cannot be in `values`.

    Raises UnknownNameError, UnitError, BoundsError, RecipeError, ModelError for the posterior of another model.
    """
    n = rows.size
    bound = bound_initials(recipe, model)
    found: dict[str, Array] = {}
    notes: list[str] = []
    overridden: dict[str, Any] = dict(values or {})
    for name, value in model.parameters.values().items():
        found[name] = np.full(n, float(posterior.fixed.get(name, value)))
    for name, setting in recipe.settings.items():
        held = posterior.fixed.scalar(name) if name in posterior.fixed else None
        number = setting.value if held is None else held
        if number is None or name in overridden:
            continue
        found[name] = np.full(n, float(number))
        if held is not None and setting.value not in (None, held):
            notes.append(
                f"{name}: {setting.format(held)}, as the fit held it, not {setting.format(setting.value)} of the "
                f'recipe; say values={{"{name}": ...}} for another'
            )
    table = posterior.draws.values[rows]
    grouped: dict[str, dict[str, Array]] = {}
    populations = {n for n in population_names(posterior.names) if MEAN + n not in model.parameters}
    not_of_plant = {form + n for n in populations for form in (MEAN, SPREAD)}
    for j, name in enumerate(posterior.names):
        if not _of_plant(name) or name in not_of_plant:
            continue
        base, _, owner = name.partition("@")
        if base not in model.parameters and base not in recipe.settings:
            if base in posterior.provenance.get("settings", "").split():
                continue  # a setting of the fitted recipes that this recipe does not have
            raise ModelError(
                f'the posterior is about "{base}", which the model "{model.name}" does not have: it is the posterior '
                "of another model"
            )
        if base in bound:
            note = f"{base}: the recipe's value, not the fitted one"
            if note not in notes:
                notes.append(note)
        elif owner:
            grouped.setdefault(base, {})[owner] = table[:, j]
        else:
            found[base] = table[:, j].copy()
    wanted = {base: columns for base, columns in grouped.items() if base not in overridden}
    drawn, said = _of_groups(posterior, wanted, grouped, populations, experiment, rows, rng)
    found |= drawn
    notes += said
    for name, quantity in overridden.items():
        found[name] = np.full(n, _given(name, quantity, isinstance(values, Values), model, recipe, bound))
    for name in recipe.settings:
        if name not in found:
            raise RecipeError(f'the recipe leaves "{name}" open; give it: values={{"{name}": "..."}}')
    return found, tuple(notes)


def _of_groups(
    posterior: "Posterior",
    wanted: Mapping[str, Mapping[str, Array]],
    grouped: Mapping[str, Mapping[str, Array]],
    populations: Container[str],
    experiment: str | Experiment | None,
    rows: NDArray[np.intp],
    rng: np.random.Generator,
) -> tuple[dict[str, Array], list[str]]:
    """Values of what each experiment or lot has for itself, and what was assumed."""
    groups = belonging(posterior)
    owners = sorted({owner for columns in grouped.values() for owner in columns})
    if isinstance(experiment, str) and owners:
        runs = sorted({*owners, *(run for g in groups.values() for run in g.of)})
        if experiment not in runs:
            raise unknown_name("experiment", experiment, runs)
    found: dict[str, Array] = {}
    notes: list[str] = []
    at_random: list[str] = []
    for base, columns in wanted.items():
        label = _label(groups, base, experiment)
        if label in columns:
            found[base] = columns[label]
        elif base in populations:
            declared = posterior.parameters[MEAN + base]
            # Two experiments of one new lot get the same draws for the same seed, those of two lots their own.
            own = np.random.default_rng([int(rng.integers(2**62)), zlib.crc32(f"{base}@{label}".encode())])
            found[base] = new_members(declared, posterior[MEAN + base][rows], posterior[SPREAD + base][rows], own)
            notes.append(drawn_anew(base, each_of(posterior, base), columns))
        elif isinstance(experiment, str):
            raise unknown_name(f"experiment with its own {base}", experiment, columns)
        else:
            at_random.append(base)
    if at_random:
        # All quantities of one batch come from one batch: drawn once for each member.
        fitted = sorted({owner for base in at_random for owner in wanted[base]})
        pick = rng.integers(len(fitted), size=rows.size)
        for base in at_random:
            columns_of = np.stack([wanted[base][owner] for owner in fitted if owner in wanted[base]])
            found[base] = columns_of[pick % len(columns_of), np.arange(rows.size)]
        notes.append(
            f"{', '.join(at_random)}: the value of a batch drawn at random from the {len(fitted)} that were fitted; "
            f'say experiment="{fitted[0]}" or values={{"{at_random[0]}": ...}} for another choice'
        )
    return found, notes


def _label(groups: Mapping[str, Belonging], base: str, experiment: str | Experiment | None) -> str:
    if experiment is None:
        return ""
    if base in groups:
        return groups[base].group(experiment)
    return experiment if isinstance(experiment, str) else experiment.name


def bound_initials(recipe: Recipe, model: Model | None = None) -> set[str]:
    """Initial values ("initial.<state>") that the recipe gives; with a model, all of it where the start is steady."""
    if isinstance(recipe.initial, Steady):
        return set() if model is None else {name for name in model.parameters if name.startswith("initial.")}
    return {f"initial.{state}" for state in recipe.initial}


def _of_plant(name: str) -> bool:
    return not name.startswith(SENSOR_FORMS)


def _given(
    name: str, quantity: QuantityLike, trusted: bool, model: Model, recipe: Recipe, bound: Container[str]
) -> float:
    """A number that a person gave, in SI and within its bounds; `trusted` where it is SI already."""
    declared = recipe.settings.get(name) or dict(model.parameters).get(name)
    if declared is None:
        raise unknown_name("parameter or setting", name, [*model.parameters, *recipe.settings])
    if name in bound:
        raise RecipeError(f'"{name}" is bound by the recipe; change it there, or leave it out of the values')
    if trusted:
        number = float(quantity)  # type: ignore[arg-type]
    else:
        difference = isinstance(declared, Parameter) and declared.difference
        number = to_si(quantity, declared.unit, name=name, difference=difference)
    declared.check(number)
    return number
