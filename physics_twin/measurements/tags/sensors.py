"""Sensors as their certificates describe them: corrections, uncertainty, until when; and when each was installed."""

import datetime as dt
import keyword
import math
import re
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import BoundsError, DataError, UnitError
from physics_twin.measurements.tags.tolerances import Tolerance, pt100_tolerance, thermocouple_tolerance
from physics_twin.measurements.uncertainty import Uncertainty, plain
from physics_twin.units import QuantityLike, Unit, dimension_text, format_si, to_si, unit as as_unit

__all__ = ["Installation", "Sensor", "corrected"]


@dataclass(frozen=True)
class Sensor:
    """A sensor with its calibration certificate.

    serial: identifies it; its bias is the parameter `bias.<name>`, one unknown for all experiments that used it.
    correction: (reading, what to add to it) as the certificate has them, interpolated in straight lines; a reading
    beyond the first or the last gets the correction of that point. uncertainty: of the bias that is left after
    correction. valid_until: last day of the certificate; results that rest on later samples say so.

    Read back, readings and corrections are (number, unit).

    Raises DataError for a serial without a letter or digit and for readings that do not ascend, UnitError where
    readings, corrections and uncertainty are not of one dimension.

    >>> sensor = Sensor("TC-0417", correction=(("0 degC", "0.5 K"), ("1000 degC", "-1.5 K")))
    >>> sensor.correct(np.array([773.15])) - 773.15
    array([-0.5])
    """

    serial: str
    correction: tuple[tuple[QuantityLike, QuantityLike], ...] = ()
    uncertainty: Uncertainty | None = None
    valid_until: dt.date | None = None
    description: str = ""
    _readings: Array = field(init=False, repr=False, compare=False)
    _added: Array = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the certificate, and take numbers and units apart."""
        if not re.search(r"[^\W_]", self.serial) or self.serial != self.serial.strip():
            raise DataError(f'"{self.serial}" is no serial number')
        if isinstance(self.valid_until, dt.datetime) or not isinstance(self.valid_until, dt.date | None):
            raise DataError(f"sensor {self.serial}: valid_until is a day (datetime.date), not {self.valid_until!r}")
        points = tuple((plain(reading), plain(added)) for reading, added in self.correction)
        object.__setattr__(self, "correction", points)
        readings, added = np.zeros(len(points)), np.zeros(len(points))
        for k, (reading, more) in enumerate(points):
            unit = as_unit(points[0][0][1])
            readings[k] = to_si(reading, unit, name=f"reading {k + 1} of sensor {self.serial}")
            added[k] = to_si(more, unit, name=f"correction {k + 1} of sensor {self.serial}", difference=True)
        if (np.diff(readings) <= 0.0).any():
            at = int(np.flatnonzero(np.diff(readings) <= 0.0)[0])
            unit = as_unit(points[0][0][1])
            raise DataError(
                f"sensor {self.serial}: the readings of its correction do not ascend: "
                f"{format_si(readings[at], unit)}, then {format_si(readings[at + 1], unit)}"
            )
        object.__setattr__(self, "_readings", readings)
        object.__setattr__(self, "_added", added)
        if self.uncertainty is not None:
            self.check_unit(as_unit(plain(self.uncertainty.value)[1]))
            if not cast(float, self.standard_uncertainty) > 0.0:
                raise BoundsError(f"sensor {self.serial}: an uncertainty is above 0")

    @classmethod
    def thermocouple(
        cls,
        serial: str,
        type: str = "K",
        tolerance_class: int = 1,
        *,
        at: QuantityLike,
        valid_until: dt.date | None = None,
        description: str = "",
    ) -> "Sensor":
        """Return a thermocouple without a certificate, known by its tolerance class (IEC 60584-1:2013).

        type: letter K, J, N, T, E, R, S or B. at: the temperature it is mostly used at: the class grows with it, and
        the bias is one number. Within the class every bias is taken for equally likely, so that its standard
        deviation is the limit of error over sqrt(3) (GUM, JCGM 100:2008, 4.3.7); the wires are taken as delivered,
        and drift in use comes on top.

        Raises BoundsError where the class does not hold at this temperature.

        >>> Sensor.thermocouple("TC-0417", at="850 degC").standard_uncertainty * 3**0.5
        3.4
        """
        return cls._of_class(serial, thermocouple_tolerance(type, tolerance_class), at, valid_until, description)

    @classmethod
    def pt100(
        cls,
        serial: str,
        tolerance_class: str = "A",
        *,
        at: QuantityLike,
        film: bool = False,
        valid_until: dt.date | None = None,
        description: str = "",
    ) -> "Sensor":
        """Return a platinum thermometer without a certificate, known by its tolerance class AA, A, B or C (IEC 60751).

        at: as for `thermocouple`. film: its resistor is a film and not wound of wire; the class then holds in a
        narrower range.

        Raises BoundsError where the class does not hold at this temperature.
        """
        return cls._of_class(serial, pt100_tolerance(tolerance_class, film=film), at, valid_until, description)

    @classmethod
    def _of_class(
        cls, serial: str, tolerance: Tolerance, at: QuantityLike, valid_until: dt.date | None, description: str
    ) -> "Sensor":
        celsius = as_unit("degC")
        where = float(celsius.from_si(to_si(at, celsius, name=f"temperature of sensor {serial}")))
        # 850 degC, declared as 1123.15 K, is 849.9999999999999: the ends of a class would be out of it.
        limit = tolerance.limit(round(where, 9))
        words = description or f"{tolerance.name}: {limit:g} K at {where:g} degC"
        return cls(
            serial, uncertainty=Uncertainty((limit, "K"), k=math.sqrt(3.0)), valid_until=valid_until, description=words
        )

    @property
    def name(self) -> str:
        """The serial as an identifier: "TC-0417/2" is TC_0417_2."""
        cleaned = re.sub(r"\W", "_", self.serial)
        return cleaned if cleaned.isidentifier() and not keyword.iskeyword(cleaned) else f"s{cleaned}"

    @property
    def standard_uncertainty(self) -> float | None:
        """One standard deviation of the bias that is left, an SI difference; None where it is not stated."""
        if self.uncertainty is None:
            return None
        number, text = self.uncertainty.standard
        return float(as_unit(text).to_si(number, difference=True))

    def check_unit(self, unit: Unit) -> None:
        """Raise UnitError if what the sensor measures cannot be in `unit`."""
        stated = [points[0] for points in self.correction[:1]]
        stated += [] if self.uncertainty is None else [self.uncertainty.value]
        for quantity in stated:
            own = as_unit(plain(quantity)[1])
            if own.dimension != unit.dimension:
                raise UnitError(
                    f"sensor {self.serial}: its certificate is in {own} ({dimension_text(own.dimension)}), and it is "
                    f"used for {unit} ({dimension_text(unit.dimension)})"
                )

    def correct(self, values: Array) -> Array:
        """Return readings with the correction of the certificate added; (n,) SI, NaN stays NaN."""
        if not self.correction:
            return values
        return np.asarray(values + np.interp(values, self._readings, self._added), dtype=np.float64)

    def beyond(self, values: Array, unit: Unit) -> tuple[str, ...]:
        """Return notes on readings beyond the points of the certificate; values: (n,) SI, before correction.

        unit: in which to say so. Raises UnitError if it does not fit the certificate.
        """
        self.check_unit(unit)
        if not self.correction:
            return ()
        low, high = float(self._readings[0]), float(self._readings[-1])
        # The points of a certificate are round numbers; a reading that is one of them up to rounding is not beyond.
        slack = 1e-9 * max(abs(low), abs(high))
        n = int(((values < low - slack) | (values > high + slack)).sum())
        if n == 0:
            return ()
        extent = f"{format_si(low, unit)} to {format_si(high, unit)}"
        return (
            f"{n} reading{'s' if n > 1 else ''} beyond the certificate of {self.serial} ({extent}): corrected like "
            "its last point",
        )

    def expired(self, when: dt.datetime | dt.date) -> bool:
        """Return whether the certificate no longer held at a moment (a stamp with a zone counts by its day in UTC)."""
        if self.valid_until is None:
            return False
        if isinstance(when, dt.datetime):
            when = (when if when.tzinfo is None else when.astimezone(dt.UTC)).date()
        return when > self.valid_until


def corrected(si: Array, sensor: Sensor, unit: Unit) -> tuple[Array, str]:
    """Return values (n,) SI with the corrections of the certificate, and what was done in words."""
    found = sensor.correct(si)
    change = (found - si)[np.isfinite(si)]
    ends = (float(change.min()), float(change.max())) if change.size else (0.0, 0.0)
    low, high = (format_si(end, unit, 3, difference=True) for end in ends)
    by = low if low == high else f"{low} to {high}"
    return found, f"corrected by {by} as the certificate of sensor {sensor.serial} says"


@dataclass(frozen=True)
class Installation:
    """A sensor behind a tag from a moment on, until the next installation at that tag.

    since: with a zone; None for from the beginning. Raises DataError for a moment without a zone.
    """

    tag: str
    serial: str
    since: dt.datetime | None = None

    def __post_init__(self) -> None:
        """Check that the moment is one."""
        since: object = self.since  # what a table of tags held there
        if since is not None and (not isinstance(since, dt.datetime) or since.tzinfo is None):
            raise DataError(
                f'sensor {self.serial} at tag "{self.tag}": since {since} has no zone; write 2026-03-01T06:00:00+01:00'
            )
