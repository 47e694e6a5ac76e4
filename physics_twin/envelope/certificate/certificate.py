"""The certificate: what the held-out draws say about the worst point of a box.

Claim: P(all limits met | settings) >= p at every point of the box, with confidence 1 - alpha. Three rules keep it
honest.
- Points are chosen, and the boxes to be tried are fixed, without looking at the certification draws; those decide
  only whether a box passes. The violations at a point are then binomial and the lower bound is Clopper and Pearson's
  (Biometrika 26, 1934).
- The error is spent over the attempts: box k may use SPENDING[k] of alpha, and the shares sum to one (union bound).
- Within an attempt the error is divided by the number of points and of groups of limits (Bonferroni), so that the bound
  of every point holds at once. (For the minimum alone this is more than needed: passing requires every point to pass.)

What it does not promise: the points are all corners and the worst that the search found. Between them the surrogate and
the scouts stand for the model, so a region narrower than the distance of the scouts (a 64th of the range of one
setting, a 256th of two, a 512th of more, along one axis; wider where `Budget(n_scouts=)` asked for fewer) or as small
in volume may lie inside unseen.

Draws count at their effective number n_eff: violations and draws are scaled alike, which keeps the observed share.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv
from scipy.stats import betabinom

from physics_twin.arrays import Array
from physics_twin.envelope.limits.allowed import Counts, Group
from physics_twin.envelope.sampling import Sampling

SPENDING = (0.5, 0.25, 0.125, 0.125)
"""Share of the error that each attempt may use. Most boxes pass at once, so the first gets the most."""


@dataclass(frozen=True)
class Attempt:
    """One box that was put to the test."""

    passed: bool
    box: Mapping[str, tuple[float, float]]
    """Name -> (low, high), SI."""
    error: float
    """Error spent at each point of this attempt."""
    allowed: tuple[int, ...]
    """For each group of limits, violations allowed at a point, of the effective draws."""
    violations: tuple[int, ...]
    """For each group, most violations found at a point, of all certification draws."""
    n_points: int


@dataclass(frozen=True, eq=False)
class Certificate:
    """How the probability of an envelope was established; enough to repeat it."""

    passed: bool
    groups: tuple[Group, ...]
    """Which limits are kept jointly, and the probability that had to be shown of each group."""
    confidence: float
    n_draws: int
    n_search: int
    """Draws that the search saw."""
    n_certification: int
    """Draws that it did not see."""
    n_effective: float
    """Certification draws counted as independent ones."""
    points: Array
    """(n_points, n_settings) SI: corners first, then the worst points that the directed search found."""
    violations: Counts
    """(n_points, n_groups) draws that broke a limit of the group or failed, of `n_certification`."""
    lower_bounds: Array
    """(n_points, n_groups) lower confidence bounds of the probability, corrected for attempts, points and groups."""
    attempts: tuple[Attempt, ...]
    n_simulations: int
    seed: str
    model: str
    """Name and version."""
    fingerprint: str
    posterior: str
    """Hash of the draws and of what the fit held fixed, see `draws_hash`."""
    recipe: str
    """Hash of all that the recipe holds: phases, tables row by row, settings with their bounds, initial values."""
    library: str
    """Version of physics_twin."""
    sampling: Sampling | None = None
    """How the samples of courses were checked; None where no limit looks at a course."""
    redrawn: str = ""
    """From what the certification draws were made anew; empty where they are the posterior's own."""
    code: str = ""
    """Hash of the library's own source, see `physics_twin.source`; empty in files that are older than it."""
    draws: NDArray[np.uint64] | None = None
    """(n,) hashes of the posterior's draws, so that none of them passes for a new one; None where nobody kept them."""

    @property
    def draws_text(self) -> str:
        """Which draws were used for what."""
        whence = f"made anew from {self.redrawn}" if self.redrawn else "held out"
        return f"{self.n_search} draws for the search, {self.n_certification} {whence}"

    @property
    def probability(self) -> float:
        """The probability that had to be shown of the joint group, or of the first where every limit has its own."""
        return self.groups[0].probability

    def n_nodes(self, asked: int) -> int:
        """Samples in each phase on which the margins were judged; `asked` where nobody checked them."""
        return asked if self.sampling is None else self.sampling.n_nodes

    @property
    def worst(self) -> int:
        """Row of the point whose bound lies lowest above (or below) what its group requires."""
        required = np.array([group.probability for group in self.groups])
        return int(np.argmin((self.lower_bounds - required).min(axis=1)))


def lower_bound(violations: float, n_draws: float, error: float) -> float:
    """Clopper-Pearson lower bound of the probability of no violation; `violations` of `n_draws`, one-sided `error`.

    >>> round(lower_bound(0, 59, 0.05), 4), round(lower_bound(0, 58, 0.05), 4)
    (0.9505, 0.9497)
    """
    successes = n_draws - violations
    return float(betaincinv(successes, violations + 1.0, error)) if successes > 0.0 else 0.0


def lower_bounds(broken: Counts, n_draws: float, independence: float, error: float) -> Array:
    """Lower bounds (n_points, n_groups) for violations (n_points, n_groups) of `n_draws` effective draws."""
    bounds = [[lower_bound(independence * v, n_draws, error) for v in row] for row in broken]
    return np.array(bounds, dtype=float).reshape(broken.shape)


def draws_needed(probability: float, error: float) -> int:
    """Independent draws without a violation that show `probability` with one-sided `error`.

    >>> draws_needed(0.95, 0.05)
    59
    """
    return math.ceil(math.log(error) / math.log(probability) - 1e-12)


def violations_allowed(n_draws: float, probability: float, error: float) -> int:
    """Most violations among `n_draws` whose lower bound still reaches `probability`; -1 when not even none does."""
    allowed = -1
    while lower_bound(allowed + 1, n_draws, error) >= probability:
        allowed += 1
    return allowed


def search_violations(n_search: float, n_certification: float, allowed: int, chance: float) -> int:
    """Violations among the search draws at which a point passes the certificate with `chance`.

    Given k violations of n_search (uniform prior on the unknown probability), the number among the certification
    draws is beta-binomial. This is the slack between search and certificate: it pays for both samples' noise and
    for the search having picked what looked best on its own draws. Never below zero: with few draws none may fail.
    """
    n_c, k = int(n_certification), 0
    if allowed < 0 or n_c < 1:
        return 0
    while betabinom.cdf(allowed, n_c, k + 2, n_search - k) >= chance and k + 2 < n_search:
        k += 1
    return k


def attempt_error(confidence: float, attempt: int, n_bounds: int) -> float:
    """Error that each of `n_bounds` (points times groups) may use in attempt 0, 1, ..."""
    return (1.0 - confidence) * SPENDING[attempt] / n_bounds
