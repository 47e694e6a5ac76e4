"""What is varied, and over which distribution: the quantile function of each factor on the unit interval.

Sampling methods work in the unit cube. A factor's number is the quantile of its own distribution there: of the draws of
a posterior (their marginal; of what lots have from a population, draws of new lots), of a prior, or even between bounds
(even in the logarithm for parameters that are searched in it).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, RecipeError, unknown_name
from physics_twin.model import Model
from physics_twin.parameters import Bounds, Parameter, bounds_in_si
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import bound_initials, check_fitted
from physics_twin.posterior.populations import MEAN, SPREAD, each_of, new_members, population_names
from physics_twin.priors import Prior
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.units import Unit, format_si

EDGE = 1e-3
"""Share of a prior without ends that is always left out on either side."""
CORRELATED = 0.3
"""Correlation of draws from which a marginal says too little."""


@dataclass(frozen=True)
class Factor:
    """One thing that is varied."""

    name: str
    unit: Unit
    low: float
    """SI, end of its range or where it is cut."""
    high: float
    log: bool
    """Even in the logarithm between low and high, where there is neither prior nor draws."""
    prior: Prior | None
    draws: Array | None
    """(n,) SI, sorted."""
    words: str
    """Where its distribution comes from."""

    def values(self, u: Array, left_out: float = 0.0) -> Array:
        """Quantiles (n,) SI of u (n,) in [0, 1]; left_out: see `Method.left_out`."""
        if self.draws is not None:
            return np.asarray(np.quantile(self.draws, np.clip(u, left_out, 1.0 - left_out)))
        if self.prior is not None:
            edge = max(left_out, EDGE)
            found = np.asarray(self.prior.quantile(np.clip(u, edge, 1.0 - edge)), dtype=float)
            return np.asarray(np.clip(found, self.low, self.high))
        if self.log:
            return np.asarray(self.low * (self.high / self.low) ** u)
        return np.asarray(self.low + (self.high - self.low) * u)


type Range = Prior | Bounds
"""What a person may give for a factor instead of what is declared."""


def factors_of(
    model: Model, recipe: Recipe, posterior: Posterior | None, chosen: "Sequence[str] | Mapping[str, Range | None]"
) -> tuple[Factor, ...]:
    """The factors by name, each with its distribution.

    Given range first, then draws of the posterior, prior, bounds. Raises UnknownNameError, UnitError, BoundsError for
    one without a distribution, RecipeError for an initial value that the recipe binds, ModelError for the posterior of
    another model.
    """
    if isinstance(chosen, str):
        chosen = [chosen]
    given: Mapping[str, Range | None] = chosen if isinstance(chosen, Mapping) else dict.fromkeys(chosen)
    if posterior is not None:
        check_fitted(posterior, model)
    bound = bound_initials(recipe, model)
    found = []
    for name, stated in given.items():
        if name in bound:
            raise RecipeError(
                f'"{name}" is bound by the recipe, so varying it changes nothing; make it a setting of the recipe: '
                f'initial={{"{name.removeprefix("initial.")}": pt.Setting(...)}}'
            )
        declared = recipe.settings.get(name) or dict(model.parameters.items()).get(name)
        if declared is None:
            raise unknown_name("parameter or setting", name, [*model.parameters, *recipe.settings])
        if posterior is None:
            found.append(_factor(declared, stated, None, ""))
        else:
            found.append(_factor(declared, stated, _draws(posterior, name), _words(posterior, name)))
    if not found:
        raise BoundsError("nothing is varied: name the factors, for example factors=[...]")
    return tuple(found)


def default_factors(model: Model, recipe: Recipe, posterior: Posterior | None) -> tuple[str, ...]:
    """All that has a distribution: unknowns of the posterior, settings, parameters with a prior or bounds."""
    bound = bound_initials(recipe, model)
    names = [n for n, s in recipe.settings.items() if np.isfinite(s.bounds).all()]
    for name, p in model.parameters.items():
        known = posterior is not None and _draws(posterior, name) is not None
        ranged = posterior is None and (p.prior is not None or np.isfinite(p.bounds).all())
        if name not in bound and (known or ranged):
            names.append(name)
    return tuple(names)


def correlated(posterior: Posterior | None, factors: Sequence[Factor]) -> list[tuple[str, str, float]]:
    """Pairs of factors that are taken from draws and are correlated there."""
    names = [f.name for f in factors if f.draws is not None]
    if posterior is None or len(names) < 2:
        return []
    matrix = np.corrcoef(np.column_stack([_aligned(posterior, n) for n in names]), rowvar=False)
    pairs: list[tuple[str, str, float]] = []
    rows: NDArray[np.intp] = np.argwhere(np.triu(np.abs(matrix), 1) > CORRELATED)
    for i, j in rows.tolist():
        pairs.append((names[i], names[j], float(matrix[i, j])))
    return sorted(pairs, key=lambda pair: -abs(pair[2]))


def _aligned(posterior: Posterior, name: str) -> Array:
    found = _draws(posterior, name)
    assert found is not None
    # Draws of several batches are laid end to end; a column of another length has no rows in common with them.
    return np.resize(found, posterior.n_draws)


def _draws(posterior: Posterior, name: str) -> Array | None:
    """Draws of a name; of one from a population those of new lots, of one that batches have alone those of all."""
    if name in population_names(posterior.names):
        # The same new lots whenever they are asked for, and others for another parameter.
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        return new_members(posterior.parameters[MEAN + name], posterior[MEAN + name], posterior[SPREAD + name], rng)
    own = [posterior[n] for n in posterior.names if n == name or n.partition("@")[0] == name]
    return np.concatenate(own) if own else None


def _words(posterior: Posterior, name: str) -> str:
    """Where the draws of a name come from."""
    if name in population_names(posterior.names):
        return f"a new {each_of(posterior, name)} from the population of the posterior"
    if name in posterior.names:
        return "draws of the posterior"
    return "draws of the posterior, of all batches"


def _factor(declared: Parameter | Setting, given: "Range | None", draws: Array | None, words: str) -> Factor:
    name, unit = declared.name, declared.unit
    difference = isinstance(declared, Parameter) and declared.difference
    low, high = declared.bounds
    prior = declared.prior if isinstance(declared, Parameter) else None
    log = isinstance(declared, Parameter) and declared.log_scale
    if isinstance(given, Prior):
        prior = given.in_si(unit, name, difference)
        return Factor(name, unit, low, high, False, prior, None, f"given: {prior.describe(unit, difference)}")
    if given is not None:
        low, high = bounds_in_si(given, unit, name, difference)
        declared.check(low)
        declared.check(high)
        return _even(Factor(name, unit, low, high, log and low > 0.0, None, None, "given"), difference)
    if draws is not None:
        column = np.sort(draws)
        if column[0] == column[-1]:
            raise BoundsError(f'all draws of "{name}" are the same: it cannot be varied; leave it out')
        return Factor(name, unit, float(column[0]), float(column[-1]), False, None, column, words)
    if prior is not None:
        return Factor(name, unit, low, high, False, prior, None, f"prior {prior.describe(unit, difference)}")
    return _even(Factor(name, unit, low, high, log, None, None, "bounds"), difference)


def _even(factor: Factor, difference: bool) -> Factor:
    if not np.isfinite([factor.low, factor.high]).all():
        raise BoundsError(
            f'"{factor.name}" has neither draws nor a prior nor two bounds, so it cannot be varied; give a range: '
            f'factors={{"{factor.name}": (low, high)}}'
        )
    if factor.low >= factor.high:
        raise BoundsError(f'the range of "{factor.name}" is empty')
    ends = " to ".join(format_si(x, factor.unit, difference=difference) for x in (factor.low, factor.high))
    words = f"{factor.words}: {ends}" + (", even in the logarithm" if factor.log else "")
    return Factor(factor.name, factor.unit, factor.low, factor.high, factor.log, None, None, words)
