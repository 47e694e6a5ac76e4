"""What is declared about a sensor, so that its samples can be checked: range, resolution, deadband, rate, spike."""

from dataclasses import dataclass

from physics_twin.units import QuantityLike

__all__ = ["Checks"]


@dataclass(frozen=True)
class Checks:
    """Declared limits of a sensor; what is None is not checked, since a quench is not a spike.

    low, high: what the sensor can show; values outside are bad. resolution: of its converter or of the printed digits.
    deadband: of the historian's compression (swinging door, exception). rate: quickest believable change ("5 K/s").
    spike: a single sample that stands out by more on both sides. flat: longest believable time at one value. gap:
    longest believable time without a sample. zero_is_missing: zero is how this logger writes "not measured".
    """

    low: QuantityLike | None = None
    high: QuantityLike | None = None
    resolution: QuantityLike | None = None
    deadband: QuantityLike | None = None
    rate: QuantityLike | None = None
    spike: QuantityLike | None = None
    flat: QuantityLike | None = None
    gap: QuantityLike | None = None
    zero_is_missing: bool = False
