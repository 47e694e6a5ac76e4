"""Verdicts about populations: whether the groups differ, and what a group with few data leans on."""

from dataclasses import replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.estimation.hypers import ColumnGroup
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.population import Population
from physics_twin.estimation.problem import Problem
from physics_twin.posterior import Identification, Verdict

REACHES_ZERO = 0.25
"""Ratio of the 5 % quantile of a spread to its median: 0.09 for a half-normal density, which is flat from zero on;
above 0.34 for one that the data hold away from zero, with two groups or more (inverse chi, one degree of freedom)."""
FEW = 5
"""Groups below which a spread is known to a factor of two at best: inverse chi with three degrees of freedom."""
WEAK = 0.5
"""Share of what was known before, as for other parameters."""


def population_verdicts(problem: Problem, estimate: Estimate, found: dict[str, Verdict]) -> dict[str, Verdict]:
    """Name -> verdict for means, spreads, and those members about which `found` says that the data do not see them."""
    verdicts: dict[str, Verdict] = {}
    for population, group in zip(problem.unknowns.populations, problem.column_groups, strict=True):
        verdicts |= _mean(problem, estimate, group)
        verdicts |= _spread(problem, estimate, population, group)
        for j in group.columns:
            name = problem.names[j]
            if found[name].identification is Identification.NOT:
                text = f"the data of this {population.each} hardly depend on it; the population decides"
                verdicts[name] = replace(found[name], sentence=text)
    return verdicts


def _mean(problem: Problem, estimate: Estimate, group: ColumnGroup) -> dict[str, Verdict]:
    j = group.mean_column
    name, space = problem.names[j], problem.space
    if name in estimate.at_bound:
        return {}
    t = _coordinate(estimate.draws[:, j], space.log[j], space.origin[j]) / space.scale[j]
    ratio = min(float(np.std(t) / space.reference[j]), 1.0)
    if ratio <= WEAK:
        return {name: Verdict(name, Identification.IDENTIFIED, "", ratio, ())}
    text = f"{group.columns.size} groups narrow it only to {100.0 * ratio:.0f} % of what was known before"
    return {name: Verdict(name, Identification.WEAK, text, ratio, ())}


def _spread(problem: Problem, estimate: Estimate, population: Population, group: ColumnGroup) -> dict[str, Verdict]:
    parameter = problem.hypers[group.spread].parameter
    draws = estimate.draws[:, problem.parameters.names.index(parameter.name)]
    n, each = group.columns.size, population.each
    low, median = np.quantile(draws, [0.05, 0.5])
    assert parameter.prior is not None
    ratio = min(float(np.std(draws)) / parameter.prior.sd, 1.0)
    words = []
    if low < REACHES_ZERO * median:
        words.append(f'the {n} groups (by "{each}") do not differ measurably')
    if n < FEW:
        words.append(f"{n} groups say little about a spread, and its prior counts")
    kind = Identification.WEAK if words else Identification.IDENTIFIED
    return {parameter.name: Verdict(parameter.name, kind, "; ".join(words), ratio, ())}


def _coordinate(x: Array, log: bool, origin: float) -> Array:
    return np.asarray(np.log(x / origin) if log else x - origin)
