"""From draws of the unknowns to the values a model is run with."""

import copy
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, ModelError, RecipeError, unknown_name
from physics_twin.model import Model
from physics_twin.parameters import Parameter, ParameterSet, Values
from physics_twin.recipes import Recipe, Steady
from physics_twin.units import QuantityLike, to_si

if TYPE_CHECKING:
    from physics_twin.posterior.result import Posterior

SENSOR_FORMS = ("noise.", "bias.", "delay.")
"""Unknowns that belong to sensors and not to the plant."""


def generator(rng: int | np.random.Generator) -> np.random.Generator:
    """A generator of its own: a seed makes one, a generator is copied, so that it stays as it was given."""
    return copy.deepcopy(rng) if isinstance(rng, np.random.Generator) else np.random.default_rng(rng)


def from_prior(parameters: ParameterSet, n_draws: int, rng: int | np.random.Generator) -> Array:
    """Independent draws (n_draws, n_parameters) from priors, or evenly between bounds."""
    own = generator(rng)
    table = np.empty((n_draws, len(parameters)))
    for j, (name, parameter) in enumerate(parameters.items()):
        low, high = parameter.bounds
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
    return table


def member_values(
    posterior: "Posterior",
    model: Model,
    recipe: Recipe,
    rows: NDArray[np.intp],
    rng: np.random.Generator,
    *,
    experiment: str | None,
    values: Mapping[str, QuantityLike] | Values | None,
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Values for the members `rows` of the draws: name -> (n_members,) SI; and what was assumed, in words.

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
    for j, name in enumerate(posterior.names):
        if not _of_plant(name):
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
    owners = sorted({name.partition("@")[2] for name in posterior.names if _of_plant(name) and "@" in name})
    if experiment is not None and owners and experiment not in owners:
        raise unknown_name("experiment", experiment, owners)
    open_groups = [base for base in grouped if base not in overridden]
    if open_groups and experiment is None:
        # All quantities of one batch come from one batch: drawn once for each member.
        pick = rng.integers(len(owners), size=n)
        for base in open_groups:
            columns = np.stack([grouped[base][owner] for owner in owners if owner in grouped[base]])
            found[base] = columns[pick % len(columns), np.arange(n)]
        listed = ", ".join(open_groups)
        notes.append(
            f"{listed}: the value of a batch drawn at random from the {len(owners)} that were fitted; "
            f'say experiment="{owners[0]}" or values={{"{open_groups[0]}": ...}} for another choice'
        )
    elif experiment is not None:
        for base in open_groups:
            if experiment not in grouped[base]:
                raise unknown_name(f"experiment with its own {base}", experiment, grouped[base])
            found[base] = grouped[base][experiment]
    for name, quantity in overridden.items():
        found[name] = np.full(n, _given(name, quantity, isinstance(values, Values), model, recipe, bound))
    for name in recipe.settings:
        if name not in found:
            raise RecipeError(f'the recipe leaves "{name}" open; give it: values={{"{name}": "..."}}')
    return found, tuple(notes)


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
