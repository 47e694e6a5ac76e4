"""`RandomWalk`: how far a state or a parameter wanders away from its equations by itself."""

from dataclasses import dataclass

from physics_twin.errors import BoundsError
from physics_twin.units import QuantityLike, Unit, to_si


@dataclass(frozen=True)
class RandomWalk:
    """Independent Gaussian steps: one standard deviation `sd` after the time `per`, growing with the root of time.

    sd: a difference ("0.5 K"); of a parameter whose zero is nothing also a share of it: "2 %" is one of every
    parameter, with a dimension or without, where 0.02 is a difference. Of a state it is a difference. As process noise
    it says how wrong the equations of a state are; as drift, how fast a parameter changes.

    >>> RandomWalk("0.6 K", per="1 min")
    RandomWalk(sd='0.6 K', per='1 min')
    """

    sd: QuantityLike
    per: QuantityLike

    def variance_rate(self, unit: Unit, *, name: str) -> float:
        """SI unit squared per second; raises UnitError, and BoundsError for what is not above zero."""
        sd = to_si(self.sd, unit, name=f"random walk of {name}", difference=True)
        per = to_si(self.per, Unit("s"), name=f"random walk of {name}: per")
        if not (0.0 <= sd < float("inf") and 0.0 < per < float("inf")):
            raise BoundsError(f"random walk of {name}: sd = {self.sd} per {self.per}; sd is at least 0, per above 0")
        return sd * sd / per
