"""A verdict per parameter: identified, weakly, not, or at its bound, with the direction that the data cannot see.

Directions come from the information of the data measured against what was known before: priors, or an even spread over
the bounds (R^T F R, F = J^T W J in search coordinates, R R^T the covariance before the data). An eigenvalue below
UNSEEN says that the data narrow that direction by less than a tenth.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.population_verdicts import population_verdicts
from physics_twin.estimation.problem import Problem
from physics_twin.parameters import Parameter
from physics_twin.posterior import Identification, Verdict
from physics_twin.priors import LogNormal, Truncated

UNSEEN = 0.25
"""Eigenvalue of the information below which a direction counts as not seen: narrowed to 1/sqrt(1.25) = 0.9."""
SHARE = 0.1
"""Squared share of a parameter in unseen directions from which it counts as not identified."""
WEAK_NARROWING = 0.5
WEAK_RELATIVE = 0.35
"""A standard deviation beyond these (of that before the data; of the value, where zero is not in reach) is weak."""
TRADES = 0.8
"""Correlation from which a trading partner is named."""
SAME = 0.15
"""Tolerance to call a direction a product, a ratio, a sum or a difference."""
WEAK_HYPER = 0.5
"""Standard deviation of the logarithm of a shape of noise, or of a spread, that is weak."""
CONFLICT = 3.0
"""Standard deviations by which a mode may lie off the middle of its prior before that is a conflict."""
MOST_CONFLICTS = 10
"""A page of the same sentence is not read."""
LEARNED = 1e-9
"""Least share of the prior's variance that the data must take away for a conflict to be told from rounding."""


def verdicts(problem: Problem, estimate: Estimate) -> dict[str, Verdict]:
    """Name -> verdict for all unknowns, noise levels included."""
    d = estimate.point.z.size
    reference = problem.space.reference
    scaled = estimate.information * np.outer(reference, reference)
    if problem.coupling is None:
        values, vectors = np.linalg.eigh(scaled)
    else:
        root = np.linalg.inv(problem.coupling)
        values, vectors = np.linalg.eigh(root.T @ scaled @ root)
        vectors = root @ vectors  # still one row per parameter, in its standard deviations and of length one
    unseen = values < UNSEEN
    share = (vectors[:, unseen] ** 2).sum(axis=1)
    # Correlations as the data alone would give them, with just enough prior to exist.
    posterior = (vectors / (values.clip(0.0) + 1e-4)) @ vectors.T
    correlation = _correlation(posterior)
    silent = np.diag(scaled) <= 1e-14 * max(float(np.diag(scaled).max()), 1e-300)
    widened = np.sqrt(np.diag(estimate.widened))
    slope = problem.space.slope(estimate.point.x)
    classical = np.sqrt(np.diag(estimate.covariance)[:d]) / slope
    narrowing = np.sqrt(((vectors**2) / (1.0 + values.clip(0.0))).sum(axis=1))
    narrowing *= widened / np.maximum(classical, 1e-300)  # an ensemble that is all on a bound has no spread
    found: dict[str, Verdict] = {}
    for j, column in enumerate(problem.columns):
        partners = _partners(problem.names, correlation, silent, j)
        ratio = float(min(narrowing[j], 1.0))
        side = estimate.at_bound.get(column.name)
        x = float(estimate.point.x[j])
        relative = float(widened[j] * slope[j]) / abs(x) if x else np.inf
        if silent[j]:
            kind, text = Identification.NOT, "no measured output depends on it" + what_limits(column.parameter)
        elif side is not None:
            kind, text = Identification.AT_BOUND, bound_text(column.parameter, side)
        elif share[j] > SHARE:
            kind = Identification.NOT
            text = _unseen_text(problem, estimate, vectors[:, unseen], reference, j, partners) + what_limits(
                column.parameter
            )
        elif ratio > WEAK_NARROWING or relative > WEAK_RELATIVE:
            kind = Identification.WEAK
            text = _weak_text(problem, estimate, posterior, reference, j, partners, relative, ratio)
        else:
            kind, text = Identification.IDENTIFIED, ""
        found[column.name] = Verdict(column.name, kind, text, ratio, partners)
    for k, group in enumerate(problem.noise_groups):
        degrees = float(estimate.levels.degrees[k])
        weak = degrees < 4.0
        text = f"only {degrees:.1f} degrees of freedom" if weak else ""
        kind = Identification.WEAK if weak else Identification.IDENTIFIED
        found[group.parameter.name] = Verdict(group.parameter.name, kind, text, 1.0 / np.sqrt(1.0 + 2.0 * degrees), ())
    first = d + len(problem.noise_groups)
    for k, (hyper, at) in enumerate(zip(problem.hypers, estimate.hypers.tolist(), strict=True), start=first):
        found[hyper.parameter.name] = _of_hyper(hyper.parameter, float(estimate.covariance[k, k]), at)
    assert len(found) == d + len(problem.noise_groups) + len(problem.hypers)
    return found | population_verdicts(problem, estimate, found)


def _of_hyper(parameter: Parameter, variance: float, x: float) -> Verdict:
    """The verdict on a shape of noise or a spread; x SI, its variance SI squared."""
    low, high = parameter.bounds
    before = float(np.log(high / low)) / np.sqrt(12.0) if np.isfinite(high) and low > 0.0 else np.inf
    sd = float(np.sqrt(variance)) / x
    weak = sd > WEAK_HYPER
    text = f"known to a factor of {np.exp(sd):.2g} or so" if weak else ""
    kind = Identification.WEAK if weak else Identification.IDENTIFIED
    return Verdict(parameter.name, kind, text, min(sd / before, 1.0), ())


def conflicts(problem: Problem, estimate: Estimate) -> list[str]:
    """Sentences about parameters whose data contradict their prior.

    Before the data, the posterior mean has the variance of the prior less that of the posterior; a mode further from
    the middle of the prior than CONFLICT of that is a surprise, also where a narrow prior has overruled the data.
    """
    found = []
    slope = problem.space.slope(estimate.point.x)
    d = slope.size
    variance = np.diag(estimate.covariance)[:d] / slope**2
    for j, column in enumerate(problem.columns):
        prior = column.parameter.prior
        own = abs(float(estimate.point.prior_slope[j]))
        if prior is None or own == 0.0 or column.name in estimate.at_bound:
            continue
        if column.target.startswith("discrepancy."):
            continue  # judged all together: see discrepancy/confounding.py
        residual = float(estimate.point.prior[j])
        base = prior.prior if isinstance(prior, Truncated) else prior
        if isinstance(base, LogNormal):
            residual -= base.sigma  # measured from the median, not from the mode of the density
        learned = 1.0 - float(variance[j]) * own**2
        if learned > LEARNED and abs(residual) > CONFLICT * np.sqrt(learned):
            mode = column.parameter.format(float(estimate.point.x[j]))
            found.append(
                f"prior and data contradict each other: {column.name} = {mode} is a surprise of "
                f"{abs(residual) / np.sqrt(learned):.1f} standard deviations under its prior "
                f"{prior.describe(column.parameter.unit, column.parameter.difference)}"
            )
    if len(found) > MOST_CONFLICTS:
        more = len(found) - MOST_CONFLICTS
        found[MOST_CONFLICTS:] = [f"prior and data contradict each other for {more} more parameters"]
    return found


def _correlation(covariance: Array) -> Array:
    sd = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(sd, sd))


def _partners(
    names: Sequence[str], correlation: Array, silent: NDArray[np.bool_], j: int
) -> tuple[tuple[str, float], ...]:
    if silent[j]:
        return ()
    order = np.argsort(-np.abs(correlation[j]))
    return tuple(
        (names[i], float(correlation[j, i]))
        for i in order
        if i != j and not silent[i] and abs(correlation[j, i]) >= TRADES
    )


def bound_text(parameter: Parameter, side: str) -> str:
    """What is said of an unknown at its "lower" or "upper" bound."""
    bound = parameter.bounds[0] if side == "lower" else parameter.bounds[1]
    if parameter.prior is not None:
        support = parameter.prior.support
        bound = max(bound, support[0]) if side == "lower" else min(bound, support[1])
    return f"at its {side} bound {parameter.format(bound)}: not estimated, its interval is one-sided"


def what_limits(parameter: Parameter) -> str:
    """What decides about an unknown that the data do not see, to end a sentence."""
    if parameter.prior is not None:
        return "; its prior decides"
    if np.isfinite(parameter.bounds).all():
        return "; only its bounds limit it"
    return "; nothing limits it, so its draws are arbitrary: give it a prior or bounds, or fix it"


def _moves(partners: tuple[tuple[str, float], ...]) -> str:
    return " and ".join(f"{_called(name)} (r = {r:.2f})" for name, r in partners[:3])


def _called(name: str) -> str:
    """A coefficient of a discrepancy goes by what it is part of."""
    if not name.startswith("discrepancy."):
        return name
    return f"the discrepancy of {name.removeprefix('discrepancy.').rpartition('.')[0]}"


def _unseen_text(
    problem: Problem,
    estimate: Estimate,
    directions: Array,
    reference: Array,
    j: int,
    partners: tuple[tuple[str, float], ...],
) -> str:
    """What is seen instead, where the unseen directions pair the parameter with one other."""
    # The unseen direction that the parameter is in most, in search coordinates.
    weight = directions @ directions[j]
    direction = reference * weight
    involved = [i for i in np.argsort(-np.abs(weight)) if abs(weight[i]) > 0.1 * np.abs(weight).max()]
    if len(involved) == 1:
        return "the data hardly depend on it"
    if len(involved) == 2 and j in involved:
        other = involved[0] if involved[1] == j else involved[1]
        combination = _combination(problem, estimate, direction, j, other)
        r = dict(partners).get(problem.names[other])
        moves = f"; moves with {problem.names[other]}" + (f" (r = {r:.2f})" if r is not None else "")
        return f"only {combination} is seen{moves}"
    if partners:
        return f"the data see only a combination; it moves with {_moves(partners)}"
    others = ", ".join(dict.fromkeys(_called(problem.names[i]) for i in involved if i != j))
    return f"the data see only a combination of it with {others}"


def _weak_text(
    problem: Problem,
    estimate: Estimate,
    posterior: Array,
    reference: Array,
    j: int,
    partners: tuple[tuple[str, float], ...],
    relative: float,
    ratio: float,
) -> str:
    parameter = problem.columns[j].parameter
    sd = float(np.sqrt(estimate.widened[j, j]) * problem.space.slope(estimate.point.x)[j])
    if relative > WEAK_RELATIVE and np.isfinite(relative):
        text = f"known to {100.0 * relative:.0f} % (one standard deviation)"
    elif ratio > WEAK_NARROWING:
        text = f"the data narrow it only to {100.0 * ratio:.0f} % of what was known before"
    else:
        text = f"known to {parameter.replace(difference=False).unit.difference().from_si(sd):.3g}"
    if not partners:
        return text
    other = problem.names.index(partners[0][0])
    direction = np.zeros(len(problem.names))
    direction[[j, other]] = reference[[j, other]] * posterior[[j, other], j]
    combination = _combination(problem, estimate, direction, j, other)
    return f"{text}; mostly {combination} is seen, moves with {_moves(partners)}"


def _combination(problem: Problem, estimate: Estimate, direction: Array, j: int, other: int) -> str:
    """Name what stays constant when two parameters move along `direction` (search coordinates)."""
    names, x = problem.names, estimate.point.x
    slope = problem.space.slope(x)
    a, b = direction[j] * slope[j], direction[other] * slope[other]
    first, second = sorted((j, other))
    one, two = names[first], names[second]
    same_unit = problem.columns[j].parameter.unit.dimension == problem.columns[other].parameter.unit.dimension
    shifts = same_unit and min(problem.space.x_low[[j, other]]) < 0.0
    if x[j] > 0.0 and x[other] > 0.0 and not shifts:  # where both are alike, a product and a sum look the same
        ra, rb = a / x[j], b / x[other]
        if abs(ra - rb) <= SAME * max(abs(ra), abs(rb)):
            return f"the ratio {one}/{two}"
        if abs(ra + rb) <= SAME * max(abs(ra), abs(rb)):
            return f"the product {one}*{two}"
    if same_unit and abs(a + b) <= SAME * max(abs(a), abs(b)):
        return f"the sum {one} + {two}"
    if same_unit and abs(a - b) <= SAME * max(abs(a), abs(b)):
        return f"the difference {one} - {two}"
    return f"a combination of {one} and {two}"


def bounds_said(found: Mapping[str, Verdict]) -> list[str]:
    """Warnings about active bounds."""
    return [
        f"{name} is {verdict.sentence}"
        for name, verdict in found.items()
        if verdict.identification is Identification.AT_BOUND
    ]
