"""What an envelope was asked: everything but the model and the posterior, so that it can be asked again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from physics_twin.envelope.limits.limits import Limit
from physics_twin.envelope.ranges.shapes import LargestBox, Shape
from physics_twin.envelope.set_point.objectives import Objective
from physics_twin.errors import EnvelopeError
from physics_twin.parameters import Values
from physics_twin.priors import Prior
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike


@dataclass(frozen=True)
class Budget:
    """How much an envelope may cost; the defaults suit a model of a few thousand simulations per second.

    search_share: part of the draws that the search sees; the rest certify. n_search, n_certification: most draws
    used on either side. n_points: settings at which the search simulates its draws, at most. n_nodes: samples in
    each phase, for limits that look at the whole course; before anything is certified they are checked against more,
    and an envelope takes up to 16 times as many where they miss something. n_scouts: settings at which four draws look
    for what the search has not seen, over the whole range and again in every range that is to be certified (64, 256 or
    512 for one, two or more settings; rounded up to a power of two). Fewer are for models that take seconds: a region
    in which limits are broken may then be wider and go unseen, and the envelope warns of it.
    """

    search_share: float = 0.4
    n_search: int = 500
    n_certification: int = 5000
    n_points: int | None = None
    n_nodes: int = 32
    n_scouts: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0.0 < self.search_share < 1.0:
            raise EnvelopeError(f"search_share = {self.search_share:g}: a share is between 0 and 1")
        for name, least in (("n_search", 1), ("n_certification", 1), ("n_points", 1), ("n_nodes", 4), ("n_scouts", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise EnvelopeError(f"{name} = {value}: at least {least}")


@dataclass(frozen=True)
class Question:
    """All arguments of `find_envelope` that say what is asked, with defaults filled in; see there."""

    recipe: Recipe
    settings: tuple[Setting, ...]
    limits: tuple[Limit, ...]
    probability: float = 0.95
    confidence: float = 0.95
    seed: int | None = None
    """None where a generator was given: such an envelope can be certified anew but not drawn again."""
    shape: Shape = field(default_factory=LargestBox)
    objectives: tuple[Objective, ...] = ()
    batch_variation: Mapping[str, Prior | QuantityLike] = field(default_factory=dict)
    tolerance: Mapping[str, QuantityLike] = field(default_factory=dict)
    values: Mapping[str, QuantityLike] | Values = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        """Refuse probabilities that are none."""
        shares: dict[str, Any] = {"probability": self.probability, "confidence": self.confidence}  # "95%" comes too
        for name, share in shares.items():
            if not isinstance(share, float | int) or not 0.0 < share < 1.0:
                raise EnvelopeError(f"{name} = {share!r}: it must be a number between 0 and 1, for example 0.95")
