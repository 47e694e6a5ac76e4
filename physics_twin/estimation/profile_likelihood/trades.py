"""What an unknown trades with, read off the path of its profile: which others follow it, and what stays constant."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.estimation.problem import Problem
from physics_twin.estimation.profile_likelihood.profile import Profile

PART = 0.3
"""Share of the change that an unknown makes in the outputs from which another that undoes it is named."""
CONSTANT = 0.05
"""Change of a combination over that of the unknown, along its path, below which it is called constant."""
SIMPLE = (-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0)
"""Powers that a law of physics has."""
CLOSE = 0.03
"""Relative tolerance of a power."""


@dataclass(frozen=True)
class Trade:
    """How the others follow one unknown."""

    partners: tuple[str, ...]
    """Who undoes most first."""
    constant: str
    """What stays constant, in words: "the product k1*k2"; empty where nothing simple does."""
    course: str
    """How the one partner moves: "k2 falls 1:1 with it"; empty for none or several."""


NO_TRADE = Trade((), "", "")


def trade(problem: Problem, profile: Profile, information: Array, rows: Sequence[int]) -> Trade:
    """What is seen along `rows` of a path, which include the mode.

    information: (d, d) of the data at the mode in search coordinates: how much outputs change with each unknown alone.
    """
    if len(rows) < 2:
        return NO_TRADE
    j = profile.column
    z = np.array([problem.space.z(x) for x in profile.x[list(rows)]])
    span = z.max(axis=0) - z.min(axis=0)
    effect = np.sqrt(np.maximum(np.diag(information), 0.0)) * np.where(np.isfinite(span), span, 0.0)
    if not effect[j] > 0.0:
        return NO_TRADE
    order = np.argsort(-effect, kind="stable")
    partners = [int(i) for i in order if i != j and effect[i] > PART * effect[j]]
    names = tuple(problem.names[i] for i in partners)
    if len(partners) != 1:
        return Trade(names, "", "")
    return Trade(names, *_pair(problem, profile.x[list(rows)], j, partners[0]))


def _pair(problem: Problem, x: Array, j: int, other: int) -> tuple[str, str]:
    """What stays constant, and how the other moves, where it is one."""
    a, b = x[:, j], x[:, other]
    first, second = (problem.names[i] for i in sorted((j, other)))
    name = problem.names[other]
    found: list[tuple[float, str, str]] = []
    if (a > 0.0).all() and (b > 0.0).all():
        power, left = _slope(np.log(a), np.log(b))
        simple = [m for m in SIMPLE if abs(power - m) <= CLOSE * abs(m)]
        if simple:
            found.append((left, _of_powers(problem, j, other, simple[0]), _course(name, simple[0])))
    if problem.columns[j].parameter.unit.dimension == problem.columns[other].parameter.unit.dimension:
        slope, left = _slope(a, b)
        if abs(slope + 1.0) <= CLOSE:
            found.append((left, f"the sum {first} + {second}", f"{name} falls by as much as it rises"))
        elif abs(slope - 1.0) <= CLOSE:
            found.append((left, f"the difference {first} - {second}", f"{name} rises by as much as it does"))
    found = [f for f in found if f[0] <= CONSTANT]
    return min(found)[1:] if found else ("", "")


def _slope(a: Array, b: Array) -> tuple[float, float]:
    """Slope of b over a, and how far b is from that line, as a share of its change."""
    a, b = a - a.mean(), b - b.mean()
    if not (a.any() and b.any()):
        return 0.0, np.inf
    slope = float(a @ b / (a @ a))
    return slope, float(np.abs(b - slope * a).max() / np.ptp(b))


def _of_powers(problem: Problem, j: int, other: int, power: float) -> str:
    """The combination that stays constant when ln(other) changes by `power` times ln(j)."""
    own, partner = problem.names[j], problem.names[other]
    if power in (-1.0, 1.0):
        one, two = (problem.names[i] for i in sorted((j, other)))
        return f"the product {one}*{two}" if power < 0.0 else f"the ratio {one}/{two}"
    if abs(power) < 1.0:  # other = j^(1/n)
        own, partner, power = partner, own, 1.0 / power
    return f"the product {partner}*{own}^{-power:g}" if power < 0.0 else f"the ratio {partner}/{own}^{power:g}"


def _course(name: str, power: float) -> str:
    if power in (-1.0, 1.0):
        return f"{name} {'rises' if power > 0.0 else 'falls'} 1:1 with it"
    return f"{name} goes with its power {power:g}"
