"""The next batch: what the probability of an envelope is taken over.

Each member is one possible next batch: a posterior draw of the parameters, a deviation of this batch from the
population where batch-to-batch variation is given, and the errors with which the plant hits its settings. Every draw
gets one deviation and one error, drawn once and kept for all settings (common random numbers): margins are then
smooth functions of the settings, and two points of a region differ by their settings alone.
"""

import hashlib
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from physics_twin.arrays import Array
from physics_twin.envelope.limits.given import as_given, check_quantity
from physics_twin.envelope.limits.requirements import Requirement
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.model import Model
from physics_twin.parameters import Parameter, Values
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import bound_initials, check_fitted, member_values
from physics_twin.posterior.populations import each_of, population_names
from physics_twin.posterior.tables import DISCREPANCY
from physics_twin.priors import Prior
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.simulation import complete_values
from physics_twin.units import QuantityLike, Unit, format_si, parse, to_si

PERCENT = Unit("percent")


@dataclass(frozen=True)
class Batches:
    """Possible next batches, one for each draw."""

    values: Mapping[str, Array]
    """Model parameter -> (n,) SI."""
    setting_errors: Mapping[str, Array]
    """Setting -> (n,) SI, added to the setting."""
    n: int
    noise: Mapping[str, Array] = field(default_factory=dict)
    """Reading of a limit on a reported value -> (n,) SI, added to the number that the limit is about."""

    def take(self, rows: NDArray[np.integer[Any]]) -> "Batches":
        """The batches of these rows."""
        return Batches(
            {name: values[rows] for name, values in self.values.items()},
            {name: errors[rows] for name, errors in self.setting_errors.items()},
            len(rows),
            {name: errors[rows] for name, errors in self.noise.items()},
        )


@dataclass(frozen=True)
class Uncertainty:
    """Batches and, in words, what they include and what they leave out."""

    batches: Batches
    includes: tuple[str, ...]
    notes: tuple[str, ...]
    """What was assumed about the batches."""
    tolerance: Mapping[str, float]
    """Setting -> standard deviation, SI."""
    posterior_hash: str


def next_batches(
    model: Model,
    posterior: Posterior,
    recipe: Recipe,
    settings: Sequence[Setting],
    batch_variation: Mapping[str, Prior | QuantityLike],
    tolerance: Mapping[str, QuantityLike],
    rng: np.random.Generator,
    held: Mapping[str, QuantityLike] | Values | None = None,
    requirements: Sequence[Requirement] = (),
) -> Uncertainty:
    """One possible next batch for each draw of the posterior.

    batch_variation: model parameter -> a standard deviation (a difference, or, for a parameter with a unit, a share of
    its value such as "3 percent": the batch's value is normal about the draw, within the parameter's bounds) or a prior
    (the batch's value is drawn from it, whatever was fitted).
    tolerance: setting -> standard deviation of what the plant runs about what was set.
    held: parameter or setting of the recipe -> the one value of all batches, before draws and what the fit held.
    requirements: those on reported values get the noise of a measurement of their own.

    Raises ModelError for the posterior of another model, UnknownNameError and UnitError for a wrong name or unit.
    """
    check_fitted(posterior, model)
    chosen: dict[str, QuantityLike] = {s.name: (s.bounds[0], s.unit.si_text) for s in settings}
    kept, same, doubts = _held(model, posterior, recipe, chosen, held, batch_variation)
    rows = np.arange(posterior.n_draws)
    members, notes = member_values(posterior, model, recipe, rows, rng, experiment=None, values={**chosen, **kept})
    values = {name: column for name, column in members.items() if name not in chosen}
    drawn = [name for name in posterior.names if name.partition("@")[0] in values]
    if not drawn:
        raise EnvelopeError(f'the posterior holds no parameter of the model "{model.name}"')
    bound = bound_initials(recipe, model)
    unused = sorted({name.partition("@")[0] for name in drawn} & bound)
    doubts += [f"{name}: the recipe's value is used, not the fitted one" for name in unused]
    drawn = [name for name in drawn if name.partition("@")[0] not in {*bound, *kept}]
    batchwise = sorted({name.partition("@")[0] for name in drawn if "@" in name})
    replaced = {name for name, given in batch_variation.items() if isinstance(given, Prior)}
    includes = _of_draws(posterior, [name for name in drawn if name.partition("@")[0] not in replaced])
    given_up = list(dict.fromkeys(name.partition("@")[0] for name in drawn if name.partition("@")[0] in replaced))
    doubts += [
        f"{name}: what was fitted is not in the probability, since batch_variation gives a prior that each batch is "
        "drawn from; a standard deviation instead of it scatters the batches about what was fitted"
        for name in given_up
    ]
    doubts += _without_discrepancy(model, drawn, {*kept, *(n for n, x in posterior.fixed.items() if np.any(x))})
    for name, given in batch_variation.items():
        if name not in model.parameters:
            hint = "; the scatter of a setting is its tolerance=" if name in chosen else ""
            error = unknown_name("parameter", name, model.parameters)
            raise type(error)(f"batch_variation: {error}{hint}")
        if name in bound:
            raise EnvelopeError(
                f'batch_variation: "{name}" is bound by the recipe, so its scatter would have no effect; make it a '
                "setting of the recipe and give that a tolerance=, or leave it out of the recipe's initial="
            )
        values[name], words = _varied(model.parameters[name], given, values[name], rng)
        instead = " for each batch, not from the posterior" if name in given_up else ""
        includes.append(f"batch-to-batch variation: {name} {words}{instead}")
    errors: dict[str, Array] = {}
    spreads: dict[str, float] = {}
    known = {setting.name: setting for setting in settings}
    for name, quantity in tolerance.items():
        if name not in known:
            raise unknown_name("setting", name, list(known))
        unit = known[name].unit
        spreads[name] = _spread(quantity, known[name], f"tolerance of {name}")
        errors[name] = spreads[name] * rng.standard_normal(len(rows))
        includes.append(f"tolerance of {name}: sd {format_si(spreads[name], unit, difference=True)}")
    if len(includes) == 1 and not batchwise:
        includes[0] += " (parameters only: no batch-to-batch variation, no tolerance of the settings)"
    noise = _noise(requirements, len(rows), rng, includes)
    includes += same
    assumed = (*doubts, *(note for note in notes if not batchwise and not unused))
    batches = Batches(values, errors, len(rows), noise)
    return Uncertainty(batches, tuple(includes), assumed, spreads, draws_hash(posterior))


def _of_draws(posterior: Posterior, drawn: Sequence[str]) -> list[str]:
    """What the draws bring along, in words."""
    used = list(dict.fromkeys(_shown(name) for name in drawn if "@" not in name))
    batchwise = sorted({name.partition("@")[0] for name in drawn if "@" in name})
    includes = ["parameters: " + (", ".join(used) or "none")] if used or not batchwise else []
    populations = population_names(posterior.names)
    for name in batchwise:
        origin = "as in one of the fitted experiments, drawn at random"
        if name in populations:
            n = sum(other.startswith(f"{name}@") for other in drawn)
            origin = f"of a new {each_of(posterior, name)}, drawn from the population of the {n} that were fitted"
        includes.append(f"batch-to-batch variation: {_shown(name)} {origin}")
    return list(dict.fromkeys(includes))


def _shown(name: str) -> str:
    """A parameter as a person knows it: the coefficients of a discrepancy mean nothing one by one."""
    return f"discrepancy of {_corrected(name)}" if name.startswith(DISCREPANCY) else name


def _corrected(name: str) -> str:
    """The output whose discrepancy a coefficient belongs to."""
    return name.removeprefix(DISCREPANCY).rpartition(".")[0]


def _without_discrepancy(model: Model, drawn: Sequence[str], kept: Container[str]) -> list[str]:
    """Doubts about outputs that have a discrepancy of which the posterior knows nothing: it is zero then."""
    known = {_corrected(name.partition("@")[0]) for name in drawn if name.startswith(DISCREPANCY)}
    declared = [name for name in model.parameters if name.startswith(DISCREPANCY) and name not in kept]
    missing = dict.fromkeys(output for output in map(_corrected, declared) if output not in known)
    return [
        f"the discrepancy of {output} is taken as zero: the posterior holds none of its coefficients"
        for output in missing
    ]


def _noise(
    requirements: Sequence[Requirement], n: int, rng: np.random.Generator, includes: list[str]
) -> dict[str, Array]:
    """Errors (n,) SI of each reading of a limit on a reported value; adds what it is to `includes`."""
    drawn: dict[str, Array] = {}
    for r in requirements:
        if r.noise and r.reading not in drawn:
            drawn[r.reading] = r.noise * rng.standard_normal(n)
            includes.append(f'measurement noise of "{r.reading}": sd {format_si(r.noise, r.unit, difference=True)}')
    return drawn


def draws_hash(posterior: Posterior) -> str:
    """Hash of what an envelope takes from a posterior: its draws, and what the fit held fixed."""
    digest = hashlib.sha256("\n".join(posterior.names).encode())
    digest.update(np.ascontiguousarray(posterior.draws.values, dtype=float).tobytes())
    for name in sorted(posterior.fixed):
        digest.update(f"\n{name}=".encode() + np.asarray(posterior.fixed[name], dtype=float).tobytes())
    return digest.hexdigest()[:16]


def _held(
    model: Model,
    posterior: Posterior,
    recipe: Recipe,
    chosen: Mapping[str, QuantityLike],
    held: Mapping[str, QuantityLike] | Values | None,
    batch_variation: Mapping[str, Prior | QuantityLike],
) -> tuple[dict[str, QuantityLike], list[str], list[str]]:
    """What is the same in all batches: name -> value with its SI unit, the same in words, and doubts about it.

    A value that the caller gives comes before the draws; one that the fit held comes before the setting's own.
    """
    given = dict(held or {})
    for name in given:
        if name in chosen:
            raise EnvelopeError(f'values: "{name}" is one of the settings that are searched; it cannot be held as well')
        if name in batch_variation:
            raise EnvelopeError(f'"{name}" is given in values and in batch_variation; it can be one of the two')
    units = {name: (p.unit, p.difference) for name, p in model.parameters.items()}
    units |= {name: (s.unit, False) for name, s in recipe.settings.items()}
    if isinstance(held, Values):  # of the library, hence SI
        given = {n: (x, units[n][0].si_text) if n in units else x for n, x in given.items()}  # type: ignore[misc]
    estimated = {name.partition("@")[0] for name in posterior.names}
    doubts: list[str] = []
    fixed: dict[str, QuantityLike] = {}
    for name, setting in recipe.settings.items():
        if name in chosen or name in given or name in estimated or name not in posterior.fixed:
            continue
        number = posterior.fixed.scalar(name)
        fixed[name] = (number, setting.unit.si_text)
        if setting.value is not None and setting.value != number:
            theirs, own = setting.format(number), setting.format(setting.value)
            doubts.append(
                f"{name}: the fit's {theirs} is used, not the recipe's {own}; "
                f'say values={{"{name}": ...}} for another'
            )
    kept: dict[str, QuantityLike] = {**fixed, **given}  # type: ignore[dict-item]
    open_still = {n for n, s in recipe.settings.items() if s.value is None} - {*chosen, *kept}
    # A setting that was fitted has its draws; any of them stands for it here.
    first = {name.partition("@")[0]: float(posterior.draws.values[0, j]) for j, name in enumerate(posterior.names)}
    stand_in = {n: (first[n], recipe.settings[n].unit.si_text) for n in open_still & estimated}
    full = complete_values(model, recipe, {**stand_in, **chosen, **kept})
    words = []
    for name in kept:
        unit, difference = units[name]
        whose = "" if name in given else ", as the fit held it"
        words.append(f"held: {name} = {format_si(full.scalar(name), unit, difference=difference)}{whose}")
    return kept, words, doubts


def _spread(quantity: QuantityLike, declared: Parameter | Setting, name: str) -> float:
    sd = to_si(quantity, declared.unit, name=name, difference=True)
    if not (math.isfinite(sd) and sd >= 0.0):
        raise EnvelopeError(f"{name} = {as_given(quantity)}: a standard deviation is zero or above")
    return sd


def _varied(
    parameter: Parameter, given: Prior | QuantityLike, center: Array, rng: np.random.Generator
) -> tuple[Array, str]:
    """Values of the next batches and how they vary, in words."""
    chosen: Any = given  # the class of a prior comes too
    if isinstance(chosen, Prior) and not isinstance(chosen, type):
        prior = chosen.in_si(parameter.unit, parameter.name, parameter.difference)
        return np.asarray(prior.sample(rng, len(center)), dtype=float), (
            f"drawn from the given prior {prior.describe(parameter.unit, parameter.difference)}"
        )
    name = f"batch_variation of {parameter.name}"
    share = _relative(chosen, parameter, name)
    if share is None:
        sd = _spread(chosen, parameter, name)
        words, spread = f"sd {format_si(sd, parameter.unit, difference=True)}", np.full(len(center), sd)
    else:
        words, spread = f"sd {format_si(share, PERCENT)} of its value in the draw", share * np.abs(center)
    low, high = parameter.bounds
    u = rng.random(len(center))
    varies = spread > 0.0
    sds = np.where(varies, spread, 1.0)
    # Normal about the draw, cut at the parameter's bounds: inverse of its distribution, one uniform number for each.
    a, b = ndtr((low - center) / sds), ndtr((high - center) / sds)
    return np.where(varies, np.clip(center + sds * ndtri(a + u * (b - a)), low, high), center), words


def _relative(given: QuantityLike, parameter: Parameter, name: str) -> float | None:
    """The share of its value by which a parameter varies, where that is what was given; None for a spread in its unit.

    "3 percent" of a parameter that has a unit is a share of its value. Of one that is declared in percent it is three
    percentage points, as in its unit; of a plain number it may be either and is refused, as is a share of a temperature
    on a scale whose zero is arbitrary.
    """
    check_quantity(given, name)
    number, unit = parse(given)
    if unit != PERCENT or parameter.unit == PERCENT:
        return None
    share = as_given(given)
    if parameter.unit.is_dimensionless:
        raise EnvelopeError(
            f"{name} = {share}: of a plain number that may be a share of its value or an absolute spread; write "
            f'"{number / 100.0:g} 1" for the latter, or the number that {share} of its value is'
        )
    if parameter.unit.offset != 0.0 and not parameter.difference:
        raise EnvelopeError(
            f"{name} = {share}: {parameter.unit.text} has its zero somewhere, so a share of a value means nothing; "
            f"give a difference in {parameter.unit.difference().text}"
        )
    if number < 0.0:
        raise EnvelopeError(f"{name} = {share}: a standard deviation is zero or above")
    return number / 100.0
