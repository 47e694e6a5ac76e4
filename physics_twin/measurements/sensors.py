"""Sensors as their certificates describe them: corrections, uncertainty, until when; and when each was installed."""

import datetime as dt
from dataclasses import dataclass

from physics_twin.measurements.uncertainty import Uncertainty
from physics_twin.units import QuantityLike

__all__ = ["Installation", "Sensor"]


@dataclass(frozen=True)
class Sensor:
    """A sensor with its calibration certificate.

    serial: identifies it; its bias is the parameter `bias.<serial>`, one unknown for all experiments that used it.
    correction: (reading, what to add to it) as the certificate has them, interpolated between. uncertainty: of the
    bias that is left after correction. valid_until: end of the certificate; results that rest on later samples say so.
    """

    serial: str
    correction: tuple[tuple[QuantityLike, QuantityLike], ...] = ()
    uncertainty: Uncertainty | None = None
    valid_until: dt.date | None = None
    description: str = ""


@dataclass(frozen=True)
class Installation:
    """A sensor behind a tag from a moment on, until the next installation at that tag."""

    tag: str
    serial: str
    since: dt.datetime | None = None
