"""Capability indices of limits, with their intervals.

For an upper limit U and values with mean m and standard deviation s, Ppu = (U - m) / (3 s); Ppl likewise for a lower
limit; Ppk is the smaller of both. s is the overall standard deviation, so what is computed is Ppk; many plants call it
Cpk, which strictly takes the standard deviation within short subgroups. All assume normal values.

Past batches seldom ran at one point. Where their settings differ, the differences are part of s: the index is then the
performance over the settings that were run, and mostly lower than that of the process held at one of them, even where
every batch passed.

One-sided indices have an exact interval: sqrt(n) (U - m) / s has a noncentral t distribution with n - 1 degrees of
freedom and noncentrality 3 sqrt(n) Ppu. The interval of a two-sided Ppk is Bissell's approximation (Applied Statistics
39, 1990, 331-340): Ppk +- z sqrt(1 / (9 n) + Ppk^2 / (2 (n - 1))).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import chi2, norm

from physics_twin.arrays import Array

FEW = 25
"""Values below which an index says little: its 95 % interval is wider than about +- 30 %."""


N_CHI = 400
"""Nodes of the integral behind the exact interval."""


@dataclass(frozen=True)
class Capability:
    """The capability of one limit."""

    limit: str
    index: str
    """"Ppu", "Ppl", or "Ppk" for a limit with two sides."""
    value: float
    """NaN where it cannot be computed."""
    low: float
    high: float
    """Interval with the confidence that was asked for."""
    n: int
    """Values behind it."""
    basis: str
    """Whose values: "batches inside", "all batches", "predicted at the set point"."""

    @property
    def note(self) -> str:
        """What has to be said with it; often empty."""
        if self.n < 2:
            return "too few values"
        if math.isinf(self.value):
            return "the values do not scatter"
        return f"{self.n} values only" if self.n < FEW else ""


def one_sided(limit: str, index: str, margins: Array, confidence: float, basis: str) -> Capability:
    """Capability from signed margins (n,), positive where the limit is met; exact interval.

    >>> found = one_sided("T <= 80 degC", "Ppu", np.linspace(1.0, 9.0, 9), 0.95, "all batches")
    >>> round(found.value, 3)
    0.609
    """
    margins = margins[np.isfinite(margins)]
    n = int(margins.size)
    sd = float(np.std(margins, ddof=1)) if n > 1 else math.nan
    if n < 2:
        return Capability(limit, index, math.nan, math.nan, math.nan, n, basis)
    mean = float(margins.mean())
    if sd <= 1e-12 * abs(mean) or sd == 0.0:
        sign = math.copysign(math.inf, mean)
        return Capability(limit, index, sign, sign, sign, n, basis)
    value = mean / (3.0 * sd)
    low, high = _exact(value, n, confidence)
    return Capability(limit, index, value, low, high, n, basis)


def two_sided(limit: str, sides: Sequence[Capability], confidence: float) -> Capability:
    """The smaller of both sides, with Bissell's interval."""
    worst = min(sides, key=lambda c: (not math.isnan(c.value), c.value))
    low, high = worst.low, worst.high
    if math.isfinite(worst.value):
        z = float(norm.ppf(0.5 + 0.5 * confidence))
        half = z * math.sqrt(1.0 / (9.0 * worst.n) + worst.value**2 / (2.0 * (worst.n - 1)))
        low, high = worst.value - half, worst.value + half
    return Capability(limit, "Ppk", worst.value, low, high, worst.n, worst.basis)


@cache
def _gauss() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(N_CHI)
    return nodes, weights


def _exact(value: float, n: int, confidence: float) -> tuple[float, float]:
    """Both ends of the interval of a one-sided index: where the observed t lies at the tails.

    The noncentral t is integrated over its chi: P(T <= t) = E[Phi(t chi / sqrt(n - 1) - noncentrality)], which has
    digits everywhere; library functions give NaN far out, where a root search has to look.
    """
    t, tail = 3.0 * math.sqrt(n) * value, 0.5 * (1.0 - confidence)
    nodes, weights = _gauss()
    spread = np.sqrt(chi2.ppf(0.5 * (nodes + 1.0), n - 1) / (n - 1))

    def below(noncentrality: float) -> float:
        return float(0.5 * weights @ ndtr(t * spread - noncentrality))

    reach = abs(t) * float(spread.max()) + 10.0

    def end(target: float) -> float:
        return float(brentq(lambda d: below(d) - target, -reach, reach)) / (3.0 * math.sqrt(n))

    return end(1.0 - tail), end(tail)
