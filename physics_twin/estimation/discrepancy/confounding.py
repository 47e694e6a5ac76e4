"""What a discrepancy takes from a parameter: the two may explain the same data.

A parameter whose effect on an output looks like a likely discrepancy of that output cannot be told from it by any
amount of such data (Brynjarsdottir and O'Hagan, Inverse Problems 30 (2014) 114007; Arendt, Apley and Chen, Journal of
Mechanical Design 134 (2012) 100908). Measured at the mode, by the information of data and priors: the standard
deviation of the parameter with the coefficients free over that with the coefficients held at the mode.
"""

from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.estimation.discrepancy.wrapper import WithDiscrepancy
from physics_twin.estimation.method import Estimate
from physics_twin.estimation.problem import Problem

APART = 3.0
"""Ratio of standard deviations from which it is said: the discrepancy then takes eight ninths of the information."""
SETTLED = 0.05
"""A parameter that is known to this share of its value, and of what was known before, is known in spite of it."""
LARGER = 2.0
"""Root mean square of the coefficients over what their prior lets expect, from which the prior is too tight."""
FAINT = 1e-6
"""Information, in units of the spread before the data, that keeps what neither data nor prior know finite."""


@dataclass(frozen=True)
class Confounding:
    """One parameter beside the discrepancies."""

    parameter: str
    free: float
    """Its standard deviation, SI, at the mode, with the coefficients unknown."""
    held: float
    """With the coefficients held at the mode."""
    output: str
    """Whose discrepancy takes most of the information."""

    @property
    def ratio(self) -> float:
        """free / held: 1 where the discrepancy takes nothing."""
        return self.free / self.held

    @property
    def taken(self) -> float:
        """Share of the information that the discrepancies take."""
        return 1.0 - 1.0 / self.ratio**2


def confounding(problem: Problem, estimate: Estimate) -> tuple[Confounding, ...]:
    """Each parameter that is no coefficient; empty where the model has no discrepancy that is estimated."""
    model = problem.model
    if not isinstance(model, WithDiscrepancy):
        return ()
    of = {name: t.output for t in model.terms for name in t.names}
    owner = [of.get(column.target, "") for column in problem.columns]
    own = np.array([output == "" for output in owner])
    outputs = list(dict.fromkeys(output for output in owner if output))
    if not outputs or not own.any():
        return ()
    prior = estimate.point.prior_jacobian
    whole = estimate.information + prior.T @ prior + np.diag(FAINT / problem.space.reference**2)
    slope = problem.space.slope(estimate.point.x)
    free = _deviations(whole, np.ones(own.size, dtype=bool), own) * slope[own]
    held = _deviations(whole, own, own) * slope[own]
    # With the coefficients of one output held: the lower, the more of the information that output takes.
    without = [_deviations(whole, np.array([o != output for o in owner]), own) for output in outputs]
    most = [outputs[int(np.argmin([w[j] for w in without]))] for j in range(int(own.sum()))]
    names = [name for name, mine in zip(problem.names, own, strict=True) if mine]
    return tuple(Confounding(*row) for row in zip(names, free.tolist(), held.tolist(), most, strict=True))


def _deviations(information: Array, kept: Array, own: Array) -> Array:
    """Standard deviations of the columns `own` where only the columns `kept` are unknown."""
    covariance = np.linalg.inv(information[np.ix_(kept, kept)])
    position = np.cumsum(kept) - 1
    return np.asarray(np.sqrt(np.diag(covariance)[position[own]]))


def confounding_said(problem: Problem, estimate: Estimate) -> list[str]:
    """A warning for each output whose discrepancy could as well explain what the data say about parameters."""
    rows: dict[str, list[Confounding]] = {}
    columns = dict(zip(problem.names, range(len(problem.names)), strict=True))
    for one in confounding(problem, estimate):
        j = columns[one.parameter]
        x, slope = float(estimate.point.x[j]), float(problem.space.slope(estimate.point.x)[j])
        settled = one.free <= SETTLED * min(abs(x), float(problem.space.reference[j]) * abs(slope))
        if one.ratio >= APART and not settled:
            rows.setdefault(one.output, []).append(one)
    return [_sentence(problem, output, own) for output, own in rows.items()]


def larger_than_declared(problem: Problem, estimate: Estimate) -> list[str]:
    """A warning for each discrepancy whose coefficients are a surprise under their prior, all together.

    Before the data, the mode of a coefficient has the variance of its prior less that of its posterior.
    """
    model = problem.model
    if not isinstance(model, WithDiscrepancy):
        return []
    d = estimate.point.z.size
    own = np.abs(estimate.point.prior_slope)
    variance = np.diag(estimate.covariance)[:d] / problem.space.slope(estimate.point.x) ** 2
    learned = np.clip(1.0 - variance * own**2, 0.0, 1.0)
    found = []
    for t in model.terms:
        mine = np.array([column.target in t.names for column in problem.columns])
        expected = float(learned[mine].sum())
        if expected <= 0.0:
            continue
        ratio = float(np.sqrt(np.sum(estimate.point.prior[mine] ** 2) / expected))
        if ratio >= LARGER:
            found.append(
                f"the discrepancy of {t.output} is {ratio:.1f} times as large as its prior lets expect: it is larger, "
                f"or changes faster with {t.argument.name}, than was declared; raise sd= or lower length="
            )
    return found


def _sentence(problem: Problem, output: str, own: list[Confounding]) -> str:
    own = sorted(own, key=lambda one: -one.ratio)
    listed = ", ".join(f"{one.parameter} ({min(100.0 * one.taken, 99.0):.0f} %)" for one in own)
    first = own[0]
    parameter = problem.columns[problem.names.index(first.parameter)].parameter
    unit = (parameter.unit.difference() if parameter.difference else parameter.unit).difference()
    free, held = (f"{unit.from_si(sd, True):.3g}" for sd in (first.free, first.held))
    text = "" if unit.text == "1" else f" {unit.text}"
    return (
        f"most of what the data say about {listed} could as well be a discrepancy of {output}: the standard deviation "
        f"of {first.parameter} is {free}{text} with the discrepancy and {held}{text} without; give a prior from "
        "elsewhere, or data where the discrepancy is known to be small"
    )
