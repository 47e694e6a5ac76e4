"""The next batch: what the probability of an envelope is taken over.

Each member is one possible next batch: a posterior draw of the parameters, a deviation of this batch from the
population where batch-to-batch variation is given, and the errors with which the plant hits its settings. Every draw
gets one deviation and one error, drawn once and kept for all settings (common random numbers): margins are then
smooth functions of the settings, and two points of a region differ by their settings alone.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from physics_twin.arrays import Array
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.model import Model
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import member_values
from physics_twin.priors import Prior
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike, format_si, to_si


@dataclass(frozen=True)
class Batches:
    """Possible next batches, one for each draw."""

    values: Mapping[str, Array]
    """Model parameter -> (n,) SI."""
    setting_errors: Mapping[str, Array]
    """Setting -> (n,) SI, added to the setting."""
    n: int

    def take(self, rows: NDArray[np.integer[Any]]) -> "Batches":
        """The batches of these rows."""
        return Batches(
            {name: values[rows] for name, values in self.values.items()},
            {name: errors[rows] for name, errors in self.setting_errors.items()},
            len(rows),
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
) -> Uncertainty:
    """One possible next batch for each draw of the posterior.

    batch_variation: model parameter -> a standard deviation (a difference: the batch's value is normal about the
    draw, within the parameter's bounds) or a prior (the batch's value is drawn from it, whatever was fitted).
    tolerance: setting -> standard deviation of what the plant runs about what was set.

    Raises EnvelopeError for a posterior of another model, UnknownNameError and UnitError for a wrong name or unit.
    """
    fitted = posterior.provenance.get("fingerprint", model.fingerprint)
    if fitted != model.fingerprint:
        raise EnvelopeError(
            f'the posterior was fitted to a model with the fingerprint {fitted[:12]}, and "{model.name}" has '
            f"{model.fingerprint[:12]}: equations or constants differ; calibrate this model, "
            "or use the one that was fitted"
        )
    chosen: dict[str, QuantityLike] = {s.name: (s.unit.from_si(s.bounds[0]), s.unit.text) for s in settings}
    rows = np.arange(posterior.n_draws)
    members, notes = member_values(posterior, model, recipe, rows, rng, experiment=None, values=chosen)
    values = {name: column for name, column in members.items() if name not in chosen}
    used = [name for name in posterior.names if name in values]
    batchwise = sorted({name.partition("@")[0] for name in posterior.names if "@" in name} & set(values))
    if not used and not batchwise:
        raise EnvelopeError(f'the posterior holds no parameter of the model "{model.name}"')
    includes = ["parameters: " + ", ".join(used)] if used else []
    for name in batchwise:
        if name not in batch_variation:
            includes.append(f"batch-to-batch variation: {name} as in one of the fitted experiments, drawn at random")
    for name, given in batch_variation.items():
        if name not in model.parameters:
            hint = "; the scatter of a setting is its tolerance=" if name in chosen else ""
            error = unknown_name("parameter", name, model.parameters)
            raise type(error)(f"batch_variation: {error}{hint}")
        values[name], words = _varied(model.parameters[name], given, values[name], rng)
        includes.append(f"batch-to-batch variation: {name} {words}")
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
    if len(includes) == 1:
        includes[0] += " (parameters only: no batch-to-batch variation, no tolerance of the settings)"
    table = np.ascontiguousarray(posterior.draws.values)
    digest = hashlib.sha256("\n".join(posterior.names).encode() + table.tobytes()).hexdigest()
    assumed = tuple(note for note in notes if not batchwise)
    return Uncertainty(Batches(values, errors, len(rows)), tuple(includes), assumed, spreads, digest[:16])


def _spread(quantity: QuantityLike, declared: Parameter | Setting, name: str) -> float:
    sd = to_si(quantity, declared.unit, name=name, difference=True)
    if not (math.isfinite(sd) and sd >= 0.0):
        raise EnvelopeError(f"{name} = {sd:g}: a standard deviation is a finite number, zero or above")
    return sd


def _varied(
    parameter: Parameter, given: Prior | QuantityLike, center: Array, rng: np.random.Generator
) -> tuple[Array, str]:
    """Values of the next batches and how they vary, in words."""
    if isinstance(given, Prior):
        prior = given.in_si(parameter.unit, parameter.name, parameter.difference)
        return np.asarray(prior.sample(rng, len(center)), dtype=float), (
            f"drawn from {prior.describe(parameter.unit, parameter.difference)}"
        )
    name = f"batch_variation of {parameter.name}"
    sd = _spread(given, parameter, name)
    low, high = parameter.bounds
    u = rng.random(len(center))
    if sd == 0.0:
        return center, "sd 0"
    # Normal about the draw, cut at the parameter's bounds: inverse of its distribution, one uniform number for each.
    a, b = ndtr((low - center) / sd), ndtr((high - center) / sd)
    return np.clip(center + sd * ndtri(a + u * (b - a)), low, high), (
        f"sd {format_si(sd, parameter.unit, difference=True)}"
    )
