"""What the search has learned about settings outside the certified range: predicted, not certified.

The prediction counts the search draws whose interpolated margins meet the limits. It costs no simulation. Two answers
are kept apart: the probability itself, and whether a point lies in the region in which the search looked for the box;
the region asks for the slack that a certificate needs, so a point in it would have had a good chance to pass.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.envelope.certificate.attempts import CHANCES
from physics_twin.envelope.certificate.certificate import search_violations
from physics_twin.envelope.digits import share_text
from physics_twin.envelope.limits.allowed import Allowed
from physics_twin.envelope.region.surrogate import DesignSpace
from physics_twin.units import QuantityLike, Unit, format_si

if TYPE_CHECKING:
    from physics_twin.envelope.envelope import Envelope
    from physics_twin.parameters import Values

AT_BOUND = 1e-9
"""Distance beyond a bound or a side, relative to the range searched, that is rounding."""


@dataclass(frozen=True, eq=False)
class SearchedRegion:
    """The region of an envelope as the search sees it, over points of the unit cube (n, n_settings)."""

    envelope: "Envelope"

    @cached_property
    def space(self) -> DesignSpace:
        """The design of the search; raises EnvelopeError for an envelope that has none."""
        return self.envelope.space

    @cached_property
    def low(self) -> Array:
        """(n_settings,) SI, where the search began."""
        return np.array([s.bounds[0] for s in self.envelope.settings])

    @cached_property
    def widths(self) -> Array:
        """(n_settings,) SI."""
        return np.array([s.bounds[1] - s.bounds[0] for s in self.envelope.settings])

    @cached_property
    def required(self) -> Allowed:
        """Violations of the search draws that the required probabilities leave."""
        return Allowed.share(self.envelope.certificate.groups, self.space.n_draws)

    @cached_property
    def allowed(self) -> Allowed:
        """The same with the slack of the search: fewer, as many as would have passed the last certificate."""
        c = self.envelope.certificate
        if not c.attempts:
            return self.required
        independence = c.n_effective / c.n_certification
        chance, n_search = CHANCES[len(c.attempts) - 1], independence * c.n_search
        wanted = (search_violations(n_search, c.n_effective, k, chance) for k in c.attempts[-1].allowed)
        pairs = zip(self.required.k, wanted, strict=True)
        return Allowed(c.groups, tuple(min(plain, int(k / independence)) for plain, k in pairs))

    def cube(self, settings: Array) -> Array:
        """Points of the unit cube from settings (n, n_settings) in SI."""
        found: Array = (settings - self.low) / self.widths
        # A bound that went through a unit may miss itself by a rounding error.
        return np.where(np.abs(found - np.clip(found, 0.0, 1.0)) <= AT_BOUND, np.clip(found, 0.0, 1.0), found)

    def si(self, points: Array) -> Array:
        """Settings in SI from points of the unit cube."""
        return self.low + points * self.widths

    def level(self, points: Array) -> Array:
        """(n,) at least zero where a point lies in the region; -inf beyond what was searched.

        What is certified is in the region, whatever rounding leaves of the surrogate's level at its sides.
        """
        level = self.space.level(np.clip(points, 0.0, 1.0), self.allowed)
        level = np.where(self.certified(points), np.maximum(level, 0.0), level)
        return np.where(self.searched(points), level, -np.inf)

    def certified(self, points: Array) -> NDArray[np.bool_]:
        """(n,) which points lie inside the certified range, up to rounding."""
        margins = self.envelope.checker.many(self.si(points)).margins
        found: NDArray[np.bool_] = (margins >= -AT_BOUND * self.widths).all(axis=1)
        return found

    def searched(self, points: Array) -> NDArray[np.bool_]:
        """(n,) whether the search looked there."""
        found: NDArray[np.bool_] = ((points >= 0.0) & (points <= 1.0)).all(axis=1)
        return found

    def probability(self, points: Array) -> Array:
        """(n, 1 + n_limits) predicted probability of all limits and of each; NaN beyond what was searched."""
        found = self.space.probability(np.clip(points, 0.0, 1.0))
        return np.where(self.searched(points)[:, None], found, np.nan)

    def scaled_margins(self, points: Array) -> Array:
        """(n, 1 + n_limits): margins kept with the required probability, of all limits and of each, in units of their
        spread (`space.scale`).
        """
        return np.asarray(self.space.levels(np.clip(points, 0.0, 1.0), self.required))


@dataclass(frozen=True)
class Predicted:
    """What the search knows about settings, without a certificate."""

    settings: Mapping[str, float]
    """SI."""
    certified: bool
    """Whether they lie inside the certified range: then the certificate holds, not this prediction."""
    in_region: bool
    """Whether they lie in the region, with the slack that a certificate needs."""
    probability: float
    """Predicted probability that all limits are met; NaN outside of what was searched."""
    by_limit: Mapping[str, float]
    margins: Mapping[str, tuple[float, Unit]]
    """Limit -> margin kept with the required probability, predicted; SI, and the unit in which it is shown."""
    required: float

    def __str__(self) -> str:
        if self.certified:
            return f"inside the certified range: {self.required:g} or more; predicted {share_text(self.probability)}"
        if math.isnan(self.probability):
            return "outside the range that was searched: nothing is known there"
        text = f"outside the certified range; predicted {share_text(self.probability)}, not certified"
        if self.in_region:
            return text
        limit = min(self.by_limit, key=lambda name: self.by_limit[name])
        margin, unit = self.margins[limit]
        kept = format_si(margin, unit, 3, difference=True)
        return f'{text}; "{limit}" is the worst: {kept} kept with probability {self.required:g}'


def predict(envelope: "Envelope", settings: "Mapping[str, QuantityLike] | Values") -> Predicted:
    """See `Envelope.predict`."""
    checker = envelope.checker
    row = checker.read(settings)
    region = envelope.searched
    point = region.cube(np.array([row]))
    known = bool(region.searched(point)[0])
    chances = region.probability(point)[0]
    margins = region.scaled_margins(point)[0, 1:] * region.space.scale
    return Predicted(
        settings={s.name: x for s, x in zip(envelope.settings, row, strict=True)},
        certified=checker.si(row).inside,
        in_region=known and bool(region.level(point)[0] >= 0.0),
        probability=float(chances[0]),
        by_limit={name: float(x) for name, x in zip(envelope.limits, chances[1:], strict=True)},
        margins={
            m.limit: (float(x) if known else math.nan, m.unit) for m, x in zip(envelope.margins, margins, strict=True)
        },
        required=envelope.required,
    )
