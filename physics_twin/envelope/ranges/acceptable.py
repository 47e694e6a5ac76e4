"""Ranges of single settings about the set point: proven acceptable ranges, and normal operating ranges.

ICH Q8 (R2) calls a range of one setting that keeps the quality, all others constant, a proven acceptable range. It is
wider than the side of a box, since the others do not move, and ranges of several settings must not be combined: that is
what the box is for. A normal operating range is where the plant really runs about what was set.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.certificate import lower_bound
from physics_twin.envelope.limits.allowed import Allowed, Group, violations
from physics_twin.envelope.limits.requirements import Requirement
from physics_twin.envelope.next_batch.draws import Draws
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.ranges.convex_set import ConvexSet
from physics_twin.envelope.region.surrogate import DesignSpace
from physics_twin.envelope.set_point.missed import limit_missed
from physics_twin.envelope.set_point.set_point import AT_BOUND, N_SD, OUTWARD, SETTING_BOUND
from physics_twin.signals import Setting
from physics_twin.units import Unit, format_si

N_LINE = 1001
"""Settings at which a line through the set point is looked at."""
STEPS_BACK = (1.0, 0.999, 0.99, 0.95, 0.85, 0.6, 0.3, 0.0)
"""Shares of the way from the certified set to the predicted end that are tried until the model confirms one; the last
is the end of the certified part itself."""
NO_CERTIFICATE = (
    "proven acceptable ranges vary one setting and hold the others at the set point; they are no part of the "
    "certificate and must not be combined"
)

Simulate = Callable[[Batches, Array], Array]
"""Batches and points (n, d) of the unit cube -> margins (n, n_batches, n_requirements) SI."""


@dataclass(frozen=True)
class AcceptableRange:
    """Where one setting may stand while the others stay at the set point; shown at its ends, not certified."""

    setting: str
    unit: Unit
    low: float
    """SI"""
    high: float
    ends: tuple[str, str]
    """What ends the low and the high side: a limit's name, or "setting bound"."""
    probability: tuple[float, float]
    """Share of all draws that keep the limits at either end; of the group of limits that is closest to failing."""
    probability_lower: tuple[float, float]
    """Clopper-Pearson lower bound of that share, for each end by itself. The ends were chosen with these draws."""
    confidence: float

    def __str__(self) -> str:
        """The range with what ends it and what was seen there."""
        sides = []
        for word, x, end, p, least in zip(
            ("from", "to"), (self.low, self.high), self.ends, self.probability, self.probability_lower, strict=True
        ):
            sides.append(
                f"{word} {format_si(x, self.unit)} (ended by {end}; met in {100 * p:.4g} % of draws, at least "
                f"{100 * least:.4g} % with confidence {self.confidence:g})"
            )
        return f"{self.setting} {' '.join(sides)}"


def acceptable_ranges(
    simulate: Simulate,
    draws: Draws,
    space: DesignSpace,
    body: ConvexSet,
    point: Array,
    groups: tuple[Group, ...],
    requirements: Sequence[Requirement],
    settings: Sequence[Setting],
    confidence: float,
) -> dict[str, AcceptableRange]:
    """Setting -> its proven acceptable range about the set point `point` (d,) of the unit cube.

    body: the certified box or polytope. The search's interpolation says where a range ends (the first gap counts,
    whatever lies beyond); the model confirms it on all draws, else the end moves back toward the certified part.
    """
    nominal = Allowed.share(groups, space.n_draws)
    found = {}
    for i, setting in enumerate(settings):
        ends, names, shares, bounds = [], [], [], []
        for side, certified in zip((-1, 1), body.chord(point, i), strict=True):
            predicted = predicted_end(lambda u: space.level(u, nominal), point, i, side, certified)
            end, share, least = _confirmed_end(simulate, draws, groups, point, i, certified, predicted, confidence)
            ends.append(end)
            names.append(_what_ends(space, requirements, nominal, point, i, side, end))
            shares.append(share)
            bounds.append(least)
        low, high = setting.bounds
        found[setting.name] = AcceptableRange(
            setting.name,
            setting.unit,
            low + ends[0] * (high - low),
            low + ends[1] * (high - low),
            (names[0], names[1]),
            (shares[0], shares[1]),
            (bounds[0], bounds[1]),
            confidence,
        )
    return found


def predicted_end(level: Callable[[Array], Array], point: Array, axis: int, side: int, certified: float) -> float:
    """Coordinate at which the region is first left on the way out from `certified`, where the certified set ends."""
    bound = 0.0 if side < 0 else 1.0
    way = np.linspace(certified, bound, N_LINE)
    points = np.tile(point, (N_LINE, 1))
    points[:, axis] = way
    outside = level(points) < 0.0
    outside[0] = False  # the certificate has the first word
    if not outside.any():
        return bound
    first = int(np.argmax(outside))
    good, bad = float(way[first - 1]), float(way[first])
    for _ in range(30):
        middle = 0.5 * (good + bad)
        at = point.copy()
        at[axis] = middle
        good, bad = (middle, bad) if float(level(at[None])[0]) >= 0.0 else (good, middle)
    return good


def _confirmed_end(
    simulate: Simulate,
    draws: Draws,
    groups: tuple[Group, ...],
    point: Array,
    axis: int,
    certified: float,
    predicted: float,
    confidence: float,
) -> tuple[float, float, float]:
    """End of the range, share of all draws that keep the limits there, and the lower bound of that share."""
    n = draws.search.n + draws.held.n
    required = np.array([group.probability for group in groups])
    end, kept = certified, np.ones(len(groups))
    for step in STEPS_BACK:
        end = certified + step * (predicted - certified)
        at = point.copy()
        at[axis] = end
        both = np.concatenate([simulate(half, at[None]) for half in (draws.search, draws.held)], axis=1)
        kept = 1.0 - violations(both, groups)[0] / n
        if (kept >= required).all() or end == certified:
            break
    closest = int(np.argmin(kept - required))
    n_effective = draws.independence * n
    least = lower_bound((1.0 - kept[closest]) * n_effective, n_effective, 1.0 - confidence)
    return end, float(kept[closest]), least


def _what_ends(
    space: DesignSpace,
    requirements: Sequence[Requirement],
    nominal: Allowed,
    point: Array,
    axis: int,
    side: int,
    end: float,
) -> str:
    """The limit that is missed by most a step beyond the end, or "setting bound"."""
    if (side < 0 and end <= AT_BOUND) or (side > 0 and end >= 1.0 - AT_BOUND):
        return SETTING_BOUND
    beyond = point.copy()
    beyond[axis] = np.clip(end + side * OUTWARD, 0.0, 1.0)
    return limit_missed(space, beyond[None], requirements, nominal)


def normal_ranges(
    settings: Sequence[Setting], set_point: Mapping[str, float], tolerance: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Normal operating range (low, high) SI of each setting that has a tolerance: the set point and N_SD deviations.

    set_point: SI. tolerance: setting -> standard deviation with which the plant hits it, SI.
    """
    known = [s.name for s in settings if s.name in tolerance and s.name in set_point]
    return {
        name: (set_point[name] - N_SD * tolerance[name], set_point[name] + N_SD * tolerance[name]) for name in known
    }


def leaving_the_range(
    settings: Sequence[Setting], normal: Mapping[str, tuple[float, float]], body: ConvexSet, point: Array
) -> list[str]:
    """A warning for each normal operating range (SI) that the certified set does not hold.

    body: the certified box or polytope; point: (d,) the set point. Both of the unit cube.
    """
    found = []
    for i, setting in enumerate(settings):
        if setting.name not in normal:
            continue
        (low, high), (least, most) = normal[setting.name], setting.bounds
        start, end = (least + x * (most - least) for x in body.chord(point, i))
        # A set point in the middle of a set as wide as its range is rounded on either side.
        slack = 1e-9 * (end - start)
        if low < start - slack or high > end + slack:
            found.append(
                f"{setting.name}: the normal operating range from {format_si(low, setting.unit)} to "
                f"{format_si(high, setting.unit)} leaves the certified range; hit the setting more closely, or accept "
                "that batches run outside of it (the probability counts them)"
            )
    return found
